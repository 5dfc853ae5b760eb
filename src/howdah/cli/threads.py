"""``howdah threads``: what every PHP thread of the running server does."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from howdah.admin.client import DEFAULT_ADDRESS, AdminClient, AdminRefused
from howdah.cli.parser import Parser

_DESCRIPTION = "Show what every PHP thread of the running server does, from its admin API."
_COLUMNS = ("THREAD", "STATE", "FOR", "REQUESTS", "MEMORY", "ROLE", "NOW")
_UNITS = (("G", 1024**3), ("M", 1024**2), ("K", 1024))


def run(arguments: list[str]) -> int:
    """Print the threads; gives the exit code.

    Raises:
        HowdahError: no server answers.
    """
    parser = Parser(prog="howdah threads", description=_DESCRIPTION)
    add_address(parser)
    parser.add_argument("--json", action="store_true", help="print what the admin API says")
    options = parser.parse(arguments)
    answer = AdminClient(options.address).threads()
    if options.json:
        print(json.dumps(answer, indent=4, ensure_ascii=False))
        return 0
    try:
        text = render(answer)
    except (KeyError, TypeError, ValueError):
        raise AdminRefused(200, "what answers there is not Howdah's admin API") from None
    sys.stdout.write(text)
    return 0


def add_address(parser: Parser) -> None:
    """Add the flag that says where the admin API is."""
    parser.add_argument(
        "--address",
        default=DEFAULT_ADDRESS,
        metavar="ADDR",
        help="address of the admin API: HOST:PORT or unix//PATH (default: %(default)s)",
    )


def render(answer: dict[str, Any]) -> str:
    """Lay the threads out as a table."""
    rows = [_COLUMNS, *(_row(thread) for thread in answer["ThreadDebugStates"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = [_line(row, widths) for row in rows]
    reserved = answer["ReservedThreadCount"]
    if reserved:
        lines.append(f"{reserved} more thread{'s' if reserved > 1 else ''} can be started")
    return "\n".join(lines) + "\n"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def _row(thread: dict[str, Any]) -> tuple[str, ...]:
    now = f"{thread['CurrentMethod']} {thread['CurrentURI']}".strip()
    return (
        str(thread["Index"]),
        "busy" if thread["IsBusy"] else str(thread["State"]),
        _duration(thread["SinceMilliseconds"]),
        str(thread["RequestCount"]),
        _size(thread["MemoryUsage"]),
        str(thread["Name"]),
        # What a client sent must not move the cursor of whoever looks.
        now if now.isprintable() else ascii(now)[1:-1],
    )


def _duration(milliseconds: int) -> str:
    if milliseconds < 10_000:
        return f"{milliseconds} ms"
    return f"{milliseconds // 1000} s"


def _size(size_bytes: int) -> str:
    for name, unit in _UNITS:
        if size_bytes >= unit:
            return f"{size_bytes / unit:.1f}{name}"
    return str(size_bytes)
