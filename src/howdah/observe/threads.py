"""The list of PHP threads as FrankenPHP's admin API gives it, with more in each entry."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from howdah.observe.snapshot import Snapshot, ThreadSnapshot

_ROLES = {"regular": "Regular PHP Thread", "worker": "Worker PHP Thread", "inactive": "Inactive PHP Thread"}
_NOT_THERE = frozenset({"reserved"})


def thread_states(now: Snapshot) -> dict[str, Any]:
    """Give ``ThreadDebugStates`` and ``ReservedThreadCount``.

    Reserved slots are counted only. ``Current...`` is empty for a thread that runs no request. After the keys of
    FrankenPHP come ours: what they mean is in the reference of the admin API.
    """
    files = {worker.name: worker.file for worker in now.workers}
    wall_s = time.time()
    return {
        "ThreadDebugStates": [
            _state(thread, files, wall_s) for thread in now.threads if thread.state not in _NOT_THERE
        ],
        "ReservedThreadCount": now.reserved_threads,
    }


def _state(thread: ThreadSnapshot, files: dict[str, str], wall_s: float) -> dict[str, Any]:
    since_ms = max(0, round(thread.since_s * 1000))
    has_request = thread.is_busy and bool(thread.current)
    method, _, uri = thread.current.partition(" ") if has_request else ("", "", "")
    return {
        "Index": thread.slot,
        "Name": thread_name(thread, files),
        "State": thread.state,
        "IsWaiting": thread.is_waiting,
        "IsBusy": thread.is_busy,
        "WaitingSinceMilliseconds": since_ms if thread.is_waiting else 0,
        "CurrentURI": uri,
        "CurrentMethod": method,
        "RequestStartedAt": round((wall_s - thread.since_s) * 1000) if has_request else 0,
        "RequestCount": thread.requests,
        "MemoryUsage": thread.memory_bytes,
        "PeakMemoryUsage": thread.peak_memory_bytes,
        "SinceMilliseconds": since_ms,
        "ThreadId": thread.thread_id,
        "Role": thread.role,
        "Worker": thread.worker,
        "LifeRequestCount": thread.life_requests,
        "Lives": thread.lives,
    }


def thread_name(thread: ThreadSnapshot, files: dict[str, str]) -> str:
    """Name a thread after its role, a worker's after its file."""
    name = _ROLES.get(thread.role, "unknown")
    return f"{name} - {files.get(thread.worker, thread.worker)}" if thread.role == "worker" else name
