"""Clients of a worker that leave or that have their answer early, and what the worker does then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.php.harness.parallel import fetch_parallel, run_parallel
from tests.php.harness.raw import RawConnection
from tests.php.harness.server import SCRIPTS, Server, ServerFactory
from tests.php.harness.waiting import wait_until
from tests.php.harness.workers import WORKERS, in_worker, worker_script


@pytest.fixture
def counting(own_server: ServerFactory) -> Server:
    return own_server(SCRIPTS, "--worker", f"{WORKERS}/counter.php,1", "--num-threads", "2")


def _leave(server: Server, target: str, trace: Path, *, reset: bool = False) -> None:
    with RawConnection(server.port) as connection:
        connection.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        wait_until(trace.exists, "the script to begin")
        if reset:
            connection.reset()


@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
def test_a_client_that_leaves_does_not_end_the_script(counting: Server, tmp_path: Path, reset: bool) -> None:
    first = counting.json("/worker/counter.php")
    for number in range(1, 4):
        trace, gate = tmp_path / f"trace{number}", tmp_path / f"gate{number}"
        _leave(counting, f"/worker/counter.php?trace={trace}&gate={gate}", trace, reset=reset)
        gate.touch()
        seen = counting.json("/worker/counter.php")
        assert seen["boot"] == first["boot"]
        assert seen["count"] == first["count"] + 2 * number, "the request of the client that left ran to its end"


def test_without_ignore_user_abort_false_a_printing_handler_runs_to_its_end(
    own_sites: ServerFactory, tmp_path: Path
) -> None:
    server = in_worker(own_sites)
    boot = server.get("/hello.php").headers["x-boot"]
    trace = tmp_path / "trace"
    _leave(server, f"/printing.php?trace={trace}", trace)
    wait_until(lambda: trace.read_text().startswith("end"), "the script to end")
    assert trace.read_text() == "end status 1 aborted 1"
    answer = server.get("/printing.php?trace=/dev/null&ticks=1")
    assert answer.headers["x-boot"] == boot
    assert answer.text == "tick "
    wait_until(lambda: server.statistics()["aborted"] == 1, "one aborted request")


def test_with_ignore_user_abort_false_the_script_ends_and_boots_again(own_sites: ServerFactory, tmp_path: Path) -> None:
    server = in_worker(own_sites)
    boot = server.get("/hello.php").headers["x-boot"]
    trace = tmp_path / "trace"
    _leave(server, f"/ticking.php?trace={trace}", trace)
    wait_until(Path(f"{trace}.end").exists, "the script to end", timeout_s=3)
    assert not Path(f"{trace}.full").exists()
    assert server.get("/hello.php?i=1").text == "request 1"
    assert server.get("/hello.php").headers["x-boot"] != boot


def test_100_clients_of_whom_every_second_leaves(own_sites: ServerFactory, tmp_path: Path) -> None:
    server = in_worker(own_sites, worker_script(num=4))

    def one(i: int) -> str:
        if i % 2:
            return server.get(f"/hello.php?i={i}").text
        with RawConnection(server.port) as connection:
            connection.send(f"GET /printing.php?trace={tmp_path}/{i}&ticks=5 HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            connection.read_some()
        return f"request {i}"

    assert run_parallel(one, threads=20) == [f"request {i}" for i in range(100)]
    assert server.worker()["crashes"] == 0


def test_a_client_that_leaves_the_queue_is_never_executed(counting: Server, tmp_path: Path) -> None:
    trace, gate, late = tmp_path / "trace", tmp_path / "gate", tmp_path / "late"
    with RawConnection(counting.port) as first:
        first.send(f"GET /worker/counter.php?trace={trace}&gate={gate} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        wait_until(trace.exists, "the script to begin")
        with RawConnection(counting.port) as second:
            second.send(f"GET /worker/counter.php?trace={late} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            wait_until(lambda: counting.worker()["queue_waiting"] == 1, "the second request to wait")
            assert counting.get("/hello.php?i=1").text == "request 1", "the other threads are free"
        wait_until(lambda: counting.worker()["queue_waiting"] == 0, "the queue to be empty")
        gate.touch()
        first.read_response()
    counting.json("/worker/counter.php")
    assert not late.exists()


# -- finish -----------------------------------------------------------------------------------------


def test_the_worker_is_busy_until_the_handler_has_ended(own_sites: ServerFactory, tmp_path: Path) -> None:
    server = in_worker(own_sites)
    gate = tmp_path / "gate"
    mark = server.log_mark()
    with server.client() as client:
        assert client.get(f"/finish.php?i=1&gate={gate}").text == "before finish 1"
        assert server.worker()["busy"] == 1
        with RawConnection(server.port) as second:
            second.send(b"GET /hello.php?i=2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            wait_until(lambda: server.worker()["queue_waiting"] == 1, "the next request to wait")
            assert "finish 1 first=1" not in server.log_since(mark)
            gate.touch()
            assert second.read_response().body == b"request 2"
    server.wait_for_log("finish 1 first=1 second=0 status=0", since=mark, timeout_s=2)
    assert server.worker()["busy"] == 0


def test_what_follows_finish_reaches_no_client_and_the_next_answer_is_whole(own_sites: ServerFactory) -> None:
    server = in_worker(own_sites, worker_script(num=2))

    def request(i: int) -> dict[str, Any]:
        return {"url": f"/after_finish.php?i={i}" if i % 2 else f"/hello.php?i={i}"}

    for i, answer in enumerate(fetch_parallel(server.url, request)):
        assert answer.text == (f"before {i}" if i % 2 else f"request {i}")
        assert "x-late" not in answer.headers
        assert answer.status_code == 200


@pytest.mark.log_noise("PHP Fatal|Uncaught|Stack trace|thrown in|^#")
@pytest.mark.parametrize("how", ["exit", "exception", "fatal"])
def test_a_bad_end_after_finish_changes_nothing_for_the_client(own_sites: ServerFactory, how: str) -> None:
    server = in_worker(own_sites)
    for number in range(3):
        answer = server.get(f"/after_finish.php?i={number}&how={how}")
        assert (answer.status_code, answer.text) == (200, f"before {number}")
        assert server.get(f"/hello.php?i={number}").text == f"request {number}"
