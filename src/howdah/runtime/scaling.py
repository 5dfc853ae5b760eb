"""When to add threads and when to let them go: a decision on numbers, with no thread, clock or PHP of its own.

A thread that waits (for a database, a disk, a sleep) costs a slot and no processor time, so a script that waits may get
every thread there is; more threads than cores for one that computes would only make all of them slower. Which of the
two it is, is measured and not configured: `CpuUse` says how much of the cores is used, and how many of the busy
threads ask for one.

The decision is taken every `TICK_S` while requests wait, so a pool doubles until nothing waits or a limit is met:
from 1 thread to 64 in about a third of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

TICK_S = 0.05
# A wait shorter than this is the hand-over between two requests.
_STALL_S = 0.005
# Share of the cores from which more threads are no help.
_FULL = 0.8
# Busy threads that spend more than this part of their time on a core, or waiting for one, compute.
_COMPUTES = 0.5
_RELEASES_PER_LOOK = 10
_LEAST_IDLE_S = 0.1
_LONGEST_LOOK_S = 1.0
# A thread that is idle for so long may go to a pool that waits, whatever max_idle_time says.
_LEND_AFTER_S = 0.5
_REPEAT_WARNING_S = 60.0


@dataclass(frozen=True, slots=True)
class CpuUse:
    """Processor use since the last look.

    Attributes:
        share: processor time of the process over the time of all cores that it may use, 0 to 1.
        wanting: mean number of PHP threads that ran or waited for a core; None where the kernel does not tell.
    """

    share: float
    wanting: float | None = None


@dataclass(frozen=True, slots=True)
class PoolLoad:
    """One pool at this moment: the regular threads, or those of one worker.

    Attributes:
        name: name of the worker; empty for the regular pool.
        base: threads from the start on, which are never released.
        threads: threads that have the role or are about to get it.
        coming: those of ``threads`` that cannot take a request yet, because PHP or the worker's script boots.
        max_threads: most threads that this pool may have.
        waiting: requests in its queue.
        oldest_wait_s: how long the first of them has waited.
        idle: slot and seconds without a request of each idle thread.
    """

    name: str
    base: int
    threads: int
    max_threads: int
    coming: int = 0
    waiting: int = 0
    oldest_wait_s: float = 0.0
    idle: tuple[tuple[int, float], ...] = ()

    @property
    def serving(self) -> int:
        """Threads that have a request or could take one."""
        return self.threads - self.coming

    @property
    def surplus(self) -> int:
        """Threads beyond those of the start."""
        return max(0, self.threads - self.base)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now.

    Attributes:
        add: names of pools with the number of threads each gets; never more together than were free.
        release: slots whose idle thread loses its role.
        exhausted: names of pools that would have got more under a higher ``max_threads``; each at most once a minute.
        wake_s: when to decide again; None means when the next request has to wait.
    """

    add: tuple[tuple[str, int], ...] = ()
    release: tuple[int, ...] = ()
    exhausted: tuple[str, ...] = ()
    wake_s: float | None = None


@dataclass(slots=True)
class Scaler:
    """Decides for all pools of one runtime; called by one thread, returns at once.

    Args:
        cores: cores that the process may use.
        max_idle_time_s: idle time after which a thread beyond those of the start goes.
        clock: monotonic seconds.
    """

    cores: int
    max_idle_time_s: float
    clock: Callable[[], float]
    _next_release: float = field(default=0.0, init=False)
    _warned: dict[str, float] = field(default_factory=dict, init=False)

    def decide(self, pools: Sequence[PoolLoad], free: int, cpu: CpuUse | None) -> Decision:
        """Decide once.

        Args:
            pools: every pool.
            free: threads that could be added now: free slots and threads without a role.
            cpu: processor use since the last call, or None when that was too long ago to tell anything; then no
                thread is added until the next tick.
        """
        wants = {pool.name: want for pool in pools if (want := _want(pool)) > 0}
        room = 0 if cpu is None else _room(pools, cpu, self.cores)
        add = _share_out(wants, min(max(0, free), room))
        # what the processor has room for and the slots have not
        missing = min(sum(wants.values()), room) - sum(add.values())
        release = self._lent(pools, missing) if missing > 0 else self._idle_too_long(pools)
        return Decision(
            tuple(add.items()),
            release,
            self._exhausted(wants, add, free) if missing > 0 and not release else (),
            self._wake_s(pools),
        )

    def _idle_too_long(self, pools: Sequence[PoolLoad]) -> tuple[int, ...]:
        """Give some of the slots that may go; the rest follows at the next looks, unless it finds work meanwhile."""
        now = self.clock()
        if now < self._next_release:
            return ()
        patience_s = max(self.max_idle_time_s, _LEAST_IDLE_S)
        found = _releasable(pools, patience_s)[:_RELEASES_PER_LOOK]
        if found:
            self._next_release = now + self._look_s
        return tuple(found)

    def _lent(self, pools: Sequence[PoolLoad], missing: int) -> tuple[int, ...]:
        """Give slots that idle in one pool while requests wait in another that has no thread to get."""
        return tuple(_releasable(pools, min(self.max_idle_time_s, _LEND_AFTER_S))[:missing])

    def _exhausted(self, wants: dict[str, int], add: dict[str, int], free: int) -> tuple[str, ...]:
        now = self.clock()
        found = [
            name
            for name, want in wants.items()
            if add.get(name, 0) < want and free <= sum(add.values()) and now >= self._warned.get(name, now)
        ]
        self._warned.update((name, now + _REPEAT_WARNING_S) for name in found)
        return tuple(found)

    @property
    def _look_s(self) -> float:
        return min(max(self.max_idle_time_s, _LEAST_IDLE_S), _LONGEST_LOOK_S)

    def _wake_s(self, pools: Sequence[PoolLoad]) -> float | None:
        if any(pool.waiting for pool in pools):
            return TICK_S
        return self._look_s if any(pool.surplus for pool in pools) else None


def _want(pool: PoolLoad) -> int:
    """Give the threads that the pool could use now, at most as many as serve already.

    Those on their way count first. A worker whose script does not boot has them on their way for ever, so it never
    takes more than it has, and nothing waits for it here.
    """
    if not pool.waiting or pool.oldest_wait_s < _STALL_S:
        return 0
    return min(
        pool.waiting - pool.coming - len(pool.idle),
        max(1, pool.serving) - pool.coming,
        pool.max_threads - pool.threads,
    )


def _room(pools: Sequence[PoolLoad], cpu: CpuUse, cores: int) -> int:
    """Give how many more threads the processor has room for, judged by those that are busy."""
    busy = max(1, sum(pool.serving - len(pool.idle) for pool in pools))
    if cpu.share >= _FULL:
        return 0
    if cpu.wanting is not None and cpu.wanting / busy > _COMPUTES:
        if cpu.wanting >= _FULL * cores:  # also where other processes take the cores
            return 0
        return max(1, int((cores - cpu.wanting) * busy / cpu.wanting))
    return max(1, int(busy * (_FULL / max(cpu.share, 1e-6) - 1)))


def _share_out(wants: dict[str, int], room: int) -> dict[str, int]:
    """Give each pool what it wants, or all an even share; what a modest one leaves goes to the others."""
    given = {}
    for position, name in enumerate(sorted(wants, key=wants.__getitem__)):
        part = min(wants[name], -(-room // (len(wants) - position)))
        if part > 0:
            given[name] = part
            room -= part
    return given


def _releasable(pools: Sequence[PoolLoad], patience_s: float) -> list[int]:
    """Give the slots that have been idle for so long, the longest first, without any that is one of the start's."""
    found: list[tuple[float, int]] = []
    for pool in pools:
        if pool.waiting:
            continue
        idle = sorted(((idle_s, slot) for slot, idle_s in pool.idle if idle_s >= patience_s), reverse=True)
        found += idle[: pool.surplus]
    return [slot for _, slot in sorted(found, reverse=True)]
