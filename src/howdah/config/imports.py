"""Snippets and ``import``: from the tokens of one file to those of everything that it imports.

Works on tokens before any structure is known, because an import may stand on any line. Each file and each snippet
must have its braces in order by itself, so that a mistake is told where it was made.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from howdah.config.lexer import UNCLOSED_BRACE, UNOPENED_BRACE, Kind, Token, Unset, decode, tokenize
from howdah.errors import ConfigError

# More than any real configuration, less than what a few snippets would make that each import the next one twice.
_MOST_TOKENS = 1_000_000
_MOST_IMPORTS = 20_000
_DEEPEST_IMPORT = 50

_ARGUMENT = re.compile(r"\{args(?:\.([^{}\s]*)|\[([^{}\[\]\s]*)\])\}")
_INDEX = re.compile(r"\d{1,6}", re.ASCII)
_RANGE = re.compile(r"(\d{0,6}):(\d{0,6})", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Frame:
    """What is being read.

    Args:
        chain: files and snippets that led here, the main file first, each with a name for messages.
        call: the `import` that asked for it; None in the main file.
        arguments: what follows the name in that line.
        block: the tokens between the braces of that line.
    """

    chain: tuple[tuple[str, str], ...]
    call: Token | None = None
    arguments: tuple[Token, ...] = ()
    block: tuple[Token, ...] = ()


class Importer:
    """Reads a file and everything that it imports.

    Args:
        environ: variables for environment placeholders.

    Attributes:
        tokens: everything read so far, without imports and snippets.
        unset: environment placeholders in whose place nothing stands.
        warnings: one sentence each, with its position.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.tokens: list[Token] = []
        self.unset: list[Unset] = []
        self.warnings: list[str] = []
        self._environ = environ
        self._snippets: dict[str, tuple[Token, tuple[Token, ...]]] = {}
        self._files: dict[Path, list[Token]] = {}
        self._imports = 0

    def read(self, text: str, file: str) -> None:
        """Read the main file.

        Raises:
            ConfigError: with the position of the mistake.
        """
        tokens, unset = tokenize(text, file, self._environ)
        self.unset += unset
        check_braces(tokens)
        self._run(tokens, _Frame(((str(Path(file).resolve()), file),)), 0)

    def _run(self, tokens: Sequence[Token], frame: _Frame, depth: int) -> None:
        index = 0
        takes_first = False
        while index < len(tokens):
            token = tokens[index]
            if token.first and token.is_word("import"):
                index = self._import_line(tokens, index, frame, depth)
                continue
            if depth == 0 and _names_snippet(token):
                index = self._define(tokens, index)
                continue
            if token.is_word("{block}") and frame.call is not None:
                self._run(frame.block, _Frame(frame.chain), depth)
            elif token.kind is Kind.WORD and token.text.startswith("{blocks.") and frame.call is not None:
                self._run(_part(frame.block, token.text[8:-1]), _Frame(frame.chain), depth)
            else:
                takes_first = self._append(_fill(token, frame), token.first or takes_first)
                depth += token.is_word("{") - token.is_word("}")
            index += 1

    def _append(self, tokens: Sequence[Token], first: bool) -> bool:
        """Append what one token became; tells whether the next one begins the line instead, because it vanished."""
        for token in tokens:
            self.tokens.append(token if token.first == first else replace(token, first=first))
            first = False
        if len(self.tokens) > _MOST_TOKENS:
            raise self.tokens[-1].error(
                f"with its imports this makes more than {_MOST_TOKENS:,} words; look for an import that is repeated"
            )
        return first

    def _define(self, tokens: Sequence[Token], index: int) -> int:
        name = tokens[index]
        if index + 1 == len(tokens) or not tokens[index + 1].is_word("{"):
            raise name.error(f"the snippet {name.text} needs a block; write {name.text} {{ and its lines, closed by }}")
        other = self._snippets.get(name.text[1:-1])
        if other is not None:
            where = f"{other[0].file}:{other[0].line}"
            raise name.error(f"there is a snippet {name.text} already, at {where}; give this one another name")
        end = _closing(tokens, index + 1)
        self._snippets[name.text[1:-1]] = name, tuple(tokens[index + 2 : end])
        return end + 1

    def _import_line(self, tokens: Sequence[Token], index: int, frame: _Frame, depth: int) -> int:
        """Do the import at an index; gives the index of what follows it."""
        call = tokens[index]
        end = index + 1
        while end < len(tokens) and not tokens[end].first and not tokens[end].is_word("{"):
            end += 1
        words = [filled for token in tokens[index + 1 : end] for filled in _fill(token, frame)]
        block: list[Token] = []
        if end < len(tokens) and tokens[end].is_word("{") and not tokens[end].first:
            closing = _closing(tokens, end)
            # The block belongs to whom it is written by: its own imports and arguments are done before it is handed on.
            outer, self.tokens = self.tokens, []
            self._run(tokens[end + 1 : closing], frame, depth + 1)
            block, self.tokens = self.tokens, outer
            end = closing + 1
        if not words:
            raise call.error("import needs the name of a snippet, a file or a pattern such as sites/*.caddyfile")
        self._imports += 1
        if self._imports > _MOST_IMPORTS:
            raise call.error(
                f"there are more than {_MOST_IMPORTS:,} imports; look for snippets that import each other twice"
            )
        if len(frame.chain) > _DEEPEST_IMPORT:
            raise call.error(f"more than {_DEEPEST_IMPORT} imports stand inside each other")
        for identity, name, body in self._targets(call, words[0]):
            if any(identity == passed for passed, _ in frame.chain):
                names = " -> ".join([label for _, label in frame.chain] + [name])
                raise call.error(f"this import goes round in a circle: {names}; remove one of these imports")
            chain = (*frame.chain, (identity, name))
            self._run(body, _Frame(chain, call, tuple(words[1:]), tuple(block)), depth)
        return end

    def _targets(self, call: Token, target: Token) -> Iterator[tuple[str, str, Sequence[Token]]]:
        """Find what an import names: identity, name for messages, tokens."""
        snippet = self._snippets.get(target.text)
        if snippet is not None:
            yield f"({target.text})", f"({target.text})", snippet[1]
            return
        for path in self._paths(call, target):
            yield str(path.resolve()), str(path), self._file(path, target)

    def _paths(self, call: Token, target: Token) -> list[Path]:
        base = Path(call.file).parent
        if not glob.has_magic(target.text):
            path = base / target.text
            if not path.is_file():
                raise target.error(
                    f"there is neither a snippet ({target.text}) above nor a file {path}; "
                    "snippets must stand before their import, and paths start at this file's folder"
                )
            return [path]
        # As in a shell, and unlike pathlib, * does not find hidden files.
        found = sorted(glob.glob(target.text, root_dir=base, recursive=True))  # noqa: PTH207
        paths = [base / name for name in found if (base / name).is_file()]
        if not paths:
            self.warnings.append(f"{target.file}:{target.line}:{target.column}: no file matches {base / target.text}")
        return paths

    def _file(self, path: Path, target: Token) -> list[Token]:
        known = self._files.get(path)
        if known is not None:
            return known
        try:
            data = path.read_bytes()
        except OSError as error:
            raise target.error(f"{path} cannot be read: {error.strerror}") from None
        tokens, unset = tokenize(decode(data, str(path)), str(path), self._environ)
        check_braces(tokens)
        if not tokens:
            self.warnings.append(f"{target.file}:{target.line}:{target.column}: {path} is empty")
        self.unset += unset
        self._files[path] = tokens
        return tokens


def check_braces(tokens: Sequence[Token]) -> None:
    """Check that braces have partners and stand where they must.

    Raises:
        ConfigError: with the position of the brace.
    """
    opened: list[Token] = []
    glued: list[Token] = []
    for index, token in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else None
        ends_line = following is None or following.first
        if token.is_word("{"):
            opened.append(token)
            if not ends_line:
                raise token.error("a { ends its line; move what follows to the next line, or let `howdah fmt` do it")
        elif token.is_word("}"):
            if not token.first or not ends_line:
                raise token.error("a } stands on a line of its own; let `howdah fmt` move it there")
            if not opened:
                raise glued[-1].error(_GLUED) if glued else token.error(UNOPENED_BRACE)
            opened.pop()
        elif _is_glued(token, ends_line):
            glued.append(token)
    if opened:
        # A doubled } is the likelier mistake when one is there.
        doubled = [token for token in glued if not token.text.strip("}")]
        raise doubled[-1].error(_GLUED) if doubled else opened[-1].error(UNCLOSED_BRACE)


_GLUED = (
    "braces of blocks are words of their own: put a space before a { and each } on its own line (`howdah fmt` does)"
)


def _is_glued(token: Token, ends_line: bool) -> bool:
    if token.kind is not Kind.WORD or len(token.text) < 2:
        return False
    return (token.text.endswith("{") and ends_line) or not token.text.strip("}")


def _names_snippet(token: Token) -> bool:
    text = token.text
    return token.first and token.kind is Kind.WORD and len(text) > 2 and text.startswith("(") and text.endswith(")")


def _closing(tokens: Sequence[Token], opening: int) -> int:
    """Find the } of the { at an index; `check_braces` has seen that there is one."""
    depth = 0
    for index in range(opening, len(tokens)):
        depth += tokens[index].is_word("{") - tokens[index].is_word("}")
        if depth == 0:
            return index
    raise tokens[opening].error(UNCLOSED_BRACE)


def _part(block: Sequence[Token], key: str) -> list[Token]:
    """Give what stands in a block under a key: the lines of its own block, or the rest of its line."""
    for index, token in enumerate(block):
        if token.first and token.text == key:
            if index + 1 < len(block) and block[index + 1].is_word("{"):
                return list(block[index + 2 : _closing(block, index + 1)])
            end = index + 1
            while end < len(block) and not block[end].first:
                end += 1
            rest = list(block[index + 1 : end])
            return [replace(rest[0], first=True), *rest[1:]] if rest else []
    return []


def _fill(token: Token, frame: _Frame) -> list[Token]:
    """Put the arguments of an import into a token; a range of arguments makes any number of tokens of it."""
    if frame.call is None:
        return [token]
    token = replace(token, origin=token.origin or frame.call)
    if "{args" not in token.text:
        return [token]
    whole = _ARGUMENT.fullmatch(token.text) if token.kind is Kind.WORD else None
    if whole is None:
        text = _ARGUMENT.sub(lambda found: _argument(found, token, frame).text, token.text)
        return [replace(token, text=text)]
    span = _RANGE.fullmatch(whole[2] or "")
    if span is None:
        return [_argument(whole, token, frame)]
    return list(frame.arguments[int(span[1] or 0) : int(span[2]) if span[2] else None])


def _argument(found: re.Match[str], token: Token, frame: _Frame) -> Token:
    index = found[1] if found[1] is not None else found[2]
    if _RANGE.fullmatch(index):
        raise token.error(f"{found[0]} gives several words, so it must stand alone and without quotes")
    if not _INDEX.fullmatch(index):
        raise token.error(f"{found[0]} is no argument; write {{args[0]}} for the first one, {{args[:]}} for all")
    if int(index) >= len(frame.arguments):
        count = len(frame.arguments)
        raise token.error(
            f"{found[0]} has no value, because the import gives {count} argument{'' if count == 1 else 's'}"
        )
    return frame.arguments[int(index)]


def read_file(path: str) -> str:
    """Read the main configuration file.

    Raises:
        ConfigError: it cannot be read or is not UTF-8.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=path) from None
    return decode(data, path)
