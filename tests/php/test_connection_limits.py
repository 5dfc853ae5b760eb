"""Connections that say nothing, little, or too much; the limits are set low here."""

from __future__ import annotations

import time

import pytest

from tests.php.harness.raw import RawConnection
from tests.php.harness.server import SCRIPTS, Server, ServerFactory

_PATIENCE_S = 5.0


@pytest.fixture(scope="module")
def impatient(module_configured: ServerFactory) -> Server:
    """A server that waits one second for the head of a request, and takes heads of 16 KiB."""
    return module_configured(SCRIPTS, read_header_timeout_s=1.0, idle_timeout_s=1.0, max_header_size_bytes=16 * 1024)


def test_a_connection_that_says_nothing_is_closed(impatient: Server) -> None:
    with RawConnection(impatient.port) as connection:
        assert connection.is_closed_within(_PATIENCE_S)


def test_a_head_that_dribbles_is_cut_off(impatient: Server) -> None:
    with RawConnection(impatient.port) as connection:
        start = time.monotonic()
        closed = False
        for byte in b"GET /hello.php HTTP/1.1\r\nHost: a\r\nX-Slow: " + b"y" * 100:
            try:
                connection.send(bytes([byte]))
            except OSError:
                closed = True
                break
            if connection.is_closed_within(0.1):
                closed = True
                break
        assert closed
        assert time.monotonic() - start < _PATIENCE_S


def test_an_idle_connection_is_closed_after_its_answer(impatient: Server) -> None:
    with RawConnection(impatient.port) as connection:
        connection.send(b"GET /hello.php?i=1 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.read_response().body == b"request 1"
        assert connection.is_closed_within(_PATIENCE_S)


def test_a_head_that_is_too_large_is_431(impatient: Server) -> None:
    with RawConnection(impatient.port) as connection:
        connection.send(b"GET /hello.php HTTP/1.1\r\nHost: a\r\nX-Large: " + b"f" * 40_000 + b"\r\n\r\n")
        assert connection.read_response().status == 431


def test_two_hundred_silent_connections_keep_nobody_out(impatient: Server) -> None:
    silent = [RawConnection(impatient.port) for _ in range(200)]
    try:
        start = time.monotonic()
        assert impatient.get("/hello.php?i=1").text == "request 1"
        assert time.monotonic() - start < 2
    finally:
        for connection in silent:
            connection.close()


def test_a_slow_script_is_not_cut_off_by_the_time_limit_for_heads(impatient: Server) -> None:
    with RawConnection(impatient.port) as connection:
        connection.send(b"GET /sleep.php?ms=2000&i=1 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.read_response().body == b"slept 1"
