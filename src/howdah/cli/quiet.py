"""Silence for a moment in which a command asks the server's parts what they think."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def quiet(name: str = "howdah") -> Iterator[None]:
    """Keep a logger, and those below it that have no level of their own, away from the user's screen."""
    log = logging.getLogger(name)
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)
