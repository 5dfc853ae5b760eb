"""php.ini overrides keep their values and cannot become other entries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.engine.ini import ini_defaults, ini_lines, quote_value
from howdah.errors import ConfigError


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("256M", "256M"),
        ("On", "On"),
        ("Europe/Paris", "Europe/Paris"),
        ("E_ALL & ~E_NOTICE", "E_ALL & ~E_NOTICE"),
        ("32767", "32767"),
        ("-1", "-1"),
        ("", ""),
        ("a b", '"a b"'),
        ("a;b", '"a;b"'),
        ("a=b", '"a=b"'),
        ("(x)", '"(x)"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("C:\\php", '"C:\\\\php"'),
        ("${HOME}/x", '"${HOME}/x"'),
    ],
)
def test_values_are_quoted_where_the_scanner_would_read_them_otherwise(value: str, written: str) -> None:
    assert quote_value(value) == written


@pytest.mark.parametrize("value", ["a\nb", "a\rextension=evil.so", "a\0b"])
def test_a_value_cannot_start_another_entry(value: str) -> None:
    with pytest.raises(ConfigError, match="line break or NUL"):
        quote_value(value)


@pytest.mark.parametrize("name", ["", "a b", "a=b", "1x", "a\nb", "[section]", "é"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"no php\.ini name"):
        ini_lines({name: "1"})


def test_lines_keep_their_order() -> None:
    assert ini_lines({"b": "1", "a": "2", "c.d": "x y"}) == 'b=1\na=2\nc.d="x y"\n'


def test_errors_are_shown_with_debug_only() -> None:
    assert dict(ini_defaults(debug=False))[b"display_errors"] == b"0"
    assert dict(ini_defaults(debug=True))[b"display_errors"] == b"1"


def test_a_time_limit_becomes_the_longest_wait_in_whole_seconds() -> None:
    assert b"howdah.longest_wait" not in dict(ini_defaults(debug=False))
    assert dict(ini_defaults(debug=False, longest_wait_s=0.3))[b"howdah.longest_wait"] == b"1"
    assert dict(ini_defaults(debug=False, longest_wait_s=5.0))[b"howdah.longest_wait"] == b"5"


@given(st.dictionaries(st.from_regex(r"\A[a-z][a-z0-9_.]{0,10}\Z"), st.text(), max_size=5))
def test_there_is_exactly_one_line_per_entry(entries: dict[str, str]) -> None:
    try:
        text = ini_lines(entries)
    except ConfigError:
        assert any(character in value for value in entries.values() for character in "\r\n\0")
    else:
        assert text.count("\n") == len(entries)
        assert [line.partition("=")[0] for line in text.split("\n")[:-1]] == list(entries)
