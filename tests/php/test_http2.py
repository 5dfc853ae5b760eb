"""What differs over HTTP/2; Hypercorn speaks it on a plain port."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.php.harness.http2 import Http2Connection
from tests.php.harness.server import SCRIPTS, Server, ServerFactory


@pytest.fixture(scope="module")
def server(module_asgi: ServerFactory) -> Server:
    runtime = {"num_threads": 2, "php_ini": {"enable_post_data_reading": "0"}}
    options = {"request_body_timeout_s": 0.5}
    return module_asgi("hypercorn", {"root": str(SCRIPTS), "options": options, "runtime": runtime})


def test_scripts_see_the_protocol(server: Server) -> None:
    with Http2Connection(server.port) as connection:
        answer = connection.response(connection.request("GET", "/server.php/info?a=b", (("x-own", "1"),)))
    assert answer.status == 200
    assert b'"SERVER_PROTOCOL":"HTTP/2.0"' in answer.body
    assert b'"HTTP_X_OWN":"1"' in answer.body
    assert b'"HTTP_HOST":"127.0.0.1"' in answer.body


def test_many_streams_of_one_connection_do_not_mix(server: Server) -> None:
    with Http2Connection(server.port) as connection:
        for i in range(20):
            assert connection.response(connection.request("GET", f"/hello.php?i={i}")).body == b"request %d" % i


def test_an_interim_response_reaches_a_client_whose_server_can_send_it(server: Server) -> None:
    with Http2Connection(server.port) as connection:
        answer = connection.response(connection.request("GET", "/early_hints.php?i=4"))
    assert [head[":status"] for head in answer.interim] == ["103"]
    assert answer.interim[0]["link"] == "</style.css>; rel=preload; as=style"
    assert answer.status == 200
    assert "link" not in answer.headers
    assert answer.headers["x-request"] == "4"
    assert answer.body == b"final 1"


def test_a_client_that_stops_sending_its_body_gets_408_over_http_2_too(server: Server, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with Http2Connection(server.port) as connection:
        start = time.monotonic()
        stream = connection.request("POST", f"/sleep.php?trace={trace}", (("content-length", "1048576"),), end=False)
        assert connection.response(stream).status == 408
        assert time.monotonic() - start < 4
    assert not trace.exists()


def test_the_body_can_be_read_after_finish_over_http_2(server: Server) -> None:
    mark = server.log_mark()
    with Http2Connection(server.port) as connection:
        for i in range(5):
            stream = connection.request("POST", f"/finish.php?i={i}&body=1", (("content-type", "a/b"),), end=False)
            connection.data(stream, b"x" * 10_000, end=True)
            assert connection.response(stream).body == b"before finish %d" % i
    for i in range(5):
        server.wait_for_log(f"finish {i} .*length=10000", since=mark)
