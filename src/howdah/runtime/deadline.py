"""What is due for a request that has outlived its time limit: the stages of a kill, each with its own grace.

Pure: knows neither PHP nor threads, and the time comes from a function that is given.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum


class Stage(IntEnum):
    """What to do with a script now; the numbers of the first three are those of the native extension.

    Attributes:
        WAIT: nothing; shutdown functions and destructors have their own time.
        FLAG: set PHP's interrupt flag: a script that computes ends.
        SIGNAL: also send the kill signal: a system call that is not repeated ends.
        CUTOFF: also shut down the sockets that the script waits for.
        STUCK: as CUTOFF; the script has survived everything, and it is time to say so.
    """

    WAIT = 0
    FLAG = 1
    SIGNAL = 2
    CUTOFF = 3
    STUCK = 4


@dataclass(frozen=True, slots=True)
class Graces:
    """How long each stage gets before the next one.

    Args:
        flag_s: for a script that computes to come to an interrupt.
        signal_s: for a system call that the signal has ended to give its thread back.
        cutoff_pause_s: between two times of shutting sockets down, which costs more than a signal.
        second_s: for shutdown functions and destructors, after the first fatal error.
        stuck_s: for all stages together, counted from the deadline and again from the second one.
    """

    flag_s: float = 0.04
    signal_s: float = 0.2
    cutoff_pause_s: float = 0.1
    second_s: float = 1.0
    stuck_s: float = 2.0


class Escalation:
    """One request that is over its time; made at its deadline and asked again and again what is due.

    Args:
        graces: how long the stages take.
        clock: gives seconds.
    """

    __slots__ = ("_clock", "_cut_at", "_graces", "_is_stuck", "_kills", "_since")

    def __init__(self, graces: Graces | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._graces = graces or Graces()
        self._clock = clock
        self._since = clock()
        self._kills = 0
        self._cut_at = -1.0
        self._is_stuck = False

    @property
    def is_stuck(self) -> bool:
        """`Stage.STUCK` was given."""
        return self._is_stuck

    def due(self, kills: int) -> Stage:
        """Say what to do now.

        Args:
            kills: fatal errors that the kill has raised in the request so far. With the first one the second
                deadline begins; more of them change nothing, so that no script can put off its end for ever.
        """
        now = self._clock()
        if kills > 0 and self._kills == 0:
            self._since = now + self._graces.second_s
        self._kills = max(self._kills, kills)
        age = now - self._since
        if age < 0:
            return Stage.WAIT
        if age >= self._graces.stuck_s and not self._is_stuck:
            self._is_stuck = True
            self._cut_at = now
            return Stage.STUCK
        if age < self._graces.flag_s:
            return Stage.FLAG
        if age < self._graces.flag_s + self._graces.signal_s or now - self._cut_at < self._graces.cutoff_pause_s:
            return Stage.SIGNAL
        self._cut_at = now
        return Stage.CUTOFF
