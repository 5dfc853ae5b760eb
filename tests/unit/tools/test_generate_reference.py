from __future__ import annotations

import inspect

import pytest

import generate_reference
from howdah.config import schema
from howdah.config.matchers import MATCHERS


def test_the_written_pages_are_up_to_date(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["generate_reference.py", "--check"])
    assert generate_reference.main() == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    "parse", [*schema.HANDLERS.values(), *schema.SITE_DIRECTIVES.values(), *schema.OPTIONS.values(), *MATCHERS.values()]
)
def test_every_parse_function_tells_its_syntax(parse: object) -> None:
    assert "Syntax:" in (inspect.getdoc(parse) or "")


def test_every_directive_and_option_has_its_heading() -> None:
    directives, options = generate_reference.directives_page(), generate_reference.options_page()
    for name in (*schema.HANDLERS, *schema.SITE_DIRECTIVES, *MATCHERS):
        assert any(line.startswith("#") and f"`{name}`" in line for line in directives.splitlines()), name
    for name in schema.OPTIONS:
        assert any(line.startswith("#") and f"`{name}`" in line for line in options.splitlines()), name
