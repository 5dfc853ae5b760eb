"""Looks after OPcache: wipes its shared memory when no PHP thread uses it, and has it forget changed files.

``opcache_reset()`` and an overflow only ask for a wipe: the engine holds a lock that keeps OPcache from
wiping under running threads (``native/hw_opcache.c``), and it runs uncached until the wipe is done. This
keeper looks every second; when a wipe is due it holds requests back in their queues, has the workers'
scripts unwind, waits until every thread is outside any PHP request, and has it done.

A request that runs long puts the wipe off, since it must not stop the others. When a wipe has been due for
long, such requests are ended after ``opcache_restart_grace``; with a thread that is stuck it has to wait.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from howdah.engine.native import native
from howdah.runtime.event import Event
from howdah.runtime.pools import Pool, WorkerPool

if TYPE_CHECKING:
    from howdah.runtime.fleet import Fleet

_log = logging.getLogger("howdah.runtime")

_LOOK_S = 1.0
_LONGEST_PAUSE_S = 0.5
_LEAST_BETWEEN_S = 10.0
_LONGEST_BETWEEN_S = 60.0
_INSIST_AFTER_S = 60.0
_KILL_GRACE_S = 2.0
_POLL_S = 0.001
_QUIET = frozenset({"inactive", "yielding", "reserved", "done", "reboot ready"})

# When this time is over OPcache kills the process that holds the lock; ours bears the number -1, which means everybody.
FORCED_INI = "opcache.force_restart_timeout=0\n"

_Marks = tuple[int, int, int, int, bytes]


class OpcacheKeeper:
    """The thread that looks after OPcache. Everything but `forget` runs on it.

    Args:
        fleet: the slots.
        pools: gives all pools of this moment, the regular one first.
        grace_s: time that requests get to end before they are killed, once a wipe has been due for a minute.
        least_between_s: shortest time between two wipes.

    Attributes:
        wipes: wipes done.
        put_off: attempts given up.
        pause_s: seconds for which requests were held back, all pauses together.
        longest_pause_s: the longest of them.
        blocked: why a wipe that is due cannot be done, None = nothing is due or it is only put off.
        status: what OPcache said last, or None; `look` asks it.
    """

    def __init__(
        self,
        fleet: Fleet,
        pools: Callable[[], Sequence[Pool]],
        grace_s: float = 5.0,
        least_between_s: float = _LEAST_BETWEEN_S,
    ) -> None:
        self.wipes = 0
        self.put_off = 0
        self.pause_s = 0.0
        self.longest_pause_s = 0.0
        self.blocked: str | None = None
        self.status: dict[str, object] | None = None
        self._fleet = fleet
        self._pools = pools
        self._grace_s = grace_s
        self._least_between_s = least_between_s
        self._due_since = 0.0
        self._marks: dict[bytes, _Marks] = {}
        self._forget_lock = threading.Lock()  # guards the marks
        self._look_lock = threading.Lock()  # held by whoever asks
        self._looked_at = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="howdah-opcache", daemon=True)

    def start(self) -> None:
        """Start looking."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; blocks until a wipe that has begun is over, at most some seconds."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=5)

    def look(self) -> dict[str, object] | None:
        """Give OPcache's memory, hits and restarts, at most a second old; None without OPcache. Any thread."""
        if time.monotonic() - self._looked_at >= _LOOK_S and self._look_lock.acquire(blocking=False):
            try:
                status = native.opcache(False)
                if status is not None:
                    self.status = dict(status)
                self._looked_at = time.monotonic()
            finally:
                self._look_lock.release()
        return self.status

    def _run(self) -> None:
        not_before = 0.0
        between_s = self._least_between_s
        while not self._stopping.wait(_LOOK_S):
            if not native.opcache_pending():
                self._due_since = 0.0
                self.blocked = None
                continue
            self._due_since = self._due_since or time.monotonic()
            if time.monotonic() < not_before:
                continue
            status = native.opcache(False)
            if status is None or not status["restart_pending"]:
                continue
            if self.wipe():
                between_s = self._least_between_s
                not_before = time.monotonic() + between_s
            else:
                not_before = time.monotonic() + min(between_s, _LONGEST_BETWEEN_S) / 10
                between_s *= 2

    # -- wipes --------------------------------------------------------------------------------------

    def wipe(self) -> bool:
        """Hold requests back, wait until no thread is inside PHP, and wipe.

        Returns:
            False when a request did not end in time or OPcache refused: it goes on uncached until the next try.
        """
        insists = self._due_since > 0 and time.monotonic() - self._due_since > _INSIST_AFTER_S
        began = time.monotonic()
        pools = list(self._pools())
        self._hold(pools)
        try:
            quiet = self._wait_quiet(pools, began + (self._grace_s if insists else _LONGEST_PAUSE_S))
            if not quiet and insists:
                quiet = self._kill_and_wait(pools)
            status = native.opcache(True) if quiet else None
        finally:
            self._release(pools)
        pause_s = time.monotonic() - began
        self.pause_s += pause_s
        self.longest_pause_s = max(self.longest_pause_s, pause_s)
        if status is None or status["restart_pending"]:
            self.put_off += 1
            why = (
                "a request has been running for too long"
                if not quiet
                else "another process uses its memory (a forked child?)"
            )
            if insists:
                self.blocked = f"OPcache waits for a wipe: {why}"
            _log.warning("OPcache waits for a wipe and runs uncached: %s, it is tried again", why)
            return False
        self.wipes += 1
        self.status = dict(status)
        _log.info(Event("OPcache was wiped", pause=round(pause_s, 4)))
        return True

    def _hold(self, pools: Sequence[Pool]) -> None:
        with self._fleet.changed:
            self._fleet.wiping = True
            self._fleet.changed.notify_all()
            for pool in pools:
                if not isinstance(pool, WorkerPool):
                    native.pool_pause(pool.number)
                    continue
                for slot in pool.slots:
                    native.pool_leave(pool.number, slot)

    def _release(self, pools: Sequence[Pool]) -> None:
        with self._fleet.changed:
            for pool in pools:
                if isinstance(pool, WorkerPool):
                    for slot in pool.slots:
                        native.pool_stay(pool.number, slot)
                else:
                    native.pool_resume(pool.number)
            self._fleet.wiping = False
            self._fleet.changed.notify_all()

    def _wait_quiet(self, pools: Sequence[Pool], deadline: float) -> bool:
        """Wait until every thread is outside any request: idle in a paused queue, parked, or without a role."""
        regular = [pool for pool in pools if not isinstance(pool, WorkerPool)]
        while time.monotonic() < deadline and not self._stopping.is_set():
            idle = sum(native.pool_statistics(pool.number)["idle"] for pool in regular)
            ready = {slot for pool in regular for slot in list(pool.slots) if native.slot_state(slot) == "ready"}
            others = [thread.slot for thread in self._fleet.threads if thread.slot not in ready]
            if idle == len(ready) and all(native.slot_state(slot) in _QUIET for slot in others):
                return True
            time.sleep(_POLL_S)
        return False

    def _kill_and_wait(self, pools: Sequence[Pool]) -> bool:
        deadline = time.monotonic() + _KILL_GRACE_S
        while time.monotonic() < deadline:
            for thread in self._fleet.living():
                if self._fleet.kill(thread.slot, "OPcache has to be wiped"):
                    _log.warning(Event("request was ended for a wipe of OPcache", thread=thread.slot))
            if self._wait_quiet(pools, time.monotonic() + 0.25):
                return True
        return False

    # -- changed files ----------------------------------------------------------------------------------

    def forget(self, changed: Iterable[str] | None) -> int:
        """Have OPcache forget files, so that the next request compiles them. Any thread may call it.

        Args:
            changed: their paths; None finds every cached script whose file changed, vanished, or leads elsewhere.

        Returns:
            How many files are forgotten.
        """
        with self._forget_lock:
            if changed is None:
                paths = [path for path in native.opcache_scripts() or [] if self._has_changed(path)]
            else:
                paths = []
                for name in changed:
                    path = os.fsencode(name)
                    paths += {path, os.path.realpath(path)}
            if paths:
                native.opcache_forget(b"".join(path + b"\0" for path in paths))
            return len(paths)

    def remember(self) -> None:
        """Note what the cached scripts look like now, so that the next `forget` finds what has changed."""
        with self._forget_lock:
            for path in native.opcache_scripts() or []:
                if path not in self._marks and (marks := _marks_of(path)) is not None:
                    self._marks[path] = marks

    def _has_changed(self, path: bytes) -> bool:
        """Compare a file with what it was; one that is seen for the first time counts as changed."""
        now = _marks_of(path)
        known = self._marks.get(path)
        if now is None:
            self._marks.pop(path, None)
            return True
        self._marks[path] = now
        return now != known


def _marks_of(path: bytes) -> _Marks | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - bytes
    except OSError:
        return None
    return status.st_ino, status.st_dev, status.st_ctime_ns, status.st_size, os.path.realpath(path)
