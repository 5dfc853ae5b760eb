"""The socket of the admin API and the thread that serves it."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from howdah.admin.auth import check_admin
from howdah.admin.client import split_address
from howdah.admin.thread import AdminThread
from howdah.config.http import Admin
from howdah.errors import ConfigError
from howdah.serve.address import Address, ListenError, bind, listen, parse_address, remove_socket_file, socket_inode
from howdah.serve.listeners import shown

if TYPE_CHECKING:
    from howdah.admin.control import Control
    from howdah.observe.metrics import Metrics
    from howdah.serve.listeners import ListenerPlan
    from howdah.serve.servers import HttpListener

_log = logging.getLogger("howdah.serve")

_CONNECTIONS = 64
_LOOPBACK = frozenset({"localhost", "127.0.0.1"})
_SOCKET_MODE = 0o600


class _Port:
    """An open socket of the admin API; ``of`` is one at the same address, whose socket is used."""

    def __init__(self, admin: Admin, of: _Port | None = None) -> None:
        check_admin(admin)
        self.admin = admin
        self.address = admin_address(admin)
        try:
            self.socket: socket.socket = of.socket.dup() if of is not None else bind(self.address, mode=_SOCKET_MODE)
        except ListenError as error:
            cure = "move it by `admin ADDRESS`, or turn it off by `admin off`"
            raise ListenError(f"admin API: {error}; {cure}") from None
        self.inode: int = of.inode if of is not None else socket_inode(self.address)
        listen(self.address, self.socket)

    def listeners(self, app: Any) -> Sequence[HttpListener]:
        from howdah.serve.options import ListenerOptions
        from howdah.serve.servers import make_listener

        return [make_listener(app, self.socket.dup(), ListenerOptions(_CONNECTIONS))]

    def close(self, *, file_stays: bool = False) -> None:
        if self.socket.fileno() >= 0:
            if not file_stays:
                remove_socket_file(self.address, self.inode)
            self.socket.close()


class AdminPort:
    """Serves the admin API as a configuration says, and changes to another.

    Args:
        control: the server.
        metrics: its metrics page.
    """

    def __init__(self, control: Control, metrics: Metrics) -> None:
        self._control = control
        self._metrics = metrics
        self._port: _Port | None = None
        self._next: _Port | None = None
        self._thread: AdminThread | None = None
        self._changes: set[asyncio.Task[None]] = set()

    def open(self, admin: Admin) -> None:
        """Open the socket, if there is to be an admin API.

        Raises:
            ConfigError: the address is misspelt.
            ListenError: it cannot be used.
        """
        if admin.enabled:
            self._port = _Port(admin)

    def start(self) -> None:
        """Serve; call it on the server's loop.

        Raises:
            ConfigError: other machines could use the API without a token.
            HowdahError: it cannot be served.
        """
        if self._port is not None:
            self._thread = self._make_thread(self._port)
            self._thread.start()

    def prepare(self, admin: Admin) -> None:
        """Open the socket of another configuration; nothing is changed yet.

        Raises:
            ConfigError: other machines could use the API without a token, or the address is misspelt.
            ListenError: the address cannot be used.
        """
        self.forget()
        if not admin.enabled or (self._port is not None and self._port.admin == admin):
            return
        same = self._port if self._port is not None and admin_address(admin) == self._port.address else None
        self._next = _Port(admin, same)

    def forget(self) -> None:
        """Give up what was prepared."""
        if self._next is not None:
            self._next.close(file_stays=self._shares_file(self._next))
            self._next = None

    def replace(self, admin: Admin) -> None:
        """Serve what was prepared; the old API ends when it has answered what it was asked."""
        if admin.enabled and self._next is None:
            return
        old_port, old_thread = self._port, self._thread
        self._port, self._next = self._next, None
        self._thread = None
        self.start()
        if old_port is not None and old_thread is not None:
            old_port.close(file_stays=self._shares_file(old_port))
            # In a thread and not awaited: this change may have been asked for through the API that ends.
            ending = asyncio.get_running_loop().create_task(asyncio.to_thread(old_thread.stop))
            self._changes.add(ending)
            ending.add_done_callback(self._changes.discard)

    def stop(self) -> None:
        """End the API; blocks for at most some seconds."""
        if self._thread is not None:
            self._thread.stop()

    def close(self) -> None:
        """Close the sockets."""
        self.forget()
        if self._port is not None:
            self._port.close()

    def announcement(self) -> list[str]:
        """Give the line that says where the API is."""
        return [f"admin API at {self._port.admin.listen}"] if self._port is not None else []

    def _shares_file(self, port: _Port) -> bool:
        return self._port is not None and self._port.inode == port.inode

    def _make_thread(self, port: _Port) -> AdminThread:
        loop = asyncio.get_running_loop()
        return AdminThread(self._control, self._metrics, port.admin, loop, port.listeners)


def refuse_clash(admin: Admin, plans: Iterable[ListenerPlan]) -> None:
    """Refuse sites where the admin API is to be; binding would only say that the port is in use.

    Raises:
        ConfigError: both want the same address.
    """
    if not admin.enabled:
        return
    own = admin_address(admin)
    for one in plans:
        address = one.address
        is_same = own == address or (
            own.kind == address.kind == "tcp"
            and own.port == address.port
            and (_is_wide(own.host) or _is_wide(address.host) or {own.host, address.host} <= _LOOPBACK)
        )
        if is_same and one.bindings:
            position = one.bindings[0].site.position
            raise ConfigError(
                f"{shown(one.bindings[0].address)} and the admin API both want {address}: give the site another port, "
                "or move the API by `admin ADDRESS`",
                file=position.file,
                line=position.line or None,
                column=position.column or None,
            )


def _is_wide(host: str) -> bool:
    return host in {"", "0.0.0.0", "::"}


def admin_address(admin: Admin) -> Address:
    """Give the address of the admin API.

    Raises:
        ConfigError: it is misspelt.
    """
    if admin.listen.startswith("unix/"):
        return parse_address(admin.listen)
    host, port = split_address(admin.listen)
    return Address("tcp", host=host, port=port)
