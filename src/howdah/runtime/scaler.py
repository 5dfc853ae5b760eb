"""The thread that adds PHP threads while requests wait, and takes idle ones away again.

What to do is decided by `howdah.runtime.scaling`; this module looks and acts.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from howdah.engine.native import native
from howdah.runtime.cpu import CpuMeter
from howdah.runtime.event import Event
from howdah.runtime.scaling import TICK_S, Decision, PoolLoad, Scaler

if TYPE_CHECKING:
    from howdah.runtime.fleet import Fleet
    from howdah.runtime.pools import Pool

_log = logging.getLogger("howdah.runtime")


class ScalerThread:
    """Looks every 50 ms, which costs a few microseconds per pool, and acts on what was decided.

    Args:
        fleet: the slots.
        pools: gives all pools of this moment.
        cores: cores that the process may use.
        max_idle_time_s: idle time after which a thread beyond those of the start goes.
    """

    def __init__(self, fleet: Fleet, pools: Callable[[], Sequence[Pool]], cores: int, max_idle_time_s: float) -> None:
        self._fleet = fleet
        self._pools = pools
        self._meter = CpuMeter(cores)
        self._scaler = Scaler(cores, max_idle_time_s, time.monotonic)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="howdah-scaler", daemon=True)

    def start(self) -> None:
        """Start looking."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; blocks for one look at most."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=5)

    def set_max_idle_time(self, seconds: float) -> None:
        """Take over a new setting; any thread may call it."""
        self._scaler.max_idle_time_s = seconds

    def _run(self) -> None:
        while not self._stopping.wait(TICK_S):
            pools = list(self._pools())
            for pool in pools:
                if len(pool.slots) < pool.base:  # a thread was lost: stuck, or the system refused one
                    self._fleet.add(pool, pool.base - len(pool.slots))
            waiting = any(native.pool_statistics(pool.number)["waiting"] for pool in pools)
            if not waiting and not any(len(pool.slots) > pool.base for pool in pools):
                continue
            self._act(pools)

    def _act(self, pools: Sequence[Pool]) -> None:
        loads = [self._load(pool) for pool in pools]
        living = self._fleet.living()
        inactive = sum(native.slot_state(thread.slot) == "inactive" for thread in living)
        free = self._fleet.max_threads - len(living) + inactive
        ids = [native.slot_info(thread.slot)["thread_id"] for thread in living]
        decision = self._scaler.decide(loads, free, self._meter.look(identity for identity in ids if identity))
        self._carry_out(decision, {pool.name: pool for pool in pools})

    def _load(self, pool: Pool) -> PoolLoad:
        stats = native.pool_statistics(pool.number)
        idle = []
        coming = 0
        slots = list(pool.slots)
        for slot in slots:
            info = native.slot_info(slot)
            if info["state"] != "ready":
                coming += 1
            elif not info["request_id"]:
                idle.append((slot, info["since_s"]))
        return PoolLoad(
            pool.name,
            pool.base,
            len(slots),
            pool.max_threads,
            coming,
            stats["waiting"],
            stats["oldest_s"],
            tuple(idle),
        )

    def _carry_out(self, decision: Decision, pools: dict[str, Pool]) -> None:
        for name, count in decision.add:
            added = self._fleet.add(pools[name], count)
            if added:
                beyond = _beyond(pools.values())
                kind = Event("upscaling worker thread", worker=name, threads=added, num_threads=beyond)
                _log.info(kind if name else Event("upscaling regular thread", threads=added, num_threads=beyond))
        for slot in decision.release:
            idle_s = native.slot_info(slot)["since_s"]
            if self._fleet.assign(self._fleet.threads[slot], None):
                beyond = _beyond(pools.values())
                _log.info(Event("downscaling thread", thread=slot, wait_time=round(idle_s * 1000), num_threads=beyond))
        for name in decision.exhausted:
            worker = {"worker": name} if name else {}
            _log.warning(Event("could not increase max_threads, consider raising this limit", **worker))


def _beyond(pools: Iterable[Pool]) -> int:
    """Give how many threads there are beyond those of the start."""
    return sum(max(0, len(pool.slots) - pool.base) for pool in pools)
