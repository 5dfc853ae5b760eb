"""ASGI middleware that writes one line per request to the logger ``howdah.access``."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from howdah.web.static import Message, Receive, Scope, Send

_log = logging.getLogger("howdah.access")

Application = Callable[..., Any]


class AccessLog:
    """Log what an application answered, after it did.

    A line is ``remote=... method=... uri="..." status=... bytes=... ms=...``: the address escaped as the client
    sent it, bytes of the body as given to the server, and the milliseconds until the last of them. Status 0 means
    that nothing was sent, ``cut=1`` that the body was not completed.

    Args:
        app: the ASGI application.
    """

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        line = _Line(scope, send)
        try:
            await self._app(scope, receive, line.send)
        finally:
            line.write()


class _Line:
    __slots__ = ("_scope", "_send", "_started_s", "complete", "size_bytes", "status")

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._started_s = time.perf_counter()
        self.status = 0
        self.size_bytes = 0
        self.complete = False

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            self.status = message["status"]
            for name, value in message.get("headers", ()):
                if name == b"content-length" and value.isdigit():
                    self.size_bytes = -int(value)  # what a pathsend will send; a body counts itself
        elif kind == "http.response.body":
            self.size_bytes = max(self.size_bytes, 0) + len(message.get("body", b""))
            self.complete = not message.get("more_body", False)
        elif kind == "http.response.pathsend":
            self.size_bytes = abs(self.size_bytes)
            self.complete = True
        await self._send(message)

    def write(self) -> None:
        scope = self._scope
        client = scope.get("client")
        _log.info(
            'remote=%s method=%s uri="%s" status=%d bytes=%d ms=%.1f%s',
            client[0].removeprefix("::ffff:") if client and client[0] else "-",
            escape(scope["method"]),
            escape(_uri(scope)),
            self.status,
            max(self.size_bytes, 0),
            (time.perf_counter() - self._started_s) * 1000,
            "" if self.complete else " cut=1",
        )


def _uri(scope: Scope) -> str:
    raw = scope.get("raw_path")
    path = raw.decode("latin-1") if raw else scope["path"]
    query: bytes = scope.get("query_string", b"")
    return f"{path}?{query.decode('latin-1')}" if query else path


def escape(text: str) -> str:
    """Write text so that it stays one quoted word of one line: nobody can forge a log entry by an address."""
    escaped = text.encode("unicode_escape").decode("ascii") if not (text.isascii() and text.isprintable()) else text
    return escaped.replace('"', "%22")
