"""A script that hangs gives its thread back soon after its time limit, wherever it hangs."""

from __future__ import annotations

import fcntl
import socket
from pathlib import Path

import pytest

from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.server import SCRIPTS, Server, ServerFactory


@pytest.fixture(scope="module")
def single(module_server: ServerFactory) -> Server:
    return module_server(SCRIPTS, "--num-threads", "1")


@pytest.mark.log_noise("(?i)PHP (Fatal|Warning)|timeout|exceeded|time limit")
@pytest.mark.parametrize("how", ["loop", "sleep", "usleep", "flock", "read", "regex"])
def test_a_hanging_script_is_ended_within_a_second_of_its_limit(single: Server, tmp_path: Path, how: str) -> None:
    lock = tmp_path / "lock"
    with lock.open("w") as held, socket.socket() as silent:
        fcntl.flock(held, fcntl.LOCK_EX)
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        answer = single.get(f"/hang.php?how={how}&lock={lock}&port={port}")
        assert answer.elapsed.total_seconds() < 3.5, how
        assert single.get("/hello.php?i=1").text == "request 1"


@pytest.mark.log_noise("(?i)PHP (Fatal|Warning)|timeout|exceeded|time limit")
def test_hanging_requests_in_a_row_leave_the_server_well(single: Server) -> None:
    for _ in range(3):
        assert single.get("/hang.php?how=loop").elapsed.total_seconds() < 3.5
    assert single.get("/hello.php?i=1").text == "request 1"


@pytest.fixture(scope="module")
def strict(module_server: ServerFactory) -> Server:
    """One thread, and half a second for each request."""
    return module_server(SCRIPTS, "--num-threads", "1", "--request-timeout", "500ms", "--no-compress")


@pytest.mark.log_noise("(?i)request_timeout|PHP Warning")
@pytest.mark.parametrize(
    "where",
    [
        "script", "printing", "flushing", "sleep", "usleep", "shutdown", "destructor", "buffer", "fiber", "generator", "catching",
        "sort", "select", "finished",
    ],
)  # fmt: skip
def test_request_timeout_ends_a_script_wherever_it_is_and_saves_the_thread(strict: Server, where: str) -> None:
    mark = strict.log_mark()
    answer = strict.get(f"/endless.php?where={where}")
    assert answer.status_code == (200 if where in {"printing", "flushing", "finished"} else 504)
    assert answer.elapsed.total_seconds() < 3
    strict.wait_for_log("request_timeout of 0.5 s reached", since=mark)
    assert strict.get("/hello.php?i=1").text == "request 1"


@pytest.mark.log_noise("(?i)request_timeout|PHP Warning")
def test_request_timeout_never_hits_the_request_that_comes_next(strict: Server) -> None:
    for _ in range(5):
        strict.get("/endless.php?where=usleep")
        answers = fetch_parallel(strict.url, lambda i: {"url": f"/hello.php?i={i}"}, 20)
        assert [answer.text for answer in answers] == [f"request {i}" for i in range(20)]
