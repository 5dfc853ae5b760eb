"""A PHP thread as Python sees it: a daemon thread whose body is one call into C.

C returns only when something must be decided: the queue was closed, or PHP failed where a thread
cannot go on. What follows is decided here.
"""

from __future__ import annotations

import logging
import threading

from howdah.engine.native import EVENT_RECYCLE, EVENT_UNHEALTHY, native
from howdah.runtime.lifecycle import change

_log = logging.getLogger("howdah.runtime")


class PhpThread:
    """One slot and the OS threads that live in it, one after the other.

    `start` is called by the runtime, everything else happens on the slot's own thread.
    """

    def __init__(self, slot: int) -> None:
        self.slot = slot
        self._stopping = False  # written by the runtime before it closes the queue, read by the slot's thread

    def start(self) -> None:
        """Start an OS thread in the reserved slot; returns before it is ready."""
        change(self.slot, "reserved", "boot requested")
        self._spawn()

    def stop_replacing(self) -> None:
        """From here on a thread that must be replaced ends instead."""
        self._stopping = True

    def _spawn(self) -> None:
        thread = threading.Thread(target=self._body, name=f"php-{self.slot}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            native.slot_change(self.slot, "boot requested", "reserved")
            _log.exception("no OS thread could be started for PHP slot %d", self.slot)
            raise

    def _body(self) -> None:
        slot = self.slot
        native.thread_boot(slot)
        event = native.thread_run(slot)
        native.thread_free(slot)
        if event in {EVENT_UNHEALTHY, EVENT_RECYCLE}:
            change(slot, "rebooting", "reboot ready")
            if self._stopping:
                change(slot, "reboot ready", "done")
            else:
                if event == EVENT_UNHEALTHY:
                    _log.warning("PHP thread %d was unhealthy; a fresh one takes its place", slot)
                change(slot, "reboot ready", "boot requested")
                self._spawn()
                return
        else:
            native.slot_change(slot, "shutting down", "done")
        native.slot_change(slot, "done", "reserved")
