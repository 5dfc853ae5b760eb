"""``header`` and ``request_header``: changes of the head of an answer or of a request."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from howdah.config.http import HeaderOperation
from howdah.web.matchers import compile_regexp
from howdah.web.placeholders import Text, compile_text
from howdah.web.request import HttpRequest, bytes_of

if TYPE_CHECKING:
    from howdah.web.static import Message, Send

Headers = list[tuple[bytes, bytes]]
Change = Callable[[HttpRequest, Headers], Headers]

# An answer has one of each; what the configuration says wins over what a handler would have said by itself.
_SINGLE = frozenset({b"content-type", b"server"})
# What describes the body is the handler's, whatever was said before it ran.
_BODY = frozenset({b"content-length", b"content-encoding", b"content-range", b"etag", b"last-modified", b"location"})
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


def header_name(name: str) -> bytes:
    """Give a header's name as ASGI has it.

    Raises:
        ConfigError: it is no name of a header.
    """
    from howdah.errors import ConfigError

    if not _NAME.match(name):
        raise ConfigError(f"{name!r} is no name of a header field", directive="header")
    return name.lower().encode("ascii")


def header_value(text: str) -> bytes:
    """Give a header's value; what would end the line is taken out."""
    return _CONTROL.sub(b"", bytes_of(text)).strip()


def compile_response_headers(operations: Sequence[HeaderOperation], *, deferred: bool) -> Callable[[HttpRequest], None]:
    """Compile ``header`` to a step that puts itself around the answer.

    Raises:
        ConfigError: a name or a regular expression is not valid.
    """
    changes = [_compile(operation, deferred=deferred) for operation in operations]

    def wrap(request: HttpRequest) -> None:
        send: Send = request.send
        # Placeholders stand for what the request was when it came by, not what later steps made of it.
        prepared = [prepare(request) for prepare in changes]

        def send_changed(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                headers: Headers = list(message["headers"])
                for change in prepared:
                    headers = change(headers)
                message = {**message, "headers": headers}
            return send(message)

        request.send = send_changed

    return wrap


def compile_request_headers(operations: Sequence[HeaderOperation]) -> Callable[[HttpRequest], None]:
    """Compile ``request_header``.

    Raises:
        ConfigError: a name or a regular expression is not valid.
    """
    changes = [_compile(operation, deferred=True) for operation in operations]

    def change_request(request: HttpRequest) -> None:
        headers: Headers = list(request.scope["headers"])
        for prepare in changes:
            headers = prepare(request)(headers)
        request.set_headers(headers)

    return change_request


Applied = Callable[[Headers], Headers]


def _compile(operation: HeaderOperation, *, deferred: bool) -> Callable[[HttpRequest], Applied]:
    kind = operation.kind
    if kind == "delete":
        applied = _delete(operation.name)
        return lambda request: applied
    name = header_name(operation.name)
    value = compile_text(operation.value)
    if kind == "replace":
        return _replace(name, operation.search, value)
    make: Any = {"add": _add, "set": _set if deferred else _set_early, "default": _default}[kind]
    if "{" not in operation.value:
        constant = make(name, header_value(operation.value))
        return lambda request: constant
    return lambda request: make(name, header_value(value(request)))


def _delete(pattern: str) -> Applied:
    starts, ends = pattern.endswith("*"), pattern.startswith("*")
    wanted = pattern.strip("*").lower().encode("latin-1", "replace")
    if starts and ends:
        return lambda headers: [header for header in headers if wanted not in header[0]]
    if starts:
        return lambda headers: [header for header in headers if not header[0].startswith(wanted)]
    if ends:
        return lambda headers: [header for header in headers if not header[0].endswith(wanted)]
    return lambda headers: [header for header in headers if header[0] != wanted]


def _add(name: bytes, value: bytes) -> Applied:
    return lambda headers: [*headers, (name, value)]


def _set(name: bytes, value: bytes) -> Applied:
    return lambda headers: [*(header for header in headers if header[0] != name), (name, value)]


def _set_early(name: bytes, value: bytes) -> Applied:
    """Set before the handler answers: what it adds then stands beside, as with Caddy."""
    if name in _SINGLE:
        return _set(name, value)
    if name in _BODY:
        return _default(name, value)
    return lambda headers: [(name, value), *headers]


def _default(name: bytes, value: bytes) -> Applied:
    def apply(headers: Headers) -> Headers:
        return headers if any(header[0] == name for header in headers) else [*headers, (name, value)]

    return apply


def _replace(name: bytes, search: str, value: Text) -> Callable[[HttpRequest], Applied]:
    pattern = compile_regexp(search)

    def prepare(request: HttpRequest) -> Applied:
        replacement = re.sub(r"\$\{(\w+)\}|\$(\w+)", r"\\g<\1\2>", value(request).replace("\\", "\\\\"))

        def apply(headers: Headers) -> Headers:
            return [
                (key, header_value(pattern.sub(replacement, text.decode("utf-8", "replace"))))
                if key == name
                else (key, text)
                for key, text in headers
            ]

        return apply

    return prepare
