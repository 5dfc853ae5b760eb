"""Random role changes, restarts, kills, wipes and recycles on real PHP: no answer is wrong and no thread is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.php.harness.server import clean_environment

SECONDS = float(os.environ.get("HOWDAH_STRESS_SECONDS", "15"))
SEED = int(os.environ.get("HOWDAH_SEED", "1"))


@pytest.mark.stress
@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 100)
def test_threads_change_in_every_way_while_requests_go_on(tmp_path: Path) -> None:
    storm = Path(__file__).with_name("life_storm.py")
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", storm, str(SECONDS), str(SEED), tmp_path],
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(None),
        timeout=SECONDS + 90,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["wrong"] == []
    assert found["open"] == 0
    assert found["stuck"] == 0
    assert found["stopped"]
    assert found["left"] == []
    assert not {"stuck", "shutting down", "done"} & set(found["alive"].values())
    for what in ("answered", "killed", "role", "restart"):
        assert found["counts"].get(what, 0) > 0, found
    assert found["recycles"].get("max_requests", 0) > 0
