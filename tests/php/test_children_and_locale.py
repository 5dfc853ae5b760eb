"""Children of scripts, started or forked, and setlocale(): what scripts may count on."""

from __future__ import annotations

from pathlib import Path

from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.server import Server
from tests.php.harness.waiting import wait_until


def test_empty_variables_and_odd_names_reach_programs(served: Server) -> None:
    for answer in fetch_parallel(served.url, lambda i: {"url": "/spawn_environment.php"}, 8):
        seen = answer.json()
        assert seen["proc_open"] == ["HOWDAH_TEST_EMPTY=", "howdah.test=dotted"]
        assert seen["exec"] == ["HOWDAH_TEST_EMPTY="]
        assert seen["then"] == "alive"


def test_programs_have_no_signal_ignored_that_python_ignores(served: Server) -> None:
    assert int(served.json("/child_signals.php")["SigIgn"], 16) & (1 << 24) == 0, "SIGXFSZ is ignored"


def test_a_script_can_go_back_to_the_locale_it_found(served: Server) -> None:
    for answer in fetch_parallel(served.url, lambda i: {"url": "/locale_restore.php"}, 20):
        assert answer.json() == {
            "set": "C.UTF-8",
            "back": True,
            "ctype is one name": True,
            "back again": True,
            "posix": "C",
            "first that works": "C.UTF-8",
            "unknown": False,
            "unknown category": False,
            "kept": "C.UTF-8",
            "of the environment": "C",
        }


def test_a_forked_child_is_a_process_of_its_own(served: Server, tmp_path: Path) -> None:
    late = tmp_path / "late"
    assert served.json(f"/fork_child.php?late={late}") == {
        "time limit": 255,
        "broken pipe": 5,
        "signal handler": 9,
        "other program": 7,
        "shutdown function": 8,
    }
    wait_until(lambda: late.exists() and late.read_text() != "", "the child of a shutdown function")
    wait_until(lambda: _is_gone(late.read_text()), "its end")


def _is_gone(pid: str) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True
    return "State:\tZ" in status
