from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from howdah.errors import ConfigError
from howdah.serve import address as addresses
from howdah.serve import life
from howdah.serve.address import (
    Address,
    ListenError,
    bind,
    listen,
    parse_address,
    remove_socket_file,
    shown_url,
    socket_inode,
)
from howdah.serve.granian import Listener
from howdah.serve.options import ListenerOptions
from howdah.serve.servers import make_listener, open_requests


class TestAddress:
    @pytest.mark.parametrize(
        ("text", "address"),
        [
            ("127.0.0.1:8000", Address("tcp", "127.0.0.1", 8000)),
            (":8080", Address("tcp", "", 8080)),
            ("localhost:0", Address("tcp", "localhost", 0)),
            ("[::1]:80", Address("tcp", "::1", 80)),
            ("unix//run/h.sock", Address("unix", path="/run/h.sock")),
            ("unix/h.sock", Address("unix", path="h.sock")),
        ],
    )
    def test_is_read(self, text: str, address: Address) -> None:
        assert parse_address(text) == address

    @pytest.mark.parametrize(
        "text",
        ["", "8000", "127.0.0.1", "a:", "a:x", "a:-1", "a:65536", "::1:80", "[::1:80", "[a]:80", "unix/", "unix//d/"],
    )
    def test_with_a_mistake_is_refused_with_the_spelling_that_works(self, text: str) -> None:
        with pytest.raises(ConfigError, match="write it as"):
            parse_address(text)

    @pytest.mark.parametrize(
        "text",
        ["http://a:80", "a b:80", "a:٣", "unix//" + "x" * 200],
    )
    def test_that_cannot_be_is_refused(self, text: str) -> None:
        with pytest.raises(ConfigError, match=r"write it as|has at most"):
            parse_address(text)

    def test_is_shown_as_a_url(self) -> None:
        with bind(Address("tcp", "127.0.0.1", 0)) as bound:
            port = bound.getsockname()[1]
            assert shown_url(Address("tcp", "127.0.0.1", 0), bound) == f"http://127.0.0.1:{port}/"
            assert shown_url(Address("tcp", "", 0), bound) == f"http://localhost:{port}/"
            assert shown_url(Address("unix", path="/run/h.sock"), bound) == "unix//run/h.sock"


class TestBind:
    def test_port_in_use_is_a_sentence(self) -> None:
        with bind(Address("tcp", "127.0.0.1", 0)) as first:
            first.listen()
            with pytest.raises(ListenError, match="the port is in use"):
                bind(Address("tcp", "127.0.0.1", first.getsockname()[1]))

    @pytest.mark.parametrize("address", [Address("tcp", "192.0.2.1", 80), Address("tcp", "no.such.invalid", 80)])
    def test_foreign_address_is_a_sentence(self, address: Address) -> None:
        with pytest.raises(ListenError, match="cannot listen on"):
            bind(address)

    def test_forbidden_port_is_a_sentence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def forbidden(*_: Any) -> socket.socket:
            raise PermissionError(errno.EACCES, "no")

        monkeypatch.setattr(addresses, "_open_tcp", forbidden)
        with pytest.raises(ListenError, match=r"http_port and https_port .*setcap"):
            bind(Address("tcp", "127.0.0.1", 80))

    def test_empty_host_takes_both_families(self) -> None:
        with bind(Address("tcp", "", 0)) as bound:
            bound.listen()
            with socket.create_connection(("127.0.0.1", bound.getsockname()[1])):
                pass

    def test_stale_socket_file_is_replaced_and_a_live_one_is_not(self, tmp_path: Path) -> None:
        address = Address("unix", path=str(tmp_path / "h.sock"))
        with bind(address):
            pass
        assert (tmp_path / "h.sock").is_socket()
        with bind(address) as second:
            second.listen()
            with pytest.raises(ListenError, match="another server listens there"):
                bind(address)

    def test_file_that_is_no_socket_is_kept(self, tmp_path: Path) -> None:
        file = tmp_path / "precious"
        file.write_text("data")
        with pytest.raises(ListenError):
            bind(Address("unix", path=str(file)))
        assert file.read_text() == "data"

    def test_missing_folder_is_a_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(ListenError, match="create it"):
            bind(Address("unix", path=str(tmp_path / "none" / "h.sock")))

    def test_only_the_own_socket_file_is_removed(self, tmp_path: Path) -> None:
        address = Address("unix", path=str(tmp_path / "h.sock"))
        with bind(address):
            inode = socket_inode(address)
            remove_socket_file(address, inode + 1)
            assert (tmp_path / "h.sock").exists()
            remove_socket_file(address, inode)
            remove_socket_file(address, inode)
        assert not (tmp_path / "h.sock").exists()


class TestLimits:
    def test_connections_fit_into_the_open_files(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for soft, expected in ((64, 64), (1024, 384), (65536, 16384), (resource.RLIM_INFINITY, 16384)):
            monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, soft))
            assert life.max_connections() == expected

    def test_soft_limit_is_raised_towards_the_hard_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made: list[tuple[int, int]] = []
        monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
        monkeypatch.setattr(resource, "setrlimit", lambda _, values: made.append(values))
        life.raise_descriptor_limit()
        assert made == [(4096, 4096)]


class Served:
    """A listener on a free port in the running loop, around an application that waits for ``gate``."""

    def __init__(self, make: Any, **config: Any) -> None:
        self.gate = asyncio.Event()
        self.entered = asyncio.Event()
        bound = bind(Address("tcp", "127.0.0.1", 0))
        self.port: int = bound.getsockname()[1]
        self.listener = make(self._app, bound, ListenerOptions(100, **config))
        self.listener.start()

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        self.entered.set()
        if scope["path"] == "/wait":
            await self.gate.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        if scope["path"] == "/cut":
            await send({"type": "http.response.body", "body": b"o", "more_body": True})
            return
        await send({"type": "http.response.body", "body": b"ok"})

    async def ask(self, head: str, *, read: bool = True) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(head.encode())
            await writer.drain()
            return await asyncio.wait_for(reader.read(), 10) if read else b""
        except ConnectionResetError:
            return b""
        finally:
            writer.close()

    async def stop(self) -> None:
        self.gate.set()
        self.listener.stop_accepting()
        assert await self.listener.wait_stopped(5.0)


GET = "GET {} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("make", [make_listener, Listener], ids=["own", "granian"])
class TestListener:
    def test_counts_open_requests_and_finishes_them_when_it_stops(self, make: Any) -> None:
        async def run() -> None:
            served = Served(make)
            answer = asyncio.ensure_future(served.ask(GET.format("/wait")))
            await served.entered.wait()
            assert open_requests() == 1
            served.listener.stop_accepting()
            assert not await served.listener.wait_stopped(0.1)
            served.gate.set()
            assert (await answer).endswith(b"ok")
            assert await served.listener.wait_stopped(5.0)
            assert open_requests() == 0
            with pytest.raises(ConnectionRefusedError):
                await served.ask(GET.format("/"))

        asyncio.run(run())

    def test_cuts_what_the_application_does_not_complete(self, make: Any) -> None:
        async def run() -> None:
            served = Served(make)
            assert (await served.ask(GET.format("/cut"))).endswith(b"\r\n\r\no")
            await served.stop()

        asyncio.run(run())

    def test_refuses_heads_that_are_too_large(self, make: Any) -> None:
        async def run() -> None:
            served = Served(make, max_header_size_bytes=16384)
            fits = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: " + "x" * 15000 + "\r\n\r\n"
            assert (await served.ask(fits)).endswith(b"ok")
            refused = "GET / HTTP/1.1\r\nHost: a\r\nX: " + "x" * 60000 + "\r\n\r\n"
            assert b" 431 " in await served.ask(refused)
            await served.stop()

        asyncio.run(run())

    @pytest.mark.slow
    @pytest.mark.parametrize("head", ["", "GET / HT", GET.format("/").replace("close", "keep-alive")])
    def test_closes_silent_connections(self, make: Any, head: str) -> None:
        async def run() -> None:
            served = Served(make, header_timeout_s=0.3, idle_timeout_s=0.3)
            await served.ask(head)  # ends when the server closes, or fails by its own bound
            await served.stop()

        asyncio.run(run())

    def test_serves_socket_files(self, make: Any, tmp_path: Path) -> None:
        async def run() -> None:
            served = Served(make)
            await served.stop()
            address = Address("unix", path=str(tmp_path / "h.sock"))
            listener = make(served._app, bind(address), ListenerOptions(100))
            listener.start()
            reader, writer = await asyncio.open_unix_connection(address.path)
            writer.write(GET.format("/").encode())
            assert (await reader.read()).endswith(b"ok")
            writer.close()
            listener.stop_accepting()
            assert await listener.wait_stopped(5.0)

        asyncio.run(run())


def test_leaving_at_once_flushes(capfd: pytest.CaptureFixture[str]) -> None:
    child = os.fork()
    if child == 0:
        sys.stdout.write("flushed")
        life.leave_now(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert capfd.readouterr().out == "flushed"


def test_a_port_that_another_process_listens_on_first_is_named() -> None:
    address = parse_address("127.0.0.1:0")
    first = bind(address)
    second = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        second.bind(first.getsockname())
        second.listen()
        with pytest.raises(ListenError, match="the port is in use"):
            listen(address, first)
    finally:
        first.close()
        second.close()
