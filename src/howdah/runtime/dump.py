"""What every PHP thread does at this moment, with the backtrace of its script, for people who look for what hangs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from howdah.engine.native import native

_TRACE_S = 0.05
_TOTAL_S = 2.0


def dump(slots: Iterable[int], worker_of: Callable[[int], str] = lambda slot: "") -> list[dict[str, Any]]:
    """Describe the threads of some slots; blocks at most some seconds, whatever the threads do.

    Args:
        slots: their numbers.
        worker_of: gives the name of the worker that a slot serves, empty for none.

    Returns:
        One dictionary per slot: ``thread`` (the slot), ``worker``, ``state``, ``thread_id``, ``request`` (method and
        URI, empty when idle), ``request_id``, ``since_s`` (in this request or wait), ``requests``, ``memory_bytes``
        and ``backtrace`` (text, one line per frame; None when no script runs or it could not be read).
    """
    deadline = time.monotonic() + _TOTAL_S
    threads = []
    for slot in slots:
        info = native.slot_info(slot)
        backtrace = None
        if info["thread_id"]:
            left_s = max(0.0, min(_TRACE_S, deadline - time.monotonic()))
            backtrace = native.trace(slot, info["request_id"], left_s)
        threads.append(
            {
                "thread": slot,
                "worker": worker_of(slot),
                "state": info["state"],
                "thread_id": info["thread_id"],
                "request": info["current"],
                "request_id": info["request_id"],
                "since_s": round(info["since_s"], 3),
                "requests": info["requests"],
                "memory_bytes": info["memory_bytes"],
                "backtrace": backtrace,
            }
        )
    return threads
