"""ASGI middleware that logs one entry per request, after its answer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from time import perf_counter, time
from typing import TYPE_CHECKING, Any, Protocol

from howdah.observe.access import AccessEntry, as_fields, gist

if TYPE_CHECKING:
    from howdah.engine.native import Request
    from howdah.web.static import Message, Receive, Scope, Send

_log = logging.getLogger("howdah.access")

# Where inner applications find the entry of a request in its scope, to add what they know.
ENTRY = "howdah.access"

Application = Callable[..., Any]


class Sink(Protocol):
    """Takes entries (`howdah.observe.logs.AccessSink`)."""

    @property
    def hostnames(self) -> frozenset[str]:
        """Hosts whose requests it wants; none means all."""

    def put(self, entry: AccessEntry) -> None:
        """Log an entry; must not block."""


class LoggerSink:
    """Gives entries to the logger ``howdah.access``, for programs with a logging of their own."""

    hostnames: frozenset[str] = frozenset()

    def put(self, entry: AccessEntry) -> None:
        """Log the gist of an entry."""
        if _log.isEnabledFor(logging.INFO):
            _log.info("%s", gist(as_fields(entry, _log.name)))


class AccessLog:
    """Log what an application answered, after it did.

    Size is the body's as given to the server, the duration lasts until the last piece of it. Status 0 means that
    nothing was sent.

    Args:
        app: the ASGI application.
        sinks: where entries go; none means the logger ``howdah.access``.
    """

    def __init__(self, app: Application, sinks: Sequence[Sink] = ()) -> None:
        self._app = app
        self._sinks = tuple(sinks) or (LoggerSink(),)
        self._has_hosts = any(sink.hostnames for sink in self._sinks)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        entry = _Exchange(scope, receive, send)
        scope[ENTRY] = entry
        started_s = perf_counter()
        try:
            await self._app(scope, entry.receive, entry.send)
        finally:
            entry.duration_s = perf_counter() - started_s
            entry.time_s = time()
            del scope[ENTRY]  # else both would wait for the garbage collector
            for sink in self._chosen(scope) if self._has_hosts else self._sinks:
                sink.put(entry)

    def _chosen(self, scope: Scope) -> list[Sink]:
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        return [sink for sink in self._sinks if not sink.hostnames or name in sink.hostnames]


class _Exchange(AccessEntry):
    """An entry that fills itself from what passes by."""

    __slots__ = ("_receive", "_send")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope)
        self._receive = receive
        self._send = send

    def send(self, message: Message) -> Any:
        # No coroutine of its own: each would cost as much as everything else here.
        kind = message["type"]
        if kind == "http.response.body":
            self.size_bytes += len(message.get("body", b""))
            self.is_complete = not message.get("more_body", False)
        elif kind == "http.response.start":
            self.status = message["status"]
            self.headers = message.get("headers", ())
        elif kind == "http.response.pathsend":
            self.size_bytes = _announced(self.headers)
            self.is_complete = True
        return self._send(message)

    async def receive(self) -> Message:
        message = await self._receive()
        body = message.get("body")
        if body:
            self.read_bytes += len(body)
        return message


def note_php(entry: AccessEntry, request: Request, worker: str) -> None:
    """Add what PHP did to the entry of a request, after its end."""
    slot = request.slot
    if slot >= 0:  # else no script ran
        entry.php = (request.id, slot, worker, request.peak_bytes, *request.times_s)


def _announced(headers: Any) -> int:
    length = dict(headers).get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0
