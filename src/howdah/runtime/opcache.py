"""Wipes OPcache's shared memory at moments when no PHP thread uses it.

``opcache_reset()`` and an overflow only ask for a wipe: the engine holds a lock that keeps OPcache from
wiping under running threads (``native/hw_opcache.c``), and it runs uncached until the wipe is done. This
keeper looks every second; when a wipe is due it holds requests back in their queue, waits until every
thread is between two requests, and has it done.

A thread that does not come in time puts the wipe off, since a long request must not stop the others.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from howdah.engine.native import native

if TYPE_CHECKING:
    from collections.abc import Sequence

_log = logging.getLogger("howdah.runtime")

_LOOK_S = 1.0
_LONGEST_PAUSE_S = 0.5
_LEAST_BETWEEN_S = 10.0
_LONGEST_BETWEEN_S = 60.0
_POLL_S = 0.001
_BOOTING = frozenset({"boot requested", "booting", "rebooting", "reboot ready"})

# When this time is over OPcache kills the process that holds the lock; ours bears the number -1, which means everybody.
FORCED_INI = "opcache.force_restart_timeout=0\n"


class OpcacheKeeper:
    """The thread that looks after OPcache.

    Args:
        slots: slots of all PHP threads.

    Attributes:
        wipes: wipes done; written by the keeper's thread.
        put_off: attempts given up because a request ran too long; written by the keeper's thread.
        pause_s: seconds for which requests were held back, all pauses together; written by the keeper's thread.
    """

    def __init__(self, slots: Sequence[int]) -> None:
        self.wipes = 0
        self.put_off = 0
        self.pause_s = 0.0
        self._slots = slots
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="howdah-opcache", daemon=True)

    def start(self) -> None:
        """Start looking."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; blocks until a wipe that has begun is over, at most about a second."""
        self._stopping.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        not_before = 0.0
        between_s = _LEAST_BETWEEN_S
        while not self._stopping.wait(_LOOK_S):
            if time.monotonic() < not_before:
                continue
            if not native.opcache_pending():
                continue
            status = native.opcache(False)
            if status is None or not status["restart_pending"]:
                continue
            if self.wipe():
                between_s = _LEAST_BETWEEN_S
                not_before = time.monotonic() + between_s
            else:
                not_before = time.monotonic() + min(between_s, _LONGEST_BETWEEN_S) / 10
                between_s *= 2

    def wipe(self) -> bool:
        """Hold requests back, wait until no thread runs one, and wipe.

        Returns:
            False when a request did not end in time or OPcache refused: it goes on uncached until the next try.
        """
        began = time.monotonic()
        native.queue_pause()
        try:
            quiet = self._wait_quiet(began + _LONGEST_PAUSE_S)
            status = native.opcache(True) if quiet else None
        finally:
            native.queue_resume()
        pause_s = time.monotonic() - began
        self.pause_s += pause_s
        if status is None or status["restart_pending"]:
            self.put_off += 1
            _log.warning(
                "OPcache waits for a wipe and runs uncached: %s",
                "a request has been running for too long, it is tried again"
                if not quiet
                else "another process uses its memory (a forked child?), it is tried again",
            )
            return False
        self.wipes += 1
        _log.info("OPcache was wiped; requests waited for %.0f ms", pause_s * 1000)
        return True

    def _wait_quiet(self, deadline: float) -> bool:
        """Wait until every thread sleeps in the queue, where it is outside any request."""
        while time.monotonic() < deadline and not self._stopping.is_set():
            states = [native.slot_state(slot) for slot in self._slots]
            if not _BOOTING.intersection(states) and native.statistics()["idle_threads"] == states.count("ready"):
                return True
            time.sleep(_POLL_S)
        return False
