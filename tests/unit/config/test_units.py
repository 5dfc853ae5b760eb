from __future__ import annotations

import pytest

from howdah.config.units import parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("0", 0), ("5s", 5), ("1h30m", 5400), ("1.5h", 5400), (".5s", 0.5), ("2d", 172800), ("1m0.5s", 60.5)),
        *(("250ms", 0.25), ("1us", 1e-6), ("1µs", 1e-6), ("1μs", 1e-6), ("1ns", 1e-9), ("1d12h", 129600), ("1.s", 1)),
    ],
)
def test_durations_are_spelt_as_in_go_with_days(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "s", "5 s", "-5s", "+5s", "1h 30m", "5S", "1e3s", "5sec", "5s5", "999999999d", "٣s"]
)
def test_anything_else_is_no_duration(text: str) -> None:
    assert parse_duration(text) is None


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        *(("0", 0), ("512", 512), ("512B", 512), ("10MB", 10_000_000), ("10MiB", 10_485_760), ("64kb", 64_000)),
        *(("64KiB", 65536), ("1.5GiB", 1_610_612_736), ("1g", 10**9), ("2k", 2000), ("1 TB", 10**12), ("1tib", 2**40)),
    ],
)
def test_sizes_are_spelt_as_with_caddy(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "MB", "-1", "1XB", "1MBB", "1ib", "1e3", "9999999TiB", "1.2.3", "10%", "٣"])
def test_anything_else_is_no_size(text: str) -> None:
    assert parse_size(text) is None
