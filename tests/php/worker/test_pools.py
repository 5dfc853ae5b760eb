"""Queues and limits of workers, settings of PHP that each request of a worker meets, and other servers around them."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.raw import RawConnection
from tests.php.harness.server import SCRIPTS, Server, ServerFactory
from tests.php.harness.waiting import wait_until
from tests.php.harness.workers import ANY, WORKERS, in_worker, worker_script


def _counting(make: ServerFactory, *, max_queue_of_worker: int | None = None, **runtime: Any) -> Server:
    worker = {"file": str(WORKERS / "counter.php"), "num": 1, "max_queue": max_queue_of_worker}
    return make({"any": {"root": str(SCRIPTS)}}, workers=[worker], runtime={"num_threads": 2, **runtime})


def _hold(connection: RawConnection, target: str, trace: Path) -> None:
    connection.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    wait_until(trace.exists, "the script to run")


def test_a_busy_worker_does_not_hold_classic_requests_up_and_the_other_way_round(
    own_sites: ServerFactory, tmp_path: Path
) -> None:
    server = _counting(own_sites)
    trace, gate = tmp_path / "trace", tmp_path / "gate"
    with RawConnection(server.port) as connection:
        _hold(connection, f"/worker/counter.php?trace={trace}&gate={gate}", trace)
        assert server.get("/hello.php?i=1").text == "request 1"
        gate.touch()
        connection.read_response()
    trace.unlink()
    gate.unlink()
    with RawConnection(server.port) as connection:
        _hold(connection, f"/sleep.php?trace={trace}&gate={gate}", trace)
        assert server.get("/worker/counter.php").status_code == 200
        gate.touch()
        connection.read_response()


def test_a_request_that_waits_too_long_for_a_worker_gets_503(own_sites: ServerFactory, tmp_path: Path) -> None:
    server = _counting(own_sites, max_wait_time_s=0.3)
    trace, gate = tmp_path / "trace", tmp_path / "gate"
    with RawConnection(server.port) as connection:
        _hold(connection, f"/worker/counter.php?trace={trace}&gate={gate}", trace)
        began = time.monotonic()
        answer = server.get("/worker/counter.php")
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        assert 0.25 < time.monotonic() - began < 1.5
        gate.touch()
        assert connection.read_response().status == 200
    assert server.json("/worker/counter.php")["count"] >= 1
    assert server.rejected() == 1


@pytest.mark.parametrize(
    "bounds", [{"max_queue": 5}, {"max_queue_of_worker": 5}, {"max_queue_of_worker": 5, "max_queue": 2}]
)
def test_the_queue_of_a_worker_has_a_bound(own_sites: ServerFactory, tmp_path: Path, bounds: dict[str, int]) -> None:
    server = _counting(own_sites, **bounds)
    before = server.rejected()
    trace, gate = tmp_path / "trace", tmp_path / "gate"
    with RawConnection(server.port) as connection:
        _hold(connection, f"/worker/counter.php?trace={trace}&gate={gate}", trace)

        statuses: list[int] = []

        def send() -> None:
            answers = fetch_parallel(server.url, lambda i: {"url": f"/worker/counter.php?i={i}"}, 20)
            statuses.extend(answer.status_code for answer in answers)

        sending = threading.Thread(target=send)
        sending.start()
        wait_until(lambda: server.rejected() == before + 15, "what does not fit into the queue to be refused")
        assert server.worker()["queue_waiting"] == 5
        gate.touch()
        sending.join()
        assert connection.read_response().status == 200
    assert (statuses.count(200), statuses.count(503)) == (5, 15)


def test_a_worker_may_have_no_queue_while_classic_requests_wait(own_sites: ServerFactory, tmp_path: Path) -> None:
    server = _counting(own_sites, max_queue_of_worker=0)
    trace, gate = tmp_path / "trace", tmp_path / "gate"
    with RawConnection(server.port) as connection:
        _hold(connection, f"/worker/counter.php?trace={trace}&gate={gate}", trace)
        refused = server.get("/worker/counter.php")
        assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
        answers = fetch_parallel(server.url, lambda i: {"url": f"/hello.php?i={i}"}, 20)
        assert {answer.status_code for answer in answers} == {200}
        gate.touch()
        assert connection.read_response().status == 200
    assert server.get("/worker/counter.php").status_code == 200


def test_a_client_that_does_not_read_holds_no_worker(own_sites: ServerFactory) -> None:
    server = in_worker(own_sites)
    with RawConnection(server.port, receive_buffer=4096) as connection:
        connection.send(b"GET /download.php?bytes=20000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        connection.read_head()
        for number in range(20):
            assert server.get(f"/hello.php?i={number}").text == f"request {number}"


def test_output_buffering_and_implicit_flush_of_php_ini_hold_for_every_request(own_sites: ServerFactory) -> None:
    server = in_worker(own_sites, ini={"output_buffering": "4096", "implicit_flush": "1"})
    for _ in range(3):
        answer = server.get("/buffers.php")
        assert (answer.headers["x-level"], answer.text) == ("1", "UPPER HELLO")


def test_an_output_handler_of_php_ini_holds_for_every_request(own_sites: ServerFactory) -> None:
    server = in_worker(own_sites, ini={"output_handler": "ob_gzhandler"})
    for number in range(3):
        with server.client(headers={"accept-encoding": "gzip"}) as client:
            answer = client.get(f"/hello.php?i={number}")
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.text == f"request {number}"


def test_the_input_filter_holds_for_every_request(own_sites: ServerFactory) -> None:
    server = in_worker(own_sites, ini={"filter.default": "special_chars", "error_reporting": "0"})
    for number in range(3):
        seen = server.json(f"/form.php?a=%3Cb{number}%3E")
        assert seen["get"]["a"] == f"&#60;b{number}&#62;"


def test_x_powered_by_follows_expose_php_in_every_request(own_sites: ServerFactory) -> None:
    shown, hidden = in_worker(own_sites), in_worker(own_sites, ini={"expose_php": "0"})
    for _ in range(3):
        assert shown.get("/hello.php").headers["x-powered-by"].startswith("PHP/8")
        assert "x-powered-by" not in hidden.get("/hello.php").headers


def test_without_request_variables_on_demand_they_are_new_in_every_request(own_sites: ServerFactory) -> None:
    server = in_worker(own_sites, worker_script(num=2), ini={"auto_globals_jit": "0", "register_argc_argv": "1"})
    answers = fetch_parallel(
        server.url, lambda i: {"method": "POST", "url": f"/form.php?foo=a&i={i}", "data": {"baz": f"bat {i}"}}
    )
    for i, answer in enumerate(answers):
        assert answer.json()["request"] == {"foo": "a", "i": str(i), "baz": f"bat {i}"}
    assert server.json("/argv.php?one+two")["argv"] == ["one", "two"]
    assert server.json("/argv.php?three")["argv"] == ["three"]


def test_what_a_handler_returns_is_ignored_whatever_it_is(own_sites: ServerFactory, tmp_path: Path) -> None:
    (tmp_path / "app.php").write_text(
        "<?php $values = [null, 1, 'x', new stdClass(), [[new ArrayObject()]], fopen('php://memory', 'r'), fn () => 1, NAN];"
        "$n = 0; while (frankenphp_handle_request(function () use (&$n, $values) { echo 'answer'; return $values[$n++ % 8]; }));"
    )
    site = {"root": str(tmp_path), "workers": [{"file": str(tmp_path / "app.php"), "num": 1}]}
    server = own_sites({"any": site}, runtime={"num_threads": 2})
    mark = server.log_mark()
    assert {server.get("/app.php").text for _ in range(16)} == {"answer"}
    assert server.log_since(mark) == ""


@pytest.mark.parametrize("kind", ["uvicorn", "hypercorn", "granian"])
def test_a_worker_under_any_asgi_server(own_asgi: ServerFactory, kind: str) -> None:
    worker = {"file": str(ANY), "num": 2, "match": ["/*"]}
    server = own_asgi(kind, {"root": str(SCRIPTS), "worker": worker, "runtime": {"num_threads": 3}})
    answers = fetch_parallel(server.url, lambda i: {"url": f"/hello.php?i={i}"})
    assert [answer.text for answer in answers] == [f"request {i}" for i in range(100)]
    # Short requests may all be the one thread's that is awake; those that sleep need both.
    slow = fetch_parallel(server.url, lambda i: {"url": f"/sleep.php?ms=50&i={i}"}, 20)
    assert len({answer.headers["x-boot"] for answer in slow}) == 2


def test_a_worker_in_a_mounted_application(own_asgi: ServerFactory) -> None:
    description = {
        "root": str(SCRIPTS),
        "worker": {"file": f"{WORKERS}/server.php", "num": 1},
        "runtime": {"num_threads": 2},
        "mount": "/below",
    }
    server = own_asgi("uvicorn", description)
    seen = server.json("/below/worker/server.php/info?a=b")
    assert seen["SCRIPT_NAME"] == "/below/worker/server.php"
    assert seen["PATH_INFO"] == "/info"
    assert server.worker()["requests"] == 1
    assert server.get("/python").text == "from python"
