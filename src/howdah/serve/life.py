"""The life of a server process: PHP's start beside other work, limits of the system, the end at once."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from howdah.runtime.runtime import Runtime

SECOND_SIGNAL = 130
# How long connections may take to send what they were given, after the last request has ended.
LAST_BYTES_S = 2.5
# How long threads of the HTTP server may take to end after it.
FOREIGN_THREADS_S = 1.0
_LOOK_S = 0.002
_DESCRIPTORS_WANTED = 65536
# What is not a connection: PHP's files and sockets, spools, libraries.
_DESCRIPTORS_KEPT = 256
_FEWEST_CONNECTIONS = 64
_MOST_CONNECTIONS = 16384


class PhpStart:
    """PHP's start in a thread of its own, so that imports and sockets do not wait for it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="howdah-start", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._runtime.start()
        except BaseException as error:  # raised again in wait()
            self._error = error

    def wait(self) -> None:
        """Block until PHP runs.

        Raises:
            EngineError: it does not start.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error


def leave_now(code: int) -> NoReturn:
    """End the process without waiting for anything but the flush of its logs."""
    with contextlib.suppress(Exception):
        logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)


def wait_foreign_threads(timeout_s: float) -> bool:
    """Wait until all threads that Python has not made have ended, such as those of the HTTP server.

    Its last threads end some milliseconds after it says that it has ended. One of them that asks for the GIL while the
    interpreter ends is unwound by it, at which Rust aborts the process.

    Returns:
        False when some are left after ``timeout_s``. Libraries keep idle ones for ever; those ask for nothing.
    """
    deadline = time.monotonic() + timeout_s
    while _has_foreign_threads():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_LOOK_S)
    return True


def _has_foreign_threads() -> bool:
    # Foreign threads that have called into Python are known to it as dummies.
    own = {str(thread.native_id) for thread in threading.enumerate() if not thread.name.startswith("Dummy-")}
    return not own.issuperset(entry.name for entry in Path("/proc/self/task").iterdir())


def raise_descriptor_limit() -> None:
    """Raise the soft limit of open files towards the hard one: each connection needs a descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS_WANTED if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def max_connections() -> int:
    """Give how many connections fit into the limit of open files, spools and scripts considered."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MOST_CONNECTIONS
    return max(_FEWEST_CONNECTIONS, min(_MOST_CONNECTIONS, (soft - _DESCRIPTORS_KEPT) // 2))
