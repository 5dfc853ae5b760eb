"""Keeps small static files in memory, so that a request for one costs a look at its status and nothing more.

An entry counts only while inode, size and both times of the file are what they were, and the caller has just asked
the kernel for them. A file that was changed within the last seconds is not kept: it could change once more within
the same tick of the file system's clock, and nothing would tell.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from howdah.web.static import OpenFile

_LARGEST_BYTES = 64 * 1024
_TOTAL_BYTES = 32 * 1024 * 1024
# Names, headers and the entry itself.
_ENTRY_BYTES = 1024
_SETTLED_NS = 2_000_000_000
_SIBLINGS_S = 1.0


class _Kept(NamedTuple):
    identity: tuple[int, int, int, int, int]
    file: OpenFile


class FileCache:
    """Files of all sites; written by the event loop's thread only."""

    def __init__(self) -> None:
        self._kept: dict[bytes, _Kept] = {}
        self._size_bytes = 0
        self._alone: dict[bytes, float] = {}

    def find(self, path: bytes, status: os.stat_result) -> OpenFile | None:
        """Give a file if it is kept and has not changed.

        Args:
            path: absolute path.
            status: what the kernel says of it now.
        """
        kept = self._kept.get(path)
        if kept is None:
            return None
        if kept.identity != _identity(status):
            self._drop(path)
            return None
        return kept.file

    def takes(self, status: os.stat_result) -> bool:
        """Tell whether a file is worth keeping, and its bytes are sure to be those of its status."""
        newest_ns = max(status.st_mtime_ns, status.st_ctime_ns)
        return status.st_size <= _LARGEST_BYTES and time.time_ns() - newest_ns > _SETTLED_NS

    def keep(self, path: bytes, status: os.stat_result, file: OpenFile) -> None:
        """Keep a file whose bytes are in memory; the oldest ones go when there are too many."""
        self._drop(path)
        self._size_bytes += status.st_size + _ENTRY_BYTES
        self._kept[path] = _Kept(_identity(status), file)
        while self._size_bytes > _TOTAL_BYTES:
            self._drop(next(iter(self._kept)))

    def has_siblings(self, path: bytes) -> bool:
        """Tell whether precompressed siblings of a file are to be looked for; not if there were none a moment ago."""
        until = self._alone.get(path)
        return until is None or time.monotonic() >= until

    def note_no_siblings(self, path: bytes) -> None:
        """Note that a file has none."""
        if len(self._alone) >= _TOTAL_BYTES // _ENTRY_BYTES:
            self._alone.clear()
        self._alone[path] = time.monotonic() + _SIBLINGS_S

    def _drop(self, path: bytes) -> None:
        kept = self._kept.pop(path, None)
        if kept is not None:
            self._size_bytes -= kept.identity[2] + _ENTRY_BYTES


def _identity(status: os.stat_result) -> tuple[int, int, int, int, int]:
    return status.st_ino, status.st_dev, status.st_size, status.st_mtime_ns, status.st_ctime_ns
