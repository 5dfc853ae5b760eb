from __future__ import annotations

import pytest

from howdah.config import placeholders
from howdah.config.placeholders import has_placeholder, is_placeholder
from howdah.web import placeholders as served


def known() -> list[str]:
    families = (*placeholders.FAMILIES, *placeholders.SHORT_FAMILIES)
    return [*placeholders.SHORT, *placeholders.FULL, *(f"{family}1" for family in families), "path.0", "labels.1"]


@pytest.mark.parametrize("name", sorted(known()))
def test_every_known_name_is_one_and_is_filled_in(name: str) -> None:
    assert is_placeholder(name)
    assert served.find_getter(name) is not None


@pytest.mark.parametrize("name", sorted({*served._FIXED, *served._SHORT}))
def test_every_name_that_is_filled_in_is_known(name: str) -> None:
    assert is_placeholder(name)


@pytest.mark.parametrize(
    "name", ["", "a", "http", "http.request", "http.request.", "re.", "paths", "PATH", "labels.x", "system."]
)
def test_other_names_are_none(name: str) -> None:
    assert not is_placeholder(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{path}", True),
        ("a{http.request.header.X-Y}b", True),
        ("\\{path}", False),
        ("\\{path\\}", False),
        ("{unknown}", False),
        ('{"path": 1}', False),
        ("{ path }", False),
        ("plain", False),
    ],
)
def test_a_text_depends_on_the_request_if_it_holds_one(text: str, expected: bool) -> None:
    assert has_placeholder(text) is expected
    assert has_placeholder("{file./run/secret}")
    assert served.has_placeholders(text) is expected
