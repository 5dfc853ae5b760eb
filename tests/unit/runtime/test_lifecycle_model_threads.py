"""Random events on real threads: `PhpThread` and `Fleet` as they are, on a simulated PHP and the real scoreboard.

Whatever happens in whatever order, no thread hangs, none is lost, and none leaves its storage behind.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from howdah.config.model import RuntimeConfig, WorkerConfig
from tests.unit.runtime.simulated_php import HANG_S, SimulatedPhp, WatchedCondition, runtime_on

SLOTS, MAX_THREADS = 6, 5
REGULAR, SHOP, BLOG = range(3)
HOW = ("serve", "serve", "serve", "recycle", "memory", "unhealthy", "exit", "crash", "blocked", "deaf")
GONE = {"reserved", "done"}
pools = st.sampled_from((REGULAR, SHOP, BLOG))
slots = st.integers(0, SLOTS - 1)


class Errors(logging.Handler):
    """Keeps what the runtime says about defects of its own."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or "report" in record.getMessage():
            self.texts.append(record.getMessage() + str(record.exc_info))


class Threads(RuleBasedStateMachine):
    """A runtime with a regular pool and two workers."""

    def __init__(self) -> None:
        super().__init__()
        self.others = set(threading.enumerate())
        self.errors = Errors()
        self.log = logging.getLogger("howdah.runtime")
        self.log.addHandler(self.errors)
        self.level, self.propagated = self.log.level, self.log.propagate
        self.log.propagate = False
        self.log.setLevel(logging.ERROR)
        self.php = SimulatedPhp(SLOTS, 3)
        with runtime_on(self.php) as runtime:
            self.fleet = runtime.fleet.Fleet(RuntimeConfig(), SLOTS)
            make: Any = runtime.pools.WorkerPool
            self.pools = [runtime.pools.Pool(REGULAR, "", 2, MAX_THREADS)] + [
                make(number, name, WorkerConfig(f"{name}.php"), {}, base=1, max_threads=MAX_THREADS)
                for number, name in ((SHOP, "shop"), (BLOG, "blog"))
            ]
        self.fleet.max_threads = MAX_THREADS
        self.fleet.changed = WatchedCondition()
        self.stuck = 0
        self.failed = False

    @initialize()
    def start(self) -> None:
        for pool in self.pools:
            assert self.fleet.add(pool, pool.base) == pool.base

    # -- events ---------------------------------------------------------------------------------------

    @rule(pool=pools, how=st.sampled_from(HOW), count=st.integers(1, 4))
    def requests_come(self, pool: int, how: str, count: int) -> None:
        for _ in range(count):
            self.php.send(pool, how)
            self.every_thread_comes_to_rest()

    @rule(pool=pools, count=st.integers(1, 6))
    def threads_are_added(self, pool: int, count: int) -> None:
        assert 0 <= self.fleet.add(self.pools[pool], count) <= count

    @rule(slot=slots, pool=st.one_of(st.none(), pools))
    def a_role_is_changed(self, slot: int, pool: int | None) -> None:
        self.fleet.assign(self.fleet.threads[slot], None if pool is None else self.pools[pool])

    @rule(pool=st.sampled_from((SHOP, BLOG)))
    def a_worker_is_restarted(self, pool: int) -> None:
        with self.fleet.changed:
            self.pools[pool].generation += 1
        for thread in self.fleet.threads:
            self.fleet.order_restart(thread, self.pools[pool])

    @rule(pool=st.sampled_from((SHOP, BLOG)), fail=st.booleans())
    def the_script_breaks_or_is_mended(self, pool: int, fail: bool) -> None:
        self.php.set_boots_fail(pool, fail=fail)

    @rule(on=st.booleans())
    def a_wipe_begins_or_ends(self, on: bool) -> None:
        with self.fleet.changed:
            self.fleet.wiping = on
            self.fleet.changed.notify_all()
        for pool in self.pools[1:]:
            for slot in list(pool.slots) if on else []:
                self.php.pool_leave(pool.number, slot)

    @rule(slot=slots)
    def a_request_is_killed(self, slot: int) -> None:
        self.fleet.kill(slot, "for the test")

    @rule(slot=slots)
    def a_deaf_thread_is_given_up(self, slot: int) -> None:
        work = self.php.running(slot)
        if work is not None and work.how == "deaf":
            self.stuck += self.fleet.mark_stuck(slot)

    @rule()
    def the_deaf_come_back(self) -> None:
        self.php.wake_the_deaf()

    @rule()
    def it_settles(self) -> None:
        """Once nothing fails, nothing blocks, nothing is wiped and each pool has a thread, everything is served."""
        with self.fleet.changed:
            self.fleet.wiping = False
            self.fleet.changed.notify_all()
        for pool in (SHOP, BLOG):
            self.php.set_boots_fail(pool, fail=False)
        for pool in self.pools:
            self.php.send(pool.number, "serve")
        self._wait(self._all_served, lambda: f"unserved: {self._picture()}")

    def _all_served(self) -> bool:
        self.php.wake_the_deaf()
        for slot in range(SLOTS):
            self.fleet.kill(slot, "to come to rest")
        for pool in self.pools:
            if not pool.slots and not self.fleet.add(pool, 1):
                donor = max(self.pools, key=lambda other: len(other.slots))
                self.fleet.assign(self.fleet.threads[min(donor.slots)], pool)
        return all(work.ends for work in self.php.all)

    # -- what holds ---------------------------------------------------------------------------------------

    @invariant()
    def every_thread_comes_to_rest(self) -> None:
        """Each event is answered in full before the next, so that a failure can be repeated and made small."""

        def rests() -> bool:
            with self.fleet.changed, self.php.changed:
                asleep = self.fleet.changed.asleep | self.php.changed.asleep
                return all(thread.ident in asleep for thread in set(threading.enumerate()) - self.others)

        self._wait(rests, lambda: f"does not come to rest: {self._picture()}")

    @invariant()
    def nothing_impossible_has_happened(self) -> None:
        self._check(not self.php.mistakes and not self.errors.texts, f"{self.php.mistakes} {self.errors.texts}")

    @invariant()
    def pools_and_threads_agree(self) -> None:
        with self.fleet.changed:
            for thread in self.fleet.threads:
                pools = {pool.number for pool in self.pools if thread.slot in pool.slots}
                known = {pool.number for pool in (thread.role, thread.wanted) if pool is not None}
                self._check(pools == known, f"slot {thread.slot} is in {pools}, not {known}: {self._picture()}")

    @invariant()
    def there_are_no_more_threads_than_allowed(self) -> None:
        with self.fleet.changed:
            living = sum(self.php.slot_state(slot) not in GONE for slot in range(SLOTS))
        self._check(living <= MAX_THREADS + self.stuck, self._picture())

    def teardown(self) -> None:
        failed = self.failed  # then what follows is only to leave nothing behind
        self.fleet.stop()
        self.php.close()
        self._wait(
            lambda: all(self.php.slot_state(slot) == "reserved" for slot in range(SLOTS)),
            lambda: f"does not stop: {self._picture()}",
        )
        self._wait(
            lambda: set(threading.enumerate()) <= self.others,
            lambda: f"threads are left: {set(threading.enumerate()) - self.others}",
        )
        self.log.removeHandler(self.errors)
        self.log.propagate, level = self.propagated, self.level
        self.log.setLevel(level)
        if failed:
            return
        self.nothing_impossible_has_happened()
        self._check(not self.php.alive, f"storage is left: {self.php.alive}")
        self._check(self.php.lives == self.php.frees, f"{self.php.lives} boots, {self.php.frees} frees")
        self._check(not any(pool.slots for pool in self.pools), f"slots are left: {self._picture()}")
        # what nobody could take any more is refused by the runtime; the rest has ended once
        left = sum(self.php.waiting(pool.number) for pool in self.pools)
        self._check([work.ends for work in self.php.all].count(0) == left, "requests are lost")

    def _check(self, condition: bool, what: str) -> None:
        self.failed |= not condition
        assert condition, what

    def _wait(self, condition: Callable[[], bool], what: Callable[[], str]) -> None:
        end = time.monotonic() + HANG_S
        while not condition():
            if time.monotonic() >= end:
                self._check(False, what())
            time.sleep(0.001)

    def _picture(self) -> str:
        states = [
            (
                slot,
                self.php.slot_state(slot),
                getattr(self.fleet.threads[slot].role, "name", None),
                self.php.running(slot),
            )
            for slot in range(SLOTS)
        ]
        return f"{states}, waiting {[self.php.waiting(pool.number) for pool in self.pools]}"


Threads.TestCase.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestThreads = pytest.mark.slow(pytest.mark.timeout(300)(Threads.TestCase))
