"""Names of all measurements for the command line, in the order in which they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import measures
import statics
import workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from measures import Bench

TARGETS: dict[str, Callable[[Bench], None]] = {
    "trivial": measures.trivial,
    "worker": workers.worker,
    "dokuwiki": measures.dokuwiki,
    "slim": workers.slim,
    "engine": measures.engine,
    "static": statics.static,
    "transfers": measures.transfers,
    "startup": measures.startup,
    "memory": measures.memory,
    "recycling": workers.recycling,
    "wipe": workers.wipe,
    "scaling": workers.scaling,
    "steady": workers.steady,
}
# Howdah's own figures, without a peer.
ALONE = frozenset({"engine", "recycling", "wipe", "scaling", "steady"})
