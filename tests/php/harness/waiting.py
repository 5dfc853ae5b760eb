"""Bounded polling: tests wait for an event, never for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T | None],
    what: str,
    *,
    timeout_s: float = 10.0,
    step_s: float = 0.01,
) -> T:
    """Poll until the condition is true and give its value.

    Raises:
        AssertionError: it was not true within the bound; says what was waited for.
    """
    end = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"waited {timeout_s:g} s in vain for: {what}")
        time.sleep(step_s)
