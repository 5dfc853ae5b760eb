"""Scripts that end badly, and what their clients and the log get."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.server import SCRIPTS, Server, ServerFactory

_PHP_ERROR = r"PHP (Fatal|Parse|Warning|Deprecated|Notice|Recoverable)"


@pytest.fixture(scope="module")
def silent(module_server: ServerFactory) -> Server:
    """A server as in production: errors go to the log, not into the page."""
    return module_server(SCRIPTS, "--num-threads", "2", ini={"html_errors": "0"})


@pytest.mark.log_noise(_PHP_ERROR)
def test_an_uncaught_exception_follows_the_output_before_it(served: Server) -> None:
    for i, answer in enumerate(fetch_parallel(served.url, lambda i: {"url": f"/exception.php?i={i}"})):
        assert answer.text.startswith("before ")
        assert f"Uncaught Exception: request {i}" in answer.text


@pytest.mark.log_noise(_PHP_ERROR)
@pytest.mark.parametrize("how", ["undefined", "exception", "memory", "type", "require"])
def test_a_fatal_error_is_500_without_its_text_when_errors_are_hidden(silent: Server, how: str) -> None:
    mark = silent.log_mark()
    answer = silent.get(f"/fatal.php?how={how}&quiet=1")
    assert answer.status_code == 500
    assert "fatal.php" not in answer.text
    silent.wait_for_log(r"PHP (Fatal|Warning)", since=mark)


@pytest.mark.log_noise(_PHP_ERROR)
def test_shutdown_functions_run_after_a_fatal_error_and_destructors_do_not(silent: Server, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    silent.get(f"/fatal.php?how=memory&trace={trace}")
    assert trace.read_text() == "shutdown;"


@pytest.mark.log_noise(_PHP_ERROR)
def test_output_sent_before_a_fatal_error_keeps_its_status(silent: Server) -> None:
    answer = silent.get("/fatal.php?how=undefined")
    assert (answer.status_code, answer.text.strip()) == (200, "begin")


def test_exit_runs_shutdown_functions_and_destructors_and_is_no_error(silent: Server, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    answer = silent.get(f"/fatal.php?how=exit&trace={trace}")
    assert answer.status_code == 200
    assert answer.text == "begin exit text"
    assert trace.read_text() == "shutdown;destructor;"


def test_an_exit_code_does_not_change_the_status(silent: Server) -> None:
    assert silent.get("/fatal.php?how=exit_code").status_code == 200


@pytest.mark.log_noise(_PHP_ERROR)
def test_a_parse_error_is_500_and_named_in_the_log(silent: Server) -> None:
    mark = silent.log_mark()
    assert silent.get("/parse_error.php").status_code == 500
    silent.wait_for_log(r"Parse error.*parse_error\.php", since=mark)


@pytest.mark.log_noise(_PHP_ERROR)
def test_running_out_of_memory_ends_one_request_only(silent: Server) -> None:
    for number, answer in enumerate(
        fetch_parallel(
            silent.url, lambda i: {"url": f"/hello.php?i={i}" if i % 2 else "/fatal.php?how=memory&quiet=1"}, 40
        )
    ):
        assert answer.status_code == (200 if number % 2 else 500)


@pytest.mark.log_noise(_PHP_ERROR)
def test_bad_endings_do_not_disturb_their_neighbours(silent: Server) -> None:
    how = ["undefined", "exception", "exit", "type", "trigger", "require", "stack"]
    answers = fetch_parallel(
        silent.url, lambda i: {"url": f"/hello.php?i={i}" if i % 2 else f"/fatal.php?how={how[i // 2 % len(how)]}"}
    )
    assert [answer.text for answer in answers[1::2]] == [f"request {i}" for i in range(1, 100, 2)]


@pytest.mark.log_noise(_PHP_ERROR)
def test_max_execution_time_ends_a_loop_and_the_thread_lives_on(silent: Server) -> None:
    mark = silent.log_mark()
    answers = fetch_parallel(silent.url, lambda i: {"url": "/timeout.php?seconds=1"}, 2)
    assert {answer.status_code for answer in answers} == {500}
    assert all(0.8 < answer.elapsed.total_seconds() < 4 for answer in answers)
    assert "Maximum execution time of 1 second exceeded" in silent.wait_for_log(r".*Maximum execution.*", since=mark)[0]
    assert silent.get("/hello.php?i=1").text == "request 1"


@pytest.mark.log_noise(_PHP_ERROR)
def test_max_execution_time_counts_sleep_because_it_is_wall_clock(silent: Server) -> None:
    assert silent.get("/timeout.php?seconds=1&sleep=1").status_code == 500


@pytest.mark.log_noise(_PHP_ERROR)
def test_max_execution_time_of_php_ini_is_applied(own_server: ServerFactory) -> None:
    server = own_server(ini={"max_execution_time": "1"})
    answer = server.get("/sleep.php?ms=2500")
    assert answer.status_code == 500


@pytest.mark.log_noise(_PHP_ERROR)
def test_debug_shows_errors_in_the_page(own_server: ServerFactory) -> None:
    answer = own_server(SCRIPTS, "--debug").get("/exception.php?i=5")
    assert "Uncaught Exception: request 5" in answer.text


@pytest.mark.log_noise(r"error \d+")
def test_error_log_reaches_the_log(served: Server) -> None:
    mark = served.log_mark()
    fetch_parallel(served.url, lambda i: {"url": f"/log.php?i={i}"}, 20)
    for i in range(20):
        served.wait_for_log(rf"error_log says {i}\b", since=mark)


@pytest.mark.log_noise(r"error 77")
def test_frankenphp_log_keeps_levels_and_context(served: Server) -> None:
    mark = served.log_mark()
    served.get("/log.php?i=77")
    error = served.wait_for_log(r".*error 77.*", since=mark)[0]
    assert re.search("error", error, re.IGNORECASE)
    assert "1.5" in error
    assert re.search(r"warn", served.wait_for_log(r".*warn 77.*", since=mark)[0], re.IGNORECASE)
    info = served.wait_for_log(r".*info 77.*", since=mark)[0]
    assert "value" in info
    assert "two" in info
    served.wait_for_log("plain 77", since=mark)


@pytest.mark.log_noise("error 5")
def test_debug_messages_are_logged_only_with_debug(own_server: ServerFactory, classic: Server) -> None:
    mark = classic.log_mark()
    with_debug = own_server(SCRIPTS, "--debug")
    with_debug.get("/log.php?i=5")
    with_debug.wait_for_log("debug 5")
    classic.get("/log.php?i=5")
    classic.wait_for_log("plain 5", since=mark)
    assert "debug 5" not in classic.log_since(mark)
