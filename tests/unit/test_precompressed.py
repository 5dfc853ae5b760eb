"""Precompressed siblings and Accept-Encoding."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.web.precompressed import accepted, choose_sibling


@pytest.mark.parametrize(
    ("header", "coding", "quality"),
    [
        (b"", b"gzip", 0.0),
        (b"", b"identity", 1.0),
        (b"gzip", b"gzip", 1.0),
        (b"GZIP ; Q=0.5", b"gzip", 0.5),
        (b"gzip;q=0", b"gzip", 0.0),
        (b"*", b"br", 1.0),
        (b"*;q=0", b"identity", 0.0),
        (b"br;q=0, *", b"br", 0.0),
        (b"identity;q=0", b"identity", 0.0),
        (b"gzip;q=x", b"gzip", 0.0),
        (b"gzip;q=7", b"gzip", 0.0),
        (b"gzip;q=nan", b"gzip", 0.0),
        (b"gzip, " * 200, b"gzip", 0.0),
    ],
)
def test_qualities_are_read(header: bytes, coding: bytes, quality: float) -> None:
    assert accepted(header, coding) == quality


@given(st.binary())
def test_any_header_gives_a_quality(header: bytes) -> None:
    assert 0.0 <= accepted(header, b"gzip") <= 1.0


@pytest.fixture
def file(tmp_path: Path) -> bytes:
    for name in ("app.js", "app.js.br", "app.js.gz", "app.js.zst"):
        (tmp_path / name).write_text(name)
    return str(tmp_path / "app.js").encode()


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        (b"gzip, deflate, br, zstd", b"br"),
        (b"gzip, zstd", b"zstd"),
        (b"gzip", b"gzip"),
        (b"gzip;q=1, br;q=0.5", b"gzip"),
        (b"", b""),
        (b"deflate", b""),
        (b"br;q=0", b""),
    ],
)
def test_the_best_sibling_is_chosen(file: bytes, header: bytes, coding: bytes) -> None:
    chosen = choose_sibling(file, header)
    assert chosen.encoding == coding
    assert chosen.varies


def test_without_siblings_nothing_varies(tmp_path: Path) -> None:
    assert choose_sibling(str(tmp_path / "x").encode(), b"br") == (str(tmp_path / "x").encode(), b"", False)


def test_links_and_folders_are_no_siblings(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("")
    (tmp_path / "a.js.br").symlink_to("/etc/hostname")
    (tmp_path / "a.js.gz").mkdir()
    assert choose_sibling(str(tmp_path / "a.js").encode(), b"br, gzip").encoding == b""
