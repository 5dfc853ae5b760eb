"""One HTTP request on its way through the steps of a site.

Everything that a step may not need is made when it is first asked for: a request that meets no matcher and
no placeholder pays for none. Text is UTF-8 with surrogate escapes, so that any bytes come out as they went in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from howdah.cgi.paths import clean_path, decode_path
from howdah.cgi.variables import split_host

if TYPE_CHECKING:
    from howdah.web.errorpages import HttpError
    from howdah.web.head import Head
    from howdah.web.static import Message, Receive, Scope, Send

Handler = Callable[["HttpRequest"], Awaitable[None]]

# What may stand in a path without an escape (RFC 3986, section 3.3).
PATH_SAFE = "/~!$&'()*+,;=:@"

_CACHED_PATHS = 2048
# Clients choose paths, so the cache needs a bound in bytes, too.
_LONGEST_CACHED_PATH = 512
_OF_BODY = frozenset({b"content-length", b"transfer-encoding", b"content-type", b"expect"})


def text_of(raw: bytes) -> str:
    """Decode bytes so that `bytes_of` gives them back."""
    return raw.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """Encode text that `text_of` or a configuration gave."""
    return text.encode("utf-8", "surrogateescape")


class HttpRequest:
    """A request: what came, what has been changed, and what steps have found out about it.

    The scope is copied before it is first changed, so that what stands around the site sees what came.

    Attributes:
        scope: ASGI's, with the changes so far.
        receive: ASGI's; a step may put another in its place.
        send: ASGI's; steps that change the answer put themselves around it.
        original: the scope as it came.
        raw_path: path as it stands now, percent-encoded.
        query: query as it stands now.
        root: document root as text, ``""`` until a step sets one.
        values: what matchers found: ``re.<name>.<group>``, ``file.relative`` and so on.
        variables: set by ``vars``.
        error: the error that is answered, inside of ``handle_errors``.
        folded: see `fold_path`; None while nobody has asked.
        head: changes of the answer's head, None while there are none.
        head_send: what it put in the place of ``send``.
        max_body_bytes: bound set by ``request_body``; None leaves the site's.
        user: who was let in by ``basic_auth``.
        is_changed: the scope is no longer the one that came.
    """

    __slots__ = (
        "_fields",
        "_headers",
        "_path",
        "error",
        "folded",
        "head",
        "head_send",
        "is_changed",
        "max_body_bytes",
        "original",
        "query",
        "raw_path",
        "receive",
        "root",
        "scope",
        "send",
        "user",
        "values",
        "variables",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, root: str = "") -> None:
        self.scope = self.original = scope
        self.receive = receive
        self.send = send
        self.raw_path: bytes = scope.get("raw_path") or quote_from_bytes(scope["path"].encode()).encode()
        self.query: bytes = scope.get("query_string", b"")
        self.root = root
        self.values: dict[str, str] = {}
        self.variables: dict[str, str] = {}
        self.error: HttpError | None = None
        self.max_body_bytes: int | None = None
        self.user = ""
        self.is_changed = False
        self._path: str | None = None
        self.folded: str | None = None
        self.head: Head | None = None
        self.head_send: Send | None = None
        self._headers: dict[str, str] | None = None
        self._fields: dict[bytes, bytes] | None = None

    # -- what it says -----------------------------------------------------------------------------

    @property
    def method(self) -> str:
        """The method as it stands now."""
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        """The decoded path.

        Raises:
            InvalidPath: it holds NUL.
        """
        if self._path is None:
            self._path = text_of(decode_path(self.raw_path))
        return self._path

    def fold_path(self) -> str:
        """Give the path as matchers compare it, and note it as ``folded``.

        Dot segments and repeated slashes are resolved, letters are lower case.

        Raises:
            InvalidPath: it holds NUL.
        """
        raw = self.raw_path
        self.folded = _fold_cached(raw) if len(raw) <= _LONGEST_CACHED_PATH else _fold(raw)
        return self.folded

    @property
    def fields(self) -> dict[bytes, bytes]:
        """Header fields as ASGI has them; of repeated ones the last."""
        if self._fields is None:
            self._fields = dict(self.scope["headers"])
        return self._fields

    def has_field(self, name: bytes) -> bool:
        """Tell whether there is a header field; the first to ask makes no dictionary for it."""
        if self._fields is not None:
            return name in self._fields
        for key, _ in self.scope["headers"]:  # noqa: SIM110 - a generator costs more than all of it
            if key == name:
                return True
        return False

    @property
    def original_raw_path(self) -> bytes:
        """The path as it came, percent-encoded."""
        scope = self.original
        return scope.get("raw_path") or quote_from_bytes(scope["path"].encode()).encode()

    @property
    def original_uri(self) -> bytes:
        """Path and query as they came: PHP's REQUEST_URI."""
        if not self.is_changed:
            return self.raw_path + b"?" + self.query if self.query else self.raw_path
        query: bytes = self.original.get("query_string", b"")
        return self.original_raw_path + b"?" + query if query else self.original_raw_path

    @property
    def headers(self) -> dict[str, str]:
        """Header fields by lower-case name; values of repeated ones joined by commas."""
        if self._headers is None:
            found: dict[str, str] = {}
            for raw_name, raw_value in self.scope["headers"]:
                name = raw_name.decode("latin-1")
                value = text_of(raw_value)
                found[name] = f"{found[name]}, {value}" if name in found else value
            self._headers = found
        return self._headers

    @property
    def host(self) -> str:
        """The name in the Host header without its port, lower case."""
        name, _ = split_host(self.fields.get(b"host", b""), b"http")
        return text_of(name).strip("[]").lower()

    @property
    def peer(self) -> tuple[str, int]:
        """Address and port of who is connected, which may be a proxy."""
        return _address(self.scope.get("howdah.peer") or self.scope.get("client"))

    @property
    def client(self) -> tuple[str, int]:
        """Address and port of the client, behind trusted proxies if there are any."""
        return _address(self.scope.get("client"))

    @property
    def is_rewritten(self) -> bool:
        """A step has changed the path."""
        return self.is_changed and self.raw_path != self.original_raw_path

    # -- what changes it --------------------------------------------------------------------------

    def change(self, name: str, value: Any) -> None:
        """Set an entry of the scope."""
        if not self.is_changed:
            self.scope = dict(self.scope)
            self.is_changed = True
        self.scope[name] = value

    def put_head(self, head: Head) -> Head:
        """Let changes of the answer's head stand around what there is."""
        self.head = head
        self.send = self.head_send = head.send
        return head

    def set_path(self, raw_path: bytes) -> None:
        """Give the request another path, percent-encoded."""
        self.raw_path = raw_path
        self._path = self.folded = None
        self.change("raw_path", raw_path)
        self.change("path", unquote_to_bytes(raw_path).decode("utf-8", "replace"))

    def set_query(self, query: bytes) -> None:
        """Give the request another query."""
        self.query = query
        self.change("query_string", query)

    def set_headers(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Give the request other header fields."""
        self._headers = self._fields = None
        self.change("headers", headers)

    def become_error(self, error: HttpError) -> None:
        """Take back what steps have changed, and go on as the request for the page of an error.

        It has no body, which may have been read already.
        """
        self.error = error
        self.head_send = None  # steps for the error put what is theirs around it, so that it can be taken off again
        self.scope = self.original
        self.is_changed = False
        self.raw_path = self.original_raw_path
        self.query = self.original.get("query_string", b"")
        self._path = self.folded = None
        self.set_headers([header for header in self.original["headers"] if header[0] not in _OF_BODY])
        self.receive = _without_body(self.receive)


def _without_body(receive: Receive) -> Receive:
    told = False

    async def receive_nothing() -> Message:
        nonlocal told
        if not told:
            told = True
            return {"type": "http.request", "body": b"", "more_body": False}
        while (message := await receive())["type"] == "http.request":
            if not message.get("more_body", False):
                break
        return await receive() if message["type"] == "http.request" else message

    return receive_nothing


def _fold(raw_path: bytes) -> str:
    return text_of(clean_path(decode_path(raw_path))).lower()


_fold_cached = lru_cache(_CACHED_PATHS)(_fold)


def _address(pair: tuple[str, int | str | None] | None) -> tuple[str, int]:
    if pair is None:
        return "", 0
    return pair[0].removeprefix("::ffff:"), int(pair[1] or 0)  # some servers give the port as text


def quote_path(text: str) -> bytes:
    """Percent-encode a decoded path."""
    return quote_from_bytes(bytes_of(text), safe=PATH_SAFE).encode("ascii")
