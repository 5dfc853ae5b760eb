"""Steps that answer by themselves: ``respond``, ``redir``, ``error``, ``abort`` and ``metrics``."""

from __future__ import annotations

import asyncio
import html
import json
from collections.abc import Awaitable, Callable
from urllib.parse import quote_from_bytes

from howdah.config.http import ErrorResponse, Redir, Respond
from howdah.errors import ConfigError
from howdah.web.errorpages import HttpError
from howdah.web.placeholders import Text, compile_text, has_placeholders
from howdah.web.request import Handler, HttpRequest, bytes_of
from howdah.web.response import Header, send_body

_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_JSON = (b"content-type", b"application/json")
_HTML = (b"content-type", b"text/html; charset=utf-8")
_CLOSE = (b"connection", b"close")
# Everything that may stand in an address; the rest, line ends among it, is encoded.
_LOCATION_SAFE = "/~!$&'()*+,;=:@?#[]%"
# Extension and message of `howdah.serve.http1` that end a connection without an answer.
ABORT = "howdah.abort"
_WORDS = {"temporary": 302, "permanent": 301}


def compile_respond(action: Respond) -> Handler:
    """Compile ``respond``.

    Raises:
        ConfigError: the status is none.
    """
    body = compile_text(action.body)
    status = _compile_status(action.status, "respond")
    # Without a status the pages of an error have the error's.
    takes_error = action.status in {"", "200"}
    close = action.close

    def answer(request: HttpRequest) -> Awaitable[None]:
        text = body(request)
        code = status(request)
        if takes_error and request.error is not None:
            code = request.error.status
        headers: list[Header] = []
        if text:
            headers.append(_JSON if _is_json(text) else _TEXT)
        if close and request.scope["http_version"].startswith("1"):
            headers.append(_CLOSE)
        return send_body(code, bytes_of(text), headers, request.scope, request.send)

    return answer


def _is_json(text: str) -> bool:
    if text[:1] not in {"{", "["}:
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def compile_redir(action: Redir) -> Handler:
    """Compile ``redir``.

    Raises:
        ConfigError: the status is none.
    """
    to = compile_text(action.to)
    if action.html or action.status == "html":
        return lambda request: _send_html_redirect(to(request), request)
    status = _compile_status(action.status or "302", "redir")

    def answer(request: HttpRequest) -> Awaitable[None]:
        headers = [(b"location", location(to(request)))]
        return send_body(status(request), b"", headers, request.scope, request.send)

    return answer


def location(text: str) -> bytes:
    """Give an address as the Location header takes it."""
    return quote_from_bytes(bytes_of(text), safe=_LOCATION_SAFE).encode("ascii")


def _send_html_redirect(to: str, request: HttpRequest) -> Awaitable[None]:
    address = html.escape(to)
    # For the script a JSON string, in which a tag must not end the script.
    quoted = json.dumps(to).replace("<", "\\u003c")
    page = (
        '<!doctype html>\n<html><head><meta charset="utf-8"><title>Redirecting</title>\n'
        f'<meta http-equiv="refresh" content="0; url={address}">\n'
        f"<script>window.location.replace({quoted});</script></head>\n"
        f'<body>The page is at <a href="{address}">{address}</a>.</body></html>\n'
    )
    return send_body(200, page.encode("utf-8", "replace"), [_HTML], request.scope, request.send)


def compile_error(action: ErrorResponse) -> Handler:
    """Compile ``error``: a step that raises.

    Raises:
        ConfigError: the status is none.
    """
    message = compile_text(action.message)
    status = _compile_status(action.status or "500", "error")

    def fail(request: HttpRequest) -> Awaitable[None]:
        raise HttpError(status(request), message(request))

    return fail


async def abort(request: HttpRequest) -> None:
    """Cut the connection, without a head where the server can.

    ASGI has no message for that, and a server that says so in its extensions takes one of ours. Elsewhere a body that
    ends before its announced length makes every server cut it; the client cannot take what it got for an answer.
    """
    if ABORT in (request.original.get("extensions") or {}):
        await request.send({"type": ABORT})
        return
    headers = [(b"content-length", b"1")]
    await request.send({"type": "http.response.start", "status": 502, "headers": headers})
    await request.send({"type": "http.response.body", "body": b"", "more_body": True})


def compile_metrics(metrics: Callable[[str], tuple[bytes, str]] | None) -> Handler:
    """Compile ``metrics``.

    Raises:
        ConfigError: nobody collects metrics here.
    """
    if metrics is None:
        raise ConfigError("there are no metrics here: write `metrics` into the global options", directive="metrics")
    collect = metrics

    async def answer(request: HttpRequest) -> None:
        # Reads gauges of every thread and the OPcache's figures: not on the loop that serves.
        text, media_type = await asyncio.to_thread(collect, request.headers.get("accept", ""))
        headers = [(b"content-type", media_type.encode())]
        await send_body(200, text, headers, request.scope, request.send)

    return answer


def _compile_status(text: str, directive: str) -> Callable[[HttpRequest], int]:
    if has_placeholders(text):
        value: Text = compile_text(text)

        def status(request: HttpRequest) -> int:
            given = value(request)
            if not _is_status(given):
                raise HttpError(500, f"{directive}: {given!r} is no status")
            return int(given)

        return status
    text = str(_WORDS.get(text, text or "200"))
    if not _is_status(text):
        raise ConfigError(f"{text!r} is no status; write a number from 200 to 599", directive=directive)
    number = int(text)
    return lambda request: number


def _is_status(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) == 3 and 200 <= int(text) <= 599
