"""States of a thread's slot, as the runtime asks for and waits for them.

The state itself lives in C (``native/hw_board.c``); the legal transitions come from ``tools/states.toml``.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from howdah.engine.native import native
from howdah.errors import InternalError

_POLL_S = 0.002


def change(slot: int, expected: str, to: str) -> None:
    """Move a slot from one state to another.

    Raises:
        InternalError: the slot is in another state, or the transition is not in the table.
    """
    if not native.slot_change(slot, expected, to):
        raise InternalError(
            f"slot {slot} is {native.slot_state(slot)}, so it cannot go from {expected} to {to}; please report this"
        )


def wait_states(slots: Iterable[int], wanted: frozenset[str], timeout_s: float) -> list[int]:
    """Wait until every slot is in one of the wanted states.

    Blocks at most ``timeout_s`` seconds.

    Returns:
        The slots that are not there yet; empty on success.
    """
    deadline = time.monotonic() + timeout_s
    missing = list(slots)
    while True:
        missing = [slot for slot in missing if native.slot_state(slot) not in wanted]
        if not missing or time.monotonic() >= deadline:
            return missing
        time.sleep(_POLL_S)
