"""Answers GET and HEAD with a regular file, over ASGI.

Knows HTTP and files, but neither sites nor PHP: which file it is has been decided in `routing`.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import stat
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, NamedTuple

from howdah.errors import Forbidden, ScriptNotFound
from howdah.web.conditional import etag, evaluate, http_date, range_applies
from howdah.web.mime import guess_type, is_compressible
from howdah.web.precompressed import SIBLINGS, Sibling, Siblings, choose_sibling
from howdah.web.ranges import (
    ByteRange,
    RangeNotSatisfiable,
    closing,
    content_range,
    parse_ranges,
    part_head,
)
from howdah.web.routing import FileRoute

if TYPE_CHECKING:
    from howdah.web.filecache import FileCache

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

CHUNK_BYTES = 128 * 1024
# From here on it pays to watch whether the client is still there.
_WATCH_BYTES = 1024 * 1024
_ALLOW = b"GET, HEAD, OPTIONS"
_WANTED = frozenset(
    {
        b"accept-encoding",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"range",
    }
)
_CONDITIONS = _WANTED - {b"accept-encoding"}
_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a FIFO put in the file's place must not block
_NO_WAIT: int = getattr(os, "RWF_NOWAIT", 0)
_MUST_WAIT = frozenset({errno.EAGAIN, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


class OpenFile(NamedTuple):
    """An open file, or one in memory, and what is said about it."""

    fd: int
    data: bytes | None
    path: bytes
    size_bytes: int
    modified_s: int
    tag: bytes
    media_type: bytes
    headers: Headers


async def send_file(
    route: FileRoute,
    scope: Scope,
    receive: Receive,
    send: Send,
    siblings: Siblings = SIBLINGS,
    *,
    cache: FileCache | None = None,
    extra: Headers | None = None,
) -> None:
    """Answer a request with a file.

    Handles validators, ranges, precompressed siblings, HEAD and OPTIONS; other methods get 405. The file
    is opened once and its length taken from the open file, so that replacing it does not harm a running
    answer. Reads that the page cache cannot serve at once happen in a thread, and each piece waits until
    the server took the one before. A large whole file is handed to a server that offers
    ``http.response.pathsend``, which then opens it itself; a middleware that must see the body removes that
    extension from the scope.

    Args:
        route: the file, with its status of this moment.
        scope: ASGI's.
        receive: ASGI's.
        send: ASGI's.
        siblings: codings and suffixes of precompressed siblings that are looked for.
        cache: where small files are kept.
        extra: further headers.

    Raises:
        ScriptNotFound: the file disappeared since it was routed.
        Forbidden: it may not be read.
        OSError: it shrank while it was sent; the server must cut the connection.
    """
    method = scope["method"]
    extra = [] if extra is None else extra
    if method not in {"GET", "HEAD"}:
        await _send_method_answer(method, extra, send)
        return
    wanted = _wanted_headers(scope)
    path = route.path
    kept = cache.find(path, route.stat) if cache is not None else None
    media_type = kept.media_type if kept is not None else guess_type(path)
    chosen = Sibling(path, b"", varies=False)
    if siblings and is_compressible(media_type) and (cache is None or cache.has_siblings(path)):
        chosen = choose_sibling(path, wanted.get(b"accept-encoding", b""), siblings)
        if cache is not None and not chosen.varies:
            cache.note_no_siblings(path)
    reader = None if method == "HEAD" else receive
    if kept is not None and not chosen.varies:
        await _answer(kept, extra, wanted, reader, scope, send)
        return
    fd = _open(chosen)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise ScriptNotFound("the file was replaced by something that cannot be sent")
        file = _describe(fd, status, chosen, media_type)
        if cache is not None and not chosen.varies and cache.takes(status):
            file = _kept(file, path, status, cache)
        await _answer(file, extra, wanted, reader, scope, send)
    finally:
        # A cancelled read may still run in its thread; pread on another file harms nobody, its bytes are dropped.
        os.close(fd)


def _kept(file: OpenFile, path: bytes, status: os.stat_result, cache: FileCache) -> OpenFile:
    """Read a small file whole and keep it, if that needs no disk and it has not changed meanwhile."""
    data = _read_cached(file.fd, status.st_size + 1, 0)
    if data is None or len(data) != status.st_size:
        return file
    file = file._replace(fd=-1, data=data)
    cache.keep(path, status, file)
    return file


def _wanted_headers(scope: Scope) -> dict[bytes, bytes]:
    wanted: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _WANTED:
            wanted[name] = wanted[name] + b", " + value if name in wanted else value
    return wanted


def _open(chosen: Sibling) -> int:
    flags = _OPEN_FLAGS | (os.O_NOFOLLOW if chosen.encoding else 0)
    try:
        return os.open(chosen.path, flags)
    except PermissionError:
        raise Forbidden("the file is not readable for the user that the server runs as") from None
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO}:
            raise ScriptNotFound("the file disappeared") from None
        raise


def _describe(fd: int, status: os.stat_result, chosen: Sibling, media_type: bytes) -> OpenFile:
    tag = etag(status, chosen.encoding)
    modified_s = int(status.st_mtime)
    headers: Headers = [
        (b"etag", tag),
        (b"last-modified", http_date(modified_s)),
        (b"accept-ranges", b"bytes"),
    ]
    if chosen.varies:
        headers.append((b"vary", b"Accept-Encoding"))
    if chosen.encoding:
        headers.append((b"content-encoding", chosen.encoding))
    return OpenFile(fd, None, chosen.path, status.st_size, modified_s, tag, media_type, headers)


async def _answer(
    file: OpenFile, extra: Headers, wanted: dict[bytes, bytes], receive: Receive | None, scope: Scope, send: Send
) -> None:
    """Send head and body; without ``receive`` (HEAD) the head only."""
    if not wanted.keys() & _CONDITIONS:
        if receive is None:
            await _send_empty(200, _head(file, file.media_type, file.size_bytes, extra), send)
        else:
            await _send_whole(file, extra, receive, scope, send)
        return
    outcome = evaluate(wanted, file.tag, file.modified_s)
    if outcome == 304:
        # Nothing that describes a body: a 304 stands for the stored one.
        headers = [header for header in file.headers if header[0] not in {b"content-encoding", b"accept-ranges"}]
        await _send_empty(304, headers + extra, send)
        return
    if outcome == 412:
        await _send_empty(412, [(b"content-length", b"0"), *extra], send)
        return
    ranges: tuple[ByteRange, ...] = ()
    # A Range counts for GET only (RFC 9110, section 14.2).
    if receive is not None and b"range" in wanted and range_applies(wanted.get(b"if-range"), file.tag, file.modified_s):
        try:
            ranges = parse_ranges(wanted[b"range"], file.size_bytes)
        except RangeNotSatisfiable:
            headers = [(b"content-range", b"bytes */%d" % file.size_bytes), (b"content-length", b"0")]
            await _send_empty(416, file.headers[:3] + headers + extra, send)
            return
    if receive is None:
        await _send_empty(200, _head(file, file.media_type, file.size_bytes, extra), send)
    elif not ranges:
        await _send_whole(file, extra, receive, scope, send)
    else:
        await _send_ranges(file, extra, ranges, receive, send)


def _head(file: OpenFile, media_type: bytes, length_bytes: int, extra: Headers) -> Headers:
    return [(b"content-type", media_type), (b"content-length", b"%d" % length_bytes), *file.headers, *extra]


async def _send_whole(file: OpenFile, extra: Headers, receive: Receive, scope: Scope, send: Send) -> None:
    headers = _head(file, file.media_type, file.size_bytes, extra)
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if file.data is not None:
        await send({"type": "http.response.body", "body": file.data, "more_body": False})
        return
    extensions = scope.get("extensions") or {}
    if file.size_bytes > CHUNK_BYTES and "http.response.pathsend" in extensions:
        path = os.fsdecode(file.path)
        if path.isprintable():  # a name that is no UTF-8 has surrogates, which servers may not take
            await send({"type": "http.response.pathsend", "path": path})
            return
    await _send_pieces(file, [ByteRange(0, file.size_bytes)], receive, send)


async def _send_ranges(
    file: OpenFile, extra: Headers, ranges: tuple[ByteRange, ...], receive: Receive, send: Send
) -> None:
    size = file.size_bytes
    pieces: list[bytes | ByteRange] = []
    if len(ranges) == 1:
        media_type = file.media_type
        pieces.append(ranges[0])
        own = [(b"content-range", content_range(ranges[0], size))]
    else:
        boundary = secrets.token_hex(16).encode("ascii")
        media_type = b"multipart/byteranges; boundary=" + boundary
        for part in ranges:
            pieces += [part_head(part, size, file.media_type, boundary), part]
        pieces.append(closing(boundary))
        own = []
    length = sum(len(piece) if isinstance(piece, bytes) else piece.end - piece.start for piece in pieces)
    headers = _head(file, media_type, length, own + extra)
    await send({"type": "http.response.start", "status": 206, "headers": headers})
    await _send_pieces(file, pieces, receive, send)


async def _send_pieces(file: OpenFile, pieces: list[bytes | ByteRange], receive: Receive, send: Send) -> None:
    """Send bytes and parts of the file; stops silently when the client has left."""
    gone: asyncio.Future[None] | None = None
    if file.size_bytes > _WATCH_BYTES:
        gone = asyncio.ensure_future(_until_disconnect(receive))
    try:
        for piece in pieces:
            if isinstance(piece, bytes):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                continue
            offset = piece.start
            while offset < piece.end:
                end = min(offset + CHUNK_BYTES, piece.end)
                data = file.data[offset:end] if file.data is not None else await _read(file.fd, end - offset, offset)
                if gone is not None and gone.done():
                    return
                offset += len(data)
                more = offset < piece.end or piece is not pieces[-1]
                await send({"type": "http.response.body", "body": data, "more_body": more})
        if isinstance(pieces[-1], bytes) or pieces[-1].start == pieces[-1].end:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        if gone is not None:
            gone.cancel()


async def _read(fd: int, size_bytes: int, offset: int) -> bytes:
    """Read at most ``size_bytes``, at least one; in a thread unless the page cache has them."""
    data = _read_cached(fd, size_bytes, offset)
    if data is None:
        data = await asyncio.to_thread(os.pread, fd, size_bytes, offset)
    if not data:
        raise OSError(errno.EIO, "the file shrank while it was sent")
    return data


def _read_cached(fd: int, size_bytes: int, offset: int) -> bytes | None:
    if not _NO_WAIT:
        return None
    buffer = bytearray(size_bytes)
    try:
        count = os.preadv(fd, [buffer], offset, _NO_WAIT)
    except OSError as error:
        if error.errno in _MUST_WAIT:
            return None
        raise
    return bytes(memoryview(buffer)[:count])


async def _until_disconnect(receive: Receive) -> None:
    ends = 0
    while ends < 2:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        ends += not message.get("more_body", False)
    # Something in between repeats the end of the body for ever and will never tell of a disconnect.
    await asyncio.get_running_loop().create_future()


async def _send_method_answer(method: str, extra: Headers, send: Send) -> None:
    if method == "OPTIONS":
        await _send_empty(204, [(b"allow", _ALLOW), *extra], send)
        return
    text = b"405 method not allowed: a file answers GET and HEAD\n"
    headers = [
        (b"allow", _ALLOW),
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(text)),
        *extra,
    ]
    await send({"type": "http.response.start", "status": 405, "headers": headers})
    await send({"type": "http.response.body", "body": text, "more_body": False})


async def _send_empty(status: int, headers: Headers, send: Send) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
