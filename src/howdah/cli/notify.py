"""Tells systemd that the server answers (``Type=notify``), by sd_notify's protocol: a datagram, no library."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, MutableMapping

_log = logging.getLogger("howdah.serve")

VARIABLE = "NOTIFY_SOCKET"


def take_notifier(environ: MutableMapping[str, str]) -> Callable[[], None]:
    """Give the function that reports the server ready; it does nothing where nobody asked.

    The variable is taken out of the environment: what PHP starts must not speak for the server.
    """
    address = environ.pop(VARIABLE, "")

    def ready() -> None:
        if not address:
            return
        # An address that begins with @ is in the abstract namespace.
        name = f"\0{address[1:]}" if address.startswith("@") else address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as opened:
                opened.sendto(b"READY=1", name)
        except OSError as error:
            _log.warning("systemd could not be told that the server is ready, at %s: %s", address, error.strerror)

    return ready
