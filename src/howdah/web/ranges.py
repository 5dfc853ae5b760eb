"""Byte ranges: parsing of Range and the multipart/byteranges form (RFC 9110, section 14)."""

from __future__ import annotations

from typing import NamedTuple

# More ranges than any reader of documents asks for; many small ones would cost more than the file.
MAX_RANGES = 16
_MAX_HEADER_BYTES = 1024


class ByteRange(NamedTuple):
    """Bytes ``start`` to ``end`` of a file; ``end`` is not included."""

    start: int
    end: int


class RangeNotSatisfiable(Exception):
    """No range of the request lies inside the file: 416."""


def parse_ranges(value: bytes, size_bytes: int) -> tuple[ByteRange, ...]:
    """Read a Range header.

    Returns:
        The ranges in the order of the request, or nothing when the whole file is the answer: another
        unit, bad syntax, too many ranges, or ranges that add up to more than the file.

    Raises:
        RangeNotSatisfiable: the header is valid and every range starts behind the end.
    """
    unit, equals, text = value.partition(b"=")
    if not equals or unit.strip().lower() != b"bytes" or len(value) > _MAX_HEADER_BYTES:
        return ()
    specs = [spec.strip(b" \t") for spec in text.split(b",")]
    specs = [spec for spec in specs if spec]
    if not specs or len(specs) > MAX_RANGES:
        return ()
    ranges: list[ByteRange] = []
    for spec in specs:
        first, dash, last = spec.partition(b"-")
        if not dash or not (first or last) or (first and not first.isdigit()) or (last and not last.isdigit()):
            return ()
        if first and last and int(first) > int(last):
            return ()
        found = _satisfy(first, last, size_bytes)
        if found is not None:
            ranges.append(found)
    if not ranges:
        raise RangeNotSatisfiable
    if len(ranges) > 1 and sum(end - start for start, end in ranges) > size_bytes:
        return ()
    return tuple(ranges)


def _satisfy(first: bytes, last: bytes, size_bytes: int) -> ByteRange | None:
    if not first:
        length = min(int(last), size_bytes)
        return ByteRange(size_bytes - length, size_bytes) if length else None
    start = int(first)
    if start >= size_bytes:
        return None
    return ByteRange(start, min(int(last) + 1, size_bytes) if last else size_bytes)


def content_range(part: ByteRange, size_bytes: int) -> bytes:
    """Give the value of Content-Range for one part."""
    return b"bytes %d-%d/%d" % (part.start, part.end - 1, size_bytes)


def part_head(part: ByteRange, size_bytes: int, media_type: bytes, boundary: bytes) -> bytes:
    """Give what stands before one part of a multipart/byteranges body."""
    return b"\r\n--%s\r\nContent-Type: %s\r\nContent-Range: %s\r\n\r\n" % (
        boundary,
        media_type,
        content_range(part, size_bytes),
    )


def closing(boundary: bytes) -> bytes:
    """Give the end of a multipart/byteranges body."""
    return b"\r\n--%s--\r\n" % boundary
