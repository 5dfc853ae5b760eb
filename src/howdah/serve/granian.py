"""Granian behind one small class: the only module that knows it.

It runs embedded in our event loop, HTTP/1.1 only (silent connections are closed in that mode alone),
and gets sockets that we have bound. What it does not guard against is guarded in ``web``.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from itertools import chain
from typing import Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server

from howdah.config.model import ServerConfig
from howdah.serve.address import BACKLOG

_log = logging.getLogger("howdah.serve")
_granian_log = logging.getLogger("_granian")
_REQUEST_CORO = "future_watcher"

# Granian has one number for the largest head and the pieces in which bodies are read. Small pieces make uploads a
# third slower, so heads are limited by ourselves.
_READ_BUFFER_BYTES = 512 * 1024

Application = Callable[..., Any]


def limit_heads(app: Application, max_bytes: int) -> Application:
    """Refuse requests with larger heads by 431, before the application sees them.

    Names and values of headers count, and path and query. A plain function that gives the application's own
    coroutine, because one more coroutine for each request would cost more than the check.
    """

    def limited(scope: Any, receive: Any, send: Any) -> Any:
        size_bytes = sum(map(len, chain.from_iterable(scope["headers"])))
        if size_bytes + len(scope["raw_path"]) + len(scope["query_string"]) > max_bytes:
            return _refuse_head(send)
        return app(scope, receive, send)

    return limited


async def _refuse_head(send: Any) -> None:
    text = b"431 Request Header Fields Too Large\n"
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(text)), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 431, "headers": headers})
    await send({"type": "http.response.body", "body": text})


class _SocketServer(Server):
    """A server on a socket that is open already; Granian's own API takes addresses only."""

    def __init__(self, app: Application, listening: socket.socket, **options: Any) -> None:
        self._given = listening
        super().__init__(app, **options)

    def _init_shared_socket(self) -> None:
        is_unix = self._given.family == socket.AF_UNIX
        # Granian closes the descriptor when it stops to accept.
        holder: Any = SocketHolder
        self._shd: Any = holder(self._given.detach(), is_unix, self.backlog)
        self._sfd = self._shd.get_fd()
        self._ssp: Any = None


class Listener:
    """One listening socket and the connections that came through it.

    Args:
        app: the ASGI application.
        listening: a bound socket; taken over.
        config: timeouts and limits.
        max_connections: connections served at a time; more wait in the kernel's backlog.
    """

    def __init__(self, app: Application, listening: socket.socket, config: ServerConfig, max_connections: int) -> None:
        self._socket = listening
        self._server = _SocketServer(
            limit_heads(app, config.max_header_size_bytes),
            listening,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            websockets=False,
            backlog=BACKLOG,
            backpressure=max_connections,
            http1_settings=HTTP1Settings(
                header_read_timeout=max(1, round(config.header_timeout_s * 1000)),
                max_buffer_size=max(_READ_BUFFER_BYTES, 2 * config.max_header_size_bytes),
            ),
            log_level=LogLevels.warning,
            # Levels only: without `incremental` it would replace the handlers of the whole process.
            log_dictconfig={
                "incremental": True,
                "handlers": {},
                "loggers": {"_granian": {"propagate": True}, "granian.access": {"propagate": True}},
            },
        )
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Accept connections from now on; call it on the running loop."""
        self._socket.listen(BACKLOG)
        quiet_granian()
        self._task = asyncio.get_running_loop().create_task(self._server.serve())

    def stop_accepting(self) -> None:
        """Close the socket; requests that run are finished, idle connections closed."""
        stop: Callable[[], None] = self._server.stop
        stop()

    def open_requests(self) -> int:
        """Count the requests of the running loop that the application has not ended."""
        # Granian has no count, and one of ours would cost every request something; each runs in a task, and
        # this is asked at the end only. A test sees that the name still fits.
        return (
            0
            if self.serving.done()
            else sum(_REQUEST_CORO in getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks())
        )

    async def wait_stopped(self, timeout_s: float) -> bool:
        """Wait until the last connection has ended.

        Granian itself waits for ever, hence the bound.

        Returns:
            False when some are left after ``timeout_s``.
        """
        await asyncio.wait([self.serving], timeout=timeout_s)
        return self.serving.done()

    @property
    def serving(self) -> asyncio.Task[None]:
        """The task that ends when the server does; there from `start` on."""
        assert self._task is not None  # noqa: S101 - a mistake of the caller
        return self._task


class _NoNotice(logging.Filter):
    """Drops the notice that embedding is experimental: the user of Howdah cannot act on it."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "experimental" not in str(record.msg)


def quiet_granian() -> None:
    """Let Granian's log say what matters to the user."""
    if not any(isinstance(known, _NoNotice) for known in _granian_log.filters):
        _granian_log.addFilter(_NoNotice())
