"""The thread and the event loop of the admin API, so that it answers while the server's own loop is busy.

Knows listeners by their methods only; `howdah.serve` makes them.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from howdah.admin.app import make_admin
from howdah.errors import HowdahError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from howdah.admin.control import Control
    from howdah.config.http import Admin
    from howdah.observe.metrics import Metrics

_log = logging.getLogger("howdah.admin")

_STOP_S = 2.0
_START_S = 10.0

_Value = TypeVar("_Value")


class AdminListener(Protocol):
    """A listening socket with an HTTP server behind it (`howdah.serve.servers.HttpListener`)."""

    def start(self) -> None:
        """Accept connections; called on the loop that serves them."""

    def stop_accepting(self) -> None:
        """Close the socket; requests that run are finished."""

    async def wait_stopped(self, timeout_s: float) -> bool:
        """Wait until the last connection has ended."""


class AdminThread:
    """Serves the admin API on a thread of its own.

    Args:
        control: the server; its coroutines run on ``loop``.
        metrics: the server's metrics page.
        admin: who may use the API.
        loop: the server's event loop.
        listen: makes the listeners for an application; called on the admin thread, where they live. A Unix socket
            must have the mode 0600, because whoever may open it may do everything.

    Raises:
        ConfigError: other machines could use the API without a token.
    """

    def __init__(
        self,
        control: Control,
        metrics: Metrics,
        admin: Admin,
        loop: asyncio.AbstractEventLoop,
        listen: Callable[[ASGIApp], Sequence[AdminListener]],
    ) -> None:
        self._app = make_admin(control, metrics, admin, self._on_server)
        self._server_loop = loop
        self._listen = listen
        self._loop = asyncio.new_event_loop()
        self._stop_wanted = asyncio.Event()
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="howdah-admin", daemon=True)

    def start(self) -> None:
        """Start; returns when the API answers.

        Raises:
            HowdahError: it cannot be served; the error is the listeners'.
        """
        self._thread.start()
        if not self._started.wait(_START_S):
            raise HowdahError(f"the admin API has not started within {_START_S:.0f} s")
        if self._error is not None:
            self._thread.join()
            raise self._error

    def stop(self) -> None:
        """Answer what was asked and end; blocks for at most some seconds, also while a connection stays open."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop_wanted.set)
            self._thread.join(2 * _STOP_S)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except BaseException as error:  # the operator must hear of it, and of the start's error its caller
            self._error = error
            if self._started.is_set():
                _log.exception("the admin API has ended by an error")
            self._started.set()

    async def _serve(self) -> None:
        listeners = self._listen(self._app)
        for listener in listeners:
            listener.start()
        self._started.set()
        await self._stop_wanted.wait()
        for listener in listeners:
            listener.stop_accepting()
        for listener in listeners:
            await listener.wait_stopped(_STOP_S / len(listeners))

    async def _on_server(self, coroutine: Coroutine[Any, Any, _Value]) -> _Value:
        """Await a coroutine on the server's loop."""
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, self._server_loop)
        except RuntimeError:  # the loop is closed
            coroutine.close()
            raise HowdahError("the server is stopping") from None
        return await asyncio.wrap_future(future)
