"""Whatever bytes come in whatever pieces: the connection survives, and sees the requests that another parser sees."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from howdah.serve.http1.connection import Connection, Phase
from howdah.serve.http1.listener import Http1Listener
from howdah.serve.options import ListenerOptions

LIMIT_BYTES = 4096
METHODS = st.sampled_from([b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"FOO", b"get"])
TARGETS = st.sampled_from([b"/", b"/a?b", b"/%00", b"*", b"http://h/x", b"//", b"/" + b"x" * 300, b"x", b""])
VERSIONS = st.sampled_from([b"HTTP/1.1"] * 8 + [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.2", b""])
FIELDS = st.sampled_from(
    [
        b"Host: a",
        b"Content-Length: 0",
        b"Content-Length: 3",
        b"Content-Length: 03",
        b"Content-Length: +3",
        b"Content-Length: 3, 3",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: Chunked",
        b"Transfer-Encoding:\tchunked ",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding : chunked",
        b" Transfer-Encoding: chunked",
        b"Connection: close",
        b"Connection: keep-alive, upgrade",
        b"Upgrade: h2c",
        b"Expect: 100-continue",
        b"X: " + b"y" * 500,
        b"X:\x00",
        b"X: a\rb",
        b": empty",
    ]
)
BODIES = st.sampled_from(
    [
        b"",
        b"abc",
        b"3\r\nabc\r\n0\r\n\r\n",
        b"3;e=1\r\nabc\r\n0\r\nT: 1\r\n\r\n",
        b"0\r\n\r\n",
        b"3\nabc\n0\n\n",
        b"ffffffffffffffffff\r\n",
    ]
)
ENDS = st.sampled_from([b"\r\n"] * 12 + [b"\n", b"\r"])


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    end = draw(ENDS)
    fields = [b"Host: a", *draw(st.lists(FIELDS, max_size=3))]
    line = b" ".join([draw(METHODS), draw(TARGETS), draw(VERSIONS)])
    return line + end + b"".join(field + end for field in fields) + end + draw(BODIES)


STREAMS = st.lists(messages(), min_size=1, max_size=4).map(b"".join)


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}.get(name)

    def write(self, data: Any) -> None:
        assert not self.closed
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        self.closed = True

    abort = close


async def _serve(pieces: list[bytes]) -> tuple[list[tuple[str, bytes, bytes]], Transport, Connection]:
    """Feed a connection; gives method, target and body of each request that was read to its end."""
    seen: list[tuple[str, bytes, bytes]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            if not message["more_body"]:
                break
        query = b"?" + scope["query_string"] if scope["query_string"] else b""
        seen.append((scope["method"], scope["raw_path"] + query, body))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    listener = Http1Listener(app, None, ListenerOptions(10, max_header_size_bytes=LIMIT_BYTES))  # type: ignore[arg-type]
    listener.loop = asyncio.get_running_loop()
    listener._serving = listener.loop.create_future()
    listener._is_closed = True  # there is no socket
    connection, transport = Connection(listener), Transport()
    connection.connection_made(transport)
    for piece in pieces:
        if transport.closed:
            break
        connection.data_received(piece)
        for _ in range(4):
            await asyncio.sleep(0)
    for _ in range(40):
        await asyncio.sleep(0)
    connection.connection_lost(None)
    for _ in range(10):
        await asyncio.sleep(0)
    assert not listener._running, "every application has been told the end"
    if listener._sweeper is not None:
        listener._sweeper.cancel()
    return seen, transport, connection


def serve(pieces: list[bytes]) -> tuple[list[tuple[str, bytes, bytes]], Transport, Connection]:
    return asyncio.run(_serve(pieces))


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True) if start < end]


def judge(data: bytes) -> tuple[list[tuple[str, bytes, bytes]], bool]:
    """Give the requests that another parser reads to their end, and whether it then refuses what follows."""
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=65536)
    parser.receive_data(data)
    seen: list[tuple[str, bytes, bytes]] = []
    request, body = None, b""
    try:
        while True:
            event = parser.next_event()
            if isinstance(event, h11.Request):
                request, body = event, b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                seen.append((request.method.decode(), request.target, body))
                if parser.their_state is h11.MUST_CLOSE:
                    return seen, False
                parser.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                parser.send(h11.EndOfMessage())
                if parser.our_state is not h11.DONE or parser.their_state is not h11.DONE:
                    return seen, False
                parser.start_next_cycle()
            else:
                return seen, False
    except h11.RemoteProtocolError:
        return seen, True


@settings(max_examples=300, deadline=None)
@given(data=STREAMS, cuts=st.lists(st.integers(0, 5000), max_size=8))
def test_pieces_do_not_matter(data: bytes, cuts: list[int]) -> None:
    pieces = split(data, cuts)
    whole, _, _ = serve([data])
    assert serve(pieces)[0][: len(whole)] == whole[: len(serve(pieces)[0])]


@settings(max_examples=300, deadline=None)
@given(data=STREAMS, cuts=st.lists(st.integers(0, 5000), max_size=4))
def test_no_request_is_seen_that_another_parser_does_not_see(data: bytes, cuts: list[int]) -> None:
    seen, _, _ = serve(split(data, cuts))
    expected, _ = judge(data)
    for ours, theirs in zip(seen, expected, strict=False):
        assert (ours[0], ours[2]) == (theirs[0], theirs[2])
    # What the other one takes for the end of the requests, or refuses, hides no request for us.
    assert len(seen) <= len(expected)


@settings(max_examples=200, deadline=None)
@given(pieces=st.lists(st.binary(max_size=300), max_size=6))
def test_any_bytes_do_no_harm(pieces: list[bytes]) -> None:
    seen, transport, connection = serve(pieces)
    assert connection._phase is Phase.CLOSED
    assert transport.written.startswith(b"HTTP/1.1 ") or not transport.written
    assert len(seen) <= transport.written.count(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("size", [LIMIT_BYTES * 3, LIMIT_BYTES * 20])
@pytest.mark.parametrize("piece", [1, 100, 100_000])
def test_a_head_without_end_is_refused(size: int, piece: int) -> None:
    data = b"GET / HTTP/1.1\r\nX: " + b"y" * (size + 16 * 1024)
    _, transport, _ = serve(
        [data[start : start + piece] for start in range(0, len(data), piece)] if piece > 1 else [data]
    )
    assert transport.written.startswith(b"HTTP/1.1 431 ")
