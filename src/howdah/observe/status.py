"""The status page of PHP-FPM, so that what reads FPM's reads ours: one pool, its "processes" are PHP threads."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from howdah.observe.snapshot import Snapshot, ThreadSnapshot

_POOL = "howdah"
_DATE = "%d/%b/%Y:%H:%M:%S %z"
_STARS = "*" * 24
_NO_THREAD_FREE = ("queue_full", "wait_timeout")


class StatusPage:
    """FPM's ``pm.status_path``.

    Args:
        started_s: wall-clock time at which the server started.
    """

    def __init__(self, started_s: float) -> None:
        self._started_s = started_s
        self._most_active = 0

    def text(self, now: Snapshot, *, full: bool = False) -> str:
        """Give the page as text, with an entry per thread when it is ``full``."""
        lines = [*_aligned(self._pool(now)), ""] if full else _aligned(self._pool(now))
        if full:
            files = _files(now)
            for thread in _living(now):
                entry = self._thread(thread, files)
                # FPM writes it so in text, and in small letters in JSON.
                shown = {"request URI" if name == "request uri" else name: value for name, value in entry.items()}
                lines += [_STARS, *_aligned(shown), ""]
        return "\n".join(lines) + "\n"

    def json(self, now: Snapshot, *, full: bool = False) -> str:
        """Give the page as JSON; times are seconds since 1970."""
        page: dict[str, Any] = self._pool(now)
        page["start time"] = int(self._started_s)
        if full:
            files = _files(now)
            page["processes"] = [
                {**self._thread(thread, files), "start time": int(self._started_s)} for thread in _living(now)
            ]
        return json.dumps(page, ensure_ascii=False)

    def _pool(self, now: Snapshot) -> dict[str, Any]:
        living = _living(now)
        active = sum(thread.is_busy for thread in living)
        self._most_active = max(self._most_active, active)
        return {
            "pool": _POOL,
            "process manager": "dynamic" if now.max_threads > now.num_threads else "static",
            "start time": self._start_date(),
            "start since": self._age_s(),
            "accepted conn": now.accepted,
            "listen queue": now.queue_waiting + sum(worker.queue_waiting for worker in now.workers),
            "max listen queue": now.queue_peak,
            "listen queue len": 0,
            "idle processes": len(living) - active,
            "active processes": active,
            "total processes": len(living),
            "max active processes": self._most_active,
            "max children reached": sum(now.rejected.get(reason, 0) for reason in _NO_THREAD_FREE),
            "slow requests": 0,
            "memory peak": max((thread.peak_memory_bytes for thread in living), default=0),
        }

    def _thread(self, thread: ThreadSnapshot, files: dict[str, str]) -> dict[str, Any]:
        method, _, uri = thread.current.partition(" ")
        return {
            "pid": thread.thread_id,
            "state": "Running" if thread.is_busy else "Idle",
            "start time": self._start_date(),
            "start since": self._age_s(),
            "requests": thread.requests,
            "request duration": round(thread.since_s * 1e6) if thread.is_busy else 0,
            "request method": method or "-",
            "request uri": uri or "-",
            "content length": 0,
            "user": "-",
            "script": files.get(thread.worker, "-"),
            "last request cpu": 0.0,
            "last request memory": thread.memory_bytes,
        }

    def _start_date(self) -> str:
        return time.strftime(_DATE, time.localtime(self._started_s))

    def _age_s(self) -> int:
        return max(0, int(time.time() - self._started_s))


def _living(now: Snapshot) -> list[ThreadSnapshot]:
    return [thread for thread in now.threads if thread.thread_id]


def _files(now: Snapshot) -> dict[str, str]:
    return {worker.name: worker.file for worker in now.workers}


def _aligned(entries: dict[str, Any]) -> list[str]:
    return [f"{name + ':':<22}{_line(value)}" for name, value in entries.items()]


def _line(value: Any) -> str:
    text = f"{value:.2f}" if isinstance(value, float) else str(value)
    # An address must not be able to add lines to the page.
    return text if text.isprintable() else ascii(text)[1:-1]
