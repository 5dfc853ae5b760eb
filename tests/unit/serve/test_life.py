"""The end of a server process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_SOURCES = Path(__file__).resolve().parents[3] / "src"

# In a process of its own, because the one of the tests may have threads of all kinds.
_PROGRAM = """
import _thread, threading
from howdah.serve.life import wait_foreign_threads

ended, go_on = threading.Event(), _thread.allocate_lock()
known = threading.Thread(target=ended.wait, daemon=True)
known.start()
print(wait_foreign_threads(1))
go_on.acquire()
_thread.start_new_thread(go_on.acquire, ())
print(wait_foreign_threads(0.02))
threading.Timer(0.02, go_on.release).start()
print(wait_foreign_threads(5))
ended.set()
"""


def test_threads_that_python_does_not_know_are_waited_for_within_a_bound_and_others_are_not() -> None:
    # The package may not be installed: these tests run before it is built.
    environment = {**os.environ, "PYTHONPATH": str(_SOURCES)}
    result = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=30, env=environment
    )
    assert result.stdout.split() == ["True", "False", "True"]
