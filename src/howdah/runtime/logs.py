"""Carries PHP's log records from the engine to Python's ``logging``.

PHP threads put records into a list in C and never wait; one daemon thread of ours takes them out.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from howdah.engine.native import native
from howdah.runtime.event import Event

_log = logging.getLogger("howdah.php")

_WAIT_S = 1.0
_WARN_LEVEL = 4
_ERROR_LEVEL = 8


def python_level(level: int) -> int:
    """Map a level of ``frankenphp_log()`` (any integer; -4, 0, 4, 8 have names) to one of ``logging``."""
    if level >= _ERROR_LEVEL:
        return logging.ERROR
    if level >= _WARN_LEVEL:
        return logging.WARNING
    return logging.INFO if level >= 0 else logging.DEBUG


def event_of(message: bytes, context: bytes, origin: dict[str, Any]) -> Event:
    """Give a record of PHP as a message with attributes: what the script gave as context, then where it comes from."""
    attributes = {f"{name}_" if name in origin else name: value for name, value in _attributes(context).items()}
    attributes.update(origin)
    return Event.of(message.decode(errors="replace").rstrip("\n"), attributes)


def _attributes(context: bytes) -> dict[str, Any]:
    if not context:
        return {}
    try:
        details = json.loads(context)
    except ValueError:
        return {"context": context.decode(errors="replace")}
    if isinstance(details, dict):
        return details
    return {str(number): value for number, value in enumerate(details)} if isinstance(details, list) else {}


class LogPump:
    """The thread that takes PHP's records out; `stop` takes what is left.

    Args:
        names: gives the names of the site with a document root and of the worker in a slot, empty without one.
    """

    def __init__(self, names: Callable[[bytes, int], tuple[str, str]]) -> None:
        self._names = names
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="howdah-log", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Take the remaining records out and end; blocks for at most some seconds."""
        self._stopping.set()
        native.log_close()
        self._thread.join(timeout=2 * _WAIT_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._emit(_WAIT_S)
        self._emit(0.0)

    def _emit(self, timeout_s: float) -> None:
        records, lost = native.log_take(timeout_s)
        for level, request_id, _time_s, message, context, slot, root in records:
            number = python_level(level)
            if _log.isEnabledFor(number):
                _log.log(number, event_of(message, context, self._origin(request_id, slot, root)))
        if lost:
            _log.error("%d log records of PHP were lost, because they came faster than they could be written", lost)

    def _origin(self, request_id: int, slot: int, root: bytes) -> dict[str, Any]:
        site, worker = self._names(root, slot)
        origin: dict[str, Any] = {}
        if request_id:
            origin["request_id"] = request_id
        if root:
            origin["site"] = site or os.fsdecode(root)
        if worker:
            origin["worker"] = worker
        if slot >= 0:
            origin["thread"] = slot
        return origin
