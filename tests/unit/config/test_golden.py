"""Golden files of ``fmt``: tests/config/golden/NAME.caddytest holds input, a line that begins with dashes, expectation.

That line says who judges: ``caddy`` (Debian's 2.6), with the flags ``crlf`` (lines of the input end in CR LF),
``no-final-newline`` and ``placeholder-lines`` (apart from the space that Caddy 2.6 leaves at the end of a line before
one that begins with a placeholder), or ``rules:`` and why Caddy cannot judge.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from howdah.config.format import format_text
from howdah.config.imports import check_braces
from howdah.config.lexer import Token, tokenize
from howdah.errors import ConfigError

GOLDEN = Path(__file__).resolve().parents[2] / "config" / "golden"
CADDY = shutil.which("caddy")
SEPARATOR = "---------- "


@dataclass(frozen=True)
class Case:
    name: str
    source: str
    judge: str
    flags: frozenset[str]
    expected: str

    @property
    def is_error(self) -> bool:
        return self.expected.startswith("error ")


def read_case(path: Path) -> Case:
    source, _, rest = path.read_bytes().decode().partition(SEPARATOR)
    heading, _, expected = rest.partition("\n")
    judge, *flags = heading.partition(":")[0].split()
    if "no-final-newline" in flags:
        source = source.removesuffix("\n")
    if "crlf" in flags:
        source = source.replace("\n", "\r\n")
    return Case(path.stem, source, judge, frozenset(flags), expected)


CASES = [read_case(path) for path in sorted(GOLDEN.glob("*.caddytest"))]
FORMATTED = [case for case in CASES if not case.is_error]
JUDGED_BY_CADDY = [case for case in CASES if case.judge == "caddy"]


def names(case: Case) -> str:
    return case.name


def caddy_fmt(text: str) -> str:
    assert CADDY is not None
    return subprocess.run([CADDY, "fmt", "-"], input=text.encode(), capture_output=True, check=True).stdout.decode()


def stream(text: str) -> list[tuple[str, str]]:
    """Words and their kinds; braces that are glued to words count as apart from them, for that is what fmt mends."""
    tokens = tokenize(text, "Caddyfile", {"X": "x"})[0]
    parts: list[tuple[str, str]] = []
    for index, token in enumerate(tokens):
        ends_line = index + 1 == len(tokens) or tokens[index + 1].first
        parts += [(part, token.kind.name) for part in split_braces(token, ends_line)]
    return parts


def split_braces(token: Token, ends_line: bool) -> list[str]:
    text = token.text
    if token.kind.name != "WORD" or text in {"{", "}"}:
        return [text]
    if text and not text.strip("}"):
        return list(text)
    if ends_line and text.endswith("{") and not text.endswith("\\{"):
        return [text[:-1], "{"]
    return [text]


def test_there_are_enough_of_them() -> None:
    assert len(JUDGED_BY_CADDY) >= 40
    assert {case.judge for case in CASES} == {"caddy", "rules"}


@pytest.mark.parametrize("case", CASES, ids=names)
def test_fmt_gives_what_the_golden_file_expects(case: Case) -> None:
    try:
        result = format_text(case.source, "Caddyfile")
    except ConfigError as error:
        result = f"error {error.line}:{error.column}: {error.message}\n"
    assert result == case.expected


@pytest.mark.parametrize("case", FORMATTED, ids=names)
def test_a_second_fmt_changes_nothing(case: Case) -> None:
    assert format_text(case.expected, "Caddyfile") == case.expected


@pytest.mark.parametrize("case", FORMATTED, ids=names)
def test_fmt_keeps_the_words(case: Case) -> None:
    assert stream(case.expected) == stream(case.source)


@pytest.mark.parametrize("case", FORMATTED, ids=names)
def test_formatted_files_have_their_braces_where_the_parser_wants_them(case: Case) -> None:
    check_braces(tokenize(case.expected, "Caddyfile", {})[0])


@pytest.mark.skipif(CADDY is None, reason="compares with caddy, which is not installed (Debian: apt-get install caddy)")
@pytest.mark.parametrize("case", JUDGED_BY_CADDY, ids=names)
def test_caddy_gives_the_same(case: Case) -> None:
    result = caddy_fmt(case.source)
    if "placeholder-lines" in case.flags:
        result = re.sub(r" (\n+\t*\{)", r"\1", result)
    assert result == case.expected
