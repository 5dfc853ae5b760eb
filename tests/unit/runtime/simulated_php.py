"""PHP threads without PHP: what `howdah.runtime.thread` calls in C, on the real scoreboard.

The code under test is the real `PhpThread` and `Fleet` on real OS threads; a request, and a run of a worker's script,
is a word that says how it goes.
"""

from __future__ import annotations

import importlib
import itertools
import sys
import threading
import types
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import howdah
from tests.unit.runtime.board import Board

# Nothing waits longer than this unless it hangs.
HANG_S = 20.0
# Loaded afresh, so that nobody else sees modules that were imported with a simulated PHP.
_MODULES = ("engine.native", "runtime.pools", "runtime.thread", "runtime.fleet")


class WatchedCondition(threading.Condition):
    """A condition that knows who sleeps in it; whoever is notified counts as awake at once."""

    def __init__(self) -> None:
        super().__init__()
        self.asleep: set[int] = set()  # under the lock

    def wait(self, timeout: float | None = None) -> bool:
        self.asleep.add(threading.get_ident())
        try:
            return super().wait(timeout)
        finally:
            self.asleep.discard(threading.get_ident())

    def notify(self, n: int = 1) -> None:
        raise NotImplementedError

    def notify_all(self) -> None:
        self.asleep.clear()
        super().notify(1 << 30)


@dataclass(eq=False)
class Work:
    """One request.

    Attributes:
        how: ``serve``, or the way in which its thread ends with it: ``recycle``, ``memory``, ``unhealthy``, ``exit``,
            ``crash``; ``blocked`` waits for a kill, ``deaf`` for `SimulatedPhp.wake_the_deaf`.
        ends: how often it has ended, which must be once.
    """

    how: str
    id: int
    ends: int = 0


@dataclass
class _Queue:
    waiting: deque[Work] = field(default_factory=deque)
    idle: set[int] = field(default_factory=set)
    given: dict[int, Work] = field(default_factory=dict)
    leave: set[int] = field(default_factory=set)
    boots_fail: bool = False


class SimulatedPhp(ModuleType):
    """Stands in for ``howdah._native``.

    Attributes:
        board: states of all slots.
        alive: slots whose OS thread holds PHP storage.
        lives: boots of each slot.
        frees: storages freed of each slot.
        mistakes: what must never happen and did.
        changed: condition of everything in here.
    """

    def __init__(self, slots: int, pools: int) -> None:
        super().__init__("howdah._native")
        self.board = Board(slots)
        self.alive: set[int] = set()
        self.lives: Counter[int] = Counter()
        self.frees: Counter[int] = Counter()
        self.mistakes: list[str] = []
        self.all: list[Work] = []
        self._running: dict[int, Work] = {}
        self._killed: set[int] = set()
        self._queues = [_Queue() for _ in range(pools)]
        self._closed = False
        self._awake = 0
        self._ids = itertools.count(1)
        self.changed = WatchedCondition()

    def __getattr__(self, name: str) -> Any:
        """Give constants and types that are imported but play no part here."""
        if name.isupper():
            return name
        if name in {"Channel", "Request", "Site"}:
            return type(name, (), {"__init__": lambda self, *_: None, "request": lambda self, *_: self})
        raise AttributeError(name)

    # -- what the test does -----------------------------------------------------------------------------

    def send(self, pool: int, how: str) -> Work:
        with self.changed:
            work = Work(how, next(self._ids))
            self.all.append(work)
            queue = self._queues[pool]
            if self._closed:
                work.ends += 1
            elif queue.idle:  # the first of them and not any, so that a run can be repeated
                slot = min(queue.idle)
                queue.idle.discard(slot)
                queue.given[slot] = self._running[slot] = work
            else:
                queue.waiting.append(work)
            self.changed.notify_all()
        return work

    def set_boots_fail(self, pool: int, *, fail: bool) -> None:
        with self.changed:
            self._queues[pool].boots_fail = fail

    def wake_the_deaf(self) -> None:
        with self.changed:
            self._awake += 1
            self.changed.notify_all()

    def close(self) -> None:
        with self.changed:
            self._closed = True
            self.changed.notify_all()

    def running(self, slot: int) -> Work | None:
        with self.changed:
            return self._running.get(slot)

    def waiting(self, pool: int) -> int:
        with self.changed:
            return len(self._queues[pool].waiting)

    # -- what the runtime calls ---------------------------------------------------------------------------

    def slot_change(self, slot: int, expected: str, to: str) -> bool:
        return self.board.change(slot, expected, to)

    def slot_state(self, slot: int) -> str:
        return self.board.state(slot)

    def slot_info(self, slot: int) -> dict[str, Any]:
        work = self.running(slot)
        return {
            "state": self.board.state(slot),
            "request_id": work.id if work else 0,
            "current": work.how if work else "",
            "thread_id": 0,
            "since_s": 0.0,
        }

    def slot_limit(self, slot: int, requests: int, memory_bytes: int = 0) -> None:
        self._own(slot, "slot_limit")

    def after_fork(self) -> None:
        """Nothing forks here."""

    def pool_leave(self, pool: int, slot: int) -> None:
        with self.changed:
            self._queues[pool].leave.add(slot)
            self._queues[pool].idle.discard(slot)
            self.changed.notify_all()

    def pool_stay(self, pool: int, slot: int) -> None:
        with self.changed:
            self._queues[pool].leave.discard(slot)

    def pool_evict(self, pool: int) -> int:
        with self.changed:
            gone = list(self._queues[pool].waiting)
            self._queues[pool].waiting.clear()
            for work in gone:
                self._end(work)
            return len(gone)

    def thread_kill(self, slot: int, request_id: int, reason: str, status: int, stage: int) -> bool:
        with self.changed:
            work = self._running.get(slot)
            if work is None or work.id != request_id:
                return False
            self._killed.add(request_id)
            self.changed.notify_all()
            return True

    def thread_boot(self, slot: int) -> None:
        if not self.board.change(slot, "boot requested", "booting"):
            self._mistake(f"slot {slot} boots while it is {self.board.state(slot)}")
        with self.changed:
            if slot in self.alive:
                self._mistake(f"slot {slot} boots, but its last storage was not freed")
            self.alive.add(slot)
            self.lives[slot] += 1

    def thread_free(self, slot: int) -> None:
        self._own(slot, "thread_free")
        with self.changed:
            self.alive.discard(slot)
            self.frees[slot] += 1

    def thread_run(self, slot: int, pool: int) -> str:
        self._own(slot, "thread_run")
        while True:
            work = self._pop(slot, pool)
            if isinstance(work, str):
                return work
            event = self._serve(slot, work)
            if event not in {"", "EVENT_ENDED"}:  # exit() is the end of a request here
                return event

    def worker_run(self, slot: int, pool: int, boot: object, reset: bool) -> tuple[str, bool, int, str | None, int]:
        self._own(slot, "worker_run")
        if self._queues[pool].boots_fail:
            return "EVENT_ENDED", False, 255, "the boot failed", 0
        if not self.board.change(slot, "transition complete", "ready"):
            self.board.change(slot, "restarting", "ready")
        for handled in itertools.count():
            work = self._pop(slot, pool)
            if isinstance(work, str):
                return work, True, 0, None, handled
            event = self._serve(slot, work)
            if event:
                return event, True, 255 * (work.how == "crash"), None, handled + 1
        raise AssertionError

    # -- inside -------------------------------------------------------------------------------------------

    def _pop(self, slot: int, pool: int) -> Work | str:
        queue = self._queues[pool]
        with self.changed:
            while True:
                queue.idle.discard(slot)
                if slot in queue.given:
                    return queue.given.pop(slot)
                if slot in queue.leave:
                    queue.leave.discard(slot)
                    return "EVENT_LEFT"
                if queue.waiting:
                    work = self._running[slot] = queue.waiting.popleft()
                    return work
                if self._closed:
                    return "EVENT_STOPPED"
                queue.idle.add(slot)
                self.changed.wait()

    def _serve(self, slot: int, work: Work) -> str:
        event = {
            "serve": "",
            "recycle": "EVENT_RECYCLE",
            "memory": "EVENT_MEMORY",
            "unhealthy": "EVENT_UNHEALTHY",
            "exit": "EVENT_ENDED",
            "crash": "EVENT_ENDED",
        }.get(work.how, "")
        with self.changed:
            turn = self._awake
            while work.how == "blocked" and work.id not in self._killed and not self._closed:
                self.changed.wait()
            while work.how == "deaf" and self._awake == turn and not self._closed:
                self.changed.wait()
            if work.id in self._killed:
                event = "EVENT_KILLED"
            self._end(work)
            del self._running[slot]
        return event

    def _end(self, work: Work) -> None:
        work.ends += 1
        if work.ends > 1:
            self._mistake(f"request {work.id} ended {work.ends} times")

    def _own(self, slot: int, what: str) -> None:
        if slot not in self.alive:
            self._mistake(f"{what} in slot {slot}, which has no storage and is {self.board.state(slot)}")

    def _mistake(self, text: str) -> None:
        self.mistakes.append(text)


@contextmanager
def runtime_on(php: SimulatedPhp) -> Iterator[types.SimpleNamespace]:
    """Give the modules of the runtime, imported with a simulated PHP; everybody else keeps theirs."""
    names = [f"howdah.{name}" for name in _MODULES]
    kept = {name: sys.modules.pop(name) for name in [*names, "howdah._native"] if name in sys.modules}
    had = getattr(howdah, "_native", None)
    sys.modules["howdah._native"] = php
    howdah._native = php
    try:
        found = {name.rpartition(".")[2]: importlib.import_module(name) for name in names}
    finally:
        for name in [*names, "howdah._native"]:
            sys.modules.pop(name, None)
        sys.modules.update(kept)
        for name, module in kept.items():  # the packages' attributes, too
            package, _, attribute = name.rpartition(".")
            setattr(sys.modules[package], attribute, module)
        if had is None:
            del howdah._native
    yield types.SimpleNamespace(**found)
