"""``fmt``: the one way to lay out a Caddyfile, that of ``caddy fmt``.

Tabs indent, one space separates words, at most one empty line separates lines (two after a comment), braces stand
where the parser wants them. Quoted text, heredocs and comments are copied as they are. Works on lexemes and not on
tokens: placeholders stay, and text that a parser would refuse for other reasons is formatted all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from howdah.config.lexer import SPACES, UNCLOSED_BRACE, UNOPENED_BRACE, Kind, Lexeme, Lines, breaks_line, scan
from howdah.errors import ConfigError

_TRAILING = re.compile(rf"[{SPACES}]+\Z")
_JOINED = re.compile(r"(\s*)(\\\r?\n)(\s*)")


class _Role(Enum):
    START = "start"
    TEXT = "text"
    COMMENT = "comment"
    OPEN = "open"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class _Piece:
    """What is printed in one go.

    Args:
        role: what it is.
        text: as it stands in the source.
        gap: what stands between it and the piece before.
        offset: where it stands.
    """

    role: _Role
    text: str
    gap: str
    offset: int

    @property
    def newlines(self) -> int:
        """Ends of lines before it; lines joined by a backslash count as one."""
        if not breaks_line(self.gap, 0, len(self.gap)):
            return 0
        return self.gap.count("\n") - len(_JOINED.findall(self.gap))


def format_text(text: str, file: str) -> str:
    """Format a Caddyfile.

    Args:
        text: the whole file.
        file: its name, for messages.

    Raises:
        ConfigError: a brace has no partner, or a quote or heredoc does not end.
    """
    printer = _Printer()
    opened: list[int] = []
    lines = Lines(text)

    def error(message: str, offset: int) -> ConfigError:
        line, column = lines.position(offset)
        return ConfigError(message, file=file, line=line, column=column)

    previous_end = 0
    lexemes = list(scan(text))
    for index, lexeme in enumerate(lexemes):
        if lexeme.problem:
            raise error(lexeme.problem, lexeme.problem_at)
        following = lexemes[index + 1] if index + 1 < len(lexemes) else None
        ends_line = (
            following is None or following.kind is Kind.COMMENT or breaks_line(text, lexeme.end, following.start)
        )
        for piece in _pieces(text, lexeme, text[previous_end : lexeme.start], ends_line):
            if piece.role is _Role.OPEN:
                opened.append(piece.offset)
            elif piece.role is _Role.CLOSE:
                if not opened:
                    raise error(UNOPENED_BRACE, piece.offset)
                opened.pop()
            printer.print(piece)
        previous_end = lexeme.end
    if opened:
        raise error(UNCLOSED_BRACE, opened[-1])
    return text[: int(text.startswith("\ufeff"))] + printer.result()


def _pieces(text: str, lexeme: Lexeme, gap: str, ends_line: bool) -> Iterator[_Piece]:
    """Split braces off a word at the end of its line, as in ``localhost{`` and ``}}``."""
    raw = text[lexeme.start : lexeme.end]
    if lexeme.kind is Kind.COMMENT:
        yield _Piece(_Role.COMMENT, raw, gap, lexeme.start)
        return
    if lexeme.kind is not Kind.WORD:
        yield _Piece(_Role.TEXT, raw, gap, lexeme.start)
        return
    if raw == "{":
        yield _Piece(_Role.OPEN, raw, gap, lexeme.start)
    elif not raw.strip("}"):
        for offset, brace in enumerate(raw):
            yield _Piece(_Role.CLOSE, brace, "" if offset else gap, lexeme.start + offset)
    elif raw.endswith("{") and not raw.endswith("\\{") and ends_line:
        cut = len(raw) - 1
        yield _Piece(_Role.OPEN if raw == "{{" else _Role.TEXT, raw[:cut], gap, lexeme.start)
        yield _Piece(_Role.OPEN, "{", "", lexeme.start + cut)
    else:
        yield _Piece(_Role.TEXT, raw, gap, lexeme.start)


class _Printer:
    """Decides what stands between two pieces."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._depth = 0
        self._previous = _Role.START

    def print(self, piece: _Piece) -> None:
        """Append a piece."""
        if piece.role is _Role.CLOSE:
            self._depth -= 1
        separator = self._separator(piece)
        if separator.startswith("\n"):
            self._protect_line_end()
        self._parts += [separator, piece.text]
        if piece.role is _Role.OPEN:
            self._depth += 1
        self._previous = piece.role

    def result(self) -> str:
        """Give everything printed; a comment at the very end loses the spaces after it, as with Caddy."""
        if self._previous is _Role.COMMENT:
            self._parts[-1] = _TRAILING.sub("", self._parts[-1])
        self._protect_line_end()
        return "".join(self._parts) + "\n"

    def _protect_line_end(self) -> None:
        """Keep the last word what it is when its line ends here and did not end before."""
        if self._previous is not _Role.TEXT:
            return
        word = self._parts[-1]
        if word.endswith("\\"):
            # Right before the end of the line it would join the next one.
            self._parts.append(" ")
        elif word.startswith("<<") and "\n" not in word:
            # It would open a heredoc.
            self._parts[-1] = "\\" + word

    def _separator(self, piece: _Piece) -> str:
        previous = self._previous
        if previous is _Role.START:
            return ""
        if previous is _Role.OPEN or piece.role is _Role.CLOSE:
            return self._newlines(1)
        if piece.role is _Role.OPEN and previous is _Role.TEXT:
            return " " if piece.newlines else _inline(piece.gap) or " "
        if piece.role is _Role.OPEN and previous is _Role.COMMENT:
            return self._newlines(1)
        if piece.newlines:
            # The end of a comment's own line is not counted, so that paragraphs of comments keep their distance.
            return self._newlines(min(piece.newlines, 3 if previous is _Role.COMMENT else 2))
        if previous is _Role.CLOSE:
            return self._after_close(piece)
        return _inline(piece.gap)

    def _after_close(self, piece: _Piece) -> str:
        if self._depth == 0:
            return self._newlines(2)
        return "\t" * self._depth if piece.role is _Role.COMMENT else self._newlines(1)

    def _newlines(self, count: int) -> str:
        return "\n" * count + "\t" * self._depth


def _inline(gap: str) -> str:
    """Shorten what separates two words of one line: each run of spaces to one, joins as they are."""
    joined = _JOINED.match(gap)
    if joined is None:
        return " " if gap else ""
    before, join, after = joined.groups()
    return (" " if before else "") + join + (" " if after else "")
