"""How requests of a worker end: exceptions, exit, fatal errors, time limits, and what runs at their end."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.server import Server, ServerFactory
from tests.php.harness.waiting import wait_until
from tests.php.harness.workers import WORKERS, in_worker, worker_script

pytestmark = pytest.mark.log_noise("PHP (Fatal|Warning|Parse)|Uncaught|Stack trace|thrown in|^#|Next ")

# The script ends with these, the client has its answer, and the script boots again.
_ENDS_THE_SCRIPT = {
    "exit": 0, "exit text": 0, "exit in a function": 0, "exit in a fiber": 0, "exit 3": 3,
    "fatal": 255, "memory": 255, "memory in pieces": 255, "recursion": 255, "timeout": 255,
}  # fmt: skip
# The request ends with these and the script goes on.
_ENDS_THE_REQUEST = [
    "normal", "exception", "undefined", "parse", "require", "exception in a destructor", "exception at the end",
    "exception in shutdown", "error handler", "fiber", "generator",
]  # fmt: skip
_WORDS = {
    "exception": "Uncaught Exception: request 7", "undefined": "undefined function not_a_function", "parse": "Unclosed '('",
    "exception in a destructor": "in a destructor", "exception at the end": "in a destructor",
    "exception in shutdown": "in a shutdown function", "error handler": "from the error handler", "fiber": "in a fiber",
    "generator": "in a generator", "fatal": "fatal on purpose", "require": "no/such/file.php",
    "memory": "Allowed memory size", "memory in pieces": "Allowed memory size", "recursion": "Allowed memory size",
    "timeout": "Maximum execution time", "exit text": "exit text;", "exit in a fiber": "exit in a fiber;",
}  # fmt: skip


@pytest.fixture(scope="module")
def shown(module_sites: ServerFactory) -> Server:
    """One worker thread; errors are shown, and everything is logged."""
    return in_worker(module_sites, ini={"display_errors": "1"}, debug=True)


@pytest.fixture(scope="module")
def hidden(module_sites: ServerFactory) -> Server:
    """Four worker threads as in production: errors go to the log only."""
    return in_worker(module_sites, worker_script(num=4))


def end(server: Server, how: str, more: str = "") -> str:
    return server.get(f"/ending.php?how={how.replace(' ', '%20')}&i=7{more}").text


def boot(server: Server) -> str:
    return server.get("/hello.php").headers["x-boot"]


@pytest.mark.parametrize("how", _ENDS_THE_REQUEST)
def test_an_exception_ends_the_request_and_not_the_script(shown: Server, how: str) -> None:
    before, mark = boot(shown), shown.log_mark()
    text = end(shown, how)
    assert text.startswith("begin 7;")
    assert _WORDS.get(how, "normal end;") in text
    assert boot(shown) == before
    if how != "normal":
        shown.wait_for_log(re.escape(_WORDS[how]), since=mark)
    assert "unexpected termination" not in shown.log_since(mark)


@pytest.mark.parametrize("how", sorted(_ENDS_THE_SCRIPT))
def test_exit_and_fatal_errors_end_the_script_after_the_response(shown: Server, how: str) -> None:
    before, numbers, mark = boot(shown), shown.worker(), shown.log_mark()
    text = end(shown, how)
    assert text.startswith("begin 7;")
    assert _WORDS.get(how, "") in text
    assert "normal end" not in text
    assert boot(shown) != before
    status = _ENDS_THE_SCRIPT[how]
    crashes = numbers["crashes"] + (status != 0)
    restarts = numbers["restarts"] + (status == 0)
    wait_until(
        lambda: (shown.worker()["crashes"], shown.worker()["restarts"]) == (crashes, restarts), "the numbers to follow"
    )
    line = shown.wait_for_log(
        ".*unexpected termination, restarting.*" if status else r".*(?<!termination, )\brestarting\b.*", since=mark
    )[0]
    assert (" WARN" if status else " DEBUG ") in line
    assert re.search(rf"exit_status\D{{1,3}}{status}\b", line)
    assert "any.php" in line, "the line names the worker"
    assert re.search(r"thread\D{1,3}\d+", line)


@pytest.mark.parametrize(
    "how", ["normal", "exit", "exit 3", "exception", "fatal", "memory", "timeout", "exit in a fiber"]
)
def test_shutdown_functions_run_at_the_end_of_their_request_before_its_output_ends(shown: Server, how: str) -> None:
    for number in range(3):
        text = end(shown, how, "&shutdown=1")
        assert text.count("shutdown 7;") == 1, (number, text)
        assert text.endswith("shutdown 7;second;late;"), text
    assert "shutdown" not in shown.get("/hello.php?i=1").text


def test_shutdown_functions_of_100_requests_do_not_mix(hidden: Server) -> None:
    answers = fetch_parallel(hidden.url, lambda i: {"url": f"/ending.php?i={i}" + ("&shutdown=1" if i % 2 else "")})
    for i, answer in enumerate(answers):
        expected = f"begin {i};normal end;" + (f"shutdown {i};second;late;" if i % 2 else "")
        assert answer.text == expected


def test_a_shutdown_function_of_the_boot_runs_once_when_the_script_ends(
    own_sites: ServerFactory, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    worker = worker_script(boot="shutdown", env={"TRACE": str(trace)})
    server = in_worker(own_sites, worker)
    for number in range(5):
        server.get(f"/hello.php?i={number}")
        server.get("/ending.php?shutdown=1")
    assert not trace.exists()
    server.get("/ending.php?how=exit")
    wait_until(lambda: trace.exists() and trace.read_text() == "ended;", "the shutdown function of the boot")
    boot(server)
    assert server.terminate() == 0
    assert trace.read_text() == "ended;ended;"


@pytest.mark.parametrize("how", ["normal", "exit", "exception"])
def test_destructors_run_and_their_output_arrives(shown: Server, how: str) -> None:
    assert end(shown, how, "&destructor=1").count("destructor;") == 1


@pytest.mark.parametrize("how", ["fatal", "memory"])
def test_after_a_fatal_error_shutdown_functions_run_and_destructors_do_not(
    shown: Server, tmp_path: Path, how: str
) -> None:
    trace = tmp_path / "trace"
    text = end(shown, how, f"&destructor=1&shutdown=1&trace={trace}")
    assert "destructor;" not in text
    assert trace.read_text() == "shutdown;"


def test_the_scripts_exception_handler_is_called_and_the_script_goes_on(shown: Server) -> None:
    before = boot(shown)
    assert end(shown, "exception", "&handler=1") == "begin 7;handled: request 7;"
    assert boot(shown) == before
    assert "handled" not in end(shown, "exception"), "it was the handler of one request"


def test_an_exception_handler_of_the_boot_serves_every_request(own_sites: ServerFactory) -> None:
    server = in_worker(own_sites, worker_script(boot="state", num=2))
    answers = fetch_parallel(server.url, lambda i: {"url": f"/ending.php?how=exception&i={i}"})
    assert [answer.text for answer in answers] == [f"begin {i};handled: request {i}" for i in range(100)]
    assert len({answer.headers["x-boot"] for answer in answers}) <= 2


def test_an_exception_handler_that_throws_is_told_and_the_server_lives(shown: Server) -> None:
    mark = shown.log_mark()
    text = end(shown, "exception", "&handler=throws")
    assert "handled: request 7;" in text
    assert "from the exception handler" in text
    shown.wait_for_log("from the exception handler", since=mark)
    assert shown.get("/hello.php?i=1").text == "request 1"


@pytest.mark.parametrize("how", ["exception", "undefined", "parse", "require", "fatal", "memory", "timeout"])
def test_an_error_is_500_without_its_text_when_errors_are_hidden(hidden: Server, how: str) -> None:
    answer = hidden.get(f"/ending.php?how={how}&quiet=1")
    assert answer.status_code == 500
    assert _WORDS[how] not in answer.text
    assert "ending.php" not in answer.text
    assert hidden.get("/hello.php?i=1").text == "request 1"


def test_output_before_an_exception_reaches_100_clients_with_the_errors_text(shown: Server) -> None:
    answers = fetch_parallel(shown.url, lambda i: {"url": f"/exception.php?i={i}"})
    for i, answer in enumerate(answers):
        assert answer.text.startswith("before ")
        assert f"Uncaught Exception: request {i}" in answer.text
    assert len({answer.headers["x-boot"] for answer in answers}) == 1


def test_a_script_that_ends_after_each_request_loses_none_of_100(hidden: Server) -> None:
    ways = ["exit", "exit text", "exit 3", "fatal", "normal", "memory"]
    answers = fetch_parallel(
        hidden.url, lambda i: {"url": f"/ending.php?i={i}&how={ways[i % len(ways)].replace(' ', '%20')}"}
    )
    for i, answer in enumerate(answers):
        assert answer.text.startswith(f"begin {i};")
        assert answer.status_code == 200


def test_a_loop_that_ends_by_itself_is_a_restart_and_no_crash(own_sites: ServerFactory) -> None:
    site = {"root": str(WORKERS.parent), "workers": [{"file": str(WORKERS / "limited.php"), "num": 2}]}
    server = own_sites({"any": site}, runtime={"num_threads": 3})
    answers = fetch_parallel(server.url, lambda i: {"url": f"/worker/limited.php?i={i}"})
    assert [answer.text for answer in answers] == [f"limited {i}" for i in range(100)]
    wait_until(lambda: server.worker()["restarts"] >= 32, "the restarts to be counted")
    assert server.worker()["crashes"] == 0


def test_an_exception_does_not_make_a_crash_of_a_later_end(own_sites: ServerFactory) -> None:
    site = {"root": str(WORKERS.parent), "workers": [{"file": str(WORKERS / "limited.php"), "num": 1}]}
    server = own_sites({"any": site}, runtime={"num_threads": 2})
    server.get("/worker/limited.php?throw=1")
    for number in range(2):
        server.get(f"/worker/limited.php?i={number}")
    wait_until(lambda: server.worker()["restarts"] == 1, "the restart")
    assert server.worker()["crashes"] == 0


def test_exit_in_a_shutdown_function_ends_the_output_there_and_harms_nobody(shown: Server) -> None:
    for _ in range(3):
        text = end(shown, "exit in shutdown", "&shutdown=1")
        assert text.startswith("begin 7;normal end;shutdown 7;second;exit in shutdown;")
        assert shown.get("/hello.php?i=1").text == "request 1"


@pytest.mark.slow
def test_a_script_boots_on_its_thread_after_endless_recursion_whenever_opcache_was_looked_at_last(
    shown: Server,
) -> None:
    boot(shown)
    lives, mark = [thread["lives"] for thread in shown.statistics()["threads"]], shown.log_mark()
    time.sleep(1.1)  # at the end of the first request after a second OPcache is asked for its state
    assert end(shown, "recursion").count("Allowed memory size") == 1
    assert boot(shown)
    assert [thread["lives"] for thread in shown.statistics()["threads"]] == lives
    assert "PHP failed" not in shown.log_since(mark)


# -- time -----------------------------------------------------------------------------------------


def test_the_time_limit_counts_for_each_request_anew_and_not_while_waiting(own_sites: ServerFactory) -> None:
    server = in_worker(own_sites, ini={"max_execution_time": "1"})
    first = boot(server)
    for _ in range(3):
        assert server.get("/sleep.php?ms=600").text == "slept "
    time.sleep(1.3)  # the time that is to be waited is what is tested
    assert server.get("/sleep.php?ms=600").text == "slept "
    assert boot(server) == first
    began = time.monotonic()
    assert server.get("/spin.php").status_code == 500
    assert 0.9 < time.monotonic() - began < 3
    assert boot(server) != first


def test_a_time_limit_set_by_one_request_is_not_the_next_ones(own_sites: ServerFactory) -> None:
    server = in_worker(own_sites, ini={"max_execution_time": "30"})
    first = boot(server)
    for _ in range(2):
        server.json("/state.php?change=time%20limit")
        assert server.json("/state.php")["max_execution_time"] == "30"
    assert boot(server) == first


def test_a_time_limit_that_is_put_back_does_not_count_while_the_worker_waits(own_sites: ServerFactory) -> None:
    server = in_worker(own_sites, ini={"max_execution_time": "1"})
    first = boot(server)
    server.json("/state.php?change=time%20limit")
    time.sleep(1.3)  # longer than the limit
    assert server.get("/sleep.php?ms=100").text == "slept "
    assert boot(server) == first


def test_a_worker_is_well_after_many_time_limits_in_a_row(own_sites: ServerFactory) -> None:
    server = in_worker(own_sites, worker_script(num=2))
    answers = fetch_parallel(
        server.url, lambda i: {"url": "/timeout.php?seconds=1" if i % 2 else f"/hello.php?i={i}"}, 8
    )
    assert [answer.status_code for answer in answers] == [200, 500] * 4
    assert server.get("/hello.php?i=1").text == "request 1"
