"""How many threads: the table of every combination of settings, its mistakes, and rules that hold for all of them."""

from __future__ import annotations

import os
from dataclasses import astuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.config.model import GIB, MIB, RuntimeConfig, WorkerConfig
from howdah.errors import ConfigError
from howdah.runtime import sizing
from howdah.runtime.cgroups import Cgroups
from howdah.runtime.sizing import Sizing, calculate, ini_bytes

CORES = 3


def runtime(num: int | None = None, maximum: Any = None) -> RuntimeConfig:
    return RuntimeConfig(num_threads=num, max_threads=maximum)


def worker(num: int | None = None, maximum: int = 0) -> WorkerConfig:
    return WorkerConfig(f"worker-{num}-{maximum}.php", num=num, max_threads=maximum)


ONE = (worker(1),)


@pytest.mark.parametrize(
    ("config", "workers", "num_threads", "max_threads"),
    [
        # nothing given: twice the cores, or one more than the workers need
        (runtime(), (), 6, 6),
        (runtime(), ONE, 6, 6),
        (runtime(), (worker(5),), 6, 6),
        (runtime(), (worker(6),), 7, 7),
        (runtime(), (worker(4), worker(5)), 10, 10),
        (runtime(), (worker(),), 7, 7),
        (runtime(), (worker(0),), 7, 7),
        # num_threads
        (runtime(1), (), 1, 1),
        (runtime(2), ONE, 2, 2),
        (runtime(9), (worker(3), worker(4)), 9, 9),
        # max_threads
        (runtime(None, 10), (), 1, 10),
        (runtime(None, 10), ONE, 2, 10),
        (runtime(None, 2), ONE, 2, 2),
        # both
        (runtime(5, 10), ONE, 5, 10),
        (runtime(5, 5), ONE, 5, 5),
        # auto, memory unknown
        (runtime(None, "auto"), (), 1, 2),
        (runtime(None, "auto"), ONE, 2, 4),
        (runtime(2, "auto"), ONE, 2, 4),
        # max_threads of workers only
        (runtime(), (worker(1, 3),), 2, 4),
        (runtime(4), (worker(1, 3),), 4, 6),
        (runtime(), (worker(2, 5), worker(3)), 6, 9),
        (runtime(), (worker(2, 5), worker(3, 4)), 6, 10),
        (runtime(None, 12), (worker(2, 5), worker(3, 4)), 6, 12),
        (runtime(None, "auto"), (worker(1, 3),), 2, 4),
    ],
)
def test_numbers_follow_from_what_was_given(
    config: RuntimeConfig, workers: tuple[WorkerConfig, ...], num_threads: int, max_threads: int
) -> None:
    found = calculate(config, workers, CORES)
    assert (found.num_threads, found.max_threads) == (num_threads, max_threads)
    assert found.regular_threads == num_threads - sum(entry.num for entry in found.workers)
    assert found.budget == max_threads - num_threads


@pytest.mark.parametrize(
    ("config", "workers", "expected"),
    [
        (runtime(), (worker(),), [(6, 6)]),
        (runtime(), (worker(), worker(1)), [(6, 6), (1, 1)]),
        # a given whole bends what was not given: threads - 1 for the worker
        (runtime(4), (worker(),), [(3, 3)]),
        (runtime(20), (worker(),), [(6, 6)]),
        (runtime(4), (worker(2), worker()), [(2, 2), (1, 1)]),
        (runtime(8), (worker(), worker()), [(3, 3), (4, 4)]),
        (runtime(8), (worker(None, 2), worker()), [(2, 2), (5, 5)]),
        (runtime(None, 4), (worker(),), [(3, 3)]),
        (runtime(None, 16), (worker(),), [(6, 15)]),
        # its own bound bends it too, and twice the cores are meant where 0 stands (not 0)
        (runtime(), (worker(None, 4),), [(4, 4)]),
        (runtime(), (worker(0, 10),), [(6, 10)]),
        # what a worker may grow to, when others leave it everything
        (runtime(5, 10), (worker(1),), [(1, 6)]),
        (runtime(5, 10), (worker(1, 3),), [(1, 3)]),
        (runtime(5, 10), (worker(2, 9), worker(1)), [(2, 7), (1, 6)]),
    ],
)
def test_workers_get_their_threads(
    config: RuntimeConfig, workers: tuple[WorkerConfig, ...], expected: list[tuple[int, int]]
) -> None:
    assert [astuple(entry) for entry in calculate(config, workers, CORES).workers] == expected


@pytest.mark.parametrize(
    ("config", "workers", "message", "directive"),
    [
        (runtime(1), ONE, "num_threads 1 must be greater than the 1 threads of the workers", "num_threads"),
        (runtime(1, "auto"), ONE, "num_threads 1 must be greater than the 1 threads of the workers", "num_threads"),
        (runtime(1, 1), ONE, "num_threads 1 must be greater than the 1 threads of the workers", "num_threads"),
        (runtime(1), (worker(),), "num_threads 1 must be greater than the 1 threads of the workers", "num_threads"),
        (runtime(3), (worker(2), worker()), "num_threads 3 must be greater than the 3 threads", "num_threads"),
        (runtime(None, 1), ONE, "max_threads 1 must not be smaller than the 1 threads of the workers", "max_threads"),
        (
            runtime(None, 5),
            (worker(1, 10),),
            "worker worker-1-10.php: max_threads 10 must not be greater than the max_threads 5 of the whole",
            "max_threads",
        ),
        (
            runtime(),
            (worker(10, 5),),
            "worker worker-10-5.php: max_threads 5 must not be smaller than num 10",
            "max_threads",
        ),
        (runtime(None, 1025), (), "the settings add up to 1025 PHP threads", "max_threads"),
        (runtime(), (worker(2000),), "the settings add up to 2001 PHP threads", "num_threads"),
        (runtime(), (worker(1, 1024),), "the settings add up to 1025 PHP threads", "max_threads"),
    ],
)
def test_contradictions_are_named_with_their_numbers(
    config: RuntimeConfig, workers: tuple[WorkerConfig, ...], message: str, directive: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        calculate(config, workers, CORES)
    assert str(caught.value).startswith(message)
    assert caught.value.directive == directive


def test_fewer_threads_than_at_the_start_are_refused_where_they_are_written() -> None:
    with pytest.raises(ConfigError, match="max_threads must not be smaller than num_threads"):
        runtime(2, 1)


@pytest.mark.parametrize(
    ("total", "limit", "max_threads"),
    [
        (4 * GIB, 128 * MIB, 32),
        (64 * GIB, 4 * GIB, 16),  # neither fits into 32 bits
        (4 * GIB, None, 4),  # memory_limit = -1
        (None, 128 * MIB, 4),
        (100 * MIB, 128 * MIB, 2),  # never fewer than at the start
        (1024 * GIB, 64 * MIB, 1024),  # never more than there are slots
    ],
)
def test_automatic_is_what_memory_has_room_for(total: int | None, limit: int | None, max_threads: int) -> None:
    assert calculate(runtime(2, "auto"), ONE, CORES, total, limit).max_threads == max_threads


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("128M", 128 * MIB),
        ("2G", 2 * GIB),
        ("4g", 4 * GIB),
        ("512K", 512 * 1024),
        ("134217728", 128 * MIB),
        (" 64 M", 64 * MIB),
        ("-1", None),
        ("0", None),
        ("", None),
        ("much", None),
    ],
)
def test_sizes_of_php_ini_are_read(text: str, size: int | None) -> None:
    assert ini_bytes(text) == size


numbers = st.one_of(st.none(), st.integers(1, 40))
some_workers = st.lists(st.builds(worker, st.one_of(st.none(), st.integers(0, 12)), st.integers(0, 30)), max_size=5)


@given(numbers, st.one_of(numbers, st.just("auto")), some_workers, st.integers(1, 16))
def test_whatever_is_accepted_adds_up(num: int | None, maximum: Any, workers: list[WorkerConfig], cores: int) -> None:
    try:
        found: Sizing = calculate(runtime(num, maximum), workers, cores, 8 * GIB, 128 * MIB)
    except ConfigError:
        return
    assert 1 <= found.num_threads <= found.max_threads <= sizing.CEILING
    assert found.regular_threads >= 1
    assert found.num_threads == found.regular_threads + sum(entry.num for entry in found.workers)
    assert num in {None, found.num_threads}
    assert maximum in {None, "auto", found.max_threads}
    for asked, entry in zip(workers, found.workers, strict=True):
        assert 1 <= entry.num <= entry.max <= found.max_threads
        assert not asked.num or entry.num == asked.num
        assert not asked.max_threads or entry.max <= asked.max_threads


@given(some_workers, st.integers(1, 16))
def test_workers_without_any_other_limit_are_always_accepted(workers: list[WorkerConfig], cores: int) -> None:
    sensible = [entry for entry in workers if not entry.max_threads or (entry.num or 0) <= entry.max_threads]
    calculate(runtime(), sensible, cores)


@pytest.mark.parametrize(("quota", "cores"), [(0.2, 1), (1.5, 2), (64.0, 4), (None, 4)])
def test_cores_are_those_of_affinity_and_quota(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)))
    monkeypatch.setattr(Cgroups, "cores", lambda _: quota)
    assert sizing.usable_cores() == cores


@pytest.mark.parametrize("limit", [None, 64 * MIB, 1 << 60])
def test_memory_is_that_of_machine_and_group(monkeypatch: pytest.MonkeyPatch, limit: int | None) -> None:
    monkeypatch.setattr(Cgroups, "memory_bytes", lambda _: limit)
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert sizing.usable_memory_bytes() == min(machine, limit or machine)
