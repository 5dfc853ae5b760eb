"""The admin API as a Starlette application."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from howdah.admin.auth import Gate, check_admin
from howdah.admin.configuration import check_load, parse_json, patch, split_path, value_at
from howdah.config.http import Admin
from howdah.errors import ConfigError, HowdahError
from howdah.observe.status import StatusPage
from howdah.observe.threads import thread_states
from howdah.runtime.event import Event

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from howdah.admin.control import Control
    from howdah.observe.metrics import Metrics

_log = logging.getLogger("howdah.admin")

_LARGEST_BODY_BYTES = 16 * 1024 * 1024
_ENDED = frozenset({"stopped", "stuck"})
_CORS_METHODS = "OPTIONS, GET, POST, PUT, PATCH, DELETE"
_CORS_HEADERS = "Content-Type, Content-Length, Cache-Control, Authorization"

_Value = TypeVar("_Value")
Run = Callable[[Coroutine[Any, Any, Any]], Awaitable[Any]]


def make_admin(control: Control, metrics: Metrics, admin: Admin | None = None, run: Run | None = None) -> ASGIApp:
    """Build the admin API.

    Args:
        control: the server.
        metrics: its metrics page.
        admin: who may use the API.
        run: runs a coroutine of ``control`` where it belongs; None awaits it here.

    Raises:
        ConfigError: other machines could use it without a token.
    """
    admin = admin or Admin()
    check_admin(admin)
    api = _Api(control, metrics, run or _here)
    routes = [
        Route("/load", api.load, methods=["POST"]),
        Route("/stop", api.stop, methods=["POST"]),
        Route("/config", api.config, methods=["GET", "PATCH"]),
        Route("/config/{path:path}", api.config, methods=["GET", "PATCH"]),
        Route("/frankenphp/workers/restart", api.restart_workers, methods=["POST"]),
        Route("/frankenphp/threads", api.threads, methods=["GET", "POST"]),
        Route("/metrics", api.metrics, methods=["GET"]),
        Route("/healthz", api.healthz, methods=["GET"]),
        Route("/readyz", api.readyz, methods=["GET"]),
        Route("/status", api.status, methods=["GET"]),
        Route("/ping", api.ping, methods=["GET"]),
    ]
    handlers: Any = {404: _not_found, 405: _not_allowed, ConfigError: _config_error, HowdahError: _error}
    return _Guarded(Starlette(routes=routes, exception_handlers=handlers), Gate(admin))


async def _here(coroutine: Coroutine[Any, Any, _Value]) -> _Value:
    return await coroutine


class _Guarded:
    """Lets nobody in whom the gate refuses; answers the questions that browsers ask before a request."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "the admin API has no WebSockets"})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._gate.refusal(scope["headers"])
        origin = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"), "")
        if refusal is not None:
            _log.warning(Event("admin request refused", reason=refusal.message, method=scope["method"]))
            headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {}
            await _json({"error": refusal.message}, refusal.status, headers)(scope, receive, send)
        elif scope["method"] == "OPTIONS" and origin:
            allowed = {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Allow-Methods": _CORS_METHODS,
                "Access-Control-Allow-Headers": _CORS_HEADERS,
                "Vary": "Origin",
            }
            await Response(status_code=204, headers=allowed)(scope, receive, send)
        else:
            await self._app(scope, receive, _allowing(send, origin) if origin else send)


def _allowing(send: Send, origin: str) -> Send:
    async def allowing(message: Any) -> None:
        if message["type"] == "http.response.start":
            more = [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"Origin")]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return allowing


class _Api:
    def __init__(self, control: Control, metrics: Metrics, run: Run) -> None:
        self._control = control
        self._metrics = metrics
        self._run = run
        self._status = StatusPage(time.time())

    async def load(self, request: Request) -> Response:
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = await _body(request)
        check_load(body, content_type)
        await self._run(self._control.load(body, content_type))
        _log.info(Event("configuration loaded from admin api"))
        return Response()

    async def config(self, request: Request) -> Response:
        parts = split_path(request.path_params.get("path", ""))
        try:
            if request.method == "PATCH":
                value = parse_json(await _body(request))
                force = "must-revalidate" in request.headers.get("cache-control", "")
                await self._run(patch(self._control, parts, value, force=force))
                return Response()
            return _json(value_at(self._control.config_json(), parts))
        except LookupError:
            return _json({"error": f"there is nothing at /config/{'/'.join(parts)}"}, 404)

    async def stop(self, request: Request) -> Response:
        _log.info(Event("stop from admin api"))

        async def stop() -> None:
            await self._run(self._control.stop())

        # After the answer has been handed over: whoever asked learns that it worked.
        return Response(background=BackgroundTask(stop))

    async def restart_workers(self, request: Request) -> Response:
        names = request.query_params.getlist("worker")
        if names:
            known = [worker.name for worker in self._control.statistics().workers]
            for name in names:
                if name not in known:
                    raise ConfigError(f"there is no worker {name!r}; there are: {', '.join(known) or 'none'}")
        await self._run(self._control.restart_workers(names or None))
        _log.info(Event("workers restarted from admin api"))
        return PlainTextResponse("workers restarted successfully\n")

    async def threads(self, request: Request) -> Response:
        text = json.dumps(thread_states(self._control.statistics()), indent=4, ensure_ascii=False)
        return Response(text, media_type="application/json")

    async def metrics(self, request: Request) -> Response:
        # Not OpenMetrics, as Caddy's admin API: there the names of counters would differ.
        page, content_type = self._metrics.render()
        return Response(page, media_type=None, headers={"Content-Type": content_type})

    async def healthz(self, request: Request) -> Response:
        state = self._control.statistics().state
        return _plain(f"PHP is {state}", 503) if state in _ENDED else _plain("ok")

    async def readyz(self, request: Request) -> Response:
        reason = self._control.ready_reason()
        return _plain("ready") if reason is None else _plain(reason, 503)

    async def status(self, request: Request) -> Response:
        query = request.query_params
        now = self._control.statistics()
        if "json" in query:
            return _uncached(self._status.json(now, full="full" in query), "application/json")
        return _uncached(self._status.text(now, full="full" in query), "text/plain")

    async def ping(self, request: Request) -> Response:
        return _uncached("pong", "text/plain")


async def _body(request: Request) -> bytes:
    """Receive a body of bounded size.

    Raises:
        ConfigError: it is larger than any configuration.
    """
    pieces: list[bytes] = []
    size_bytes = 0
    async for piece in request.stream():
        size_bytes += len(piece)
        if size_bytes > _LARGEST_BODY_BYTES:
            raise ConfigError(f"the body has more than {_LARGEST_BODY_BYTES} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"
    return Response(text, status, media_type="application/json", headers=headers)


def _plain(text: str, status: int = 200) -> Response:
    return _uncached(f"{text}\n", "text/plain", status)


def _uncached(text: str, media_type: str, status: int = 200) -> Response:
    return Response(text, status, {"Cache-Control": "no-cache, no-store, must-revalidate, max-age=0"}, media_type)


async def _not_found(request: Request, error: Exception) -> Response:
    return _json({"error": "there is no such endpoint"}, 404)


async def _not_allowed(request: Request, error: Exception) -> Response:
    headers = getattr(error, "headers", None)
    return _json({"error": "method not allowed"}, 405, headers)


async def _config_error(request: Request, error: Exception) -> Response:
    return _json({"error": str(error)}, 400)


async def _error(request: Request, error: Exception) -> Response:
    _log.error(Event("admin request failed", path=request.url.path, error=str(error)))
    return _json({"error": str(error)}, 500)
