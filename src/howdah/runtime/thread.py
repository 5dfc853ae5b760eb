"""A PHP thread as Python sees it: a daemon thread whose body calls into C, and decides when C returns.

C returns only when something must be decided: the thread was told to leave its pool, has served its
``max_requests``, its request was killed, PHP failed where a thread cannot go on, or a worker's script ended.
What follows is decided here, on the slot's own thread.
"""

from __future__ import annotations

import enum
import logging
import random
import threading
import time
from typing import TYPE_CHECKING

from howdah.engine.native import (
    EVENT_ENDED,
    EVENT_KILLED,
    EVENT_LEFT,
    EVENT_MEMORY,
    EVENT_RECYCLE,
    EVENT_STOPPED,
    EVENT_UNHEALTHY,
    native,
)
from howdah.runtime.event import Event
from howdah.runtime.pools import Pool, WorkerPool

if TYPE_CHECKING:
    from howdah.runtime.fleet import Fleet

_log = logging.getLogger("howdah.runtime")

_REASONS = {
    EVENT_RECYCLE: "max_requests",
    EVENT_MEMORY: "memory",
    EVENT_KILLED: "killed",
    EVENT_UNHEALTHY: "unhealthy",
}
_LONGEST_BACKOFF_S = 1.0


class _Next(enum.Enum):
    GO_ON = enum.auto()
    RECYCLE = enum.auto()
    STOP = enum.auto()


class PhpThread:
    """One slot and the OS threads that live in it, one after the other.

    Everything but `start` runs on the slot's own thread. The fields without underscore are written under the
    fleet's lock, and its condition is notified.

    Attributes:
        slot: number of the slot.
        role: the pool that it serves, None = inactive.
        wanted: the pool that it is to change to while its state is "transition requested".
        restart: its worker's script is to boot again.
        dismissed: it is to end as soon as it has no role.
        generation: of the worker's code that its script runs, or boots with.
        failed_generation: generation of the last boot that failed, -1 = none.
        failure: what PHP said about it.
        is_waiting: outside C: inactive, in back-off, or parked for a wipe.
    """

    def __init__(self, slot: int, fleet: Fleet) -> None:
        self.slot = slot
        self.role: Pool | None = None
        self.wanted: Pool | None = None
        self.restart = False
        self.dismissed = False
        self.generation = 0
        self.failed_generation = -1
        self.failure = ""
        self.is_waiting = False
        self._fleet = fleet
        self._is_first_life = True
        self._ident = 0

    # -- life -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start an OS thread in the reserved slot; returns before it is ready."""
        if not native.slot_change(self.slot, "reserved", "boot requested"):
            raise RuntimeError(f"slot {self.slot} is {native.slot_state(self.slot)}, not reserved")
        self._spawn()

    def _spawn(self) -> None:
        thread = threading.Thread(target=self._body, name=f"php-{self.slot}", daemon=True)
        try:
            with self._fleet.stack_size():
                thread.start()
        except RuntimeError:
            native.slot_change(self.slot, "boot requested", "reserved")
            _log.exception("no OS thread could be started for PHP slot %d", self.slot)
            raise

    def _set_limits(self, pool: Pool | None) -> None:
        limit = pool.max_requests if pool is not None else 0
        if limit and self._is_first_life:
            # Threads that started together must not end together; jitter only shortens.
            limit = random.randint((limit + 1) // 2, limit)
        native.slot_limit(self.slot, limit, self._fleet.max_thread_memory_bytes)

    def _change(self, *ways: tuple[str, str]) -> bool:
        """Make the first of the changes that fits the state."""
        return any(native.slot_change(self.slot, expected, to) for expected, to in ways)

    def _body(self) -> None:
        native.thread_boot(self.slot)
        with self._fleet.changed:
            # In one step, or somebody else could give the inactive thread another role in between.
            self._change(("booting", "inactive"))
            if self.role is not None and self._change(("inactive", "transition requested")):
                self.wanted = self.role
        try:
            what = self._live()
        except Exception:
            _log.exception("PHP thread %d ended by an error of the server itself; please report this", self.slot)
            what = _Next.RECYCLE
        is_stuck = native.slot_state(self.slot) == "stuck"
        if not is_stuck:
            self._leave("rebooting" if what is _Next.RECYCLE else "shutting down")
        native.thread_free(self.slot)
        self._end(is_stuck=is_stuck)

    def _leave(self, to: str) -> None:
        """Leave the present state for good; a change of role that was ordered meanwhile is carried out."""
        with self._fleet.changed:
            if self._change(("transition requested", to)):
                self._fleet.move(self, self.wanted)
                self.wanted = None
                return
            states = ("ready", "restarting", "inactive", "transition complete", "yielding")
            self._change(*((state, to) for state in states), ("transition in progress", "shutting down"))

    def _end(self, *, is_stuck: bool) -> None:
        """Free the slot, or give it to a fresh OS thread."""
        if is_stuck:
            _log.warning("PHP thread %d, which was stuck, has ended after all", self.slot)
            self._change(("stuck", "done"))
        elif self._change(("rebooting", "reboot ready")):
            with self._fleet.changed:
                stopping = self._fleet.is_stopping()
            self._is_first_life = False
            if not stopping and self._change(("reboot ready", "boot requested")):
                self._spawn()
                return
            self._change(("reboot ready", "done"))
        else:
            self._change(("shutting down", "done"))
        self._fleet.thread_gone(self)
        native.slot_change(self.slot, "done", "reserved")
        self._fleet.notify()

    # -- roles ------------------------------------------------------------------------------------

    def _live(self) -> _Next:
        while True:
            role = self._take_role()
            if role is None:
                return _Next.STOP
            what = self._run_worker(role) if isinstance(role, WorkerPool) else self._run_regular(role)
            if what is not _Next.GO_ON:
                return what

    def _take_role(self) -> Pool | None:
        """Wait for a role, and take it up; None = the thread is to end."""
        fleet = self._fleet
        with fleet.changed:
            while True:
                if fleet.is_stopping() or native.slot_state(self.slot) == "stuck":
                    return None
                if self._change(("transition requested", "transition in progress")):
                    fleet.move(self, self.wanted)
                    self.wanted = None
                    if self.role is not None:
                        self._change(("transition in progress", "transition complete"))
                        self._set_limits(self.role)
                        fleet.changed.notify_all()
                        return self.role
                    self._change(("transition in progress", "inactive"))
                    fleet.changed.notify_all()
                elif self.dismissed and self._change(("inactive", "shutting down")):
                    self.dismissed = False
                    return None
                elif self.role is not None and native.slot_state(self.slot) in {"ready", "restarting"}:
                    return self.role
                self.is_waiting = True
                fleet.changed.wait()
                self.is_waiting = False

    def _run_regular(self, pool: Pool) -> _Next:
        self._change(("transition complete", "ready"))
        self._fleet.notify()
        event = native.thread_run(self.slot, pool.number)
        if event == EVENT_STOPPED:
            return _Next.STOP
        if event == EVENT_LEFT:
            return _Next.GO_ON
        return self._recycle(pool, event)

    def _recycle(self, pool: Pool, event: int) -> _Next:
        reason = _REASONS[event]
        self._fleet.count_recycle(pool, reason)
        worker = {"worker": pool.name} if pool.worker is not None else {}
        if event == EVENT_RECYCLE:
            _log.log(
                logging.DEBUG,
                Event(
                    "max requests reached, restarting" + ("" if worker else " thread"),
                    **worker,
                    thread=self.slot,
                    max_requests=pool.max_requests,
                ),
            )
        elif event == EVENT_MEMORY:
            limit = self._fleet.max_thread_memory_bytes
            _log.log(
                logging.INFO,
                Event("thread memory reached, restarting thread", **worker, thread=self.slot, max_thread_memory=limit),
            )
        elif event == EVENT_UNHEALTHY:
            _log.log(logging.WARNING, Event("Restarting unhealthy thread", **worker, thread=self.slot))
        return _Next.RECYCLE

    # -- workers ----------------------------------------------------------------------------------

    def _run_worker(self, pool: WorkerPool) -> _Next:
        fleet = self._fleet
        self._yield()
        with fleet.changed:
            if fleet.is_stopping():
                return _Next.STOP
            self.restart = False
            self.generation = pool.generation
        _log.log(logging.DEBUG, Event("starting", worker=pool.name, thread=self.slot))
        event, booted, status, error, _ = native.worker_run(
            self.slot, pool.number, pool.boot_record(), pool.worker.reset_to_baseline
        )
        self._change(("ready", "restarting"), ("transition complete", "restarting"))
        if event in _REASONS:
            if not booted:
                self._note_failure(pool, error or "its boot was ended by the server")
            return self._recycle(pool, event)
        if event == EVENT_ENDED:
            self._note_end(pool, booted=booted, status=status, error=error)
        else:
            with fleet.changed:
                pool.counts.restarts += 1
        if fleet.is_stopping():
            _log.log(logging.DEBUG, Event("shutting down", worker=pool.name, thread=self.slot))
            return _Next.STOP
        if event == EVENT_ENDED and not booted:
            self._back_off(pool)
        return _Next.GO_ON

    def _note_end(self, pool: WorkerPool, *, booted: bool, status: int, error: str | None) -> None:
        fields = {"worker": pool.name, "thread": self.slot, "exit_status": status}
        if not booted:
            self._note_failure(
                pool, error or f"it ended with status {status} and called no frankenphp_handle_request()"
            )
            return
        with self._fleet.changed:
            if status:
                pool.counts.crashes += 1
            else:
                pool.counts.restarts += 1
        if status:
            _log.log(logging.WARNING, Event("unexpected termination, restarting", **fields))
        else:
            _log.log(logging.DEBUG, Event("restarting", **fields))

    def _note_failure(self, pool: WorkerPool, error: str) -> None:
        with self._fleet.changed:
            pool.counts.crashes += 1
            pool.counts.boot_failures += 1
            pool.failures += 1
            pool.last_error = error
            self.failed_generation = self.generation
            self.failure = error
            failures = pool.failures
            self._fleet.changed.notify_all()
        _log.log(
            logging.WARNING,
            Event(
                "worker script has failed on restart",
                worker=pool.name,
                thread=self.slot,
                failures=failures,
                error=error,
            ),
        )
        if pool.is_broken():
            # Nobody is left to take what waits; a refusal now is better than one after max_wait_time.
            native.pool_evict(pool.number)

    def _back_off(self, pool: WorkerPool) -> None:
        """Wait before the script boots again, longer after each failure; orders end the wait."""
        with self._fleet.changed:
            backoff_s = min((pool.failures - 1) ** 2 * 0.1, _LONGEST_BACKOFF_S)
            deadline = time.monotonic() + backoff_s
            self.is_waiting = True
            while not (self._fleet.is_stopping() or self._fleet.wiping or self.restart):
                if native.slot_state(self.slot) != "restarting":
                    break
                if pool.has_failed():
                    self._fleet.changed.wait()
                    continue
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._fleet.changed.wait(left)
            self.is_waiting = False

    def _yield(self) -> None:
        """Park outside any PHP request while OPcache is to be wiped."""
        fleet = self._fleet
        with fleet.changed:
            ways = (("restarting", "yielding"), ("transition complete", "yielding"))
            if not fleet.wiping or not self._change(*ways):
                return
            fleet.changed.notify_all()
            self.is_waiting = True
            while fleet.is_wiping() and not fleet.is_stopping():
                fleet.changed.wait()
            self.is_waiting = False
            self._change(("yielding", "restarting"))
