"""A listener of our own HTTP/1.1 layer on a free port, and a client that speaks bytes."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import uvloop

from howdah.serve.http1.listener import Http1Listener
from howdah.serve.options import ListenerOptions

Send = Callable[[Any], Awaitable[None]]
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
_PATIENCE_S = 10.0


def run(test: Callable[[], Awaitable[None]], loop: str = "uvloop") -> None:
    """Run a test on a loop, and see that nothing was left behind."""

    async def bounded() -> None:
        Place.made.clear()
        try:
            async with asyncio.timeout(30):
                await test()
        except BaseException:
            # A loop of uvloop's waits for ever for transports that a traceback still holds.
            for place in Place.made:
                place.cut()
            await asyncio.sleep(0.05)
            raise
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert left == []

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(bounded())


async def answer(send: Send, body: bytes = b"ok", status: int = 200, headers: Any = ()) -> None:
    """Send a whole answer."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


async def read_body(receive: Callable[[], Awaitable[Any]]) -> bytes:
    """Receive a whole body; fails when the client leaves before."""
    body: bytes = b""
    while True:
        message = await receive()
        assert message["type"] == "http.request"
        body += message["body"]
        if not message["more_body"]:
            return body


class Place:
    """A listener around an application, by default one that answers with the path."""

    made: ClassVar[list[Place]] = []

    def __init__(self, app: Any = None, **options: Any) -> None:
        self.scopes: list[Any] = []
        self.listener = Http1Listener(
            self._noting(app or _answer_path),
            socket.create_server(("127.0.0.1", 0)),
            ListenerOptions(options.pop("max_connections", 100), **options),
        )
        self.port: int = self.listener._socket.getsockname()[1]
        self.clients: list[Client] = []
        self.listener.start()
        self.made.append(self)

    def cut(self) -> None:
        """End everything at once."""
        for client in self.clients:
            client.writer.transport.abort()
        for connection in list(self.listener._connections):
            connection.cut(flushes=False)
        self.listener.stop_accepting()

    async def wait_scope(self) -> Any:
        """Wait until the application has been called."""
        async with asyncio.timeout(_PATIENCE_S):
            while not self.scopes:  # noqa: ASYNC110 - also for applications that note nothing
                await asyncio.sleep(0.001)
        return self.scopes[-1]

    def _noting(self, app: Any) -> Any:
        async def noted(scope: Any, receive: Any, send: Any) -> None:
            self.scopes.append(scope)
            await app(scope, receive, send)

        return noted

    async def open(self) -> Client:
        """Connect."""
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        return client

    async def ask(self, *pieces: bytes) -> bytes:
        """Send bytes on a connection of their own and give everything that comes until its end."""
        client = await self.open()
        client.send(*pieces)
        return await client.rest()

    async def end(self) -> None:
        """Stop; fails if a connection stays."""
        for client in self.clients:
            client.writer.transport.abort()
        self.listener.stop_accepting()
        assert await self.listener.wait_stopped(5.0)
        assert not self.listener._running


class Client:
    """A connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, *pieces: bytes) -> None:
        """Send bytes."""
        for piece in pieces:
            self.writer.write(piece)

    async def rest(self) -> bytes:
        """Read to the end."""
        async with asyncio.timeout(_PATIENCE_S):
            return await self.reader.read()

    async def head(self) -> bytes:
        """Read a head."""
        async with asyncio.timeout(_PATIENCE_S):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def response(self) -> tuple[bytes, bytes]:
        """Read a response with a Content-Length; gives head and body."""
        head = await self.head()
        found = re.search(rb"content-length: (\d+)", head)
        assert found is not None, head
        async with asyncio.timeout(_PATIENCE_S):
            return head, await self.reader.readexactly(int(found[1]))


async def _answer_path(scope: Any, receive: Any, send: Any) -> None:
    await answer(send, scope["raw_path"])
