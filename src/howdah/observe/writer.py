"""The log thread: takes finished lines from every other thread, and writes them where they belong.

Nobody who logs waits for a disk or a terminal. When lines come faster than they can be written, new ones are
dropped and counted.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from howdah.observe.outputs import Output

_MOST_WAITING = 50_000
# Lines are collected for so long, because waking a thread costs more than writing a line.
_COLLECT_S = 0.03
_FLUSH_S = 2.0


class LogWriter:
    """One thread for all outputs of a process; started at the latest by the first line."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Output, str] | threading.Event] = deque()
        self._lock = threading.Lock()  # guards start and end of the thread, and the count of drops
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._is_asleep = False
        self._is_closing = False
        self._thread: threading.Thread | None = None
        self._pid = 0
        self.dropped = 0

    def start(self) -> None:
        """Start the thread, unless it runs."""
        with self._lock:
            if self._thread is None:
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._run, name="howdah-log-writer", daemon=True)
                self._thread.start()

    def put(self, output: Output, line: str) -> None:
        """Hand a line over; never blocks for long, callable from any thread."""
        if len(self._waiting) >= _MOST_WAITING:
            with self._lock:
                self.dropped += 1
            return
        self._waiting.append((output, line))
        if self._is_asleep:
            self._is_asleep = False
            self._wake.set()
        elif self._thread is None:
            self.start()

    def flush(self, timeout_s: float = _FLUSH_S) -> bool:
        """Wait until what was handed over before is written; False when that takes longer."""
        if not self._is_running():
            return not self._waiting
        written = threading.Event()
        self._waiting.append(written)
        self._hurry.set()
        self._wake.set()
        return written.wait(timeout_s)

    def close(self) -> None:
        """Write what is left and end the thread; bounded. A later line starts another."""
        with self._lock:
            if not self._is_running() or self._thread is None:
                return
            self._is_closing = True
            self._hurry.set()
            self._wake.set()
            self._thread.join(_FLUSH_S)
            self._thread = None
            self._is_closing = False

    def _is_running(self) -> bool:
        # In the child of a fork there is no such thread.
        return self._thread is not None and self._pid == os.getpid()

    def _run(self) -> None:
        waiting = self._waiting
        while True:
            if not waiting:
                if self._is_closing:
                    return
                self._is_asleep = True
                # Looked at again, because a line may have come before whoever brought it could see us asleep.
                if not waiting and not self._is_closing:
                    self._wake.wait()
                self._is_asleep = False
                self._wake.clear()
            self._write(len(waiting))
            # The first line after a silence is written at once; those that follow are collected.
            if not self._is_closing:
                self._hurry.wait(_COLLECT_S)
            self._hurry.clear()

    def _write(self, count: int) -> None:
        lines: dict[Output, list[str]] = {}
        flushed: list[threading.Event] = []
        for _ in range(count):
            item = self._waiting.popleft()
            if isinstance(item, threading.Event):
                flushed.append(item)
            else:
                lines.setdefault(item[0], []).append(item[1])
        for output, texts in lines.items():
            output.write(texts)
        for event in flushed:
            event.set()
