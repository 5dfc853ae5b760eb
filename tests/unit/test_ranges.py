"""Range headers (RFC 9110, section 14)."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from howdah.web.ranges import MAX_RANGES, RangeNotSatisfiable, content_range, parse_ranges


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"bytes=0-0", [(0, 1)]),
        (b"bytes=0-", [(0, 100)]),
        (b"bytes=10-19", [(10, 20)]),
        (b"bytes=90-1000", [(90, 100)]),
        (b"bytes=-10", [(90, 100)]),
        (b"bytes=-1000", [(0, 100)]),
        (b"Bytes = 1-2", [(1, 3)]),
        (b"bytes=0-1, 5-6 ,,", [(0, 2), (5, 7)]),
        (b"bytes=50-59,0-9", [(50, 60), (0, 10)]),
        (b"bytes=0-1,200-300", [(0, 2)]),
    ],
)
def test_valid_ranges_are_read(value: bytes, expected: list[tuple[int, int]]) -> None:
    assert list(parse_ranges(value, 100)) == expected


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"bytes",
        b"bytes=",
        b"bytes=,",
        b"bytes=-",
        b"bytes=a-b",
        b"bytes=1",
        b"bytes=2-1",
        b"bytes=--1",
        b"bytes=1-2-3",
        b"bytes=+1-2",
        b"bytes=1 - 2",
        b"bytes=\xd9\xa3-5",
        b"items=0-1",
        b"bytes=0-99,0-99",
        b"bytes=" + b",".join(b"%d-%d" % (i, i) for i in range(MAX_RANGES + 1)),
        b"bytes=0-" + b"9" * 2000,
    ],
)
def test_what_is_no_sensible_range_means_the_whole_file(value: bytes) -> None:
    assert parse_ranges(value, 100) == ()


@pytest.mark.parametrize("value", [b"bytes=100-", b"bytes=100-200", b"bytes=-0", b"bytes=1000-,500-"])
def test_ranges_behind_the_end_cannot_be_satisfied(value: bytes) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_ranges(value, 100)


def test_an_empty_file_satisfies_no_range() -> None:
    for value in (b"bytes=0-", b"bytes=-5"):
        with pytest.raises(RangeNotSatisfiable):
            parse_ranges(value, 0)


@given(
    st.binary(max_size=60) | st.from_regex(rb"bytes=([0-9]{0,3}-[0-9]{0,3},?){1,5}", fullmatch=True),
    st.integers(0, 500),
)
@example(b"bytes=0-0", 1)
def test_ranges_lie_inside_the_file(value: bytes, size: int) -> None:
    try:
        ranges = parse_ranges(value, size)
    except RangeNotSatisfiable:
        return
    assert all(0 <= start < end <= size for start, end in ranges)
    assert len(ranges) < 2 or sum(end - start for start, end in ranges) <= size


@given(st.integers(1, 10**12), st.data())
def test_a_range_survives_the_round_trip(size: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, size - 1))
    last = data.draw(st.integers(start, size - 1))
    (found,) = parse_ranges(b"bytes=%d-%d" % (start, last), size)
    assert found == (start, last + 1)
    assert content_range(found, size) == b"bytes %d-%d/%d" % (start, last, size)
