"""Conditional requests: validators of a file and their evaluation (RFC 9110, section 13)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache

_TAG = re.compile(rb'(W/)?"[\x21\x23-\x7e\x80-\xff]*"')


def etag(status: os.stat_result, encoding: bytes = b"") -> bytes:
    """Make a strong entity tag from change of content time and size.

    Args:
        status: status of the file that is sent.
        encoding: content coding of a precompressed file; other bytes need another tag.
    """
    suffix = b"-" + encoding if encoding else b""
    return b'"%x-%x%s"' % (status.st_mtime_ns, status.st_size, suffix)


@lru_cache(1024)
def http_date(seconds: int) -> bytes:
    """Format whole seconds since the epoch as an HTTP date."""
    return formatdate(max(seconds, 0), usegmt=True).encode("ascii")


@lru_cache(1024)
def parse_http_date(value: bytes) -> int | None:
    """Read an HTTP date as seconds since the epoch; None when it is none."""
    try:
        parsed = parsedate_to_datetime(value.decode("ascii"))
        if parsed.tzinfo is None:  # the asctime form names no zone; HTTP means UTC
            parsed = parsed.replace(tzinfo=UTC)
        return int(parsed.timestamp())
    except (ValueError, OverflowError, TypeError):
        return None


def evaluate(headers: Mapping[bytes, bytes], tag: bytes, modified_s: int) -> int:
    """Evaluate the preconditions of a GET or HEAD request in the order of RFC 9110, section 13.2.2.

    Args:
        headers: request headers, lower-case names.
        tag: entity tag of the selected file.
        modified_s: its modification time in whole seconds.

    Returns:
        200 to answer in full, 304 (not modified) or 412 (precondition failed).
    """
    if_match = headers.get(b"if-match")
    if if_match is not None:
        if not _matches(if_match, tag, weak=False):
            return 412
    else:
        since = _date(headers, b"if-unmodified-since")
        if since is not None and modified_s > since:
            return 412
    if_none_match = headers.get(b"if-none-match")
    if if_none_match is not None:
        return 304 if _matches(if_none_match, tag, weak=True) else 200
    since = _date(headers, b"if-modified-since")
    return 304 if since is not None and modified_s <= since else 200


def range_applies(if_range: bytes | None, tag: bytes, modified_s: int) -> bool:
    """Tell whether If-Range lets a Range header count (RFC 9110, section 13.1.5).

    A date must be equal, a tag must be equal and strong; otherwise the whole file is sent.
    """
    if if_range is None:
        return True
    value = if_range.strip()
    if value.startswith((b'"', b"W/")):
        return value == tag
    return parse_http_date(value) == modified_s


def _date(headers: Mapping[bytes, bytes], name: bytes) -> int | None:
    value = headers.get(name)
    return parse_http_date(value.strip()) if value is not None and len(value) <= 64 else None


def _matches(field: bytes, tag: bytes, *, weak: bool) -> bool:
    if field.strip() == b"*":
        return True
    for found in _TAG.finditer(field):
        listed = found[0]
        if weak:
            listed = listed.removeprefix(b"W/")
        if listed == tag:
            return True
    return False
