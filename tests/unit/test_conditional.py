"""Validators and preconditions (RFC 9110, section 13)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.web.conditional import etag, evaluate, http_date, parse_http_date, range_applies

TAG = b'"5-a"'
NOW = 1_700_000_000
BEFORE, AT, AFTER = (http_date(NOW + delta) for delta in (-1, 0, 1))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({b"if-none-match": TAG}, 304),
        ({b"if-none-match": b"W/" + TAG}, 304),
        ({b"if-none-match": b'"x", "y,", ' + TAG}, 304),
        ({b"if-none-match": b" * "}, 304),
        ({b"if-none-match": b'"x"'}, 200),
        ({b"if-none-match": b"5-a"}, 200),
        ({b"if-none-match": b'"x"', b"if-modified-since": AFTER}, 200),
        ({b"if-modified-since": AT}, 304),
        ({b"if-modified-since": AFTER}, 304),
        ({b"if-modified-since": BEFORE}, 200),
        ({b"if-modified-since": b"yesterday"}, 200),
        ({b"if-match": TAG}, 200),
        ({b"if-match": b"*"}, 200),
        ({b"if-match": b"W/" + TAG}, 412),
        ({b"if-match": b'"x"'}, 412),
        ({b"if-match": TAG, b"if-unmodified-since": BEFORE}, 200),
        ({b"if-unmodified-since": BEFORE}, 412),
        ({b"if-unmodified-since": AT}, 200),
        ({b"if-unmodified-since": b"?"}, 200),
        ({b"if-match": TAG, b"if-none-match": TAG}, 304),
    ],
)
def test_preconditions_are_evaluated_in_order(headers: dict[bytes, bytes], status: int) -> None:
    assert evaluate(headers, TAG, NOW) == status


@pytest.mark.parametrize(
    ("value", "applies"),
    [(None, True), (TAG, True), (b"W/" + TAG, False), (b'"x"', False), (AT, True), (AFTER, False), (b"x", False)],
)
def test_if_range_needs_the_very_same_file(value: bytes | None, *, applies: bool) -> None:
    assert range_applies(value, TAG, NOW) is applies


@pytest.mark.parametrize(
    "value",
    [b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994"],
)
def test_all_three_date_forms_are_read(value: bytes) -> None:
    assert parse_http_date(value) == 784111777


@given(st.binary(max_size=64))
def test_any_date_is_answered(value: bytes) -> None:
    assert isinstance(parse_http_date(value), int | None)


@given(st.integers(0, 4_000_000_000))
def test_dates_survive_the_round_trip(seconds: int) -> None:
    assert parse_http_date(http_date(seconds)) == seconds


def test_the_tag_changes_with_content_time_and_coding(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"12345")
    os.utime(file, ns=(0, 1_000_000_001))
    first = file.stat()
    os.utime(file, ns=(0, 1_000_000_002))
    tags = {etag(first), etag(file.stat()), etag(first, b"br")}
    assert len(tags) == 3
    assert all(tag.startswith(b'"') and tag.endswith(b'"') for tag in tags)
