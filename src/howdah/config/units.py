"""Durations, sizes and numbers as Caddyfiles spell them: ``1h30m``, ``500ms``; ``10MB``, ``64KiB``; ``true``.

Sizes in KB, MB, GB count in 1000, those in KiB, MiB, GiB in 1024, as with Caddy.
"""

from __future__ import annotations

import re

from howdah.config.dispenser import Dispenser
from howdah.config.lexer import Token

_PART = re.compile(r"(\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})(ns|us|µs|μs|ms|s|m|h|d)", re.ASCII)
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)\s*(?:b|([kmgt])(i?)b?)?", re.ASCII)
_POWERS = {None: 0, "k": 1, "m": 2, "g": 3, "t": 4}
_LONGEST_S = 100 * 365 * 86400.0
_LARGEST_BYTES = 2**63 - 1
_TRUE = frozenset({"true", "on", "1", "yes"})
_FALSE = frozenset({"false", "off", "0", "no"})


def parse_duration(text: str) -> float | None:
    """Give a duration in seconds, or None if the text is none. ``0`` needs no unit."""
    if text == "0":
        return 0.0
    total_s = 0.0
    position = 0
    while found := _PART.match(text, position):
        total_s += float(found[1]) * _SECONDS[found[2]]
        position = found.end()
    return total_s if text and position == len(text) and total_s <= _LONGEST_S else None


def parse_size(text: str) -> int | None:
    """Give a size in bytes, or None if the text is none."""
    found = _SIZE.fullmatch(text.strip().lower())
    if found is None:
        return None
    factor = (1024 if found[3] else 1000) ** _POWERS[found[2]]
    size_bytes = int(float(found[1]) * factor) if "." in found[1] else int(found[1]) * factor
    return size_bytes if size_bytes <= _LARGEST_BYTES else None


def duration(line: Dispenser, token: Token) -> float:
    """Read a duration in seconds.

    Raises:
        ConfigError: it is none.
    """
    seconds = parse_duration(token.text)
    if seconds is None:
        raise line.error(f"{token.text} is no duration; write it with its unit, as 500ms, 5s or 1h30m", token)
    return seconds


def size(line: Dispenser, token: Token) -> int:
    """Read a size in bytes.

    Raises:
        ConfigError: it is none.
    """
    size_bytes = parse_size(token.text)
    if size_bytes is None:
        raise line.error(f"{token.text} is no size; write it as 512, 64KiB, 10MB or 1GiB", token)
    return size_bytes


def count(line: Dispenser, token: Token, least: int = 0, most: int = 999_999_999) -> int:
    """Read a whole number.

    Raises:
        ConfigError: it is none, or outside of the range.
    """
    text = token.text
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        raise line.error(f"{text} is no whole number", token)
    if not least <= int(text) <= most:
        limits = f"from {least} to {most}" if most != 999_999_999 else f"{least} or more"
        raise line.error(f"{text} must be {limits}", token)
    return int(text)


def boolean(line: Dispenser, token: Token) -> bool:
    """Read ``true`` or ``false``, ``on`` or ``off``.

    Raises:
        ConfigError: it is neither.
    """
    word = token.text.lower()
    if word not in _TRUE | _FALSE:
        raise line.error(f"{token.text} is neither true nor false", token)
    return word in _TRUE
