"""The log thread: takes finished lines from every other thread, and writes them where they belong.

Nobody who logs waits for a disk or a terminal. When lines come faster than they can be written, new ones are
dropped and counted.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from howdah.observe.outputs import Output

# Lines of all outputs together, which are counted once for so many of each; so there may be a few more.
_MOST_WAITING = 50_000
_COUNTED_EVERY = 256
# Lines are collected for so long, because waking a thread, and giving it the GIL, costs more than writing a line: those
# that somebody may wait for, and all others.
_SOON_S = 0.03
_COLLECT_S = 0.1
_FLUSH_S = 2.0


class LogWriter:
    """One thread for all outputs of a process; started at the latest by the first line."""

    def __init__(self) -> None:
        # What waits for each output; the thread takes the beginning of a list away at once.
        self._waiting: dict[Output, list[bytes]] = {}
        self._flushes: list[threading.Event] = []
        self._lock = threading.Lock()  # guards start and end of the thread, new outputs, and the count of drops
        self._wake = threading.Event()
        self._soon = threading.Event()
        self._hurry = threading.Event()
        self._is_away = True  # asleep or not there: whoever brings a line must call it
        self._is_closing = False
        self._thread: threading.Thread | None = None
        self._pid = 0
        self.dropped = 0

    def start(self) -> None:
        """Start the thread, unless it runs."""
        with self._lock:
            if self._thread is None:
                self._is_away = False
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._run, name="howdah-log-writer", daemon=True)
                self._thread.start()

    def channel(self, output: Output, *, soon: bool = False) -> Callable[[bytes], None]:
        """Give the function that hands over lines for an output: never blocks for long, callable from any thread.

        Args:
            output: where they belong.
            soon: they are few, and somebody may wait for them.
        """
        with self._lock:
            lines = self._waiting.setdefault(output, [])

        def put(line: bytes) -> None:
            if len(lines) % _COUNTED_EVERY == 0 and self._is_full():
                with self._lock:
                    self.dropped += 1
                return
            lines.append(line)
            if self._is_away:
                self._call()
            elif soon:
                self._soon.set()

        return put

    def flush(self, timeout_s: float = _FLUSH_S) -> bool:
        """Wait until what was handed over before is written; False when that takes longer."""
        if not self._is_running():
            return not self._has_work()
        written = threading.Event()
        self._flushes.append(written)
        self._hurry_up()
        return written.wait(timeout_s)

    def close(self) -> None:
        """Write what is left and end the thread; bounded. A later line starts another."""
        with self._lock:
            if not self._is_running() or self._thread is None:
                return
            self._is_closing = True
            self._hurry_up()
            self._thread.join(_FLUSH_S)
            self._thread = None
            self._is_away = True
            self._is_closing = False

    def _call(self) -> None:
        if self._thread is None:
            self.start()
        else:
            self._is_away = False
            self._wake.set()

    def _hurry_up(self) -> None:
        self._hurry.set()
        self._soon.set()
        self._wake.set()

    def _is_running(self) -> bool:
        # In the child of a fork there is no such thread.
        return self._thread is not None and self._pid == os.getpid()

    def _is_full(self) -> bool:
        return sum(map(len, list(self._waiting.values()))) >= _MOST_WAITING

    def _has_work(self) -> bool:
        return bool(self._flushes) or any(list(self._waiting.values()))

    def _run(self) -> None:
        while True:
            if not self._has_work():
                self._is_away = True
                # Looked at again, because a line may have come before whoever brought it could see us asleep.
                if not self._has_work():
                    if self._is_closing:
                        return
                    self._wake.wait()
                self._is_away = False
                self._wake.clear()
            self._write()
            # The first line after a silence is written at once; those that follow are collected.
            if not self._is_closing and not self._hurry.wait(_SOON_S):
                self._soon.wait(_COLLECT_S - _SOON_S)
            self._hurry.clear()
            self._soon.clear()

    def _write(self) -> None:
        flushes = self._flushes[:]
        del self._flushes[: len(flushes)]
        for output, waiting in list(self._waiting.items()):
            lines = waiting[:]
            del waiting[: len(lines)]
            output.write(lines)
        for event in flushes:
            event.set()
