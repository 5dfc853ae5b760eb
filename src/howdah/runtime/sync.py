"""Requests of callers that wait: one channel per waiting call, taken from a small stock."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from howdah.engine import native as engine
from howdah.engine.native import DONE, HEADERS, INTERIM, MORE, PUSH_FULL, PUSH_OK
from howdah.errors import Draining, EngineStateError, QueueFull, RequestRejected, WaitTimeout
from howdah.runtime.ledger import Ledger
from howdah.runtime.pools import unavailable
from howdah.runtime.request import Response
from howdah.runtime.stats import observe

if TYPE_CHECKING:
    from howdah.config.model import RuntimeConfig
    from howdah.runtime.pools import WorkerPool
    from howdah.runtime.runtime import Runtime

_PIECE_BYTES = 1024 * 1024
_SLICE_S = 0.05


class SyncDispatcher:
    """Runs requests for threads that block until the answer is there.

    Args:
        runtime: its owner.

    Attributes:
        ledger: request balance, written under the lock because many threads call.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.ledger = Ledger()
        self._runtime = runtime
        self._max_wait_s = runtime.config.max_wait_time_s
        self._limits = runtime.limits(runtime.config)
        self._lock = threading.Lock()
        self._channels: list[engine.Channel] = []  # under the lock

    def channel(self) -> engine.Channel:
        """Take a channel out of the stock; `run` gives it back."""
        with self._lock:
            self.ledger.accepted += 1
            return self._channels.pop() if self._channels else engine.Channel()

    def configure(self, config: RuntimeConfig) -> None:
        """Take over other limits; callable from any thread."""
        self._max_wait_s = config.max_wait_time_s
        self._limits = self._runtime.limits(config)

    def run(
        self, request: engine.Request, channel: engine.Channel, pool: WorkerPool | None = None, site: str = ""
    ) -> Response:
        """Submit a request and block until its response is complete.

        Raises:
            QueueFull: too many requests wait.
            WaitTimeout: no thread was free for ``max_wait_time``.
            Draining: the runtime is stopping.
            WorkerUnavailable: the worker's script does not boot.
            EngineStateError: the runtime is not running.
        """
        try:
            response = self._run(request, channel, pool)
        except RequestRejected as error:
            with self._lock:
                self.ledger.rejected[error.reason] += 1
                self._channels.append(channel)
            raise
        except BaseException:
            request.abort()
            with self._lock:
                self.ledger.aborted += 1
            raise
        with self._lock:
            self.ledger.ended(request.outcome)
            self._channels.append(channel)
            if pool is not None or self._runtime.observers:
                observe(self._runtime.observers, request, pool, site, response.status)
        return response

    def reject(self, error: RequestRejected, channel: engine.Channel) -> None:
        """Count a request that was refused before it was submitted."""
        with self._lock:
            self.ledger.rejected[error.reason] += 1
            self._channels.append(channel)

    def abandon(self, channel: engine.Channel) -> None:
        """Count a request that found no script."""
        with self._lock:
            self.ledger.rejected["not_found"] += 1
            self._channels.append(channel)

    def close(self) -> None:
        """Drop the stock."""
        with self._lock:
            self._channels.clear()

    def _run(self, request: engine.Request, channel: engine.Channel, pool: WorkerPool | None) -> Response:
        if pool is not None and pool.is_broken():
            raise unavailable(pool)
        if pool is not None and pool.timeout_s:
            request.timeout_s = pool.timeout_s
        try:
            code = request.submit(pool.number if pool is not None else 0, False)
        except RuntimeError as error:
            raise EngineStateError(str(error)) from None
        if code != PUSH_OK:
            raise (
                QueueFull("too many requests wait for PHP")
                if code == PUSH_FULL
                else Draining("the runtime is stopping")
            )
        deadline = time.monotonic() + self._max_wait_s if self._max_wait_s > 0 else None
        response = Response(200, [], b"")
        pieces: list[bytes] = []
        status, headers = 200, response.headers
        while True:
            if not channel.wait(_SLICE_S):
                self._limits.enforce(request)
                if deadline is not None and time.monotonic() > deadline and request.cancel():
                    raise WaitTimeout(f"no PHP thread was free for {self._max_wait_s:g} s")
                continue
            flags = MORE
            while flags & MORE:
                flags, code, fields, body = request.take(_PIECE_BYTES)
                if flags & INTERIM:
                    response.interim.append((code, fields or []))
                elif flags & HEADERS:
                    status, headers = code, fields or []
                if body:
                    pieces.append(body)
            if flags & DONE:
                if request.outcome == engine.REJECTED:
                    if pool is not None and pool.last_error is not None:
                        raise unavailable(pool)
                    raise Draining("the runtime stopped before the script ran")
                self._limits.report(request)
                return Response(status, headers, b"".join(pieces), response.interim)
