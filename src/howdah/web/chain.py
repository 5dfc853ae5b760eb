"""Builds the ASGI application of a site from its steps.

Each step becomes a function of the request that knows what follows it, so a request walks the list without
anybody looking at the model again. Steps that only change something call the next one and give its coroutine:
a site of ``root``, ``encode`` and ``php_server`` costs a few calls more than the bare PHP application.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from howdah.config import http as model
from howdah.config.http import HttpServers, HttpSite, Routes, Step
from howdah.errors import ClientDisconnected, ConfigError, HowdahError, RequestRejected, ScriptError
from howdah.web.auth import compile_basic_auth
from howdah.web.compress import Encoding
from howdah.web.errorpages import HttpError, as_http_error, code_test, send_error
from howdah.web.filecache import FileCache
from howdah.web.fileserver import compile_file_server
from howdah.web.head import Head
from howdah.web.headers import compile_request_headers, compile_response_headers
from howdah.web.matchers import Test, compile_matcher
from howdah.web.phpsite import compile_php
from howdah.web.placeholders import compile_text, has_placeholders
from howdah.web.pythonapp import MountedApp
from howdah.web.request import Handler, HttpRequest
from howdah.web.respond import abort, compile_error, compile_metrics, compile_redir, compile_respond
from howdah.web.response import refusal_headers, send_body, with_headers
from howdah.web.rewrites import compile_rewrite, compile_try_files, strip_prefix
from howdah.web.roots import inner_folder
from howdah.web.runner import PhpRunner
from howdah.web.runs import Change
from howdah.web.sendfile import compile_x_sendfile
from howdah.web.steps import compile_steps, then

if TYPE_CHECKING:
    from howdah.runtime.runtime import Runtime
    from howdah.web.static import Receive, Scope, Send

_log = logging.getLogger("howdah.web")


@dataclass
class BuildContext:
    """What building needs beside the model.

    Args:
        runtime: PHP, maybe not started yet.
        servers: options of the listeners.
        base: folder from which relative names count.
        debug: errors are shown in pages.
        metrics: gives the metrics page and its type for an Accept header; None where nobody collects.
        files: where small static files are kept.
    """

    runtime: Runtime
    servers: HttpServers = field(default_factory=HttpServers)
    base: str = field(default_factory=os.getcwd)
    debug: bool = False
    metrics: Callable[[str], tuple[bytes, str]] | None = None
    files: FileCache = field(default_factory=FileCache)


def build_site(site: HttpSite, context: BuildContext) -> SiteApp:
    """Build the application of a site.

    Raises:
        ConfigError: something in it cannot work; names the place in the configuration.
    """
    builder = _Builder(site, context)
    root, steps = _first_root(site.steps)
    chain = builder.compile(steps, _answer_empty)
    errors = [(code_test(routes.codes), builder.compile(routes.steps, _answer_error_empty)) for routes in site.errors]
    return SiteApp((root, chain), errors, builder.apps, debug=context.debug)


class SiteApp:
    """A site as an ASGI application; made by `build_site`.

    Attributes:
        tells_end: it can be called with a fourth argument, a function to be called when everything is over.
    """

    tells_end = True

    def __init__(
        self,
        chain: tuple[str, Handler],
        errors: Sequence[tuple[Callable[[int], bool], Handler]],
        apps: Sequence[MountedApp],
        *,
        debug: bool,
    ) -> None:
        self._root, self._chain = chain
        self._errors = errors
        self._apps = apps
        self._debug = debug

    async def __call__(self, scope: Scope, receive: Receive, send: Send, end: Callable[[], None] | None = None) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await _refuse_other(scope, receive, send)
            return
        request = HttpRequest(scope, receive, send, self._root)
        try:
            await self._chain(request)
        except (HttpError, RequestRejected, ScriptError) as error:
            await self._answer_error(request, error)
        except ClientDisconnected:
            return
        except OSError as error:
            # The server's send() says so when the client left, static files when they shrank. Ending without the
            # end of the body makes the server cut the connection.
            _log.debug("the response to %a was not completed: %s", scope["path"], error)
        finally:
            if end is not None:
                end()

    async def startup(self) -> None:
        """Start the Python applications of the site.

        Raises:
            HowdahError: one does not start; those before it are stopped again.
        """
        for number, app in enumerate(self._apps):
            try:
                await app.lifespan.start()
            except HowdahError:
                for started in self._apps[: number + 1]:
                    await started.close()
                raise

    async def shutdown(self) -> None:
        """Stop the Python applications of the site; call it when no request runs any more."""
        for app in self._apps:
            await app.close()

    async def _answer_error(self, request: HttpRequest, error: Exception) -> None:
        """Let ``handle_errors`` answer, or send a page of our own."""
        shown = as_http_error(error)
        scope, send = request.original, request.send
        try:
            for concerns, chain in self._errors:
                if concerns(shown.status):
                    request.become_error(shown)
                    extra = refusal_headers(error, scope)
                    request.send = with_headers(send, extra) if extra else send
                    try:
                        await chain(request)
                    except (HttpError, RequestRejected, ScriptError) as second:
                        if second is not shown:
                            _log.warning(
                                "handle_errors failed for %d at %a: %s", shown.status, request.scope["path"], second
                            )
                    else:
                        return
                    break
            request.send = send
            await send_error(request, error, debug=self._debug)
        except ClientDisconnected:
            return
        except OSError as gone:
            _log.debug("the response to %a was not completed: %s", request.scope["path"], gone)


class _Builder:
    """Compiles the steps of one site."""

    def __init__(self, site: HttpSite, context: BuildContext) -> None:
        self._context = context
        self._base = context.base
        self._runner = PhpRunner(context.runtime)
        self.apps: list[MountedApp] = []
        steps = [*_all_steps(site.steps), *(step for routes in site.errors for step in _all_steps(routes.steps))]
        self._suffixes = _suffixes(steps)
        self._site_root = _fixed_root(site.steps, steps)

    def compile(self, steps: Sequence[Step], following: Handler) -> Handler:
        """Compile a list of steps; ``following`` answers what none of them answers."""
        return compile_steps(self, steps, following)

    def compile_matcher(self, matcher: model.Matcher) -> Test:
        """Compile the condition of a step."""
        return compile_matcher(matcher, self._context.base)

    def compile_change(self, action: model.Action) -> Change | None:
        """Compile an action that lets the next one go on; None for those that answer."""
        match action:
            case model.Root():
                return _compile_root(action)
            case model.Vars():
                return _compile_vars(action)
            case model.Rewrite():
                return compile_rewrite(action)
            case model.TryFiles():
                return compile_try_files(action, self._base)
            case model.Header():
                return compile_response_headers((action,))
            case model.RequestHeader():
                return compile_request_headers(action.operations)
            case model.Encode():
                return _compile_encode(action)
            case model.RequestBody():
                return _compile_request_body(action)
            case model.XSendfile():
                return compile_x_sendfile(action, self._suffixes, self._site_root, self._base)
        return None

    def compile_answer(self, step: Step, after: Handler) -> Handler:
        """Compile an action that answers, or hands the request to ``after``."""
        action = step.action
        match action:
            case Routes():
                inner = self.compile(action.steps, after)
                prefix = action.strip_prefix
                return then(lambda request: strip_prefix(request, prefix), inner) if prefix else inner
            case model.Php():
                return compile_php(action, self._runner, self._site_root, self._base, after, self._context.files)
            case model.FileServer():
                files = self._context.files
                return compile_file_server(action, self._suffixes, self._site_root, self._base, after, files)
            case model.PythonApp():
                self.apps.append(MountedApp(action, step.position, self._base))
                return self.apps[-1]
            case model.BasicAuth():
                return compile_basic_auth(action, after)
            case model.Respond():
                return compile_respond(action)
            case model.Redir():
                return compile_redir(action)
            case model.ErrorResponse():
                return compile_error(action)
            case model.Abort():
                return abort
            case model.MetricsPage():
                return compile_metrics(self._context.metrics)
        raise ConfigError(f"{type(action).__name__} cannot be served")


# -- steps ------------------------------------------------------------------------------------------


def _compile_root(action: model.Root) -> Change:
    path = action.path
    if has_placeholders(path):
        text = compile_text(path)

        def change(request: HttpRequest) -> None:
            request.root = inner_folder(text(request))

        return change

    def set_root(request: HttpRequest) -> None:
        request.root = path

    return set_root


def _compile_vars(action: model.Vars) -> Change:
    texts = [(name, compile_text(value)) for name, value in action.values.items()]

    def change(request: HttpRequest) -> None:
        for name, text in texts:
            if name == "root":
                request.root = inner_folder(text(request))
            else:
                request.variables[name] = text(request)

    return change


def _compile_encode(action: model.Encode) -> Change:
    encoding = Encoding(
        tuple(name.encode() for name in action.algorithms),
        action.minimum_bytes,
        tuple(media_type.lower().encode() for media_type in action.types),
        tuple((name.encode(), level) for name, level in action.levels.items()),
    )

    def change(request: HttpRequest) -> None:
        if request.scope["method"] == "HEAD":
            return
        head = request.head
        if head is None or head.encoding is not None or request.send is not request.head_send:
            # Only what stands nearest to the handler may encode for it; changes of the head that come later stand
            # around this one.
            head = Head(request.send)
            request.send = head.send
        head.encoding = encoding
        head.request_headers = request.scope["headers"]

    return change


def _compile_request_body(action: model.RequestBody) -> Change:
    max_bytes = action.max_size_bytes

    def change(request: HttpRequest) -> None:
        request.max_body_bytes = max_bytes

    return change


def _answer_empty(request: HttpRequest) -> Awaitable[None]:
    """Answer what no step has answered, as Caddy does."""
    return send_body(200, b"", [], request.scope, request.send)


def _answer_error_empty(request: HttpRequest) -> Awaitable[None]:
    """Leave an error to the page of our own."""
    assert request.error is not None  # noqa: S101 - these steps run for errors only
    raise request.error


async def _refuse_other(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "websocket":
        raise ValueError(f"an ASGI scope of type {scope['type']!r} cannot be served")
    await receive()
    await send({"type": "websocket.close", "code": 1000, "reason": "this site takes no WebSockets"})


# -- looking at the model ---------------------------------------------------------------------------


def _all_steps(steps: Sequence[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        if isinstance(step.action, Routes):
            yield from _all_steps(step.action.steps)


def _suffixes(steps: Sequence[Step]) -> tuple[str, ...]:
    """Give the suffixes of every script of a site: no other step may send such a file's text."""
    found = [".php"]
    for step in steps:
        if isinstance(step.action, model.Php):
            found += step.action.site.split
    return tuple(dict.fromkeys(found))


def _first_root(steps: Sequence[Step]) -> tuple[str, Sequence[Step]]:
    """Take off a root that every request begins with."""
    first = steps[0] if steps else None
    if first is None or first.matcher is not None or first.group or not isinstance(first.action, model.Root):
        return "", steps
    return ("", steps) if has_placeholders(first.action.path) else (first.action.path, steps[1:])


def _fixed_root(top: Sequence[Step], steps: Sequence[Step]) -> str | None:
    """Give the root that holds for every request, or None when it depends on the request."""
    roots = [step for step in steps if isinstance(step.action, model.Root)]
    roots += [step for step in steps if isinstance(step.action, model.Vars) and "root" in step.action.values]
    if not roots:
        return ""  # the folder in which the server was started
    only = roots[0]
    if len(roots) > 1 or only.matcher is not None or not isinstance(only.action, model.Root):
        return None
    before = top[: top.index(only)] if only in top else top
    if only not in top or has_placeholders(only.action.path):
        return None
    users = (Routes, model.Php, model.FileServer, model.XSendfile)
    return None if any(isinstance(step.action, users) for step in before) else only.action.path
