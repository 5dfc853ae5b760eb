"""Carries PHP's log records from the engine to Python's ``logging``.

PHP threads put records into a list in C and never wait; one daemon thread of ours takes them out.
"""

from __future__ import annotations

import json
import logging
import threading

from howdah.engine.native import native

_log = logging.getLogger("howdah.php")

_WAIT_S = 1.0
_WARN_LEVEL = 4
_ERROR_LEVEL = 8

Record = tuple[int, int, float, bytes, bytes]


def python_level(level: int) -> int:
    """Map a level of ``frankenphp_log()`` (any integer; -4, 0, 4, 8 have names) to one of ``logging``."""
    if level >= _ERROR_LEVEL:
        return logging.ERROR
    if level >= _WARN_LEVEL:
        return logging.WARNING
    return logging.INFO if level >= 0 else logging.DEBUG


def render(message: bytes, context: bytes) -> str:
    """Write a record as one line: the message, then ``key=value`` for each entry of the context."""
    text = message.decode(errors="replace").rstrip("\n")
    if not context:
        return text
    try:
        details = json.loads(context)
    except ValueError:
        return f"{text} {context.decode(errors='replace')}"
    pairs = details.items() if isinstance(details, dict) else enumerate(details)
    return " ".join([text, *(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in pairs)])


class LogPump:
    """The thread that takes PHP's records out; `stop` takes what is left."""

    def __init__(self) -> None:
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
        for level, request_id, _time_s, message, context in records:
            _log.log(python_level(level), "%s", render(message, context), extra={"request_id": request_id})
        if lost:
            _log.error("%d log records of PHP were lost, because they came faster than they could be written", lost)
