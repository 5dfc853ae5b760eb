"""One request and its answer, as an ASGI application sees them.

Everything runs on the loop's thread. The connection calls `add_body`, `end_body` and `disconnect`; the application
calls `receive` and `send`; `run` is the task between them.

An answer goes through these states, each once:

    OPEN      nothing came from the application
    HELD      its head did; it waits for the first piece of the body, which tells whether that is the whole
    STREAMING the head was written
    DONE      everything was written, or the connection was cut
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from howdah.serve.http1.head import HeadError, ResponseHead, Target, early_hints
from howdah.serve.http1.sendfile import send_file
from howdah.web.respond import ABORT

if TYPE_CHECKING:
    from howdah.serve.http1.connection import Connection

_log = logging.getLogger("howdah.serve")

Message = dict[str, Any]
Application = Callable[..., Any]

# How the task of a request is called among all tasks.
REQUEST_CORO = "Exchange.run"
_ASGI = {"version": "3.0", "spec_version": "2.4"}
_EXTENSIONS: dict[str, dict[str, Any]] = {"http.response.pathsend": {}, "http.response.early_hint": {}, ABORT: {}}
_NO_BODY = frozenset({204, 304})
_OPEN, _HELD, _STREAMING, _DONE = range(4)
# How the end of a body is told.
_LENGTH, _CHUNKS, _CLOSE, _NONE = range(4)
# Beyond this much that the application has not taken, no more is read.
_ENOUGH_BYTES = 256 * 1024
# Up to here head and body are copied into one piece, which is one system call.
_JOINED_BYTES = 64 * 1024

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_FAILED = b"500 Internal Server Error\n"
_FAILED_HEADERS = [(b"content-type", b"text/plain; charset=utf-8"), (b"server", b"Howdah")]


class Exchange:
    """A request, and the answer that is made of what the application sends.

    Args:
        connection: where it came from.
        method: of the request.
        target: of the request.
        version: ``"1.0"`` or ``"1.1"``.
        headers: lower-case names.
        keeps_alive: the client would send more requests.

    Attributes:
        scope: ASGI's.
        keeps_alive: the connection stays open after the answer, as far as is known.
        has_whole_body: the request's body has been received.
        body_left: bytes of the request's body that are still to come, -1 where only its end will be told.
        task: runs `run`; kept here, because the event loop itself does not keep tasks.
    """

    __slots__ = (
        "_answer_left",
        "_buffered_bytes",
        "_connection",
        "_ending",
        "_expects_continue",
        "_head",
        "_is_gone",
        "_is_head",
        "_pieces",
        "_state",
        "_status",
        "_told_end",
        "_waiter",
        "body_left",
        "has_whole_body",
        "keeps_alive",
        "scope",
        "task",
    )

    def __init__(
        self,
        connection: Connection,
        method: str,
        target: Target,
        version: str,
        headers: list[tuple[bytes, bytes]],
        *,
        keeps_alive: bool,
    ) -> None:
        self._connection = connection
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "method": method,
            "scheme": "http",
            "path": target.path,
            "raw_path": target.raw_path,
            "query_string": target.query,
            "root_path": "",
            "headers": headers,
            "client": connection.client,
            "server": connection.server,
            "extensions": _EXTENSIONS,
        }
        self.keeps_alive = keeps_alive
        self.has_whole_body = False
        self.body_left = -1
        self.task: asyncio.Task[None] | None = None
        self._is_head = method == "HEAD"
        self._expects_continue = False
        self._pieces: list[bytes] = []
        self._buffered_bytes = 0
        self._told_end = False
        self._is_gone = False
        self._waiter: asyncio.Future[None] | None = None
        self._state = _OPEN
        self._status = 0
        self._head: ResponseHead | None = None
        self._ending = _NONE
        self._answer_left = 0

    # -- called by the connection -------------------------------------------------------------------
    def expect_continue(self) -> None:
        """Note that the client waits for a word before it sends the body (RFC 9110, section 10.1.1)."""
        self._expects_continue = True

    def add_body(self, data: bytes) -> bool:
        """Take a piece of the request's body; False when no more should be read for now."""
        self._pieces.append(data)
        self._buffered_bytes += len(data)
        if self.body_left > 0:
            self.body_left -= len(data)
        self._wake()
        return self._buffered_bytes < _ENOUGH_BYTES

    def end_body(self) -> None:
        """Note that the request is complete."""
        self.has_whole_body = True
        self._wake()

    def disconnect(self) -> None:
        """Note that the client will not send any more; the application hears of it when it asks."""
        self._is_gone = True
        self._wake()

    @property
    def is_done(self) -> bool:
        """The answer has been given to the transport, or cut."""
        return self._state == _DONE

    @property
    def is_receiving(self) -> bool:
        """The application waits for more of the request, or for its client's end."""
        return self._waiter is not None

    async def run(self, app: Application) -> None:
        """Let the application answer; whatever it does, the exchange has an end afterwards."""
        path = self.scope["path"]
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            self._cut()
            raise
        except HeadError as error:
            _log.error("the answer to %a cannot be sent: %s", path, error)
        except OSError as error:
            if not self._connection.is_lost:
                _log.exception("the application failed for %a: %s", path, error)
        except Exception:
            _log.exception("the application failed for %a", path)
        else:
            if self._state == _OPEN and not self._is_gone:
                _log.error("the application gave no answer for %a", path)
        finally:
            self.task = None
            self._connection.forget(self)
        if self._state == _DONE:
            return
        if self._state == _OPEN and not self._connection.is_lost:
            if self._connection.refuses():
                self._state = _DONE
                return
            if not self._is_gone:
                self._fail()
                return
        self._cut()

    # -- called by the application ------------------------------------------------------------------
    async def receive(self) -> Message:
        """Wait for the request's body, or for the client's end; ASGI's."""
        while True:
            if self._is_gone or self._state == _DONE:
                return {"type": "http.disconnect"}
            if not self._told_end and (self._pieces or self.has_whole_body):
                return self._take()
            if self._expects_continue and self._state == _OPEN:
                self._connection.write(_CONTINUE)
            self._expects_continue = False
            self._connection.note_progress()
            self._waiter = self._connection.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    async def send(self, message: Message) -> None:
        """Take a message of the answer; returns when the client has taken enough of it; ASGI's.

        Raises:
            HeadError: the head must not be sent.
            OSError: the connection has ended.
            RuntimeError: the message is none that may come now.
        """
        kind = message["type"]
        if self._connection.is_lost:
            raise ConnectionResetError("the client left")
        if kind == "http.response.body":
            if self._state not in {_HELD, _STREAMING}:
                raise RuntimeError(f"{kind} before the start or after the end of the answer")
            self._send_body(message.get("body", b""), more=message.get("more_body", False))
            if self._connection.is_write_paused and self._state != _DONE:
                await self._connection.wait_writable()
        elif kind == "http.response.start":
            if self._state != _OPEN:
                raise RuntimeError("the answer has a head already")
            self._status = message["status"]
            self._head = self._connection.heads.write(self._status, message.get("headers", ()))
            self._state = _HELD
        elif kind == "http.response.early_hint":
            if self._state == _OPEN and self.scope["http_version"] == "1.1":
                self._connection.write(early_hints(message["links"]))
        elif kind == "http.response.pathsend":
            await self._send_path(message["path"])
        elif kind == ABORT:
            self._cut()
        else:
            raise RuntimeError(f"{kind} is not supported")

    # -- the answer ---------------------------------------------------------------------------------
    def _send_body(self, data: bytes, *, more: bool) -> None:
        head = self._finish_head(-1 if more else len(data)) if self._state == _HELD else b""
        ending = self._ending
        if ending == _CHUNKS:
            if data:
                data = b"%x\r\n%b\r\n" % (len(data), data)
            if not more:
                data += b"0\r\n\r\n"
        elif ending == _LENGTH:
            if len(data) > self._answer_left:
                raise HeadError("the body is longer than its Content-Length")
            self._answer_left -= len(data)
        elif ending == _NONE:
            data = b""
        write = self._connection.write
        if len(data) <= _JOINED_BYTES:
            if head or data:
                write(head + data)
        else:
            if head:
                write(head)
            write(data)
        if not more:
            self._finish()

    def _finish_head(self, whole_bytes: int) -> bytes:
        """Give the whole head; ``whole_bytes`` is the length of a body that is there, -1 if more will come."""
        head = self._head
        assert head is not None  # noqa: S101 - the state says so
        is_old = self.scope["http_version"] == "1.0"
        length = head.length
        if self._is_head or self._status in _NO_BODY:
            self._ending = _NONE
            if self._status == 204:
                length = -1
        elif length >= 0 or whole_bytes >= 0:
            self._ending = _LENGTH
            length = length if length >= 0 else whole_bytes
            self._answer_left = length
        else:
            self._ending = _CLOSE if is_old else _CHUNKS
        connection = self._connection
        if head.closes or self._ending == _CLOSE or connection.is_leaving:
            self.keeps_alive = False
        elif whole_bytes >= 0 and not self.has_whole_body:
            self.keeps_alive = False  # what the client still sends will not be read
        self._state = _STREAMING
        self._head = None
        parts = [head.data]
        if not head.has_date:
            parts.append(connection.date_line)
        if length >= 0:
            parts.append(b"content-length: %d\r\n" % length)
        elif self._ending == _CHUNKS:
            parts.append(b"transfer-encoding: chunked\r\n")
        if not self.keeps_alive:
            parts.append(b"connection: close\r\n")
        elif is_old:
            parts.append(b"connection: keep-alive\r\n")
        parts.append(b"\r\n")
        return b"".join(parts)

    async def _send_path(self, path: str) -> None:
        if self._state != _HELD or self._head is None or self._head.length < 0:
            raise RuntimeError("http.response.pathsend needs a start with a Content-Length")
        self._connection.write(self._finish_head(-1))
        if self._ending == _LENGTH:
            await send_file(self._connection, path, self._answer_left)
            self._answer_left = 0
        self._finish()

    def _finish(self) -> None:
        if self._answer_left > 0 and self._ending == _LENGTH:
            self._cut()  # the client must not take this for the whole
            return
        self._state = _DONE
        self._wake()
        self._connection.end_exchange(self)

    def _fail(self) -> None:
        self._status = 500
        self._head = self._connection.heads.write(500, _FAILED_HEADERS)
        self._state = _HELD
        self._send_body(_FAILED, more=False)

    def _cut(self) -> None:
        """End the connection, so that the client cannot take what it got for the whole answer."""
        if self._state != _DONE:
            self._state = _DONE
            self._wake()
            self._connection.cut(flushes=self._ending != _CLOSE)

    # -- the request --------------------------------------------------------------------------------
    def _take(self) -> Message:
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if pieces:
            pieces.clear()
            if self._buffered_bytes >= _ENOUGH_BYTES:
                self._connection.resume_reading()
            self._buffered_bytes = 0
        self._told_end = self.has_whole_body
        return {"type": "http.request", "body": body, "more_body": not self._told_end}

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
