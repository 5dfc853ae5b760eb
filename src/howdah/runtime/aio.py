"""Requests of one event loop: hand-over to PHP, wake-up when there is an answer, limits on waiting.

The only module of ``runtime`` that knows asyncio; it is loaded when a loop asks for a dispatcher.
Everything here runs on the loop's own thread, so nothing is locked.

One timer sweeps all open requests instead of one timer per request: it gives requests that take long
to their watchers, and ends those that have waited for a thread longer than ``max_wait_time``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from howdah.engine import native as engine
from howdah.engine.native import ABORTED, DONE, HEADERS, INTERIM, MORE, PUSH_DEFERRED, PUSH_FULL, PUSH_OK, native
from howdah.errors import (
    ClientDisconnected,
    Draining,
    HowdahError,
    QueueFull,
    RequestRejected,
    WaitTimeout,
    WorkerUnavailable,
)
from howdah.runtime.ledger import Ledger
from howdah.runtime.pools import unavailable
from howdah.runtime.stats import observe

if TYPE_CHECKING:
    from howdah.config.model import RuntimeConfig
    from howdah.runtime.pools import WorkerPool
    from howdah.runtime.request import RequestParts
    from howdah.runtime.runtime import Runtime
    from howdah.runtime.site import Site

# A request that takes longer than this gets a watcher for its client's disconnect; a faster one pays nothing.
SLOW_S = 0.02
# How long a request may be left to a thread that turns out to be busy, though others are idle.
_SECOND_LOOK_S = 0.001
PIECE_BYTES = 256 * 1024
_FED_ENOUGH_BYTES = 256 * 1024

Headers = list[tuple[bytes, bytes]]
Piece = tuple[int, int, Headers | None, bytes]


def _pool_flush(number: int, *, everything: bool) -> bool:
    try:
        return native.pool_flush(number, everything)
    except RuntimeError:  # a worker that was taken away meanwhile
        return False


class Exchange:
    """One request on its way through PHP, as the loop sees it.

    Attributes:
        request: the native record.
        number: the request's number in this process.
        tick: sweep before which it was handed over.
        since: loop time of the hand-over in seconds, known (to 40 ms) once the request is slow.
        ended: PHP's part is over and counted.
        is_abandoned: nobody will call `next` again.
        pool: the worker that takes it, None = a regular thread.
        site: name of the site.
        status: HTTP status of the response, 0 = not known yet.
    """

    __slots__ = (
        "_dispatcher",
        "_failure",
        "_future",
        "_more",
        "_on_slow",
        "_signalled",
        "_writable",
        "ended",
        "is_abandoned",
        "number",
        "pool",
        "request",
        "since",
        "site",
        "status",
        "tick",
    )

    def __init__(
        self, dispatcher: LoopDispatcher, request: engine.Request, on_slow: Callable[[Exchange], None] | None
    ) -> None:
        self.request = request
        self.number = request.id
        self.tick = dispatcher.tick
        self.since = 0.0
        self.ended = False
        self.is_abandoned = False
        self.pool: WorkerPool | None = None
        self.site = ""
        self.status = 0
        self._dispatcher = dispatcher
        self._on_slow = on_slow
        self._future: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._signalled = False
        self._more = 0
        self._failure: tuple[type[HowdahError], str] | None = None

    async def next(self) -> Piece:
        """Wait for what can be sent next.

        Returns:
            Flags (``HEADERS``, ``INTERIM``, ``MORE``, ``DONE``), status, headers, and up to 256 KiB of body.
            Status and headers are valid with ``HEADERS`` or ``INTERIM`` only. After ``DONE`` nothing follows.

        Raises:
            WaitTimeout: no thread was free for ``max_wait_time``.
            Draining: the runtime stopped before the request ran.
            ClientDisconnected: it was aborted before it ran.
        """
        while True:
            if self._failure is not None:
                # Made here, because an exception that the exchange kept would keep the exchange by its traceback,
                # and so the request's spool file open until the garbage collector comes.
                kind, text = self._failure
                raise kind(text)
            if self._more or self._signalled:
                self._signalled = False
                piece = self.request.take(PIECE_BYTES)
                flags = piece[0]
                self._more = flags & MORE
                if flags & HEADERS:
                    self.status = piece[1]
                if flags & DONE:
                    self._end(self.request.outcome)
                    if self.request.outcome == engine.REJECTED:
                        if self.pool is not None and self.pool.last_error is not None:
                            raise unavailable(self.pool)
                        raise Draining("the server is stopping")
                    if self.request.outcome == ABORTED and not flags & HEADERS and piece[3] == b"":
                        raise ClientDisconnected("the client left before the script ran")
                    return piece
                if flags & (HEADERS | INTERIM) or piece[3]:
                    self.notice_slow()
                    return piece
                continue
            await self._wait()

    async def wait_writable(self) -> None:
        """Wait until PHP has read enough of a streamed body to be fed again, or the exchange is over."""
        while not self.ended and self._failure is None and self.request.fed_bytes >= _FED_ENOUGH_BYTES:
            self._writable = self._dispatcher.loop.create_future()
            try:
                await self._writable
            finally:
                self._writable = None

    def abort(self) -> None:
        """Say that the client is gone; a request that still waits is taken out and never runs."""
        if self.ended:
            return
        self.request.abort()
        if self.request.cancel():
            self.fail(ClientDisconnected, "the client left while the request waited", ABORTED)

    def close(self) -> None:
        """Say that nobody will call `next` again; what still runs is aborted and accounted for when it ends."""
        if not self.ended:
            self.is_abandoned = True
            self.abort()
            if not self.ended:
                self.settle()

    def fail(self, kind: type[HowdahError], text: str, outcome: int) -> None:
        """End the exchange with an error; `next` raises it."""
        self._failure = (kind, text)
        if issubclass(kind, RequestRejected):
            self._dispatcher.ledger.rejected[kind.reason] += 1
            self._leave()
        else:
            self._end(outcome)
        self.wake()

    def wake(self) -> None:
        """Let `next` look again."""
        self._signalled = True
        for future in (self._future, self._writable):
            if future is not None and not future.done():
                future.set_result(None)

    def settle(self) -> None:
        """Account for the end of a request that nobody reads any more."""
        while True:
            flags = self.request.take(PIECE_BYTES)[0]
            if flags & DONE:
                self._end(self.request.outcome)
                return
            if not flags & MORE:
                return

    def notice_slow(self) -> None:
        """Call ``on_slow``, at most once."""
        if self._on_slow is not None:
            on_slow, self._on_slow = self._on_slow, None
            on_slow(self)

    async def _wait(self) -> None:
        self._future = self._dispatcher.loop.create_future()
        try:
            await self._future
        finally:
            self._future = None

    def _end(self, outcome: int) -> None:
        if not self.ended:
            self._dispatcher.ledger.ended(outcome)
            if self.pool is not None or self._dispatcher.observers:
                observe(self._dispatcher.observers, self.request, self.pool, self.site, self.status)
            self._dispatcher.limits.report(self.request)
            self._leave()
            if self._dispatcher.limits.is_active and self.request.finished_early:
                self._dispatcher.watch_rest(self)

    def _leave(self) -> None:
        self.ended = True
        self._on_slow = None
        self._dispatcher.forget(self)


class LoopDispatcher:
    """Binds the runtime to one event loop; made by `Runtime.dispatcher`.

    Attributes:
        ledger: the request balance of this loop.
        limits: of the runtime.
        tick: number of sweeps.
        observers: of the runtime.
    """

    def __init__(self, runtime: Runtime, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.ledger = Ledger()
        self._runtime = runtime
        self._native_site = runtime.sites.native
        self._channel = engine.Channel()
        self._open: dict[int, Exchange] = {}
        self._slow: dict[int, Exchange] = {}
        self._waiting: dict[int, Exchange] = {}
        self._rest: dict[int, Exchange] = {}
        self._flush_is_due: set[int] = set()  # numbers of pools
        self._left_waiting: set[int] = set()
        self._second_look: asyncio.TimerHandle | None = None
        self.tick = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self.observers = runtime.observers
        self._max_wait_s = runtime.config.max_wait_time_s
        self.limits = runtime.limits(runtime.config)
        loop.add_reader(self._channel.fileno(), self._on_ready)

    def accept(self) -> None:
        """Count a request that is meant for PHP, before its body is received."""
        self.ledger.accepted += 1

    def reject(self, error: RequestRejected) -> None:
        """Count the end of an accepted request that was refused before it was submitted."""
        self.ledger.rejected[error.reason] += 1

    def abandon(self) -> None:
        """Count the end of an accepted request whose client left before it was submitted."""
        self.ledger.aborted += 1

    def request(
        self, site: Site, *parts: *RequestParts, env: list[tuple[bytes, bytes]] | None = None
    ) -> engine.Request:
        """Build the native record of a request; give it its body before `submit`.

        Args:
            site: whose constants the script sees.
            parts: what PHP needs to know of the request.
            env: variables of this request alone, beside the site's.
        """
        if site.config.request_timeout_s:
            self.limits.is_active = True
        return self._native_site(site).request(self._channel, *parts, env)

    def submit(
        self,
        request: engine.Request,
        on_slow: Callable[[Exchange], None] | None = None,
        pool: WorkerPool | None = None,
    ) -> Exchange:
        """Hand a request to PHP.

        Args:
            request: from `request`, with its body.
            on_slow: called at most once, on the loop, when the request has lasted 20 ms or has flushed.
            pool: the worker that takes it; None = a regular thread.

        Raises:
            WorkerUnavailable: the worker's script does not boot; counted.
            QueueFull: ``max_queue`` requests wait already; counted.
            Draining: the runtime is stopping; counted.
        """
        number = 0
        if pool is not None:
            if pool.last_error is not None and pool.is_broken():
                raise self._refuse_worker(pool)
            number = pool.number
            if pool.timeout_s:
                request.timeout_s = pool.timeout_s
                self.limits.is_active = True
        try:
            code = request.submit(number, True)
        except RuntimeError as error:
            raise self._refuse(Draining, str(error)) from None
        if code == PUSH_DEFERRED:
            if not self._flush_is_due:
                self.loop.call_soon(self._flush)
            self._flush_is_due.add(number)
        elif code == PUSH_FULL:
            raise self._refuse(QueueFull, "too many requests wait for PHP")
        elif code != PUSH_OK:
            raise self._refuse(Draining, "the server is stopping")
        exchange = Exchange(self, request, on_slow)
        if pool is not None:
            exchange.pool = pool
        self._open[exchange.number] = exchange
        if self._sweeper is None:
            self._sweeper = self.loop.call_later(SLOW_S, self._sweep)
        return exchange

    def forget(self, exchange: Exchange) -> None:
        """Drop an exchange that has ended."""
        number = exchange.number
        if self._open.pop(number, None) is None:
            self._slow.pop(number, None)
            self._waiting.pop(number, None)

    def watch_rest(self, exchange: Exchange) -> None:
        """Hold a script to the time limit that goes on after it has finished its response."""
        self._rest[exchange.number] = exchange
        if self._sweeper is None:
            self._sweeper = self.loop.call_later(SLOW_S, self._sweep)

    def close(self) -> None:
        """Detach from the loop; open exchanges are aborted. Call it on the loop's thread."""
        if self._second_look is not None:
            self._second_look.cancel()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for exchange in [*self._open.values(), *self._slow.values()]:
            exchange.close()
        if not self.loop.is_closed():
            self.loop.remove_reader(self._channel.fileno())
        self._channel.close()

    def configure(self, config: RuntimeConfig) -> None:
        """Take over other limits; callable from any thread, since each is one reference."""
        self._max_wait_s = config.max_wait_time_s
        self.limits = self._runtime.limits(config)

    def _refuse_worker(self, pool: WorkerPool) -> RequestRejected:
        self.ledger.rejected[WorkerUnavailable.reason] += 1
        return unavailable(pool)

    def _refuse(self, kind: type[RequestRejected], *arguments: str) -> RequestRejected:
        """Count a refusal and make its error; a local name for it where it is raised would be a reference cycle."""
        self.ledger.rejected[kind.reason] += 1
        return kind(*arguments)

    def _flush(self) -> None:
        """Have threads woken for what was submitted in this tick.

        Of requests that are brief some may be left to the threads that are awake. If these turn out to be busy for
        longer, the others are woken a moment later.
        """
        due, self._flush_is_due = self._flush_is_due, set()
        for number in due:
            if _pool_flush(number, everything=False):
                self._left_waiting.add(number)
        if self._left_waiting and self._second_look is None:
            self._second_look = self.loop.call_later(_SECOND_LOOK_S, self._flush_rest)

    def _flush_rest(self) -> None:
        self._second_look = None
        left, self._left_waiting = self._left_waiting, set()
        for number in left:
            _pool_flush(number, everything=True)

    def _on_ready(self) -> None:
        young = self._open
        for number in self._channel.drain():
            exchange = young.get(number) or self._slow.get(number)
            if exchange is None:
                continue
            if exchange.is_abandoned:
                exchange.settle()
            else:
                exchange.wake()

    def _sweep(self) -> None:
        """Move what is older than one sweep to the slow ones; the dictionary is in order of age."""
        self._sweeper = None
        now = self.loop.time()
        oldest = self.tick
        self.tick += 1
        for number, exchange in list(self._open.items()):
            if exchange.tick >= oldest:
                break
            del self._open[number]
            self._slow[number] = exchange
            exchange.since = now - SLOW_S
            if self._max_wait_s > 0 and exchange.request.state == "queued":
                self._waiting[number] = exchange
            exchange.notice_slow()
        if self._waiting:
            self._reject_overdue(now)
        has_limit = self.limits.is_active
        if has_limit:
            for exchange in self._slow.values():
                self.limits.enforce(exchange.request)
            for number, exchange in list(self._rest.items()):
                if exchange.request.state == "done":
                    del self._rest[number]
                else:
                    self.limits.enforce(exchange.request)
        if self._open or self._waiting or self._rest or (has_limit and self._slow):
            self._sweeper = self.loop.call_later(SLOW_S, self._sweep)

    def _reject_overdue(self, now: float) -> None:
        for number, exchange in list(self._waiting.items()):
            if now - exchange.since < self._max_wait_s:
                break
            del self._waiting[number]
            if exchange.request.cancel():
                exchange.fail(WaitTimeout, f"no PHP thread was free for {self._max_wait_s:g} s", engine.REJECTED)
