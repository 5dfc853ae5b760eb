"""Pools: threads that share a queue and a role. The regular pool, and one pool for each worker script.

A pool knows what its threads are to do, and counts what they did; who is in it, and when, is the `Fleet`'s.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from howdah.cgi.variables import endpoint
from howdah.engine import native as engine
from howdah.engine.native import native
from howdah.errors import WorkerUnavailable

if TYPE_CHECKING:
    from howdah.config.model import WorkerConfig

REGULAR = 0
_OPEN_STATES = frozenset({"ready"})


@dataclass(slots=True)
class PoolCounts:
    """What happened in a pool. Written under the fleet's lock.

    Attributes:
        crashes: worker scripts that ended with an error after they had booted, and boots that failed.
        restarts: worker scripts that ended without an error.
        boot_failures: runs of the script that never asked for a request.
        recycles: threads that were replaced, by reason.
    """

    crashes: int = 0
    restarts: int = 0
    boot_failures: int = 0
    recycles: dict[str, int] = field(default_factory=dict)


class Pool:
    """The regular pool.

    Attributes:
        number: of the queue in C.
        name: empty for the regular pool.
        base: threads from the start on.
        max_threads: most threads.
        slots: slots that have the role; under the fleet's lock.
        counts: see `PoolCounts`.
        max_requests: requests after which one of its threads is recycled, 0 = never.
        timeout_s: wall-clock limit of a request, 0 = the runtime's.
        request_time_s: time of all its requests that ended; written by the dispatchers, each on its own thread.
    """

    worker: WorkerConfig | None = None

    def __init__(self, number: int, name: str, base: int, max_threads: int) -> None:
        self.number = number
        self.name = name
        self.base = base
        self.max_threads = max_threads
        self.max_requests = 0
        self.timeout_s = 0.0
        self.request_time_s = 0.0
        self.slots: set[int] = set()
        self.counts = PoolCounts()

    def ready_slots(self) -> list[int]:
        """Give the slots that take requests; for a worker, those whose script has booted."""
        return [slot for slot in list(self.slots) if native.slot_state(slot) in _OPEN_STATES]


class WorkerPool(Pool):
    """The threads of one worker script.

    Attributes:
        worker: the configuration.
        file: absolute path as configured, links not resolved: a release that is switched by a link is seen.
        site: name of the site that it belongs to, empty for a global worker.
        generation: counts the restarts that were asked for; under the fleet's lock.
        failures: boots that failed one after the other; under the fleet's lock.
        is_starting: somebody waits for the first boot, and a script that fails too often is not tried again.
        last_error: what PHP said about the last failed boot; None once a boot has succeeded.
    """

    worker: WorkerConfig

    def __init__(
        self, number: int, name: str, worker: WorkerConfig, env: dict[str, str], *, base: int, max_threads: int
    ) -> None:
        super().__init__(number, name, base, max_threads)
        self.worker = worker
        self.file = os.path.abspath(worker.file)  # noqa: PTH100 - resolve() would follow links
        self.site = ""
        self.timeout_s = worker.request_timeout_s
        self.generation = 0
        self.failures = 0
        self.is_starting = True
        self.last_error: str | None = None
        self._env = tuple(
            (os.fsencode(key), os.fsencode(value)) for key, value in {**env, "FRANKENPHP_WORKER": "1"}.items()
        )
        self._real_files = {os.path.realpath(os.fsencode(self.file))}
        self._channel = engine.Channel()
        self._site: engine.Site | None = None
        self._site_root = b""

    def boot_record(self) -> engine.Request:
        """Make what describes the script while it boots: a GET of its own name (there is no client)."""
        script = os.path.realpath(os.fsencode(self.file))
        self._real_files.add(script)
        root, name = os.path.split(script)
        if self._site is None or self._site_root != root:
            self._site, self._site_root = engine.Site(root, b"Howdah", self._env), root
        target = (script, b"/" + name, b"", b"", b"/" + name)
        return self._site.request(self._channel, target, endpoint(b"", "http", "1.1"), "GET", b"", b"", "", 0, [], None)

    def runs(self, script: bytes) -> bool:
        """Tell whether a resolved path is this worker's script: now, or in a release that its link led to before."""
        return script in self._real_files or script == os.path.realpath(os.fsencode(self.file))

    def has_failed(self) -> bool:
        """Tell whether the script has failed as often as it may while the server starts."""
        limit = self.worker.max_consecutive_failures
        return self.is_starting and limit >= 0 and self.failures > limit

    def is_broken(self) -> bool:
        """Tell whether no thread of the worker can take a request because its script does not boot.

        Costs nothing while nothing fails.
        """
        if self.last_error is None:
            return False
        if self.ready_slots():
            self.last_error = None
            return False
        return True


def unavailable(pool: WorkerPool) -> WorkerUnavailable:
    """Make the error of a request to a worker that does not boot; a page may show its detail only with debug."""
    return WorkerUnavailable(
        "the application cannot be started at the moment", f"worker {pool.name}: {pool.last_error or 'unknown'}"
    )
