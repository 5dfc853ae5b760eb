"""What is process-wide in C is per thread or refused: locale, umask, signals, fork."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.server import SCRIPTS, Server, ServerFactory


def test_folder_umask_locale_timezone_and_ini_belong_to_one_request(served: Server, tmp_path: Path) -> None:
    untouched = served.json("/find_traces.php")["locale"]
    for _ in range(3):
        answers = fetch_parallel(served.url, lambda i: {"url": f"/per_thread.php?i={i}&folder={tmp_path}"}, 8)
        for i, answer in enumerate(answers):
            seen = answer.json()
            before = seen["before"]
            assert before["umask"] == 0o022
            assert before["locale"] == untouched
            assert before["timezone"] == "UTC"
            assert before["precision"] == "14"
            assert before["decimal"] == "1.500000"
            assert seen["cwd"] == f"{tmp_path}/{i}"
            assert seen["umask"] == i
            assert seen["mode"] == 0o666 & ~i
            assert seen["locale_ok"] is True
            assert seen["native"] == ("C" if i % 2 else "C.UTF-8")
            assert seen["timezone"] == ("Asia/Tokyo" if i % 2 else "Europe/Paris")
            assert seen["precision"] == str(5 + i)
        for i in range(8):
            (tmp_path / str(i) / "made").unlink()


def test_the_servers_own_folder_and_umask_do_not_change(served: Server, tmp_path: Path) -> None:
    def of_process() -> tuple[str, str]:
        status = Path(f"/proc/{served.pid}/status").read_text()
        umask = next(line for line in status.splitlines() if line.startswith("Umask"))
        return str(Path(f"/proc/{served.pid}/cwd").readlink()), umask

    before = of_process()
    fetch_parallel(served.url, lambda i: {"url": f"/per_thread.php?i={i}&folder={tmp_path}"}, 8)
    assert of_process() == before


@pytest.mark.parametrize(
    "name", ["pcntl_signal", "pcntl_alarm", "pcntl_sigprocmask", "pcntl_sigwaitinfo", "pcntl_exec"]
)
def test_functions_that_would_change_the_process_warn_and_return_false(served: Server, name: str) -> None:
    seen = served.json("/process_control.php")[name]
    assert seen["result"] is False
    assert len(seen["warnings"]) == 1
    assert name in seen["warnings"][0]


def test_programs_started_by_php_have_no_signal_blocked_and_die_of_broken_pipes(own_server: ServerFactory) -> None:
    for answer in fetch_parallel(
        own_server(SCRIPTS, "--num-threads", "4").url, lambda i: {"url": "/child_signals.php"}, 4
    ):
        seen = answer.json()
        assert int(seen["SigBlk"], 16) == 0
        assert int(seen["SigIgn"], 16) & (1 << 12) == 0, "SIGPIPE is ignored"
        assert seen["pipe"] == "141"
        assert seen["terminated"] == 15


def test_a_forked_child_ends_by_itself_and_answers_nobody(classic: Server, tmp_path: Path) -> None:
    answers = fetch_parallel(classic.url, lambda i: {"url": f"/fork.php?trace={tmp_path}/{i}"}, 8)
    for i, answer in enumerate(answers):
        assert answer.json() == {"child": 3, "exited": True}
        assert "x-child" not in answer.headers
        assert (tmp_path / str(i)).read_text() == "child worked"
        assert (tmp_path / f"{i}.end").read_text() == "child ended"


def test_php_threads_block_the_signals_of_the_server(classic: Server) -> None:
    sigterm = 1 << 14
    masks = []
    for task in Path(f"/proc/{classic.pid}/task").iterdir():
        status = dict(line.split(":\t") for line in (task / "status").read_text().splitlines() if ":\t" in line)
        if int(task.name) != classic.pid and status["Name"].startswith("php"):
            masks.append(int(status["SigBlk"], 16))
    assert masks, "no thread is named php-..."
    assert all(mask & sigterm for mask in masks)
