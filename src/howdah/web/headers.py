"""``header`` and ``request_header``: changes of the head of an answer or of a request."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from howdah.config.http import HeaderOperation
from howdah.web.matchers import compile_regexp, expander
from howdah.web.placeholders import Text, compile_text
from howdah.web.request import HttpRequest, bytes_of

if TYPE_CHECKING:
    from howdah.web.static import Message, Send

Headers = list[tuple[bytes, bytes]]
Applied = Callable[[Headers], Headers]

# An answer has one of each; what the configuration says wins over what a handler would have said by itself.
_SINGLE = frozenset({b"content-type", b"server"})
# What describes the body is the handler's, whatever was said before it ran.
_BODY = frozenset({b"content-length", b"content-encoding", b"content-range", b"etag", b"last-modified", b"location"})
_COMPARED = _SINGLE | _BODY
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


class Head:
    """Changes of the head of one answer.

    Attributes:
        early: fields that are there before a handler answers.
        is_plain: none of them needs to be compared with what the handler says.
        deferred: changes for after it has answered.
    """

    __slots__ = ("_send", "deferred", "early", "is_plain")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.early: Headers = []
        self.is_plain = True
        self.deferred: list[Applied] = []

    def __call__(self, message: Message) -> Awaitable[None]:
        """Stand for ``send``."""
        if message["type"] == "http.response.start":
            headers: Headers = list(message["headers"])
            if self.early:
                headers = self.early + headers if self.is_plain else _merge(self.early, headers)
            # What was asked for last is nearest to the handler.
            for change in reversed(self.deferred):
                headers = change(headers)
            message = {**message, "headers": headers}
        return self._send(message)


def compile_response_headers(operations: Sequence[HeaderOperation], *, deferred: bool) -> Callable[[HttpRequest], None]:
    """Compile ``header``: fields are there before the handler answers, or changed after it has.

    Raises:
        ConfigError: a name or a regular expression is not valid.
    """
    if deferred:
        return _compile_deferred(operations)
    fixed = _fixed_fields(operations)
    is_plain = not any(operation.name.lower().encode("latin-1", "replace") in _COMPARED for operation in operations)
    changes = [_compile(operation) for operation in operations]

    def add(request: HttpRequest) -> None:
        head = request.head or _head(request)
        if fixed is not None and not head.early:
            head.early = fixed
        else:
            early = head.early
            for prepare in changes:
                early = prepare(request)(early)
            head.early = early
        if not is_plain:
            head.is_plain = False

    return add


def _compile_deferred(operations: Sequence[HeaderOperation]) -> Callable[[HttpRequest], None]:
    changes = [_compile(operation) for operation in reversed(operations)]

    def defer(request: HttpRequest) -> None:
        head = request.head or _head(request)
        # Placeholders stand for what the request was when it came by, not what later steps made of it.
        for prepare in changes:
            head.deferred.append(prepare(request))

    return defer


def _head(request: HttpRequest) -> Head:
    request.send = request.head = Head(request.send)
    return request.head


def _fixed_fields(operations: Sequence[HeaderOperation]) -> Headers | None:
    """Give the fields of operations that only set different ones to what no request changes."""
    names = [operation.name.lower() for operation in operations]
    if len(set(names)) != len(names):
        return None
    if any(operation.kind not in {"set", "add"} or "{" in operation.value for operation in operations):
        return None
    return [(header_name(operation.name), header_value(operation.value)) for operation in operations]


def _merge(early: Headers, headers: Headers) -> Headers:
    """Join what was said before the handler answered and what it says, where an answer has one of each."""
    names = {name for name, _ in headers}
    kept = [header for header in early if header[0] not in _BODY or header[0] not in names]
    single = {name for name, _ in kept if name in _SINGLE}
    return kept + [header for header in headers if header[0] not in single]


def compile_request_headers(operations: Sequence[HeaderOperation]) -> Callable[[HttpRequest], None]:
    """Compile ``request_header``.

    Raises:
        ConfigError: a name or a regular expression is not valid.
    """
    changes = [_compile(operation) for operation in operations]

    def change_request(request: HttpRequest) -> None:
        headers: Headers = list(request.scope["headers"])
        for prepare in changes:
            headers = prepare(request)(headers)
        request.set_headers(headers)

    return change_request


def _compile(operation: HeaderOperation) -> Callable[[HttpRequest], Applied]:
    kind = operation.kind
    if kind == "delete":
        applied = _delete(operation.name)
        return lambda request: applied
    name = header_name(operation.name)
    value = compile_text(operation.value)
    if kind == "replace":
        return _replace(name, operation.search, value)
    make: Any = {"add": _add, "set": _set, "default": _default}[kind]
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


def _default(name: bytes, value: bytes) -> Applied:
    def apply(headers: Headers) -> Headers:
        return headers if any(header[0] == name for header in headers) else [*headers, (name, value)]

    return apply


def _replace(name: bytes, search: str, value: Text) -> Callable[[HttpRequest], Applied]:
    pattern = compile_regexp(search)

    def prepare(request: HttpRequest) -> Applied:
        replacement = expander(value(request))

        def apply(headers: Headers) -> Headers:
            return [
                (key, header_value(pattern.sub(replacement, text.decode("utf-8", "replace"))))
                if key == name
                else (key, text)
                for key, text in headers
            ]

        return apply

    return prepare
