"""What fmt promises for every text, and against Caddy on texts that nobody thought of."""

from __future__ import annotations

import random
import re
import time

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from howdah.config.format import format_text
from howdah.config.lexer import SPACES, Kind, scan
from howdah.errors import ConfigError
from tests.unit.config.test_golden import CADDY, caddy_fmt, stream
from tests.unit.config.test_lexer import TEXTS

WORDS = (
    "a",
    "b.test",
    "{path}",
    "x{host}y",
    '"q  r"',
    '"x\n  y"',
    '""',
    "`bt`",
    "/p/*",
    "it's",
    'c\\"d',
    "{$X:y}",
    "é",
)
GAPS = (" ", " ", "  ", "\t", " \t ")
ENDS = ("\n", "\n", "\n", "\n\n", "\n\n\n", "\n\n\n\n\n", "\n  \n")


def random_line(choose: random.Random, depth: int) -> str:
    """A directive as untidy as people write it, and nothing that Caddy 2.6 is known to spoil."""
    indent = choose.choice(GAPS) if choose.random() < 0.5 else ""
    if choose.random() < 0.12:
        return indent + '# c  {x} "  y' + choose.choice(ENDS)
    words = choose.choices(WORDS, k=choose.randint(1, 4))
    line = indent + choose.choice(GAPS).join(words)
    if choose.random() < 0.06:
        line += " \\\n" + choose.choice(GAPS) + "k"
    if depth < 4 and choose.random() < 0.35:
        brace = choose.choice((" {", " {", "  {", "\n{", "{")) if not line.endswith("}") else " {"
        line += brace + choose.choice(("", "", "", " # x")) + choose.choice(ENDS)
        line += "".join(random_line(choose, depth + 1) for _ in range(choose.randint(0, 3)))
        line += choose.choice(("", "\t")) + "}"
        if choose.random() < 0.1:
            line += choose.choice(GAPS) + "# e"
    elif choose.random() < 0.1:
        line += choose.choice(GAPS) + "# t"
    return line + choose.choice(ENDS)


def random_file(choose: random.Random) -> str:
    return "".join(random_line(choose, 0) for _ in range(choose.randint(0, 4)))


def comments(text: str) -> list[str]:
    return [
        re.sub(rf"[{SPACES}]+\Z", "", text[found.start : found.end])
        for found in scan(text)
        if found.kind is Kind.COMMENT
    ]


def formatted(text: str) -> str:
    try:
        return format_text(text, "Caddyfile")
    except ConfigError:
        assume(False)
        raise


@given(TEXTS | st.randoms(use_true_random=False).map(random_file))
@example("a \\\n")
@example("\ufeff")
def test_a_second_fmt_changes_nothing(text: str) -> None:
    once = formatted(text)
    assert format_text(once, "Caddyfile") == once


@given(TEXTS | st.randoms(use_true_random=False).map(random_file))
def test_fmt_keeps_words_and_comments(text: str) -> None:
    assume("\\{$" not in text)  # without its value such a word would end in a backslash
    # A value that is empty can turn the quote behind it into the beginning of a word; fmt does not know values.
    assume(re.search(r"\{\$[^{}\n]*\}[\"`]", text) is None)
    once = formatted(text)
    assert comments(once) == comments(text)
    try:
        before = stream(text)
    except ConfigError:
        return  # fmt leaves placeholders as they are, broken ones too
    assert stream(once) == before


@pytest.mark.slow
@pytest.mark.skipif(CADDY is None, reason="compares with caddy, which is not installed (Debian: apt-get install caddy)")
@given(st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_caddy_gives_the_same_for_any_untidy_file(choose: random.Random) -> None:
    text = random_file(choose)
    # The one known difference that cannot be kept out of such files: a space before lines that begin with a placeholder.
    assert format_text(text, "Caddyfile") == re.sub(r" (\n+\t*\{)", r"\1", caddy_fmt(text))


@given(TEXTS)
def test_fmt_never_fails_without_saying_where(text: str) -> None:
    try:
        format_text(text, "Caddyfile")
    except ConfigError as mistake:
        error = mistake
    else:
        return
    assert str(error).startswith(f"Caddyfile:{error.line}:{error.column}: ")


def test_a_backslash_before_spaces_at_the_end_of_a_line_joins_no_lines() -> None:
    assert format_text("a \\  \nb\\ \n", "Caddyfile") == "a \\ \nb\\ \n"


def test_a_word_like_a_heredoc_stays_one_when_its_line_gets_shorter() -> None:
    assert format_text("a { << }\n", "Caddyfile") == "a {\n\t\\<<\n}\n"


def test_a_thousand_lines_take_less_than_50_ms() -> None:
    text = "example.test {\n" + '  header   X-A   "b  {path}"\n  handle /a/* {\n respond 200\n}\n' * 250 + "}\n"
    start = time.perf_counter()
    format_text(text, "Caddyfile")
    assert time.perf_counter() - start < 0.5  # ten times that on a busy machine
