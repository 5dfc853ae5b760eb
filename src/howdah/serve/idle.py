"""Closes connections that ask for nothing, where the HTTP server does not: on listeners that speak HTTP/2.

There the HTTP server keeps a connection that is silent, or that dribbles, for ever. The kernel knows the
connections of this process, the application knows which of them ask; what does neither is shut down.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

_SHORTEST_LOOK_S, _LONGEST_LOOK_S = 0.2, 10.0

Application = Callable[..., Any]
Peer = tuple[str, str]


class _Known:
    """A connection from which requests came."""

    __slots__ = ("running", "since")

    def __init__(self, now: float) -> None:
        self.running = 0
        self.since = now


class IdleGuard:
    """Watches the connections of one TCP port.

    Args:
        port: local port of the listener.
        header_timeout_s: time for the first request of a connection, handshake included.
        idle_timeout_s: time between requests.
    """

    def __init__(self, port: int, header_timeout_s: float, idle_timeout_s: float) -> None:
        self._port = port
        self._header_timeout_s = header_timeout_s
        self._idle_timeout_s = idle_timeout_s
        self._known: dict[Peer, _Known] = {}
        self._first_seen: dict[Peer, float] = {}
        self._look_s = min(_LONGEST_LOOK_S, max(_SHORTEST_LOOK_S, min(header_timeout_s, idle_timeout_s) / 4))

    def wrap(self, app: Application) -> Application:
        """Give an application that tells from which connections requests come."""

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            clock = asyncio.get_running_loop().time
            peer = scope["client"]
            known = self._known.get(peer)
            if known is None:
                known = self._known[peer] = _Known(clock())
            known.running += 1
            try:
                await app(scope, receive, send)
            finally:
                known.running -= 1
                known.since = clock()

        return watched

    async def watch(self) -> None:
        """Look again and again; runs until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._look_s)
            started = loop.time()
            # Thousands of connections take a while to list.
            present = await asyncio.to_thread(lambda: set(connections(self._port)))
            late = self._late(present, started)
            if late:
                await asyncio.to_thread(shut_down, self._port, late)

    def _late(self, present: set[Peer], now: float) -> set[Peer]:
        """Find the connections whose time is over, and forget those that are gone."""
        self._first_seen = {peer: self._first_seen.get(peer, now) for peer in present}
        for peer in [peer for peer, known in self._known.items() if not known.running and known.since < now]:
            if peer not in present:
                del self._known[peer]
        late = set()
        for peer, first_seen in self._first_seen.items():
            known = self._known.get(peer)
            if known is None:
                if now - first_seen >= self._header_timeout_s:
                    late.add(peer)
            elif not known.running and now - known.since >= self._idle_timeout_s:
                late.add(peer)
        return late


def connections(port: int) -> Iterator[Peer]:
    """Give the other ends of this process's accepted TCP connections at a local port."""
    for _, peer in _sockets(port):
        yield peer


def shut_down(port: int, peers: set[Peer]) -> None:
    """Shut connections down; the HTTP server sees their end and closes them."""
    for opened, peer in _sockets(port):
        if peer in peers:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)


def _sockets(port: int) -> Iterator[tuple[socket.socket, Peer]]:
    """Give duplicates of the sockets, each open until the next is asked for: their numbers may be reused meanwhile."""
    for entry in os.listdir("/proc/self/fd"):  # noqa: PTH208 - thousands of names, no paths
        try:
            if not os.readlink(f"/proc/self/fd/{entry}").startswith("socket:"):  # noqa: PTH115
                continue
            duplicate = os.dup(int(entry))
        except OSError:
            continue
        with socket.socket(fileno=duplicate) as opened:
            if opened.family in {socket.AF_INET, socket.AF_INET6}:
                with contextlib.suppress(OSError):
                    if opened.getsockname()[1] == port:
                        address = opened.getpeername()
                        yield opened, (address[0], str(address[1]))
