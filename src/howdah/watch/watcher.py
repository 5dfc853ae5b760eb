"""Calls back when watched files have changed, on a thread of its own.

    watcher = Watcher([
        WatchGroup(("./src/**/*.php",), lambda changed: runtime.restart_workers(["api"], sorted(changed)), "api"),
    ])
    watcher.start()
    ...
    watcher.stop(5.0)

Changes are collected until nothing has happened for 150 ms, then every group that one of them matches is called, in the
order of the groups and one after the other; what changes meanwhile comes in the next round. Knows nothing of PHP.
"""

from __future__ import annotations

import logging
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from howdah.errors import ConfigError
from howdah.watch.backends import Death, Report, Source, limit_advice, silent_file_system
from howdah.watch.files import WatchedFiles
from howdah.watch.patterns import Pattern, parse_pattern

_log = logging.getLogger("howdah.watch")

DEBOUNCE_S = 0.15
_LONGEST_COLLECTION_S = 2.0
_LOOK_AT_FOLDERS_S = 1.0
_POLL_S = 1.0
# So many times as long as a look at all files takes it rests, so that polling a large tree costs a tenth of a core...
_POLL_REST = 10
# ... but not longer than somebody who has saved a file is ready to wait.
_LONGEST_REST_S = 3.0
_MOST_RETRIES = 5
_HEALTHY_AFTER_S = 5.0
_RETRY_S = 0.2
_NAMED_IN_LOG = 5


@dataclass(frozen=True, slots=True)
class WatchGroup:
    """Patterns, and what to call when a file that matches one of them has changed.

    Args:
        patterns: see `howdah.watch.patterns`.
        callback: gets the absolute paths of the files that are new, changed or gone. It may block; what it raises is
            logged.
        name: for the log.
        base: folder from which relative patterns count; None means the current one.
    """

    patterns: Sequence[str]
    callback: Callable[[frozenset[str]], object]
    name: str = ""
    base: str | None = None


class Watcher:
    """Watches the files of some groups.

    Args:
        groups: whom to call for which files.
        poll: look at the files every second instead of asking the kernel; None decides by the file systems.

    Raises:
        ConfigError: a pattern is wrong, or a group has none.
    """

    def __init__(self, groups: Sequence[WatchGroup], *, poll: bool | None = None) -> None:
        self._groups = [(group, [parse_pattern(text, group.base) for text in group.patterns]) for group in groups]
        for group, patterns in self._groups:
            if not patterns:
                raise ConfigError(f"the watch group {group.name!r} has no patterns", directive="watch")
        self._patterns = [pattern for _, patterns in self._groups for pattern in patterns]
        self._files = WatchedFiles(self._patterns)
        self._poll = poll
        self._reports: queue.Queue[Report] = queue.Queue()
        self._polls = False
        self._folders: dict[str, tuple[int, int] | None] = {}
        self._stopping = threading.Event()
        self._watching = threading.Event()
        self._thread = threading.Thread(target=self._run, name="howdah-watch", daemon=True)

    @property
    def is_polling(self) -> bool:
        """Whether all files are polled, because that was asked for or the kernel's limits were reached."""
        return bool(self._poll)

    def start(self, timeout_s: float = 10.0) -> bool:
        """Start watching; blocks until every change from now on will be seen.

        Returns:
            False when that took longer than the timeout; it goes on.
        """
        for pattern in self._patterns:
            _log.debug("watching %s", pattern.text)
            if not os.path.isdir(pattern.folder):  # noqa: PTH112 - a name from the user
                _log.warning("the folder of the watch pattern %s does not exist: %s", pattern.text, pattern.folder)
        self._thread.start()
        return self._watching.wait(timeout_s)

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Stop watching.

        Returns:
            False when a callback did not return in time; its thread is left to end by itself.
        """
        if not self._stopping.is_set():
            _log.debug("stopping watcher")
        self._stopping.set()
        self._reports.put(None)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # -- the thread -------------------------------------------------------------------------------
    def _run(self) -> None:
        self._files.look()
        deaths = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            death = self._watch()
            if death is None:
                continue
            deaths = 1 if time.monotonic() - began >= _HEALTHY_AFTER_S else deaths + 1
            self._report(death, deaths)
            self._stopping.wait(_RETRY_S * deaths)
        self._watching.set()  # nobody waits for what will not come

    def _report(self, death: Death, deaths: int) -> None:
        """Log a death, and decide whether the next try asks the kernel again."""
        if death.limit_reached:
            _log.warning("the kernel watches no more files (%s), so they are polled: %s", death.error, limit_advice())
            self._poll = True
        elif deaths > _MOST_RETRIES:
            texts = ", ".join(pattern.text for pattern in self._patterns)
            _log.warning("giving up watching %s by the kernel (%s): the files are polled", texts, death.error)
            self._poll = True
        else:
            _log.warning("watcher was closed prematurely, retrying... (%s)", death.error)

    def _watch(self) -> Death | None:
        """Watch until a source dies, a watched folder is another one, or the end; the latter two give None."""
        self._folders = {pattern.folder: _identity(pattern.folder) for pattern in self._patterns}
        reports: queue.Queue[Report] = queue.Queue()
        self._reports = reports
        sources = self._make_sources(reports)
        for source in sources:
            source.start()
        try:
            for source in sources:
                while not source.wait_begun(_LOOK_AT_FOLDERS_S) and not self._stopping.is_set():
                    continue
            self._tell(self._files.look())  # whatever happened while nobody watched
            if reports.empty():  # not one that died at once
                self._watching.set()
            return self._collect(reports)
        finally:
            for source in sources:
                source.stop()

    def _make_sources(self, reports: queue.Queue[Report]) -> list[Source]:
        """Make what watches the folders that exist, and note whether some of them have to be polled."""
        self._polls = bool(self._poll)
        kinds: dict[bool, set[str]] = {}
        for pattern in self._patterns:
            if self._poll is None and (kind := silent_file_system(pattern.folder)):
                _log.info("%s is on %s, where the kernel does not see all changes: it is polled", pattern.folder, kind)
                self._polls = True
            elif not self._poll and self._folders[pattern.folder] is not None:
                kinds.setdefault(pattern.is_recursive, set()).add(pattern.folder)
        return [Source(sorted(folders), reports, recursive=recursive) for recursive, folders in kinds.items()]

    def _collect(self, reports: queue.Queue[Report]) -> Death | None:
        """Collect what changes, and tell about it when it pauses."""
        batch = _Batch()
        look_at = time.monotonic() + _LOOK_AT_FOLDERS_S
        poll_at = time.monotonic() + _POLL_S if self._polls else math.inf
        while not self._stopping.is_set():
            wait_s = DEBOUNCE_S if batch else max(0.0, min(look_at, poll_at) - time.monotonic())
            try:
                report = reports.get(timeout=wait_s)
            except queue.Empty:
                pass
            else:
                if report is None:
                    return None
                if isinstance(report, Death):
                    self._tell(batch.take(self._files))
                    return report
                batch.add(hints=report.paths)
            if time.monotonic() >= (min(poll_at, batch.due_at) if self._polls else math.inf):
                began = time.monotonic()
                batch.add(changed=self._files.look())
                rest_s = min(_POLL_REST * (time.monotonic() - began), _LONGEST_REST_S)
                poll_at = time.monotonic() + max(_POLL_S, rest_s)
            if batch and time.monotonic() >= batch.due_at:
                self._tell(batch.take(self._files))
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + _LOOK_AT_FOLDERS_S
                if any(_identity(folder) != known for folder, known in self._folders.items()):
                    self._tell(batch.take(self._files))
                    return None
        return None

    def _tell(self, changed: Iterable[str]) -> None:
        """Call the groups that a changed file belongs to."""
        paths = sorted(changed)
        if not paths or self._stopping.is_set():
            return
        more = f" and {len(paths) - _NAMED_IN_LOG} more" if len(paths) > _NAMED_IN_LOG else ""
        _log.info("filesystem changes detected: %s%s", ", ".join(paths[:_NAMED_IN_LOG]), more)
        for group, patterns in self._groups:
            matching = frozenset(path for path in paths if _match(patterns, path))
            if matching and not self._stopping.is_set():
                try:
                    group.callback(matching)
                except Exception:
                    _log.exception("what follows a change of the files of %s failed", group.name or "a watch group")


class _Batch:
    """Changes that wait for a pause."""

    def __init__(self) -> None:
        self._hints: set[str] = set()
        self._changed: set[str] = set()
        self._began = self._last = 0.0

    def __bool__(self) -> bool:
        return bool(self._hints or self._changed)

    @property
    def due_at(self) -> float:
        """When to tell, by the monotonic clock, unless something is added before."""
        if not self:
            return math.inf
        return min(self._last + DEBOUNCE_S, self._began + _LONGEST_COLLECTION_S)

    def add(self, *, hints: Iterable[str] = (), changed: Iterable[str] = ()) -> None:
        """Add paths; what adds none does not prolong the wait."""
        size = len(self._hints) + len(self._changed)
        empty = not self
        self._hints.update(hints)
        self._changed.update(changed)
        if hints or len(self._hints) + len(self._changed) > size:
            self._last = time.monotonic()
            self._began = self._last if empty else self._began

    def take(self, files: WatchedFiles) -> set[str]:
        """Give what has really changed, and begin anew."""
        changed = self._changed | files.follow(self._hints)
        self._hints, self._changed = set(), set()
        return changed


def _match(patterns: Sequence[Pattern], path: str) -> bool:
    return any(pattern.matches(path) for pattern in patterns)


def _identity(folder: str) -> tuple[int, int] | None:
    """Tell folders apart that had one name after the other; None where there is none."""
    try:
        found = os.stat(folder)  # noqa: PTH116 - a name from the user
    except OSError:
        return None
    return found.st_dev, found.st_ino
