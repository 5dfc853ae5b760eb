"""Howdah's command with a second thread in its process: restarts workers, or notes how many threads there are.

    python watched.py FILE RESTART_EVERY_S php-server ...

Writes one line of JSON to FILE: seconds since the first request and threads, whenever their number has changed, and
at the end how many restarts there were. Called by `workers.py`.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from howdah import Runtime
from howdah.cli.main import main as howdah_main
from howdah.errors import EngineStateError

_LOOK_S = 0.02


class Watch(threading.Thread):
    """Looks at a runtime until it stops.

    Args:
        runtime: a running one.
        every_s: seconds between two restarts of all workers; 0 is none.
    """

    def __init__(self, runtime: Runtime, every_s: float) -> None:
        super().__init__(name="bench-watch", daemon=True)
        self.sizes: list[tuple[float, int]] = []
        self.restarts = 0
        self._runtime = runtime
        self._every_s = every_s
        self._first: float | None = None

    def run(self) -> None:
        """Restart or look, until the runtime stops."""
        while self._runtime.is_running:
            if self._every_s:
                time.sleep(self._every_s)
                try:
                    self._runtime.restart_workers()
                except EngineStateError:  # it stops
                    return
                self.restarts += 1
            else:
                time.sleep(_LOOK_S)
                self._look()

    def _look(self) -> None:
        statistics = self._runtime.statistics()
        if self._first is None and statistics.accepted == 0:
            return
        self._first = self._first or time.monotonic()
        size = sum(thread.state == "ready" for thread in statistics.threads)
        if not self.sizes or self.sizes[-1][1] != size:
            self.sizes.append((time.monotonic() - self._first, size))


def main() -> int:
    """Run the command, watched."""
    file, every_s = Path(sys.argv[1]), float(sys.argv[2])
    start = Runtime.start
    watches: list[Watch] = []

    def start_and_watch(self: Runtime, *args: Any, **options: Any) -> None:
        start(self, *args, **options)
        watches.append(Watch(self, every_s))
        watches[0].start()

    Runtime.start = start_and_watch  # type: ignore[method-assign]
    sys.argv = ["howdah", *sys.argv[3:]]
    code = howdah_main()
    file.write_text(json.dumps({"sizes": watches[0].sizes, "restarts": watches[0].restarts}), encoding="ascii")
    return code or 0


if __name__ == "__main__":
    sys.exit(main())
