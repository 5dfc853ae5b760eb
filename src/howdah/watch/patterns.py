"""Patterns of files to watch: a folder, and what has to match below it.

The language is that of the ``watch`` option: ``*`` and ``?`` stay within one folder, ``**`` is any depth,
``[...]`` one character of a set, ``{a,b}`` alternatives, which may be nested and may hold slashes, and a backslash
takes the meaning away. Both ends are anchored.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Protocol

import bracex
from wcmatch import glob

from howdah.errors import ConfigError

DEFAULT_PATTERN = "./**/*.{env,php,twig,yaml,yml}"

_MOST_ALTERNATIVES = 1000
_FLAGS = glob.GLOBSTAR | glob.DOTGLOB | glob.CASE | glob.FORCEUNIX
_SPECIAL = re.compile(r"[\[*?{]")
# {x} is x: the library leaves it alone, as shells do, and would take {1..3} for a range.
_SINGLE = re.compile(r"(?<!\\)\{([^{},]+)(?<!\\)\}")
# Beside other characters two stars are one and any depth: src** means src*/**, and **.php means **/*.php.
_STARS_AFTER = re.compile(r"([^/*{,])\*\*(?=/|$)")
_STARS_BEFORE = re.compile(r"(^|/)\*\*(?=[^/*])")


class _Matcher(Protocol):
    def match(self, filename: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern, ready to be matched.

    Attributes:
        text: as the user wrote it.
        folder: the folder to watch, absolute, with links resolved as far as it exists.
        below: what the path from there must match; empty when everything below counts.
    """

    text: str
    folder: str
    below: str
    _matcher: _Matcher | None = field(default=None, repr=False, compare=False)

    @property
    def is_recursive(self) -> bool:
        """Whether something below a folder in the folder may match."""
        return not self.below or "/" in self.below or "**" in self.below

    def matches(self, path: str) -> bool:
        """Tell whether an absolute path without ``.`` and ``..`` belongs to the pattern."""
        prefix = self.folder if self.folder.endswith("/") else f"{self.folder}/"
        if not path.startswith(prefix):
            return False
        return self._matcher is None or self._matcher.match(path[len(prefix) :])


def parse_pattern(text: str, base: str | None = None) -> Pattern:
    """Read a pattern.

    The file system is asked for two things only: whether the last name, if nothing in the pattern is special, is a
    folder or a file, and where links in the folder lead to.

    Args:
        text: the pattern.
        base: folder from which a relative pattern counts; None means the current one.

    Raises:
        ConfigError: the pattern is empty, holds NUL, or has too many alternatives.
    """
    if not text.strip():
        raise ConfigError(
            "an empty pattern watches nothing; name a folder or files such as ./**/*.php", directive="watch"
        )
    if "\0" in text:
        raise ConfigError("a pattern of files must not hold NUL", directive="watch")
    folder, below = _split(os.path.normpath(os.path.join(base or os.getcwd(), text)))  # noqa: PTH109, PTH118
    return Pattern(text, os.path.realpath(folder), below, _compile(below, text) if below else None)


def _split(path: str) -> tuple[str, str]:
    """Divide an absolute pattern at the first name with a special character, else before the name of a file."""
    names = path.lstrip("/").split("/")
    for position, name in enumerate(names):
        if _SPECIAL.search(name):
            return "/" + "/".join(names[:position]), "/".join(names[position:])
    is_folder = os.path.isdir(path) if "." in names[-1] else not os.path.isfile(path)  # noqa: PTH112, PTH113
    if is_folder:
        return path, ""
    return "/" + "/".join(names[:-1]), glob.escape(names[-1], unix=True)


def _compile(below: str, text: str) -> _Matcher | None:
    single = None
    while single != below:
        single, below = below, _SINGLE.sub(r"\1", below)
    below = _STARS_BEFORE.sub(r"\1**/*", _STARS_AFTER.sub(r"\1*/**", below))
    if below == "**":
        return None
    try:
        alternatives = bracex.expand(below, keep_escapes=True, limit=_MOST_ALTERNATIVES)
    except bracex.ExpansionLimitException:
        raise ConfigError(
            f"{text} stands for more than {_MOST_ALTERNATIVES} alternatives; write several patterns", directive="watch"
        ) from None
    matcher: _Matcher = glob.compile(alternatives, flags=_FLAGS, limit=0)
    return matcher
