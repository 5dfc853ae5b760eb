from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

from howdah.errors import ScriptNotFound
from howdah.web import filecache
from howdah.web.filecache import FileCache
from howdah.web.routing import FileRoute
from howdah.web.static import send_file

LONG_AGO_S = 1_600_000_000


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were made just now count as old: their change time cannot be set."""
    monkeypatch.setattr(filecache, "_SETTLED_NS", -1)


def put(file: Path, data: bytes, at: int = LONG_AGO_S) -> None:
    file.write_bytes(data)
    os.utime(file, (at, at))


def ask(
    file: Path, cache: FileCache | None, *headers: tuple[bytes, bytes], method: str = "GET"
) -> tuple[int, Any, bytes]:
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    scope = {"method": method, "headers": list(headers)}
    route = FileRoute(os.fsencode(file), file.stat())
    asyncio.run(send_file(route, scope, receive, send, cache=cache, extra=[(b"x-extra", b"1")]))
    body = b"".join(message["body"] for message in messages[1:])
    return messages[0]["status"], dict(messages[0]["headers"]), body


@pytest.mark.usefixtures("settled")
class TestKeptFile:
    @pytest.mark.parametrize(
        "headers",
        [
            [],
            [(b"range", b"bytes=2-4")],
            [(b"range", b"bytes=0-0,3-5")],
            [(b"range", b"bytes=900-")],
            [(b"if-none-match", b"*")],
            [(b"if-match", b'"other"')],
            [(b"if-modified-since", b"Sun, 06 Nov 2033 08:49:37 GMT")],
        ],
    )
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_is_answered_like_one_that_is_opened(
        self, tmp_path: Path, headers: list[Any], method: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("secrets.token_hex", lambda _: "boundary")
        file, cache = tmp_path / "a.txt", FileCache()
        put(file, b"0123456789")
        plain = ask(file, None, *headers, method=method)
        assert ask(file, cache, *headers, method=method) == plain
        assert ask(file, cache, *headers, method=method) == plain

    def test_is_not_opened_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file, cache = tmp_path / "a.txt", FileCache()
        put(file, b"kept")
        ask(file, cache)
        monkeypatch.setattr(os, "open", None)
        assert ask(file, cache)[2] == b"kept"

    def test_is_dropped_when_it_changes_in_any_way(self, tmp_path: Path) -> None:
        file, cache = tmp_path / "a.txt", FileCache()
        put(file, b"one")
        assert ask(file, cache)[2] == b"one"
        put(file, b"two")  # same size and time of change as before, another inode time
        assert ask(file, cache)[2] == b"two"
        other = tmp_path / "b"
        put(other, b"six")
        other.replace(file)
        assert ask(file, cache)[2] == b"six"
        file.unlink()
        put(file, b"longer")
        assert ask(file, cache)[2] == b"longer"

    def test_that_cannot_be_read_any_more_is_refused(self, tmp_path: Path) -> None:
        file, cache = tmp_path / "a.txt", FileCache()
        put(file, b"one")
        ask(file, cache)
        status = file.stat()
        file.unlink()
        route = FileRoute(os.fsencode(file), os.stat_result((*status[:6], 4, *status[7:])))

        async def send(message: Any) -> None:
            raise AssertionError(message)

        with pytest.raises(ScriptNotFound):
            asyncio.run(send_file(route, {"method": "GET", "headers": []}, send, send, cache=cache))  # type: ignore[arg-type]

    def test_memory_is_bounded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(filecache, "_TOTAL_BYTES", 20_000)
        cache = FileCache()
        for number in range(50):
            file = tmp_path / f"{number}.bin"
            put(file, b"x" * 1000)
            assert ask(file, cache)[2] == b"x" * 1000
        assert len(cache._kept) <= 10
        assert cache._size_bytes <= 20_000
        assert ask(tmp_path / "0.bin", cache)[2] == b"x" * 1000
        for path in list(cache._kept):
            cache._drop(path)
        assert cache._size_bytes == 0

    def test_large_ones_are_not_kept(self, tmp_path: Path) -> None:
        file, cache = tmp_path / "a.bin", FileCache()
        put(file, b"x" * 100_000)
        assert ask(file, cache)[2] == b"x" * 100_000
        assert not cache._kept

    def test_sibling_is_found_again_after_a_moment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file, cache = tmp_path / "a.css", FileCache()
        put(file, b"plain")
        accept = (b"accept-encoding", b"gzip")
        assert ask(file, cache, accept)[2] == b"plain"
        put(tmp_path / "a.css.gz", b"packed")
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + 1.5)
        status, headers, body = ask(file, cache, accept)
        assert (status, headers[b"content-encoding"], body) == (200, b"gzip", b"packed")
        assert ask(file, cache)[1][b"vary"] == b"Accept-Encoding"
        (tmp_path / "a.css.gz").unlink()
        assert ask(file, cache, accept)[2] == b"plain"


def test_file_that_has_just_changed_is_not_kept(tmp_path: Path) -> None:
    file, cache = tmp_path / "a.txt", FileCache()
    file.write_bytes(b"new")
    assert ask(file, cache)[2] == b"new"
    assert not cache._kept
