from __future__ import annotations

import asyncio
import datetime as dt
import json
import re
import shutil
import socket
import ssl
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from howdah.config.http import HttpServers, HttpSite, SiteAddress
from howdah.serve import certificates as certificates_module
from howdah.serve import endpoint as endpoint_module
from howdah.serve.address import Address
from howdah.serve.certificates import Certificates, CertificateWatch
from howdah.serve.endpoint import Endpoint, options_of
from howdah.serve.idle import IdleGuard, connections
from howdah.serve.listeners import TlsPlan
from howdah.serve.localca import Authority
from howdah.serve.options import ListenerOptions, Mode
from howdah.serve.servers import open_requests
from howdah.serve.tls import Loaded, Material, Pair
from tests.unit.serve.certificates import write_pair

GET = b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n"


def run(coroutine: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await coroutine()

    asyncio.run(bounded())


class Place:
    """An endpoint on a free port, around an application that answers with a word and the version."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.opened: list[asyncio.StreamWriter] = []
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.endpoint = Endpoint(Address("tcp", "127.0.0.1", 0), self.failures.append)
        self.endpoint.listen()
        self.endpoint.route(self.app(b"first"))
        self.port: int = self.endpoint._socket.getsockname()[1]

    def app(self, word: bytes) -> Any:
        async def answer(scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] == "/wait":
                self.entered.set()
                await self.gate.wait()
            body = word + b" " + scope["http_version"].encode()
            headers = [(b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

        return answer

    async def open(self, tls: ssl.SSLContext | None = None) -> Connection:
        name = "localhost" if tls else None
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=tls, server_hostname=name)
        self.opened.append(writer)
        return Connection(reader, writer)

    async def end(self) -> None:
        self.gate.set()
        for writer in self.opened:
            writer.transport.abort()
        self.endpoint.stop_accepting()
        assert await self.endpoint.wait_stopped(time.monotonic() + 5)
        assert self.failures == []


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, path: bytes = b"/") -> tuple[bytes, bytes]:
        """Send a request; gives head and body."""
        self.writer.write(GET % path)
        head = await self.reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head)
        assert found is not None
        return head, await self.reader.readexactly(int(found[1]))

    async def wait_closed(self) -> None:
        assert await self.reader.read() == b""


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.01)


# Servers of HTTP/2 cannot take other options; the one of plain HTTP/1.1 can.
OPTIONS = ListenerOptions(100, mode="both", header_timeout_s=5)
OTHER = ListenerOptions(100, mode="both", header_timeout_s=6)
PLAIN = ListenerOptions(100, header_timeout_s=5)


class TestReplace:
    def test_application_is_replaced_for_connections_that_are_open(self) -> None:
        async def test() -> None:
            place = Place()
            place.endpoint.serve(OPTIONS)
            connection = await place.open()
            assert (await connection.ask())[1] == b"first 1.1"
            place.endpoint.route(place.app(b"second"))
            assert (await connection.ask())[1] == b"second 1.1"
            await place.end()

        run(test)

    def test_same_options_keep_the_server(self) -> None:
        async def test() -> None:
            place = Place()
            place.endpoint.serve(OPTIONS)
            first = place.endpoint._listener
            place.endpoint.serve(ListenerOptions(7, mode="both", header_timeout_s=5))
            assert place.endpoint._listener is first
            await place.end()

        run(test)

    def test_plain_listener_takes_other_options_in_place(self) -> None:
        async def test() -> None:
            place = Place()
            place.endpoint.serve(PLAIN)
            first = place.endpoint._listener
            connection = await place.open()
            await connection.ask()
            place.endpoint.serve(ListenerOptions(7, header_timeout_s=5, max_header_size_bytes=64))
            assert place.endpoint._listener is first
            assert place.endpoint.options == ListenerOptions(7, header_timeout_s=5, max_header_size_bytes=64)
            head, _ = await connection.ask(b"/" + b"x" * 100)
            assert head.startswith(b"HTTP/1.1 431 "), "also on connections that are open"
            await place.end()

        run(test)

    def test_no_request_is_lost_while_servers_take_over_from_each_other(self) -> None:
        async def test() -> None:
            place = Place()
            place.endpoint.serve(OPTIONS)
            stop = asyncio.Event()
            answers = 0

            async def client() -> None:
                nonlocal answers
                connection = await place.open()
                while not stop.is_set():
                    head, body = await connection.ask()
                    assert body == b"first 1.1"
                    answers += 1
                    if b"connection: close" in head:
                        await connection.wait_closed()
                        connection = await place.open()

            clients = [asyncio.ensure_future(client()) for _ in range(8)]
            for turn in range(20):
                before = answers
                await _until(lambda before=before: answers > before + 20)  # type: ignore[misc]
                # From one kind of server to the other and back, and to another of the same kind.
                mode: Mode = "h1" if turn % 3 == 0 else "both"
                place.endpoint.serve(ListenerOptions(100, mode=mode, header_timeout_s=5 + turn / 100))
            stop.set()
            await asyncio.gather(*clients)
            await place.end()

        run(test)

    def test_old_server_tells_its_clients_to_leave_and_ends(self) -> None:
        async def test() -> None:
            place = Place()
            place.endpoint.serve(OPTIONS)
            connection = await place.open()
            await connection.ask()
            place.endpoint.serve(OTHER)
            head, body = await connection.ask()
            assert b"connection: close" in head
            assert body == b"first 1.1"
            await connection.wait_closed()
            await _until(lambda: not place.endpoint._leaving)
            assert b"connection: close" not in (await (await place.open()).ask())[0]
            await place.end()

        run(test)

    def test_request_that_runs_is_finished_by_the_old_server(self) -> None:
        async def test() -> None:
            place = Place()
            place.endpoint.serve(OPTIONS)
            connection = await place.open()
            answer = asyncio.ensure_future(connection.ask(b"/wait"))
            await place.entered.wait()
            place.endpoint.serve(OTHER)
            assert open_requests() == 1
            place.gate.set()
            assert (await answer)[1] == b"first 1.1"
            await place.end()

        run(test)

    @pytest.mark.slow
    @pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js")
    def test_no_request_over_http_2_is_lost_while_servers_take_over_from_each_other(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Servers are sent away while their connections are in use, not only left.
        monkeypatch.setattr(endpoint_module, "_LONGEST_LINGER_S", 0.2)

        async def test() -> None:
            place, made = Place(), material(tmp_path)
            place.endpoint.serve(ListenerOptions(100, mode="both", material=made))
            script = Path(__file__).with_name("http2_client.js")
            pipe = asyncio.subprocess.PIPE
            client = await asyncio.create_subprocess_exec("node", script, str(place.port), "6", stdin=pipe, stdout=pipe)
            for turn in range(6):
                await asyncio.sleep(0.35)
                place.endpoint.serve(ListenerOptions(100, mode="both", header_timeout_s=10 + turn, material=made))
            said, _ = await client.communicate(b"")  # its end tells the client to stop
            counts = json.loads(said)
            assert counts["failures"] == {}
            assert counts["answers"] > 100
            assert counts["sessions"] > 6, "clients moved to other servers"
            await place.end()

        run(test)

    def test_retired_endpoint_refuses_and_keeps_what_it_has(self) -> None:
        async def test() -> None:
            place = Place()
            place.endpoint.serve(OPTIONS)
            connection = await place.open()
            await connection.ask()
            place.endpoint.retire()
            with pytest.raises(ConnectionRefusedError):
                await place.open()
            assert (await connection.ask())[1] == b"first 1.1"
            await _until(lambda: place.endpoint.is_gone)
            await place.end()

        run(test)

    def test_storm_of_changes_does_not_gather_servers(self) -> None:
        async def test() -> None:
            place = Place()
            for turn in range(12):
                place.endpoint.serve(ListenerOptions(100, mode="both", header_timeout_s=20 + turn))
                await (await place.open()).ask()
            await _until(lambda: len(place.endpoint._leaving) <= 3)
            await place.end()

        run(test)

    def test_server_that_ends_by_itself_is_reported(self) -> None:
        async def test() -> None:
            place = Place()
            place.endpoint.serve(OPTIONS)
            assert place.endpoint._listener is not None
            place.endpoint._listener.stop_accepting()
            await _until(lambda: bool(place.failures))
            assert "127.0.0.1" in place.failures[0]
            assert await place.endpoint.wait_stopped(time.monotonic() + 5)
            place.endpoint.close()

        run(test)


def client_context(material: Material, *protocols: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=material.chain.decode())
    context.set_alpn_protocols(list(protocols) or ["http/1.1"])
    return context


def material(folder: Path) -> Material:
    pair = Pair(*write_pair(folder, "a", "localhost", "*.test", begin=dt.datetime.now(dt.UTC)))
    return Material(pair.chain, pair.key)


class TestTls:
    @pytest.mark.parametrize(("mode", "agreed"), [("h1", "http/1.1"), ("both", "h2"), ("h2", "h2")])
    def test_is_served_with_the_protocols_that_are_wanted(self, tmp_path: Path, mode: Any, agreed: str) -> None:
        async def test() -> None:
            place, made = Place(), material(tmp_path)
            place.endpoint.serve(ListenerOptions(100, mode=mode, material=made))
            context = client_context(made, "h2", "http/1.1")
            _, writer = await asyncio.open_connection("127.0.0.1", place.port, ssl=context, server_hostname="localhost")
            tls = writer.get_extra_info("ssl_object")
            assert (tls.selected_alpn_protocol(), tls.version()) == (agreed, "TLSv1.3")
            writer.transport.abort()
            assert place.endpoint.url() == f"https://127.0.0.1:{place.port}/"
            await place.end()

        run(test)

    def test_oldest_version_is_refused_where_it_is_not_wanted(self, tmp_path: Path) -> None:
        async def test() -> None:
            place, made = Place(), material(tmp_path)
            place.endpoint.serve(ListenerOptions(100, material=Material(made.chain, made.key, b"", "tls1.3")))
            context = client_context(made)
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await place.open(context)
            await place.end()

        run(test)

    def test_client_without_certificate_is_refused_where_one_is_wanted(self, tmp_path: Path) -> None:
        async def test() -> None:
            place, made = Place(), material(tmp_path)
            asking = Material(made.chain, made.key, made.chain)
            place.endpoint.serve(ListenerOptions(100, material=asking))
            context = client_context(made)
            with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                await (await place.open(context)).ask()
            await place.end()

        run(test)

    def test_changed_files_are_served_and_the_connection_stays(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(certificates_module, "try_out", lambda loaded: None)

        async def test() -> None:
            now = dt.datetime.now(dt.UTC)
            files = write_pair(tmp_path, "a", "localhost", begin=now)
            plan = TlsPlan(("localhost",), (files,), ())
            plan = TlsPlan(("localhost",), (files,), (_site(),))
            loader = Certificates(Authority(tmp_path / "pki"))
            loaded = loader.load(plan)
            place = Place()

            def replace(changed: Loaded) -> None:
                place.endpoint.serve(ListenerOptions(100, material=changed.material))

            replace(loaded)
            watch = CertificateWatch(loader, plan, loaded, replace)
            old = await place.open(client_context(loaded.material))
            await watch.look()
            _write(files[1], "half written")
            await watch.look()
            assert (await (await place.open(client_context(loaded.material))).ask())[1] == b"first 1.1"
            write_pair(tmp_path, "a", "localhost", begin=now)
            await watch.look()
            fresh = loader.load(plan).material
            assert fresh != loaded.material
            assert (await (await place.open(client_context(fresh))).ask())[1] == b"first 1.1"
            assert (await old.ask())[1] == b"first 1.1"
            await place.end()

        run(test)

    def test_files_that_stay_wrong_are_reported_once_and_the_old_certificate_stays(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(certificates_module, "try_out", lambda loaded: None)

        async def test() -> None:
            files = write_pair(tmp_path, "a", "localhost", begin=dt.datetime.now(dt.UTC))
            plan = TlsPlan(("localhost",), (files,), (_site(),))
            loader = Certificates(Authority(tmp_path / "pki"))
            replaced: list[Loaded] = []
            watch = CertificateWatch(loader, plan, loader.load(plan), replaced.append)
            _write(files[0], "rubbish")
            for _ in range(8):
                await watch.look()
            assert replaced == []
            assert caplog.text.count("the old one stays") == 1
            assert "in PEM form" in caplog.text

        run(test)

    def test_local_certificate_is_renewed(self, tmp_path: Path) -> None:
        async def test() -> None:
            plan = TlsPlan(("localhost",))
            loader = Certificates(Authority(tmp_path / "pki"))
            loaded = loader.load(plan)
            replaced: list[Loaded] = []
            watch = CertificateWatch(loader, plan, loaded, replaced.append)
            await watch.look()
            assert replaced == []
            for file in (tmp_path / "pki" / "certificates").iterdir():
                file.unlink()
            watch._next_expiry_look = 0.0
            await watch.look()
            assert [one.material != loaded.material for one in replaced] == [True]

        run(test)


def _write(file: str, text: str) -> None:
    Path(file).write_text(text)


def _site() -> HttpSite:
    return HttpSite(addresses=(SiteAddress(host="localhost"),))


@pytest.mark.slow
class TestIdle:
    def test_silent_and_idle_connections_are_closed_where_http_2_is_spoken(self) -> None:
        async def test() -> None:
            place = Place()
            place.endpoint.serve(ListenerOptions(100, mode="both", header_timeout_s=0.4, idle_timeout_s=0.8))
            silent, asking, waiting = await place.open(), await place.open(), await place.open()
            answer = asyncio.ensure_future(waiting.ask(b"/wait"))
            await place.entered.wait()
            assert (await asking.ask())[1] == b"first 1.1"
            await silent.wait_closed()
            await asking.wait_closed()
            assert not answer.done(), "a request that runs is not idle"
            place.gate.set()
            assert (await answer)[1] == b"first 1.1"
            await place.end()

        run(test)

    def test_what_has_gone_is_forgotten(self) -> None:
        guard = IdleGuard(1, 10.0, 10.0)
        peer = ("127.0.0.1", "5")
        assert guard._late({peer}, 1.0) == set()
        assert guard._late(set(), 5.0) == set()
        assert guard._late({peer}, 11.5) == set(), "another connection with the same port"
        assert guard._late({peer}, 22.0) == {peer}

    def test_connections_of_a_port_are_found(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)) as client:
                accepted, _ = server.accept()
                with accepted:
                    address = client.getsockname()
                    assert list(connections(port)) == [(address[0], str(address[1]))]


@pytest.mark.parametrize(
    ("protocols", "plain", "tls"),
    [
        (("h1", "h2"), "h1", "both"),
        (("h1",), "h1", "h1"),
        (("h1", "h2", "h2c"), "both", "both"),
        (("h2", "h2c"), "h2", "h2"),
        (("h2",), "h1", "h2"),
    ],
)
def test_protocols_become_modes(protocols: Any, plain: str, tls: str) -> None:
    servers = HttpServers(protocols=protocols)
    assert options_of(servers, None, 1).mode == plain
    assert options_of(servers, Material(b"", b""), 1).mode == tls
