from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from howdah.errors import ConfigError, EngineStartError, QueueFull, WaitTimeout
from howdah.testing.client import Client, ClientResponse
from howdah.web.asgi import PHPApp, PHPServer
from howdah.web.response import DONE, HEADERS, INTERIM
from tests.unit.fakes import HTML, FakeDispatcher, FakeRuntime, whole


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "index.php").write_text("<?php")
    (tmp_path / "a.php").write_text("<?php")
    (tmp_path / "style.css").write_text("p{}")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "index.php").write_text("<?php")
    return tmp_path


def server(root: Path, events: list[Any] | None = None, **fields: Any) -> tuple[PHPServer, FakeDispatcher]:
    runtime: Any = FakeRuntime(events)
    return PHPServer(root, runtime=runtime, **fields), runtime.the_dispatcher


def ask(app: Any, method: str = "GET", target: str | bytes = "/a.php", *args: Any, **kwargs: Any) -> ClientResponse:
    client_options = {name: kwargs.pop(name) for name in ("root_path", "extensions", "remote") if name in kwargs}

    async def run() -> ClientResponse:
        return await Client(app, **client_options).request(method, target, *args, **kwargs)

    return asyncio.run(run())


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        await asyncio.sleep(0)
        yield part


async def cut_off(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    raise ConnectionResetError


class TestRequest:
    def test_reaches_php_with_its_target_and_address_unchanged(self, root: Path) -> None:
        app, php = server(root)
        response = ask(app, "GET", "/a.php/x%2Fy?q=%20&r", [(b"x-one", b"1")])
        assert (response.status, response.body, response.complete) == (200, b"hello", True)
        request = php.last
        assert request.uri == b"/a.php/x%2Fy?q=%20&r"
        assert request.query == b"q=%20&r"
        assert request.method == "GET"
        assert request.target.script_name == b"/a.php"
        assert request.target.path_info == b"/x/y"
        assert (request.address, request.port) == ("127.0.0.1", 50000)
        assert (b"x-one", b"1") in request.headers
        assert request.endpoint[:4] == (b"testserver", b"80", b"HTTP/1.1", b"http")
        assert php.exchanges[0].closed
        assert php.accepted == 1

    def test_without_client_and_host_is_served(self, root: Path) -> None:
        app, php = server(root)

        async def run() -> ClientResponse:
            client = Client(app, remote=None)
            scope = client._scope("GET", b"/a.php", [])
            scope["raw_path"] = None
            del scope["query_string"]
            from howdah.testing.client import _Exchange

            exchange = _Exchange(b"", None)
            send: Any = exchange.send
            await app(scope, exchange.receive, send)
            return exchange.response

        assert asyncio.run(run()).status == 200
        assert (php.last.address, php.last.port, php.last.endpoint[0]) == ("", 0, b"")

    def test_without_script_is_404_and_not_counted(self, root: Path) -> None:
        (root / "index.php").unlink()
        app, php = server(root)
        response = ask(app, "GET", "/missing.php")
        assert response.status == 404
        assert b"404 Not Found" in response.body
        assert php.accepted == 0

    def test_for_a_file_needs_no_php(self, root: Path) -> None:
        runtime: Any = FakeRuntime(ready=False)
        response = ask(PHPServer(root, runtime=runtime), "GET", "/style.css")
        assert (response.status, response.body) == (200, b"p{}")
        assert response.header("server") == b"Howdah"
        assert runtime.starts == 0

    def test_for_a_folder_is_redirected(self, root: Path) -> None:
        response = ask(server(root)[0], "GET", "/sub?x=1")
        assert response.status == 308
        assert response.header("location") == b"/sub/?x=1"
        assert response.header("server") == b"Howdah"

    def test_with_nul_is_refused(self, root: Path) -> None:
        response = ask(server(root)[0], "GET", "/a.php%00")
        assert response.status == 400
        assert response.header("connection") == b"close"

    @pytest.mark.parametrize("path", ["/", "/style.css", "/missing.php"])
    def test_for_no_script_is_404_in_an_app(self, root: Path, path: str) -> None:
        runtime: Any = FakeRuntime()
        assert ask(PHPApp(root, runtime=runtime), "GET", path).status == 404

    def test_is_refused_with_retry_after_when_the_queue_is_full(self, root: Path) -> None:
        app, php = server(root)
        php.refusal = QueueFull("too many requests wait")
        response = ask(app)
        assert (response.status, response.header("retry-after")) == (503, b"1")
        assert php.rejected == ["queue_full"]

    def test_is_refused_when_it_waited_too_long(self, root: Path) -> None:
        app, _ = server(root, [WaitTimeout("no thread was free")])
        assert ask(app).status == 503

    def test_head_of_a_refusal_has_no_body(self, root: Path) -> None:
        response = ask(server(root)[0], "HEAD", "/a.php%00")
        assert (response.status, response.body) == (400, b"")


class TestMount:
    @pytest.mark.parametrize("target", ["/blog/a.php?x=1", "/a.php?x=1"])
    def test_prefix_is_part_of_names_but_not_of_files(self, root: Path, target: str) -> None:
        app, php = server(root)
        assert ask(app, "GET", target, root_path="/blog").status == 200
        assert php.last.target.script_name == b"/blog/a.php"
        assert php.last.target.script_filename == str(root / "a.php").encode()
        assert php.last.uri == b"/blog/a.php?x=1"

    def test_prefix_may_be_encoded(self, root: Path) -> None:
        app, php = server(root)
        assert ask(app, "GET", "/bl%C3%B6g/a.php", root_path="/blög").status == 200
        assert php.last.target.script_name == "/blög/a.php".encode()
        assert php.last.uri == b"/bl%C3%B6g/a.php"

    def test_prefix_must_end_at_a_slash(self, root: Path) -> None:
        app, php = server(root)
        ask(app, "GET", "/blogger/a.php", root_path="/blog")
        assert php.last.target.script_name == b"/blog/index.php"

    def test_root_of_the_mount_gets_its_slash(self, root: Path) -> None:
        response = ask(server(root)[0], "GET", "/blog", root_path="/blog")
        assert (response.status, response.header("location")) == (308, b"/blog/")


class TestHeaders:
    @pytest.mark.parametrize("value", [b"abc", b"-1", b"+5", b"", b"5, 5", b"9" * 30])
    def test_content_length_must_be_a_number(self, root: Path, value: bytes) -> None:
        app, php = server(root)
        response = ask(app, "POST", "/a.php", [(b"content-length", value)])
        assert response.status == 400
        assert b"invalid" in response.body
        assert php.rejected == ["invalid_request"]

    def test_contradicting_lengths_are_refused_and_equal_ones_made_one(self, root: Path) -> None:
        app, php = server(root)
        lengths = [(b"content-length", b"3"), (b"content-length", b"4")]
        assert ask(app, "POST", "/a.php", lengths, b"abc").status == 400
        assert ask(app, "POST", "/a.php", lengths[:1] * 2, b"abc").status == 200
        assert php.last.headers.count((b"content-length", b"3")) == 1

    def test_second_host_is_refused(self, root: Path) -> None:
        assert ask(server(root)[0], "GET", "/a.php", [(b"host", b"a"), (b"host", b"a")]).status == 400

    def test_other_names_may_repeat(self, root: Path) -> None:
        app, php = server(root)
        assert ask(app, "GET", "/a.php", [(b"cookie", b"a=1"), (b"cookie", b"b=2")]).status == 200
        assert [value for name, value in php.last.headers if name == b"cookie"] == [b"a=1", b"b=2"]

    def test_chunked_wins_over_length(self, root: Path) -> None:
        app, php = server(root)
        headers = [(b"transfer-encoding", b"chunked"), (b"content-length", b"99")]
        assert ask(app, "POST", "/a.php", headers, pieces(b"abc", b"d")).status == 200
        assert php.last.body == b"abcd"
        assert b"content-length" not in dict(php.last.headers)


class TestBody:
    def test_small_one_stays_in_memory(self, root: Path) -> None:
        app, php = server(root)
        assert ask(app, "POST", "/a.php", (), b"a=1").status == 200
        assert (php.last.body, php.last.spooled) == (b"a=1", False)

    def test_large_one_is_spooled(self, root: Path) -> None:
        app, php = server(root)
        body = bytes(range(256)) * 1000
        assert ask(app, "POST", "/a.php", (), body).status == 200
        assert php.last.spooled
        assert php.last.body == body

    def test_too_large_one_is_refused_before_it_is_read(self, root: Path) -> None:
        app, php = server(root, max_body_size_bytes=10)
        response = ask(app, "POST", "/a.php", (), b"x" * 11)
        assert (response.status, response.header("connection")) == (413, b"close")
        assert php.rejected == ["body_too_large"]

    def test_truncated_one_is_never_executed(self, root: Path) -> None:
        app, php = server(root)
        response = ask(app, "POST", "/a.php", [(b"content-length", b"10")], cut_off(b"abc"))
        assert response.status == 0
        assert (php.accepted, php.aborted, php.exchanges) == (1, 1, [])

    def test_shorter_than_announced_is_never_executed(self, root: Path) -> None:
        app, php = server(root)
        ask(app, "POST", "/a.php", [(b"content-length", b"10")], pieces(b"abc"))
        assert (php.aborted, php.exchanges) == (1, [])

    def test_longer_than_announced_is_refused(self, root: Path) -> None:
        app, php = server(root)
        assert ask(app, "POST", "/a.php", [(b"content-length", b"2")], pieces(b"abc")).status == 400
        assert php.exchanges == []

    def test_cancelled_request_is_counted(self, root: Path) -> None:
        app, php = server(root)

        async def stalled() -> AsyncIterator[bytes]:
            yield b"a"
            await asyncio.sleep(100)

        async def run() -> None:
            task = asyncio.ensure_future(Client(app).request("POST", "/a.php", [(b"content-length", b"9")], stalled()))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(run())
        assert (php.accepted, php.aborted) == (1, 1)

    def test_silent_client_gets_408(self, root: Path) -> None:
        app, php = server(root, request_body_timeout_s=0.02)

        async def stalled() -> AsyncIterator[bytes]:
            yield b"a"
            await asyncio.sleep(100)

        response = ask(app, "POST", "/a.php", [(b"content-length", b"9")], stalled())
        assert (response.status, response.header("connection")) == (408, b"close")
        assert php.rejected == ["body_timeout"]


class TestStreamedBody:
    def test_is_fed_while_the_script_runs(self, root: Path) -> None:
        app, php = server(root, ["until fed", *whole(b"done")], request_buffering=False)
        php.full_after = 2
        response = ask(app, "POST", "/a.php", [(b"content-length", b"6")], pieces(b"ab", b"cd", b"ef"))
        assert response.body == b"done"
        assert (php.last.fed, php.last.fed_complete) == ([b"ab", b"cd", b"ef"], True)
        assert php.exchanges[0].writable_waits == 1

    def test_that_is_cut_off_is_told_and_aborts(self, root: Path) -> None:
        app, php = server(root, ["until fed", *whole(b"done")], request_buffering=False)
        ask(app, "POST", "/a.php", [(b"content-length", b"6")], cut_off(b"ab"))
        assert php.last.fed_complete is False
        assert php.exchanges[0].aborted.is_set()

    def test_that_is_too_large_ends_incomplete(self, root: Path, caplog: pytest.LogCaptureFixture) -> None:
        app, php = server(root, ["until fed", *whole(b"")], request_buffering=False, max_body_size_bytes=3)
        ask(app, "POST", "/a.php", [(b"transfer-encoding", b"chunked")], pieces(b"ab", b"cd"))
        assert php.last.fed_complete is False
        assert "a part of the request body" in caplog.text


class TestResponse:
    def test_gets_length_and_server(self, root: Path) -> None:
        response = ask(server(root)[0])
        assert response.header("content-length") == b"5"
        assert response.header("server") == b"Howdah"
        assert response.pieces == [b"hello"]

    def test_keeps_repeated_headers_and_the_scripts_server(self, root: Path) -> None:
        events = whole(b"x", (b"set-cookie", b"a=1"), (b"server", b"Mine"), (b"set-cookie", b"b=2"))
        response = ask(server(root, events)[0])
        assert response.headers[:3] == [(b"set-cookie", b"a=1"), (b"server", b"Mine"), (b"set-cookie", b"b=2")]
        assert len([name for name, _ in response.headers if name == b"server"]) == 1

    def test_loses_headers_of_the_connection(self, root: Path) -> None:
        events = whole(b"x", (b"transfer-encoding", b"chunked"), (b"connection", b"close"), (b"x-a", b"1"))
        names = {name for name, _ in ask(server(root, events)[0]).headers}
        assert names == {b"x-a", b"server", b"content-length"}

    @pytest.mark.parametrize("status", [204, 304])
    def test_without_body_has_none(self, root: Path, status: int) -> None:
        response = ask(server(root, whole(b"text", (b"content-length", b"4"), status=status))[0])
        assert (response.status, response.body, response.complete) == (status, b"", True)
        assert response.header("content-length") is None

    def test_head_keeps_the_announced_length_only(self, root: Path) -> None:
        response = ask(server(root, whole(b"", (b"content-length", b"77")))[0], "HEAD")
        assert (response.body, response.header("content-length"), response.complete) == (b"", b"77", True)
        assert ask(server(root, whole(b""))[0], "HEAD").header("content-length") is None

    def test_shorter_than_announced_is_cut(self, root: Path, caplog: pytest.LogCaptureFixture) -> None:
        response = ask(server(root, whole(b"short", (b"content-length", b"9")))[0])
        assert (response.body, response.complete) == (b"short", False)
        assert "announced 9 bytes and sent 5" in caplog.text

    def test_longer_than_announced_loses_the_rest(self, root: Path, caplog: pytest.LogCaptureFixture) -> None:
        response = ask(server(root, whole(b"longer", (b"content-length", b"4")))[0])
        assert (response.body, response.header("content-length"), response.complete) == (b"long", b"4", True)
        assert "more than the 4 bytes" in caplog.text

    def test_invalid_length_is_replaced(self, root: Path) -> None:
        assert ask(server(root, whole(b"x", (b"content-length", b"abc")))[0]).header("content-length") == b"1"

    @pytest.mark.parametrize(
        ("announced", "complete", "body"),
        [(None, True, b"abc"), (3, True, b"abc"), (4, False, b"abc"), (2, True, b"ab")],
    )
    def test_in_pieces_leaves_as_it_comes(self, root: Path, announced: int | None, complete: bool, body: bytes) -> None:
        headers = [HTML, *([(b"content-length", b"%d" % announced)] if announced else [])]
        events = [(HEADERS, 200, headers, b"a"), (0, 0, None, b"b"), (DONE, 0, None, b"c")]
        response = ask(server(root, events)[0])
        assert (response.body, response.complete) == (body, complete)
        assert len(response.pieces) == 3
        assert response.header("content-length") == (b"%d" % announced if announced else None)

    def test_that_php_could_not_complete_is_cut(self, root: Path) -> None:
        events = ["slow", (HEADERS, 200, [HTML], b"a"), "until abort", (DONE, 0, None, b"")]
        app, php = server(root, events)

        async def run() -> ClientResponse:
            task = asyncio.ensure_future(Client(app).request("GET", "/a.php"))
            await asyncio.sleep(0.01)
            php.last.complete = False
            php.exchanges[0].abort()
            return await task

        assert not asyncio.run(run()).complete

    def test_early_hints_reach_servers_that_can_send_them(self, root: Path) -> None:
        hint = (INTERIM, 103, [(b"link", b"</a.css>; rel=preload"), (b"x-b", b"1")], b"")
        events = [hint, (INTERIM, 102, [], b""), *whole(b"final")]
        response = ask(server(root, events)[0], extensions=["http.response.early_hint"])
        assert response.interim == [[b"</a.css>; rel=preload"]]
        assert response.body == b"final"
        assert ask(server(root, events)[0]).interim == []

    def test_fast_one_starts_no_watcher(self, root: Path) -> None:
        app, _ = server(root)

        async def run() -> int:
            await Client(app).request("GET", "/a.php")
            return len(asyncio.all_tasks())

        assert asyncio.run(run()) == 1

    def test_disconnect_of_a_slow_one_is_told_to_php(self, root: Path) -> None:
        app, php = server(root, ["slow", "until abort", *whole(b"late")])
        ask(app, leaves_after_s=0.01)
        assert php.exchanges[0].aborted.is_set()
        assert php.exchanges[0].closed

    def test_server_that_says_the_client_left_ends_the_request(
        self, root: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, "howdah.web")
        app, php = server(root)

        async def run() -> None:
            scope = Client(app)._scope("GET", b"/a.php", [])

            async def send(message: Any) -> None:
                raise OSError("gone")

            async def receive() -> Any:
                return {"type": "http.disconnect"}

            await app(scope, receive, send)

        asyncio.run(run())
        assert php.exchanges[0].closed
        assert "gone" in caplog.text


class TestLife:
    def test_lifespan_starts_and_stops_what_it_started(self, root: Path) -> None:
        runtime: Any = FakeRuntime(ready=False)

        async def run() -> None:
            async with Client(PHPServer(root, runtime=runtime)) as client:
                assert runtime.ready
                assert (await client.get("/a.php")).status == 200

        asyncio.run(run())
        assert (runtime.starts, runtime.stops) == (1, 1)

    def test_lifespan_leaves_a_running_runtime_alone(self, root: Path) -> None:
        runtime: Any = FakeRuntime(ready=True)

        async def run() -> None:
            async with Client(PHPServer(root, runtime=runtime)):
                pass

        asyncio.run(run())
        assert (runtime.starts, runtime.stops) == (0, 0)

    def test_failed_start_is_told_to_the_server(self, root: Path) -> None:
        runtime: Any = FakeRuntime(ready=False)
        runtime.start_errors = [EngineStartError("bad ini")]

        async def run() -> None:
            async with Client(PHPServer(root, runtime=runtime)):
                pass

        with pytest.raises(RuntimeError, match="bad ini"):
            asyncio.run(run())

    def test_first_requests_start_php_once(self, root: Path) -> None:
        runtime: Any = FakeRuntime(ready=False)
        app = PHPServer(root, runtime=runtime)

        async def run() -> list[ClientResponse]:
            return await asyncio.gather(*(Client(app).get("/a.php") for _ in range(20)))

        assert {response.status for response in asyncio.run(run())} == {200}
        assert runtime.starts == 1

    def test_failed_start_is_500_and_tried_again(self, root: Path, caplog: pytest.LogCaptureFixture) -> None:
        runtime: Any = FakeRuntime(ready=False)
        runtime.start_errors = [EngineStartError("bad ini")]
        app = PHPServer(root, runtime=runtime)
        assert ask(app).status == 500
        assert "bad ini" in caplog.text
        assert ask(app).status == 200

    def test_each_event_loop_gets_its_dispatcher(self, root: Path) -> None:
        app, php = server(root)
        assert [ask(app).status, ask(app).status] == [200, 200]
        assert php.accepted == 2

    def test_websocket_is_closed(self, root: Path) -> None:
        app, _ = server(root)
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(app({"type": "websocket", "path": "/a.php"}, receive, send))
        assert sent[0]["type"] == "websocket.close"

    def test_wrong_settings_are_errors(self, root: Path) -> None:
        runtime: Any = FakeRuntime()
        with pytest.raises(ConfigError, match="does not exist"):
            PHPServer(root / "none", runtime=runtime)
        with pytest.raises(TypeError, match="roof"):
            PHPServer(root, runtime=runtime, roof=1)
