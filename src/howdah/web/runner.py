"""Runs scripts of requests that came over ASGI.

This is the path of every PHP request, so it is plain Python without what it does not need: a fast request
costs no task, no timer and no watcher. Knows ASGI and the runtime, but neither routes nor any HTTP server.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, NamedTuple

from howdah.cgi.variables import endpoint
from howdah.errors import EngineStateError, HowdahError, InvalidRequest, RequestRejected
from howdah.runtime.site import Site
from howdah.web.accesslog import ENTRY, note_php
from howdah.web.body import (
    UNKNOWN,
    BodyLimits,
    SpooledBody,
    check_announced,
    feed_body,
    receive_body,
    wait_disconnect,
)
from howdah.web.response import respond, send_text
from howdah.web.routing import ScriptRoute
from howdah.web.static import Headers

if TYPE_CHECKING:
    from howdah.engine.native import Request as NativeRequest
    from howdah.runtime.aio import Exchange, LoopDispatcher
    from howdah.runtime.runtime import Runtime
    from howdah.web.static import Receive, Scope, Send

_log = logging.getLogger("howdah.web")

_NO_CLIENT = ("", 0)
# Names that may not come twice: each could be believed by somebody else on the way.
_ONCE = frozenset({b"host", b"content-length"})


class ServedSite(NamedTuple):
    """A site and what a request's body may cost there."""

    site: Site
    limits: BodyLimits


class PhpRunner:
    """Gives requests to PHP, and starts PHP when nobody else did.

    Args:
        runtime: PHP, maybe not started yet.

    Attributes:
        debug: pages may show what PHP said.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.debug = runtime.config.debug
        self._runtime = runtime
        self._dispatcher: LoopDispatcher | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting: asyncio.Task[None] | None = None
        self._started_by_us = False

    async def run(
        self, served: ServedSite, found: ScriptRoute, uri: bytes, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Run a script and send what it answers.

        Args:
            served: whose script it is.
            found: the script.
            uri: REQUEST_URI: path and query as the client sent them.
            scope: ASGI's. ``howdah.host`` in it stands for the Host header in the variables of the server,
                ``howdah.env`` holds variables of this request.
            receive: ASGI's.
            send: ASGI's.

        Raises:
            RequestRejected: the request was refused; nothing was sent.
            ScriptError: the script failed and left the page empty; nothing was sent.
            ClientDisconnected: the client left while the request was queued.
        """
        dispatcher = self._dispatcher
        if dispatcher is None or self._loop is not asyncio.get_running_loop():
            try:
                dispatcher = await self.connect()
            except HowdahError as error:
                _log.error("PHP could not be started: %s", error)
                await send_text(500, "PHP could not be started; the log says why", [], scope, send)
                return
        dispatcher.accept()
        try:
            headers, host, length = _read_headers(scope)
            body = await _receive(served, length, receive) if length else b""
            request = self._request(dispatcher, served.site, found, uri, scope, (headers, host))
            if length:
                _attach(request, body, served.limits)
        except RequestRejected as error:
            dispatcher.reject(error)
            raise
        except BaseException:
            dispatcher.abandon()
            raise
        watcher = _Watcher(receive)
        pool = self._runtime.worker_for(served.site, found.target.script_filename, found.worker)
        exchange = dispatcher.submit(request, watcher, pool)
        exchange.site = served.site.name
        try:
            if body is None:
                watcher.feed(exchange, length, served.limits)
            await respond(exchange, scope, send)
        finally:
            exchange.close()
            if ENTRY in scope:
                note_php(scope[ENTRY], request, pool.name if pool is not None else "")
            if watcher.task is not None:
                watcher.task.cancel()

    def _request(
        self,
        dispatcher: LoopDispatcher,
        site: Site,
        found: ScriptRoute,
        uri: bytes,
        scope: Scope,
        head: tuple[Headers, bytes],
    ) -> NativeRequest:
        address, port = scope.get("client") or _NO_CLIENT
        if address[:7] == "::ffff:":  # IPv4 through a socket for both families
            address = address[7:]
        parts = (
            found.target,
            endpoint(scope.get("howdah.host", head[1]), scope.get("scheme", "http"), scope["http_version"]),
            scope["method"],
            uri,
            scope.get("query_string", b""),
            address,
            port or 0,
            head[0],
        )
        env = scope.get("howdah.env")
        return dispatcher.request(site, *parts, env=env) if env else dispatcher.request(site, *parts)

    # -- life ---------------------------------------------------------------------------------------
    async def connect(self) -> LoopDispatcher:
        """Start PHP unless it runs, and get the dispatcher of this event loop.

        Requests that come meanwhile wait for the same attempt; after a failure the next one tries again.

        Raises:
            EngineError: PHP does not start.
        """
        if not self._runtime.is_running:
            loop = asyncio.get_running_loop()
            if self._starting is None or self._starting.get_loop() is not loop:
                self._starting = loop.create_task(asyncio.to_thread(self._start))
                self._starting.add_done_callback(self._start_ended)
            # A client that leaves must not cancel what others wait for.
            await asyncio.shield(self._starting)
        self._dispatcher = self._runtime.dispatcher()
        self._loop = asyncio.get_running_loop()
        return self._dispatcher

    async def stop(self) -> None:
        """Stop PHP if it was started here."""
        self._dispatcher = None
        if self._started_by_us:
            self._started_by_us = False
            await asyncio.to_thread(self._runtime.stop, self._runtime.config.grace_s)

    def _start(self) -> None:
        try:
            self._runtime.start()
        except EngineStateError:
            if not self._runtime.is_running:  # else somebody else was quicker
                raise
        else:
            self._started_by_us = True

    def _start_ended(self, task: asyncio.Task[None]) -> None:
        self._starting = None
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not complain when nobody waited


async def _receive(served: ServedSite, length: int, receive: Receive) -> bytes | SpooledBody | None:
    """Receive the body; None when the script is to read it as it comes."""
    if served.site.config.request_buffering:
        return await receive_body(receive, length, served.limits)
    check_announced(length, served.limits)
    return None


def _attach(request: NativeRequest, body: bytes | SpooledBody | None, limits: BodyLimits) -> None:
    if isinstance(body, SpooledBody):
        request.set_body_file(body.fd, body.size_bytes)
        body.close()
    elif body is None:
        request.stream_body(limits.timeout_s)
    elif body:
        request.set_body(body)


class _Watcher:
    """Starts the task that watches for the client's disconnect, if the request turns out to be slow."""

    __slots__ = ("_receive", "task")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.task: asyncio.Task[None] | None = None

    def __call__(self, exchange: Exchange) -> None:
        if self.task is None:
            self.task = asyncio.get_running_loop().create_task(wait_disconnect(self._receive, exchange))

    def feed(self, exchange: Exchange, length: int, limits: BodyLimits) -> None:
        """Feed the body to the script; the same task watches afterwards."""
        if self.task is not None:
            self.task.cancel()
        self.task = asyncio.get_running_loop().create_task(feed_body(self._receive, exchange, length, limits))


def _read_headers(scope: Scope) -> tuple[Headers, bytes, int]:
    """Read what the server itself must know of a request's headers.

    Returns:
        The headers that PHP may see, the host, and the length of the body: 0 for none, `UNKNOWN` for one whose
        end will be told.

    Raises:
        InvalidRequest: the headers contradict each other, or Content-Length is no number.
    """
    headers = scope["headers"]
    if type(headers) is not list:
        headers = [(name, value) for name, value in headers]
    known = dict(headers)
    if len(known) != len(headers):
        headers = _without_duplicates(headers)
    host = known.get(b"host", b"")
    if b"transfer-encoding" in known:
        # It wins over Content-Length, which PHP must then not see (RFC 9112, section 6.3).
        return [header for header in headers if header[0] != b"content-length"], host, UNKNOWN
    length = known.get(b"content-length")
    if length is None:
        # From HTTP/2 on a body needs no header that announces it.
        return headers, host, UNKNOWN if scope["http_version"] >= "2" else 0
    if not length.isdigit() or len(length) > 18:
        raise InvalidRequest("the Content-Length header is invalid: it must be a number of bytes")
    return headers, host, int(length)


def _without_duplicates(headers: Headers) -> Headers:
    """Refuse names that must not repeat; equal Content-Length headers are made one.

    Raises:
        InvalidRequest: several Host headers, or Content-Length headers that contradict each other.
    """
    seen: dict[bytes, bytes] = {}
    kept = []
    for header in headers:
        name, value = header
        if name in _ONCE:
            if name in seen:
                if name == b"host" or seen[name] != value:
                    raise InvalidRequest(f"several {name.decode().title()} headers are invalid")
                continue
            seen[name] = value
        kept.append(header)
    return kept
