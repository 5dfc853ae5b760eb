"""Limits of control groups, as the kernel shows them with version 1, version 2 and both, inside and outside containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from howdah.runtime.cgroups import Cgroups

NO_LIMIT_V1 = "9223372036854771712\n"


def groups(folder: Path, membership: str, files: dict[str, str]) -> Cgroups:
    for name, text in files.items():
        path = folder / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    own = folder / "membership"
    own.write_text(membership, encoding="ascii")
    return Cgroups(folder / "cgroup", own)


@pytest.mark.parametrize(
    ("text", "cores"),
    [("max 100000", None), ("150000 100000", 1.5), ("50000 100000\n", 0.5), ("400000 100000", 4.0)],
)
def test_version_2_quota_is_read(tmp_path: Path, text: str, cores: float | None) -> None:
    assert groups(tmp_path, "0::/\n", {"cpu.max": text}).cores() == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", None), ("200000", 2.0)])
def test_version_1_quota_is_read(tmp_path: Path, quota: str, cores: float | None) -> None:
    files = {"cpu/cpu.cfs_quota_us": quota, "cpu/cpu.cfs_period_us": "100000"}
    assert groups(tmp_path, "2:cpu,cpuacct:/\n", files).cores() == cores


@pytest.mark.parametrize("text", ["", "garbage", "1 0", "x y"])
def test_nonsense_is_no_limit(tmp_path: Path, text: str) -> None:
    found = groups(tmp_path, "0::/\n", {"cpu.max": text, "memory.max": text or "-5"})
    assert found.cores() is None
    assert found.memory_bytes() is None


def test_the_smallest_limit_on_the_way_to_the_top_counts(tmp_path: Path) -> None:
    files = {
        "system.slice/php.service/cpu.max": "max 100000",
        "system.slice/cpu.max": "300000 100000",
        "cpu.max": "800000 100000",
        "system.slice/php.service/memory.max": "max",
        "system.slice/php.service/memory.high": "3000000",
        "system.slice/memory.max": "2000000",
    }
    found = groups(tmp_path, "0::/system.slice/php.service\n", files)
    assert found.cores() == 3.0
    assert found.memory_bytes() == 2_000_000


@pytest.mark.parametrize(("text", "size"), [(NO_LIMIT_V1, None), ("3221225472\n", 3 << 30)])
def test_version_1_memory_is_read_with_all_its_bits(tmp_path: Path, text: str, size: int | None) -> None:
    files = {"memory/own/memory.limit_in_bytes": text, "memory/memory.limit_in_bytes": NO_LIMIT_V1}
    assert groups(tmp_path, "4:memory:/own\n", files).memory_bytes() == size


def test_in_a_container_the_folder_at_the_top_is_the_own_one(tmp_path: Path) -> None:
    files = {
        "memory/memory.limit_in_bytes": "1000000",
        "cpu/cpu.cfs_quota_us": "50000",
        "cpu/cpu.cfs_period_us": "100000",
    }
    found = groups(tmp_path, "4:memory:/docker/5c0ffee\n3:cpu:/docker/5c0ffee\n", files)
    assert found.memory_bytes() == 1_000_000
    assert found.cores() == 0.5


def test_a_group_outside_of_the_namespace_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1", encoding="ascii")
    assert groups(tmp_path, "0::/../..\n", {"memory.max": "5000000"}).memory_bytes() == 5_000_000


def test_both_versions_mounted_are_both_read(tmp_path: Path) -> None:
    files = {"unified/cpu.max": "100000 100000", "memory/memory.limit_in_bytes": "7000000"}
    found = groups(tmp_path, "4:memory:/\n0::/\n", files)
    assert found.cores() == 1.0
    assert found.memory_bytes() == 7_000_000


def test_without_control_groups_nothing_is_limited(tmp_path: Path) -> None:
    found = Cgroups(tmp_path / "missing", tmp_path / "neither")
    assert found.cores() is None
    assert found.memory_bytes() is None
