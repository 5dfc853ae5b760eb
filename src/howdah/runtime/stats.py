"""An immutable picture of the runtime, made when somebody asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from howdah.engine.native import native
from howdah.runtime.ledger import Ledger


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
        threads: one entry per slot.
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

    def as_dict(self) -> dict[str, Any]:
        """Give plain dictionaries, lists and numbers, ready for JSON."""
        return asdict(self)

    @property
    def open(self) -> int:
        """Requests that have not ended."""
        return self.accepted - self.completed - self.aborted - sum(self.rejected.values())


def collect(state: str, num_threads: int, ledgers: Iterable[Ledger]) -> RuntimeStatistics:
    """Add up the ledgers and read the scoreboard."""
    rejected: Counter[str] = Counter()
    accepted = completed = aborted = 0
    for ledger in ledgers:
        accepted += ledger.accepted
        completed += ledger.completed
        aborted += ledger.aborted
        rejected.update(ledger.rejected)
    counts = native.statistics()
    return RuntimeStatistics(
        state=state,
        num_threads=num_threads,
        accepted=accepted,
        completed=completed,
        rejected=dict(rejected),
        aborted=aborted,
        queue_waiting=counts["queue_waiting"],
        queue_peak=counts["queue_peak"],
        idle_threads=counts["idle_threads"],
        spool_memory_bytes=counts["spool_memory_bytes"],
        spool_file_bytes=counts["spool_file_bytes"],
        spool_files=counts["spool_files"],
        spool_errors=counts["spool_errors"],
        threads=tuple(_thread(slot) for slot in range(num_threads)),
    )


def _thread(slot: int) -> ThreadStatistics:
    info = native.slot_info(slot)
    return ThreadStatistics(
        slot=slot,
        state=info["state"],
        thread_id=info["thread_id"],
        requests=info["requests"],
        life_requests=info["life_requests"],
        lives=info["lives"],
        memory_bytes=info["memory_bytes"],
        since_s=info["since_s"],
        current=info["current"],
    )
