from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from howdah.errors import BodyTimeout, BodyTooLarge, ClientDisconnected, InvalidRequest, SpoolFull
from howdah.web.body import MEMORY_BYTES, UNKNOWN, BodyLimits, SpooledBody, receive_body, spool_folder, wait_disconnect


def limits(tmp_path: Path, max_size_bytes: int = 0, timeout_s: float = 5.0) -> BodyLimits:
    return BodyLimits(max_size_bytes, timeout_s, str(tmp_path))


class Sender:
    """``receive`` of a client that sends these pieces; None disconnects, a float is a pause."""

    def __init__(self, *pieces: bytes | float | None) -> None:
        self._pieces = list(pieces)
        self.calls = 0

    async def __call__(self) -> dict[str, Any]:
        self.calls += 1
        while self._pieces and isinstance(self._pieces[0], float):
            pause_s = self._pieces.pop(0)
            assert isinstance(pause_s, float)
            await asyncio.sleep(pause_s)
        if not self._pieces:
            return {"type": "http.request", "body": b"", "more_body": False}
        piece = self._pieces.pop(0)
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": bool(self._pieces)}


def receive(sender: Sender, expected: int, how: BodyLimits) -> bytes | SpooledBody:
    return asyncio.run(receive_body(sender, expected, how))


def content(body: bytes | SpooledBody) -> bytes:
    if isinstance(body, bytes):
        return body
    try:
        return os.pread(body.fd, body.size_bytes + 1, 0)
    finally:
        body.close()


def test_one_piece_is_given_as_it_came(tmp_path: Path) -> None:
    piece = b"a=1"
    assert receive(Sender(piece), 3, limits(tmp_path)) is piece


def test_small_pieces_are_joined_in_memory(tmp_path: Path) -> None:
    assert receive(Sender(b"a", b"", b"b"), UNKNOWN, limits(tmp_path)) == b"ab"
    assert isinstance(receive(Sender(b"x" * MEMORY_BYTES), MEMORY_BYTES, limits(tmp_path)), bytes)


@pytest.mark.parametrize("size", [MEMORY_BYTES + 1, 300_000, 3_000_000])
def test_larger_ones_go_to_an_unlinked_file(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    parts = [data[start : start + 10_000] for start in range(0, size, 10_000)]
    body = receive(Sender(*parts), size, limits(tmp_path))
    assert isinstance(body, SpooledBody)
    assert body.size_bytes == size
    assert list(tmp_path.iterdir()) == []
    assert content(body) == data


def test_many_tiny_pieces_are_written_together(tmp_path: Path) -> None:
    body = receive(Sender(*[b"abc"] * 100_000), 300_000, limits(tmp_path))
    assert content(body) == b"abc" * 100_000


def test_announced_too_large_is_refused_unread(tmp_path: Path) -> None:
    sender = Sender(b"x")
    with pytest.raises(BodyTooLarge):
        receive(sender, 11, limits(tmp_path, 10))
    assert sender.calls == 0


def test_found_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BodyTooLarge):
        receive(Sender(b"x" * 6, b"x" * 6), UNKNOWN, limits(tmp_path, 10))


def test_longer_than_announced_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="invalid"):
        receive(Sender(b"abc"), 2, limits(tmp_path))


@pytest.mark.parametrize("sender", [Sender(b"a", None), Sender(b"a"), Sender(None), Sender()])
def test_truncated_is_a_disconnect(tmp_path: Path, sender: Sender) -> None:
    with pytest.raises(ClientDisconnected):
        receive(sender, 5, limits(tmp_path))


def test_truncated_after_spooling_leaves_no_descriptor(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(ClientDisconnected):
        receive(Sender(b"x" * 300_000, b"y", None), UNKNOWN, limits(tmp_path))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_silence_is_bounded_and_not_the_whole_upload(tmp_path: Path) -> None:
    with pytest.raises(BodyTimeout):
        receive(Sender(b"a", 5.0, b"b"), 2, limits(tmp_path, timeout_s=0.05))
    slow = Sender(b"a", 0.03, b"b", 0.03, b"c", 0.03, b"d")
    assert receive(slow, 4, limits(tmp_path, timeout_s=0.06)) == b"abcd"


def test_no_timeout_waits(tmp_path: Path) -> None:
    assert receive(Sender(b"a", 0.02, b"b"), 2, limits(tmp_path, timeout_s=0.0)) == b"ab"


def test_cancelling_from_outside_is_no_timeout(tmp_path: Path) -> None:
    async def run() -> None:
        task = asyncio.ensure_future(receive_body(Sender(b"a", 5.0, b"b"), 2, limits(tmp_path)))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_full_disk_is_a_refusal_and_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    def full(fd: int, pieces: list[bytes]) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "writev", full)
    with pytest.raises(SpoolFull):
        receive(Sender(b"x" * 70_000), 70_000, limits(tmp_path))
    assert os.strerror(number) in caplog.text


def test_missing_folder_is_a_refusal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SpoolFull):
        receive(Sender(b"x" * 70_000), 70_000, limits(tmp_path / "none"))
    assert "No such file" in caplog.text


def test_partial_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.writev
    monkeypatch.setattr(os, "writev", lambda fd, pieces: real(fd, [b"".join(pieces)[:1000]]))
    data = os.urandom(200_000)
    assert content(receive(Sender(data[:90_000], data[90_000:]), 200_000, limits(tmp_path))) == data


def test_spool_folder_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOWDAH_SPOOL_DIR", "/somewhere")
    assert spool_folder() == "/somewhere"
    monkeypatch.setenv("HOWDAH_SPOOL_DIR", "")
    assert Path(spool_folder()).is_dir()


class Exchange:
    def __init__(self) -> None:
        self.request: Any = None
        self.aborts = 0

    async def wait_writable(self) -> None: ...

    def abort(self) -> None:
        self.aborts += 1


def test_disconnect_is_told_once() -> None:
    exchange = Exchange()
    asyncio.run(wait_disconnect(Sender(b"", None), exchange))
    assert exchange.aborts == 1


def test_middleware_that_repeats_the_end_is_not_asked_for_ever() -> None:
    exchange = Exchange()
    sender = Sender()

    async def run() -> None:
        task = asyncio.ensure_future(wait_disconnect(sender, exchange))
        await asyncio.sleep(0.02)
        task.cancel()

    asyncio.run(run())
    assert sender.calls == 2
    assert exchange.aborts == 0
