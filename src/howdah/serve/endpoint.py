"""An open socket and the HTTP servers on it: the present one, and older ones that serve their last connections.

A server that cannot take other options, such as another certificate, is replaced by another on the same socket, which
stays open throughout: no connection is refused, and none is cut.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from howdah.config.http import HttpServers
from howdah.serve.address import Address, bind, listen, remove_socket_file, shown_url, socket_inode
from howdah.serve.idle import Peer, connections
from howdah.serve.options import ListenerOptions, Mode
from howdah.serve.servers import HttpListener, make_listener
from howdah.serve.tls import Material

_log = logging.getLogger("howdah.serve")

# Clients are told to leave with their next answer; who asks for nothing for so long is sent away.
_LONGEST_LINGER_S = 30.0
# Each has threads of its own, so a storm of changes must not gather them.
_MOST_LEAVING = 3
_LOOK_S = 0.5

Application = Callable[..., Any]


class Endpoint:
    """A listening address that is open.

    Args:
        address: where to listen.
        on_failure: called with the reason when a server ends though nobody told it to.

    Attributes:
        options: what the present server was started with.

    Raises:
        ListenError: the address cannot be used.
    """

    def __init__(self, address: Address, on_failure: Callable[[str], None]) -> None:
        self.address = address
        self.options: ListenerOptions | None = None
        self._on_failure = on_failure
        self._socket = bind(address)
        self._inode = socket_inode(address)
        self._port: int = self._socket.getsockname()[1] if address.kind == "tcp" else 0
        self._app: Application = _nothing
        self._listener: HttpListener | None = None
        self._leaving: list[HttpListener] = []
        self._lingering: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    def listen(self) -> None:
        """Let connections come; they wait until a server is started.

        Raises:
            ListenError: another process was quicker.
        """
        listen(self.address, self._socket)

    def route(self, app: Application) -> None:
        """Let an application answer all requests that come from now on."""
        self._app = app

    def serve(self, options: ListenerOptions) -> None:
        """Serve with options from now on; call it on the running loop.

        If the present server cannot take them, another takes over and the present one goes on with the connections
        that it has.
        """
        if self._listener is not None and self._listener.configure(options):
            self.options = options
            return
        fresh = make_listener(self._answer, self._socket.dup(), options)
        fresh.start()
        fresh.serving.add_done_callback(self._on_end)
        if self._listener is not None:
            self._let_go(self._listener)
        self._listener, self.options = fresh, options

    def url(self, name: str = "") -> str:
        """Give what a user can open; with the name of a site instead of the interface if there is one."""
        is_tls = self.options is not None and self.options.material is not None
        address = self.address._replace(host=name) if name and self.address.kind == "tcp" else self.address
        return shown_url(address, self._socket, is_tls=is_tls)

    def retire(self) -> None:
        """Refuse new connections and let those that are there end: the address is not wanted any more."""
        self._close_socket()
        if self._listener is not None:
            self._let_go(self._listener)
            self._listener = None

    def stop_accepting(self) -> None:
        """Refuse new connections, finish running requests, close idle connections: the process ends."""
        self._is_stopping = True
        self._close_socket()
        for task in self._lingering:
            task.cancel()
        for listener in self._listeners():
            listener.stop_accepting()

    async def wait_stopped(self, deadline: float) -> bool:
        """Wait until the last connection of all servers has ended; False when some are left at the deadline."""
        results = [await one.wait_stopped(max(0.0, deadline - time.monotonic())) for one in self._listeners()]
        return all(results)

    @property
    def is_gone(self) -> bool:
        """A retired endpoint whose last connection has ended."""
        return self._listener is None and not self._leaving

    def close(self) -> None:
        """Close the socket and remove its file; for the end of the process, or before a server was started."""
        self._close_socket()

    def _answer(self, scope: Any, receive: Any, send: Any) -> Any:
        return self._app(scope, receive, send)

    def _on_end(self, task: asyncio.Future[None]) -> None:
        if self._listener is not None and task is self._listener.serving and not self._is_stopping:
            error = None if task.cancelled() else task.exception()
            self._on_failure(f"{self.address}: {error or 'no reason given'}")

    def _listeners(self) -> list[HttpListener]:
        return [*self._leaving, *([self._listener] if self._listener else [])]

    def _close_socket(self) -> None:
        if self._socket.fileno() >= 0:
            remove_socket_file(self.address, self._inode)
            self._socket.close()

    def _let_go(self, listener: HttpListener) -> None:
        listener.leave()
        self._leaving.append(listener)
        for surplus in self._leaving[:-_MOST_LEAVING]:
            surplus.stop_accepting()
        task = asyncio.get_running_loop().create_task(self._linger(listener))
        self._lingering.add(task)
        task.add_done_callback(self._lingering.discard)

    async def _linger(self, listener: HttpListener) -> None:
        """Wait until the connections of a server that leaves have ended, but not for ever; then end the server."""
        deadline = time.monotonic() + _LONGEST_LINGER_S
        left: set[Peer] | None = None
        while time.monotonic() < deadline and not listener.serving.done():
            present = await asyncio.to_thread(self._connections)
            # What comes later is another server's.
            left = present if left is None else left & present
            if not left:
                break
            await asyncio.wait([listener.serving], timeout=_LOOK_S)
        listener.stop_accepting()
        await asyncio.wait([listener.serving])
        self._leaving.remove(listener)

    def _connections(self) -> set[Peer]:
        # Connections at a socket file have no names; theirs is one that stays.
        return set(connections(self._port)) if self._port else {("", "")}


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    """Answer nothing: no application was given yet."""


def options_of(servers: HttpServers, material: Material | None, max_connections: int) -> ListenerOptions:
    """Give what a listener is started with under the options of a configuration."""
    return ListenerOptions(
        max_connections=max_connections,
        mode=_mode(servers.protocols, is_tls=material is not None),
        header_timeout_s=servers.read_header_timeout_s,
        idle_timeout_s=servers.idle_timeout_s,
        max_header_size_bytes=servers.max_header_size_bytes,
        material=material,
    )


def _mode(protocols: tuple[str, ...], *, is_tls: bool) -> Mode:
    has_h2 = ("h2" if is_tls else "h2c") in protocols
    if not has_h2:
        return "h1"
    return "both" if "h1" in protocols else "h2"
