from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from howdah.admin.client import AdminClient, AdminRefused
from howdah.admin.thread import AdminThread
from howdah.config.http import Admin
from howdah.errors import HowdahError
from howdah.observe.metrics import Metrics
from howdah.serve.options import ListenerOptions
from howdah.serve.servers import HttpListener, make_listener
from tests.unit.admin.control import FakeControl


@contextmanager
def server_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """The loop of a server, on a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def served(
    control: FakeControl, loop: asyncio.AbstractEventLoop, unix: Path | None = None
) -> Iterator[tuple[AdminClient, AdminThread]]:
    opened = socket.socket(socket.AF_UNIX if unix else socket.AF_INET, socket.SOCK_STREAM)
    opened.bind(str(unix) if unix else ("127.0.0.1", 0))
    address = f"unix/{unix}" if unix else f"127.0.0.1:{opened.getsockname()[1]}"

    def listen(app: Any) -> list[HttpListener]:
        return [make_listener(app, opened, ListenerOptions(max_connections=64))]

    thread = AdminThread(control, Metrics(control.runtime), Admin(listen=address), loop, listen)
    thread.start()
    try:
        yield AdminClient(address), thread
    finally:
        thread.stop()


def test_commands_run_on_the_loop_of_the_server() -> None:
    control = FakeControl()
    with server_loop() as loop, served(control, loop) as (client, _):
        client.restart_workers()
        client.load(b"localhost", "text/caddyfile")
        client.stop()
        assert set(control.loops) == {loop}
        control.error = HowdahError("boom")
        with pytest.raises(AdminRefused, match="boom"):
            client.restart_workers()


def test_it_answers_while_the_loop_of_the_server_is_busy() -> None:
    control = FakeControl()
    with server_loop() as loop, served(control, loop) as (client, _):
        release = threading.Event()
        loop.call_soon_threadsafe(release.wait, 20)
        try:
            assert client.request("GET", "/healthz").body == b"ok\n"
            assert client.threads()["ReservedThreadCount"] == 2
            assert b"frankenphp_total_threads 2.0" in client.request("GET", "/metrics").body
        finally:
            release.set()


def test_over_a_unix_socket(tmp_path: Path) -> None:
    control = FakeControl()
    with server_loop() as loop, served(control, loop, tmp_path / "admin.sock") as (client, _):
        assert client.request("GET", "/ping").body == b"pong"


def test_a_connection_that_stays_open_does_not_hold_the_end() -> None:
    control = FakeControl()
    with server_loop() as loop, served(control, loop) as (client, thread):
        host, _, port = client.address.partition(":")
        with socket.create_connection((host, int(port))) as open_connection:
            # An answer first, so that the connection has been taken; then a request that does not come to its end.
            open_connection.sendall(b"GET /ping HTTP/1.1\r\nHost: " + client.address.encode() + b"\r\n\r\n")
            assert open_connection.recv(1000)
            open_connection.sendall(b"GET /ping HTTP/1.1\r\n")
            thread.stop()
            assert not thread._thread.is_alive()


def test_an_error_of_the_listener_is_the_caller_s() -> None:
    def listen(app: Any) -> list[HttpListener]:
        raise HowdahError("cannot listen")

    control = FakeControl()
    with server_loop() as loop:
        thread = AdminThread(control, Metrics(control.runtime), Admin(), loop, listen)
        with pytest.raises(HowdahError, match="cannot listen"):
            thread.start()


def test_a_server_that_has_ended_refuses() -> None:
    control = FakeControl()
    loop = asyncio.new_event_loop()
    loop.close()
    with served(control, loop) as (client, _), pytest.raises(AdminRefused, match="the server is stopping"):
        client.restart_workers()
