"""Pools of threads on a simulated machine: requests compute and wait, cores are shared, the `Scaler` decides."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, field

from howdah.runtime.scaling import TICK_S, CpuUse, Decision, PoolLoad, Scaler

STEP_S = 0.001


@dataclass
class Thread:
    """One slot with a role."""

    slot: int
    boot_s: float
    compute_s: float = 0.0
    wait_s: float = 0.0
    busy: bool = False
    idle_since: float = 0.0

    @property
    def is_coming(self) -> bool:
        return self.boot_s > 0


@dataclass
class Pool:
    """A pool and the clients that send it one request after the other.

    Attributes:
        compute_s: processor time of a request.
        wait_s: time that it then waits for something else.
        boot_s: time until a new thread takes requests.
    """

    name: str
    base: int
    max_threads: int
    clients: int = 0
    compute_s: float = 0.00005
    wait_s: float = 0.0
    boot_s: float = 0.002
    threads: list[Thread] = field(default_factory=list)
    queue: deque[float] = field(default_factory=deque)
    completed: list[float] = field(default_factory=list)
    _open: int = 0

    def arrive(self, now: float) -> None:
        """Every client without an answer to wait for asks again."""
        for _ in range(self.clients - self._open):
            self.queue.append(now)
            self._open += 1

    def dispatch(self, now: float) -> None:
        """Give waiting requests to idle threads, the one that worked last first."""
        free = sorted((t for t in self.threads if not t.busy and not t.is_coming), key=lambda t: -t.idle_since)
        for thread in free:
            if not self.queue:
                return
            self.queue.popleft()
            thread.busy, thread.compute_s, thread.wait_s = True, self.compute_s, self.wait_s

    def run(self, now: float, cpu_s: float) -> float:
        """Let every thread go on for a step; one that computes gets so much processor time."""
        used = 0.0
        for thread in self.threads:
            if thread.is_coming:
                thread.boot_s -= STEP_S
                thread.idle_since = now
            elif thread.busy:
                used += self._go_on(thread, now, cpu_s)
        return used

    def _go_on(self, thread: Thread, now: float, cpu_s: float) -> float:
        took = min(thread.compute_s, cpu_s)
        thread.compute_s -= took
        if thread.compute_s <= 1e-12:
            thread.wait_s -= STEP_S
            if thread.wait_s <= 0:
                thread.busy, thread.idle_since = False, now
                self.completed.append(now)
                self._open -= 1
        return took

    def wanting(self) -> int:
        return sum(thread.busy and thread.compute_s > 1e-12 for thread in self.threads)

    def load(self, now: float) -> PoolLoad:
        idle = tuple((t.slot, now - t.idle_since) for t in self.threads if not t.busy and not t.is_coming)
        return PoolLoad(
            self.name,
            self.base,
            len(self.threads),
            self.max_threads,
            coming=sum(thread.is_coming for thread in self.threads),
            waiting=len(self.queue),
            oldest_wait_s=now - self.queue[0] if self.queue else 0.0,
            idle=idle,
        )


class Machine:
    """Cores, pools, a scaler, and other processes that compute all the time."""

    def __init__(
        self, pools: list[Pool], max_threads: int, *, cores: int = 2, neighbours: int = 0, max_idle_time_s: float = 5.0
    ) -> None:
        self.now = 0.0
        self.pools = pools
        self.cores = cores
        self.max_threads = max_threads
        self.neighbours = neighbours
        self.scaler = Scaler(cores, max_idle_time_s, lambda: self.now)
        self.decisions: list[Decision] = []
        self._slots = itertools.count()
        self._used_s = self._wanted_s = 0.0
        self._looked: float | None = None
        self._next = 0.0
        for pool in pools:
            pool.threads = [Thread(next(self._slots), 0.0) for _ in range(pool.base)]

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self._step()

    def size(self, name: str) -> int:
        return next(len(pool.threads) for pool in self.pools if pool.name == name)

    def _step(self) -> None:
        self.now += STEP_S
        for pool in self.pools:
            pool.arrive(self.now)
            pool.dispatch(self.now)
        runnable = sum(pool.wanting() for pool in self.pools)
        part = min(1.0, self.cores / max(1, runnable + self.neighbours))
        self._wanted_s += runnable * STEP_S
        for pool in self.pools:
            self._used_s += pool.run(self.now, part * STEP_S)
        # A request that has to wait wakes the scaler, which then looks at most every TICK_S.
        if self.now >= self._next or (
            any(pool.queue for pool in self.pools) and self.now >= (self._looked or 0.0) + TICK_S
        ):
            self._tick()

    def _tick(self) -> None:
        cpu = None
        if self._looked is not None and self.now - self._looked <= 0.5:
            past = self.now - self._looked
            cpu = CpuUse(self._used_s / past / self.cores, self._wanted_s / past)
        self._looked, self._used_s, self._wanted_s = self.now, 0.0, 0.0
        free = self.max_threads - sum(len(pool.threads) for pool in self.pools)
        decision = self.scaler.decide([pool.load(self.now) for pool in self.pools], free, cpu)
        self.decisions.append(decision)
        self._next = self.now + (60.0 if decision.wake_s is None else decision.wake_s)
        for pool in self.pools:
            pool.threads = [thread for thread in pool.threads if thread.slot not in decision.release]
            for name, count in decision.add:
                if name == pool.name:
                    pool.threads += [Thread(next(self._slots), pool.boot_s) for _ in range(count)]
