"""How often Python looks for reference cycles while it serves."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# A request on its way is some thirty objects that the collector counts, so with Python's own 700 it would run in the
# middle of every burst, to find that all of them are in use. Requests leave no cycles; applications may.
_YOUNG_OBJECTS = 10_000


@contextmanager
def rare_collections() -> Iterator[None]:
    """Let the collector wait for more objects than a burst of requests makes.

    Who has asked for more of them, or for no collector, keeps that.
    """
    before = gc.get_threshold()
    if 0 < before[0] < _YOUNG_OBJECTS:
        gc.set_threshold(_YOUNG_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
