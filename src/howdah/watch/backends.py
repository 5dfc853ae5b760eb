"""Where hints about changed files come from: the kernel, by inotify; and where it cannot help.

The kernel sees only changes made through itself. On a network file system, or a folder of the host that a virtual
machine shows, it stays silent, so there the files have to be polled; also when its limits are reached.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from watchfiles import watch

_log = logging.getLogger("howdah.watch")

_STEP_S = 0.05
_BEAT_S = 0.1

# File systems whose files change without this kernel knowing.
_SILENT = {
    *("9p", "afs", "ceph", "cifs", "drvfs", "fakeowner", "fuse", "gfs2", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4"),
    *("ocfs2", "osxfs", "prl_fs", "prl_fs2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs"),
}
_MOUNTS = Path("/proc/self/mountinfo")
_LIMITS = Path("/proc/sys/fs/inotify")


class Hints(NamedTuple):
    """Paths at which something may have changed."""

    paths: frozenset[str]


class Death(NamedTuple):
    """A source ended without having been told to.

    Attributes:
        error: what it died of.
        limit_reached: whether the kernel's limits are the reason, so that trying again will not help.
    """

    error: str
    limit_reached: bool


# None ends the wait of whoever reads the reports.
Report = Hints | Death | None


class Source:
    """A thread that puts reports about some folders into a queue.

    Args:
        folders: existing folders.
        reports: where the reports go.
        recursive: with everything below the folders.
    """

    def __init__(self, folders: Sequence[str], reports: queue.Queue[Report], *, recursive: bool) -> None:
        self._folders = folders
        self._reports = reports
        self._recursive = recursive
        self._stopping = threading.Event()
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, name="howdah-watch-source", daemon=True)

    def start(self) -> None:
        """Start; returns before the folders are watched."""
        self._thread.start()

    def wait_begun(self, timeout_s: float) -> bool:
        """Wait until the folders are watched or the source is dead; False when the time is over."""
        return self._begun.wait(timeout_s)

    def stop(self) -> None:
        """Stop; blocks for some tenths of a second."""
        self._stopping.set()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        try:
            try:
                self._follow()
            except PermissionError as error:
                _log.warning("not everything below %s can be watched: %s", ", ".join(self._folders), error)
                self._follow(ignore_permission_denied=True)
        except Exception as error:  # the library raises OSError, RuntimeError and errors of its own
            self._reports.put(Death(str(error), is_limit(str(error))))
        else:
            if not self._stopping.is_set():
                self._reports.put(Death("it ended without an error", limit_reached=False))
        finally:
            self._begun.set()

    def _follow(self, *, ignore_permission_denied: bool = False) -> None:
        # Not ignored from the start: the library would ignore the kernel's limits with it.
        changes = watch(
            *self._folders,
            watch_filter=None,
            debounce=round(_STEP_S * 1000),
            step=round(_STEP_S * 1000),
            rust_timeout=round(_BEAT_S * 1000),
            yield_on_timeout=True,
            stop_event=self._stopping,
            raise_interrupt=False,
            force_polling=False,  # its polling compares whole seconds, so it misses quick changes
            recursive=self._recursive,
            ignore_permission_denied=ignore_permission_denied,
        )
        for batch in changes:
            self._begun.set()
            if batch:
                self._reports.put(Hints(frozenset(path for _, path in batch)))


def is_limit(error: str) -> bool:
    """Tell whether the text of an error says that the kernel gives no more watches or inotify instances."""
    return "watch limit" in error or "Too many open files" in error or "No space left" in error


def limit_advice() -> str:
    """Say which limits hold and how to raise them."""
    return (
        f"fs.inotify.max_user_watches is {read_limit('max_user_watches')} and fs.inotify.max_user_instances is "
        f"{read_limit('max_user_instances')}; raise them with `sysctl fs.inotify.max_user_watches=524288 "
        "fs.inotify.max_user_instances=512`, or watch fewer folders"
    )


def read_limit(name: str) -> int | str:
    """Give a limit of inotify, or a word where it cannot be read."""
    try:
        return int((_LIMITS / name).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return "unknown"


def silent_file_system(folder: str, mounts: Path = _MOUNTS) -> str | None:
    """Give the type of the folder's file system if the kernel does not see all of its changes, else None."""
    kind = file_system(folder, mounts)
    if kind == "fuse.fuse-overlayfs":  # the root of a container; nobody changes it from outside
        return None
    return kind if kind.partition(".")[0] in _SILENT else None


def file_system(folder: str, mounts: Path = _MOUNTS) -> str:
    """Give the type of the file system that holds an absolute folder, or nothing where that cannot be known."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    for line in lines:
        # Fields: id, parent, device, root, mount point, options, optional fields, a dash, type, source, options.
        fields, _, rest = line.partition(" - ")
        point = fields.split(" ")[4].encode("latin-1", "backslashreplace").decode("unicode_escape", "replace")
        inside = f"{folder}/".startswith(point if point.endswith("/") else f"{point}/")
        if inside and len(point) >= len(best):  # of two mounts at one place the later one is on top
            best, kind = point, rest.partition(" ")[0]
    return kind
