"""``header`` and ``request_header``: changes of the head of an answer or of a request."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from howdah.config.http import Header as HeaderAction
from howdah.config.http import HeaderOperation
from howdah.web.head import COMPARED, Applied, Head, Headers
from howdah.web.matchers import compile_regexp, expander
from howdah.web.placeholders import Text, compile_text
from howdah.web.request import HttpRequest, bytes_of

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


def compile_response_headers(actions: Sequence[HeaderAction]) -> Callable[[HttpRequest], None]:
    """Compile ``header`` directives that follow one another.

    Their fields are there before the handler answers, or changed after it has.

    Raises:
        ConfigError: a name or a regular expression is not valid.
    """
    steps = [_compile_deferred(action) if action.deferred else _compile_early(action) for action in actions]
    early = _fixed_fields([operation for action in actions if not action.deferred for operation in action.operations])
    deferred = _fixed_changes(actions)
    is_plain = all(action.deferred or _is_plain(action) for action in actions)

    def change(request: HttpRequest) -> None:
        for step in steps:
            step(request.head or request.put_head(Head(request.send)), request)

    if early is None or deferred is None:
        return change

    def change_first(request: HttpRequest) -> None:
        if request.head is not None:
            change(request)
            return
        # As put_head() does it.
        request.head = head = Head(request.send, early, deferred, is_plain)
        request.send = request.head_send = head.send

    return change_first


def _compile_early(action: HeaderAction) -> Callable[[Head, HttpRequest], None]:
    is_plain = _is_plain(action)
    changes = [_compile(operation) for operation in action.operations]

    def add(head: Head, request: HttpRequest) -> None:
        early: Headers = head.early or []
        for prepare in changes:
            early = prepare(request)(early)
        head.early = early
        if not is_plain:
            head.is_plain = False

    return add


def _compile_deferred(action: HeaderAction) -> Callable[[Head, HttpRequest], None]:
    changes = [_compile(operation) for operation in reversed(action.operations)]

    def defer(head: Head, request: HttpRequest) -> None:
        # Placeholders stand for what the request was when it came by, not what later steps made of it.
        for prepare in changes:
            head.deferred += (prepare(request),)

    return defer


def _is_plain(action: HeaderAction) -> bool:
    names = [operation.name.lower().encode("latin-1", "replace") for operation in action.operations]
    return not any(name in COMPARED for name in names)


def _fixed_fields(operations: Sequence[HeaderOperation]) -> Headers | None:
    """Give the fields of operations that only set different ones to what no request changes."""
    names = [operation.name.lower() for operation in operations]
    if len(set(names)) != len(names):
        return None
    if any(operation.kind not in {"set", "add"} or "{" in operation.value for operation in operations):
        return None
    return [(header_name(operation.name), header_value(operation.value)) for operation in operations]


def _fixed_changes(actions: Sequence[HeaderAction]) -> tuple[Applied, ...] | None:
    """Give the deferred changes where no request changes them."""
    fixed: list[Applied] = []
    for action in actions:
        for operation in reversed(action.operations) if action.deferred else ():
            change = _constant(operation)
            if change is None:
                return None
            fixed.append(change)
    return tuple(fixed)


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
    constant = _constant(operation)
    if constant is not None:
        return lambda request: constant
    name = header_name(operation.name)
    value = compile_text(operation.value)
    if operation.kind == "replace":
        return _replace(name, operation.search, value)
    make = _MAKERS[operation.kind]
    return lambda request: make(name, header_value(value(request)))


def _constant(operation: HeaderOperation) -> Applied | None:
    """Compile an operation that does the same for every request; None for others."""
    if operation.kind == "delete":
        return _delete(operation.name)
    if operation.kind == "replace" or "{" in operation.value:
        return None
    return _MAKERS[operation.kind](header_name(operation.name), header_value(operation.value))


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


_MAKERS: dict[str, Callable[[bytes, bytes], Applied]] = {"add": _add, "set": _set, "default": _default}


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
