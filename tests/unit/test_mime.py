"""Media types by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.web.mime import guess_type, is_compressible


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/a/index.html", b"text/html; charset=utf-8"),
        (b"/a/STYLE.CSS", b"text/css; charset=utf-8"),
        (b"/app.js", b"text/javascript; charset=utf-8"),
        (b"/app.mjs", b"text/javascript; charset=utf-8"),
        (b"/data.json", b"application/json"),
        (b"/logo.svg", b"image/svg+xml"),
        (b"/x.wasm", b"application/wasm"),
        (b"/f.woff2", b"font/woff2"),
        (b"/p.png", b"image/png"),
        (b"/p.jpeg", b"image/jpeg"),
        (b"/p.webp", b"image/webp"),
        (b"/d.pdf", b"application/pdf"),
        (b"/a.tar.gz", b"application/gzip"),
        (b"/a.txt", b"text/plain; charset=utf-8"),
        (b"/a.b/noextension", b"application/octet-stream"),
        (b"/.html", b"application/octet-stream"),
        (b"/upload.unknown", b"application/octet-stream"),
        (b"/a.\xff", b"application/octet-stream"),
        (b"/a.", b"application/octet-stream"),
    ],
)
def test_types_follow_the_extension(path: bytes, expected: bytes) -> None:
    assert guess_type(path) == expected


@given(st.binary())
def test_every_name_has_a_type_that_is_a_header_value(path: bytes) -> None:
    found = guess_type(path)
    assert found.isascii()
    assert found.decode().isprintable()


def test_text_gains_from_compression_and_pictures_do_not() -> None:
    for name in (b"a.css", b"a.js", b"a.json", b"a.svg", b"a.wasm", b"a.xml", b"a.webmanifest"):
        assert is_compressible(guess_type(name)), name
    for name in (b"a.png", b"a.woff2", b"a.zip", b"a.mp4", b"a.bin"):
        assert not is_compressible(guess_type(name)), name
