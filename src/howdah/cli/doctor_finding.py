"""What `howdah doctor` finds: a verdict on one thing, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Args:
        check: what was looked at, in few words.
        verdict: ``ok``; ``warning``: it works, and something may surprise; ``problem``: it will not work.
        text: what was found.
        cure: what to do; empty when nothing has to be done.
    """

    check: str
    verdict: Verdict
    text: str
    cure: str = ""


def size_text(size_bytes: float) -> str:
    """Write a size for a human reader."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size_bytes >= unit:
            return f"{size_bytes / unit:.3g} {name}"
    return f"{size_bytes:.0f} bytes"
