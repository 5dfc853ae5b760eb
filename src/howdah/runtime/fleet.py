"""The slots of a runtime and who serves what: gives roles, takes them away, and counts what happened.

One lock guards everything that threads and their supervisor share; nobody holds it while PHP runs. Each
slot's state is in C (``native/hw_board.c``), and so are the queues.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from howdah.engine.native import KILL_BY_CUTOFF, native
from howdah.runtime.event import Event
from howdah.runtime.pools import Pool, WorkerPool
from howdah.runtime.stack import stack_size
from howdah.runtime.thread import PhpThread

if TYPE_CHECKING:
    from howdah.config.model import RuntimeConfig

_log = logging.getLogger("howdah.runtime")

_POLL_S = 0.002
_UNAVAILABLE = 503
_GONE = frozenset({"reserved", "done"})
_LIVING = ("ready", "restarting", "transition requested", "transition complete")


class Fleet:
    """All slots of one runtime.

    Args:
        config: settings of the runtime.
        ceiling: number of slots.

    Attributes:
        changed: condition of the fleet's lock; notified after each change of an order, a role or a life.
        wiping: workers' threads are to park outside PHP; written under the lock.
        max_thread_memory_bytes: PHP memory from which a thread is recycled, 0 = never.
        max_threads: threads that may live at the same time.
        kills: requests that were killed, by reason; under the lock.
        stuck: threads that ever got stuck; under the lock.
        recycles: threads that were replaced, by reason; under the lock.
    """

    def __init__(self, config: RuntimeConfig, ceiling: int) -> None:
        self.changed = threading.Condition()
        self._stopping = False
        self.wiping = False
        self.max_thread_memory_bytes = config.max_thread_memory_bytes
        self.max_threads = 0
        self.kills: Counter[str] = Counter()
        self.stuck = 0
        self.recycles: Counter[str] = Counter()
        self.threads = [PhpThread(slot, self) for slot in range(ceiling)]
        self._stack_size_bytes = config.thread_stack_size_bytes

    # -- called by threads ----------------------------------------------------------------------------

    def stack_size(self) -> AbstractContextManager[None]:
        """Have threads that are started within get PHP's stack."""
        return stack_size(self._stack_size_bytes)

    def is_stopping(self) -> bool:
        """Tell whether threads are to end; written under the lock, read anywhere."""
        return self._stopping

    def is_wiping(self) -> bool:
        """Tell whether workers' threads are to park."""
        return self.wiping

    def move(self, thread: PhpThread, to: Pool | None) -> None:
        """Put a thread into another pool; the caller holds the lock."""
        if thread.role is not None:
            thread.role.slots.discard(thread.slot)
        thread.role = to
        if to is not None:
            to.slots.add(thread.slot)

    def thread_gone(self, thread: PhpThread) -> None:
        """Forget the role of a thread that has ended for good."""
        with self.changed:
            if thread.wanted is not None:
                thread.wanted.slots.discard(thread.slot)
                thread.wanted = None
            self.move(thread, None)
            self.changed.notify_all()

    def count_recycle(self, pool: Pool, reason: str) -> None:
        """Count a thread that is replaced."""
        with self.changed:
            self.recycles[reason] += 1
            pool.counts.recycles[reason] = pool.counts.recycles.get(reason, 0) + 1
            if pool.worker is not None and reason != "unhealthy":
                pool.counts.restarts += reason != "killed"
                pool.counts.crashes += reason == "killed"

    def notify(self) -> None:
        """Wake whoever waits for a change."""
        with self.changed:
            self.changed.notify_all()

    # -- roles ------------------------------------------------------------------------------------------

    def living(self) -> list[PhpThread]:
        """Give the threads whose slot is in use."""
        return [thread for thread in self.threads if native.slot_state(thread.slot) not in _GONE]

    def add(self, pool: Pool, count: int) -> int:
        """Give a pool more threads: inactive ones first, then fresh ones, within ``max_threads``.

        Returns before they are ready.

        Returns:
            How many are on their way.
        """
        added = 0
        for thread in self._inactive():
            if added == count:
                break
            added += self.assign(thread, pool)
        room = self.max_threads - sum(native.slot_state(thread.slot) != "stuck" for thread in self.living())
        for thread in self.threads:
            if added == count or room <= 0:
                break
            if native.slot_state(thread.slot) != "reserved":
                continue
            with self.changed:
                if self._stopping:
                    break
                self.move(thread, pool)
            try:
                thread.start()
            except RuntimeError:
                self.thread_gone(thread)
                break
            added += 1
            room -= 1
        return added

    def _inactive(self) -> list[PhpThread]:
        return [thread for thread in self.threads if native.slot_state(thread.slot) == "inactive"]

    def trim(self) -> None:
        """Have threads without a role end that are more than ``max_threads``."""
        surplus = len(self.living()) - self.max_threads
        for thread in self._inactive()[: max(0, surplus)]:
            with self.changed:
                thread.dismissed = True
                self.changed.notify_all()

    def assign(self, thread: PhpThread, pool: Pool | None) -> bool:
        """Have a thread take another role, None = none; it ends its request, or its script, first.

        Returns:
            False when the thread is in a state from which it cannot change its role now.
        """
        with self.changed:
            before = thread.role
            changed = any(
                native.slot_change(thread.slot, state, "transition requested")
                for state in ("inactive", "ready", "restarting")
            )
            if not changed:
                return False
            thread.wanted = pool
            if pool is not None:
                pool.slots.add(thread.slot)  # counts as on its way
            self.changed.notify_all()
            if before is not None:
                native.pool_leave(before.number, thread.slot)
        return True

    # -- restarts -----------------------------------------------------------------------------------------

    def order_restart(self, thread: PhpThread, pool: WorkerPool) -> None:
        """Have one thread of a worker boot its script again, at its next request boundary."""
        with self.changed:
            if thread.role is not pool or thread.generation >= pool.generation:
                return
            thread.restart = True
            self.changed.notify_all()
            native.pool_leave(pool.number, thread.slot)

    # -- waiting and killing --------------------------------------------------------------------------------

    def wait_states(self, slots: Sequence[int], wanted: frozenset[str], timeout_s: float) -> list[int]:
        """Wait until every slot is in one of the wanted states.

        Returns:
            The slots that are not there yet; empty on success.
        """
        deadline = time.monotonic() + timeout_s
        missing = list(slots)
        while True:
            missing = [slot for slot in missing if native.slot_state(slot) not in wanted]
            if not missing or time.monotonic() >= deadline:
                return missing
            with self.changed:
                self.changed.wait(_POLL_S)

    def count_kill(self, reason: str) -> None:
        """Count a request that was ended."""
        with self.changed:
            self.kills[reason] += 1

    def kill(self, slot: int, reason: str) -> bool:
        """End the request or the script that runs in a slot now, by every means."""
        request_id = native.slot_info(slot)["request_id"]
        return bool(request_id) and native.thread_kill(slot, request_id, reason, _UNAVAILABLE, KILL_BY_CUTOFF)

    def mark_stuck(self, slot: int) -> bool:
        """Give a slot up whose thread survived the kill, and have a fresh one take its role."""
        thread = self.threads[slot]
        if not any(native.slot_change(slot, state, "stuck") for state in _LIVING):
            return False
        with self.changed:
            role = thread.role
            self.stuck += 1
            self.move(thread, None)
        _log.error(Event("PHP thread is stuck", thread=slot, what=native.slot_info(slot)["current"]))
        if role is not None and not self._stopping:
            self.add(role, 1)
        return True

    def stop(self) -> None:
        """Have every thread end at its next boundary; the caller closes the queues."""
        with self.changed:
            self._stopping = True
            self.changed.notify_all()
