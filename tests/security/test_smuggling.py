"""Requests that two servers could read in two ways are refused, or read in the safe way and closed."""

from __future__ import annotations

import pytest

from tests.php.harness.raw import RawConnection
from tests.php.harness.server import Server

_POST = b"POST /input.php HTTP/1.1\r\nHost: a\r\n"
_SMUGGLED = b"GET /hello.php?i=smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


def exchange(server: Server, request: bytes) -> bytes:
    """Send bytes, close our half and give all that comes back."""
    with RawConnection(server.port, timeout_s=5) as connection:
        connection.send(request)
        try:
            return connection.read_response().body + b"|" + _rest(connection)
        except AssertionError:
            return b""


def _rest(connection: RawConnection) -> bytes:
    connection.socket.settimeout(0.5)
    try:
        return connection.read_to_end()
    except TimeoutError:
        return b""


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        b"Content-Length: 100\r\nTransfer-Encoding: chunked\r\n",
    ],
)  # fmt: skip
def test_length_and_chunks_together_leave_no_second_request(classic: Server, head: bytes) -> None:
    answer = exchange(classic, _POST + head + b"\r\n0\r\n\r\n" + _SMUGGLED)
    assert b"request smuggled" not in answer


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 0\r\nContent-Length: 50\r\n", b"Content-Length: 0, 50\r\n", b"Content-Length: +0\r\n", b"Content-Length: 0x0\r\n",
        b"Content-Length: -0\r\n", b"Content-Length: \r\n", b"Content-Length: 0\r\n Content-Length: 50\r\n", b"Content-Length : 0\r\n",
        b"Content-Length: 0 50\r\n", b"Content-Length: 18446744073709551616\r\n",
    ],
)  # fmt: skip
def test_a_doubtful_length_is_refused(classic: Server, head: bytes) -> None:
    answer = exchange(classic, _POST + head + b"\r\n" + _SMUGGLED)
    assert b"request smuggled" not in answer


@pytest.mark.parametrize(
    "head",
    [
        b"Transfer-Encoding: xchunked\r\n", b"Transfer-Encoding : chunked\r\n", b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: identity\r\n", b"Transfer-Encoding: gzip\r\n", b"Transfer-Encoding:\x0bchunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", b"X: y\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b'Transfer-Encoding: "chunked"\r\n',
    ],
)  # fmt: skip
def test_a_doubtful_transfer_encoding_is_never_read_as_two_requests(classic: Server, head: bytes) -> None:
    answer = exchange(classic, _POST + head + b"\r\n0\r\n\r\n" + _SMUGGLED)
    status_ok = answer.startswith(b"got: ")
    assert not (status_ok and b"request smuggled" in answer) or b"chunked" in head.split(b"\r\n")[0].lower()


@pytest.mark.parametrize(
    "body",
    [
        b"5\r\nhelloXX0\r\n\r\n", b"5\nhello\n0\n\n", b"5;\nx\r\nhello\r\n0\r\n\r\n", b"-5\r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5 \x00\r\nhello\r\n0\r\n\r\n", b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n", b"\r\nhello\r\n0\r\n\r\n", b"5\rhello\r0\r\r",
        b"g\r\nhello\r\n0\r\n\r\n", b"+5\r\nhello\r\n0\r\n\r\n", b"5_0\r\nhello\r\n0\r\n\r\n",
    ],
)  # fmt: skip
def test_bad_chunks_are_refused_and_nothing_follows_them(classic: Server, body: bytes) -> None:
    answer = exchange(classic, _POST + b"Transfer-Encoding: chunked\r\n\r\n" + body + _SMUGGLED)
    assert b"request smuggled" not in answer


def test_a_bare_line_feed_ends_no_header(classic: Server) -> None:
    answer = exchange(
        classic,
        b"POST /input.php HTTP/1.1\r\nHost: a\r\nX: y\nContent-Length: 50\r\nContent-Length: 0\r\n\r\n" + _SMUGGLED,
    )
    assert b"request smuggled" not in answer


def test_trailers_of_a_chunked_body_become_no_variables(classic: Server) -> None:
    with RawConnection(classic.port) as connection:
        connection.send(
            b"POST /server.php HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Late\r\nConnection: close\r\n\r\n"
            b"3\r\nabc\r\n0\r\nX-Late: evil\r\nContent-Length: 99\r\n\r\n"
        )
        answer = connection.read_response()
    assert b"HTTP_X_LATE" not in answer.body


def test_upgrade_to_http_2_is_not_taken_on_a_plain_port(classic: Server) -> None:
    with RawConnection(classic.port, timeout_s=5) as connection:
        connection.send(
            b"GET /hello.php?i=1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
        )
        assert connection.read_head().status != 101


def test_the_preface_of_http_2_is_refused_on_a_plain_port(classic: Server) -> None:
    with RawConnection(classic.port, timeout_s=5) as connection:
        connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        assert b" 200 " not in connection.read_some()[:20]


def test_connect_and_absolute_targets_reach_no_other_host(classic: Server) -> None:
    with RawConnection(classic.port, timeout_s=5) as connection:
        connection.send(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n")
        connection.socket.shutdown(1)
        assert not connection.read_some().startswith(b"HTTP/1.1 200")
    with RawConnection(classic.port, timeout_s=5) as connection:
        connection.send(b"GET http://evil.example/hello.php?i=5 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert connection.read_response().status in {200, 400, 404}
