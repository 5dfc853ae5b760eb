"""Statistics of a runtime that does not exist."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Thread:
    slot: int = 0
    state: str = "ready"
    role: str = "regular"
    worker: str = ""
    thread_id: int = 100
    requests: int = 0
    life_requests: int = 0
    lives: int = 1
    memory_bytes: int = 0
    peak_memory_bytes: int = 0
    since_s: float = 0.0
    is_waiting: bool = True
    is_busy: bool = False
    current: str = ""


@dataclass(frozen=True)
class Worker:
    name: str = "/srv/worker.php"
    file: str = "/srv/worker.php"
    site: str = "/srv"
    threads: int = 2
    ready: int = 2
    busy: int = 0
    queue_waiting: int = 0
    requests: int = 0
    request_time_s: float = 0.0
    crashes: int = 0
    restarts: int = 0
    boot_failures: int = 0
    last_error: str | None = None


OPCACHE = {
    "enabled": True,
    "restart_pending": False,
    "oom_restarts": 1,
    "hash_restarts": 2,
    "manual_restarts": 3,
    "used_bytes": 10,
    "free_bytes": 20,
    "wasted_bytes": 30,
    "hits": 75,
    "misses": 25,
}


@dataclass(frozen=True)
class Statistics:
    state: str = "running"
    num_threads: int = 2
    max_threads: int = 4
    reserved_threads: int = 2
    idle_threads: int = 2
    accepted: int = 0
    completed: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    aborted: int = 0
    open: int = 0
    queue_waiting: int = 0
    queue_peak: int = 0
    spool_memory_bytes: int = 0
    spool_file_bytes: int = 0
    spool_files: int = 0
    spool_errors: int = 0
    recycles: dict[str, int] = field(default_factory=dict)
    kills: dict[str, int] = field(default_factory=dict)
    stuck: int = 0
    restarts: int = 0
    wipes: int = 0
    wipes_put_off: int = 0
    wipe_pause_s: float = 0.0
    opcache: dict[str, Any] | None = None
    threads: tuple[Thread, ...] = (Thread(), Thread(slot=1))
    workers: tuple[Worker, ...] = ()


class End(NamedTuple):
    """What an observer is told of a request that has ended."""

    site: str = "/srv"
    worker: str = ""
    status: int = 200
    queue_s: float = 0.0
    php_s: float = 0.0


class Runtime:
    """Answers with the statistics that it is given."""

    def __init__(self, statistics: Statistics | None = None) -> None:
        self.now = statistics or Statistics()
        self.observers: list[Callable[[str, str, int, float, float], None]] = []

    def statistics(self) -> Statistics:
        return self.now
