"""``howdah restart-workers``: boot worker scripts again, without losing a request."""

from __future__ import annotations

from howdah.admin.client import AdminClient
from howdah.cli.parser import Parser
from howdah.cli.threads import add_address

_DESCRIPTION = """\
Restart the worker scripts of the running server, thread by thread, so that they run changed code.
Returns when all of them do. If a script does not boot, the others keep the old code and its error is shown.
"""


def run(arguments: list[str]) -> int:
    """Restart; gives the exit code.

    Raises:
        HowdahError: no server answers, there is no such worker, or a script did not boot.
    """
    parser = Parser(prog="howdah restart-workers", description=_DESCRIPTION)
    add_address(parser)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these workers (default: all)")
    options = parser.parse(arguments)
    AdminClient(options.address).restart_workers(options.names)
    print("workers restarted successfully")
    return 0
