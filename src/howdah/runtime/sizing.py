"""How many PHP threads: arithmetic on the cores that this process may use."""

from __future__ import annotations

import os
from pathlib import Path

from howdah.config.model import RuntimeConfig

_CGROUP_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_V1 = (Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us"))


def cgroup_cores(cpu_max: Path = _CGROUP_CPU_MAX, v1: tuple[Path, Path] = _CGROUP_V1) -> float | None:
    """Give the cores that the control group allows, or None where it sets no limit."""
    try:
        quota, period = cpu_max.read_text(encoding="ascii").split()[:2]
    except (OSError, ValueError):
        try:
            quota, period = (path.read_text(encoding="ascii").strip() for path in v1)
        except OSError:
            return None
    if quota in {"max", "-1"}:
        return None
    try:
        return int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None


def usable_cores() -> int:
    """Give the number of cores that this process may use, at least 1: affinity and control group counted."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    limit = cgroup_cores()
    if limit is not None:
        cores = min(cores, max(1, round(limit)))
    return max(1, cores)


def thread_count(config: RuntimeConfig) -> int:
    """Give the number of threads to start: as configured, or twice the usable cores."""
    return config.num_threads if config.num_threads is not None else 2 * usable_cores()
