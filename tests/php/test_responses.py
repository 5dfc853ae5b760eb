"""What reaches the client: status, headers, flushes, redirects, compression left out."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.raw import RawConnection, get
from tests.php.harness.server import SCRIPTS, Server, ServerFactory
from tests.php.harness.waiting import wait_until


def test_status_and_headers_of_the_script_arrive(served: Server) -> None:
    for i, answer in enumerate(fetch_parallel(served.url, lambda i: {"url": f"/headers.php?i={i}"})):
        assert answer.status_code == 201
        assert answer.headers["x-plain"] == str(i)
        assert answer.headers["x-no-space"] == "tight"
        assert answer.headers["x-many-spaces"] == "wide"
        assert answer.headers.get_list("x-twice") == ["one", "two"]
        assert answer.headers.get_list("set-cookie") == ["first=1", "second=2"]
        assert "colon" not in str(answer.headers)
        assert answer.text == "created"


def test_the_server_header_names_howdah_once(classic: Server) -> None:
    assert get(classic.port, "/hello.php").all("server") == [b"Howdah"]
    assert get(classic.port, "/plain.txt").all("server") == [b"Howdah"]


def test_x_powered_by_follows_expose_php(classic: Server, own_server: ServerFactory) -> None:
    assert classic.get("/hello.php").headers["x-powered-by"].startswith("PHP/8")
    assert "x-powered-by" not in own_server(ini={"expose_php": "0"}).get("/hello.php").headers


def test_the_default_content_type_is_html_in_utf_8(served: Server) -> None:
    assert served.get("/hello.php").headers["content-type"].lower() == "text/html; charset=utf-8"


def test_response_headers_function_gives_repeated_names_as_lists(served: Server) -> None:
    for i, answer in enumerate(fetch_parallel(served.url, lambda i: {"url": f"/response_headers.php?i={i}"})):
        assert answer.status_code == 200 + i % 3
        seen = answer.json()
        assert seen["apache"]["X-Single"] == str(i)
        assert seen["apache"]["X-Double"] == ["a", "b"]
        assert seen["apache"]["Set-Cookie"] == ["one=1", "two=2"]
        assert seen["apache"]["X-Powered-By"].startswith("PHP/")
        assert "nothing" not in seen["apache"]
        assert seen["own"]["X-Double"] == ["a", "b"]


def test_a_custom_status_line_is_honoured(served: Server) -> None:
    answers = fetch_parallel(served.url, lambda i: {"url": "/status_line.php"})
    assert {answer.status_code for answer in answers} == {418}


@pytest.mark.parametrize(
    "line", ["HTTP/", "HTTP/1", "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 x", "HTTP/1.1  204x", "http/1.0 404"]
)
def test_a_short_status_line_does_no_harm(served: Server, line: str) -> None:
    answer = served.get("/status_line.php", params={"line": line})
    assert 200 <= answer.status_code <= 599
    assert served.get("/hello.php?i=1").text == "request 1"


def test_http_slash_alone_is_status_200(served: Server) -> None:
    answers = fetch_parallel(served.url, lambda i: {"url": "/status_line.php?line=HTTP/"})
    assert {answer.status_code for answer in answers} == {200}


@pytest.mark.log_noise("status")
@pytest.mark.parametrize("code", [-1, 1, 99, 600, 999, 1000, 99999, 2147483647])
def test_an_impossible_status_becomes_500(classic: Server, code: int) -> None:
    assert classic.get(f"/status_code.php?code={code}").status_code == 500
    assert classic.get("/hello.php?i=1").text == "request 1"


@pytest.mark.log_noise("status")
@pytest.mark.parametrize("code", [100, 101, 103])
def test_an_interim_status_as_final_one_becomes_500(classic: Server, code: int) -> None:
    assert classic.get(f"/status_code.php?code={code}").status_code in {200, 500}
    assert classic.get("/hello.php?i=1").text == "request 1"


@pytest.mark.parametrize("code", [200, 201, 299, 400, 404, 422, 451, 500, 503, 599])
def test_every_possible_status_arrives(served: Server, code: int) -> None:
    answer = served.get(f"/status_code.php?code={code}")
    assert (answer.status_code, answer.text) == (code, f"code {code}")


@pytest.mark.parametrize("code", [204, 304])
def test_a_status_without_body_has_none(served: Server, code: int) -> None:
    with RawConnection(served.port) as connection:
        connection.send(b"GET /status_code.php?code=%d HTTP/1.1\r\nHost: a\r\n\r\n" % code)
        head = connection.read_head()
        assert head.status == code
        connection.send(b"GET /hello.php?i=5 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert connection.read_response().body == b"request 5"


def test_204_with_output_and_flush_does_not_break_the_connection(served: Server) -> None:
    for answer in fetch_parallel(served.url, lambda i: {"url": "/only_headers.php"}):
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["x-only"] == "header"
    with RawConnection(served.port) as connection:
        connection.send(b"GET /only_headers.php HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
        for _ in range(2):
            assert connection.read_response().status == 204


def test_a_redirect_without_a_status_is_302(served: Server) -> None:
    answer = served.get("/redirect.php")
    assert (answer.status_code, answer.headers["location"]) == (302, "/hello.php")


@pytest.mark.parametrize("code", [301, 303, 307, 308])
def test_a_redirect_keeps_the_status_of_the_script(served: Server, code: int) -> None:
    assert served.get(f"/redirect.php?code={code}").status_code == code


def test_interim_headers_are_not_part_of_the_final_response(served: Server) -> None:
    for i, answer in enumerate(fetch_parallel(served.url, lambda i: {"url": f"/early_hints.php?i={i}"})):
        assert answer.status_code == 200
        assert answer.headers["x-request"] == str(i)
        assert "link" not in answer.headers
        assert answer.text.startswith("final ")


def test_an_interim_response_comes_before_the_final_one(served: Server) -> None:
    with RawConnection(served.port) as connection:
        connection.send(b"GET /early_hints.php?i=7 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        interim = connection.read_head()
        assert (interim.status, interim.header("link")) == (103, b"</style.css>; rel=preload; as=style")
        final = connection.read_response()
        assert (final.status, final.header("x-request"), final.header("link")) == (200, b"7", None)


def test_headers_send_with_a_final_status_sends_the_head_at_once(served: Server) -> None:
    answer = served.get("/headers_send.php")
    assert answer.status_code == 202
    assert answer.headers["x-early"] == "yes"
    assert "x-late" not in answer.headers
    assert answer.json() == {"result": 0, "sent": True, "again": 0}


def test_what_is_flushed_arrives_before_the_script_ends(served: Server, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with RawConnection(served.port) as connection:
        connection.send(f"GET /flush.php?i=3&gate={gate} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        connection.read_head()
        data = connection.read_until(b"first;")
        assert b"second" not in data
        gate.touch()
        assert b"second 3" in connection.read_to_end()


def test_flushed_pieces_of_100_requests_do_not_mix(served: Server) -> None:
    answers = fetch_parallel(served.url, lambda i: {"url": f"/flush.php?i={i}"})
    assert [answer.text for answer in answers] == [f"first;second {i}" for i in range(100)]


def test_events_of_an_event_stream_arrive(served: Server) -> None:
    answer = served.get("/event_stream.php?events=5")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text == "".join(f"data: {i}\n\n" for i in range(5))


def test_nested_output_buffers_are_closed_at_the_end(served: Server) -> None:
    answers = fetch_parallel(served.url, lambda i: {"url": "/buffers.php" + ("?flush=1" if i % 2 else "")})
    assert {(answer.text, answer.headers["x-level"]) for answer in answers} == {("UPPER HELLO", "0")}


def test_output_buffering_of_php_ini_is_applied(own_server: ServerFactory) -> None:
    server = own_server(ini={"output_buffering": "4096"})
    assert server.get("/buffers.php").headers["x-level"] == "1"


def test_implicit_flush_works(own_server: ServerFactory) -> None:
    server = own_server(ini={"implicit_flush": "1"})
    assert server.get("/hello.php?i=1").text == "request 1"


def test_a_small_response_has_a_content_length_or_chunks(served: Server) -> None:
    with RawConnection(served.port) as connection:
        connection.send(b"GET /hello.php?i=1 HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = connection.read_response()
    assert answer.header("content-length") == b"9" or answer.header("transfer-encoding") == b"chunked"


def test_a_download_of_20_megabytes_is_whole(served: Server) -> None:
    answer = served.get("/download.php?bytes=20000000")
    assert len(answer.content) == 20_000_000
    assert answer.content == (b"0123456789abcdef" * 1_250_000)


def test_php_functions_are_those_of_the_reference(served: Server) -> None:
    seen = served.json("/functions.php")
    assert set(seen["functions"]) >= {
        "frankenphp_handle_request", "headers_send", "frankenphp_finish_request", "fastcgi_finish_request",
        "frankenphp_request_headers", "apache_request_headers", "getallheaders", "frankenphp_response_headers",
        "apache_response_headers", "frankenphp_log",
    }  # fmt: skip
    assert seen["howdah"] == []
    assert seen["sapi"] == "frankenphp"
    assert seen["zts"] == 1


def test_versions_of_php_are_sane(classic: Server) -> None:
    version = classic.get("/hello.php").headers["x-powered-by"].removeprefix("PHP/")
    major, minor, _ = version.split(".", 2)
    assert (int(major), int(minor)) >= (8, 2)


def test_handle_request_outside_a_worker_is_an_exception(classic: Server) -> None:
    answer = classic.get("/handle_request.php")
    assert answer.text.startswith("RuntimeException: ")


def test_response_compression_follows_the_client_and_can_be_switched_off(own_server: ServerFactory) -> None:
    with own_server().client(headers={"accept-encoding": "gzip"}) as client:
        answer = client.get("/info.php")
        assert answer.headers["content-encoding"] == "gzip"
        assert "phpinfo()" in answer.text
    with own_server(SCRIPTS, "--no-compress").client(headers={"accept-encoding": "gzip"}) as client:
        assert "content-encoding" not in client.get("/info.php").headers


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("zstd, br, gzip", "zstd"), ("br, gzip", "br"), ("gzip", "gzip"), ("gzip;q=1, br;q=0", "gzip"), ("identity", None),
        ("*", "zstd"), ("", None), ("gzip;q=0", None),
    ],
)  # fmt: skip
def test_the_encoding_is_the_best_that_the_client_accepts(classic: Server, accepted: str, expected: str | None) -> None:
    with RawConnection(classic.port) as connection:
        head = f"GET /info.php HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAccept-Encoding: {accepted}\r\n\r\n"
        connection.send(head.encode())
        answer = connection.read_response()
    assert answer.header("content-encoding") == (expected.encode() if expected else None)
    if expected:
        assert b"accept-encoding" in (answer.header("vary") or b"").lower()


def _stands_still(trace: Path) -> int:
    """Give the number in a file if it does not change for a while, else 0."""
    before = trace.read_text() if trace.exists() else ""
    time.sleep(0.3)
    return int(before) if before and before == trace.read_text() else 0


def test_a_stalled_event_stream_is_held_back_and_ends_with_its_client(classic: Server, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with RawConnection(classic.port, receive_buffer=4096) as connection:
        connection.send(f"GET /event_flood.php?trace={trace} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        connection.read_head()

        sent = wait_until(lambda: _stands_still(trace), "the script to be held back")
        assert sent < 16 << 20
    wait_until(Path(f"{trace}.end").exists, "the script to end")


def test_json_of_a_script_is_not_changed_on_its_way(classic: Server) -> None:
    assert json.loads(get(classic.port, "/ini.php?names=precision").body) == {"precision": "14"}


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
def test_what_is_flushed_arrives_at_once_compressed_too(classic: Server, tmp_path: Path, encoding: str) -> None:
    gate = tmp_path / "gate"
    with (
        classic.client(headers={"accept-encoding": encoding}) as client,
        client.stream("GET", f"/flush.php?gate={gate}&long=1") as answer,
    ):
        assert answer.headers.get("content-encoding") in {encoding, None}
        pieces = answer.iter_text()
        first = next(pieces)
        assert first.startswith("first;")
        assert "second" not in first
        gate.touch()
        assert "second" in "".join(pieces)
