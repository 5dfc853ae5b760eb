"""An immutable picture of the runtime, made when somebody asks."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from howdah.engine.native import native
from howdah.runtime.ledger import Ledger

if TYPE_CHECKING:
    from howdah.engine.native import Request
    from howdah.runtime.crew import Crew
    from howdah.runtime.pools import WorkerPool
    from howdah.runtime.thread import PhpThread

# Called with site, worker (empty for a regular thread), HTTP status (0 when the client left before there was one), and
# seconds in the queue and in PHP up to the end of the response. Values and no record, because every request pays.
Observer = Callable[[str, str, int, float, float], None]

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class ThreadStatistics:
    """One slot.

    Attributes:
        slot: number of the slot.
        state: name from the life-cycle table.
        thread_id: the kernel's id of the OS thread, 0 without one.
        requests: requests ended in this slot, all its threads together.
        life_requests: requests ended by the thread that lives there now.
        lives: OS threads that the slot has had.
        memory_bytes: PHP memory at the end of the last request.
        since_s: seconds in the current request or wait.
        current: method and URI of the running request, empty when idle.
        peak_memory_bytes: most PHP memory in the last request.
        role: ``regular``, ``worker`` or ``inactive``.
        worker: name of the worker.
        is_waiting: waits for a request or a role.
        is_busy: runs a request, or a worker's script outside requests.
    """

    slot: int
    state: str
    thread_id: int
    requests: int
    life_requests: int
    lives: int
    memory_bytes: int
    since_s: float
    current: str
    peak_memory_bytes: int = 0
    role: str = "inactive"
    worker: str = ""
    is_waiting: bool = False
    is_busy: bool = False


@dataclass(frozen=True, slots=True)
class WorkerStatistics:
    """One worker.

    Attributes:
        name: its unique name.
        file: its script.
        site: name of its site, empty for a global worker.
        threads: threads that have the role.
        ready: threads whose script has booted.
        busy: threads that run a request.
        queue_waiting: requests that wait for it.
        requests: requests that it has taken, all its threads together.
        request_time_s: their time from the creation to the end, added up.
        crashes: scripts that ended with an error, failed boots included.
        restarts: scripts that ended without one.
        boot_failures: runs that never asked for a request.
        last_error: what PHP said of the last failed boot, while the worker does not boot.
        recycles: threads that were replaced, by reason.
    """

    name: str
    file: str
    site: str
    threads: int
    ready: int
    busy: int
    queue_waiting: int
    requests: int
    request_time_s: float
    crashes: int
    restarts: int
    boot_failures: int
    last_error: str | None
    recycles: dict[str, int]


@dataclass(frozen=True, slots=True)
class RuntimeStatistics:
    """The whole runtime. ``accepted == completed + sum(rejected) + aborted`` whenever nothing is open.

    Attributes:
        state: new, running, stopping, stopped or stuck.
        num_threads: threads that were started.
        accepted: requests meant for PHP.
        completed: requests answered by a script.
        rejected: requests refused with a status, by reason.
        aborted: requests whose client left.
        queue_waiting: requests that wait for a thread.
        queue_peak: most that ever waited.
        idle_threads: threads that wait for a request.
        spool_memory_bytes: memory in all spools.
        spool_file_bytes: disk in all spools.
        spool_files: open spool files.
        spool_errors: spool files that could not be made, written or read.
        threads: one entry per slot in use.
        max_threads: threads that may live at the same time.
        reserved_threads: threads that could still be started.
        workers: one entry per worker.
        recycles: threads that were replaced, by reason.
        kills: requests that were killed, by reason.
        stuck: threads that survived a kill.
        restarts: rolling restarts.
        wipes: wipes of OPcache.
        wipes_put_off: attempts to wipe that were given up.
        wipe_pause_s: time for which requests were held back.
        opcache: what OPcache says, at most a second old; None without.
        rss_bytes: resident memory of the process.
    """

    state: str
    num_threads: int
    accepted: int
    completed: int
    rejected: dict[str, int]
    aborted: int
    queue_waiting: int
    queue_peak: int
    idle_threads: int
    spool_memory_bytes: int
    spool_file_bytes: int
    spool_files: int
    spool_errors: int
    threads: tuple[ThreadStatistics, ...]
    max_threads: int = 0
    reserved_threads: int = 0
    workers: tuple[WorkerStatistics, ...] = ()
    recycles: dict[str, int] = field(default_factory=dict)
    kills: dict[str, int] = field(default_factory=dict)
    stuck: int = 0
    restarts: int = 0
    wipes: int = 0
    wipes_put_off: int = 0
    wipe_pause_s: float = 0.0
    opcache: dict[str, Any] | None = None
    rss_bytes: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Give plain dictionaries, lists and numbers, ready for JSON."""
        return asdict(self)

    @property
    def open(self) -> int:
        """Requests that have not ended."""
        return self.accepted - self.completed - self.aborted - sum(self.rejected.values())


def observe(observers: Sequence[Observer], request: Request, pool: WorkerPool | None, site: str, status: int) -> None:
    """Tell the observers of a request that ended, and add its time up for its worker.

    Args:
        observers: of the runtime.
        request: the record.
        pool: the worker that had it.
        site: its name.
        status: HTTP status, 0 when the client left before there was one.
    """
    queue_s, php_s = request.times_s
    worker = ""
    if pool is not None:
        worker = pool.name
        pool.request_time_s += queue_s + php_s
    for observer in observers:
        observer(site, worker, status, queue_s, php_s)


def collect(state: str, crew: Crew | None, ledgers: Iterable[Ledger]) -> RuntimeStatistics:
    """Add up the ledgers and read the scoreboard."""
    rejected: Counter[str] = Counter()
    accepted = completed = aborted = 0
    for ledger in ledgers:
        accepted += ledger.accepted
        completed += ledger.completed
        aborted += ledger.aborted
        rejected.update(ledger.rejected)
    counts = native.statistics()
    base = RuntimeStatistics(
        state=state,
        num_threads=0,
        accepted=accepted,
        completed=completed,
        rejected=dict(rejected),
        aborted=aborted,
        queue_waiting=0,
        queue_peak=0,
        idle_threads=0,
        threads=(),
        rss_bytes=_rss_bytes(),
        spool_memory_bytes=counts["spool_memory_bytes"],
        spool_file_bytes=counts["spool_file_bytes"],
        spool_files=counts["spool_files"],
        spool_errors=counts["spool_errors"],
    )
    return base if crew is None or native.state() != "running" else _with_crew(base, crew)


def _with_crew(base: RuntimeStatistics, crew: Crew) -> RuntimeStatistics:
    fleet, keeper = crew.fleet, crew.keeper
    queue = native.pool_statistics(crew.regular.number)
    threads = tuple(_thread(thread) for thread in fleet.living())
    with fleet.changed:
        recycles, kills, stuck = dict(fleet.recycles), dict(fleet.kills), fleet.stuck
    return replace(
        base,
        num_threads=sum(pool.base for pool in crew.pools()),
        queue_waiting=queue["waiting"],
        queue_peak=queue["peak"],
        idle_threads=sum(native.pool_statistics(pool.number)["idle"] for pool in crew.pools()),
        threads=threads,
        max_threads=fleet.max_threads,
        reserved_threads=max(0, fleet.max_threads - len(threads)),
        workers=tuple(_worker(pool) for pool in crew.workers),
        recycles=recycles,
        kills=kills,
        stuck=stuck,
        restarts=crew.roller.rolls,
        wipes=keeper.wipes if keeper is not None else 0,
        wipes_put_off=keeper.put_off if keeper is not None else 0,
        wipe_pause_s=keeper.pause_s if keeper is not None else 0.0,
        opcache=keeper.look() if keeper is not None else None,
    )


def _worker(pool: WorkerPool) -> WorkerStatistics:
    queue = native.pool_statistics(pool.number)
    ready = pool.ready_slots()
    return WorkerStatistics(
        name=pool.name,
        file=pool.file,
        site=pool.site,
        threads=len(pool.slots),
        ready=len(ready),
        busy=sum(bool(native.slot_info(slot)["request_id"]) for slot in ready),
        queue_waiting=queue["waiting"],
        requests=queue["pushed"],
        request_time_s=pool.request_time_s,
        crashes=pool.counts.crashes,
        restarts=pool.counts.restarts,
        boot_failures=pool.counts.boot_failures,
        last_error=pool.last_error if pool.is_broken() else None,
        recycles=dict(pool.counts.recycles),
    )


def _thread(thread: PhpThread) -> ThreadStatistics:
    info = native.slot_info(thread.slot)
    role = thread.role
    is_busy = info["request_id"] != 0
    return ThreadStatistics(
        slot=thread.slot,
        state=info["state"],
        thread_id=info["thread_id"],
        requests=info["requests"],
        life_requests=info["life_requests"],
        lives=info["lives"],
        memory_bytes=info["memory_bytes"],
        since_s=info["since_s"],
        current=info["current"],
        peak_memory_bytes=info["peak_bytes"],
        role="inactive" if role is None else "regular" if role.worker is None else "worker",
        worker=role.name if role is not None else "",
        is_waiting=thread.is_waiting or (info["state"] == "ready" and not is_busy),
        is_busy=is_busy,
    )


def _rss_bytes() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - read for every snapshot
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0
