"""How the commands log: to standard error, quiet in a normal run."""

from __future__ import annotations

import logging

from howdah.config.http import Log
from howdah.observe.logs import Logs


def configure_logging(*, debug: bool, access_log: bool) -> Logs:
    """Set up the logs of a server process that has no configuration file.

    A normal run logs next to nothing: what scripts log themselves from notice on, what a stop waits for, and
    warnings.

    Args:
        debug: show everything.
        access_log: show what goes to the logger ``howdah.access``.
    """
    logs = Logs()
    logs.configure([Log()], debug=debug)
    logging.getLogger("howdah.access").setLevel(logging.INFO if access_log else logging.CRITICAL)
    return logs
