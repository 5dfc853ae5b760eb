"""A cursor over one directive, so that parse functions stay short and every error has a position.

A parse function takes arguments with `argument`, `next_arg` or `arguments`, goes through the lines of the block
with ``for line in cursor.next_block():``, and raises what `error` makes. What it does not take is an error by itself,
so that no word of a configuration is ignored.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from howdah.config.lexer import Token
from howdah.errors import ConfigError

# Blocks inside each other: more than any real configuration, less than what Python's stack bears.
DEEPEST = 50


class Dispenser:
    """Reads one directive: its name, its arguments, the lines of its block.

    Args:
        tokens: the directive with everything that belongs to it, as `split_lines` gives it.
        parent: names of the directives around it, for messages.
        depth: number of blocks around it, for those who go on by themselves.
    """

    def __init__(self, tokens: Sequence[Token], parent: str = "", *, depth: int = 0) -> None:
        self.token = tokens[0]
        self.depth = depth
        self._path = f"{parent} {self.name}" if parent else self.name
        opening = next((index for index, token in enumerate(tokens) if index and token.is_word("{")), None)
        self._arguments = list(tokens[1:opening])
        self._block = None if opening is None else tokens[opening + 1 : -1]
        self._opening = None if opening is None else tokens[opening]
        self._taken = 0

    @property
    def name(self) -> str:
        """Name of the directive or option."""
        return self.token.text

    @property
    def has_block(self) -> bool:
        """Whether a block follows that nobody has read yet."""
        return self._block is not None

    def peek_arg(self) -> Token | None:
        """Give the next argument without taking it; None at the end."""
        return self._arguments[self._taken] if self._taken < len(self._arguments) else None

    def next_arg(self) -> Token | None:
        """Take the next argument; None at the end."""
        token = self.peek_arg()
        if token is not None:
            self._taken += 1
        return token

    def argument(self, what: str) -> Token:
        """Take an argument that must be there.

        Args:
            what: what it is, with article, for the message.

        Raises:
            ConfigError: there is none.
        """
        token = self.next_arg()
        if token is None:
            raise self.error(f"{self._path} needs {what}", self._last())
        return token

    def arguments(self, least: int, most: int | None, usage: str) -> list[Token]:
        """Take all arguments that are left.

        Args:
            least: so many there must be.
            most: so many there may be; None is any number.
            usage: how to write the directive, for the message.

        Raises:
            ConfigError: there are fewer or more.
        """
        rest = self._arguments[self._taken :]
        if len(rest) < least:
            last = self._arguments[-1] if self._arguments else self.token
            raise self.error(f"{self._path} needs more; write it as {usage}", last)
        if most is not None and len(rest) > most:
            raise self.error(f"{rest[most].text} is one too many for {self._path}; write it as {usage}", rest[most])
        self._taken = len(self._arguments)
        return rest

    def next_block(self) -> Iterator[Dispenser]:
        """Go through the lines of the block; without one there are none.

        Raises:
            ConfigError: a line was not read to its end, or arguments stand before the brace that nobody took.
        """
        self._refuse_arguments()
        lines = split_lines(self._block or ())
        self._block = self._opening = None
        for tokens in lines:
            line = Dispenser(tokens, self._path)
            yield line
            line.finish()

    def take_lines(self) -> list[tuple[Token, ...]]:
        """Take the lines of the block as they are, for directives that hold other directives."""
        lines = split_lines(self._block or ())
        self._block = self._opening = None
        return lines

    def take_rest(self) -> tuple[Token, ...]:
        """Take the arguments that are left and the block as a line of its own, for words that hold other lines."""
        rest = [*self._arguments[self._taken :]]
        self._taken = len(self._arguments)
        if self._opening is not None:
            closing = replace(self._opening, text="}", first=True)
            rest += [self._opening, *(self._block or ()), closing]
            self._block = self._opening = None
        return tuple(rest)

    def finish(self) -> None:
        """Check that everything was taken.

        Raises:
            ConfigError: an argument or a block is left.
        """
        self._refuse_arguments()
        if self._opening is not None:
            raise self.error(f"{self._path} takes no block; remove it with its braces", self._opening)

    def _refuse_arguments(self) -> None:
        token = self.peek_arg()
        if token is not None:
            raise self.error(f"{token.text} is one too many for {self._path}; remove it", token)

    def error(self, message: str, token: Token | None = None) -> ConfigError:
        """Make an error about a token, by default about the name of this directive."""
        return (token or self.token).error(message, self.name)

    def unknown(self, what: str, known: Iterable[str], token: Token | None = None) -> ConfigError:
        """Make the error about a word that is none of those that may stand there.

        Args:
            what: what the word should be, as in "directive".
            known: words that may stand there.
            token: the word; by default the name of this directive.
        """
        word = (token or self.token).text
        names = sorted(known)
        near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
        question = f"; did you mean {near[0]}?" if near else ""
        supported = f" (supported: {', '.join(names)})" if names else ""
        return self.error(f"there is no {what} {word}{question}{supported}", token)

    def _last(self) -> Token:
        return self._arguments[self._taken - 1] if self._taken else self.token


def split_lines(tokens: Sequence[Token]) -> list[tuple[Token, ...]]:
    """Split the inside of a block into its directives, each with its own block.

    Raises:
        ConfigError: a line begins with a brace.
    """
    lines: list[tuple[Token, ...]] = []
    start = depth = 0
    for index, token in enumerate(tokens):
        if depth == 0 and token.first:
            if token.is_word("{"):
                raise token.error(
                    "a { stands at the end of a directive's line; nothing is here that it could belong to"
                )
            if index > start:
                lines.append(tuple(tokens[start:index]))
            start = index
        depth += token.is_word("{") - token.is_word("}")
    if start < len(tokens):
        lines.append(tuple(tokens[start:]))
    return lines
