"""Call an ASGI application in the same process, without sockets: for tests of sites and of Howdah itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote_to_bytes

Header = tuple[bytes, bytes]


@dataclass
class ClientResponse:
    """What an application answered.

    Attributes:
        status: final status, 0 when nothing was sent.
        headers: in the order they were sent.
        body: all pieces together.
        pieces: each piece as it was sent, empty ones too.
        interim: links of ``http.response.early_hint`` messages.
        complete: the end of the body was sent; a server cuts the connection otherwise.
    """

    status: int = 0
    headers: list[Header] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)
    interim: list[list[bytes]] = field(default_factory=list)
    complete: bool = False

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(self.pieces)

    @property
    def text(self) -> str:
        """The whole body as UTF-8."""
        return self.body.decode()

    def header(self, name: str) -> bytes | None:
        """Give the first value of a header, or None."""
        wanted = name.lower().encode()
        return next((value for key, value in self.headers if key == wanted), None)


class Client:
    """An HTTP client of one application. As a context manager it also runs the application's lifespan.

    Args:
        app: ASGI 3 application.
        root_path: prefix at which the application is mounted.
        extensions: ASGI extensions that the client offers.
        remote: address and port of the client.

    Example:
        ``async with Client(PHPServer("site")) as client: response = await client.get("/index.php")``
    """

    def __init__(
        self,
        app: Any,
        *,
        root_path: str = "",
        extensions: Iterable[str] = (),
        remote: tuple[str, int] | None = ("127.0.0.1", 50000),
    ) -> None:
        self.app = app
        self._root_path = root_path
        self._extensions: dict[str, dict[str, Any]] = {name: {} for name in extensions}
        self._remote = remote
        self._lifespan: _Lifespan | None = None

    async def __aenter__(self) -> Self:
        self._lifespan = _Lifespan(self.app)
        await self._lifespan.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lifespan is not None:
            await self._lifespan.stop()

    async def get(self, target: str | bytes, headers: Sequence[Header] = ()) -> ClientResponse:
        """Send a GET request."""
        return await self.request("GET", target, headers)

    async def request(
        self,
        method: str,
        target: str | bytes,
        headers: Sequence[Header] = (),
        body: bytes | AsyncIterable[bytes] = b"",
        *,
        leaves_after_s: float | None = None,
    ) -> ClientResponse:
        """Send a request and collect the response.

        Args:
            method: HTTP method.
            target: path and query as they would stand in the request line.
            headers: lower-case names; Host and, for bodies in one piece, Content-Length are added when missing.
            body: in one piece, or in pieces as they would come over the wire.
            leaves_after_s: the client disconnects so long after its body was sent; None stays to the end.
        """
        raw = target.encode() if isinstance(target, str) else target
        exchange = _Exchange(body, leaves_after_s)
        names = {name for name, _ in headers}
        sent = list(headers)
        if b"host" not in names:
            sent.insert(0, (b"host", b"testserver"))
        if isinstance(body, bytes) and body and not names & {b"content-length", b"transfer-encoding"}:
            sent.append((b"content-length", b"%d" % len(body)))
        await self.app(self._scope(method, raw, sent), exchange.receive, exchange.send)
        return exchange.response

    def _scope(self, method: str, target: bytes, headers: list[Header]) -> dict[str, Any]:
        raw_path, _, query = target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote_to_bytes(raw_path).decode("utf-8", "replace"),
            "raw_path": raw_path,
            "query_string": query,
            "root_path": self._root_path,
            "headers": headers,
            "client": self._remote,
            "server": ("testserver", 80),
            "extensions": self._extensions,
        }


class _Exchange:
    """``receive`` and ``send`` of one request."""

    def __init__(self, body: bytes | AsyncIterable[bytes], leaves_after_s: float | None) -> None:
        self.response = ClientResponse()
        self._body: AsyncIterator[bytes] = _pieces(body) if isinstance(body, bytes) else body.__aiter__()
        self._sent_all = False
        self._leaves_after_s = leaves_after_s
        self._over = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        if not self._sent_all:
            try:
                piece = await anext(self._body)
            except StopAsyncIteration:
                self._sent_all = True
                return {"type": "http.request", "body": b"", "more_body": False}
            except ConnectionError:
                self._sent_all = True
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": piece, "more_body": True}
        try:
            async with asyncio.timeout(self._leaves_after_s):
                await self._over.wait()
        except TimeoutError:
            self._over.set()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            self.response.status = message["status"]
            self.response.headers = list(message.get("headers", ()))
        elif kind == "http.response.body":
            self.response.pieces.append(message.get("body", b""))
            if not message.get("more_body", False):
                self.response.complete = True
                self._over.set()
        elif kind == "http.response.early_hint":
            self.response.interim.append(list(message["links"]))
        else:
            raise ValueError(f"unexpected ASGI message {kind!r}")


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


class _Lifespan:
    def __init__(self, app: Any) -> None:
        self._app = app
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        self._task = asyncio.ensure_future(self._app(scope, self._to_app.get, self._from_app.put))
        await self._step("lifespan.startup")

    async def stop(self) -> None:
        await self._step("lifespan.shutdown")
        if self._task is not None:
            await self._task

    async def _step(self, kind: str) -> None:
        await self._to_app.put({"type": kind})
        answer = await self._from_app.get()
        if answer["type"] != f"{kind}.complete":
            raise RuntimeError(answer.get("message", f"{kind} failed"))
