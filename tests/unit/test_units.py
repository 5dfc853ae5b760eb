from __future__ import annotations

import pytest

from howdah.cli.units import parse_count, parse_duration, parse_size
from howdah.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("5s", 5.0),
        ("2m", 120.0),
        ("1h", 3600.0),
        ("1d", 86400.0),
        ("1m30s", 90.0),
        ("1.5s", 1.5),
        ("7", 7.0),
        ("0", 0.0),
        (" 3S ", 3.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "5x", "-1s", "5s!", "1,5s", "٣s", "inf", "nan", "5 s 3"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ConfigError, match="no duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512", 512),
        ("64KiB", 65536),
        ("1GiB", 1 << 30),
        ("20MB", 20_000_000),
        ("8M", 8 << 20),
        ("1.5KiB", 1536),
        ("0", 0),
        ("3 MiB", 3 << 20),
        ("10B", 10),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "KiB", "1QB", "-1", "1e3", "99999999999TiB", "٣"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_size(text)


def test_counts() -> None:
    assert parse_count("12") == 12
    for text in ("", "-1", "1.5", "x", "9999999999", "٣"):
        with pytest.raises(ConfigError, match="whole number"):
            parse_count(text)
