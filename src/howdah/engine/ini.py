"""php.ini lines made from settings: quoted, ordered, and checked (PHP manual, "The configuration file").

PHP reads these lines after every php.ini, so they win. Pure: knows no PHP.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from howdah.errors import ConfigError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*")
# What PHP's scanner reads the same with and without quotes, but for words such as On and constants, which it
# understands only without them.
_PLAIN = re.compile(r"[A-Za-z0-9_.,:/+\-]*")
_CONSTANTS = re.compile(r"[~(]*(?:E_[A-Z_]+|\d+)(?:[\s&|^~()]*(?:E_[A-Z_]+|\d+))*\)*")


def quote_value(value: str) -> str:
    """Write a value so that PHP's ini scanner gives it back.

    ``${NAME}`` stays what PHP makes of it: a reference to an environment variable or another entry.

    Raises:
        ConfigError: the value holds a line break or NUL, with which it could add entries of its own.
    """
    if any(character in value for character in "\r\n\0"):
        raise ConfigError("a php.ini value must not hold a line break or NUL", directive="php_ini")
    if _PLAIN.fullmatch(value) or _CONSTANTS.fullmatch(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def ini_lines(entries: Mapping[str, str]) -> str:
    """Give one ``name=value`` line per entry, in order.

    Raises:
        ConfigError: a name is no ini name, or a value cannot be written.
    """
    lines = []
    for name, value in entries.items():
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{name!r} is no php.ini name; write it as in memory_limit=256M", directive="php_ini")
        lines.append(f"{name}={quote_value(value)}\n")
    return "".join(lines)


def ini_defaults(*, debug: bool, longest_wait_s: float = 0.0) -> tuple[tuple[bytes, bytes], ...]:
    """Give the values that hold where no php.ini says otherwise.

    Args:
        debug: show errors in responses.
        longest_wait_s: ``default_socket_timeout`` and ``mysqlnd.net_read_timeout`` are lowered to it in whole
            seconds, also where a php.ini sets them (``native/hw_kill.c``); 0 leaves them alone.
    """
    shown = b"1" if debug else b"0"
    cap = ((b"howdah.longest_wait", b"%d" % math.ceil(longest_wait_s)),) if longest_wait_s > 0 else ()
    return (
        *cap,
        (b"display_errors", shown),
        (b"display_startup_errors", shown),
        (b"log_errors", b"1"),
        (b"opcache.enable", b"1"),
    )
