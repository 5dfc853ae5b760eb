"""Receives request bodies over ASGI, before PHP sees the request or while it runs.

A body stays in memory up to 64 KiB and is then spooled to an unlinked temporary file. Knows bytes,
limits and time, but nothing of sites, routes or threads.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from howdah.errors import BodyTimeout, BodyTooLarge, ClientDisconnected, InvalidRequest, SpoolFull

if TYPE_CHECKING:
    from howdah.web.static import Message, Receive

_log = logging.getLogger("howdah.web")

UNKNOWN = -1
MEMORY_BYTES = 64 * 1024
# One hop to a thread costs as much as writing some 100 KiB to the page cache, so pieces are gathered.
_WRITE_BYTES = 512 * 1024
_MOST_BUFFERS = 512  # below IOV_MAX


class BodyLimits(NamedTuple):
    """What a request body may cost.

    Args:
        max_size_bytes: largest body; 0 is no limit.
        timeout_s: longest silence of the client; 0 is no limit.
        spool_dir: folder for bodies that are too large for memory.
    """

    max_size_bytes: int
    timeout_s: float
    spool_dir: str


class StreamedRequest(Protocol):
    """The part of a native request that takes a body piece by piece."""

    def feed(self, data: bytes, /) -> bool:
        """Add a piece; False when no more should come before `StreamedExchange.wait_writable`."""

    def feed_end(self, complete: bool, /) -> None:
        """End the body; ``complete`` is False when the client left early."""


class StreamedExchange(Protocol):
    """The part of an exchange that a streamed body needs."""

    @property
    def request(self) -> StreamedRequest:
        """The native request."""

    def wait_writable(self) -> Awaitable[None]:
        """Wait until the request takes more."""

    def abort(self) -> None:
        """Tell PHP that the client is gone."""


class SpooledBody:
    """A body in an unlinked temporary file. Close it early; the engine takes a descriptor of its own."""

    __slots__ = ("_folder", "fd", "size_bytes")

    def __init__(self, folder: str) -> None:
        self.fd = -1
        self.size_bytes = 0
        self._folder = folder

    def write(self, pieces: list[bytes]) -> None:
        """Append pieces; blocks on the disk, so it is called in a thread.

        Raises:
            OSError: the disk cannot hold them.
        """
        if self.fd < 0:
            with tempfile.TemporaryFile(prefix="howdah-body-", dir=self._folder, buffering=0) as file:
                self.fd = os.dup(file.fileno())
        for start in range(0, len(pieces), _MOST_BUFFERS):
            self._write_all(pieces[start : start + _MOST_BUFFERS])

    def _write_all(self, pieces: list[bytes]) -> None:
        wanted = sum(map(len, pieces))
        done = os.writev(self.fd, pieces)
        self.size_bytes += wanted
        if done < wanted:  # a disk that is about to fill takes a part first, and says why at the next attempt
            rest = memoryview(b"".join(pieces))[done:]
            while rest:
                rest = rest[os.write(self.fd, rest) :]

    def close(self) -> None:
        """Close the descriptor; the file is gone with its last one. May be repeated."""
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)

    def __del__(self) -> None:
        self.close()


class _Silence:
    """Cancels the task that waits for the client when nothing came for too long.

    One timer that looks at the time of the last piece, instead of a new timer per piece.
    """

    __slots__ = ("_handle", "_last_s", "_loop", "_task", "_timeout_s", "expired")

    def __init__(self, timeout_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[Any] | None = asyncio.current_task()
        self._timeout_s = timeout_s
        self._last_s = self._loop.time()
        self.expired = False
        self._handle = self._loop.call_later(timeout_s, self._look) if timeout_s > 0 else None

    def heard(self) -> None:
        """Note that the client sent something."""
        self._last_s = self._loop.time()

    def _look(self) -> None:
        left = self._last_s + self._timeout_s - self._loop.time()
        if left > 0:
            self._handle = self._loop.call_later(left, self._look)
            return
        self.expired = True
        if self._task is not None:
            self._task.cancel()

    def end(self) -> None:
        """Stop looking."""
        if self._handle is not None:
            self._handle.cancel()


async def receive_body(receive: Receive, expected_bytes: int, limits: BodyLimits) -> bytes | SpooledBody:
    """Receive a whole request body.

    Returns as soon as the last piece is there. Blocking writes happen in a thread.

    Args:
        receive: ASGI's; not yet called for this request.
        expected_bytes: the announced Content-Length, or `UNKNOWN`.
        limits: see there.

    Raises:
        BodyTooLarge: it is announced or found to be larger than allowed.
        InvalidRequest: it is longer than announced.
        ClientDisconnected: the client left, or sent less than it announced.
        BodyTimeout: the client was silent for too long.
        SpoolFull: the disk cannot hold it; logged.
    """
    check_announced(expected_bytes, limits)
    silence = _Silence(limits.timeout_s)
    try:
        return await _receive(receive, expected_bytes, limits, silence)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        # Cancelled by the timer alone, and not by somebody outside at the same moment.
        if not silence.expired or (task is not None and task.uncancel() > 0):
            raise
        raise BodyTimeout(f"no data of the request body came for {limits.timeout_s:g} s") from None
    finally:
        silence.end()


def check_announced(expected_bytes: int, limits: BodyLimits) -> None:
    """Refuse a body by its announced length, before anything of it is read.

    Raises:
        BodyTooLarge: it is larger than allowed.
    """
    if 0 < limits.max_size_bytes < expected_bytes:
        raise BodyTooLarge(f"the request body is larger than the {limits.max_size_bytes} bytes allowed here")


async def _receive(receive: Receive, expected_bytes: int, limits: BodyLimits, silence: _Silence) -> bytes | SpooledBody:
    pieces: list[bytes] = []
    pending_bytes = size_bytes = 0
    spool: _Spool | None = None
    try:
        while True:
            message = await receive()
            data = piece_of(message)
            silence.heard()
            if data:
                size_bytes += len(data)
                check_size(size_bytes, expected_bytes, limits)
                pieces.append(data)
                pending_bytes += len(data)
            if not message.get("more_body", False):
                break
            if pending_bytes >= _WRITE_BYTES:
                spool = spool or _Spool(limits.spool_dir)
                await spool.write(pieces)
                pieces, pending_bytes = [], 0
                silence.heard()  # the disk's time is not the client's
        if size_bytes < expected_bytes:
            raise ClientDisconnected(f"the client sent {size_bytes} of the {expected_bytes} bytes it announced")
        if spool is None and size_bytes <= MEMORY_BYTES:
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        spool = spool or _Spool(limits.spool_dir)
        if pieces:
            await spool.write(pieces)
        await spool.flush()
        return spool.release()
    finally:
        if spool is not None:
            await spool.close()


class _Spool:
    """Writes a body in a thread, one write at a time, while the next pieces are received."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._body: SpooledBody | None = SpooledBody(folder)
        self._writing: asyncio.Future[None] | None = None

    async def write(self, pieces: list[bytes]) -> None:
        """Start to write pieces, after the write before; raises what that one raised.

        Raises:
            SpoolFull: the disk cannot hold the body; logged.
        """
        await self.flush()
        if self._body is not None:
            self._writing = asyncio.get_running_loop().run_in_executor(None, self._body.write, pieces)

    async def flush(self) -> None:
        """Wait for the write that runs.

        Raises:
            SpoolFull: the disk cannot hold the body; logged.
        """
        if self._writing is None:
            return
        try:
            await asyncio.shield(self._writing)
        except OSError as error:
            _log.error("a request body cannot be spooled in %s: %s", self._folder, error.strerror or error)
            raise SpoolFull("there is no room for the request body at the moment") from None
        self._writing = None

    def release(self) -> SpooledBody:
        """Give the body to the caller, who closes it."""
        body, self._body = self._body, None
        assert body is not None  # noqa: S101 - called once
        return body

    async def close(self) -> None:
        """Close a body that was not released; waits for the write that runs."""
        if self._body is None:
            return
        if self._writing is not None:
            # The thread still uses the descriptor: closing it under the thread could hit a descriptor that is
            # opened in the meantime.
            await asyncio.wait([self._writing])
            if not self._writing.cancelled():
                self._writing.exception()  # looked at: the request has ended for another reason
        self._body.close()


def piece_of(message: Message) -> bytes:
    """Give the body bytes of a message.

    Raises:
        ClientDisconnected: the message tells that the client left.
    """
    if message["type"] != "http.request":
        raise ClientDisconnected("the client left while it sent the request body")
    data = message.get("body", b"")
    return data if isinstance(data, bytes) else bytes(data)


def check_size(size_bytes: int, expected_bytes: int, limits: BodyLimits) -> None:
    """Check what came so far.

    Raises:
        BodyTooLarge: more than allowed.
        InvalidRequest: more than announced.
    """
    if 0 <= expected_bytes < size_bytes:
        raise InvalidRequest("the request body is longer than its Content-Length says, which is invalid")
    if 0 < limits.max_size_bytes < size_bytes:
        raise BodyTooLarge(f"the request body is larger than the {limits.max_size_bytes} bytes allowed here")


async def feed_body(receive: Receive, exchange: StreamedExchange, expected_bytes: int, limits: BodyLimits) -> None:
    """Hand a body to a running script as it comes (``request_buffering`` off), then watch for the disconnect.

    PHP's side bounds the silence of the client. Never raises but for cancellation: what is wrong with the
    body ends it as incomplete, and is logged.
    """
    request = exchange.request
    size_bytes = 0
    try:
        while True:
            message = await receive()
            data = piece_of(message)
            if data:
                size_bytes += len(data)
                check_size(size_bytes, expected_bytes, limits)
                if not request.feed(data):
                    await exchange.wait_writable()
            if not message.get("more_body", False):
                break
        if size_bytes < expected_bytes:
            raise ClientDisconnected("the body ended early")
    except ClientDisconnected:
        request.feed_end(False)
        exchange.abort()
        return
    except (BodyTooLarge, InvalidRequest) as error:
        _log.warning("the script gets a part of the request body only: %s", error)
        request.feed_end(False)
    else:
        request.feed_end(True)
    await wait_disconnect(receive, exchange)


async def wait_disconnect(receive: Receive, exchange: StreamedExchange) -> None:
    """Wait until the client leaves and then tell PHP; for a task that is cancelled when the response is over."""
    ends = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            exchange.abort()
            return
        ends += not message.get("more_body", False)
        if ends > 1:
            # Something in between repeats the end of the body for ever and will never tell of a disconnect.
            await asyncio.get_running_loop().create_future()


def spool_folder() -> str:
    """Give the folder for spooled bodies: ``HOWDAH_SPOOL_DIR``, or the system's folder for temporary files."""
    return os.environ.get("HOWDAH_SPOOL_DIR") or tempfile.gettempdir()
