"""ASGI middleware that logs one entry per request, after its answer."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter, time
from typing import TYPE_CHECKING, Any, Protocol

from howdah.errors import EngineVersionError
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

    @property
    def direct(self) -> tuple[bytes, Callable[[bytes], None]] | None:
        """Head of lines of JSON and what takes them, where the extension may write them instead of `put`."""

    def put(self, entry: AccessEntry) -> None:
        """Log an entry; must not block."""


class LoggerSink:
    """Gives entries to the logger ``howdah.access``, for programs with a logging of their own."""

    hostnames: frozenset[str] = frozenset()
    direct = None

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
        # A site says by itself when it is done, which saves a coroutine for each request.
        site: Any = app if getattr(app, "tells_end", False) else None
        self._serve_site: Application | None = site.__call__ if site is not None else None
        self._sinks = tuple(sinks) or (LoggerSink(),)
        has_hosts = any(sink.hostnames for sink in self._sinks)
        only = self._sinks[0] if len(self._sinks) == 1 and not has_hosts else None
        self._open = _opener(only.put if only is not None else self._put, only.direct if only is not None else None)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request."""
        answer: Awaitable[None]
        if scope["type"] != "http":
            answer = self._app(scope, receive, send)
            return answer
        entry = self._open(scope, receive, send)
        if self._serve_site is not None:
            answer = self._serve_site(scope, entry.receive, entry.send, entry.end)
            return answer
        return self._serve(entry)

    async def _serve(self, entry: Any) -> None:
        try:
            await self._app(entry.scope, entry.receive, entry.send)
        finally:
            entry.end()

    def _put(self, entry: AccessEntry) -> None:
        host = dict(entry.scope["headers"]).get(b"host", b"").decode("latin-1").lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        for sink in self._sinks:
            if not sink.hostnames or name in sink.hostnames:
                sink.put(entry)


def _opener(
    put: Callable[[AccessEntry], None], direct: tuple[bytes, Callable[[bytes], None]] | None
) -> Callable[[Scope, Receive, Send], Any]:
    """Give the function that begins the entry of a request and puts it into the scope.

    The extension has entries that pass on messages for less. Where it is not built they are made here.
    """
    try:
        from howdah.engine.native import native
    except EngineVersionError:
        return lambda scope, receive, send: _Exchange(scope, receive, send, put)
    if direct is not None:
        return native.AccessTap(receive_counted, direct[1], direct[0]).open
    return native.AccessTap(receive_counted, put, None).open


class _Exchange(AccessEntry):
    """An entry that fills itself from what passes by."""

    __slots__ = ("_put", "_send", "_started_s", "receive_on")

    def __init__(self, scope: Scope, receive: Receive, send: Send, put: Callable[[AccessEntry], None]) -> None:
        super().__init__(scope)
        scope[ENTRY] = self
        self.receive_on = receive
        self._send = send
        self._put = put
        self._started_s = perf_counter()

    def send(self, message: Message) -> Awaitable[None]:
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

    def receive(self) -> Awaitable[Message]:
        return receive_counted(self)

    def end(self) -> None:
        """Log the request."""
        self.duration_s = perf_counter() - self._started_s
        self.time_s = time()
        del self.scope[ENTRY]  # else both would wait for the garbage collector
        self._put(self)


async def receive_counted(entry: Any) -> Message:
    """Receive a message of a request, and count the bytes of its body in an entry."""
    message: Message = await entry.receive_on()
    body = message.get("body")
    if body:
        entry.read_bytes += len(body)
    return message


def note_php(entry: AccessEntry, request: Request, worker: str) -> None:
    """Add what PHP did to the entry of a request, after its end."""
    slot = request.slot
    if slot >= 0:  # else no script ran
        queue_s, php_s = request.times_s
        entry.php = (request.id, slot, worker, request.peak_bytes, queue_s, php_s)


def _announced(headers: Any) -> int:
    length = dict(headers).get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0
