"""One HTTP/1.1 connection: bytes in, exchanges one after the other, bytes out.

Reading stops while the application has not taken what came, and the next request is not begun while the client has
not taken the answers before it: nothing that a client does or leaves undone fills the memory.

Everything runs on the loop's thread. What a connection waits for is its phase, and the listener's sweeper ends those
that wait for too long; no request pays for a timer.
"""

from __future__ import annotations

import asyncio
import enum
import os
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from howdah.serve.http1.reader import RequestReader

if TYPE_CHECKING:
    from howdah.serve.http1.exchange import Exchange
    from howdah.serve.http1.listener import Http1Listener
    from howdah.serve.options import ListenerOptions

# Of a client that sends the next requests while one runs, this much is kept; then its socket is left alone.
_HELD_BYTES = 64 * 1024
_LINGER_S = 2.0

_REFUSALS = {
    400: b"400 Bad Request: this is no HTTP/1.1\n",
    408: b"408 Request Timeout: the rest of the request did not come\n",
    431: b"431 Request Header Fields Too Large\n",
    501: b"501 Not Implemented: the only transfer coding here is chunked\n",
    505: b"505 HTTP Version Not Supported\n",
}
_REFUSAL_FIELDS = [(b"content-type", b"text/plain; charset=utf-8"), (b"server", b"Howdah")]


class Phase(enum.Enum):
    """What a connection waits for."""

    NEW = "the first request"
    HEAD = "the rest of a head"
    BODY = "more of a body"
    BUSY = "the application, or the client to take what it answered"
    IDLE = "another request"
    LINGER = "the client's end"
    CLOSED = "the last bytes to be taken"


# An attribute of an enumeration costs more than a global name, and this is asked for with each request.
_BUSY, _IDLE, _HEAD, _BODY = Phase.BUSY, Phase.IDLE, Phase.HEAD, Phase.BODY
_ENDING = frozenset({Phase.LINGER, Phase.CLOSED})


class Connection(asyncio.Protocol):
    """A connection from its first byte to its last.

    Args:
        listener: where it came in.

    Attributes:
        client: address and port of the other end, None at a socket file.
        server: address and port of this end; the path of a socket file and None.
        is_lost: the transport is closed.
        is_write_paused: the client takes less than it is sent.
        on_lost: called when the transport is closed; there while somebody waits for the socket itself to take more.
    """

    def __init__(self, listener: Http1Listener) -> None:
        self._listener = listener
        self.loop = listener.loop
        self.heads = listener.heads
        self.client: tuple[str, int] | None = None
        self.server: tuple[str, int | None] | None = None
        self.is_lost = False
        self.is_write_paused = False
        self.on_lost: Callable[[], None] | None = None
        self._reader = RequestReader(self)
        self._phase = Phase.NEW
        self._since = self.loop.time()
        self._current: Exchange | None = None
        self._held = bytearray()
        self._writable: asyncio.Future[None] | None = None
        self._unsent_bytes = 0
        self._is_read_paused = False

    # -- called by the transport --------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note both ends."""
        self._transport = cast("asyncio.Transport", transport)
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if isinstance(peer, tuple):
            self.client = (peer[0], peer[1])
        if own:
            self.server = (own[0], own[1]) if isinstance(own, tuple) else (os.fsdecode(own), None)
        self._listener.add(self)

    def data_received(self, data: bytes) -> None:
        """Parse what came, or keep it until the present exchange has ended."""
        if self._phase is _BUSY:
            self._hold(data)
        elif self._phase not in _ENDING:
            self._feed(data)

    def eof_received(self) -> bool:
        """Tell the application; the connection stays open for an answer that is under way."""
        current = self._current
        if current is None or current.is_done:
            return False
        current.keeps_alive = False
        self._held.clear()
        self._reader.close()
        current.disconnect()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """Tell everybody who waits."""
        self.is_lost = True
        self._phase = Phase.CLOSED
        current, self._current = self._current, None
        if current is not None:
            current.disconnect()
        self._reader.close()
        self._held.clear()
        self.resume_writing()
        if self.on_lost is not None:
            self.on_lost()
        self._listener.remove(self)

    def pause_writing(self) -> None:
        """Let who writes wait."""
        self.is_write_paused = True
        self.note_progress()

    def resume_writing(self) -> None:
        """Wake who waits, and begin the next request if that has waited for this."""
        self.is_write_paused = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        if self._current is None and self._phase is _BUSY:
            self._next()

    # -- reading ------------------------------------------------------------------------------------
    def _feed(self, data: bytes | bytearray) -> None:
        """Parse until the data ends, or an exchange has begun that needs no more of it."""
        reader = self._reader
        rest: bytes | memoryview = data if type(data) is bytes else memoryview(data)
        while True:
            count = reader.feed(rest)
            if self._current is None and reader.queue:
                self._start()
            if reader.refusal:
                self._refuse_after_answers()
                return
            if count == len(rest):
                break
            rest = memoryview(rest)[count:]
            if self._current is not None and reader.reading is None:
                self._hold(rest)
                break
        if self._current is None:
            if reader.is_in_head and self._phase is not _HEAD:
                self._enter(_HEAD)
        elif reader.reading is not None:
            self._enter(_BODY)
        else:
            self._phase = _BUSY

    def _hold(self, data: bytes | memoryview) -> None:
        self._held += data
        if len(self._held) > _HELD_BYTES:
            self.pause_reading()

    def pause_reading(self) -> None:
        """Leave the socket alone."""
        if not self._is_read_paused and not self.is_lost:
            self._is_read_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self._is_read_paused and not self.is_lost:
            self._is_read_paused = False
            self._transport.resume_reading()

    # -- exchanges ----------------------------------------------------------------------------------
    def _start(self) -> None:
        exchange = self._current = self._reader.queue.popleft()
        self._phase = _BUSY
        self._listener.begin(exchange)

    def end_exchange(self, exchange: Exchange) -> None:
        """Go on after an answer has been given to the transport."""
        if exchange is not self._current:
            return
        self._current = None
        self._phase = _BUSY
        if exchange is self._reader.reading:
            self._linger()
        elif not exchange.keeps_alive:
            # What came behind the last request is not answered; it must not reset the connection either.
            if self._held or self._is_read_paused or self._reader.refusal:
                self._linger()
            else:
                self.close()
        elif not self.is_write_paused:
            self._next()

    def forget(self, exchange: Exchange) -> None:
        """Drop an exchange whose application has returned, which may be after its answer."""
        self._listener.forget(exchange)

    def _next(self) -> None:
        """Begin what has waited, or wait for it."""
        if self._reader.queue:
            self._start()
        elif self._reader.refusal:
            self._refuse(self._reader.refusal)
        elif self._listener.is_leaving:
            self.close()
        else:
            self._enter(_HEAD if self._reader.is_in_head else _IDLE)
            if self._held:
                held, self._held = self._held, bytearray()
                self._feed(held)
            if len(self._held) <= _HELD_BYTES:
                self.resume_reading()

    # -- refusing -----------------------------------------------------------------------------------
    def _refuse_after_answers(self) -> None:
        """Refuse once the requests that came before have been answered."""
        self.pause_reading()
        if self._current is None:
            self._refuse(self._reader.refusal)
        else:
            self._phase = _BUSY

    def refuses(self) -> bool:
        """Refuse the present exchange, which has no answer yet, if what came of its request was broken."""
        status = self._reader.refusal
        if status and not self.is_lost:
            self._refuse(status)
        return status != 0

    def _refuse(self, status: int) -> None:
        text = _REFUSALS[status]
        head = self.heads.write(status, _REFUSAL_FIELDS).data
        self.write(b"%b%bcontent-length: %d\r\nconnection: close\r\n\r\n%b" % (head, self.date_line, len(text), text))
        self._linger()

    # -- writing ------------------------------------------------------------------------------------
    def write(self, data: bytes) -> None:
        """Give bytes to the transport."""
        self._transport.write(data)

    async def wait_writable(self) -> None:
        """Wait until the client has taken enough, or has gone.

        Raises:
            OSError: it has gone.
        """
        while self.is_write_paused and not self.is_lost:
            if self._writable is None or self._writable.done():
                self._writable = self.loop.create_future()
            # Others may wait for the same: who is cancelled must not cancel it for them.
            await asyncio.shield(self._writable)
        if self.is_lost:
            raise ConnectionResetError("the client left")

    async def wait_flushed(self) -> None:
        """Wait until the transport has given everything to the socket.

        Raises:
            OSError: the client has gone.
        """
        self._transport.set_write_buffer_limits(high=0)
        try:
            while self._transport.get_write_buffer_size() and not self.is_lost:
                if self.is_write_paused:
                    await self.wait_writable()
                else:
                    await asyncio.sleep(0)
        finally:
            if not self.is_lost:
                self._transport.set_write_buffer_limits()
        if self.is_lost:
            raise ConnectionResetError("the client left")

    def duplicate_socket(self) -> int:
        """Give a descriptor of the socket, which the caller closes."""
        return os.dup(self._transport.get_extra_info("socket").fileno())

    @property
    def date_line(self) -> bytes:
        """The Date field of now."""
        return self._listener.date_line

    @property
    def options(self) -> ListenerOptions:
        """Limits in force."""
        return self._listener.options

    @property
    def is_leaving(self) -> bool:
        """The client is to be told that the connection ends."""
        return self._listener.is_leaving

    # -- ends ---------------------------------------------------------------------------------------
    def close(self) -> None:
        """End the connection when everything has been sent."""
        self._enter(Phase.CLOSED)
        self._transport.close()

    def cut(self, *, flushes: bool) -> None:
        """End the connection before its answer is complete.

        Args:
            flushes: send what was written first. Otherwise the connection is reset: where the end of the connection
                stands for the end of the body, a client could take its regular end for that.
        """
        self._current = None
        if flushes:
            self.close()
            return
        self._phase = Phase.CLOSED
        opened = self._transport.get_extra_info("socket")
        if opened is not None and opened.family != socket.AF_UNIX:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def end_when_idle(self) -> None:
        """End now if no request is under way; otherwise that is done after its answer."""
        if self._current is None and not self.is_lost and self._phase not in _ENDING and self._phase is not _BUSY:
            self.close()

    def _linger(self) -> None:
        """End the sending side and read on for a while.

        Closing a socket with bytes that nobody read resets the connection, and the client may lose the answer
        (RFC 9112, section 9.6).
        """
        self._current = None
        self._reader.close()
        self._held.clear()
        self._enter(Phase.LINGER)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self.resume_reading()

    # -- time ---------------------------------------------------------------------------------------
    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._since = self.loop.time()

    def note_progress(self) -> None:
        """Begin to count anew how long the client takes: it has taken something, or is only now waited for."""
        self._since = self.loop.time()

    def sweep(self, now: float) -> None:
        """End the connection if it has waited for too long; called now and then by the listener."""
        options = self._listener.options
        waited_s = now - self._since
        if self.is_write_paused or self._phase is Phase.CLOSED:
            unsent_bytes = self._transport.get_write_buffer_size()
            if unsent_bytes != self._unsent_bytes:
                self._unsent_bytes = unsent_bytes
                self._since = now
            elif waited_s > options.idle_timeout_s:
                self._transport.abort()
        elif self.on_lost is not None:
            if waited_s > options.idle_timeout_s:
                self._transport.abort()
        elif self._phase is Phase.NEW and waited_s > options.header_timeout_s:
            self.close()
        elif self._phase is _HEAD and waited_s > options.header_timeout_s:
            self._refuse(408)
        elif self._phase is _IDLE and waited_s > options.idle_timeout_s:
            self.close()
        elif self._phase is _BODY and waited_s > options.idle_timeout_s:
            # Only while the application waits: if it does not, the client may be waiting for it.
            if self._current is not None and self._current.is_receiving:
                self._reader.refusal = 408
                self._current.keeps_alive = False
                self._current.disconnect()
        elif self._phase is Phase.LINGER and waited_s > _LINGER_S:
            self._transport.abort()
