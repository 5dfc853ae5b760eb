"""ASGI middleware that encodes responses with zstd, brotli or gzip.

The ready-made middlewares encode on the event loop, whatever the size, and need a framework; this one
does it in a thread from 32 KiB on. What a script flushes leaves at once, encoded. Knows nothing of PHP.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from howdah.web.mime import is_compressible
from howdah.web.precompressed import accepted

if TYPE_CHECKING:
    from howdah.web.static import Message, Receive, Scope, Send

# Below a packet or so the header costs more than is gained.
MINIMUM_BYTES = 1024
# Encoding more than this on the event loop would delay the other requests by a millisecond and more.
LOOP_BYTES = 32 * 1024
_FILE_PIECE_BYTES = 256 * 1024
# In the order of preference among those that a client likes equally.
_CODINGS = (b"zstd", b"br", b"gzip")
# Levels at which encoding costs about what sending the saved bytes would.
_ZSTD_LEVEL, _BROTLI_QUALITY, _GZIP_LEVEL = 3, 4, 5
_NO_BODY = frozenset({204, 206, 304})
_ENCODED = frozenset({b"content-encoding", b"content-range"})
_UNKNOWN, _LEFT_ALONE = -1, -2

Application = Callable[..., Any]
Header = tuple[bytes, bytes]


class Encoder(Protocol):
    """Encodes one body."""

    def encode(self, data: bytes, *, last: bool) -> bytes:
        """Give everything that a decoder needs to show all of the data so far."""


class _Zstd:
    def __init__(self, level: int | None) -> None:
        import zstandard

        self._flush_block = zstandard.COMPRESSOBJ_FLUSH_BLOCK
        self._object = zstandard.ZstdCompressor(level=_ZSTD_LEVEL if level is None else level).compressobj()

    def encode(self, data: bytes, *, last: bool) -> bytes:
        head = self._object.compress(data)
        return head + (self._object.flush() if last else self._object.flush(self._flush_block))


class _Brotli:
    def __init__(self, level: int | None) -> None:
        import brotli  # type: ignore[import-untyped] # it ships no types

        self._object = brotli.Compressor(quality=_BROTLI_QUALITY if level is None else level)

    def encode(self, data: bytes, *, last: bool) -> bytes:
        head: bytes = self._object.process(data)
        tail: bytes = self._object.finish() if last else self._object.flush()
        return head + tail


class _Gzip:
    def __init__(self, level: int | None) -> None:
        self._object = zlib.compressobj(_GZIP_LEVEL if level is None else level, zlib.DEFLATED, 16 + zlib.MAX_WBITS)

    def encode(self, data: bytes, *, last: bool) -> bytes:
        head = self._object.compress(data)
        return head + self._object.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)


_ENCODERS: dict[bytes, Callable[[int | None], Encoder]] = {b"zstd": _Zstd, b"br": _Brotli, b"gzip": _Gzip}


class Encoding:
    """What is encoded, and how.

    Args:
        codings: in the order of preference among those that a client likes equally.
        minimum_bytes: smallest body worth it.
        types: media types, ``*`` at the end stands for anything; none means those that are known to shrink.
        levels: by coding, where they differ from the defaults.

    Attributes:
        fewest_digits: a length with fewer is too small.
    """

    __slots__ = ("_levels", "codings", "fewest_digits", "minimum_bytes", "types")

    def __init__(
        self,
        codings: tuple[bytes, ...] = _CODINGS,
        minimum_bytes: int = MINIMUM_BYTES,
        types: tuple[bytes, ...] = (),
        levels: tuple[tuple[bytes, int], ...] = (),
    ) -> None:
        self.codings = codings
        self.minimum_bytes = minimum_bytes
        self.fewest_digits = len(str(minimum_bytes))
        self.types = types
        self._levels = dict(levels)

    def encoder(self, coding: bytes) -> Encoder:
        """Make an encoder for one body."""
        return _ENCODERS[coding](self._levels.get(coding))


_DEFAULT = Encoding()


@lru_cache(512)
def _choose(accept_encoding: bytes, codings: tuple[bytes, ...]) -> bytes:
    best, best_quality = b"", 0.0
    for coding in codings:
        quality = accepted(accept_encoding, coding)
        if quality > best_quality:
            best, best_quality = coding, quality
    return best


def choose_coding(accept_encoding: bytes, codings: tuple[bytes, ...] = _CODINGS) -> bytes:
    """Choose by an Accept-Encoding header; ``b""`` is none. Headers over 512 bytes are not read."""
    return _choose(accept_encoding, codings) if len(accept_encoding) <= 512 else b""


def encoding_send(accept_encoding: bytes, send: Send, encoding: Encoding = _DEFAULT) -> Send:
    """Give a ``send`` that encodes, or the same one where the client takes no coding."""
    coding = choose_coding(accept_encoding, encoding.codings)
    return encode_with(coding, send, encoding) if coding else send


def encode_with(coding: bytes, send: Send, encoding: Encoding) -> Send:
    """Give a ``send`` that encodes by a coding what is worth it."""
    return _Response(coding, send, encoding)


def coding_of(start: Message, request_headers: Iterable[Header], encoding: Encoding) -> bytes:
    """Choose the coding of an answer by its head; ``b""`` leaves it alone.

    What the client takes is looked up last, because most answers are too small to be encoded.
    """
    headers = start.get("headers")
    if headers and type(headers) is list:
        name, value = headers[-1]  # where the length of what a script has answered stands
        if len(value) < encoding.fewest_digits and name == b"content-length" and value.isdigit():
            return b""
    if _read_head(start, encoding) == _LEFT_ALONE:
        return b""
    return choose_coding(dict(request_headers).get(b"accept-encoding", b""), encoding.codings)


class Compress:
    """Encode what an application sends, where client and content allow it.

    Left alone: small bodies, types that do not shrink, what is encoded already, parts of files, event
    streams (their pieces are too small to gain), and ``Cache-Control: no-transform``.

    Args:
        app: the ASGI application.
    """

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] != "HEAD":
            for name, value in scope["headers"]:
                if name == b"accept-encoding":
                    send = encoding_send(value, send)
                    break
        await self._app(scope, receive, send)


@lru_cache(256)
def _shrinks(media_type: bytes, types: tuple[bytes, ...]) -> bool:
    if media_type.startswith(b"text/event-stream"):
        return False
    if not types:
        return is_compressible(media_type)
    plain = media_type.partition(b";")[0].strip().lower()
    return any(
        plain.startswith(wanted[:-1]) if wanted.endswith(b"*") else wanted in {plain, media_type} for wanted in types
    )


def _read_head(start: Message, encoding: Encoding) -> int:
    """Give the length that a response announces, `_UNKNOWN`, or `_LEFT_ALONE` if it is not to be encoded."""
    compressible = False
    length_bytes = _UNKNOWN
    for name, value in start.get("headers", ()):
        if name == b"content-type":
            compressible = _shrinks(value, encoding.types)
        elif name == b"content-length":
            length_bytes = int(value) if value.isdigit() else _UNKNOWN
            if 0 <= length_bytes < encoding.minimum_bytes:
                return _LEFT_ALONE
        elif name in _ENCODED or (name == b"cache-control" and b"no-transform" in value.lower()):
            return _LEFT_ALONE
    return length_bytes if compressible and start["status"] not in _NO_BODY else _LEFT_ALONE


class _Response:
    """The ``send`` of one response; holds the head back until the first piece tells how large the body is."""

    __slots__ = ("_coding", "_encoder", "_encoding", "_length_bytes", "_send", "_sent_bytes", "_start")

    def __init__(self, coding: bytes, send: Send, encoding: Encoding) -> None:
        self._coding = coding
        self._encoding = encoding
        self._send = send
        self._start: Message | None = None
        self._encoder: Encoder | None = None
        self._length_bytes = _UNKNOWN
        self._sent_bytes = 0

    def __call__(self, message: Message) -> Awaitable[None]:
        # A plain function, so that a message that is left alone costs no coroutine.
        kind = message["type"]
        if kind == "http.response.start":
            length_bytes = _read_head(message, self._encoding)
            if length_bytes != _LEFT_ALONE:
                self._start = message
                self._length_bytes = length_bytes
                return _nothing()
        elif kind == "http.response.body" and (self._start is not None or self._encoder is not None):
            return self._body(message.get("body", b""), bool(message.get("more_body", False)))
        elif kind == "http.response.pathsend" and self._start is not None:
            return self._file(message["path"])
        return self._send(message)

    async def _body(self, data: bytes, more: bool) -> None:
        start, self._start = self._start, None
        if start is not None:
            if not more and len(data) < self._encoding.minimum_bytes:
                await self._send(start)
                await self._send({"type": "http.response.body", "body": data, "more_body": False})
                return
            self._encoder = self._encoding.encoder(self._coding)
            if not more:
                encoded = await self._encode(data, last=True)
                await self._send(_encoded_start(start, self._coding, len(encoded)))
                await self._send({"type": "http.response.body", "body": encoded, "more_body": False})
                return
            await self._send(_encoded_start(start, self._coding, -1))
        self._sent_bytes += len(data)
        encoded = await self._encode(data, last=not more) if data or not more else b""
        await self._send({"type": "http.response.body", "body": encoded, "more_body": more})

    async def _encode(self, data: bytes, *, last: bool) -> bytes:
        encoder = self._encoder
        assert encoder is not None  # noqa: S101 - only called after it was made
        if len(data) <= LOOP_BYTES:
            return encoder.encode(data, last=last)
        return await asyncio.get_running_loop().run_in_executor(None, lambda: encoder.encode(data, last=last))

    async def _file(self, path: str) -> None:
        """Send a file that the server would have sent itself."""
        loop = asyncio.get_running_loop()
        file = await loop.run_in_executor(None, Path(path).open, "rb")
        try:
            while data := await loop.run_in_executor(None, file.read, _FILE_PIECE_BYTES):
                await self._body(data, more=True)
            if 0 <= self._length_bytes != self._sent_bytes:
                return  # the file changed while it was sent: cut the connection
            await self._body(b"", more=False)
        finally:
            file.close()


async def _nothing() -> None:
    pass


def _encoded_start(start: Message, coding: bytes, length_bytes: int) -> Message:
    """Give the head of the encoded response; ``length_bytes`` is -1 while it is not known."""
    headers: list[Header] = []
    varies = False
    for name, value in start["headers"]:
        if name in {b"content-length", b"accept-ranges"}:
            continue
        if name == b"etag" and not value.startswith(b"W/"):
            # The bytes differ from those that the strong validator stands for (RFC 9110, section 8.8.1).
            headers.append((name, b"W/" + value))
            continue
        varies = varies or (name == b"vary" and (b"accept-encoding" in value.lower() or value.strip() == b"*"))
        headers.append((name, value))
    if not varies:
        headers.append((b"vary", b"Accept-Encoding"))
    headers.append((b"content-encoding", coding))
    if length_bytes >= 0:
        headers.append((b"content-length", b"%d" % length_bytes))
    return {**start, "headers": headers}
