"""How the commands log: to standard error, quiet unless asked."""

from __future__ import annotations

import logging
import sys


def configure_logging(*, debug: bool, access_log: bool) -> None:
    """Set up ``logging`` for a server process.

    Warnings and errors are always shown, and what scripts log themselves from notice on.

    Args:
        debug: show everything.
        access_log: show the line per request.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("howdah").setLevel(logging.DEBUG if debug else logging.WARNING)
    logging.getLogger("howdah.php").setLevel(logging.DEBUG if debug else logging.INFO)
    logging.getLogger("howdah.access").setLevel(logging.INFO if access_log else logging.CRITICAL)
