"""Free TCP ports of one small range; HOWDAH_FIRST_PORT moves it, so that parallel checks on one machine keep apart."""

from __future__ import annotations

import os
import socket

FIRST = int(os.environ.get("HOWDAH_FIRST_PORT", "18300"))
LAST = FIRST + 99
_next = FIRST + os.getpid() % (LAST - FIRST + 1)


def free_port() -> int:
    """Give a port of the range that nobody listens on right now."""
    global _next  # noqa: PLW0603 - one counter per test run is the point
    for _ in range(LAST - FIRST + 1):
        port = _next
        _next = FIRST if _next == LAST else _next + 1
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no free port between {FIRST} and {LAST}")
