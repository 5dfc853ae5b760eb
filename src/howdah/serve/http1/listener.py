"""Accepts connections on one socket, sweeps away those that are late, and ends.

A `howdah.serve.servers.HttpListener`. Everything runs on the
loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from howdah.serve.address import BACKLOG
from howdah.serve.http1.connection import Connection
from howdah.serve.http1.exchange import Exchange
from howdah.serve.http1.head import HeadWriter, date_line

if TYPE_CHECKING:
    from howdah.serve.options import ListenerOptions

_log = logging.getLogger("howdah.serve")

# How long a connection that came too late may take to ask for something.
_LATE_S = 0.2
# How many turns an event loop takes from accepting a connection to telling of it, and some more.
_ACCEPTING_TURNS = 6
_LONGEST_SWEEP_S, _SHORTEST_SWEEP_S = 1.0, 0.05

Application = Callable[..., Any]


class Http1Listener:
    """One listening socket and the connections that came through it.

    Args:
        app: the ASGI application.
        listening: a bound socket; taken over.
        options: timeouts and limits; without TLS.

    Attributes:
        options: in force for every connection.
        is_leaving: clients are told with their next answer that the connection ends.
        date_line: the Date field of now, to a second.
    """

    def __init__(self, app: Application, listening: socket.socket, options: ListenerOptions) -> None:
        self.options = options
        self.is_leaving = False
        self.heads = HeadWriter()
        self.date_line = date_line()
        self._app = app
        self._socket = listening
        self._connections: set[Connection] = set()
        self._running: set[Exchange] = set()
        self._server: asyncio.AbstractServer | None = None
        self._opening: asyncio.Task[None] | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._is_looking = False
        self._is_closed = False
        self._is_ending = False

    def start(self) -> None:
        """Accept connections from now on; call it on the running loop."""
        self.loop = asyncio.get_running_loop()
        self._serving: asyncio.Future[None] = self.loop.create_future()
        self._socket.listen(BACKLOG)  # so that connections wait from now on
        self._open()

    def configure(self, options: ListenerOptions) -> bool:
        """Take other limits, for connections that are open too; False if they need another kind of server."""
        if options.mode != "h1" or options.material is not None:
            return False
        self.options = options
        if self._server is None and not self._is_closed:
            self._open()
        return True

    def stop_accepting(self) -> None:
        """Close the socket; requests that run are finished, idle connections closed."""
        self._is_ending = True
        self.leave()
        for connection in list(self._connections):
            connection.end_when_idle()

    def leave(self) -> None:
        """Take no more connections, though others may go on to accept on the same socket, and close none."""
        self.is_leaving = self._is_closed = True
        self._close_server()
        self._socket.close()
        self._look_for_end()

    async def wait_stopped(self, timeout_s: float) -> bool:
        """Wait until the last connection has ended; False when some are left after ``timeout_s``."""
        await asyncio.wait([self.serving], timeout=timeout_s)
        return self.serving.done()

    @property
    def serving(self) -> asyncio.Future[None]:
        """Done when the server has ended; there from `start` on."""
        return self._serving

    def close(self) -> None:
        """Free what a listener holds that was never started."""
        self._socket.close()

    # -- called by connections ----------------------------------------------------------------------
    def add(self, connection: Connection) -> None:
        """Take a connection under watch; when there are as many as may be, no more are accepted."""
        self._connections.add(connection)
        if self._is_ending:
            # It was being accepted when the end was ordered. Its request is on the way, or there is none.
            if self._serving.done():
                connection.cut(flushes=False)
            else:
                self.loop.call_later(_LATE_S, connection.end_when_idle)
        if self._sweeper is None:
            self.date_line = date_line()
            self._sweeper = self.loop.call_later(self._sweep_s(), self._sweep)
        if len(self._connections) >= self.options.max_connections:
            self._close_server()

    def remove(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._connections.discard(connection)
        if self._server is None and not self._is_closed and self.loop.is_running():
            self._open()
        self._look_for_end()

    def begin(self, exchange: Exchange) -> None:
        """Let the application answer."""
        self._running.add(exchange)
        exchange.task = self.loop.create_task(exchange.run(self._app))

    def forget(self, exchange: Exchange) -> None:
        """Drop an exchange whose application has returned."""
        self._running.discard(exchange)

    # -- accepting ----------------------------------------------------------------------------------
    def _open(self) -> None:
        if self._opening is None:
            self._opening = self.loop.create_task(self._accept())
            self._opening.add_done_callback(self._on_opened)

    async def _accept(self) -> None:
        if self._is_full():
            return
        # The server closes its socket when it has accepted enough; this one stays, with the connections that wait.
        listening = self._socket.dup()
        try:
            self._server = await self.loop.create_server(lambda: Connection(self), sock=listening, backlog=BACKLOG)
        except BaseException:
            listening.close()
            raise
        if self._is_full():
            self._close_server()

    def _is_full(self) -> bool:
        """Tell whether no further connection is to be accepted."""
        return self._is_closed or len(self._connections) >= self.options.max_connections

    def _on_opened(self, task: asyncio.Task[None]) -> None:
        self._opening = None
        if not task.cancelled() and (error := task.exception()) is not None and not self._serving.done():
            self._serving.set_exception(error)
        self._look_for_end()

    def _close_server(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _look_for_end(self) -> None:
        if self._is_closed and not self._connections and not self._is_looking and self._opening is None:
            self._is_looking = True
            self.loop.call_soon(self._look_again, _ACCEPTING_TURNS)

    def _look_again(self, turns: int) -> None:
        """End after some turns of the loop, if no connection was just being accepted."""
        if self._connections or self._serving.done():
            self._is_looking = False
        elif turns:
            self.loop.call_soon(self._look_again, turns - 1)
        else:
            if self._sweeper is not None:
                self._sweeper.cancel()
                self._sweeper = None
            self._serving.set_result(None)

    # -- sweeping -----------------------------------------------------------------------------------
    def _sweep_s(self) -> float:
        shortest_s = min(self.options.header_timeout_s, self.options.idle_timeout_s)
        return min(_LONGEST_SWEEP_S, max(_SHORTEST_SWEEP_S, shortest_s / 4))

    def _sweep(self) -> None:
        self.date_line = date_line()
        now = self.loop.time()
        for connection in list(self._connections):
            connection.sweep(now)
        self._sweeper = None
        # A loop that is being closed runs timers until there are none.
        if self._connections and self.loop.is_running():
            self._sweeper = self.loop.call_later(self._sweep_s(), self._sweep)
