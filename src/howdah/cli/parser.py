"""The argument parser of all commands: argparse, with suggestions for misspelt flags.

argparse and no library: it is there, it loads in a third of the time, and `php-cli` must not have its
arguments parsed at all.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from howdah.errors import ConfigError

_Value = TypeVar("_Value")


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong, with the nearest flag that exists, and exits with 2."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", _Formatter)
        super().__init__(allow_abbrev=False, **options)

    def parse(self, arguments: list[str]) -> argparse.Namespace:
        """Parse all arguments; unknown ones end the program."""
        known, unknown = self.parse_known_args(arguments)
        if unknown:
            word = unknown[0]
            kind = "flag" if word.startswith("-") else "argument"
            self.error(f"unknown {kind} {word}{self._suggest(word)}")
        return known

    def error(self, message: str) -> NoReturn:
        """Print the message and where help is; exit code 2."""
        sys.stderr.write(f"{self.prog}: {message}\nTry `{self.prog} --help`.\n")
        raise SystemExit(ConfigError.exit_code)

    def _suggest(self, word: str) -> str:
        flags = [flag for flag in self._option_string_actions if flag.startswith("--")]
        return suggest(word.partition("=")[0], flags)


class _Formatter(argparse.HelpFormatter):
    """Help with room for our flags on their lines."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30)


def suggest(word: str, known: list[str]) -> str:
    """Give ``; did you mean ...?`` for the nearest known word, or nothing."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def value_of(read: Callable[[str], _Value]) -> Callable[[str], _Value]:
    """Let argparse show the message of a reader's `ConfigError`."""

    def convert(text: str) -> _Value:
        try:
            return read(text)
        except ConfigError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert
