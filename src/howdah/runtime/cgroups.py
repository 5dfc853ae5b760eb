"""What the control group of this process allows: processor time and memory, version 1 and version 2.

A limit may stand in the group itself or in any group above it, so the smallest one on the way counts. Inside a
container the group's own folder is often not visible; then the folder at the top is the container's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

# Version 1 says "no limit" with the largest multiple of a page below 2^63; nothing real is near it.
_NO_MEMORY_LIMIT = 1 << 62


class Cgroups:
    """Limits of one process.

    Args:
        mount: where the hierarchies are mounted.
        membership: the process's ``/proc/PID/cgroup``.
    """

    def __init__(self, mount: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> None:
        self._mount = mount
        self._paths = _paths(membership)

    def cores(self) -> float | None:
        """Give the processor time per second that is allowed, in cores; None where nothing limits it."""
        found = [_share(text) for text in self._texts_v2("cpu.max")]
        for folder in self._folders_v1("cpu"):
            quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
            if quota is not None and period is not None and not quota.startswith("-"):
                found.append(_share(f"{quota} {period}"))
        return min((share for share in found if share is not None), default=None)

    def memory_bytes(self) -> int | None:
        """Give the memory that is allowed; None where nothing limits it."""
        texts = [*self._texts_v2("memory.max"), *self._texts_v2("memory.high")]
        for folder in self._folders_v1("memory"):
            text = _text(folder / "memory.limit_in_bytes")
            if text is not None:
                texts.append(text)
        sizes = [int(text) for text in texts if text.isdecimal()]
        return min((size for size in sizes if 0 < size < _NO_MEMORY_LIMIT), default=None)

    def _texts_v2(self, name: str) -> list[str]:
        texts = []
        for top in (self._mount, self._mount / "unified"):  # the second where both versions are mounted
            texts += [text for folder in _upwards(top, self._paths.get("", "/")) if (text := _text(folder / name))]
        return texts

    def _folders_v1(self, controller: str) -> Iterator[Path]:
        return _upwards(self._mount / controller, self._paths.get(controller, "/"))


def _paths(membership: Path) -> dict[str, str]:
    """Read which group the process is in, by controller; version 2 has the empty name."""
    found = {}
    for line in (_text(membership) or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for controller in controllers.split(","):
            found[controller] = path
    return found


def _upwards(top: Path, path: str) -> Iterator[Path]:
    """Give the folder of a group and those of all groups above it."""
    inner = PurePosixPath(path.lstrip("/"))
    if ".." not in inner.parts:  # a group outside of the namespace that we see
        yield from (top / part for part in (inner, *inner.parents) if str(part) != ".")
    yield top


def _share(text: str) -> float | None:
    """Divide the two numbers ``quota period``."""
    try:
        quota, period = text.split()[:2]
        return int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max 100000" is no limit, and nonsense is none either
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
