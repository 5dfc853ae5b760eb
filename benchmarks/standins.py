"""PHP for benchmarks of what stands around it.

Requests take their real way through the runtime, only what the extension does is stood in for: an answer is there
when the loop comes round next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from operator import attrgetter
from typing import Any

from howdah.config.model import RuntimeConfig
from howdah.engine.native import COMPLETED, DONE, HEADERS, PUSH_OK, native
from howdah.runtime.aio import LoopDispatcher
from howdah.runtime.limits import TimeLimits

Headers = list[tuple[bytes, bytes]]

# What a browser sends.
BROWSER: Headers = [
    (b"host", b"www.example.com"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    (b"accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    (b"accept-language", b"en-US,en;q=0.5"),
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
    (b"cookie", b"PHPSESSID=0123456789abcdef0123456789abcdef"),
    (b"connection", b"keep-alive"),
]
_ANSWER: Headers = [(b"x-powered-by", b"PHP/8.2.32"), (b"content-type", b"text/html; charset=UTF-8")]
_BODY = b"Hello, world!"


def fresh(headers: Headers) -> Headers:
    """Copy headers as a server makes them for each request: nothing is interned, no hash is known."""
    return [(bytes(bytearray(name)), bytes(bytearray(value))) for name, value in headers]


class _Request:
    """A native record, of a script that answers at once. What it says costs what the real one's getters cost."""

    __slots__ = (
        "_channel",
        "_php_s",
        "_queue_s",
        "finished_early",
        "id",
        "outcome",
        "peak_bytes",
        "slot",
        "state",
        "timeout_s",
    )

    times_s = property(attrgetter("_queue_s", "_php_s"))

    def __init__(self, number: int, channel: _Channel) -> None:
        self.id = number
        self._channel = channel
        self._queue_s, self._php_s = 0.000031, 0.000412
        self.state = "running"
        self.outcome = COMPLETED
        self.slot = 3
        self.peak_bytes = 2_097_152
        self.timeout_s = 0.0
        self.finished_early = False

    def submit(self, pool: int, lazy: bool) -> int:
        self._channel.answered(self.id)
        return PUSH_OK

    def take(self, most: int) -> tuple[int, int, Headers, bytes]:
        return HEADERS | DONE, 200, fresh(_ANSWER), _BODY


class _Channel:
    """Wakes the loop as the file descriptor of the real one does."""

    def __init__(self, wake: Callable[[], Any]) -> None:
        self._wake = wake
        self._numbers: list[int] = []

    def answered(self, number: int) -> None:
        self._numbers.append(number)
        self._wake()

    def drain(self) -> list[int]:
        numbers, self._numbers = self._numbers, []
        return numbers


class _Dispatcher(LoopDispatcher):
    """The real one, with another channel."""

    def __init__(self, runtime: Any, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(runtime, loop)
        loop.remove_reader(self._channel.fileno())
        channel: Any = _Channel(lambda: loop.call_soon(self._on_ready))
        self._channel = channel


class _Site:
    """The native constants of a site."""

    def __init__(self, numbers: count[int]) -> None:
        self._numbers = numbers

    def request(self, channel: _Channel, *parts: Any) -> _Request:
        return _Request(next(self._numbers), channel)


class Runtime:
    """A runtime whose PHP runs.

    Attributes:
        observers: as the real one's.
    """

    is_running = ready = True

    def __init__(self) -> None:
        self.config = RuntimeConfig()
        self.observers: list[Any] = []
        self._site = _Site(count(1))
        self._dispatcher: LoopDispatcher | None = None

    def dispatcher(self) -> LoopDispatcher:
        """Give the one dispatcher, of the running loop."""
        if self._dispatcher is None:
            self._dispatcher = _Dispatcher(self, asyncio.get_running_loop())
        return self._dispatcher

    def limits(self, config: RuntimeConfig) -> TimeLimits:
        """Make time limits, as the real one does."""
        return TimeLimits(config)

    @property
    def sites(self) -> Runtime:
        """Its table of sites, too."""
        return self

    def native(self, site: Any) -> _Site:
        """Give the constants of a site."""
        site.unchanged = native.unchanged
        return self._site

    def register(self, site: Any, name: str = "") -> None:
        """Take note of a site."""

    def worker_for(self, site: Any, script: bytes, worker: Any = None) -> None:
        """Give the worker of a script: none."""
