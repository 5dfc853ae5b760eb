"""Where log lines go: a standard stream, or a file that is rotated by size and age.

Everything here runs on the log thread, and may block it.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

_FILE_MODE = 0o600  # what is logged is nobody else's business
_FOLDER_MODE = 0o755
_STREAM_WAIT_S = 2.0
# What the system takes in one call.
_MOST_AT_ONCE = min(1024, os.sysconf("SC_IOV_MAX"))
_LINE_END = ord("\n")
_STAMP = "%Y-%m-%dT%H-%M-%S"


class Output(ABC):
    """Takes lines; counts those that could not be written, and says so once on standard error.

    Attributes:
        lost: lines that could not be written.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.lost = 0
        self._lost_in_a_row = 0

    def write(self, lines: Sequence[bytes]) -> None:
        """Write lines; never raises."""
        if not lines:
            return
        try:
            self._write(lines)
        except OSError as error:
            data = b"".join(lines)
            missing = max(1, data.count(b"\n") - self._written_lines(data))
            if not self._lost_in_a_row:
                self._say(f"cannot be written, lines are lost: {error.strerror or error}")
            self._lost_in_a_row += missing
            self.lost += missing
        else:
            if self._lost_in_a_row:
                self._say(f"can be written again; {self._lost_in_a_row} lines were lost")
                self._lost_in_a_row = 0

    @abstractmethod
    def _write(self, lines: Sequence[bytes]) -> None:
        """Write all of the lines.

        Raises:
            OSError: they could not be.
        """

    def _written_lines(self, data: bytes) -> int:
        return 0

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(2, f"howdah: the log {self.name} {text}\n".encode())

    @abstractmethod
    def close(self) -> None:
        """Let go of what is open; writing opens it again."""


class StreamOutput(Output):
    """Standard output or standard error."""

    def __init__(self, name: str, descriptor: int) -> None:
        super().__init__(name)
        self._descriptor = descriptor

    def _write(self, lines: Sequence[bytes]) -> None:
        view = memoryview(b"".join(lines))
        deadline = time.monotonic() + _STREAM_WAIT_S
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:
                # Whoever reads the pipe is slow, and somebody has made it non-blocking.
                if time.monotonic() > deadline:
                    raise
                select.select([], [self._descriptor], [], 0.1)

    def close(self) -> None:
        """Nothing: the stream is the process's."""


class FileOutput(Output):
    """A file. When it has grown large it is renamed, with the time in its name, and a new one is begun.

    A file that somebody else moved away or removed is made again.

    Args:
        path: of the file.
        roll_size_bytes: size from which it is rotated; 0 never.
        roll_keep: rotated files that are kept; 0 keeps all.
        roll_keep_s: age up to which they are kept; 0 is any.
    """

    def __init__(self, path: str, roll_size_bytes: int = 0, roll_keep: int = 0, roll_keep_s: float = 0.0) -> None:
        super().__init__(path)
        self._path = Path(path)
        self._roll_size_bytes = roll_size_bytes
        self._roll_keep = roll_keep
        self._roll_keep_s = roll_keep_s
        self._descriptor = -1
        self._identity = (0, 0)
        self._size_bytes = 0
        self._is_torn = False
        self._written_bytes = 0
        self._last_us = 0

    def open(self) -> None:
        """Open the file for appending; `write` does it by itself.

        Raises:
            OSError: it cannot be.
        """
        if not self._path.parent.exists():
            self._path.parent.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, _FILE_MODE)
        found = os.fstat(self._descriptor)
        self._identity = (found.st_dev, found.st_ino)
        self._size_bytes = found.st_size

    def close(self) -> None:
        """Close the file; writing opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, lines: Sequence[bytes]) -> None:
        self._written_bytes = 0
        if self._descriptor >= 0 and not self._is_ours():
            self.close()
        if self._descriptor < 0:
            self.open()
        room = self._roll_size_bytes - self._size_bytes
        if not self._is_torn and (not self._roll_size_bytes or sum(map(len, lines)) <= room):
            for begin in range(0, len(lines), _MOST_AT_ONCE):
                self._put_lines(lines[begin : begin + _MOST_AT_ONCE])
            return
        data = b"".join(lines)
        begin = 0
        while begin < len(data):
            end = self._fitting(data, begin)
            if end == begin:
                self._rotate()
                continue
            self._append(data[begin:end])
            begin = end

    def _written_lines(self, data: bytes) -> int:
        return data.count(b"\n", 0, self._written_bytes)

    def _fitting(self, data: bytes, begin: int) -> int:
        """Give the end of the whole lines that fit into the file; ``begin`` when it must be rotated first."""
        if not self._roll_size_bytes:
            return len(data)
        room = self._roll_size_bytes - self._size_bytes
        if len(data) - begin <= room:
            return len(data)
        end = data.rfind(b"\n", begin, begin + max(room, 0)) + 1
        if end > begin:
            return end
        # A line that is larger than any file gets one of its own.
        return begin if self._size_bytes else data.index(b"\n", begin) + 1

    def _append(self, data: bytes) -> None:
        if self._is_torn:  # the disk was full in the middle of a line
            self._put(b"\n")
            self._written_bytes -= 1
        self._put(data)

    def _put_lines(self, lines: Sequence[bytes]) -> None:
        """Write lines without joining them: for each call of the system the thread has to wait for the GIL."""
        count = os.writev(self._descriptor, lines)
        self._written_bytes += count
        self._size_bytes += count
        if count < sum(map(len, lines)):
            data = b"".join(lines)
            self._is_torn = count > 0 and data[count - 1] != _LINE_END
            self._put(data[count:])

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            count = os.write(self._descriptor, view)
            self._written_bytes += count
            self._size_bytes += count
            self._is_torn = view[count - 1] != _LINE_END
            view = view[count:]

    def _is_ours(self) -> bool:
        try:
            found = self._path.stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def _rotate(self) -> None:
        self.close()
        now = time.time()
        # Names are in the order of rotations, also of those that come in one microsecond.
        self._last_us = max(int(now * 1e6), self._last_us + 1)
        seconds, us = divmod(self._last_us, 1_000_000)
        stamp = time.strftime(_STAMP, time.gmtime(seconds))
        target = self._path.with_name(f"{self._path.stem}-{stamp}.{us:06d}{self._path.suffix}")
        self._path.rename(target)
        self.open()
        with contextlib.suppress(OSError):
            self._remove_old(now)

    def _remove_old(self, now: float) -> None:
        prefix, suffix = f"{self._path.stem}-", self._path.suffix
        rotated = sorted(
            (
                path
                for path in self._path.parent.iterdir()
                if path.name.startswith(prefix) and path.name.endswith(suffix) and _has_stamp(path, prefix, suffix)
            ),
            reverse=True,
        )
        for number, path in enumerate(rotated):
            too_many = self._roll_keep and number >= self._roll_keep
            too_old = self._roll_keep_s and now - path.stat().st_mtime > self._roll_keep_s
            if too_many or too_old:
                path.unlink(missing_ok=True)


def _has_stamp(path: Path, prefix: str, suffix: str) -> bool:
    """Say whether a file is one that rotation has made: `access-old.log` is somebody else's."""
    stamp = path.name[len(prefix) : len(path.name) - len(suffix)]
    try:
        time.strptime(stamp.rpartition(".")[0], _STAMP)
    except ValueError:
        return False
    return True
