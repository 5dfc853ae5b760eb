"""A PHP thread as Python sees it: a daemon thread whose body is one call into C.

C returns only when something must be decided: the queue was closed, the thread has served its
``max_requests``, or PHP failed where a thread cannot go on. What follows is decided here.
"""

from __future__ import annotations

import logging
import random
import threading

from howdah.config.model import MIB
from howdah.engine.native import EVENT_KILLED, EVENT_RECYCLE, EVENT_UNHEALTHY, native
from howdah.runtime.lifecycle import change
from howdah.runtime.stack import stack_size

_log = logging.getLogger("howdah.runtime")


class PhpThread:
    """One slot and the OS threads that live in it, one after the other.

    `start` is called by the runtime, everything else happens on the slot's own thread.

    Args:
        slot: number of the slot.
        max_requests: requests after which a fresh OS thread takes the slot, 0 = never. A slot's first life is
            shorter by chance, at most by half, so that threads that started together do not end together.
        stack_bytes: size of the threads' stacks.
    """

    def __init__(self, slot: int, max_requests: int = 0, stack_bytes: int = 16 * MIB) -> None:
        self.slot = slot
        self._max_requests = max_requests
        self._stack_bytes = stack_bytes
        self._is_first_life = True
        self._stopping = False  # written by the runtime before it closes the queue, read by the slot's thread

    def start(self) -> None:
        """Start an OS thread in the reserved slot; returns before it is ready."""
        change(self.slot, "reserved", "boot requested")
        self._spawn()

    def stop_replacing(self) -> None:
        """From here on a thread that must be replaced ends instead."""
        self._stopping = True

    def _spawn(self) -> None:
        limit = self._max_requests
        if limit and self._is_first_life:
            self._is_first_life = False
            limit = random.randint((limit + 1) // 2, limit)
        native.slot_limit(self.slot, limit)
        thread = threading.Thread(target=self._body, name=f"php-{self.slot}", daemon=True)
        try:
            with stack_size(self._stack_bytes):
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
        if event in {EVENT_UNHEALTHY, EVENT_RECYCLE, EVENT_KILLED}:
            if event == EVENT_RECYCLE:
                _log.debug(
                    "max requests reached, restarting thread thread=%d max_requests=%d", slot, self._max_requests
                )
            elif event == EVENT_KILLED:
                _log.debug("a request was killed, restarting thread thread=%d", slot)
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
