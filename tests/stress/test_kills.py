"""Thousands of kills at random moments: only what was meant is ever hit. The long run: HOWDAH_KILLS=100000."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.php.harness.server import SCRIPTS, clean_environment

KILLS = int(os.environ.get("HOWDAH_KILLS", "5000"))
SEED = int(os.environ.get("HOWDAH_SEED", "1"))
_HERE = Path(__file__).parent


@pytest.fixture
def peer() -> Iterator[int]:
    """The port of a server that answers when it is told to."""
    with subprocess.Popen([sys.executable, _HERE / "kill_peer.py"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.terminate()


@pytest.mark.stress
@pytest.mark.slow
@pytest.mark.timeout(60 + KILLS // 20)
def test_a_kill_hits_nothing_but_its_request(peer: int) -> None:
    result = subprocess.run(
        [sys.executable, "-X", "faulthandler", _HERE / "kill_storm.py", str(KILLS), str(SEED), str(peer)],
        capture_output=True,
        text=True,
        check=False,
        cwd=SCRIPTS,
        env=clean_environment(None),
    )
    assert result.returncode == 0, result.stderr[-3000:]
    seen = json.loads(result.stdout)
    assert seen["n_wrong"] == 0, seen
    assert seen["kills"] >= KILLS
    assert seen["killed"] > KILLS / 10, seen
    assert seen["answered"] > KILLS / 10, seen
    assert seen["missed"] > 0, seen  # else no request was ever gone when its kill came
    assert seen["churned"] > KILLS / 20, seen
    assert seen["traces"] > 10, seen
    assert seen["open"] == 0, seen
    assert seen["leaked"] <= 0, seen
    assert seen["clean"], seen
