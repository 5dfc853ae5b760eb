"""`PHPServer` and `PHPApp`: PHP sites as ASGI 3 applications.

Knows ASGI, and no HTTP server in particular; how a script is run is in `runner`.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from howdah.cgi.paths import clean_path, decode_path
from howdah.config.model import SiteConfig, WorkerConfig
from howdah.errors import ClientDisconnected, HowdahError, RequestRejected, ScriptError
from howdah.runtime.site import Site
from howdah.web.body import BodyLimits, spool_folder
from howdah.web.filecache import FileCache
from howdah.web.matchworkers import MatchWorkers
from howdah.web.response import SERVER, refuse
from howdah.web.routing import FileRoute, RedirectRoute, Route, ScriptRoute, route
from howdah.web.runner import PhpRunner, ServedSite
from howdah.web.static import send_file

if TYPE_CHECKING:
    from howdah.runtime.runtime import Runtime
    from howdah.web.static import Receive, Scope, Send

_log = logging.getLogger("howdah.web")


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

    _serves_files = False

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
        self._site.name = name
        self._files = FileCache()
        self._matched = MatchWorkers(config.workers, files=self._serves_files)
        if runtime is None:
            from howdah.runtime.shared import shared_runtime

            runtime = shared_runtime(None)
        limits = BodyLimits(config.max_body_size_bytes, config.request_body_timeout_s, spool_folder())
        self._served = ServedSite(self._site, limits)
        runtime.register(config, name)
        self._runner = PhpRunner(runtime)

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
                target = uri + b"?" + query if query else uri
                await self._runner.run(self._served, found, target, scope, receive, send)
            elif type(found) is FileRoute:
                await send_file(found, scope, receive, send, cache=self._files, extra=[SERVER])
            elif type(found) is RedirectRoute:
                await send_redirect(found, send)
        except (RequestRejected, ScriptError) as error:
            await refuse(error, scope, send, shows_details=self._runner.debug)
        except ClientDisconnected:
            return
        except OSError as error:
            # The server's send() says so when the client left, static files when they shrank. Ending without the
            # end of the body makes the server cut the connection.
            _log.debug("the response to %a was not completed: %s", scope["path"], error)

    def _route(self, path: bytes, query: bytes, mount: bytes, method: str) -> Route:
        return self._match(path, mount) or ScriptRoute(self._site.script(decode_path(path), mount))

    def _match(self, raw_path: bytes, mount: bytes) -> Route | None:
        if not self._matched:
            return None
        path = decode_path(raw_path)
        folded = clean_path(path).decode("utf-8", "surrogateescape").lower()
        return self._matched.find(self._site, path, folded, mount)

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
                    await self._runner.connect()
                except HowdahError as error:
                    await send({"type": "lifespan.startup.failed", "message": f"PHP could not be started: {error}"})
                    return
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self._runner.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


class PHPServer(PHPApp):
    """A whole site as an ASGI application: static files, ``try_files``, and PHP, as ``php_server`` serves it.

    Everything else is as `PHPApp` says.
    """

    _serves_files = True

    def _route(self, path: bytes, query: bytes, mount: bytes, method: str) -> Route:
        return self._match(path, mount) or route(self._site, path, query, mount, method)


async def send_redirect(found: RedirectRoute, send: Send) -> None:
    """Send the client to the place that routing found."""
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
