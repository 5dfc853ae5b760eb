"""Caddyfile text to tokens that know where they stand.

Two levels: `scan` finds the lexemes of a text with their offsets, comments included and nothing interpreted, which
is what the formatter needs; `tokenize` replaces environment placeholders, removes quotes and comments, and gives
the tokens that everything else reads. Knows neither blocks nor directives.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from howdah.errors import ConfigError

# Unicode's white space, for a class of a regular expression, and the byte order mark, which nobody sees either.
# Python's \s has four control characters more, which are text.
SPACES = "\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_ENVIRONMENT = r"\{\$([^\s{}:]+)(?::([^}]*))?\}"

# A backslash at the end of a line joins the next line to it, if there is one.
_GAP = re.compile(rf"(?:[{SPACES}]|\\(?:\r?\n|\Z))*")
# A placeholder is one piece of a word even if its default holds spaces, because it is replaced before words are found.
_WORD = re.compile(rf"(?:{_ENVIRONMENT}|[^{SPACES}\\]|\\(?!\r?\n|\Z))+")
_DOUBLE = re.compile(r'"(?:[^"\\]|\\.)*+("?)', re.DOTALL)
_BACKTICK = re.compile(r"`[^`]*(`?)")
_COMMENT = re.compile(r"#[^\n]*?(?=\r?\n|\r?\Z)")
_HEREDOC_OPENING = re.compile(rf"<<([^{SPACES}]*)(?:(?!\n)[{SPACES}])*(?:\n|\Z)")
_HEREDOC_MARKER = re.compile(r"[A-Za-z0-9_-]+")
_REPLACED = re.compile(_ENVIRONMENT)

UNCLOSED_BRACE = "this { is never closed; add a } on a line of its own after the last line that belongs to it"
UNOPENED_BRACE = "this } closes nothing; remove it, or add the { that it should close at the end of an earlier line"

_BYTE_ORDER_MARK = "\ufeff"


class Kind(Enum):
    """What a lexeme is; the value is what it begins with."""

    WORD = ""
    DOUBLE_QUOTED = '"'
    BACKTICKED = "`"
    HEREDOC = "<<"
    COMMENT = "#"


@dataclass(frozen=True, slots=True)
class Lexeme:
    """A piece of text between gaps.

    Args:
        kind: what it is.
        start: offset of its first character.
        end: offset after its last character.
        problem: what is wrong with it and how to mend that, or nothing.
        problem_at: offset of the mistake.
    """

    kind: Kind
    start: int
    end: int
    problem: str = ""
    problem_at: int = 0


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the configuration.

    Args:
        text: the word as directives see it, without quotes.
        file: where it stands.
        line: line in the file, counted from 1; of text that a variable brought, where its placeholder stands.
        column: column in the line in characters, counted from 1.
        first: it begins a line, where joined lines are one.
        kind: how it is quoted; braces and `import` have their meanings as plain words only.
        origin: the `import` that brought it here, if one did.
    """

    text: str
    file: str
    line: int
    column: int
    first: bool
    kind: Kind = Kind.WORD
    origin: Token | None = None

    def is_word(self, text: str) -> bool:
        """Tell whether it is this word, without quotes."""
        return self.kind is Kind.WORD and self.text == text

    def error(self, message: str, directive: str | None = None) -> ConfigError:
        """Make the error about this token; what an import brought says where that import stands."""
        origin = self.origin
        if origin is not None:
            message += f" (imported at {origin.file}:{origin.line}:{origin.column})"
        return ConfigError(message, file=self.file, line=self.line, column=self.column, directive=directive)


@dataclass(frozen=True, slots=True)
class Unset:
    """A placeholder of an environment variable that is not set and has no default; nothing stands in its place."""

    name: str
    file: str
    line: int
    column: int


class Lines:
    """Turns offsets in a text into lines and columns."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self._skipped = int(text.startswith(_BYTE_ORDER_MARK))

    def position(self, offset: int) -> tuple[int, int]:
        """Give line and column, both counted from 1."""
        line = bisect_right(self._starts, offset)
        skipped = self._skipped if line == 1 else 0
        return line, offset - self._starts[line - 1] - skipped + 1


def decode(data: bytes, file: str) -> str:
    """Decode a configuration file.

    Raises:
        ConfigError: it is not UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        line, column = Lines(before).position(len(before))
        raise ConfigError(
            f"the byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8",
            file=file,
            line=line,
            column=column,
        ) from None


def scan(text: str) -> Iterator[Lexeme]:
    """Find all lexemes; what is wrong with one is told in it, so that this never fails."""
    position = 0
    while True:
        position = _end(_GAP, text, position)
        if position == len(text):
            return
        lexeme = _lexeme_at(text, position)
        yield lexeme
        position = lexeme.end


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return position if found is None else found.end()


def _lexeme_at(text: str, start: int) -> Lexeme:
    character = text[start]
    if character == '"':
        return _quoted(Kind.DOUBLE_QUOTED, _DOUBLE, text, start)
    if character == "`":
        return _quoted(Kind.BACKTICKED, _BACKTICK, text, start)
    if character == "#":
        return Lexeme(Kind.COMMENT, start, _end(_COMMENT, text, start))
    opening = _HEREDOC_OPENING.match(text, start) if character == "<" else None
    if opening is not None:
        return _heredoc(text, opening)
    return Lexeme(Kind.WORD, start, _end(_WORD, text, start))


def _quoted(kind: Kind, pattern: re.Pattern[str], text: str, start: int) -> Lexeme:
    found = pattern.match(text, start)
    if found is not None and found[1]:
        return Lexeme(kind, start, found.end())
    quote = kind.value
    other = f", or write \\{quote} for the character itself" if kind is Kind.DOUBLE_QUOTED else ""
    return Lexeme(kind, start, len(text), f"this {quote} is never closed; add the closing {quote}{other}", start)


def _heredoc(text: str, opening: re.Match[str]) -> Lexeme:
    start, marker = opening.start(), opening[1]
    if not _HEREDOC_MARKER.fullmatch(marker):
        problem = (
            f"<<{marker} opens a text and needs a marker of letters, digits, - and _, such as <<END; "
            "write \\<< for the characters themselves"
        )
        return Lexeme(Kind.HEREDOC, start, opening.end(1), problem, start)
    closing = re.compile(rf"^([ \t]*){marker}(?=[{SPACES}]|\Z)", re.MULTILINE).search(text, opening.end())
    if closing is None:
        problem = f"the text that <<{marker} opens never ends; put {marker} alone at the start of a line after it"
        return Lexeme(Kind.HEREDOC, start, len(text), problem, start)
    return _check_indent(text, opening, closing)


def _check_indent(text: str, opening: re.Match[str], closing: re.Match[str]) -> Lexeme:
    indent = closing[1]
    offset = opening.end()
    for row in text[offset : closing.start()].split("\n"):
        if row.rstrip("\r") and not row.startswith(indent):
            line = Lines(text).position(closing.end())[0]
            problem = (
                f"this line is indented less than the {opening[1]} that ends the text on line {line}; "
                "indent it as that line is"
            )
            return Lexeme(Kind.HEREDOC, opening.start(), closing.end(), problem, offset)
        offset += len(row) + 1
    return Lexeme(Kind.HEREDOC, opening.start(), closing.end())


class _Source:
    """A text with its environment placeholders replaced, which knows where each part of it came from."""

    def __init__(self, text: str, file: str, environ: Mapping[str, str]) -> None:
        self.file = file
        self.unset: list[Unset] = []
        self._lines = Lines(text)
        # Parts of the replaced text: where each starts; offset in the original, and whether a variable brought it.
        self._starts = [0]
        self._origins = [(0, False)]
        self.text = self._replace(text, environ) if "{$" in text else text

    def _replace(self, text: str, environ: Mapping[str, str]) -> str:
        # Placeholders in comments are left alone: a value of several lines would come alive in a switched-off line.
        comments = [(lexeme.start, lexeme.end) for lexeme in scan(text) if lexeme.kind is Kind.COMMENT]
        starts = [start for start, _ in comments]
        pieces: list[str] = []
        length = copied = 0
        for found in _REPLACED.finditer(text):
            index = bisect_right(starts, found.start()) - 1
            if index >= 0 and found.start() < comments[index][1]:
                continue
            value = self._value(found, environ)
            pieces += [text[copied : found.start()], value]
            length += found.start() - copied
            self._starts += [length, length + len(value)]
            self._origins += [(found.start(), True), (found.end(), False)]
            length += len(value)
            copied = found.end()
        return "".join([*pieces, text[copied:]])

    def _value(self, found: re.Match[str], environ: Mapping[str, str]) -> str:
        name: str = found[1]
        default: str | None = found[2]
        value = environ.get(name, default)
        if value is None:
            self.unset.append(Unset(name, self.file, *self._lines.position(found.start())))
            return ""
        return value

    def position(self, offset: int) -> tuple[int, int]:
        """Give line and column in the file of an offset in the replaced text."""
        part = bisect_right(self._starts, offset) - 1
        original, from_variable = self._origins[part]
        return self._lines.position(original if from_variable else original + offset - self._starts[part])

    def error(self, message: str, offset: int) -> ConfigError:
        """Make the error about an offset in the replaced text."""
        line, column = self.position(offset)
        return ConfigError(message, file=self.file, line=line, column=column)


def tokenize(text: str, file: str, environ: Mapping[str, str]) -> tuple[list[Token], list[Unset]]:
    """Read a Caddyfile into tokens.

    Args:
        text: the whole file.
        file: its name for messages, and where relative imports start.
        environ: variables for ``{$NAME}`` and ``{$NAME:default}``.

    Returns:
        The tokens, and the placeholders in whose place nothing stands.

    Raises:
        ConfigError: a quote or a heredoc does not end, or a placeholder is not one.
    """
    source = _Source(text, file, environ)
    tokens: list[Token] = []
    previous_end, first = 0, True
    for lexeme in scan(source.text):
        if lexeme.problem:
            raise source.error(lexeme.problem, lexeme.problem_at)
        first = first or breaks_line(source.text, previous_end, lexeme.start)
        previous_end = lexeme.end
        if lexeme.kind is not Kind.COMMENT:
            value = cook(source.text[lexeme.start : lexeme.end], lexeme.kind)
            line, column = source.position(lexeme.start)
            token = Token(value, file, line, column, first, lexeme.kind)
            _refuse_broken_placeholder(token)
            tokens.append(token)
            first = False
    return tokens, source.unset


def breaks_line(text: str, start: int, end: int) -> bool:
    """Tell whether a line ends in a gap, where a backslash before the end of a line takes it back."""
    gap = text[start:end]
    return "\n" in gap and "\n" in gap.replace("\\\r\n", "").replace("\\\n", "")


def _refuse_broken_placeholder(token: Token) -> None:
    if token.kind is Kind.WORD and token.text.startswith("{$") and token.text != "{$}":
        raise token.error(
            f"{token.text} is left over when environment placeholders are replaced; write each as {{$NAME}} or "
            "{$NAME:default}, none inside another"
        )


def cook(raw: str, kind: Kind) -> str:
    """Give the text that a lexeme stands for."""
    if kind is Kind.DOUBLE_QUOTED:
        return re.sub(r"\\(.)", _unescape, raw[1:-1], flags=re.DOTALL)
    if kind is Kind.BACKTICKED:
        return raw[1:-1]
    if kind is Kind.HEREDOC:
        body = raw.partition("\n")[2]
        body, _, closing = body.rpartition("\n")
        indent = len(closing) - len(closing.lstrip(" \t"))
        return "\n".join(row[indent:].removesuffix("\r") for row in body.split("\n"))
    if raw.startswith("\\<<"):
        return raw[1:]
    return raw


def _unescape(found: re.Match[str]) -> str:
    # Only quotes are escaped: regular expressions and Windows paths keep their backslashes.
    return '"' if found[1] == '"' else found[0]
