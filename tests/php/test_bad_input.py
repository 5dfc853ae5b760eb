"""Bad input: each kind has a clear outcome, and the server survives all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.php.harness.raw import RawConnection, get
from tests.php.harness.server import SCRIPTS, Server, ServerFactory
from tests.php.harness.waiting import wait_until


@pytest.fixture(autouse=True)
def classic_survives(classic: Server) -> Iterator[None]:
    """Whatever a test sends: the next request is answered."""
    yield
    assert get(classic.port, "/hello.php?i=1").body == b"request 1"


def _exchange(server: Server, request: bytes) -> int:
    """Send bytes and give the status, or 0 when the server just closes."""
    with RawConnection(server.port, timeout_s=10) as connection:
        connection.send(request)
        try:
            return connection.read_response().status
        except AssertionError:
            return 0


@pytest.mark.parametrize(
    "target", ["/hello.php%00", "/%00/hello.php", "/hello.php/%00", "/a%00b.txt", "/hello.php%00.txt"]
)
def test_an_encoded_nul_in_the_path_is_400(classic: Server, target: str) -> None:
    assert get(classic.port, target).status == 400


def test_a_raw_nul_in_the_path_is_400(classic: Server) -> None:
    assert _exchange(classic, b"GET /hello.php\0 HTTP/1.1\r\nHost: a\r\n\r\n") in {400, 0}


def test_a_nul_in_the_query_is_the_scripts_business(classic: Server) -> None:
    assert get(classic.port, "/hello.php?i=a%00b").body == b"request a\0b"


@pytest.mark.parametrize(
    "target",
    [
        "/../hello.php", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc/passwd", "/site/../../etc/passwd",
        "/..;/etc/passwd", "/....//etc/passwd", "/..\\..\\etc\\passwd", "/%252e%252e/etc/passwd", "/hello.php/../../../etc/passwd",
    ],
)  # fmt: skip
def test_dots_do_not_leave_the_root(classic: Server, target: str) -> None:
    answer = get(classic.port, target)
    assert answer.status in {200, 400, 403, 404}
    assert b"root:" not in answer.body


@pytest.mark.parametrize("target", ["/hello.php", "/hello.php/"])
@pytest.mark.parametrize("length", [1000, 8000, 60_000, 70_000, 200_000])
def test_a_long_path_is_answered_or_refused(classic: Server, target: str, length: int) -> None:
    status = _exchange(classic, f"GET {target}{'a' * length} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    assert status in {0, 200, 400, 404, 414, 431}


def test_a_long_query_arrives(classic: Server) -> None:
    assert get(classic.port, "/hello.php?i=" + "q" * 30_000).body == b"request " + b"q" * 30_000


@pytest.mark.parametrize(
    "value",
    ["a\r\nX-Injected: 1", "a\nX-Injected: 1", "a\rX-Injected: 1", "a\r\n\r\n<html>", "a\0b", "a\r\n X-Folded: 1"],
)
def test_a_script_cannot_be_tricked_into_a_second_header(classic: Server, value: str) -> None:
    answer = classic.get("/header_injection.php", params={"value": value})
    assert answer.status_code == 200
    assert "x-injected" not in answer.headers
    assert not answer.text.startswith("<html>")
    assert "x-value" not in answer.headers or "\n" not in answer.headers["x-value"]


@pytest.mark.parametrize("name", ["X Space", "X\tTab", "X(Paren)", "X\x7fDel", "", "é", "X:Y"])
def test_an_invalid_header_name_of_a_script_does_no_harm(classic: Server, name: str) -> None:
    assert classic.get("/header_injection.php", params={"name": name}).status_code in {200, 500}


@pytest.mark.parametrize("field", ["location", "cookie", "path"])
def test_line_ends_in_redirects_and_cookies_inject_nothing(classic: Server, field: str) -> None:
    parameters = {"cookie": "c", field: "/x\r\nX-Injected: 1"}
    assert "x-injected" not in classic.get("/header_injection.php", params=parameters).headers


def test_header_bytes_above_ascii_in_a_response_arrive(classic: Server) -> None:
    assert get(classic.port, "/header_injection.php?value=caf%E9").header("x-value") == b"caf\xe9"


@pytest.mark.parametrize("length", ["-1", "something", "1e3", "0x10", "+5", "5 5", "", "99999999999999999999"])
def test_a_content_length_that_is_no_number_is_400(classic: Server, length: str) -> None:
    request = f"POST /headers.php HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    assert _exchange(classic, request.encode()) in {0, 400, 413}


def test_a_header_name_with_a_space_is_400(classic: Server) -> None:
    assert _exchange(classic, b"GET /hello.php HTTP/1.1\r\nHost: a\r\nX Space: 1\r\n\r\n") in {0, 400}


def test_a_body_shorter_than_announced_is_never_executed(classic: Server, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    for sent in (0, 1, 50_000):
        with RawConnection(classic.port) as connection:
            connection.send(
                f"POST /sleep.php?trace={trace} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n".encode()
                + b"x" * sent
            )
    assert get(classic.port, "/hello.php?i=1").body == b"request 1"
    assert not trace.exists()


def test_a_chunked_body_that_breaks_off_is_never_executed(classic: Server, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    for rest in (b"", b"5\r\nhel", b"5\r\nhello\r\n", b"zz\r\nhello\r\n"):
        with RawConnection(classic.port) as connection:
            connection.send(
                f"POST /sleep.php?trace={trace} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
                + rest
            )
    assert get(classic.port, "/hello.php?i=1").body == b"request 1"
    assert not trace.exists()


def test_bytes_after_the_announced_body_are_the_next_request(classic: Server) -> None:
    with RawConnection(classic.port) as connection:
        connection.send(
            b"POST /input.php HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
            b"GET /hello.php?i=2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        assert connection.read_response().body == b"got: abc"
        assert connection.read_response().body == b"request 2"


def test_rubbish_after_the_announced_body_is_no_request(classic: Server) -> None:
    with RawConnection(classic.port) as connection:
        connection.send(b"POST /input.php HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcEXTRA RUBBISH\r\n\r\n")
        assert connection.read_response().body == b"got: abc"
        assert b" 200 " not in connection.read_to_end()[:20]


@pytest.mark.parametrize("size", [16, 60, 64])
def test_large_heads_are_answered_or_refused_with_431(classic: Server, size: int) -> None:
    headers = b"".join(b"X-Filler-%d: %s\r\n" % (i, b"f" * 1000) for i in range(size))
    status = _exchange(classic, b"GET /hello.php HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + headers + b"\r\n")
    assert status in ({200} if size <= 60 else {0, 200, 431})


def test_a_head_of_half_a_megabyte_is_refused(classic: Server) -> None:
    with RawConnection(classic.port) as connection:
        try:
            connection.send(b"GET /hello.php HTTP/1.1\r\nHost: a\r\nX: " + b"f" * 600_000 + b"\r\n\r\n")
        except OSError:
            return  # closed while we were still sending
        assert b" 200 " not in connection.read_some()[:20]


def test_one_header_of_64_kib_is_answered_or_refused(classic: Server) -> None:
    status = _exchange(
        classic, b"GET /hello.php HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Big: " + b"f" * 65_536 + b"\r\n\r\n"
    )
    assert status in {0, 200, 431}


def test_two_hundred_headers_are_answered_or_refused(classic: Server) -> None:
    headers = b"".join(b"X-%d: 1\r\n" % i for i in range(200))
    status = _exchange(classic, b"GET /hello.php HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + headers + b"\r\n")
    assert status in {200, 431}


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"GET",
        b"GET /",
        b"GET  / HTTP/1.1",
        b"G\0T / HTTP/1.1",
        b"GET / HTTP/9.9",
        b"GET / HTTP/1.1 x",
        b"\x16\x03\x01\x02\x00\x01",
        b"GET http://[ HTTP/1.1",
    ],
)
def test_a_broken_request_line_is_refused(classic: Server, line: bytes) -> None:
    with RawConnection(classic.port, timeout_s=5) as connection:
        connection.send(line + b"\r\nHost: a\r\nConnection: close\r\n\r\n")
        connection.socket.shutdown(1)
        assert b" 200 " not in connection.read_to_end()[:20]


@pytest.mark.parametrize("host", ["", "[", "[::1", "a:b:c", "a:99999", ":80", "a b", "é", "x" * 5000, "[::1]:x"])
def test_a_broken_host_header_does_no_harm(classic: Server, host: str) -> None:
    with RawConnection(classic.port) as connection:
        connection.send(f"GET /server.php HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("latin-1"))
        assert connection.read_response().status in {200, 400}


@pytest.mark.log_noise("(?i)content-length|length")
@pytest.mark.parametrize(("announced", "sent"), [(10, 3), (3, 10), (0, 5), (100_000, 10)])
def test_a_script_that_announces_a_wrong_length_hurts_only_itself(classic: Server, announced: int, sent: int) -> None:
    with RawConnection(classic.port, timeout_s=5) as connection:
        connection.send(
            f"GET /content_length.php?announced={announced}&sent={sent} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        )
        answer = connection.read_response()
        # Too much is cut or refused; too little must not leave the client waiting.
        assert len(answer.body) <= max(announced, sent)
        if answer.complete and answer.status == 200:
            assert len(answer.body) == min(announced, sent)


@pytest.mark.log_noise("(?i)length")
@pytest.mark.parametrize("value", ["abc", "-5", "", "5, 5", "1e3"])
def test_a_content_length_of_a_script_that_is_no_number_does_no_harm(classic: Server, value: str) -> None:
    assert classic.get("/content_length.php", params={"announced": value, "sent": 5}).status_code in {200, 500}


@pytest.mark.log_noise("(?i)PHP (Warning|Notice)")
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_upload_folder_is_reported_to_the_script(own_server: ServerFactory, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"x" * (2 << 20))
    server = own_server(SCRIPTS, "--num-threads", "1", ini={"upload_tmp_dir": str(small_disk)})
    seen = server.post("/upload.php", files={"file": ("a.bin", b"x" * 500_000)}).json()
    assert seen["files"]["file"]["error"] in {6, 7}  # UPLOAD_ERR_NO_TMP_DIR, UPLOAD_ERR_CANT_WRITE
    assert server.get("/hello.php?i=1").text == "request 1"


@pytest.mark.log_noise("(?i)PHP (Warning|Notice)")
def test_a_missing_upload_folder_is_reported_or_replaced(own_server: ServerFactory, tmp_path: Path) -> None:
    server = own_server(SCRIPTS, "--num-threads", "1", ini={"upload_tmp_dir": str(tmp_path / "none")})
    assert server.post("/upload.php", files={"file": ("a.txt", b"x")}).json()["files"]["file"]["error"] in {0, 6}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--",
        b"--x\r\n",
        b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nno end',
        b"--x\r\n" * 5000,
        b"\0" * 5000,
    ],
)
def test_a_broken_multipart_body_does_no_harm(classic: Server, body: bytes) -> None:
    answer = classic.post("/upload.php", content=body, headers={"content-type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "b" * 9000]
)
def test_a_broken_boundary_does_no_harm(classic: Server, kind: str) -> None:
    assert classic.post("/upload.php", content=b"--x\r\n\r\n", headers={"content-type": kind}).status_code == 200


def test_a_form_with_thousands_of_fields_is_bounded_by_php(classic: Server) -> None:
    body = "&".join(f"f{i}=1" for i in range(5000))
    answer = classic.post("/form.php", content=body, headers={"content-type": "application/x-www-form-urlencoded"})
    assert 900 <= len(answer.json()["post"]) <= 1001


def test_clients_that_connect_and_leave_do_no_harm(classic: Server) -> None:
    for data in (b"", b"GET", b"GET /hello.php HTTP/1.1\r\nHost: a\r\n\r\n", b"\0" * 100):
        for reset in (False, True):
            with RawConnection(classic.port) as connection:
                connection.send(data)
                if reset:
                    connection.reset()
    wait_until(lambda: get(classic.port, "/hello.php?i=3").body == b"request 3", "an answer")
