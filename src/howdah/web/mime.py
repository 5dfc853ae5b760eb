"""Media types by file name: one table, the same on every machine."""

from __future__ import annotations

import mimetypes
from functools import lru_cache

DEFAULT_TYPE = b"application/octet-stream"

# What the web's standards say where Python's table is silent, older or depends on its version.
_TYPES = {
    ".avif": "image/avif",
    ".bz2": "application/x-bzip2",
    ".cjs": "text/javascript",
    ".csv": "text/csv",
    ".eot": "application/vnd.ms-fontobject",
    ".flac": "audio/flac",
    ".geojson": "application/geo+json",
    ".gz": "application/gzip",
    ".heic": "image/heic",
    ".htm": "text/html",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".ics": "text/calendar",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".jsonld": "application/ld+json",
    ".jxl": "image/jxl",
    ".m4a": "audio/mp4",
    ".m4v": "video/mp4",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".mkv": "video/x-matroska",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".ogv": "video/ogg",
    ".opus": "audio/ogg",
    ".otf": "font/otf",
    ".rss": "application/rss+xml",
    ".svg": "image/svg+xml",
    ".svgz": "image/svg+xml",
    ".ts": "video/mp2t",
    ".ttc": "font/collection",
    ".ttf": "font/ttf",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".wav": "audio/wav",
    ".weba": "audio/webm",
    ".webm": "video/webm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xhtml": "application/xhtml+xml",
    ".xml": "text/xml",
    ".xz": "application/x-xz",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zip": "application/zip",
    ".zst": "application/zstd",
}
_COMPRESSIBLE = frozenset(
    {
        b"application/json",
        b"application/manifest+json",
        b"application/vnd.ms-fontobject",
        b"application/wasm",
        b"application/xml",
        b"application/yaml",
        b"font/otf",
        b"font/ttf",
        b"image/x-icon",
    }
)


def guess_type(path: bytes) -> bytes:
    """Give the value of Content-Type for a file name.

    Text is labelled UTF-8, which is what PHP's ``default_charset`` says too. A name without a known
    extension is ``application/octet-stream``, never guessed from its content: an uploaded file must
    not become a page.
    """
    name = path[path.rfind(b"/") + 1 :]
    dot = name.rfind(b".")
    return _by_extension(name[dot:].lower()) if dot > 0 and len(name) - dot <= 16 else DEFAULT_TYPE


def is_compressible(media_type: bytes) -> bool:
    """Tell whether files of a type gain from compression."""
    essence = media_type.partition(b";")[0]
    return essence.startswith(b"text/") or essence.endswith((b"+xml", b"+json")) or essence in _COMPRESSIBLE


@lru_cache(512)
def _by_extension(extension: bytes) -> bytes:
    text = extension.decode("latin-1")
    found = _TYPES.get(text) or _python_types().get(text)
    if found is None:
        return DEFAULT_TYPE
    return found.encode("ascii") + (b"; charset=utf-8" if found.startswith("text/") else b"")


@lru_cache(1)
def _python_types() -> dict[str, str]:
    # A fresh object holds Python's own table only; the module's functions read files of the machine.
    return mimetypes.MimeTypes().types_map[True]
