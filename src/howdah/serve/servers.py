"""The HTTP servers that can stand behind a listening socket, and which of them does.

Plain HTTP/1.1 is spoken on the event loop's own thread (`howdah.serve.http1`). TLS and HTTP/2 are Granian's
(`howdah.serve.granian`), whose threads are worth their hand-overs there: a TLS handshake takes longer than most
requests, and would hold up all others on the loop.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Protocol

from howdah.serve.http1.exchange import REQUEST_CORO
from howdah.serve.options import ListenerOptions

Application = Callable[..., Any]


class HttpListener(Protocol):
    """A listening socket and the connections that came through it."""

    def start(self) -> None:
        """Accept connections from now on; call it on the running loop."""

    def configure(self, options: ListenerOptions) -> bool:
        """Put other options in force; False if they need another listener."""

    def stop_accepting(self) -> None:
        """Close the socket; requests that run are finished, idle connections closed."""

    def leave(self) -> None:
        """Take no more connections, though others may go on to accept on the same socket, and close none.

        Each client is told with its next response that the connection ends, so that none of its requests is lost.
        """

    async def wait_stopped(self, timeout_s: float) -> bool:
        """Wait until the last connection has ended; False when some are left after ``timeout_s``."""

    @property
    def serving(self) -> asyncio.Future[None]:
        """Done when the server has ended; there from `start` on."""

    def close(self) -> None:
        """Free what a listener holds that was never started."""


def make_listener(app: Application, listening: socket.socket, options: ListenerOptions) -> HttpListener:
    """Make the listener that speaks what the options ask for.

    Args:
        app: the ASGI application.
        listening: a bound socket; taken over.
        options: timeouts, limits and TLS.
    """
    if options.mode == "h1" and options.material is None:
        from howdah.serve.http1.listener import Http1Listener

        return Http1Listener(app, listening, options)
    from howdah.serve.granian import Listener

    return Listener(app, listening, options)


def request_tasks() -> list[asyncio.Task[Any]]:
    """Give the tasks of the requests that applications have not ended, of all listeners in the running loop."""
    from howdah.serve import granian

    # Granian has no list of them, and one of ours would cost every request something.
    names = (REQUEST_CORO, granian.REQUEST_CORO)
    return [
        task
        for task in asyncio.all_tasks()
        if any(name in getattr(task.get_coro(), "__qualname__", "") for name in names)
    ]


def open_requests() -> int:
    """Count the requests that applications have not ended."""
    return len(request_tasks())
