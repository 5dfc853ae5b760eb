"""The structure of a Caddyfile: global options, sites with their addresses, and the lines of each.

Snippets, imports and environment placeholders are gone when this is done. What the lines mean is not known here:
each is a `Dispenser` for the parse function of its directive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from howdah.config.dispenser import Dispenser, split_lines
from howdah.config.imports import Importer, read_file
from howdah.config.lexer import Kind, Token, Unset
from howdah.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Block:
    """The global options, or a site.

    Args:
        opening: the first word of it, for messages.
        keys: addresses of the site, without commas; none for the global options.
        lines: its directives or options, each with everything that belongs to it.
    """

    opening: Token
    keys: tuple[Token, ...]
    lines: tuple[tuple[Token, ...], ...]

    def dispensers(self) -> list[Dispenser]:
        """Give a fresh cursor for each line."""
        return [Dispenser(line) for line in self.lines]


@dataclass(frozen=True, slots=True)
class Document:
    """A whole configuration.

    Args:
        file: the main file.
        options: global options, if there are any.
        sites: in the order of the file.
        unset: environment placeholders in whose place nothing stands.
        warnings: one sentence each, with its position.
        environ: variables of the server's environment.
    """

    file: str
    options: Block | None
    sites: tuple[Block, ...]
    unset: tuple[Unset, ...]
    warnings: tuple[str, ...]
    environ: Mapping[str, str]


def load_document(path: str, environ: Mapping[str, str]) -> Document:
    """Read a Caddyfile and everything that it imports.

    Raises:
        ConfigError: with the position of the mistake.
    """
    return read_document(read_file(path), path, environ)


def read_document(text: str, file: str, environ: Mapping[str, str]) -> Document:
    """Read a configuration from its text.

    Args:
        text: the main file.
        file: its name, for messages; imports start at its folder.
        environ: variables for ``{$NAME}`` and ``{$NAME:default}``.

    Raises:
        ConfigError: with the position of the mistake.
    """
    importer = Importer(environ)
    importer.read(text, file)
    options, sites = _Structure(importer.tokens, importer.unset).read()
    return Document(file, options, tuple(sites), tuple(importer.unset), tuple(importer.warnings), environ)


class _Structure:
    """Finds the blocks in tokens whose braces are known to be in order."""

    def __init__(self, tokens: Sequence[Token], unset: Sequence[Unset]) -> None:
        self._tokens = tokens
        self._unset = unset
        self._index = 0

    def read(self) -> tuple[Block | None, list[Block]]:
        """Give the global options and the sites."""
        options: Block | None = None
        sites: list[Block] = []
        while self._index < len(self._tokens):
            opening = self._tokens[self._index]
            if not opening.is_word("{"):
                sites.append(self._site(opening))
                continue
            if any(unset.column < opening.column for unset in self._unset_beside(opening)):
                raise self._error(opening, "a site needs an address, such as localhost or :8080")
            if options is not None or sites:
                raise self._error(
                    opening,
                    "a block without an address holds the global options; there is one at most, "
                    "before all sites. Write the site's address before this {",
                )
            options = Block(opening, (), self._body())
        return options, sites

    def _site(self, opening: Token) -> Block:
        keys, has_brace = self._keys()
        if not keys:
            raise self._error(opening, "a site needs an address, such as localhost or :8080")
        if has_brace:
            return Block(opening, keys, self._body())
        # The only site of a file needs no braces: everything that follows belongs to it.
        lines = tuple(split_lines(self._tokens[self._index :]))
        self._index = len(self._tokens)
        return Block(opening, keys, lines)

    def _keys(self) -> tuple[tuple[Token, ...], bool]:
        keys: list[Token] = []
        continues = True
        last = self._tokens[self._index]
        while self._index < len(self._tokens):
            token = self._tokens[self._index]
            if token.is_word("{"):
                if continues and keys:
                    raise self._error(last, "an address must follow the comma; write it, or remove the comma")
                return tuple(keys), True
            if token.first and not continues:
                return tuple(keys), False
            text = token.text
            continues = text.endswith(",")
            text = text.removesuffix(",")
            self._check_key(token, text)
            if text:
                keys.append(Token(text, token.file, token.line, token.column, token.first, token.kind, token.origin))
            last = token
            self._index += 1
        if continues:
            raise self._error(last, "an address must follow the comma; write it, or remove the comma")
        return tuple(keys), False

    def _check_key(self, token: Token, text: str) -> None:
        if "," in text:
            raise self._error(token, f"an address holds no comma: write {text.replace(',', ', ')}")
        if text.startswith("&(") and token.kind is Kind.WORD:
            raise self._error(
                token,
                f"named routes such as {text} are not supported; make it a snippet ({text[2:-1]}) and import that",
            )
        if text == "}" or text.endswith("{"):
            raise self._error(token, f"{text} is no address; put a space before a brace")

    def _body(self) -> tuple[tuple[Token, ...], ...]:
        """Give the lines of the block whose { is next."""
        start = self._index + 1
        depth = 0
        while True:
            token = self._tokens[self._index]
            depth += token.is_word("{") - token.is_word("}")
            self._index += 1
            if depth == 0:
                return tuple(split_lines(self._tokens[start : self._index - 1]))

    def _error(self, token: Token, message: str) -> ConfigError:
        names = [f"{{${unset.name}}}" for unset in self._unset_beside(token)]
        if names:
            message += f" (not set on this line: {', '.join(names)})"
        return token.error(message)

    def _unset_beside(self, token: Token) -> list[Unset]:
        """Give the placeholders on a token's line that stand for nothing."""
        return [unset for unset in self._unset if (unset.file, unset.line) == (token.file, token.line)]
