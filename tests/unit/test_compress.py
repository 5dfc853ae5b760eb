from __future__ import annotations

import asyncio
import gzip
import threading
import zlib
from pathlib import Path
from typing import Any

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard

from howdah.testing.client import Client, ClientResponse
from howdah.web import compress
from howdah.web.compress import LOOP_BYTES, MINIMUM_BYTES, Compress, choose_coding

HTML = (b"content-type", b"text/html; charset=UTF-8")
TEXT = b"compressible text " * 200


def decode(coding: bytes | None, data: bytes) -> bytes:
    if coding == b"zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    if coding == b"br":
        return bytes(brotli.decompress(data))
    return gzip.decompress(data) if coding == b"gzip" else data


def answer(
    *pieces: bytes,
    headers: list[tuple[bytes, bytes]] | None = None,
    status: int = 200,
    accept: bytes = b"zstd, br, gzip",
) -> ClientResponse:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers or [HTML]})
        for number, piece in enumerate(pieces, 1):
            await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces)})

    return asyncio.run(Client(Compress(app)).get("/", [(b"accept-encoding", accept)] if accept else []))


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (b"gzip", b"gzip"),
        (b"gzip, br", b"br"),
        (b"gzip, deflate, br, zstd", b"zstd"),
        (b"zstd;q=0.5, gzip;q=0.9", b"gzip"),
        (b"zstd;q=0, br;q=0, *", b"gzip"),
        (b"GZIP", b"gzip"),
        (b"*;q=0", b""),
        (b"identity", b""),
        (b"deflate", b""),
        (b"", b""),
        (b"gzip" + b" " * 600, b""),
    ],
)
def test_coding_is_chosen_by_quality_then_preference(accept: bytes, coding: bytes) -> None:
    assert choose_coding(accept) == coding


@pytest.mark.parametrize("accept", [b"zstd", b"br", b"gzip"])
@pytest.mark.parametrize("pieces", [[TEXT], [TEXT, b"", b"more"], [b"", b"a", TEXT * 50, b"z"], [TEXT * 50]])
def test_body_survives(accept: bytes, pieces: list[bytes]) -> None:
    response = answer(*pieces, accept=accept)
    assert response.header("content-encoding") == accept
    assert response.header("vary") == b"Accept-Encoding"
    assert decode(accept, response.body) == b"".join(pieces)
    assert response.complete
    length = response.header("content-length")
    assert length == (b"%d" % len(response.body) if len(pieces) == 1 else None)


def test_validators_and_lengths_of_the_original_are_changed() -> None:
    headers = [HTML, (b"etag", b'"abc"'), (b"content-length", b"%d" % len(TEXT)), (b"accept-ranges", b"bytes")]
    response = answer(TEXT, headers=headers)
    assert response.header("etag") == b'W/"abc"'
    assert response.header("accept-ranges") is None
    assert len([value for name, value in response.headers if name == b"content-length"]) == 1


def test_vary_is_not_repeated() -> None:
    response = answer(TEXT, headers=[HTML, (b"vary", b"Cookie, accept-encoding")])
    assert [value for name, value in response.headers if name == b"vary"] == [b"Cookie, accept-encoding"]


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-type", b"image/png")],
        [(b"content-type", b"text/event-stream")],
        [],
        [HTML, (b"content-encoding", b"gzip")],
        [HTML, (b"content-range", b"bytes 0-1/9")],
        [HTML, (b"cache-control", b"public, no-transform")],
        [HTML, (b"content-length", b"10")],
    ],
)
def test_left_alone(headers: list[tuple[bytes, bytes]]) -> None:
    given = headers or [(b"x-a", b"1")]
    response = answer(TEXT, headers=given)
    assert response.headers == given
    assert response.body == TEXT


def test_small_body_and_small_accept_are_left_alone() -> None:
    assert answer(b"x" * (MINIMUM_BYTES - 1)).header("content-encoding") is None
    assert answer(TEXT, accept=b"").header("content-encoding") is None
    assert answer(TEXT, status=206).header("content-encoding") is None


def test_head_is_left_alone() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [HTML, (b"content-length", b"5000")]})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    response = asyncio.run(Client(Compress(app)).request("HEAD", "/", [(b"accept-encoding", b"gzip")]))
    assert response.header("content-length") == b"5000"


@pytest.mark.parametrize("accept", [b"zstd", b"br", b"gzip"])
def test_each_flushed_piece_can_be_decoded_at_once(accept: bytes) -> None:
    response = answer(b"first ", b"second ", b"third", accept=accept)
    decoders: dict[bytes, Any] = {
        b"zstd": lambda: zstandard.ZstdDecompressor().decompressobj().decompress,
        b"br": lambda: brotli.Decompressor().process,
        b"gzip": lambda: zlib.decompressobj(16 + zlib.MAX_WBITS).decompress,
    }
    feed = decoders[accept]()
    assert [feed(piece) for piece in response.pieces] == [b"first ", b"second ", b"third"]


def test_large_pieces_are_encoded_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[bool] = []

    class Spy(compress._Gzip):
        def encode(self, data: bytes, *, last: bool) -> bytes:
            threads.append(threading.current_thread() is threading.main_thread())
            return super().encode(data, last=last)

    monkeypatch.setitem(compress._ENCODERS, b"gzip", Spy)
    answer(b"x" * LOOP_BYTES, accept=b"gzip")
    answer(b"x" * (LOOP_BYTES + 1), accept=b"gzip")
    assert threads == [True, False]


def test_cut_body_stays_cut() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [HTML]})
        await send({"type": "http.response.body", "body": TEXT, "more_body": True})

    assert not asyncio.run(Client(Compress(app)).get("/", [(b"accept-encoding", b"gzip")])).complete


def test_other_scopes_pass() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    asyncio.run(Compress(app)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]


@pytest.mark.parametrize("announced", [600_000, 600_001])
def test_file_is_read_and_encoded(tmp_path: Path, announced: int) -> None:
    file = tmp_path / "large.html"
    file.write_bytes(b"0123456789" * 60_000)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [HTML, (b"content-length", b"%d" % announced)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.pathsend", "path": str(file)})

    response = asyncio.run(Client(Compress(app)).get("/", [(b"accept-encoding", b"br")]))
    assert response.complete == (announced == 600_000)
    if response.complete:
        assert decode(b"br", response.body) == file.read_bytes()
