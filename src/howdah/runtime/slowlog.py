"""The slow log: one entry with PHP's backtrace for each request that runs longer than the threshold.

The entry is written while the request still runs, as soon as its backtrace is known.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from howdah.engine.native import native
from howdah.runtime.event import Event

if TYPE_CHECKING:
    from howdah.engine.native import Request

_log = logging.getLogger("howdah.runtime")

# A script that computes answers at its next interrupt, which is a matter of microseconds unless the machine is busy.
_PATIENCE_S = 0.2
_MAX_KNOWN = 1000


class SlowLog:
    """Requests over ``slow_request_threshold``; called from the sweeps that look at running requests.

    Args:
        threshold_s: 0 logs nothing.
        clock: gives seconds.
        worker_of: gives the name of the worker that a slot belongs to, empty for none.
    """

    __slots__ = ("_clock", "_known", "_worker_of", "threshold_s")

    def __init__(
        self,
        threshold_s: float,
        clock: Callable[[], float] = time.monotonic,
        worker_of: Callable[[int], str] | None = None,
    ) -> None:
        self.threshold_s = threshold_s
        self._worker_of = worker_of
        self._clock = clock
        # By request: when its backtrace was asked for first, or -1 once it is logged.
        self._known: dict[int, float] = {}

    def look(self, request: Request, running_s: float) -> None:
        """Log a running request if it is slow and was not logged yet; never waits for its backtrace."""
        if not self.threshold_s or running_s < self.threshold_s:
            return
        number = request.id
        since = self._known.get(number)
        if since == -1.0:
            return
        now = self._clock()
        if since is None:
            since = now
            self._remember(number, now)
        backtrace = native.trace(request.slot, number, 0.0)
        if backtrace is not None or now - since >= _PATIENCE_S:
            self._known[number] = -1.0
            self._write(request, running_s, backtrace)

    def end(self, request: Request, running_s: float) -> None:
        """Log a request whose response is complete, if it was slow and was not seen while it ran."""
        if not self.threshold_s:
            return
        if self._known.pop(request.id, 0.0) != -1.0 and running_s >= self.threshold_s:
            self._write(request, running_s, None)
        if request.finished_early and running_s >= self.threshold_s:
            self._remember(request.id, -1.0)  # its script goes on, and one entry is enough

    def _remember(self, number: int, since: float) -> None:
        while len(self._known) >= _MAX_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[number] = since

    def _write(self, request: Request, running_s: float, backtrace: str | None) -> None:
        method, _, uri = request.label.partition(" ")
        _log.warning(
            Event(
                "slow request",
                method=method,
                uri=uri,
                duration_s=round(running_s, 3),
                queue_s=round(request.times_s[0], 3),
                worker=self._worker_of(request.slot) if self._worker_of is not None else "",
                thread=request.slot,
                request_id=request.id,
                backtrace=backtrace,
            )
        )
