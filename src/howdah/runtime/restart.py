"""Rolling restarts of worker scripts: one thread of a worker at a time, at request boundaries.

While a thread boots the new code the others of its worker serve, so nothing is lost. If the first one does
not boot, the others keep the old code.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from howdah.engine.native import native
from howdah.errors import EngineStateError, WorkerBootError
from howdah.runtime.event import Event
from howdah.runtime.pools import WorkerPool

if TYPE_CHECKING:
    from howdah.runtime.fleet import Fleet
    from howdah.runtime.thread import PhpThread

_log = logging.getLogger("howdah.runtime")

_POLL_S = 0.005
_KILL_EVERY_S = 0.25


class _Roll:
    """A restart that was asked for; callers that come before it begins share it."""

    def __init__(self, names: frozenset[str] | None, changed: frozenset[str] | None) -> None:
        self.names = names
        self.changed = changed
        self.done = threading.Event()
        self.error: Exception | None = None

    def widen(self, names: frozenset[str] | None, changed: frozenset[str] | None) -> None:
        self.names = None if names is None or self.names is None else self.names | names
        self.changed = None if changed is None or self.changed is None else self.changed | changed


class Roller:
    """Restarts the workers of one runtime, one roll after the other.

    A call during a roll waits for the next one, because threads that are through with the running one may have
    read a file before it changed; all such calls share that next roll.

    Args:
        fleet: the slots.
        pools: gives the workers of this moment.
        invalidate: has OPcache forget files: the given ones, or with None every one that changed.
        grace_s: time that a running request gets before it is killed.
    """

    def __init__(
        self,
        fleet: Fleet,
        pools: Callable[[], Sequence[WorkerPool]],
        invalidate: Callable[[frozenset[str] | None], None],
        grace_s: float,
    ) -> None:
        self._fleet = fleet
        self._pools = pools
        self._invalidate = invalidate
        self._grace_s = grace_s
        self._lock = threading.Lock()  # guards the two fields below
        self._running = False
        self._next: _Roll | None = None
        self.rolls = 0  # by the thread that rolls

    def restart(self, names: Iterable[str] | None = None, changed: Iterable[str] | None = None) -> None:
        """Restart workers and return when every thread runs the new code.

        Args:
            names: only these; None = all.
            changed: paths of files that changed; None = look at every cached script.

        Raises:
            WorkerBootError: the new code does not boot; the text is PHP's, and the old code goes on.
            EngineStateError: a name is unknown, or the runtime stops.
        """
        wanted = None if names is None else frozenset(names)
        files = None if changed is None else frozenset(changed)
        known = {pool.name for pool in self._pools()}
        if wanted is not None and not wanted <= known:
            missing = ", ".join(sorted(wanted - known))
            raise EngineStateError(f"there is no worker {missing}; there are: {', '.join(sorted(known)) or 'none'}")
        with self._lock:
            if self._next is None:
                self._next = _Roll(wanted, files)
            else:
                self._next.widen(wanted, files)
            roll = self._next
            is_runner = not self._running
            self._running = True
        if is_runner:
            self._run()
        roll.done.wait()
        if roll.error is not None:
            raise roll.error

    def _run(self) -> None:
        while True:
            with self._lock:
                roll = self._next
                self._next = None
                if roll is None:
                    self._running = False
                    return
            try:
                self._roll(roll)
            except Exception as error:
                roll.error = error
            finally:
                roll.done.set()

    def _roll(self, roll: _Roll) -> None:
        began = time.monotonic()
        pools = [pool for pool in self._pools() if roll.names is None or pool.name in roll.names]
        if pools:
            _log.info(Event("restarting workers", workers=[pool.name for pool in pools]))
        self._invalidate(roll.changed)
        native.new_code()
        failed: WorkerBootError | None = None
        for pool in pools:
            try:
                self._roll_pool(pool)
            except WorkerBootError as error:
                failed = failed or error
        self.rolls += bool(pools)
        if failed is not None:
            raise failed
        if pools:
            _log.info(Event("workers restarted", duration=round(time.monotonic() - began, 3)))

    def _roll_pool(self, pool: WorkerPool) -> None:
        with self._fleet.changed:
            before = pool.generation
            pool.generation += 1
            pool.failures = 0
            slots = sorted(pool.slots)
        for slot in slots:
            thread = self._fleet.threads[slot]
            self._fleet.order_restart(thread, pool)
            if not self._wait(thread, pool):
                with self._fleet.changed:
                    # Whoever has not been asked yet keeps the old code, and is not "behind".
                    for other in slots:
                        if self._fleet.threads[other].generation == before:
                            self._fleet.threads[other].generation = pool.generation
                raise WorkerBootError(
                    f"worker {pool.name} did not boot with its new code, so its other threads keep the old one: "
                    f"{thread.failure}"
                )

    def _wait(self, thread: PhpThread, pool: WorkerPool) -> bool:
        """Wait until a thread runs the new code, or is none of the worker's any more; False when it did not boot."""
        killed_at = 0.0
        deadline = time.monotonic() + self._grace_s
        while True:
            state = native.slot_state(thread.slot)
            with self._fleet.changed:
                if self._fleet.is_stopping():
                    raise EngineStateError("the runtime stopped during a restart")
                if thread.role is not pool or state in {"reserved", "stuck", "inactive"}:
                    return True
                is_new = thread.generation >= pool.generation
                if is_new and state == "ready":
                    return True
                if thread.failed_generation >= pool.generation:
                    return False
                self._fleet.changed.wait(_POLL_S)
            now = time.monotonic()
            if not is_new and now >= deadline and now - killed_at > _KILL_EVERY_S:
                if not killed_at:
                    current = native.slot_info(thread.slot)["current"]
                    _log.warning(
                        Event("force-killing thread on restart timeout", worker=pool.name, thread=thread.slot,
                              request=current, timeout=self._grace_s)
                    )  # fmt: skip
                killed_at = now
                self._fleet.kill(thread.slot, "the worker restarts")
