"""Precompressed siblings (``app.js.br`` beside ``app.js``) and Accept-Encoding."""

from __future__ import annotations

import os
import stat
from functools import lru_cache
from typing import NamedTuple

Siblings = tuple[tuple[bytes, bytes], ...]

# In the order of preference among those that a client likes equally.
SIBLINGS: Siblings = ((b"br", b".br"), (b"zstd", b".zst"), (b"gzip", b".gz"))


class Sibling(NamedTuple):
    """The file to send; ``encoding`` is ``b""`` for the original."""

    path: bytes
    encoding: bytes
    varies: bool


@lru_cache(256)
def _parse(value: bytes) -> tuple[tuple[bytes, float], ...]:
    found: dict[bytes, float] = {}
    for item in value.split(b","):
        coding, _, parameters = item.partition(b";")
        coding = coding.strip().lower()
        if not coding:
            continue
        quality = 1.0
        name, equals, text = parameters.partition(b"=")
        if equals and name.strip().lower() == b"q":
            try:
                quality = float(text.strip())
            except ValueError:
                quality = 0.0
        found[coding] = quality if 0.0 <= quality <= 1.0 else 0.0
    return tuple(found.items())


def accepted(value: bytes, coding: bytes) -> float:
    """Give the quality (0 to 1) that an Accept-Encoding header grants to a coding.

    A coding that is not named is not wanted unless ``*`` says so; ``identity`` is wanted unless it is
    excluded (RFC 9110, section 12.5.3). A header over 512 bytes grants nothing but ``identity``.
    """
    listed = dict(_parse(value)) if 0 < len(value) <= 512 else {}
    if coding in listed:
        return listed[coding]
    if b"*" in listed:
        return listed[b"*"]
    return 1.0 if coding == b"identity" else 0.0


def choose_sibling(path: bytes, accept_encoding: bytes, siblings: Siblings = SIBLINGS) -> Sibling:
    """Choose between a file and its precompressed siblings.

    A sibling counts only if it is itself a regular file, no link: the policy for links was checked for the
    original alone.
    """
    varies = False
    best = Sibling(path, b"", varies=False)
    best_quality = 0.0
    for coding, suffix in siblings:
        try:
            status = os.lstat(path + suffix)
        except OSError:
            continue
        if not stat.S_ISREG(status.st_mode):
            continue
        varies = True
        quality = accepted(accept_encoding, coding)
        if quality > best_quality:
            best, best_quality = Sibling(path + suffix, coding, varies=True), quality
    return best._replace(varies=varies)
