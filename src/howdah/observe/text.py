"""Text of logs: written so that nobody can forge a line, or move a terminal's cursor, by what they send."""

from __future__ import annotations

import json
import re
from json.encoder import encode_basestring
from typing import Any

# Control characters (C0, DEL, C1), line separators, marks that turn the direction of writing, lone surrogates.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def quote(text: str) -> str:
    """Write text as a JSON string in which letters of all languages stay readable."""
    quoted: str = encode_basestring(text)
    return quoted if quoted.isascii() and quoted.isprintable() else _UNSAFE.sub(_escape, quoted)


def escape(text: str) -> str:
    """Write text on one line, without quotes; a backslash stays what it is."""
    return text if text.isprintable() else _UNSAFE.sub(_escape_briefly, text)


def to_json(value: Any) -> str:
    """Write a value as JSON on one line; what JSON does not know is shown by ``str()``."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str, separators=(",", ":"))
    except (ValueError, TypeError, RecursionError):  # circular, or keys that are no names
        text = encode_basestring(repr(value))
    return text if text.isascii() and text.isprintable() else _UNSAFE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


_BRIEF = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escape_briefly(found: re.Match[str]) -> str:
    code = ord(found[0])
    return _BRIEF.get(found[0]) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
