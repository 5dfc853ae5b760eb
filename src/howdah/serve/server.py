"""The server process: runs a model, and puts another in force while it runs.

Start: what is wrong is told first, then sockets are opened, PHP is started, connections are accepted. A reload
prepares everything first, because what fails there changes nothing; then PHP takes its new settings, then each
listener its new sites. The first SIGINT or SIGTERM drains, the second ends at once; SIGHUP reloads.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from howdah.config.adapt import parse_config
from howdah.config.dump import parse_json, to_json
from howdah.errors import ConfigError, HowdahError, InternalError
from howdah.observe.metrics import Metrics
from howdah.serve.applications import Needs, php_sites
from howdah.serve.certificates import Certificates
from howdah.serve.life import (
    FOREIGN_THREADS_S,
    LAST_BYTES_S,
    SECOND_SIGNAL,
    PhpStart,
    leave_now,
    raise_descriptor_limit,
    wait_foreign_threads,
)
from howdah.serve.listeners import warnings
from howdah.serve.localca import Authority, data_folder
from howdah.serve.reload import Prepared, Reloader

if TYPE_CHECKING:
    from howdah.config.http import ServerModel
    from howdah.observe.logs import Logs
    from howdah.observe.snapshot import Observed, Snapshot
    from howdah.runtime.runtime import Runtime

_log = logging.getLogger("howdah.serve")

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LOOK_S = 0.02
_CADDYFILE = "text/caddyfile"


class Server:
    """A server process; implements `howdah.admin.control.Control`.

    Args:
        model: what to serve.
        runtime: PHP, not started yet; stopped at the end.
        logs: configured for the model already; closed by the caller.
        reread: gives the model anew when SIGHUP asks for a reload; None where there is no file.
        announce: called when the server answers, with a line for each listener.
    """

    def __init__(
        self,
        model: ServerModel,
        runtime: Runtime,
        logs: Logs,
        reread: Callable[[], ServerModel] | None,
        announce: Callable[[Sequence[str]], None],
    ) -> None:
        self._model = model
        self._runtime = runtime
        self._logs = logs
        self._reread = reread
        self._announce = announce
        self._certificates = Certificates(Authority(data_folder(os.environ) / "pki"))
        observed = cast("Observed", runtime)
        self._metrics = Metrics(
            observed,
            requests=model.servers.metrics,
            lost_log_lines=lambda: logs.lost_lines,
        )
        self._reloader: Reloader | None = None
        self._stop_wanted: asyncio.Event | None = None
        self._jobs: set[asyncio.Task[None]] = set()

    # -- life ---------------------------------------------------------------------------------------
    def run(self) -> int:
        """Serve; blocks until the server has ended.

        Returns:
            Exit code: 0 after a drain.

        Raises:
            ConfigError: the model cannot be served: a root, an address, a certificate.
            ListenError: an address cannot be used.
            EngineError: PHP does not start.
        """
        raise_descriptor_limit()
        for text in (*self._model.warnings, *warnings(self._model)):
            _log.warning("%s", text)
        needs = Needs(self._runtime, self._logs, self._metrics.render, base=os.getcwd())  # noqa: PTH109 - text
        reloader = self._reloader = Reloader(needs, self._certificates, self, self._metrics)
        prepared = reloader.prepare(self._model)
        for name, site in php_sites(self._model):
            self._runtime.register(site, name)
        try:
            reloader.open(prepared)
            start = PhpStart(self._runtime)
            import uvloop

            start.wait()
            reloader.listen()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve(reloader, prepared))
            wait_foreign_threads(FOREIGN_THREADS_S)
            return 0
        finally:
            reloader.close()

    async def _serve(self, reloader: Reloader, prepared: Prepared) -> None:
        self._stop_wanted = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, self._on_stop_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_reload_signal)
        await reloader.start(prepared)
        self._announce(reloader.announcement())
        await self._until_stop(reloader)
        await self._drain(reloader)

    async def _until_stop(self, reloader: Reloader) -> None:
        """Wait until somebody asks for the end, or a listener ends by itself."""
        assert self._stop_wanted is not None  # noqa: S101 - set by the caller
        waiting = asyncio.ensure_future(self._stop_wanted.wait())
        failing = asyncio.ensure_future(reloader.wait_failure())
        await asyncio.wait([waiting, failing], return_when=asyncio.FIRST_COMPLETED)
        if failing.done():
            raise InternalError(f"the HTTP server ended by itself: {failing.result()}")
        failing.cancel()

    def _on_stop_signal(self, number: int) -> None:
        assert self._stop_wanted is not None  # noqa: S101 - set before the handler is
        if self._stop_wanted.is_set():
            self._logs.close()
            leave_now(SECOND_SIGNAL)
        _log.info("%s: stopping; a second signal ends at once", signal.Signals(number).name)
        self._stop_wanted.set()

    def _on_reload_signal(self) -> None:
        task = asyncio.get_running_loop().create_task(self._reload_from_file())
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    async def _reload_from_file(self) -> None:
        if self._reread is None:
            _log.warning("SIGHUP: nothing to reload, because this server was started without a configuration file")
            return
        try:
            model = await asyncio.to_thread(self._reread)
            await self._apply(model)
        except HowdahError as error:
            _log.error("SIGHUP: nothing is changed: %s", error)
        except Exception:
            _log.exception("SIGHUP: the configuration could not be reloaded")

    async def _drain(self, reloader: Reloader) -> None:
        """Let requests end, then abort what is left; every wait is bounded."""
        from howdah.serve.servers import open_requests

        for job in self._jobs:
            job.cancel()
        grace_s = self._model.runtime.grace_s
        deadline = time.monotonic() + grace_s
        reloader.stop_accepting()
        while (left := open_requests()) > 0:
            if time.monotonic() >= deadline:
                _log.warning("%d requests outlived the grace time of %g s: aborted", left, grace_s)
                break
            await asyncio.sleep(_LOOK_S)
        # While PHP stops, the loop carries the last answers out.
        stopping = asyncio.ensure_future(asyncio.to_thread(self._runtime.stop, max(0.0, deadline - time.monotonic())))
        # Not longer, because HTTP connections on which nothing was asked yet, as browsers open them, count too.
        ended = await reloader.wait_stopped(time.monotonic() + LAST_BYTES_S)
        clean = await stopping
        await reloader.end_applications()
        await asyncio.to_thread(reloader.stop_helpers)
        if not clean or not ended:
            # A stuck thread would hold the interpreter's own end for ever, a client the HTTP server's.
            reloader.close()
            self._logs.close()
            leave_now(0)

    # -- control ------------------------------------------------------------------------------------
    def statistics(self) -> Snapshot:
        """Give a snapshot of the runtime."""
        return cast("Snapshot", self._runtime.statistics())

    def ready_reason(self) -> str | None:
        """Say in one sentence why the server is not ready; None when it is."""
        if self._stop_wanted is not None and self._stop_wanted.is_set():
            return "the server is stopping"
        return self._runtime.not_ready_reason()

    def config_json(self) -> dict[str, Any]:
        """Give the configuration in force as Howdah's own JSON."""
        return to_json(self._model)

    async def load(self, body: bytes, content_type: str) -> None:
        """Validate a configuration and put it in force; returns when it is.

        Raises:
            ConfigError: it is wrong or needs a restart; nothing has changed.
        """
        await self._apply(await asyncio.to_thread(_read, body, content_type))

    async def stop(self) -> None:
        """Begin to stop as SIGTERM does; returns at once."""
        if self._stop_wanted is not None and not self._stop_wanted.is_set():
            _log.info("stopping, as the admin API was asked to")
            self._stop_wanted.set()

    async def restart_workers(self, names: Sequence[str] | None = None) -> None:
        """Restart worker scripts, rolling; returns when every thread runs the new code.

        Raises:
            HowdahError: a script did not boot; the message is PHP's. The other threads keep the old code.
        """
        await asyncio.to_thread(self._runtime.restart_workers, names)
        # Roots are looked up anew, too: a release that is switched by a link is then served by everything.
        if self._reloader is not None:
            await self._reloader.apply(self._model)

    async def _apply(self, model: ServerModel) -> None:
        if self._reloader is None or (self._stop_wanted is not None and self._stop_wanted.is_set()):
            raise HowdahError("the server is stopping")
        start = time.monotonic()
        for text in (*model.warnings, *warnings(model)):
            _log.warning("%s", text)
        await self._reloader.apply(model)
        self._model = model
        self._metrics.collect_requests(model.servers.metrics)
        _log.info("configuration in force after %.0f ms", (time.monotonic() - start) * 1000)


def _read(body: bytes, content_type: str) -> ServerModel:
    """Make the model of what was sent to the admin API.

    Raises:
        ConfigError: it is wrong.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise ConfigError("the configuration is not UTF-8") from None
    if content_type == _CADDYFILE:
        return parse_config(text, "Caddyfile", os.environ)
    return parse_json(text, "")
