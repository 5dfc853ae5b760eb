"""The queue is bounded in length and time, and who leaves it is never executed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx

from tests.php.harness.raw import RawConnection
from tests.php.harness.server import SCRIPTS, Server, ServerFactory
from tests.php.harness.waiting import wait_until


def _target(**query: object) -> str:
    return "/sleep.php?" + "&".join(f"{name}={value}" for name, value in query.items())


def _is_queued(server: Server, count: int) -> bool:
    return server.queued() == count


@contextmanager
def _busy(server: Server, folder: Path) -> Iterator[Callable[[], None]]:
    """Hold the one thread of a server; the value lets it go."""
    gate, trace = folder / "gate", folder / "busy"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(server.get, _target(gate=gate, trace=trace))
        try:
            wait_until(trace.exists, "the thread to be busy")
            yield gate.touch
        finally:
            gate.touch()
            assert running.result(20).status_code == 200


def test_a_full_queue_refuses_with_503_and_retry_after(own_server: ServerFactory, tmp_path: Path) -> None:
    server = own_server(SCRIPTS, "--num-threads", "1", "--max-queue", "2")
    with _busy(server, tmp_path) as let_go, ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(server.get, f"/hello.php?i={i}") for i in range(2)]
        wait_until(lambda: server.queued() == 2, "two requests to wait")
        refused = server.get("/hello.php")
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert server.get("/plain.txt").status_code == 200, "files need no thread"
        let_go()
        assert {future.result().text for future in waiting} == {"request 0", "request 1"}


def test_a_queue_of_zero_lets_nothing_wait(own_server: ServerFactory, tmp_path: Path) -> None:
    server = own_server(SCRIPTS, "--num-threads", "1", "--max-queue", "0")
    assert server.get("/hello.php?i=1").text == "request 1"
    with _busy(server, tmp_path):
        assert server.get("/hello.php").status_code == 503


def test_waiting_too_long_is_503_with_retry_after(own_server: ServerFactory, tmp_path: Path) -> None:
    server = own_server(SCRIPTS, "--num-threads", "1", "--max-wait-time", "300ms")
    with _busy(server, tmp_path):
        start = time.monotonic()
        trace = tmp_path / "never"
        refused = server.get(_target(trace=trace))
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert 0.25 < time.monotonic() - start < 2
    assert server.get("/hello.php?i=1").text == "request 1"
    assert not trace.exists()


def test_max_wait_time_zero_waits_for_as_long_as_it_takes(own_server: ServerFactory, tmp_path: Path) -> None:
    server = own_server(SCRIPTS, "--num-threads", "1", "--max-wait-time", "0")
    with _busy(server, tmp_path) as let_go, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.get, "/hello.php?i=1")
        wait_until(lambda: server.queued() == 1, "the request to wait")
        let_go()
        assert waiting.result().text == "request 1"


def test_a_client_that_leaves_the_queue_is_never_executed(own_server: ServerFactory, tmp_path: Path) -> None:
    server = own_server(SCRIPTS, "--num-threads", "1")
    with _busy(server, tmp_path):
        for i in range(5):
            with RawConnection(server.port) as connection:
                connection.send(f"GET {_target(trace=tmp_path / f'left{i}')} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                wait_until(lambda: server.queued() == 1, "the request to wait")
            wait_until(lambda: server.queued() == 0, "the request to leave the queue")
    assert server.get("/hello.php?i=1").text == "request 1"
    assert not list(tmp_path.glob("left*"))


def test_requests_are_served_in_the_order_in_which_they_wait(own_server: ServerFactory, tmp_path: Path) -> None:
    server = own_server(SCRIPTS, "--num-threads", "1")
    order: list[int] = []

    def ask(i: int) -> None:
        assert server.get(f"/hello.php?i={i}").status_code == 200
        order.append(i)

    with _busy(server, tmp_path) as let_go, ThreadPoolExecutor(5) as pool:
        for i in range(5):
            pool.submit(ask, i)
            wait_until(partial(_is_queued, server, i + 1), "one more to wait")
        let_go()
    assert len(order) == 5


def test_every_request_beyond_the_queue_is_counted(own_server: ServerFactory, tmp_path: Path) -> None:
    server = own_server(SCRIPTS, "--num-threads", "1", "--max-queue", "1")
    before = server.rejected()

    def status(_: int) -> int:
        try:
            return server.get("/hello.php").status_code
        except httpx.HTTPError:
            return 0

    with _busy(server, tmp_path) as let_go, ThreadPoolExecutor(20) as pool:
        futures = [pool.submit(status, i) for i in range(20)]
        wait_until(lambda: server.rejected() >= before + 19, "19 to be refused")
        let_go()
        codes = [future.result() for future in futures]
    assert codes.count(200) == 1
    assert codes.count(503) == 19


def _spool_files(server: Server) -> int:
    return sum("(deleted)" in name and "ZendSem" not in name for name in server.descriptors())


_UPLOAD = b"POST /hello.php HTTP/1.1\r\nHost: a\r\nContent-Length: 150000\r\n\r\n" + b"x" * 150_000


def test_a_refused_upload_gives_its_spool_file_back(own_server: ServerFactory, tmp_path: Path) -> None:
    server = own_server(SCRIPTS, "--num-threads", "1", "--max-queue", "0")
    with _busy(server, tmp_path):
        for _ in range(3):
            with RawConnection(server.port) as connection:
                connection.send(_UPLOAD)
                assert connection.read_response().status == 503
        wait_until(lambda: _spool_files(server) == 0, "the spool files to be closed", timeout_s=3)


def test_an_upload_whose_client_leaves_the_queue_gives_its_spool_file_back(
    own_server: ServerFactory, tmp_path: Path
) -> None:
    server = own_server(SCRIPTS, "--num-threads", "1")
    with _busy(server, tmp_path):
        for _ in range(3):
            with RawConnection(server.port) as connection:
                connection.send(_UPLOAD)
                wait_until(lambda: server.queued() == 1, "the upload to wait")
            wait_until(lambda: server.queued() == 0, "the upload to leave the queue")
        wait_until(lambda: _spool_files(server) == 0, "the spool files to be closed", timeout_s=3)


def test_an_upload_that_waited_too_long_gives_its_spool_file_back(own_server: ServerFactory, tmp_path: Path) -> None:
    server = own_server(SCRIPTS, "--num-threads", "1", "--max-wait-time", "100ms")
    with _busy(server, tmp_path):
        for _ in range(3):
            with RawConnection(server.port) as connection:
                connection.send(_UPLOAD)
                assert connection.read_response().status == 503
        wait_until(lambda: _spool_files(server) == 0, "the spool files to be closed", timeout_s=3)
