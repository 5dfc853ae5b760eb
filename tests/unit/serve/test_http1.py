from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.unit.serve.http1_place import Place, answer, read_body, run

GET = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

pytestmark = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


async def echo(scope: Any, receive: Any, send: Any) -> None:
    await answer(send, await read_body(receive))


class TestRequest:
    def test_scope_says_what_the_client_said(self, loop: str) -> None:
        async def test() -> None:
            place = Place()
            client = await place.open()
            client.send(
                b"GET /a%2Fb/%C3%A9%ff?x=1&y HTTP/1.1\r\nHost: Name:80\r\nX-Two:  spaced \t\r\nX-Two: \xe9\r\n\r\n"
            )
            await client.response()
            scope = place.scopes[0]
            assert (scope["type"], scope["method"], scope["http_version"], scope["scheme"]) == (
                "http",
                "GET",
                "1.1",
                "http",
            )
            assert scope["raw_path"] == b"/a%2Fb/%C3%A9%ff"
            assert scope["path"] == "/a/b/é\ufffd"
            assert scope["query_string"] == b"x=1&y"
            assert scope["headers"] == [(b"host", b"Name:80"), (b"x-two", b"spaced"), (b"x-two", b"\xe9")]
            assert scope["client"] == client.writer.get_extra_info("sockname")
            assert scope["server"] == ("127.0.0.1", place.port)
            await place.end()

        run(test, loop)

    @pytest.mark.parametrize(
        ("line", "path", "query", "host"),
        [
            (b"GET http://other:81/p?q=1 HTTP/1.1", b"/p", b"q=1", b"other:81"),
            (b"GET HTTP://other HTTP/1.1", b"/", b"", b"other"),
            (b"GET http://other?q HTTP/1.1", b"/", b"q", b"other"),
            (b"OPTIONS * HTTP/1.1", b"*", b"", b"a"),
            (b"GET /p#part?no HTTP/1.1", b"/p", b"", b"a"),
            (b"GET //twice HTTP/1.1", b"//twice", b"", b"a"),
            (b"GET /a?b?c HTTP/1.1", b"/a", b"b?c", b"a"),
        ],
    )
    def test_targets_of_every_form(self, loop: str, line: bytes, path: bytes, query: bytes, host: bytes) -> None:
        async def test() -> None:
            place = Place()
            client = await place.open()
            client.send(line + b"\r\nHost: a\r\n\r\n")
            await client.response()
            scope = place.scopes[0]
            assert (scope["raw_path"], scope["query_string"]) == (path, query)
            assert scope["headers"] == [(b"host", host)]
            await place.end()

        run(test, loop)

    @pytest.mark.parametrize(
        "data",
        [
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
            b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET relative HTTP/1.1\r\nHost: a\r\n\r\n",
            b"NON/SENSE / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"N" * 65 + b" / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\nHost: a\n\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            # Requests whose end two servers could see at different places.
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
        ],
    )  # fmt: skip
    def test_what_is_no_request_is_400_and_reaches_no_application(self, loop: str, data: bytes) -> None:
        async def test() -> None:
            place = Place()
            said = await place.ask(data)
            assert said.startswith(b"HTTP/1.1 400 "), said
            assert b"\r\nconnection: close\r\n" in said
            assert place.scopes == []
            await place.end()

        run(test, loop)

    @pytest.mark.parametrize("coding", [b"gzip, chunked", b"gzip", b"xchunked", b"identity"])
    def test_codings_that_nobody_takes_off_are_refused(self, loop: str, coding: bytes) -> None:
        async def test() -> None:
            place = Place()
            said = await place.ask(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n")
            assert said.startswith(b"HTTP/1.1 501 ")
            assert place.scopes == []
            await place.end()

        run(test, loop)

    def test_versions_that_are_not_spoken_are_refused(self, loop: str) -> None:
        async def test() -> None:
            place = Place()
            assert (await place.ask(b"GET /\r\n\r\n")).startswith(b"HTTP/1.1 505 ")
            assert (await place.ask(b"GET / HTTP/1.2\r\nHost: a\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
            await place.end()

        run(test, loop)

    @pytest.mark.parametrize("size", [1, 7, 4000])
    def test_pieces_of_any_size_are_the_same_requests(self, loop: str, size: int) -> None:
        stream = (
            GET % b"/1"
            + POST % 5
            + b"hello"
            + CHUNKED
            + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n"
            + LAST % b"/2"
        )

        async def test() -> None:
            place = Place(echo)
            client = await place.open()
            for start in range(0, len(stream), size):
                client.send(stream[start : start + size])
                await client.writer.drain()
                await asyncio.sleep(0)
            bodies = [(await client.response())[1] for _ in range(4)]
            assert bodies == [b"", b"hello", b"abcde", b""]
            assert await client.rest() == b""
            assert all(name != b"trailer" for scope in place.scopes for name, _ in scope["headers"])
            await place.end()

        run(test, loop)

    def test_methods_are_any_word(self, loop: str) -> None:
        async def test() -> None:
            place = Place(echo)
            client = await place.open()
            for method in (b"PROPFIND", b"PURGE", b"FOO", b"get", b"X-Y_Z.1"):
                client.send(method + b" /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
                assert (await client.response())[1] == b"abc"
                assert place.scopes[-1]["method"] == method.decode()
            for piece in (b"F", b"O", b"O /p HT", b"TP/1.1\r\nHost: a\r\n\r\n" + LAST % b"/q"):
                client.send(piece)
                await asyncio.sleep(0.01)  # so that it comes as a piece
            assert (await client.response())[1] == b""
            assert (await client.response())[1] == b""
            assert [scope["method"] for scope in place.scopes[-2:]] == ["FOO", "GET"]
            await place.end()

        run(test, loop)

    def test_change_to_another_protocol_is_not_made(self, loop: str) -> None:
        async def test() -> None:
            place = Place(echo)
            client = await place.open()
            upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
            client.send(b"GET /1 HTTP/1.1\r\nHost: a\r\n" + upgrade + b"\r\n")
            assert (await client.response())[0].startswith(b"HTTP/1.1 200 ")
            client.send(b"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n" + upgrade + b"\r\nhi" + GET % b"/3")
            assert (await client.response())[1] == b"hi"
            assert (await client.response())[1] == b""
            client.send(b"FOO /f HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n" + upgrade + b"\r\nfo" + GET % b"/g")
            assert (await client.response())[1] == b"fo"
            assert (await client.response())[1] == b""
            chunks = b"Transfer-Encoding: chunked\r\n" + upgrade + b"\r\n2\r\nho\r\n0\r\n\r\n"
            client.send(b"POST /4 HTTP/1.1\r\nHost: a\r\n" + chunks + LAST % b"/5")
            assert (await client.response())[1] == b"ho"
            assert (await client.response())[1] == b""
            assert [scope["path"] for scope in place.scopes] == ["/1", "/2", "/3", "/f", "/g", "/4", "/5"]
            await place.end()

        run(test, loop)


class TestBody:
    def test_arrives_whole_whatever_its_framing(self, loop: str) -> None:
        body = bytes(range(256)) * 8000

        async def test() -> None:
            place = Place(echo)
            client = await place.open()
            client.send(POST % len(body), body)
            assert (await client.response())[1] == body
            client.send(CHUNKED, b"%x\r\n" % len(body), body, b"\r\n0\r\n\r\n")
            assert (await client.response())[1] == body
            await place.end()

        run(test, loop)

    def test_client_that_asks_first_is_told_to_go_on(self, loop: str) -> None:
        async def test() -> None:
            place = Place(echo)
            client = await place.open()
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.send(b"ok")
            assert (await client.response())[1] == b"ok"
            await place.end()

        run(test, loop)

    def test_client_that_asks_first_and_is_refused_sends_nothing(self, loop: str) -> None:
        async def refuse(scope: Any, receive: Any, send: Any) -> None:
            await answer(send, b"no", 413)

        async def test() -> None:
            place = Place(refuse)
            said = await place.ask(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
            assert said.startswith(b"HTTP/1.1 413 ")
            assert b"\r\nconnection: close\r\n" in said
            await place.end()

        run(test, loop)

    def test_that_nobody_reads_is_not_collected(self, loop: str) -> None:
        async def test() -> None:
            gate = asyncio.Event()

            async def wait(scope: Any, receive: Any, send: Any) -> None:
                await gate.wait()
                await answer(send)

            place = Place(wait)
            client = await place.open()
            client.send(POST % 50_000_000)
            client.send(b"x" * 50_000_000)
            await place.wait_scope()
            await asyncio.sleep(0.3)  # it would be there by then
            (exchange,) = place.listener._running
            assert exchange._buffered_bytes < 2_000_000
            gate.set()
            assert (await client.head()).startswith(b"HTTP/1.1 200 ")
            await place.end()

        run(test, loop)

    def test_answer_before_the_end_of_the_body_arrives_although_the_client_goes_on(self, loop: str) -> None:
        async def refuse(scope: Any, receive: Any, send: Any) -> None:
            await answer(send, b"too large", 413)

        async def test() -> None:
            place = Place(refuse)
            client = await place.open()
            client.send(POST % 3_000_000)
            head, body = await client.response()
            assert head.startswith(b"HTTP/1.1 413 ")
            assert body == b"too large"
            for _ in range(20):
                client.send(b"x" * 50_000)
                await client.writer.drain()
            client.writer.write_eof()
            assert await client.rest() == b""
            await place.end()

        run(test, loop)

    @pytest.mark.parametrize("rest", [b"5\r\nhel", b"5\r\nhelloX", b"zz\r\n", b"5\nhello\r\n", b"-1\r\n"])
    def test_that_breaks_off_or_is_broken_is_told_as_a_client_that_left(self, loop: str, rest: bytes) -> None:
        async def test() -> None:
            ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

            async def read(scope: Any, receive: Any, send: Any) -> None:
                while (message := await receive())["type"] == "http.request":
                    assert message["more_body"]
                ended.set_result(message)

            place = Place(read)
            client = await place.open()
            client.send(CHUNKED)
            await client.writer.drain()
            await place.wait_scope()
            client.send(rest)
            client.writer.write_eof()
            assert (await asyncio.wait_for(ended, 5))["type"] == "http.disconnect"
            said = await client.rest()
            assert said == b"" or said.startswith(b"HTTP/1.1 400 ")
            await place.end()

        run(test, loop)


class TestOrder:
    def test_requests_sent_at_once_are_answered_in_order_one_at_a_time(self, loop: str) -> None:
        async def test() -> None:
            running = most = 0

            async def count(scope: Any, receive: Any, send: Any) -> None:
                nonlocal running, most
                running += 1
                most = max(most, running)
                await asyncio.sleep(0)
                await answer(send, scope["raw_path"])
                running -= 1

            place = Place(count)
            client = await place.open()
            client.send(b"".join(GET % b"/%d" % number for number in range(3000)))
            for number in range(3000):
                assert (await client.response())[1] == b"/%d" % number
            # The application may still return after its answer, while the next one begins.
            assert most <= 2
            await place.end()

        run(test, loop)

    def test_thousands_of_requests_at_once_do_not_fill_the_memory(self, loop: str) -> None:
        async def test() -> None:
            gate = asyncio.Event()

            async def wait(scope: Any, receive: Any, send: Any) -> None:
                await gate.wait()
                await answer(send, b"")

            place = Place(wait)
            client = await place.open()
            count = 20_000
            client.send(b"".join(GET % b"/" for _ in range(count)))
            await place.wait_scope()
            await asyncio.sleep(0.05)
            (connection,) = place.listener._connections
            assert len(connection._reader.queue) < 1000
            assert len(connection._held) < 512 * 1024
            gate.set()
            for _ in range(count):
                await client.response()
            await place.end()

        run(test, loop)

    def test_client_that_does_not_read_its_answers_gets_no_more_made(self, loop: str) -> None:
        async def large(scope: Any, receive: Any, send: Any) -> None:
            await answer(send, b"x" * 1_000_000)

        async def test() -> None:
            place = Place(large)
            client = await place.open()
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            client.send(GET % b"/" * 100)
            await asyncio.sleep(0.3)
            assert len(place.scopes) < 20
            client.writer.transport.resume_reading()  # type: ignore[attr-defined]
            for _ in range(100):
                assert len((await client.response())[1]) == 1_000_000
            await place.end()

        run(test, loop)

    def test_rubbish_after_a_request_is_refused_after_its_answer(self, loop: str) -> None:
        async def test() -> None:
            place = Place()
            said = await place.ask(GET % b"/body" + b"RUBBISH\r\n\r\n")
            first, second = said.split(b"/body", 1)
            assert first.startswith(b"HTTP/1.1 200 ")
            assert second.startswith(b"HTTP/1.1 400 ")
            await place.end()

        run(test, loop)

    def test_what_comes_behind_the_last_request_does_not_cost_its_answer(self, loop: str) -> None:
        async def large(scope: Any, receive: Any, send: Any) -> None:
            await answer(send, b"x" * 3_000_000)

        async def test() -> None:
            place = Place(large)
            client = await place.open()
            client.send(LAST % b"/", b"y" * 2_000_000)
            client.writer.write_eof()
            said = await client.rest()
            assert len(said.partition(b"\r\n\r\n")[2]) == 3_000_000
            assert len(place.scopes) == 1
            await place.end()

        run(test, loop)


class TestConnection:
    @pytest.mark.parametrize(
        ("request_head", "stays", "field"),
        [
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True, None),
            (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", False, b"connection: close"),
            (b"GET / HTTP/1.0\r\n\r\n", False, b"connection: close"),
            (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True, b"connection: keep-alive"),
        ],
    )
    def test_stays_open_as_the_client_wants(self, loop: str, request_head: bytes, stays: bool, field: Any) -> None:
        async def test() -> None:
            place = Place()
            client = await place.open()
            client.send(request_head)
            head, _ = await client.response()
            assert (field in head) if field else (b"connection:" not in head)
            if stays:
                client.send(GET % b"/again")
                assert (await client.response())[1] == b"/again"
            else:
                assert await client.rest() == b""
            await place.end()

        run(test, loop)

    def test_application_may_end_it(self, loop: str) -> None:
        async def close(scope: Any, receive: Any, send: Any) -> None:
            await answer(send, headers=[(b"Connection", b"Close"), (b"Transfer-Encoding", b"chunked")])

        async def test() -> None:
            place = Place(close)
            said = await place.ask(GET % b"/")
            assert said.count(b"connection: close") == 1
            assert b"transfer-encoding" not in said.lower()
            assert said.endswith(b"\r\n\r\nok")
            await place.end()

        run(test, loop)

    def test_leaving_client_is_told_to_the_application(self, loop: str) -> None:
        async def test() -> None:
            told = asyncio.Event()

            async def wait(scope: Any, receive: Any, send: Any) -> None:
                assert (await receive())["type"] == "http.request"
                assert (await receive())["type"] == "http.disconnect"
                told.set()
                await asyncio.sleep(0)
                with pytest.raises(OSError, match="left"):
                    await answer(send)

            place = Place(wait)
            client = await place.open()
            client.send(GET % b"/")
            await place.wait_scope()
            client.writer.transport.abort()
            await asyncio.wait_for(told.wait(), 5)
            await place.end()

        run(test, loop)

    def test_client_that_only_ended_its_sending_side_is_answered(self, loop: str) -> None:
        async def slowly(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            assert (await receive())["type"] == "http.disconnect"
            await answer(send, b"late")

        async def test() -> None:
            place = Place(slowly)
            client = await place.open()
            client.send(GET % b"/")
            client.writer.write_eof()
            assert (await client.rest()).endswith(b"late")
            await place.end()

        run(test, loop)
