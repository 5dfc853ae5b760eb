"""A runtime and dispatcher without PHP, for tests of the ASGI side."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from howdah.errors import RequestRejected
from howdah.web.response import DONE, HEADERS

Event = tuple[int, int, list[tuple[bytes, bytes]] | None, bytes]
HTML = (b"content-type", b"text/html")


def whole(body: bytes, *headers: tuple[bytes, bytes], status: int = 200) -> list[Event]:
    """Give the one event of a response that is there at once."""
    return [(HEADERS | DONE, status, list(headers) or [HTML], body)]


class FakeRequest:
    """The native request: notes what it is given."""

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        (
            self.site,
            self.target,
            self.endpoint,
            self.method,
            self.uri,
            self.query,
            self.address,
            self.port,
            self.headers,
        ) = arguments
        self.env: Any = None
        self.pool: Any = None
        self.body = b""
        self.spooled = False
        self.fed: list[bytes] = []
        self.fed_complete: bool | None = None
        self.fed_all = asyncio.Event()
        self.full_after = 1 << 30
        self.outcome = 1
        self.complete = True

    def set_body(self, data: bytes) -> None:
        self.body = data

    def set_body_file(self, fd: int, size_bytes: int) -> None:
        self.spooled = True
        self.body = os.pread(fd, size_bytes + 1, 0)

    def stream_body(self, timeout_s: float) -> None:
        self.stream_timeout_s = timeout_s

    def feed(self, data: bytes) -> bool:
        self.fed.append(data)
        return len(self.fed) < self.full_after

    def feed_end(self, complete: bool) -> None:
        self.fed_complete = complete
        self.fed_all.set()


class FakeExchange:
    """One request on its way: plays the events back, with ``hang`` it then waits for the abort."""

    def __init__(self, request: FakeRequest, events: list[Any], on_slow: Callable[[Any], None]) -> None:
        self.request = request
        self._events = list(events)
        self._on_slow = on_slow
        self.aborted = asyncio.Event()
        self.closed = False
        self.writable_waits = 0

    async def next(self) -> Event:
        event = self._events.pop(0)
        if event == "slow":
            self._on_slow(self)
            return await self.next()
        if event == "until abort":
            await self.aborted.wait()
            return await self.next()
        if event == "until fed":
            await self.request.fed_all.wait()
            return await self.next()
        if isinstance(event, BaseException):
            raise event
        result: Event = event
        return result

    async def wait_writable(self) -> None:
        self.writable_waits += 1
        self.request.full_after = 1 << 30

    def abort(self) -> None:
        self.aborted.set()

    def close(self) -> None:
        self.closed = True


class FakeDispatcher:
    """Counts as the real one does; every request is answered with ``events``."""

    def __init__(self, events: list[Any] | None = None) -> None:
        self.events = whole(b"hello") if events is None else events
        self.accepted = 0
        self.aborted = 0
        self.rejected: list[str] = []
        self.exchanges: list[FakeExchange] = []
        self.refusal: RequestRejected | None = None
        self.full_after = 1 << 30

    def accept(self) -> None:
        self.accepted += 1

    def reject(self, error: RequestRejected) -> None:
        self.rejected.append(error.reason)

    def abandon(self) -> None:
        self.aborted += 1

    def request(self, *arguments: Any, env: Any = None) -> FakeRequest:
        request = FakeRequest(arguments)
        request.env = env
        request.full_after = self.full_after
        return request

    def submit(self, request: FakeRequest, on_slow: Callable[[Any], None], pool: Any = None) -> FakeExchange:
        if self.refusal is not None:
            self.reject(self.refusal)
            raise self.refusal
        request.pool = pool
        exchange = FakeExchange(request, self.events, on_slow)
        self.exchanges.append(exchange)
        return exchange

    @property
    def last(self) -> FakeRequest:
        return self.exchanges[-1].request


class FakeRuntime:
    """Starts when it is told, or raises ``start_errors`` one after the other."""

    def __init__(self, events: list[Any] | None = None, *, ready: bool = True) -> None:
        self.ready = ready
        self.starts = 0
        self.stops = 0
        self.registered: list[tuple[str, Any]] = []
        self.start_errors: list[Exception] = []
        self.config = SimpleNamespace(grace_s=1.0, debug=False)
        self.the_dispatcher = FakeDispatcher(events)

    def start(self) -> None:
        self.starts += 1
        if self.start_errors:
            raise self.start_errors.pop(0)
        self.ready = True

    def stop(self, timeout_s: float) -> bool:
        self.stops += 1
        self.ready = False
        return True

    @property
    def is_running(self) -> bool:
        return self.ready

    def register(self, site: Any, name: str = "") -> None:
        self.registered.append((name, site))

    def worker_for(self, site: Any, script: bytes, worker: Any = None) -> Any:
        return worker

    def dispatcher(self) -> FakeDispatcher:
        return self.the_dispatcher
