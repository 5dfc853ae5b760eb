"""What processes cost, read from /proc: CPU time and memory of a process and of all that it started."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def tree(*roots: int) -> list[int]:
    """The given processes and their descendants that live now."""
    parents = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it may end while we look
                parents[int(entry.name)] = int(_stat_fields(int(entry.name))[1])
    found = list(roots)
    for pid in found:  # grows while we walk
        found += [child for child, parent in parents.items() if parent == pid and child not in found]
    return found


def cpu_s(pids: list[int]) -> float:
    """CPU seconds in user and kernel mode, with those of descendants that have ended and been waited for."""
    ticks = 0
    for pid in pids:
        with suppress(OSError):
            ticks += sum(int(field) for field in _stat_fields(pid)[11:15])
    return ticks / _TICKS_PER_S


def machine_cpu_s() -> float:
    """CPU seconds that the whole machine has spent busy since it started."""
    fields = (_PROC / "stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
    idle = int(fields[3]) + int(fields[4])
    return (sum(map(int, fields)) - idle) / _TICKS_PER_S


def rss_bytes(pids: list[int]) -> int:
    """Resident memory summed up; pages that processes share count once for each."""
    return sum(_status_bytes(pid, "VmRSS") for pid in pids)


def pss_bytes(pids: list[int]) -> int:
    """Resident memory with shared pages divided among those that share them: fair to many processes."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def reset_peaks(pids: list[int]) -> None:
    """Let `peak_rss_bytes` count from now on."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def peak_rss_bytes(pids: list[int]) -> int:
    """Sum of each process's highest resident memory since `reset_peaks`."""
    return sum(_status_bytes(pid, "VmHWM") for pid in pids)


def _stat_fields(pid: int) -> list[str]:
    # the name of the program, in parentheses, may contain anything; fields are counted after it, from "state"
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


def _status_bytes(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0
