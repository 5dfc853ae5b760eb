"""How the commands log: to standard error, quiet in a normal run."""

from __future__ import annotations

import logging
import sys


def configure_logging(*, debug: bool, access_log: bool) -> None:
    """Set up ``logging`` for a server process.

    A normal run logs next to nothing: what scripts log themselves from notice on, what a stop waits for, and
    warnings.

    Args:
        debug: show everything.
        access_log: show the line per request.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("howdah").setLevel(logging.DEBUG if debug else logging.INFO)
    logging.getLogger("howdah.access").setLevel(logging.INFO if access_log else logging.CRITICAL)
