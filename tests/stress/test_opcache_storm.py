"""OPcache never wipes under a running thread; and the load of this test would crash if it did."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = Path(__file__).with_name("opcache_storm.py")
_MOST_S = 300
_WANTED = 100


def _storm(folder: Path, seconds: int, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(_PROGRAM), str(folder), str(seconds), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=_MOST_S + 60, check=False)


@pytest.mark.stress
@pytest.mark.slow
@pytest.mark.timeout(_MOST_S + 90)
def test_a_hundred_wipes_of_each_kind_break_nothing(tmp_path: Path) -> None:
    result = _storm(tmp_path, _MOST_S)
    assert result.returncode == 0, result.stderr[-2000:]
    seen = json.loads(result.stdout.splitlines()[-1])
    assert seen["wrong"] == []
    assert seen["open"] == 0
    assert seen["oom_restarts"] > _WANTED
    assert seen["manual_restarts"] > _WANTED


@pytest.mark.stress
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_same_load_crashes_without_the_lock(tmp_path: Path) -> None:
    result = _storm(tmp_path, 60, "--unguarded")
    broken = result.returncode != 0 or json.loads(result.stdout.splitlines()[-1])["wrong"]
    assert broken, "nothing was lost without the lock, so the test above shows nothing"
    if result.returncode < 0:
        assert result.returncode in {-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGILL}
