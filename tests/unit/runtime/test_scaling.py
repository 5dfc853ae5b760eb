"""When threads are added and released: on a simulated machine, and for any numbers at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.runtime.scaling import CpuUse, Decision, PoolLoad, Scaler
from tests.unit.runtime.simulated_pools import Machine, Pool

IDLE_CPU = CpuUse(0.05, 0.1)
FULL_CPU = CpuUse(0.97, 8.0)


def decide(*pools: PoolLoad, free: int = 60, cpu: CpuUse | None = IDLE_CPU, cores: int = 2) -> Decision:
    return Scaler(cores, 5.0, lambda: 100.0).decide(pools, free, cpu)


def load(name: str = "", **fields: Any) -> PoolLoad:
    busy = {"base": 4, "threads": 4, "max_threads": 64, "waiting": 100, "oldest_wait_s": 0.05}
    return PoolLoad(name, **busy | fields)


# -- a machine -----------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [1, 4])
@pytest.mark.parametrize("neighbours", [0, 4])
def test_a_script_that_sleeps_gets_every_thread_within_two_seconds(base: int, neighbours: int) -> None:
    pool = Pool("", base, 64, clients=200, wait_s=0.1)
    machine = Machine([pool], 64, neighbours=neighbours)
    machine.run(2.0)
    assert machine.size("") == 64
    before = len(pool.completed)
    machine.run(3.0)
    assert (len(pool.completed) - before) / 3.0 >= 0.95 * 640


@pytest.mark.parametrize("base", [1, 4])
@pytest.mark.parametrize("neighbours", [0, 1, 6])
def test_a_script_that_computes_gets_no_more_threads_than_help_it(base: int, neighbours: int) -> None:
    machine = Machine([Pool("", base, 64, clients=200, compute_s=0.05)], 64, neighbours=neighbours)
    machine.run(10.0)
    assert machine.size("") <= max(base, 3)


def test_one_thread_that_computes_gets_company_while_a_core_is_free() -> None:
    pool = Pool("", 1, 64, clients=50, compute_s=0.05)
    machine = Machine([pool], 64, cores=8)
    machine.run(3.0)
    assert 7 <= machine.size("") <= 9


def test_a_script_that_does_both_fills_the_cores_and_stops() -> None:
    pool = Pool("", 2, 64, clients=200, compute_s=0.01, wait_s=0.04)
    machine = Machine([pool], 64)
    machine.run(10.0)
    assert 8 <= machine.size("") <= 24
    before = len(pool.completed)
    machine.run(3.0)
    assert (len(pool.completed) - before) / 3.0 >= 0.8 * 2 / 0.01


def test_quick_scripts_need_no_more_threads_however_many_clients_there_are() -> None:
    machine = Machine([Pool("", 4, 64, clients=8)], 64)
    machine.run(5.0)
    assert machine.size("") == 4


def test_threads_go_when_the_load_is_gone_and_those_of_the_start_stay() -> None:
    pool = Pool("", 4, 64, clients=100, wait_s=0.05)
    machine = Machine([pool], 64, max_idle_time_s=5.0)
    machine.run(3.0)
    assert machine.size("") > 50
    pool.clients = 0
    machine.run(4.5)
    assert machine.size("") > 50, "none goes before its time"
    machine.run(12.0)
    assert machine.size("") == 4
    assert machine.decisions[-1].wake_s is None


def test_half_an_hour_of_idleness_is_less_than_an_hour() -> None:
    idle = tuple((slot, 1800.0) for slot in range(10))
    patient = Scaler(2, 3600.0, lambda: 100.0)
    assert patient.decide([load(waiting=0, threads=10, idle=idle)], 50, None).release == ()
    idle = tuple((slot, 3601.0) for slot in range(10))
    assert len(patient.decide([load(waiting=0, threads=10, idle=idle)], 50, None).release) == 6


def test_a_steady_load_keeps_the_threads_it_needs() -> None:
    pool = Pool("", 1, 64, clients=30, wait_s=0.05)
    machine = Machine([pool], 64, max_idle_time_s=1.0)
    machine.run(3.0)
    size, looks = machine.size(""), len(machine.decisions)
    machine.run(20.0)
    assert machine.size("") == size
    assert not any(decision.add or decision.release for decision in machine.decisions[looks:])


def test_two_busy_pools_share_what_there_is() -> None:
    pools = [Pool(name, 1, 64, clients=200, wait_s=0.1) for name in ("", "shop")]
    machine = Machine(pools, 64)
    machine.run(3.0)
    assert machine.size("") + machine.size("shop") == 64
    assert abs(machine.size("") - machine.size("shop")) <= 8


def test_a_pool_that_has_everything_and_idles_lends_to_one_that_waits() -> None:
    first, second = Pool("", 1, 64, clients=200, wait_s=0.1), Pool("shop", 1, 64, wait_s=0.1)
    machine = Machine([first, second], 64, max_idle_time_s=60.0)
    machine.run(3.0)
    assert machine.size("") == 63
    first.clients, second.clients = 0, 200
    machine.run(3.0)
    assert machine.size("shop") > 50


def test_a_worker_that_never_boots_takes_no_thread_from_the_others() -> None:
    broken = Pool("broken", 2, 64, clients=100, wait_s=0.1, boot_s=1e9)
    good = Pool("good", 2, 64, clients=200, wait_s=0.1)
    machine = Machine([broken, good], 64)
    machine.run(3.0)
    assert machine.size("broken") <= 4
    assert machine.size("good") >= 58


def test_a_worker_with_a_slow_boot_is_not_given_threads_twice() -> None:
    machine = Machine([Pool("slow", 4, 64, clients=10, wait_s=0.1, boot_s=1.0)], 64)
    machine.run(0.9)
    assert machine.size("slow") == 8
    machine.run(3.0)
    assert machine.size("slow") == 10, "as many as there are clients"


def test_a_worker_stops_at_its_own_limit() -> None:
    machine = Machine([Pool("", 1, 64), Pool("shop", 1, 5, clients=200, wait_s=0.1)], 64)
    machine.run(3.0)
    assert machine.size("shop") == 5
    assert not any(decision.exhausted for decision in machine.decisions), "max_threads is not what stops it"


# -- single decisions ----------------------------------------------------------------------------


def test_a_pool_doubles() -> None:
    assert decide(load()).add == (("", 4),)
    assert decide(load(threads=16)).add == (("", 16),)
    assert decide(load(threads=48)).add == (("", 16),)
    assert decide(load(waiting=2)).add == (("", 2),)


def test_a_hand_over_is_no_wait() -> None:
    assert decide(load(oldest_wait_s=0.004)).add == ()
    assert decide(load(waiting=0)).add == ()


def test_requests_wait_for_threads_that_are_on_their_way() -> None:
    assert decide(load(threads=8, coming=4, waiting=4)).add == ()
    assert decide(load(threads=7, coming=3, waiting=100)).add == (("", 1),)
    assert decide(load(threads=4, coming=4)).add == ()


def test_without_figures_of_the_processor_nothing_is_added() -> None:
    assert decide(load(), cpu=None).add == ()
    assert decide(load(), cpu=FULL_CPU).add == ()
    assert decide(load(), cpu=CpuUse(0.1, None)).add == (("", 4),), "where the kernel tells only the process's time"
    assert decide(load(), cpu=CpuUse(0.85, None)).add == ()


def test_an_exhausted_budget_is_said_once_a_minute() -> None:
    now = [0.0]
    scaler = Scaler(2, 5.0, lambda: now[0])
    assert scaler.decide([load()], 0, IDLE_CPU).exhausted == ("",)
    assert scaler.decide([load()], 0, IDLE_CPU).exhausted == ()
    now[0] = 61.0
    assert scaler.decide([load()], 0, IDLE_CPU).exhausted == ("",)
    assert scaler.decide([load()], 0, FULL_CPU).exhausted == (), "more threads would be no help"
    assert scaler.decide([load("other")], 4, IDLE_CPU).exhausted == ()


def test_at_most_ten_threads_go_at_once() -> None:
    now = [0.0]
    scaler = Scaler(2, 5.0, lambda: now[0])
    pool = load(waiting=0, threads=40, idle=tuple((slot, 10.0 + slot) for slot in range(40)))
    assert scaler.decide([pool], 20, None).release == tuple(range(39, 29, -1)), "the longest idle first"
    assert scaler.decide([pool], 20, None).release == ()
    now[0] = 1.0
    assert len(scaler.decide([pool], 20, None).release) == 10


def test_the_next_look_is_soon_only_while_something_waits() -> None:
    assert decide(load()).wake_s == 0.05
    assert decide(load(waiting=0, threads=5)).wake_s == 1.0
    assert decide(load(waiting=0)).wake_s is None


# -- any numbers ---------------------------------------------------------------------------------


@st.composite
def loads(draw: st.DrawFn, name: str) -> PoolLoad:
    base = draw(st.integers(1, 20))
    threads = draw(st.integers(base, 60))
    coming = draw(st.integers(0, threads))
    idle = draw(st.lists(st.floats(0, 100), max_size=threads - coming))
    return PoolLoad(
        name,
        base,
        threads,
        draw(st.integers(threads, 80)),
        coming=coming,
        waiting=draw(st.integers(0, 300)),
        oldest_wait_s=draw(st.floats(0, 30)),
        idle=tuple((hash(name) % 1000 * 1000 + slot, idle_s) for slot, idle_s in enumerate(idle)),
    )


some_pools = st.integers(1, 4).flatmap(lambda count: st.tuples(*(loads(f"pool{i}") for i in range(count))))
some_cpu = st.one_of(st.none(), st.builds(CpuUse, st.floats(0, 1.2), st.one_of(st.none(), st.floats(0, 100))))


@given(some_pools, st.integers(-1, 80), some_cpu, st.floats(0, 10), st.integers(1, 64))
def test_no_limit_is_ever_passed(
    pools: tuple[PoolLoad, ...], free: int, cpu: CpuUse | None, max_idle_time_s: float, cores: int
) -> None:
    decision = Scaler(cores, max_idle_time_s, lambda: 100.0).decide(pools, free, cpu)
    by_name = {pool.name: pool for pool in pools}
    added = dict(decision.add)
    assert sum(added.values()) <= max(0, free)
    for name, count in added.items():
        pool = by_name[name]
        assert 0 < count <= pool.max_threads - pool.threads
        assert count <= pool.waiting - pool.coming - len(pool.idle)
        assert pool.coming + count <= max(1, pool.serving)
    assert len(set(decision.release)) == len(decision.release)
    for pool in pools:
        gone = {slot for slot, _ in pool.idle} & set(decision.release)
        assert len(gone) <= pool.threads - pool.base
        assert not gone or not pool.waiting
    if any(pool.waiting for pool in pools):
        assert decision.wake_s == 0.05


@given(some_pools, st.integers(1, 80), st.integers(1, 64))
def test_what_waits_for_long_gets_a_thread_when_nothing_stands_against_it(
    pools: tuple[PoolLoad, ...], free: int, cores: int
) -> None:
    decision = Scaler(cores, 5.0, lambda: 100.0).decide(pools, free, CpuUse(0.01, 0.0))
    could = [
        pool
        for pool in pools
        if pool.oldest_wait_s >= 0.005
        and pool.waiting > pool.coming + len(pool.idle)
        and pool.coming < max(1, pool.serving)
        and pool.threads < pool.max_threads
    ]
    assert bool(decision.add) == bool(could)
