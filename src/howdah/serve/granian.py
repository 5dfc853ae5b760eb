"""Granian behind one small class, for TLS and HTTP/2: the only module that knows it.

It runs embedded in our event loop and gets sockets that we have bound. What it does not guard against is guarded
here, in `howdah.serve.idle` and in ``web``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable
from itertools import chain
from typing import Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings, HTTP2Settings
from granian.log import LogLevels
from granian.server.embed import Server

from howdah.serve.address import BACKLOG
from howdah.serve.idle import IdleGuard
from howdah.serve.options import ListenerOptions
from howdah.serve.tls import Material

_log = logging.getLogger("howdah.serve")
_granian_log = logging.getLogger("_granian")
# How its tasks of requests are called; a test sees that the name still fits.
REQUEST_CORO = "future_watcher"

# Granian has one number for the largest head and the pieces in which bodies are read. Small pieces make uploads a
# third slower, so heads are limited by ourselves.
_READ_BUFFER_BYTES = 512 * 1024
_CLOSE = (b"connection", b"close")

Application = Callable[..., Any]
_MODES = {"h1": HTTPModes.http1, "both": HTTPModes.auto, "h2": HTTPModes.http2}


class _SocketServer(Server):
    """A server on a socket that is open already; Granian's own API takes addresses and files only."""

    def __init__(self, app: Application, listening: socket.socket, **options: Any) -> None:
        self._given = listening
        self.descriptor = -1
        self.ssl_ctx: Any
        super().__init__(app, **options)

    def _init_shared_socket(self) -> None:
        is_unix = self._given.family == socket.AF_UNIX
        # Granian closes the descriptor when it stops to accept.
        self.descriptor = self._given.detach()
        holder: Any = SocketHolder
        self._shd: Any = holder(self.descriptor, is_unix, self.backlog)
        self._sfd = self._shd.get_fd()
        self._ssp: Any = None

    def use_tls(self, material: Material) -> list[int]:
        """Serve with TLS; gives descriptors of files in memory, to be closed when the server has ended.

        Granian takes names of files. These have no name that others could open, and nobody changes them between our
        checks and Granian's reading.
        """
        texts = [material.chain, material.key, *([material.client_ca] if material.client_ca else [])]
        opened = [_in_memory(text) for text in texts]
        names = [f"/proc/self/fd/{descriptor}" for descriptor in opened]
        client_ca = names[2] if material.client_ca else None
        self.ssl_ctx = (True, names[0], names[1], None, material.min_version, client_ca, [], bool(client_ca))
        return opened


def _in_memory(text: bytes) -> int:
    descriptor = os.memfd_create("howdah-tls", os.MFD_CLOEXEC)
    os.write(descriptor, text)
    return descriptor


class Listener:
    """One listening socket and the connections that came through it.

    Args:
        app: the ASGI application.
        listening: a bound socket; taken over.
        options: timeouts, limits and TLS.
    """

    def __init__(self, app: Application, listening: socket.socket, options: ListenerOptions) -> None:
        self._socket = listening
        self._options = options
        self._is_leaving = False
        self._task: asyncio.Task[None] | None = None
        self._guard_task: asyncio.Task[None] | None = None
        self._guard = self._make_guard()
        self._server = _SocketServer(
            self._answering(self._guard.wrap(app) if self._guard else app, options.max_header_size_bytes),
            listening,
            interface=Interfaces.ASGINL,
            http=_MODES[options.mode],
            websockets=False,
            backlog=BACKLOG,
            backpressure=options.max_connections,
            http1_settings=HTTP1Settings(
                header_read_timeout=max(1, round(min(options.header_timeout_s, options.idle_timeout_s) * 1000)),
                max_buffer_size=max(_READ_BUFFER_BYTES, 2 * options.max_header_size_bytes),
            ),
            http2_settings=HTTP2Settings(max_headers_size=max(_READ_BUFFER_BYTES, 2 * options.max_header_size_bytes)),
            log_level=LogLevels.warning,
            # Levels only: without `incremental` it would replace the handlers of the whole process.
            log_dictconfig={
                "incremental": True,
                "handlers": {},
                "loggers": {"_granian": {"propagate": True}, "granian.access": {"propagate": True}},
            },
        )
        self._files = self._server.use_tls(options.material) if options.material else []

    def start(self) -> None:
        """Accept connections from now on; call it on the running loop."""
        self._socket.listen(BACKLOG)
        quiet_granian()
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._server.serve())
        self._task.add_done_callback(self._on_end)
        if self._guard is not None:
            self._guard_task = loop.create_task(self._guard.watch())

    def configure(self, options: ListenerOptions) -> bool:
        """Tell whether these options are in force; others need another server."""
        return options == self._options

    def stop_accepting(self) -> None:
        """Close the socket; requests that run are finished, idle connections closed."""
        stop: Callable[[], None] = self._server.stop
        stop()

    def leave(self) -> None:
        """Take no more connections, though others go on to accept on the same socket, and close none.

        Each client is told with its next response that the connection ends, so that none of its requests is lost.
        """
        self._is_leaving = True
        if self._server.descriptor >= 0:
            # Granian accepts on a descriptor: this one from now on means a socket to which nobody connects.
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as nobody:
                nobody.bind("")
                nobody.listen(1)
                nobody.setblocking(False)
                os.dup2(nobody.fileno(), self._server.descriptor, inheritable=False)

    async def wait_stopped(self, timeout_s: float) -> bool:
        """Wait until the last connection has ended.

        Granian itself waits for ever, hence the bound.

        Returns:
            False when some are left after ``timeout_s``.
        """
        await asyncio.wait([self.serving], timeout=timeout_s)
        return self.serving.done()

    @property
    def serving(self) -> asyncio.Future[None]:
        """Done when the server has ended; there from `start` on."""
        assert self._task is not None  # noqa: S101 - a mistake of the caller
        return self._task

    def close(self) -> None:
        """Free what a listener holds that was never started."""
        self._socket.close()
        self._close_files()

    def _make_guard(self) -> IdleGuard | None:
        # With HTTP/1.1 alone Granian looks after idle connections itself; clients of socket files are ours.
        if self._options.mode == "h1" or self._socket.family == socket.AF_UNIX:
            return None
        port = self._socket.getsockname()[1]
        return IdleGuard(port, self._options.header_timeout_s, self._options.idle_timeout_s)

    def _answering(self, app: Application, max_head_bytes: int) -> Application:
        """Refuse requests with larger heads by 431, and end connections once the listener is leaving.

        Names and values of headers count, and path and query. A plain function that gives the application's own
        coroutine, because one more coroutine for each request would cost more than the check.
        """

        def answer(scope: Any, receive: Any, send: Any) -> Any:
            size_bytes = sum(map(len, chain.from_iterable(scope["headers"])))
            if size_bytes + len(scope["raw_path"]) + len(scope["query_string"]) > max_head_bytes:
                return _refuse_head(send)
            if self._is_leaving and scope["http_version"] < "2":
                send = _closing(send)
            return app(scope, receive, send)

        return answer

    def _on_end(self, task: asyncio.Task[None]) -> None:
        if self._guard_task is not None:
            self._guard_task.cancel()
        self._close_files()

    def _close_files(self) -> None:
        while self._files:
            with contextlib.suppress(OSError):
                os.close(self._files.pop())


def _closing(send: Any) -> Any:
    async def closing(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = [header for header in message.get("headers", ()) if header[0].lower() != b"connection"]
            message = {**message, "headers": [*headers, _CLOSE]}
        await send(message)

    return closing


async def _refuse_head(send: Any) -> None:
    text = b"431 Request Header Fields Too Large\n"
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(text)), _CLOSE]
    await send({"type": "http.response.start", "status": 431, "headers": headers})
    await send({"type": "http.response.body", "body": text})


class _NoNotice(logging.Filter):
    """Drops the notice that embedding is experimental: the user of Howdah cannot act on it."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "experimental" not in str(record.msg)


def quiet_granian() -> None:
    """Let Granian's log say what matters to the user."""
    if not any(isinstance(known, _NoNotice) for known in _granian_log.filters):
        _granian_log.addFilter(_NoNotice())
