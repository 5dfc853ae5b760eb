"""How much of the processor this process and its PHP threads use between two looks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from howdah.runtime.scaling import CpuUse

# Over a shorter time the kernel's figures are noise; a longer one tells of a load that is gone.
_SHORTEST_S, _LONGEST_S = 0.01, 0.5


class CpuMeter:
    """Measures from one look to the next; used by one thread.

    Args:
        cores: cores that the process may use.
        clock: monotonic seconds.
        process_s: processor seconds of the process so far.
        tasks: folder with one folder per thread of the process.
    """

    def __init__(
        self,
        cores: int,
        clock: Callable[[], float] = time.monotonic,
        process_s: Callable[[], float] = time.process_time,
        tasks: Path = Path("/proc/self/task"),
    ) -> None:
        self._cores = cores
        self._clock = clock
        self._process_s = process_s
        self._tasks = tasks
        self._then: tuple[float, float] | None = None
        self._wanted_s: dict[int, float] = {}

    def look(self, thread_ids: Iterable[int]) -> CpuUse | None:
        """Give the use since the last look, or None when there was none lately.

        Args:
            thread_ids: the kernel's ids of the PHP threads.
        """
        now, used_s = self._clock(), self._process_s()
        wanted_s = {thread: seconds for thread in thread_ids if (seconds := self._on_cpu_s(thread)) is not None}
        then, before = self._then, self._wanted_s
        if then is not None and now - then[0] < _SHORTEST_S:
            return None  # and the last look stays the one to compare with
        self._then, self._wanted_s = (now, used_s), wanted_s
        if then is None or now - then[0] > _LONGEST_S:
            return None
        past_s = now - then[0]
        wanting = None
        if wanted_s:
            # a thread that is new has had its boot, which is processor time like any other
            wanting = sum(seconds - before.get(thread, 0.0) for thread, seconds in wanted_s.items()) / past_s
        return CpuUse((used_s - then[1]) / (past_s * self._cores), wanting)

    def _on_cpu_s(self, thread: int) -> float | None:
        """Give the seconds that a thread has run or waited for a core; None where the kernel keeps no count."""
        try:
            running, ready, _ = (self._tasks / str(thread) / "schedstat").read_text(encoding="ascii").split()
            return (int(running) + int(ready)) / 1e9
        except (OSError, ValueError):  # the thread has ended, or no such file
            return None
