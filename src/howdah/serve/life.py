"""The life of a server process: start, signals, drain, end.

PHP starts in a thread while sockets are bound and the HTTP server is imported. The first SIGINT or
SIGTERM stops accepting and lets requests end within the grace time; the second ends the process at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from howdah.errors import InternalError
from howdah.serve.address import Address, bind, listen, parse_address, remove_socket_file, shown_url, socket_inode

if TYPE_CHECKING:
    from howdah.config.model import ServerConfig
    from howdah.runtime.runtime import Runtime
    from howdah.serve.granian import Listener

_log = logging.getLogger("howdah.serve")

SECOND_SIGNAL = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# How long connections may take to send what they were given, after the last request has ended.
LAST_BYTES_S = 2.5
_LOOK_S = 0.02
_DESCRIPTORS_WANTED = 65536
# What is not a connection: PHP's files and sockets, spools, libraries.
_DESCRIPTORS_KEPT = 256
_FEWEST_CONNECTIONS = 64
_MOST_CONNECTIONS = 16384

Application = Callable[..., Any]


class PhpStart:
    """PHP's start in a thread of its own, so that imports and sockets do not wait for it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="howdah-start", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._runtime.start()
        except BaseException as error:  # raised again in wait()
            self._error = error

    def wait(self) -> None:
        """Block until PHP runs.

        Raises:
            EngineError: it does not start.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error


class ServerProcess:
    """Serves one application until a signal comes.

    Args:
        config: addresses and limits.
        runtime: PHP, not started yet; stopped at the end.
        make_app: gives the ASGI application; called while PHP starts.
        grace_s: time for requests that run when the first signal comes.
        announce: called with the URLs when the server answers.
    """

    def __init__(
        self,
        config: ServerConfig,
        runtime: Runtime,
        make_app: Callable[[], Application],
        grace_s: float,
        announce: Callable[[Sequence[str]], None],
    ) -> None:
        self._config = config
        self._runtime = runtime
        self._make_app = make_app
        self._grace_s = grace_s
        self._announce = announce
        self._sockets: list[tuple[Address, socket.socket, int]] = []

    def run(self) -> int:
        """Serve; blocks until the server has ended.

        Returns:
            Exit code: 0 after a drain.

        Raises:
            ConfigError: an address is misspelt.
            ListenError: an address cannot be used.
            EngineError: PHP does not start.
        """
        addresses = [parse_address(text) for text in self._config.listen]
        raise_descriptor_limit()
        try:
            for address in addresses:
                opened = bind(address)
                self._sockets.append((address, opened, socket_inode(address)))
            start = PhpStart(self._runtime)
            app = self._make_app()
            import uvloop

            from howdah.serve.granian import Listener, ListenerOptions

            # Asked before the listeners take the sockets over.
            urls = [shown_url(address, opened) for address, opened, _ in self._sockets]
            options = ListenerOptions(
                max_connections=max_connections() // len(self._sockets),
                header_timeout_s=self._config.header_timeout_s,
                max_header_size_bytes=self._config.max_header_size_bytes,
            )
            listeners = [Listener(app, opened, options) for _, opened, _ in self._sockets]
            start.wait()
            for address, opened, _ in self._sockets:
                listen(address, opened)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve(listeners, urls))
            return 0
        finally:
            for address, opened, inode in self._sockets:
                opened.close()
                remove_socket_file(address, inode)

    async def _serve(self, listeners: Sequence[Listener], urls: Sequence[str]) -> None:
        stop_wanted = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._on_signal, stop_wanted, number)
        for listener in listeners:
            listener.start()
        self._announce(urls)
        await self._until_stop(stop_wanted, listeners)
        await self._drain(listeners)

    async def _until_stop(self, stop_wanted: asyncio.Event, listeners: Sequence[Listener]) -> None:
        """Wait for a signal, or for a server that ended by itself."""
        waiting = asyncio.ensure_future(stop_wanted.wait())
        servers = [listener.serving for listener in listeners]
        await asyncio.wait([waiting, *servers], return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            for server in servers:
                if server.done():
                    raise InternalError(f"the HTTP server ended by itself: {server.exception() or 'no reason given'}")

    def _on_signal(self, stop_wanted: asyncio.Event, number: int) -> None:
        if stop_wanted.is_set():
            leave_now(SECOND_SIGNAL)
        _log.info("%s: stopping; a second signal ends at once", signal.Signals(number).name)
        stop_wanted.set()

    async def _drain(self, listeners: Sequence[Listener]) -> None:
        """Let requests end, then abort what is left; every wait is bounded."""
        deadline = time.monotonic() + self._grace_s
        for listener in listeners:
            listener.stop_accepting()
        from howdah.serve.granian import open_requests

        while (left := open_requests()) > 0:
            if time.monotonic() >= deadline:
                _log.warning("%d requests outlived the grace time of %g s: aborted", left, self._grace_s)
                break
            await asyncio.sleep(_LOOK_S)
        # While PHP stops, the loop carries the last answers out.
        stopping = asyncio.ensure_future(asyncio.to_thread(self._runtime.stop, max(0.0, deadline - time.monotonic())))
        # Not longer, because HTTP connections on which nothing was asked yet, as browsers open them, count too.
        ended = await _all_stopped(listeners, time.monotonic() + LAST_BYTES_S)
        clean = await stopping
        if not clean or not ended:
            # A stuck thread would hold the interpreter's own end for ever, a client the HTTP server's.
            self._remove_socket_files()
            leave_now(0)

    def _remove_socket_files(self) -> None:
        for address, _, inode in self._sockets:
            remove_socket_file(address, inode)


async def _all_stopped(listeners: Sequence[Listener], deadline: float) -> bool:
    results = [await listener.wait_stopped(max(0.0, deadline - time.monotonic())) for listener in listeners]
    return all(results)


def leave_now(code: int) -> NoReturn:
    """End the process without waiting for anything but the flush of its logs."""
    with contextlib.suppress(Exception):
        logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)


def raise_descriptor_limit() -> None:
    """Raise the soft limit of open files towards the hard one: each connection needs a descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS_WANTED if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def max_connections() -> int:
    """Give how many connections fit into the limit of open files, spools and scripts considered."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MOST_CONNECTIONS
    return max(_FEWEST_CONNECTIONS, min(_MOST_CONNECTIONS, (soft - _DESCRIPTORS_KEPT) // 2))
