"""Limits on the time of one request: the kill of what runs too long, the slow log for what is slow."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from howdah.engine.native import native
from howdah.runtime.deadline import Escalation, Graces, Stage
from howdah.runtime.event import Event
from howdah.runtime.slowlog import SlowLog

if TYPE_CHECKING:
    from howdah.config.model import RuntimeConfig
    from howdah.engine.native import Request

_log = logging.getLogger("howdah.runtime")

STATUS = 504
_TRACE_S = 0.05


class TimeLimits:
    """``request_timeout`` and ``slow_request_threshold``; callable from any thread.

    A site's or worker's own limit comes with each request (``Request.timeout_s``); set `is_active` when such a site
    is served.

    Args:
        config: the runtime's settings.
        on_stuck: called with slot and number of a request that has survived the kill, once per request.
        on_late: called when a request is over its time, once per request.
        clock: gives seconds.
        worker_of: gives the name of the worker that a slot belongs to, empty for none.

    Attributes:
        timeout_s: wall-clock time that a script may take, 0 = any.
        is_active: there is something to enforce.
        on_stuck: as given.
    """

    __slots__ = ("_clock", "_graces", "_late", "_on_late", "_slow", "is_active", "on_stuck", "timeout_s")

    def __init__(
        self,
        config: RuntimeConfig,
        on_stuck: Callable[[int, int], None] | None = None,
        on_late: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        worker_of: Callable[[int], str] | None = None,
    ) -> None:
        self.timeout_s = config.request_timeout_s
        self.on_stuck = on_stuck
        self._on_late = on_late
        self._clock = clock
        self._graces = Graces()
        self._slow = SlowLog(config.slow_request_threshold_s, clock, worker_of)
        self._late: dict[int, tuple[int, Escalation]] = {}
        self.is_active = bool(self.timeout_s or config.slow_request_threshold_s)

    def enforce(self, request: Request) -> bool:
        """Do what is due for a running request: log that it is slow, or take the next step to end it.

        To be called again and again, every 20 ms or so, until the request's script has ended.

        Returns:
            True when the request is over its time.
        """
        slot = request.slot
        if slot < 0:
            return False
        running_s = request.times_s[1]
        self._slow.look(request, running_s)
        limit_s = request.timeout_s or self.timeout_s
        if not limit_s or running_s < limit_s:
            return False
        self._end(request, slot, limit_s)
        return True

    def report(self, request: Request) -> None:
        """Say that the response of a request is complete; its script may go on and is still held to its limit."""
        if self._slow.threshold_s:
            self._slow.end(request, request.times_s[1])

    def _end(self, request: Request, slot: int, limit_s: float) -> None:
        number = request.id
        kills = native.thread_kills(slot, number)
        if kills < 0:
            self._late.pop(number, None)
            return
        known = self._late.get(number)
        if known is None:
            self._forget_ended()
            known = self._late[number] = (slot, Escalation(self._graces, self._clock))
            if self._on_late is not None:
                self._on_late()
        stage = known[1].due(kills)
        if stage is Stage.WAIT:
            return
        native.thread_kill(slot, number, f"request_timeout of {limit_s:g} s reached", STATUS, min(stage, Stage.CUTOFF))
        if stage is Stage.STUCK:
            self._give_up(request, slot)

    def _give_up(self, request: Request, slot: int) -> None:
        """Report a script that survives everything, and answer its client."""
        _log.error(
            Event(
                "script is stuck: it has survived its time limit, the kill signal and the end of its connections",
                request=request.label,
                duration_s=round(request.times_s[1], 3),
                thread=slot,
                request_id=request.id,
                backtrace=native.trace(slot, request.id, _TRACE_S),
            )
        )
        request.give_up(STATUS)
        if self.on_stuck is not None:
            self.on_stuck(slot, request.id)

    def _forget_ended(self) -> None:
        for number, (slot, _) in list(self._late.items()):
            if native.thread_kills(slot, number) < 0:
                self._late.pop(number, None)
