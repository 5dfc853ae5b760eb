"""What a running runtime has besides PHP: the slots, the pools, and those who look after them.

Made when PHP has started, dropped when it has stopped. `Runtime` is the one who calls it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from howdah.engine.native import native
from howdah.errors import ConfigError, EngineError, EngineStartError, EngineStateError, WorkerBootError
from howdah.runtime.fleet import Fleet
from howdah.runtime.opcache import OpcacheKeeper
from howdah.runtime.pools import REGULAR, Pool, WorkerPool
from howdah.runtime.restart import Roller
from howdah.runtime.scaler import ScalerThread
from howdah.runtime.sizing import Sizing, usable_cores
from howdah.runtime.workers import Member, WorkerTable

if TYPE_CHECKING:
    from howdah.config.model import RuntimeConfig, WorkerConfig

_log = logging.getLogger("howdah.runtime")

_GONE = frozenset({"reserved", "done"})
_SAY_EVERY_S = 10.0
_RETIRE_TIMEOUT_S = 60.0
# Between the choice of a worker and the push into its queue nothing waits.
_ROUTED_S = 0.05


def check_reload(before: RuntimeConfig, after: RuntimeConfig) -> None:
    """Refuse what PHP, or the threads that live already, read at their start only.

    Raises:
        ConfigError: names the setting and says to restart.
    """
    for name in ("php_ini", "debug", "thread_stack_size_bytes"):
        if getattr(before, name) != getattr(after, name):
            setting = name.removesuffix("_bytes")
            raise ConfigError(
                f"{setting} has changed, which takes effect only at a start: restart the server", directive=setting
            )


class _Before(NamedTuple):
    """What a configuration that cannot be applied gives back."""

    workers: tuple[WorkerPool, ...]
    members: tuple[Member, ...]
    config: RuntimeConfig
    sizing: Sizing
    max_threads: int
    threads: list[tuple[Pool, int]]


class Crew:
    """Fleet, pools, table of workers, scaler, OPcache's keeper and the roller of one life of PHP.

    Args:
        config: settings of the runtime.
        ceiling: number of slots.

    Attributes:
        fleet: the slots.
        regular: the regular pool.
        workers: pools of the workers; replaced as a whole.
        table: finds the worker of a request; replaced as a whole.
        roller: restarts workers.
        keeper: None without OPcache.
    """

    def __init__(self, config: RuntimeConfig, ceiling: int) -> None:
        self.config = config
        self.fleet = Fleet(config, ceiling)
        self.regular = Pool(REGULAR, "", 0, 0)
        self.workers: tuple[WorkerPool, ...] = ()
        self.table = WorkerTable()
        self.keeper: OpcacheKeeper | None = None
        self.roller = Roller(self.fleet, lambda: self.workers, self._invalidate, config.grace_s)
        self.scaler = ScalerThread(self.fleet, self.pools, usable_cores(), config.max_idle_time_s)
        self._members: tuple[Member, ...] = ()
        self._sizing = Sizing(0, 0, 0, ())
        self._hurried = False  # by any thread, once

    def pools(self) -> tuple[Pool, ...]:
        """Give all pools, the regular one first."""
        return (self.regular, *self.workers)

    # -- start ------------------------------------------------------------------------------------

    def start(self, members: Sequence[Member], sizing: Sizing) -> None:
        """Open the pools and start their threads; returns before they are ready."""
        self.workers = tuple(self._open(member) for member in members)
        self._members = tuple(members)
        self._set_sizes(sizing)
        self.table = WorkerTable(list(zip(members, self.workers, strict=True)))
        for pool in self.pools():
            self.fleet.add(pool, pool.base)

    def _open(self, member: Member) -> WorkerPool:
        number = native.pool_open(self._max_queue(member.worker))
        pool = WorkerPool(number, member.name, member.worker, member.env, base=0, max_threads=0)
        pool.site = member.site_name
        return pool

    def _set_sizes(self, sizing: Sizing) -> None:
        self.fleet.max_threads = sizing.max_threads
        self.fleet.max_thread_memory_bytes = self.config.max_thread_memory_bytes
        self.regular.base = sizing.regular_threads
        self.regular.max_threads = sizing.max_threads - sum(size.num for size in sizing.workers)
        self.regular.max_requests = self.config.max_requests
        native.pool_bound(self.regular.number, self.config.max_queue)
        for pool, size in zip(self.workers, sizing.workers, strict=True):
            pool.base, pool.max_threads = size.num, size.max
            pool.max_requests = pool.worker.max_requests or self.config.max_requests
            native.pool_bound(pool.number, self._max_queue(pool.worker))
        self._sizing = sizing

    def _max_queue(self, worker: WorkerConfig) -> int:
        return self.config.max_queue if worker.max_queue is None else worker.max_queue

    def wait_booted(self, boot_timeout_s: float, pools: Sequence[Pool] | None = None) -> EngineError | None:
        """Wait until every thread of the start is ready; for a worker that is when its script has booted.

        Threads have a bound; a script boots as long as it takes, and the log says what is waited for.

        Returns:
            What failed, None = nothing.
        """
        began = said = time.monotonic()
        while True:
            if self._hurried:
                return EngineStateError("the runtime stops")
            late = [
                pool for pool in (pools if pools is not None else self.pools()) if len(pool.ready_slots()) < pool.base
            ]
            if not late:
                self._end_start(pools if pools is not None else self.workers)
                return None
            for pool in late:
                failed = _failed(pool)
                if failed is not None:
                    return failed
                self._fill(pool)
            now = time.monotonic()
            if now - began > boot_timeout_s and self.regular in late:
                return EngineStartError(f"PHP threads were not ready after {boot_timeout_s:.0f} s")
            if now - said > _SAY_EVERY_S:
                said = now
                _log.info("still waiting for worker scripts to boot: %s", ", ".join(pool.name for pool in late))
            with self.fleet.changed:
                self.fleet.changed.wait(0.002)

    def _end_start(self, pools: Sequence[Pool]) -> None:
        with self.fleet.changed:
            for pool in pools:
                if isinstance(pool, WorkerPool):
                    pool.is_starting = False

    def run(self, has_opcache: bool) -> None:
        """Start those who look after the running threads."""
        if has_opcache:
            self.keeper = OpcacheKeeper(self.fleet, self.pools, self.config.opcache_restart_grace_s)
            self.keeper.remember()
            self.keeper.start()
        self.scaler.start()

    def _invalidate(self, changed: frozenset[str] | None) -> None:
        if self.keeper is not None:
            self.keeper.forget(changed)

    # -- while it runs ------------------------------------------------------------------------------

    def not_ready_reason(self) -> str | None:
        """Say why not every request can be served, None when it can."""
        for pool in self.workers:
            if not pool.ready_slots():
                said = f": {pool.last_error}" if pool.last_error else ""
                return f"worker {pool.name} has not booted{said}"
        return self.keeper.blocked if self.keeper is not None else None

    def apply(
        self,
        config: RuntimeConfig,
        members: Sequence[Member],
        sizing: Sizing,
        switch: Callable[[], None] | None = None,
    ) -> None:
        """Go over to other workers and numbers; requests that were accepted are served.

        ``switch`` is called while the new and the old workers serve.

        Raises:
            ConfigError: there are fewer slots than threads.
            WorkerBootError: a new worker does not boot; the old ones go on.
        """
        if sizing.max_threads > len(self.fleet.threads):
            raise ConfigError(
                f"{sizing.max_threads} threads are more than the {len(self.fleet.threads)} that the running server has "
                "room for: restart it",
                directive="max_threads",
            )
        before = _Before(
            self.workers,
            self._members,
            self.config,
            self._sizing,
            self.fleet.max_threads,
            [(pool, len(pool.slots)) for pool in self.pools()],
        )
        known = [(member.worker, pool) for member, pool in zip(self._members, self.workers, strict=True)]
        self.config = config
        chosen, new, retired = self._choose(members)
        self.workers, self._members = chosen, tuple(members)
        self._set_sizes(sizing)
        # New workers boot while the old ones still serve, so for a while there are threads for both.
        leaving = sum(len(pool.slots) for pool in retired)
        self.fleet.max_threads = max(before.max_threads, sizing.max_threads) + leaving + sum(pool.base for pool in new)
        for each in self.pools():
            self._fill(each)
        failed = self.wait_booted(_SAY_EVERY_S, new)
        if failed is not None:
            self._go_back(before, new)
            raise failed
        now = list(zip(members, self.workers, strict=True))
        earlier = [(worker, self._successor(pool)) for worker, pool in known]
        self.table = WorkerTable(now, known)
        if switch is not None:
            switch()
        self.table = WorkerTable(now, [(worker, pool) for worker, pool in earlier if pool is not None])
        self._retire(retired)
        self._settle(sizing.max_threads)
        self.scaler.set_max_idle_time(config.max_idle_time_s)

    def _choose(self, members: Sequence[Member]) -> tuple[tuple[WorkerPool, ...], list[WorkerPool], list[WorkerPool]]:
        """Give the pool of every member, those of them that are new, and those that nobody wants any more."""
        kept = {member.identity: pool for member, pool in zip(self._members, self.workers, strict=True)}
        new: list[WorkerPool] = []
        chosen: list[WorkerPool] = []
        for member in members:
            pool = kept.pop(member.identity, None)
            if pool is None:
                pool = self._open(member)
                new.append(pool)
            else:
                pool.worker = member.worker
                pool.site = member.site_name
            chosen.append(pool)
        return tuple(chosen), new, list(kept.values())

    def _go_back(self, before: _Before, new: Sequence[WorkerPool]) -> None:
        """Have everything as it was before `apply`."""
        self.workers, self._members, self.config = before.workers, before.members, before.config
        for pool, member in zip(self.workers, self._members, strict=True):
            pool.worker, pool.site = member.worker, member.site_name
        self._set_sizes(before.sizing)
        self._retire(new)
        for each, threads in before.threads:
            self._shrink(each, max(threads, each.base))
        for each in self.pools():
            self._fill(each)
        self._settle(before.max_threads)

    def _settle(self, max_threads: int) -> None:
        self.fleet.max_threads = max_threads
        self.fleet.trim()

    def hurry(self) -> None:
        """Have whoever waits for scripts to boot or requests to end give up, because the runtime is to stop."""
        self._hurried = True
        self.fleet.notify()

    def _successor(self, pool: WorkerPool) -> WorkerPool | None:
        """Give the worker that takes requests which were routed to a worker of the configuration before."""
        if pool in self.workers:
            return pool
        return next((other for other in self.workers if pool.name == other.name or pool.file == other.file), None)

    def _fill(self, pool: Pool) -> None:
        """Bring a pool to the threads of its start, from those that others have beyond theirs if need be."""
        missing = pool.base - len(pool.slots)
        if missing > 0:
            missing -= self.fleet.add(pool, missing)
        for other in self.pools():
            for slot in sorted(other.slots, reverse=True)[: max(0, len(other.slots) - other.base)]:
                if missing <= 0 or other is pool:
                    break
                missing -= self.fleet.assign(self.fleet.threads[slot], pool)
        self._shrink(pool, pool.max_threads)

    def _shrink(self, pool: Pool, threads: int) -> None:
        """Take those threads from a pool that are more than so many."""
        for slot in sorted(pool.slots, reverse=True)[: max(0, len(pool.slots) - threads)]:
            self.fleet.assign(self.fleet.threads[slot], None)

    def _retire(self, pools: Sequence[WorkerPool]) -> None:
        """Take workers away: what waits in their queues, and what is just being put there, is served first."""
        deadline = time.monotonic() + _RETIRE_TIMEOUT_S
        if pools:
            time.sleep(_ROUTED_S)
        for pool in pools:
            while native.pool_statistics(pool.number)["waiting"] and self._may_wait(deadline):
                if pool.is_broken():
                    native.pool_evict(pool.number)
                with self.fleet.changed:
                    self.fleet.changed.wait(0.005)
        for pool in pools:
            while pool.slots and self._may_wait(deadline):
                for slot in list(pool.slots):
                    self.fleet.assign(self.fleet.threads[slot], None)
                with self.fleet.changed:
                    self.fleet.changed.wait(0.005)
            native.pool_evict(pool.number)
            if not pool.slots:
                native.pool_free(pool.number)

    def _may_wait(self, deadline: float) -> bool:
        return time.monotonic() < deadline and not self._hurried

    # -- end ----------------------------------------------------------------------------------------

    def drain(self, timeout_s: float) -> list[int]:
        """Have everything end, and wait a while; gives the slots that are still busy."""
        self.scaler.stop()
        if self.keeper is not None:
            self.keeper.stop()
        self.fleet.stop()
        for pool in self.pools():
            native.pool_close(pool.number)
        return self.wait_gone([thread.slot for thread in self.fleet.living()], timeout_s)

    def wait_gone(self, slots: Sequence[int], timeout_s: float) -> list[int]:
        """Wait until threads have ended; gives those that have not."""
        return self.fleet.wait_states(slots, _GONE, timeout_s)

    def evict(self) -> int:
        """Refuse what still waits; gives how many requests that were."""
        return sum(native.pool_evict(pool.number) for pool in self.pools())

    def kill(self, slots: Sequence[int], timeout_s: float) -> list[int]:
        """End what still runs; gives the slots that survived."""
        deadline = time.monotonic() + timeout_s
        busy = list(slots)
        while busy and time.monotonic() < deadline:
            for slot in busy:
                self.fleet.kill(slot, "the server is stopping")
            busy = self.wait_gone(busy, 0.1)
        return busy

    def give_up(self, slots: Sequence[int]) -> None:
        """Mark threads that cannot be ended."""
        for slot in slots:
            for state in ("ready", "restarting", "transition complete", "transition requested", "shutting down",
                          "rebooting"):  # fmt: skip
                if native.slot_change(slot, state, "stuck"):
                    break


def _failed(pool: Pool) -> WorkerBootError | None:
    if not isinstance(pool, WorkerPool) or pool.last_error is None:
        return None
    if not pool.has_failed():
        return None
    return WorkerBootError(f"worker {pool.name} failed {pool.failures} times to boot; PHP said: {pool.last_error}")
