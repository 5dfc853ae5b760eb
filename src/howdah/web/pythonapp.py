"""``asgi module:app`` and ``wsgi module:app``: Python applications inside a site.

They share the process and the event loop with the server. WSGI applications run in threads.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import traceback
from collections.abc import Awaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from howdah.config.http import PythonApp
from howdah.config.model import Position
from howdah.errors import BodyTooLarge, ClientDisconnected, ConfigError, RequestRejected
from howdah.web.errorpages import HttpError
from howdah.web.lifespan import Lifespan
from howdah.web.request import HttpRequest

if TYPE_CHECKING:
    from howdah.web.static import Message, Receive, Send

_log = logging.getLogger("howdah.web")

_WSGI_THREADS = 16
_MAPPED = "::ffff:"
_OWN = "howdah."


class MountedApp:
    """A Python application, loaded once.

    Args:
        action: the model's.
        position: where it stands in the configuration.
        base: folder of relative paths.

    Attributes:
        lifespan: to be started before the first request, and stopped after the last.

    Raises:
        ConfigError: it cannot be imported; names the place in the configuration and in the application.
    """

    def __init__(self, action: PythonApp, position: Position, base: str) -> None:
        self._name = f"{action.kind} {action.target}"
        loaded = _Loader(action, position, base).load()
        self._is_wsgi = action.kind == "wsgi"
        self._app: Any = loaded
        self._executor: Any = None
        if self._is_wsgi:
            from a2wsgi import WSGIMiddleware

            wsgi = WSGIMiddleware(loaded, workers=_WSGI_THREADS)
            self._app, self._executor = wsgi, wsgi.executor
        self._mount = "/" + action.mount.strip("/") if action.mount.strip("/") else ""
        self.lifespan = Lifespan(self._app, self._name)

    async def close(self) -> None:
        """End the application; call it when no request of it runs."""
        await self.lifespan.stop()
        if self._executor is not None:
            self._executor.shutdown(wait=False)

    async def __call__(self, request: HttpRequest) -> None:
        """Answer a request.

        Raises:
            HttpError: the application failed before it had sent anything.
            RequestRejected: the request's body is too large.
        """
        sent = _Sent(request.send)
        receive = request.receive
        if request.max_body_bytes:
            receive = _limit_body(request, receive, request.max_body_bytes)
        if self._is_wsgi:
            receive = _refuse_truncated(receive)
        try:
            await self._app(self._scope(request), receive, sent)
        except (RequestRejected, ClientDisconnected, OSError):
            if sent.started:  # ends without its end, on which the server cuts the connection
                return
            raise
        except Exception as error:
            _log.exception("%s failed at %a", self._name, request.scope["path"])
            if not sent.started:
                raise HttpError(500, f"{self._name} failed: {type(error).__name__}: {error}") from error
            return
        if not sent.started:
            _log.error("%s gave no answer at %a", self._name, request.scope["path"])
            raise HttpError(500, f"{self._name} gave no answer")

    def _scope(self, request: HttpRequest) -> dict[str, Any]:
        scope = {name: value for name, value in request.scope.items() if not name.startswith(_OWN)}
        raw_path = request.raw_path
        if self._mount:
            prefix = quote_from_bytes(self._mount.encode()).encode()
            if raw_path != prefix and not raw_path.startswith(prefix + b"/"):
                raw_path = prefix + raw_path  # a step has taken it off
        scope["root_path"] = self._mount
        scope["raw_path"] = raw_path
        scope["path"] = unquote_to_bytes(raw_path).decode("utf-8", "replace")
        scope["state"] = dict(self.lifespan.state)
        client = scope.get("client")
        if client and client[0].startswith(_MAPPED):  # IPv4 through a socket for both families
            scope["client"] = (client[0][len(_MAPPED) :], client[1])
        if self._is_wsgi:
            # As for PHP: X_A and X-A would be one variable. And the library decodes queries as ASCII.
            scope["headers"] = [header for header in scope["headers"] if b"_" not in header[0]]
            scope["query_string"] = quote_from_bytes(request.query, safe="/?:@!$&'()*+,;=%~[]").encode()
        return scope


class _Sent:
    """``send`` that knows whether the answer has begun."""

    __slots__ = ("_send", "started")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    def __call__(self, message: Message) -> Awaitable[None]:
        self.started = True
        if message["type"] == "http.response.start" and "headers" not in message:
            message = {**message, "headers": []}
        return self._send(message)


def _limit_body(request: HttpRequest, receive: Receive, max_bytes: int) -> Receive:
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > max_bytes:
        raise BodyTooLarge(f"the body is larger than the {max_bytes} bytes that are allowed here")
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > max_bytes:
            raise BodyTooLarge(f"the body is larger than the {max_bytes} bytes that are allowed here")
        return message

    return limited


def _refuse_truncated(receive: Receive) -> Receive:
    """Raise when the client leaves within its body: the library would take what has come for the whole."""

    async def checked() -> Message:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected("the client left before its request was complete")
        return message

    return checked


class _Loader:
    """Imports the application."""

    def __init__(self, action: PythonApp, position: Position, base: str) -> None:
        self._action = action
        self._position = position
        self._folder = str(Path(base, action.path).resolve()) if action.path else str(Path(base).resolve())

    def load(self) -> Any:
        module_name, colon, attribute = self._action.target.partition(":")
        if not module_name or (colon and not attribute):
            raise self._error(f"{self._action.target!r} names no application; write it as module:app")
        if not Path(self._folder).is_dir():
            raise self._error(f"the folder {self._folder!r} does not exist")
        if self._folder not in sys.path:
            sys.path.insert(0, self._folder)
        os.environ.update(self._action.env)
        self._refuse_other(module_name)
        try:
            found: Any = importlib.import_module(module_name)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            raise self._error(f"{module_name!r} cannot be imported: {_told(error)}") from error
        attribute = attribute or "app"
        for name in attribute.removesuffix("()").split("."):
            if not hasattr(found, name):
                raise self._error(f"{module_name!r} has no {attribute!r}; write it as module:app")
            found = getattr(found, name)
        if attribute.endswith("()"):
            try:
                found = found()
            except Exception as error:
                raise self._error(f"{attribute} failed: {_told(error)}") from error
        if not callable(found):
            raise self._error(f"{self._action.target!r} is no application but a {type(found).__name__}")
        return found

    def _refuse_other(self, module_name: str) -> None:
        """Refuse a module that was loaded from elsewhere: Python has one of each name."""
        known = sys.modules.get(module_name)
        file = getattr(known, "__file__", None)
        beside = Path(self._folder, *module_name.split("."))
        if file is None or not (beside.with_suffix(".py").exists() or (beside / "__init__.py").exists()):
            return
        if not Path(file).resolve().is_relative_to(self._folder):
            raise self._error(f"another module {module_name!r} is loaded already, from {file}; give one another name")

    def _error(self, message: str) -> ConfigError:
        position = self._position
        return ConfigError(
            f"{self._action.kind} {self._action.target}: {message}",
            file=position.file or None,
            line=position.line or None,
            column=position.column or None,
            directive=self._action.kind,
        )


def _told(error: BaseException) -> str:
    """Say what an import raised, and where in the application."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    own = [frame for frame in frames if Path(frame.filename).resolve() != Path(__file__).resolve()]
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    where = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {error}{where}"
