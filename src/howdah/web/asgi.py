"""`PHPServer` and `PHPApp`: PHP sites as ASGI 3 applications.

This is the path of every request, so it is plain Python without what it does not need: a fast request
costs no task, no timer and no watcher. Knows ASGI and the runtime, and no HTTP server in particular.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from howdah.cgi.paths import decode_path
from howdah.cgi.variables import endpoint
from howdah.config.model import SiteConfig, WorkerConfig
from howdah.errors import (
    ClientDisconnected,
    EngineStateError,
    HowdahError,
    InvalidRequest,
    RequestRejected,
    ScriptNotFound,
)
from howdah.runtime.site import Site, Target
from howdah.web.body import (
    UNKNOWN,
    BodyLimits,
    SpooledBody,
    check_announced,
    feed_body,
    receive_body,
    spool_folder,
    wait_disconnect,
)
from howdah.web.response import SERVER, name_server, refuse, respond, send_text
from howdah.web.routing import (
    FileRoute,
    RedirectRoute,
    Route,
    ScriptRoute,
    matched_route,
    route,
    route_match,
)
from howdah.web.static import Headers, send_file

if TYPE_CHECKING:
    from howdah.engine.native import Request as NativeRequest
    from howdah.runtime.aio import Exchange, LoopDispatcher
    from howdah.runtime.pools import WorkerPool
    from howdah.runtime.runtime import Runtime
    from howdah.web.static import Receive, Scope, Send

_log = logging.getLogger("howdah.web")

_NO_CLIENT = ("", 0)
# Names that may not come twice: each could be believed by somebody else on the way.
_ONCE = frozenset({b"host", b"content-length"})


class PHPApp:
    """A folder of PHP scripts as an ASGI application: every path is a script's, anything else is 404.

    Runs under any ASGI 3 server and can be mounted in another application. PHP is started at lifespan
    start-up, or at the first request where no lifespan comes, and stopped at lifespan shutdown if this
    application started it.

    Args:
        root: folder with the scripts.
        worker: a worker script of this site, or its file; more of them by ``workers``.
        runtime: PHP to use; None means the one default `Runtime` of the process.
        name: what the site is called in names of workers, metrics and logs.
        fields: further fields of `SiteConfig`.

    Raises:
        ConfigError: the root cannot be served, a field is wrong, or the default runtime exists with other
            settings.
        EngineVersionError: libphp or the native extension is missing.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        worker: WorkerConfig | str | None = None,
        runtime: Runtime | None = None,
        name: str = "",
        **fields: Any,
    ) -> None:
        if worker is not None:
            only = WorkerConfig(worker) if isinstance(worker, str) else worker
            fields["workers"] = (only, *fields.get("workers", ()))
        config = SiteConfig(root=os.fspath(root), **fields)
        self._site = Site(config)
        self._has_match = any(worker.match for worker in config.workers)
        if runtime is None:
            from howdah.runtime.shared import shared_runtime

            runtime = shared_runtime(None)
        self._runtime = runtime
        runtime.register(self._site, name)
        self._limits = BodyLimits(config.max_body_size_bytes, config.request_body_timeout_s, spool_folder())
        self._dispatcher: LoopDispatcher | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting: asyncio.Task[None] | None = None
        self._started_by_us = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({os.fsdecode(self._site.root)!r})"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan of the server."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        raw_path: bytes = scope.get("raw_path") or quote_from_bytes(scope["path"].encode()).encode()
        query: bytes = scope.get("query_string", b"")
        mount = scope.get("root_path")
        uri, path, mount = _below(raw_path, mount) if mount else (raw_path, raw_path, b"")
        try:
            found = self._route(path, query, mount, scope["method"])
            if type(found) is ScriptRoute:
                await self._run(found.target, uri + b"?" + query if query else uri, scope, receive, send, found.pool)
            elif type(found) is FileRoute:
                await send_file(found, scope, receive, name_server(send))
            elif type(found) is RedirectRoute:
                await _redirect(found, send)
        except (RequestRejected, ScriptNotFound) as error:
            await refuse(error, scope, send)
        except ClientDisconnected:
            return
        except OSError as error:
            # The server's send() says so when the client left, static files when they shrank. Ending without the
            # end of the body makes the server cut the connection.
            _log.debug("the response to %a was not completed: %s", scope["path"], error)

    def _route(self, path: bytes, query: bytes, mount: bytes, method: str) -> Route:
        path = decode_path(path)
        matched = self._runtime.worker_match(self._site, path, mount) if self._has_match else None
        return matched_route(matched) if matched is not None else ScriptRoute(self._site.script(path, mount))

    async def _run(
        self,
        target: Target,
        uri: bytes,
        scope: Scope,
        receive: Receive,
        send: Send,
        pool: WorkerPool | None = None,
    ) -> None:
        """Run a script and send what it answers; ``pool`` is a worker that is chosen already."""
        dispatcher = self._dispatcher
        if dispatcher is None or self._loop is not asyncio.get_running_loop():
            try:
                dispatcher = await self._connect()
            except HowdahError as error:
                _log.error("PHP could not be started: %s", error)
                await send_text(500, "PHP could not be started; the log says why", [], scope, send)
                return
        dispatcher.accept()
        try:
            headers, host, length = _read_headers(scope)
            body = await self._receive(length, receive) if length else b""
            address, port = scope.get("client") or _NO_CLIENT
            if address[:7] == "::ffff:":  # IPv4 through a socket for both families
                address = address[7:]
            request = dispatcher.request(
                self._site,
                target,
                endpoint(host, scope.get("scheme", "http"), scope["http_version"]),
                scope["method"],
                uri,
                scope.get("query_string", b""),
                address,
                port or 0,
                headers,
            )
            if length:
                self._attach(request, body)
        except RequestRejected as error:
            dispatcher.reject(error)
            raise
        except BaseException:
            dispatcher.abandon()
            raise
        watcher = _Watcher(receive)
        exchange = dispatcher.submit(request, watcher, pool or self._runtime.worker_for(self._site, target[0]))
        try:
            if body is None:
                watcher.feed(exchange, length, self._limits)
            await respond(exchange, scope, send)
        finally:
            exchange.close()
            if watcher.task is not None:
                watcher.task.cancel()

    async def _receive(self, length: int, receive: Receive) -> bytes | SpooledBody | None:
        """Receive the body; None when the script is to read it as it comes."""
        if self._site.config.request_buffering:
            return await receive_body(receive, length, self._limits)
        check_announced(length, self._limits)
        return None

    def _attach(self, request: NativeRequest, body: bytes | SpooledBody | None) -> None:
        if isinstance(body, SpooledBody):
            request.set_body_file(body.fd, body.size_bytes)
            body.close()
        elif body is None:
            request.stream_body(self._limits.timeout_s)
        elif body:
            request.set_body(body)

    # -- life ---------------------------------------------------------------------------------------
    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await self._lifespan(receive, send)
        elif kind == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000, "reason": "PHP scripts take no WebSockets"})
        else:
            raise ValueError(f"an ASGI scope of type {kind!r} cannot be served")

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self._connect()
                except HowdahError as error:
                    await send({"type": "lifespan.startup.failed", "message": f"PHP could not be started: {error}"})
                    return
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                self._dispatcher = None
                if self._started_by_us:
                    self._started_by_us = False
                    await asyncio.to_thread(self._runtime.stop, self._runtime.config.grace_s)
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _connect(self) -> LoopDispatcher:
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


class PHPServer(PHPApp):
    """A whole site as an ASGI application: static files, ``try_files``, and PHP, as ``php_server`` serves it.

    Everything else is as `PHPApp` says.
    """

    def _route(self, path: bytes, query: bytes, mount: bytes, method: str) -> Route:
        if self._has_match:
            found = route_match(self._site, self._runtime, path, mount)
            if found is not None:
                return found
        return route(self._site, path, query, mount, method)


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


async def _redirect(found: RedirectRoute, send: Send) -> None:
    headers = [(b"location", found.location), (b"content-length", b"0"), SERVER]
    await send({"type": "http.response.start", "status": found.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _below(raw_path: bytes, root_path: str) -> tuple[bytes, bytes, bytes]:
    """Split a path at the place where the application is mounted.

    Frameworks that mount keep the whole path, some servers take the prefix off: both are understood, and PHP
    sees the whole address in either case.

    Args:
        raw_path: percent-encoded path.
        root_path: decoded prefix, as ASGI gives it.

    Returns:
        Percent-encoded path of the whole address, the part below the mount, and the mount, decoded.
    """
    mount = b"/" + root_path.strip("/").encode()
    if mount == b"/":
        return raw_path, raw_path, b""
    end = 0
    for _ in range(mount.count(b"/")):
        end = raw_path.find(b"/", end + 1)
        if end < 0:
            end = len(raw_path)
            break
    if unquote_to_bytes(raw_path[:end]) == mount:
        return raw_path, raw_path[end:], mount
    return quote_from_bytes(mount).encode() + raw_path, raw_path, mount


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
