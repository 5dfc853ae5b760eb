from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from pathlib import Path
from typing import Any

import pytest

from howdah.serve.http1 import sendfile
from howdah.serve.options import ListenerOptions
from howdah.web.respond import ABORT
from tests.unit.serve.http1_place import Client, Place, answer, read_body, run

GET = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"

pytestmark = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


def one(loop: str, app: Any, request: bytes = LAST % b"/") -> bytes:
    """Give everything that comes for one request."""
    said = b""

    async def test() -> None:
        nonlocal said
        place = Place(app)
        said = await place.ask(request)
        await place.end()

    run(test, loop)
    return said


def sending(*messages: dict[str, Any]) -> Any:
    """Make an application that sends messages."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send({"type": f"http.response.{message.pop('kind', 'body')}", **message})

    return app


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"kind": "start", "status": status, "headers": list(headers)}


class TestHead:
    def test_says_what_the_application_said_and_the_date(self, loop: str) -> None:
        said = one(loop, sending(start(404, (b"X-A", b"1"), (b"x-a", b"\xff"), (b"date", b"then")), {"body": b"no"}))
        assert said.startswith(b"HTTP/1.1 404 Not Found\r\nX-A: 1\r\nx-a: \xff\r\ndate: then\r\ncontent-length: 2\r\n")
        assert b"\r\ndate: " in one(loop, sending(start(), {"body": b""}))

    @pytest.mark.parametrize("status", [299, 418, 599])
    def test_may_have_any_final_status(self, loop: str, status: int) -> None:
        assert one(loop, sending(start(status), {"body": b""})).startswith(b"HTTP/1.1 %d " % status)

    @pytest.mark.parametrize(
        ("head", "reason"),
        [
            (start(200, (b"x", b"a\r\nX-Injected: 1")), "line end"),
            (start(200, (b"x", b"a\nX-Injected: 1")), "line end"),
            (start(200, (b"x", b"a\rX-Injected: 1")), "line end"),
            (start(200, (b"x", b"a\0b")), "NUL"),
            (start(200, (b"x\r\nX-Injected", b"1")), "no name"),
            (start(200, (b"x injected", b"1")), "no name"),
            (start(200, (b"", b"1")), "no name"),
            (start(200, (b"x:", b"1")), "no name"),
            (start(99), "no final status"),
            (start(600), "no final status"),
            (start(103), "no final status"),
            (start(200, (b"content-length", b"-1")), "no Content-Length"),
            (start(200, (b"content-length", b"1"), (b"Content-Length", b"2")), "two Content-Lengths"),
        ],
    )
    def test_that_would_inject_or_is_no_head_is_500_and_told(
        self, loop: str, head: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        said = one(loop, sending(dict(head), {"body": b"body"}))
        assert said.startswith(b"HTTP/1.1 500 ")
        assert b"njected" not in said
        assert reason in caplog.text
        assert "Traceback" not in caplog.text

    def test_early_hints_come_before_it(self, loop: str) -> None:
        hint = {"kind": "early_hint", "links": [b"</a.css>; rel=preload", b"</b.js>; rel=preload"]}
        said = one(loop, sending(hint, start(), {"body": b"ok"}))
        first = b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nlink: </b.js>; rel=preload\r\n\r\n"
        assert said.startswith(first + b"HTTP/1.1 200 OK\r\n")
        assert b" 103 " not in one(loop, sending(hint, start(), {"body": b"ok"}), OLD)

    def test_no_server_is_named_that_the_application_did_not_name(self, loop: str) -> None:
        assert b"\r\nserver:" not in one(loop, sending(start(), {"body": b""})).lower()


class TestBody:
    def test_whole_body_has_its_length_whatever_the_application_forgot(self, loop: str) -> None:
        assert one(loop, sending(start(), {"body": b"four"})).endswith(
            b"content-length: 4\r\nconnection: close\r\n\r\nfour"
        )

    def test_pieces_are_chunks(self, loop: str) -> None:
        pieces = [
            {"body": b"one", "more_body": True},
            {"body": b"", "more_body": True},
            {"body": b"x" * 70_000, "more_body": True},
        ]
        said = one(loop, sending(start(), *pieces, {"body": b"end"}))
        assert b"transfer-encoding: chunked" in said
        assert said.endswith(b"\r\n\r\n3\r\none\r\n11170\r\n" + b"x" * 70_000 + b"\r\n3\r\nend\r\n0\r\n\r\n")

    def test_old_clients_get_pieces_until_the_end_of_the_connection(self, loop: str) -> None:
        said = one(loop, sending(start(), {"body": b"one", "more_body": True}, {"body": b"end"}), OLD)
        assert b"transfer-encoding" not in said
        assert said.endswith(b"\r\n\r\noneend")

    def test_head_is_sent_with_an_empty_piece(self, loop: str) -> None:
        async def test() -> None:
            gate = asyncio.Event()

            async def app(scope: Any, receive: Any, send: Any) -> None:
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"", "more_body": True})
                await gate.wait()
                await send({"type": "http.response.body", "body": b""})

            place = Place(app)
            client = await place.open()
            client.send(GET % b"/")
            assert (await client.head()).startswith(b"HTTP/1.1 200 ")
            gate.set()
            assert await client.reader.readexactly(5) == b"0\r\n\r\n"
            await place.end()

        run(test, loop)

    @pytest.mark.parametrize("announced", [True, False])
    def test_answers_to_head_have_none(self, loop: str, announced: bool) -> None:
        headers = [(b"content-length", b"4")] if announced else []
        said = one(
            loop,
            sending(start(200, *headers), {"body": b"four"}),
            b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        )
        assert said.endswith(b"\r\n\r\n")
        assert (b"content-length: 4" in said) is announced
        assert b"transfer-encoding" not in said

    @pytest.mark.parametrize(("status", "has_length"), [(204, False), (304, True)])
    def test_some_statuses_have_none(self, loop: str, status: int, has_length: bool) -> None:
        async def test() -> None:
            place = Place(sending(start(status, (b"content-length", b"4")), {"body": b"four"}))
            client = await place.open()
            client.send(GET % b"/")
            head = await client.head()
            assert (b"content-length: 4" in head) is has_length
            client.send(GET % b"/")
            await place.end()

        run(test, loop)

    def test_that_is_longer_than_announced_is_cut_and_told(self, loop: str, caplog: pytest.LogCaptureFixture) -> None:
        said = one(
            loop,
            sending(start(200, (b"content-length", b"4")), {"body": b"12", "more_body": True}, {"body": b"3456"}),
            GET % b"/",
        )
        assert said.endswith(b"\r\n\r\n12")
        assert "longer than its Content-Length" in caplog.text

    def test_that_is_shorter_than_announced_cuts_the_connection(self, loop: str) -> None:
        said = one(loop, sending(start(200, (b"content-length", b"4")), {"body": b"12"}), GET % b"/")
        assert b"content-length: 4" in said
        assert said.endswith(b"\r\n\r\n12")

    @pytest.mark.parametrize("request_head", [GET % b"/", OLD])
    def test_that_is_not_ended_cuts_the_connection(self, loop: str, request_head: bytes) -> None:
        async def test() -> None:
            place = Place(sending(start(), {"body": b"part", "more_body": True}))
            client = await place.open()
            client.send(request_head)
            said = b""
            try:
                said = await client.rest()
                assert not said.endswith(b"0\r\n\r\n")
                assert request_head != OLD, "an old client must see an error, not an end"
            except ConnectionResetError:
                assert request_head == OLD
            await place.end()

        run(test, loop)

    def test_slow_reader_holds_the_application_back(self, loop: str) -> None:
        async def test() -> None:
            sent = 0

            async def app(scope: Any, receive: Any, send: Any) -> None:
                nonlocal sent
                await send({"type": "http.response.start", "status": 200, "headers": []})
                for _ in range(100):
                    await send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True})
                    sent += 1
                await send({"type": "http.response.body", "body": b""})

            place = Place(app)
            client = await place.open()
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            client.send(LAST % b"/")
            await place.wait_scope()
            await asyncio.sleep(0.3)  # it would be far by then
            assert sent < 20
            client.writer.transport.resume_reading()  # type: ignore[attr-defined]
            assert len(await client.rest()) > 100_000_000
            await place.end()

        run(test, loop)


class TestFailure:
    def test_application_that_fails_is_500_with_nothing_told_to_the_client(
        self, loop: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise ValueError("secret")

        said = one(loop, app)
        assert said.startswith(b"HTTP/1.1 500 ")
        assert b"secret" not in said
        assert "ValueError: secret" in caplog.text

    def test_application_that_answers_nothing_is_500_and_told(
        self, loop: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert one(loop, sending()).startswith(b"HTTP/1.1 500 ")
        assert "gave no answer for '/'" in caplog.text

    @pytest.mark.parametrize(
        "messages", [[{"body": b"x"}], [start(), start()], [start(), {"body": b""}, {"body": b""}]]
    )
    def test_messages_in_the_wrong_order_are_an_error_of_the_application(
        self, loop: str, messages: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
    ) -> None:
        one(loop, sending(*(dict(message) for message in messages)))
        assert "RuntimeError" in caplog.text

    def test_abort_sends_nothing_at_all(self, loop: str) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            assert ABORT in scope["extensions"]
            await send({"type": ABORT})

        assert one(loop, app, GET % b"/") == b""


class TestFile:
    @pytest.mark.parametrize("size", [0, 1, 200_000, 9_000_000])
    @pytest.mark.parametrize("cached", [True, False])
    def test_is_sent_whole_and_the_connection_goes_on(
        self, loop: str, size: int, cached: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = os.urandom(size)
        file = tmp_path / "file"
        file.write_bytes(data)
        monkeypatch.setattr(sendfile, "_is_cached", lambda *_: cached)

        async def test() -> None:
            place = Place(sending_file(file, size))
            client = await place.open()
            for _ in range(3):
                client.send(GET % b"/")
                assert (await client.response())[1] == data
            await place.end()

        run(test, loop)

    def test_slow_reader_gets_every_byte_and_a_client_that_leaves_ends_it(self, loop: str, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_bytes(b"0123456789abcdef" * 2_000_000)
        descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only

        async def test() -> None:
            place = Place(sending_file(file, 32_000_000))
            slow, leaving = await place.open(), await place.open()
            for client in (slow, leaving):
                client.writer.transport.pause_reading()  # type: ignore[attr-defined]
                client.send(LAST % b"/")
            while len(place.scopes) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.1)
            leaving.writer.transport.abort()
            slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
            said = await slow.rest()
            assert said.partition(b"\r\n\r\n")[2] == file.read_bytes()
            await place.end()

        run(test, loop)
        assert len(os.listdir("/proc/self/fd")) <= descriptors  # noqa: PTH208

    def test_that_shrank_cuts_the_connection(self, loop: str, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_bytes(b"x" * 150_000)
        said = one(loop, sending_file(file, 200_000), GET % b"/")
        assert len(said.partition(b"\r\n\r\n")[2]) == 150_000


def sending_file(file: Path, size: int) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"%d" % size)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.pathsend", "path": str(file)})

    return app


class TestTime:
    """The limits are low here; what is waited for is the end that they bring."""

    pytestmark = pytest.mark.slow

    @pytest.mark.parametrize(
        ("sent", "said"),
        [(b"", b""), (b"GET / HT", b"HTTP/1.1 408 "), (b"GET / HTTP/1.1\r\nHost: a\r\n", b"HTTP/1.1 408 ")],
    )
    def test_head_that_does_not_come_ends_the_connection(self, loop: str, sent: bytes, said: bytes) -> None:
        async def test() -> None:
            place = Place(header_timeout_s=0.2)
            client = await place.open()
            client.send(sent)
            came = await client.rest()
            assert came.startswith(said)
            assert bool(came) == bool(said)
            await place.end()

        run(test, loop)

    def test_bytes_that_dribble_do_not_count(self, loop: str) -> None:
        async def test() -> None:
            place = Place(header_timeout_s=0.3)
            client = await place.open()
            ended = asyncio.ensure_future(client.rest())
            for byte in b"GET / HTTP/1.1\r\nX: " + b"y" * 1000:
                if ended.done():
                    break
                client.send(bytes([byte]))
                await asyncio.sleep(0.02)
            assert ended.done()
            assert b" 408 " in ended.result()
            await place.end()

        run(test, loop)

    def test_idle_connection_is_closed_after_its_own_time(self, loop: str) -> None:
        async def test() -> None:
            place = Place(header_timeout_s=0.1, idle_timeout_s=0.6)
            client = await place.open()
            client.send(GET % b"/1")
            await client.response()
            await asyncio.sleep(0.3)  # more than a head may take
            client.send(GET % b"/2")
            assert (await client.response())[1] == b"/2"
            assert await client.rest() == b""
            await place.end()

        run(test, loop)

    def test_application_takes_the_time_that_it_needs(self, loop: str) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await asyncio.sleep(0.5)
            await answer(send)

        async def test() -> None:
            place = Place(app, header_timeout_s=0.1, idle_timeout_s=0.1)
            client = await place.open()
            client.send(GET % b"/")
            assert (await client.response())[1] == b"ok"
            await place.end()

        run(test, loop)

    def test_body_that_stops_is_408(self, loop: str) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            while (await receive())["type"] == "http.request":
                pass

        async def test() -> None:
            place = Place(app, idle_timeout_s=0.2)
            said = await place.ask(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
            assert said.startswith(b"HTTP/1.1 408 ")
            await place.end()

        run(test, loop)

    def test_application_that_does_not_read_a_body_is_not_the_clients_fault(self, loop: str) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await asyncio.sleep(0.6)
            await answer(send, b"%d" % len(await read_body(receive)))

        async def test() -> None:
            place = Place(app, idle_timeout_s=0.2)
            client = await place.open()
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 2_000_000)
            assert (await client.response())[1] == b"2000000"
            await place.end()

        run(test, loop)

    @pytest.mark.parametrize("by_file", [False, True])
    def test_client_that_takes_nothing_is_cut(self, loop: str, by_file: bool, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_bytes(b"x" * 20_000_000)

        async def large(scope: Any, receive: Any, send: Any) -> None:
            await answer(send, b"x" * 20_000_000)

        async def test() -> None:
            place = Place(sending_file(file, 20_000_000) if by_file else large, idle_timeout_s=0.3)
            client = await place.open()
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            client.send(LAST % b"/")
            await place.wait_scope()
            async with asyncio.timeout(10):
                while place.listener._connections or place.listener._running:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            await place.end()

        run(test, loop)


class TestListener:
    def test_heads_beyond_the_limit_are_refused_however_they_come(self, loop: str) -> None:
        async def test() -> None:
            place = Place(max_header_size_bytes=8000)
            fits = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: " + b"x" * 7900 + b"\r\n\r\n"
            assert (await place.ask(fits)).startswith(b"HTTP/1.1 200 ")
            for head in (
                b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 8000 + b"\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100_000,
                b"GET /" + b"x" * 100_000,
                b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(600)) + b"\r\n",
            ):
                assert (await place.ask(head)).startswith(b"HTTP/1.1 431 ")
            assert len(place.scopes) == 1
            await place.end()

        run(test, loop)

    def test_no_more_connections_are_served_than_may_be_and_the_others_wait(self, loop: str) -> None:
        async def test() -> None:
            place = Place(max_connections=2)
            first, second = await place.open(), await place.open()
            for client in (first, second):
                client.send(GET % b"/")
                await client.response()
            third = await place.open()
            third.send(GET % b"/third")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(third.reader.read(1), 0.2)
            first.writer.transport.abort()
            assert (await third.response())[1] == b"/third"
            assert place.listener.configure(ListenerOptions(10))
            fourth = await place.open()
            fourth.send(GET % b"/fourth")
            assert (await fourth.response())[1] == b"/fourth"
            await place.end()

        run(test, loop)

    def test_end_closes_idle_connections_and_lets_answers_end(self, loop: str) -> None:
        async def test() -> None:
            gate = asyncio.Event()

            async def app(scope: Any, receive: Any, send: Any) -> None:
                if scope["path"] == "/wait":
                    await gate.wait()
                await answer(send)

            place = Place(app)
            idle, busy, new = await place.open(), await place.open(), await place.open()
            idle.send(GET % b"/")
            await idle.response()
            busy.send(GET % b"/wait")
            await place.wait_scope()
            while len(place.scopes) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            place.listener.stop_accepting()
            assert await idle.rest() == b""
            assert await new.rest() == b""
            with pytest.raises(ConnectionRefusedError):
                await place.open()
            assert not await place.listener.wait_stopped(0.05)
            gate.set()
            head, body = await busy.response()
            assert b"connection: close" in head
            assert body == b"ok"
            assert await busy.rest() == b""
            assert await place.listener.wait_stopped(5)
            await place.end()

        run(test, loop)

    def test_connection_that_is_accepted_during_the_end_is_answered_or_closed(self, loop: str) -> None:
        async def test() -> None:
            place = Place()
            holding, asking, silent = [await place.open() for _ in range(3)]
            holding.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")  # keeps the listener
            late = list(place.listener._connections)
            place.listener._is_ending = True  # as if the order had come before these were there
            for connection in late:
                place.listener.add(connection)
            asking.send(LAST % b"/late")
            assert (await asking.response())[1] == b"/late"
            assert await silent.rest() == b""
            await place.end()

        run(test, loop)

    def test_that_is_ended_at_once_has_not_failed(self, loop: str) -> None:
        async def test() -> None:
            place = Place()
            place.listener.stop_accepting()
            assert await place.listener.wait_stopped(5)
            error = place.listener.serving.exception()
            assert error is None
            await place.end()

        run(test, loop)

    def test_other_kinds_of_service_need_another_listener(self, loop: str) -> None:
        async def test() -> None:
            place = Place()
            assert not place.listener.configure(ListenerOptions(10, mode="both"))
            await place.end()

        run(test, loop)

    def test_clients_that_reset_at_any_moment_do_no_harm(self, loop: str, caplog: pytest.LogCaptureFixture) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await asyncio.sleep(0)
            await answer(send, b"x" * 300_000)

        async def test() -> None:
            place = Place(app)
            stream = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody" + GET % b"/" * 3
            for length in range(0, len(stream), 5):
                client = await place.open()
                client.send(stream[:length])
                await asyncio.sleep(0)
                _reset(client)
            client = await place.open()
            client.send(LAST % b"/")
            assert (await client.rest()).endswith(b"x")
            await place.end()
            assert not [record for record in caplog.records if record.levelno >= logging.WARNING]

        run(test, loop)


def _reset(client: Client) -> None:
    opened = client.writer.get_extra_info("socket")
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.writer.transport.abort()
