"""Request paths as bytes: decoding, cleaning and the split between script and path info.

Pure functions without a file system. Everything works on bytes and folds ASCII letters only: text
functions such as ``str.lower`` change lengths and equate look-alikes, which has let servers run the
wrong file more than once.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from howdah.errors import InvalidPath

_PERCENT = ord("%")
# Characters that a file system may drop at the end of a name (vfat: dots and spaces), so that
# ``x.php.`` opens ``x.php``.
_DROPPED_AT_END = b". \t"
# Names that editors and careful people give to copies of a script.
_COPY_ENDINGS = (b"~", b".bak", b".old", b".orig", b".save", b".swp", b".swo")


def decode_path(raw: bytes) -> bytes:
    """Percent-decode a request path (without its query) once.

    An invalid escape stays as it is, and a decoded escape is not decoded again.

    Raises:
        InvalidPath: the path holds NUL, raw or encoded; a C string would end there.
    """
    # Looked for as numbers: bytes in bytes costs an exception inside of CPython.
    path = unquote_to_bytes(raw) if _PERCENT in raw else raw
    if 0 in path:
        raise InvalidPath("the path holds a NUL byte; remove it from the address")
    return path


def split_position(path: bytes, suffixes: tuple[bytes, ...]) -> int:
    """Find where the script part of a path ends.

    The first suffix that occurs anywhere wins, even when a later suffix stands further left.

    Args:
        path: decoded path.
        suffixes: lower-case ASCII suffixes such as ``b".php"``; one with a byte >= 0x80 never matches.

    Returns:
        Offset in bytes just behind the first occurrence, or -1.
    """
    lowered = path.lower()  # bytes.lower() changes A-Z only, so offsets stay those of the original
    for suffix in suffixes:
        start = lowered.find(suffix)
        if start >= 0 and suffix.isascii():
            return start + len(suffix)
    return -1


def script_end(path: bytes, suffixes: tuple[bytes, ...]) -> int:
    """Find where the script part ends, looking only at ends of names.

    Unlike `split_position` this does not cut ``/a.php.bak`` or ``/v1.phpx/a.php`` inside a name, so
    path info is empty or starts with a slash (RFC 3875, section 4.1.5).

    Returns:
        Offset in bytes just behind the suffix, or -1.
    """
    lowered = path.lower()
    for suffix in suffixes:
        start = lowered.find(suffix + b"/")
        if start >= 0:
            return start + len(suffix)
        if lowered.endswith(suffix):
            return len(path)
    return -1


def clean_path(path: bytes) -> bytes:
    """Resolve ``.``, ``..`` and repeated slashes by text alone, never above ``/``.

    Returns:
        A path that starts with a slash; it ends with one when the input named a folder
        (a trailing slash, ``.`` or ``..``).
    """
    if b"//" not in path and b"/." not in path and path[:1] == b"/":
        return path
    kept: list[bytes] = []
    segments = path.split(b"/")
    for segment in segments:
        if segment == b"..":
            if kept:
                kept.pop()
        elif segment and segment != b".":
            kept.append(segment)
    if not kept:
        return b"/"
    tail = b"/" if segments[-1] in {b"", b".", b".."} else b""
    return b"/" + b"/".join(kept) + tail


def normalize_path(path: bytes) -> bytes:
    """Resolve dot segments before the path is split, and leave everything else alone.

    A proxy in front resolves them too; splitting first would run ``/a.php`` for ``/a.php/../b.php``
    and so step around rules that the proxy has for ``/a.php``. Repeated slashes are kept because
    path info is the application's own text.
    """
    if path[:1] != b"/":
        path = b"/" + path
    if b"/." not in path:
        return path
    segments = path.split(b"/")
    if b"." in segments or b".." in segments:
        return clean_path(path)
    return path


def join_root(root: bytes, path: bytes) -> bytes:
    """Join a document root and an absolute, clean path."""
    return path if root == b"/" else root + path


def hidden_prefix(path: bytes) -> bytes:
    """Give the part of a clean path up to its first hidden name, or ``b""``.

    A name is hidden when it starts with a dot; ``.well-known`` is not (RFC 8615).
    """
    if b"/." not in path:
        return b""
    end = 0
    for segment in path.split(b"/"):
        end += len(segment)
        if segment[:1] == b"." and segment != b".well-known":
            return path[:end]
        end += 1
    return b""


def is_script_name(path: bytes, suffixes: tuple[bytes, ...]) -> bool:
    """Tell whether a path ends in the suffix of a script."""
    return path.lower().endswith(suffixes)


def conceals_script(path: bytes, suffixes: tuple[bytes, ...]) -> bool:
    """Tell whether a file name is a script's in disguise, so that its text must not be sent.

    True for ``x.php``, for names that some file systems open as ``x.php`` (trailing dots and spaces,
    NTFS streams such as ``x.php::$DATA``) and for copies made by editors (``x.php~``, ``x.php.bak``).
    """
    name = path[path.rfind(b"/") + 1 :].lower()
    name = name.partition(b":")[0].rstrip(_DROPPED_AT_END)
    for ending in _COPY_ENDINGS:
        name = name.removesuffix(ending)
    return name.rstrip(_DROPPED_AT_END).endswith(suffixes)
