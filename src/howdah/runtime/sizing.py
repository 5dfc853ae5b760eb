"""How many PHP threads: arithmetic on the settings, the cores and the memory that this process may use.

Knows nothing of PHP and starts nothing. All defaults are resolved before anything is compared.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from howdah.config.model import RuntimeConfig, WorkerConfig
from howdah.errors import ConfigError
from howdah.runtime.cgroups import Cgroups

# Slots of the scoreboard; the same number stands in native/hw_board.h.
CEILING = 1024
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


@dataclass(frozen=True, slots=True)
class WorkerSize:
    """Threads of one worker.

    Attributes:
        num: threads from the start on.
        max: threads that it may have when it is busy and others leave it all that can be added.
    """

    num: int
    max: int


@dataclass(frozen=True, slots=True)
class Sizing:
    """Threads of a runtime. ``num_threads == regular_threads + sum of the workers' num``.

    Attributes:
        num_threads: threads from the start on.
        max_threads: slots, hence most threads at any time.
        regular_threads: threads for requests that no worker takes, from the start on; at least 1.
        workers: one entry per worker, in the order in which they were given.
    """

    num_threads: int
    max_threads: int
    regular_threads: int
    workers: tuple[WorkerSize, ...]

    @property
    def budget(self) -> int:
        """Threads that can be added to those of the start."""
        return self.max_threads - self.num_threads

    @property
    def regular_max(self) -> int:
        """Threads that requests without a worker may have when workers need none more."""
        return self.regular_threads + self.budget


def usable_cores() -> int:
    """Give the number of cores that this process may use, at least 1: affinity and control group counted."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    limit = Cgroups().cores()
    if limit is not None:
        cores = min(cores, max(1, round(limit)))
    return max(1, cores)


def usable_memory_bytes() -> int | None:
    """Give the memory that this process may use, control group counted; None where that cannot be found out."""
    try:
        total: int | None = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        total = None
    limit = Cgroups().memory_bytes()
    return min((size for size in (total, limit) if size is not None and size > 0), default=None)


def ini_bytes(text: str) -> int | None:
    """Read a size as php.ini writes it (``128M``, ``1G``, ``67108864``, ``-1``); None is no limit or no size."""
    found = re.match(r"\s*(\d+)\s*([kmgKMG]?)", text)
    if found is None:
        return None
    return int(found[1]) * _UNITS[found[2].lower()] or None


def calculate(
    config: RuntimeConfig,
    workers: Sequence[WorkerConfig],
    cores: int,
    total_memory_bytes: int | None = None,
    memory_limit_bytes: int | None = None,
) -> Sizing:
    """Resolve every number of threads.

    A number that was not given follows from those that were: a worker gets twice the cores, but not more than
    ``num_threads``, ``max_threads`` and its own ``max_threads`` leave to it; the whole gets one thread more than
    its workers. ``max_threads auto`` is what fits into memory with PHP's ``memory_limit`` for each thread.

    Args:
        config: settings of the runtime; its ``workers`` are not looked at.
        workers: every worker of the runtime, also those of sites.
        cores: cores that this process may use.
        total_memory_bytes: memory that it may use; None is unknown.
        memory_limit_bytes: PHP's ``memory_limit``; None is no limit.

    Raises:
        ConfigError: the numbers contradict each other; the message has the numbers and the cure.
    """
    given = config.max_threads if isinstance(config.max_threads, int) else None
    for worker in workers:
        _check_worker(worker, given)
    numbers = _worker_numbers(workers, cores, _shared(config.num_threads, given))
    in_workers = sum(numbers)
    num_threads = config.num_threads
    if num_threads is None:
        scales = config.max_threads is not None or any(worker.max_threads for worker in workers)
        # Threads are added when they are needed, so the start is small; without that it has to be enough.
        num_threads = in_workers + 1 if scales else max(in_workers + 1, 2 * cores)
    _check_whole(num_threads, in_workers, given, is_given=config.num_threads is not None)
    max_threads = _max_threads(config, workers, numbers, num_threads, (total_memory_bytes, memory_limit_bytes))
    if max_threads > CEILING:
        raise ConfigError(
            f"the settings add up to {max_threads} PHP threads, more than the {CEILING} that one process can have: "
            "lower num_threads, max_threads or the numbers of the workers",
            directive="max_threads" if num_threads <= CEILING else "num_threads",
        )
    budget = max_threads - num_threads
    return Sizing(
        num_threads,
        max_threads,
        num_threads - in_workers,
        tuple(
            WorkerSize(num, min(worker.max_threads or num + budget, num + budget))
            for worker, num in zip(workers, numbers, strict=True)
        ),
    )


def _shared(num_threads: int | None, max_threads: int | None) -> int | None:
    """Give the threads that all workers together may start with; None is any number."""
    limits = [limit - 1 for limit in (num_threads, max_threads) if limit is not None]
    return min(limits, default=None)


def _check_worker(worker: WorkerConfig, max_threads: int | None) -> None:
    if not worker.max_threads:
        return
    if worker.num and worker.max_threads < worker.num:
        raise worker.position.error(
            f"worker {worker.file}: max_threads {worker.max_threads} must not be smaller than num {worker.num}",
            "max_threads",
        )
    if max_threads is not None and worker.max_threads > max_threads:
        raise worker.position.error(
            f"worker {worker.file}: max_threads {worker.max_threads} must not be greater than the max_threads "
            f"{max_threads} of the whole",
            "max_threads",
        )


def _worker_numbers(workers: Sequence[WorkerConfig], cores: int, shared: int | None) -> list[int]:
    """Give each worker's threads of the start; those without a number share evenly what a given limit leaves."""
    numbers = [worker.num or 0 for worker in workers]
    undecided = [index for index, worker in enumerate(workers) if not worker.num]
    left = None if shared is None else max(0, shared - sum(numbers))
    # The one that wants least first: what it leaves goes to the others.
    wishes = {index: min(2 * cores, workers[index].max_threads or 2 * cores) for index in undecided}
    for position, index in enumerate(sorted(undecided, key=wishes.__getitem__)):
        wish = wishes[index]
        if left is not None:
            wish = max(1, min(wish, left // (len(undecided) - position)))
            left = max(0, left - wish)
        numbers[index] = wish
    return numbers


def _check_whole(num_threads: int, in_workers: int, max_threads: int | None, *, is_given: bool) -> None:
    if is_given and num_threads <= in_workers:
        raise ConfigError(
            f"num_threads {num_threads} must be greater than the {in_workers} threads of the workers, because one "
            "serves what no worker takes: raise it, or lower num of a worker",
            directive="num_threads",
        )
    if max_threads is not None and max_threads < num_threads:
        need = "num_threads" if is_given else f"the {in_workers} threads of the workers and one for other requests:"
        raise ConfigError(
            f"max_threads {max_threads} must not be smaller than {need} {num_threads}", directive="max_threads"
        )


def _max_threads(
    config: RuntimeConfig,
    workers: Sequence[WorkerConfig],
    numbers: Sequence[int],
    num_threads: int,
    memory: tuple[int | None, int | None],
) -> int:
    if isinstance(config.max_threads, int):
        return config.max_threads
    if config.max_threads == "auto":
        total, limit = memory
        fits = total // limit if total and limit else 2 * num_threads
        return max(num_threads, min(fits, CEILING))
    pairs = zip(workers, numbers, strict=True)
    return num_threads + sum(worker.max_threads - num for worker, num in pairs if worker.max_threads)
