"""Turns what PHP answers into ASGI messages, and refusals into short answers of our own.

This is where the promises to the HTTP server are kept: final statuses between 200 and 599, no
hop-by-hop headers, and a body that is as long as its Content-Length says.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from http import HTTPStatus
from typing import TYPE_CHECKING

from howdah.errors import RequestRejected, ScriptError, ScriptNotFound, WorkerUnavailable

if TYPE_CHECKING:
    from howdah.runtime.aio import Exchange
    from howdah.web.static import Message, Scope, Send

_log = logging.getLogger("howdah.web")

# What Exchange.next() says; equal to the constants of the native extension, which cannot be imported here
# because this module must load without it.
HEADERS = 1
INTERIM = 2
MORE = 4
DONE = 8

_HEADERS_AND_DONE = HEADERS | DONE
_ABORTED = 3  # outcome of a request that was ended from outside

SERVER = (b"server", b"Howdah")
_LENGTH = b"content-length"
# The connection belongs to the HTTP server (RFC 9110, section 7.6.1): a script's word on it would desynchronise it.
_HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
# Reasons of refusals that leave the server at an unknown place of the request's body.
_BODY_UNREAD = frozenset({"body_timeout", "body_too_large", "invalid_path", "invalid_request", "spool_full"})
_SPECIAL = _HOP_BY_HOP | {_LENGTH, b"server"}

Header = tuple[bytes, bytes]


class ScriptFailed(ScriptError):
    """PHP ended a script by a fatal error and left the page empty.

    Attributes:
        headers: what the script had set by then.
    """

    status = 500

    def __init__(self, headers: list[Header]) -> None:
        super().__init__("the PHP script ended by a fatal error; the log says which")
        self.headers = [header for header in headers if header[0] not in {b"content-type", _LENGTH}]


async def respond(exchange: Exchange, scope: Scope, send: Send) -> None:
    """Send everything that PHP answers to one request.

    Each piece waits until the server took the one before. When the body cannot be completed as announced the
    function returns without its end, on which every ASGI server cuts the connection.

    Raises:
        WaitTimeout: no thread came free in time; nothing was sent.
        ClientDisconnected: the client left while the request was queued.
        ScriptFailed: PHP left the page of an error to the server; nothing was sent.
    """
    flags, status, headers, body = await exchange.next()
    while flags & INTERIM:
        if status == 103:
            await _send_early_hints(headers or [], scope, send)
        flags, status, headers, body = await exchange.next()
    if flags & _HEADERS_AND_DONE == _HEADERS_AND_DONE:
        if status == 500 and not body and scope["method"] != "HEAD" and _is_page(headers or []):
            raise ScriptFailed(headers or [])
        prepared, body, is_whole = _whole(scope, status, headers or [], body)
        await send({"type": "http.response.start", "status": status, "headers": prepared})
        await send({"type": "http.response.body", "body": body, "more_body": not is_whole})
    else:
        await _stream(exchange, scope, status, headers, body, flags, send)


def _is_page(headers: list[Header]) -> bool:
    """Tell whether an answer is one for people: an API's empty 500 is its own."""
    return all(value.startswith(b"text/html") for name, value in headers if name == b"content-type")


def _whole(scope: Scope, status: int, headers: list[Header], body: bytes) -> tuple[list[Header], bytes, bool]:
    """Prepare a response whose body is there: give it its length, or take away what is too much.

    Returns:
        Headers, body, and False when the body is shorter than the script announced.
    """
    prepared, announced = prepare_headers(headers)
    if scope["method"] == "HEAD":
        if announced >= 0:
            prepared.append((_LENGTH, b"%d" % announced))
        return prepared, b"", True
    if status in {204, 304}:
        return prepared, b"", True
    length = len(body)
    if announced < 0:
        announced = length
    elif announced > length:
        _log_short(scope, announced, length)
    elif announced < length:
        _log_long(scope, announced)
        body = body[:announced]
    prepared.append((_LENGTH, b"%d" % announced))
    # Without its end a server cuts the connection: the client must not take this for the whole.
    return prepared, body, announced <= length


def prepare_headers(headers: list[Header]) -> tuple[list[Header], int]:
    """Drop what a script must not decide, and name the server unless the script did.

    Args:
        headers: lower-case names and values from PHP; may be changed.

    Returns:
        The headers without Content-Length, and its value, or -1.
    """
    for name, _ in headers:
        if name in _SPECIAL:
            break
    else:
        headers.append(SERVER)
        return headers, -1
    announced = -1
    kept = []
    named = False
    for header in headers:
        name, value = header
        if name == _LENGTH:
            announced = int(value) if value.isdigit() and len(value) < 19 else -1
        elif name not in _HOP_BY_HOP:
            kept.append(header)
            named = named or name == b"server"
    if not named:
        kept.append(SERVER)
    return kept, announced


async def _stream(
    exchange: Exchange, scope: Scope, status: int, headers: list[Header] | None, body: bytes, flags: int, send: Send
) -> None:
    """Send a response piece by piece as PHP hands it over."""
    prepared, announced = prepare_headers(headers or [])
    is_empty = scope["method"] == "HEAD" or status in {204, 304}
    if announced >= 0 and status not in {204, 304}:
        prepared.append((_LENGTH, b"%d" % announced))
    await send({"type": "http.response.start", "status": status, "headers": prepared})
    left = 0 if is_empty else announced
    cut = False
    while True:
        if is_empty:
            body = b""
        elif announced >= 0:
            cut = cut or len(body) > left
            body = body[:left]
            left -= len(body)
        if flags & DONE:
            break
        # An empty piece makes servers send the head, which a script asked for by flush().
        await send({"type": "http.response.body", "body": body, "more_body": True})
        flags, _, _, body = await exchange.next()
    if cut:
        _log_long(scope, announced)
    if left > 0:
        _log_short(scope, announced, announced - left)
    request = exchange.request
    if left > 0 or request.outcome == _ABORTED or not request.complete:
        if body:
            await send({"type": "http.response.body", "body": body, "more_body": True})
        return  # cuts the connection: the client must not take this for the whole
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _send_early_hints(headers: list[Header], scope: Scope, send: Send) -> None:
    extensions = scope.get("extensions")
    if extensions and "http.response.early_hint" in extensions:
        links = [value for name, value in headers if name == b"link"]
        if links:
            await send({"type": "http.response.early_hint", "links": links})


def _log_short(scope: Scope, announced: int, sent: int) -> None:
    _log.warning(
        "the script for %a announced %d bytes and sent %d: the connection is cut", scope["path"], announced, sent
    )


def _log_long(scope: Scope, announced: int) -> None:
    _log.warning(
        "the script for %a sent more than the %d bytes it announced: the rest is dropped", scope["path"], announced
    )


async def refuse(
    error: RequestRejected | ScriptError, scope: Scope, send: Send, *, shows_details: bool = False
) -> None:
    """Answer a request that no script and no file answers: status, a line of text, and ``Retry-After``.

    Args:
        error: why.
        scope: ASGI's.
        send: ASGI's.
        shows_details: also what PHP said, which may hold paths.
    """
    if isinstance(error, ScriptFailed):
        await send_text(error.status, "the server could not answer this request", error.headers, scope, send)
        return
    if isinstance(error, ScriptNotFound):
        detail = "nothing answers at this address"
    else:
        detail = str(error) or "the request was refused"
    said = error.detail if isinstance(error, WorkerUnavailable) else ""
    if shows_details and said:
        detail += f"\n\n{said}"
    extra = refusal_headers(error, scope)
    await send_text(getattr(error, "status", 500), detail, extra, scope, send)


def refusal_headers(error: Exception, scope: Scope) -> list[Header]:
    """Give the header fields that belong to a refusal, whatever its page looks like."""
    headers: list[Header] = list(getattr(error, "headers", ()))
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % retry_after_s))
    if getattr(error, "reason", "") in _BODY_UNREAD and scope.get("http_version", "1.1").startswith("1"):
        headers.append((b"connection", b"close"))
    return headers


def with_status(send: Send, status: int) -> Send:
    """Give a ``send`` that answers with this status in place of 200."""

    def send_with_status(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start" and message["status"] == 200:
            message = {**message, "status": status}
        return send(message)

    return send_with_status


def with_headers(send: Send, headers: list[Header]) -> Send:
    """Give a ``send`` that adds header fields to the answer, unless it has them."""

    def send_with_headers(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            names = {name for name, _ in message["headers"]}
            added = [header for header in headers if header[0] not in names]
            message = {**message, "headers": [*message["headers"], *added]}
        return send(message)

    return send_with_headers


async def send_text(status: int, detail: str, extra: list[Header], scope: Scope, send: Send) -> None:
    """Send ``<status> <phrase>: <detail>`` as plain text.

    Args:
        status: final status.
        detail: one sentence without anything the client sent unescaped.
        extra: further headers.
        scope: the request.
        send: ASGI's.
    """
    text = f"{status} {phrase(status)}: {detail}\n".encode("utf-8", "backslashreplace")
    await send_body(status, text, [(b"content-type", b"text/plain; charset=utf-8"), *extra], scope, send)


async def send_body(status: int, body: bytes, headers: list[Header], scope: Scope, send: Send) -> None:
    """Send a whole answer of our own: head, length, and the body unless the method is HEAD."""
    if status in {204, 304}:
        start, body = [*headers, SERVER], b""
    else:
        start = [*headers, (_LENGTH, b"%d" % len(body)), SERVER]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body, "more_body": False})


def phrase(status: int) -> str:
    """Give the text that belongs to a status."""
    if status == 413:  # RFC 9110 renamed it; HTTPStatus follows in Python 3.13
        return "Content Too Large"
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
