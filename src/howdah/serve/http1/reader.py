"""Requests out of bytes: feeds the parser and makes exchanges of heads.

The parser goes through everything that it is given, so it is given little: of heads 16 KiB, of a body what is left
of it. A client that sends thousands of requests at once has that many exchanges made of them and no more.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from typing import TYPE_CHECKING

from httptools import HttpParserError, HttpParserInvalidMethodError, HttpParserUpgrade, HttpRequestParser

from howdah.serve.http1.exchange import Exchange
from howdah.serve.http1.head import Header, parse_target

if TYPE_CHECKING:
    from howdah.serve.http1.connection import Connection

_log = logging.getLogger("howdah.serve")

HEAD_PIECE_BYTES = 16 * 1024
_BODY_PIECE_BYTES = 64 * 1024
_MOST_HEADERS = 500
_METHOD_PART = re.compile(rb"(?:\r\n)*[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}")
_METHOD = re.compile(rb"(?:\r\n)*([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}) ")
_WHITE = frozenset({b" ", b"\t"})
_LOOKED_AT = frozenset({b"content-length", b"expect", b"host", b"transfer-encoding"})


class RequestReader:
    """The reading half of a connection.

    Args:
        connection: whose bytes these are.

    Attributes:
        queue: exchanges whose heads were read and that have not begun.
        reading: the exchange whose body is being read.
        refusal: status with which everything that follows is refused, 0 = nothing is.
        is_in_head: the first bytes of a head have come, and not the last.
    """

    __slots__ = (
        "_begun",
        "_connection",
        "_has_ended_message",
        "_head_bytes",
        "_headers",
        "_is_method_pending",
        "_is_resuming",
        "_method",
        "_parser",
        "_url",
        "is_in_head",
        "queue",
        "reading",
        "refusal",
    )

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._parser: HttpRequestParser | None = HttpRequestParser(self)
        self.queue: deque[Exchange] = deque()
        self.reading: Exchange | None = None
        self.refusal = 0
        self.is_in_head = False
        self._url = b""
        self._headers: list[Header] = []
        self._head_bytes = 0
        self._method = ""  # of the present head, where the parser cannot tell it
        self._has_ended_message = False  # in the present piece
        self._begun: bytes | None = b""  # of the present request, while its method is not known
        self._is_method_pending = False  # `_begun` is a part of a method that the parser does not know
        self._is_resuming = False

    def feed(self, data: bytes | memoryview) -> int:
        """Parse the beginning of what came; gives how many bytes are dealt with, at least one."""
        reading = self.reading
        if reading is None:
            count = min(len(data), HEAD_PIECE_BYTES)
            self._head_bytes += count
        else:
            count = min(len(data), reading.body_left if reading.body_left > 0 else _BODY_PIECE_BYTES)
        parser = self._parser
        if parser is None:
            return len(data)
        self._has_ended_message = False
        piece = data if count == len(data) else data[:count]
        try:
            if self._is_method_pending:
                return self._feed_unknown_method(bytes(piece))
            try:
                count = self._parse(parser, piece)
            except HttpParserInvalidMethodError:
                return self._feed_unknown_method(bytes(piece))
        except HttpParserError as error:
            self._on_broken(str(error))
        else:
            if self.is_in_head:
                self._note_part(piece)
        return count

    def _parse(self, parser: HttpRequestParser, data: bytes | memoryview) -> int:
        """Parse; gives how much of it."""
        try:
            parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._ignore_upgrade()
            return max(1, int(upgrade.args[0]))
        return len(data)

    def _note_part(self, part: bytes | memoryview) -> None:
        """Note a part of a head that is not complete: how large it is, and where the request begins."""
        if self._head_bytes > self._limit_bytes + HEAD_PIECE_BYTES:
            self.refusal = 431
        if not self._url:
            # Behind other requests nobody knows where in the piece this one begins.
            known = self._begun is not None and not self._has_ended_message
            self._begun = (self._begun or b"") + bytes(part) if known else None

    def _ignore_upgrade(self) -> None:
        """Go on as if the client had not asked for another protocol, since none is spoken here.

        The parser ends with the head of such a request. Another one gets a head that announces the same body.
        """
        self._parser = HttpRequestParser(self)
        if self.reading is not None:
            left = self.reading.body_left
            framing = b"Transfer-Encoding: chunked" if left < 0 else b"Content-Length: %d" % left
            self._is_resuming = True
            self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)
            self._is_resuming = False

    def _feed_unknown_method(self, piece: bytes) -> int:
        """Parse a request whose method the parser does not know, which may be any token (RFC 9110, section 9.1).

        Another parser gets it with a method that it knows. That works for a request at the beginning of a piece; where
        one follows others in the same piece, only the parser knows where it begins, and it is refused.

        Returns:
            How much of the piece is dealt with.

        Raises:
            HttpParserError: it is no request.
        """
        if self._has_ended_message or self._begun is None or self.reading is not None:
            raise HttpParserInvalidMethodError("a method that is not known, behind another request")
        data = self._begun + piece
        found = _METHOD.match(data)
        self._is_method_pending = found is None and _METHOD_PART.fullmatch(data) is not None
        if self._is_method_pending:
            self._begun, self.is_in_head = data, True
            return len(piece)
        if found is None:
            raise HttpParserInvalidMethodError("no method")
        self._method = found[1].decode("ascii")
        self._parser = HttpRequestParser(self)
        known = b"POST" + data[found.end(1) :]
        count = self._parse(self._parser, known)
        if self.is_in_head:
            self._note_part(piece)
        return len(piece) - (len(known) - count)

    def close(self) -> None:
        """Read nothing any more; the parser and this object hold one another."""
        self._parser = None
        self.reading = None
        self.queue.clear()

    @property
    def _limit_bytes(self) -> int:
        return self._connection.options.max_header_size_bytes

    def _on_broken(self, reason: str) -> None:
        _log.debug("%s sent what is no HTTP/1.1: %s", self._connection.client, reason)
        self.refusal = self.refusal or 400
        reading, self.reading = self.reading, None
        if reading is not None:
            # Never executed if it has not begun; otherwise its application hears that the client has gone.
            if reading in self.queue:
                self.queue.remove(reading)
            else:
                reading.disconnect()

    # -- called by the parser -----------------------------------------------------------------------
    def on_message_begin(self) -> None:
        """Begin a head."""
        if self._is_resuming:
            return
        self.is_in_head = True
        self._url = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        """Take a part of the target; the method is known from here on."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of a head; those behind a body are nobody's business."""
        if self.is_in_head:
            if value[-1:] in _WHITE:
                value = value.rstrip(b" \t")
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Make an exchange of a head, or note why it is refused."""
        self.is_in_head = False
        parser = self._parser
        if self.refusal or parser is None or self._is_resuming:
            return
        version, method = parser.get_http_version(), self._method or parser.get_method().decode("ascii")
        self._method = ""
        headers = self._headers
        limit = self._limit_bytes
        if len(headers) > _MOST_HEADERS or (self._head_bytes > limit and self._size_bytes() > limit):
            self.refusal = 431
            return
        hosts, body_left, expects, is_known = 0, 0, False, True
        for name, value in headers:
            if name in _LOOKED_AT:
                if name == b"host":
                    hosts += 1
                elif name == b"content-length":
                    body_left = int(value)
                elif name == b"transfer-encoding":
                    body_left = -1
                    is_known = value.lower() == b"chunked"
                else:
                    expects = version == "1.1" and value.lower() == b"100-continue"
        target = parse_target(self._url, method)
        if version not in {"1.1", "1.0"}:
            self.refusal = 505
        elif version == "1.1" and hosts != 1:
            self.refusal = 400  # RFC 9112, section 3.2
        elif target is None or hosts > 1 or (version == "1.0" and body_left < 0):
            self.refusal = 400  # section 6.1 for the last: its framing is faulty
        elif not is_known:
            self.refusal = 501  # section 6.1: a coding that nobody here takes off again
        else:
            if target.authority:
                # Whatever the Host header says (section 3.2.2).
                headers = [(b"host", target.authority), *(header for header in headers if header[0] != b"host")]
            keeps_alive = parser.should_keep_alive()
            exchange = Exchange(self._connection, method, target, version, headers, keeps_alive=keeps_alive)
            exchange.body_left = body_left
            if expects:
                exchange.expect_continue()
            self.reading = exchange
            self.queue.append(exchange)

    def on_body(self, data: bytes) -> None:
        """Give a piece of a body to its exchange."""
        if self.reading is not None and not self.reading.add_body(data):
            self._connection.pause_reading()

    def on_message_complete(self) -> None:
        """Note that the exchange whose body was read has all of it."""
        reading = self.reading
        self._has_ended_message = True
        self._begun = b""
        if reading is not None:
            if reading.body_left and self._parser is not None and self._parser.should_upgrade():
                return  # its body follows, see `_ignore_upgrade`
            reading.end_body()
            self.reading = None
        self._head_bytes = 0

    def _size_bytes(self) -> int:
        return len(self._url) + sum(len(name) + len(value) for name, value in self._headers)
