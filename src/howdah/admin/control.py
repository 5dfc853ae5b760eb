"""What the admin API needs of the server that it controls.

The server implements it; tests have a fake. Nothing here knows sockets or the HTTP server.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from howdah.observe.snapshot import Snapshot


class Control(Protocol):
    """A running server, as the admin API sees it.

    The admin API has a thread and an event loop of its own, so that it answers while the server's loop is busy. The
    plain methods are called on that thread: they must be safe there and must not block. The coroutines run on the
    server's own loop, which `howdah.admin.thread.AdminThread` gets for that.
    """

    def statistics(self) -> Snapshot:
        """Give a snapshot of the runtime: ``Runtime.statistics()``."""

    def ready_reason(self) -> str | None:
        """Say in one sentence why the server is not ready; None when it is."""

    def config_json(self) -> dict[str, Any]:
        """Give the configuration in force as Howdah's own JSON (`howdah.config.dump.to_json`)."""

    async def load(self, body: bytes, content_type: str) -> None:
        """Validate a configuration and put it in force; returns when it is.

        Args:
            body: a Caddyfile, or Howdah's own JSON.
            content_type: ``text/caddyfile`` or ``application/json``, in lower case and without parameters.

        Raises:
            ConfigError: it is wrong or needs a restart; nothing has changed.
        """

    async def stop(self) -> None:
        """Begin to stop as SIGTERM does; returns at once."""

    async def restart_workers(self, names: Sequence[str] | None = None) -> None:
        """Restart worker scripts, rolling; returns when every thread runs the new code.

        A second call joins the first.

        Args:
            names: only these workers; None means all.

        Raises:
            HowdahError: a script did not boot; the message is PHP's. The other threads keep the old code.
        """
