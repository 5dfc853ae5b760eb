"""The request balance: accepted = completed + rejected + aborted at any quiet moment."""

from __future__ import annotations

from collections import Counter

from howdah.engine.native import ABORTED, COMPLETED


class Ledger:
    """Counts of one dispatcher. Written by the dispatcher's own thread only, read by anybody.

    Attributes:
        accepted: requests that were meant for PHP.
        completed: answered by a script.
        rejected: refused with a status, by reason.
        aborted: left by their client before the answer was complete.
    """

    __slots__ = ("aborted", "accepted", "completed", "rejected")

    def __init__(self) -> None:
        self.accepted = 0
        self.completed = 0
        self.aborted = 0
        self.rejected: Counter[str] = Counter()

    def ended(self, outcome: int) -> None:
        """Count the end of a request that PHP has had."""
        if outcome == COMPLETED:
            self.completed += 1
        elif outcome == ABORTED:
            self.aborted += 1
        else:
            self.rejected["draining"] += 1
