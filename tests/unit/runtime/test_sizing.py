"""How many threads are started, on machines with and without limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from howdah.config.model import RuntimeConfig
from howdah.runtime import sizing


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="ascii")
    return path


@pytest.mark.parametrize(
    ("text", "cores"),
    [("max 100000", None), ("150000 100000", 1.5), ("50000 100000\n", 0.5), ("400000 100000", 4.0)],
)
def test_cgroup_v2_quota_is_read(tmp_path: Path, text: str, cores: float | None) -> None:
    cpu_max = write(tmp_path / "cpu.max", text)
    missing = tmp_path / "missing"
    assert sizing.cgroup_cores(cpu_max, (missing, missing)) == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", None), ("200000", 2.0)])
def test_cgroup_v1_quota_is_read_where_v2_is_missing(tmp_path: Path, quota: str, cores: float | None) -> None:
    files = (write(tmp_path / "quota", quota), write(tmp_path / "period", "100000"))
    assert sizing.cgroup_cores(tmp_path / "missing", files) == cores


@pytest.mark.parametrize("text", ["", "garbage", "1 0", "x y"])
def test_nonsense_in_the_control_group_is_no_limit(tmp_path: Path, text: str) -> None:
    missing = tmp_path / "missing"
    assert sizing.cgroup_cores(write(tmp_path / "cpu.max", text), (missing, missing)) is None


def test_threads_are_twice_the_cores_unless_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "usable_cores", lambda: 3)
    assert sizing.thread_count(RuntimeConfig()) == 6
    assert sizing.thread_count(RuntimeConfig(num_threads=1)) == 1


def test_a_small_quota_still_means_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "cgroup_cores", lambda: 0.2)
    assert sizing.usable_cores() == 1
