"""Durations, sizes and counts as users write them: ``500ms``, ``5s``, ``2m``; ``64KiB``, ``1GiB``."""

from __future__ import annotations

import re

from howdah.errors import ConfigError

_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-zµ]*)", re.ASCII)
_DURATIONS_S = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES_BYTES = {
    "": 1,
    "b": 1,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
    "tib": 1024**4,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "tb": 1000**4,
    # As php.ini means them.
    "k": 1024,
    "m": 1024**2,
    "g": 1024**3,
}
_LARGEST_BYTES = 2**63 - 1


def parse_duration(text: str) -> float:
    """Read a duration in seconds; parts may follow each other, as in ``1m30s``. A bare number is seconds.

    Raises:
        ConfigError: it is none.
    """
    rest = text.strip().lower()
    total_s = 0.0
    parts = 0
    while rest:
        found = _NUMBER.match(rest)
        if found is None or found[2] not in _DURATIONS_S:
            break
        total_s += float(found[1]) * _DURATIONS_S[found[2]]
        rest = rest[found.end() :]
        parts += 1
    if rest or not parts:
        raise ConfigError(f"{text!r} is no duration; write it as 500ms, 5s, 2m or 1h (0 is no limit)")
    return total_s


def parse_size(text: str) -> int:
    """Read a size in bytes. ``K``, ``M``, ``G`` count in 1024, as in php.ini.

    Raises:
        ConfigError: it is none.
    """
    found = _NUMBER.fullmatch(text.strip().lower())
    factor = _SIZES_BYTES.get(found[2]) if found is not None else None
    if found is None or factor is None:
        raise ConfigError(f"{text!r} is no size; write it as 512, 64KiB, 20MiB or 1GiB (0 is no limit)")
    size_bytes = int(float(found[1]) * factor) if "." in found[1] else int(found[1]) * factor
    if size_bytes > _LARGEST_BYTES:
        raise ConfigError(f"{text!r} is more than any disk holds")
    return size_bytes


def parse_count(text: str) -> int:
    """Read a whole number, 0 or more.

    Raises:
        ConfigError: it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ConfigError(f"{text!r} is no whole number")
    return int(text)
