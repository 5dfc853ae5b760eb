"""Heads of HTTP/1.1 messages: what a request's target says, and the bytes of an answer's head."""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

Header = tuple[bytes, bytes]

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_ABSOLUTE = re.compile(rb"https?://([^/?#@]+)(/[^?#]*)?", re.IGNORECASE)
# Names that applications use are few; the bound is for those that make them up.
_REMEMBERED_NAMES = 1024
_REMEMBERED_TARGETS, _LONGEST_REMEMBERED = 2048, 256
_REMEMBERED_HEADS, _LONGEST_HEAD_BYTES = 256, 1024
_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus} | {413: b"Content Too Large"}
# What the server itself does with a field of an answer.
_PLAIN, _LENGTH, _HOP, _DATE = range(4)
_KINDS = {
    b"connection": _HOP,
    b"content-length": _LENGTH,
    b"date": _DATE,
    b"keep-alive": _HOP,
    b"proxy-connection": _HOP,
    b"transfer-encoding": _HOP,
    b"upgrade": _HOP,
}
_STATUS_LINES = {code: b"HTTP/1.1 %d %b\r\n" % (code, _PHRASES.get(code, b"Unknown")) for code in range(100, 600)}


class Target(NamedTuple):
    """What the target of a request says (RFC 9112, section 3.2).

    Attributes:
        raw_path: as it came, percent-encoded.
        path: decoded; bytes that are no UTF-8 are replaced.
        query: as it came, without the question mark.
        authority: of an absolute target, which stands for the Host header; ``b""`` otherwise.
    """

    raw_path: bytes
    path: str
    query: bytes
    authority: bytes


def parse_target(target: bytes, method: str) -> Target | None:
    """Take a target apart; None when it is none. Short ones are remembered: most are asked for again."""
    return _parse_cached(target, method) if len(target) <= _LONGEST_REMEMBERED else _parse(target, method)


def _parse(target: bytes, method: str) -> Target | None:
    authority = b""
    raw_path, _, query = target.partition(b"?")
    if b"#" in target:  # a fragment is the client's own business
        raw_path, _, query = target.partition(b"#")[0].partition(b"?")
    if raw_path[:1] != b"/":
        if raw_path == b"*":
            if method != "OPTIONS" or query:
                return None
        elif (absolute := _ABSOLUTE.fullmatch(raw_path)) is not None and method != "CONNECT":
            authority, raw_path = absolute[1], absolute[2] or b"/"
        else:
            return None
    if b"%" in raw_path:
        return Target(raw_path, unquote_to_bytes(raw_path).decode("utf-8", "replace"), query, authority)
    return Target(raw_path, raw_path.decode("ascii"), query, authority)


_parse_cached = lru_cache(_REMEMBERED_TARGETS)(_parse)


class HeadError(Exception):
    """An application gave a head that must not be sent; the message says what is wrong."""


class ResponseHead(NamedTuple):
    """The head of an answer, ready to be sent.

    Attributes:
        data: status line and fields, but those that say how the body ends, and the empty line.
        length: Content-Length that the application announced, -1 if it did not.
        closes: the application wants the connection closed.
        has_date: the application named the date.
    """

    data: bytes
    length: int
    closes: bool
    has_date: bool


class HeadWriter:
    """Writes heads; remembers what names of fields mean, and the last heads: most answers of a site have the same."""

    def __init__(self) -> None:
        self._kinds: dict[bytes, int] = {}
        self._heads: dict[tuple[int, tuple[Header, ...]], ResponseHead] = {}

    def write(self, status: int, headers: Iterable[Header]) -> ResponseHead:
        """Write status line and fields.

        How the body ends is the server's business: Content-Length, Transfer-Encoding and Connection are left out.

        Raises:
            HeadError: the status is none, a name is no token, or a value would begin another line.
        """
        key = (status, tuple(headers))
        try:
            head = self._heads.get(key)
        except TypeError:  # applications may use lists for pairs, and bytearrays
            key = (status, tuple((bytes(name), bytes(value)) for name, value in key[1]))
            head = self._heads.get(key)
        if head is None:
            head = self._write(status, key[1])
            if len(head.data) <= _LONGEST_HEAD_BYTES:
                if len(self._heads) >= _REMEMBERED_HEADS:
                    self._heads.clear()
                self._heads[key] = head
        return head

    def _write(self, status: int, headers: Iterable[Header]) -> ResponseHead:
        line = _STATUS_LINES.get(status)
        if line is None or status < 200:
            raise HeadError(f"{status} is no final status")
        length, closes, has_date = -1, False, False
        parts = [line]
        kinds = self._kinds
        for name, value in headers:
            kind = kinds.get(name)
            if kind is None:
                kind = self._learn(name)
            if kind != _PLAIN:
                if kind == _LENGTH:
                    length = _parse_length(value, length)
                    continue
                if kind == _HOP:
                    closes = closes or b"close" in value.lower()
                    continue
                has_date = True
            parts.append(b"%b: %b\r\n" % (name, value))
        data = b"".join(parts)
        # Fewer passes than to look into every value: each line must have exactly its own end.
        if data.count(b"\n") != len(parts) or data.count(b"\r") != len(parts) or b"\0" in data:
            raise HeadError("a value holds a line end or NUL")
        return ResponseHead(data, length, closes, has_date)

    def _learn(self, name: bytes) -> int:
        if _TOKEN.fullmatch(name) is None:
            raise HeadError(f"{name!r} is no name of a header field")
        kind = _KINDS.get(name.lower(), _PLAIN)
        if len(self._kinds) < _REMEMBERED_NAMES:
            self._kinds[bytes(name)] = kind
        return kind


def _parse_length(value: bytes, known: int) -> int:
    if not value.isdigit() or len(value) > 18:
        raise HeadError(f"{value[:40]!r} is no Content-Length")
    if known >= 0 and int(value) != known:
        raise HeadError("there are two Content-Lengths")
    return int(value)


def early_hints(links: Iterable[bytes]) -> bytes:
    """Write an interim answer 103 (RFC 8297).

    Raises:
        HeadError: a link would begin another line.
    """
    lines = [_STATUS_LINES[103], *(b"link: %b\r\n" % link for link in links)]
    data = b"".join(lines)
    if data.count(b"\n") != len(lines) or data.count(b"\r") != len(lines) or b"\0" in data:
        raise HeadError("a link holds a line end or NUL")
    return data + b"\r\n"


def date_line() -> bytes:
    """Write the Date field of now."""
    return b"date: %b\r\n" % formatdate(usegmt=True).encode()
