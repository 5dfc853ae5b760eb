"""Files over ASGI: heads, validators, ranges, and what happens when files or clients change underway."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from howdah.errors import Forbidden, ScriptNotFound
from howdah.web import static
from howdah.web.routing import FileRoute
from howdah.web.static import Message, send_file

TEXT = bytes(range(256)) * 4
Hook = Callable[[Message], None]


class Answer:
    """What an ASGI application sent."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        headers = self.messages[0]["headers"]
        assert len(dict(headers)) == len(headers)
        return dict(headers)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])

    def check(self, method: str) -> None:
        assert [message["type"] for message in self.messages[:1]] == ["http.response.start"]
        flags = [message.get("more_body", False) for message in self.messages[1:]]
        assert flags
        assert flags == [True] * (len(flags) - 1) + [False]
        if self.status in {204, 304} or method == "HEAD":
            assert self.body == b""
        elif self.messages[1]["type"] == "http.response.body":
            assert self.headers[b"content-length"] == b"%d" % len(self.body)


def get(
    path: Path,
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    extensions: Mapping[str, Any] | None = None,
    hook: Hook | None = None,
) -> Answer:
    answer = Answer()

    async def receive() -> Message:
        if not answer.messages:
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        answer.messages.append(message)
        if hook is not None:
            hook(message)

    wire = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "method": method, "headers": wire, "extensions": extensions}
    route = FileRoute(os.fsencode(path), path.stat() if path.exists() else Path().stat())
    asyncio.run(send_file(route, scope, receive, send))
    answer.check(method)
    return answer


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data.bin"
    path.write_bytes(TEXT)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def test_a_file_is_sent_with_its_validators(file: Path) -> None:
    answer = get(file)
    assert answer.status == 200
    assert answer.body == TEXT
    assert answer.headers == {
        b"content-type": b"application/octet-stream",
        b"content-length": b"1024",
        b"etag": b'"%x-400"' % file.stat().st_mtime_ns,
        b"last-modified": b"Tue, 14 Nov 2023 22:13:20 GMT",
        b"accept-ranges": b"bytes",
    }


def test_head_has_the_same_head_and_no_body(file: Path) -> None:
    assert get(file, method="HEAD").headers == get(file).headers
    assert get(file, {"Range": "bytes=0-1"}, method="HEAD").status == 200


def test_an_empty_file_is_a_complete_answer(tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.touch()
    assert get(empty).headers[b"content-length"] == b"0"
    assert get(empty, {"Range": "bytes=0-"}).status == 416


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
def test_other_methods_are_not_allowed(file: Path, method: str) -> None:
    answer = get(file, method=method)
    assert answer.status == 405
    assert answer.headers[b"allow"] == b"GET, HEAD, OPTIONS"


def test_options_lists_the_methods(file: Path) -> None:
    answer = get(file, method="OPTIONS")
    assert answer.status == 204
    assert answer.headers == {b"allow": b"GET, HEAD, OPTIONS"}


def test_an_unchanged_file_is_not_sent_again(file: Path) -> None:
    head = get(file).headers
    for name, key in (("If-None-Match", b"etag"), ("If-Modified-Since", b"last-modified")):
        for method in ("GET", "HEAD"):
            answer = get(file, {name: head[key].decode()}, method=method)
            assert answer.status == 304
            assert answer.headers[b"etag"] == head[b"etag"]
            assert b"content-length" not in answer.headers


def test_a_failed_precondition_is_412(file: Path) -> None:
    assert get(file, {"If-Match": '"other"'}).status == 412


def test_repeated_validator_fields_are_one_list(file: Path) -> None:
    tag = get(file).headers[b"etag"]
    scope = {"method": "GET", "headers": [(b"if-none-match", b'"x"'), (b"if-none-match", tag)]}
    assert static._wanted_headers(scope) == {b"if-none-match": b'"x", ' + tag}


def test_one_range_is_partial_content(file: Path) -> None:
    answer = get(file, {"Range": "bytes=100-199"})
    assert answer.status == 206
    assert answer.body == TEXT[100:200]
    assert answer.headers[b"content-range"] == b"bytes 100-199/1024"
    assert get(file, {"Range": "bytes=-24"}).body == TEXT[1000:]


def test_several_ranges_are_multipart(file: Path) -> None:
    answer = get(file, {"Range": "bytes=0-1,1000-"})
    assert answer.status == 206
    kind, _, boundary = answer.headers[b"content-type"].partition(b"; boundary=")
    assert kind == b"multipart/byteranges"
    parts = answer.body.split(b"\r\n--" + boundary)
    assert parts[0] == b""
    assert parts[3] == b"--\r\n"
    head = b"\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes "
    assert parts[1] == head + b"0-1/1024\r\n\r\n" + TEXT[:2]
    assert parts[2] == head + b"1000-1023/1024\r\n\r\n" + TEXT[1000:]


def test_a_range_behind_the_end_is_416(file: Path) -> None:
    answer = get(file, {"Range": "bytes=5000-"})
    assert answer.status == 416
    assert answer.headers[b"content-range"] == b"bytes */1024"


@pytest.mark.parametrize("value", ["bytes=x", "lines=1-2", "bytes=0-1023,0-1023"])
def test_a_senseless_range_is_the_whole_file(file: Path, value: str) -> None:
    assert get(file, {"Range": value}).status == 200


def test_if_range_of_another_version_is_the_whole_file(file: Path) -> None:
    tag = get(file).headers[b"etag"].decode()
    assert get(file, {"Range": "bytes=0-1", "If-Range": tag}).status == 206
    assert get(file, {"Range": "bytes=0-1", "If-Range": '"old"'}).status == 200


def test_a_precompressed_sibling_is_sent_under_its_own_tag(tmp_path: Path) -> None:
    script = tmp_path / "app.js"
    script.write_text("plain")
    (tmp_path / "app.js.br").write_bytes(b"\x0bbrotli")
    plain, packed = get(script), get(script, {"Accept-Encoding": "gzip, br"})
    assert plain.body == b"plain"
    assert b"content-encoding" not in plain.headers
    assert packed.body == b"\x0bbrotli"
    assert packed.headers[b"content-encoding"] == b"br"
    assert packed.headers[b"content-type"] == b"text/javascript; charset=utf-8"
    assert plain.headers[b"vary"] == packed.headers[b"vary"] == b"Accept-Encoding"
    assert plain.headers[b"etag"] != packed.headers[b"etag"]
    tag = packed.headers[b"etag"].decode()
    unchanged = get(script, {"Accept-Encoding": "br", "If-None-Match": tag})
    assert unchanged.status == 304
    assert unchanged.headers[b"vary"] == b"Accept-Encoding"
    assert get(script, {"If-None-Match": tag}).status == 200


def test_a_large_file_goes_out_in_pieces(tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    content = os.urandom(3 * 1024 * 1024 + 17)
    large.write_bytes(content)
    answer = get(large)
    assert answer.body == content
    assert max(len(message["body"]) for message in answer.messages[1:]) <= 256 * 1024
    assert get(large, {"Range": "bytes=1000000-2999999"}).body == content[1000000:3000000]


def test_a_replaced_file_does_not_harm_a_running_answer(tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    content = os.urandom(1024 * 1024)
    large.write_bytes(content)

    def replace(_: Message) -> None:
        other = tmp_path / "other"
        other.write_bytes(b"short")
        other.rename(large)

    assert get(large, hook=replace).body == content


def test_a_shrinking_file_cuts_the_answer(tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(1024 * 1024))
    with pytest.raises(OSError, match="shrank"):
        get(large, hook=lambda _: os.truncate(large, 10))


def test_a_growing_file_is_sent_as_announced(tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(300_000))

    def grow(_: Message) -> None:
        with large.open("ab") as out:
            out.write(b"more")

    assert get(large, hook=grow).body == bytes(300_000)


def test_reads_work_without_help_of_the_page_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = tmp_path / "large.bin"
    content = os.urandom(500_000)
    large.write_bytes(content)
    monkeypatch.setattr(static, "_NO_WAIT", 0)
    assert get(large).body == content


def test_a_read_that_would_block_happens_in_a_thread(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def would_block(*_: object) -> int:
        raise BlockingIOError(errno.EAGAIN, "would block")

    monkeypatch.setattr(os, "preadv", would_block)
    assert get(file).body == TEXT


def test_a_failing_disk_cuts_the_answer(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "disk")

    monkeypatch.setattr(os, "preadv", fail)
    with pytest.raises(OSError, match="disk"):
        get(file)


def test_a_receive_that_repeats_itself_does_no_harm(tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(2 * 1024 * 1024))
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)
        await asyncio.sleep(0)

    scope = {"type": "http", "method": "GET", "headers": []}
    asyncio.run(send_file(FileRoute(os.fsencode(large), large.stat()), scope, receive, send))
    assert sum(len(message["body"]) for message in sent[1:]) == 2 * 1024 * 1024


def test_a_large_whole_file_is_left_to_a_server_that_can_send_paths(tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(500_000))
    extensions: dict[str, Any] = {"http.response.pathsend": {}}
    answer = get(large, extensions=extensions)
    assert answer.messages[1:] == [{"type": "http.response.pathsend", "path": str(large)}]
    assert answer.headers[b"content-length"] == b"500000"
    assert get(large, {"Range": "bytes=0-9"}, extensions=extensions).body == bytes(10)
    assert get(large, method="HEAD", extensions=extensions).body == b""
    large.write_bytes(b"small")
    assert get(large, extensions=extensions).body == b"small"


def test_a_name_that_is_no_text_is_not_sent_as_a_path(tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.bin"))
    odd.write_bytes(bytes(500_000))
    assert get(odd, extensions={"http.response.pathsend": {}}).body == bytes(500_000)


def test_sending_stops_when_the_client_left(tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(20 * 1024 * 1024))
    sent: list[Message] = []
    left = asyncio.Event()

    async def receive() -> Message:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)
        if len(sent) == 3:
            left.set()
        await asyncio.sleep(0)

    scope = {"type": "http", "method": "GET", "headers": []}
    asyncio.run(send_file(FileRoute(os.fsencode(large), large.stat()), scope, receive, send))
    assert len(sent) < 10


def test_a_file_that_disappeared_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ScriptNotFound):
        get(tmp_path / "gone.txt")


def test_a_file_replaced_by_something_else_is_not_found(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo"):
        with pytest.raises(ScriptNotFound):
            get(path)


def test_an_unreadable_file_is_forbidden(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(Forbidden):
        get(file)


def test_no_file_descriptor_is_left_open(file: Path) -> None:
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 - names only
    for headers in ({}, {"Range": "bytes=0-1,5-6"}, {"Range": "bytes=9999-"}, {"If-Match": '"x"'}):
        get(file, headers)
    assert len(os.listdir("/proc/self/fd")) == len(before)  # noqa: PTH208 - names only
