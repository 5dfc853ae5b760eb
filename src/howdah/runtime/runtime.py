"""The owner of PHP in this process: start, requests, statistics, stop.

Usable without any HTTP server. PHP allows one engine per process, hence one running `Runtime`; all
its state is here or in C, none in module globals.
"""

from __future__ import annotations

import atexit
import dataclasses
import logging
import os
import sys
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any

from howdah.cgi.paths import decode_path
from howdah.cgi.variables import endpoint, split_remote
from howdah.config.model import RuntimeConfig, SiteConfig, WorkerConfig
from howdah.engine import native as engine
from howdah.engine.ini import ini_defaults, ini_lines
from howdah.engine.native import native
from howdah.engine.probe import OPCACHE_LINE, Probe
from howdah.errors import (
    ClientDisconnected,
    ConfigError,
    EngineStartError,
    EngineStateError,
    HowdahError,
    RequestRejected,
    ScriptError,
)
from howdah.runtime.crew import Crew, check_reload
from howdah.runtime.limits import TimeLimits
from howdah.runtime.logs import LogPump
from howdah.runtime.opcache import FORCED_INI
from howdah.runtime.request import Request, RequestParts, Response
from howdah.runtime.site import Site
from howdah.runtime.sites import SiteTable
from howdah.runtime.sizing import CEILING, Sizing, calculate, ini_bytes, usable_cores, usable_memory_bytes
from howdah.runtime.stats import Observer, RuntimeStatistics, collect
from howdah.runtime.sync import SyncDispatcher
from howdah.runtime.workers import Member, gather

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from howdah.runtime.aio import LoopDispatcher
    from howdah.runtime.ledger import Ledger
    from howdah.runtime.pools import WorkerPool

_log = logging.getLogger("howdah.runtime")

_BOOT_TIMEOUT_S = 20.0
_KILL_TIMEOUT_S = 2.0
_ATEXIT_TIMEOUT_S = 2.0
_FAILED_START_GRACE_S = 1.0
_LEAST_CEILING = 64
_LEAST_DRAIN_S = 0.25
_DEBUG_LEVEL, _INFO_LEVEL = -4, 0


class Runtime:
    """PHP threads in this process.

    Args:
        config: all settings, or None for the defaults.
        fields: fields of `RuntimeConfig` that replace those of ``config``.

    Attributes:
        config: the settings in force.
        sites: the sites that requests have named.
        observers: each is called at the end of every request that PHP has had, on the thread that waited for it, with
            what `howdah.runtime.stats.Observer` says; must be quick and must not raise.

    Raises:
        ConfigError: a setting is not valid.
    """

    def __init__(self, config: RuntimeConfig | None = None, /, **fields: Any) -> None:
        known = {field.name for field in dataclasses.fields(RuntimeConfig)}
        for name in fields:
            if name not in known:
                raise ConfigError(
                    f"Runtime has no setting {name!r}; there are: {', '.join(sorted(known))}", directive=name
                )
        self.config = dataclasses.replace(config or RuntimeConfig(), **fields)
        self._lock = threading.Lock()  # guards start and stop against each other
        self._state = "new"  # under the lock; read anywhere
        self._pid = 0
        self.observers: list[Observer] = []
        self.sites = SiteTable()
        self._crew: Crew | None = None
        self._registered: list[tuple[str, SiteConfig]] = []  # under the lock
        self._sync: SyncDispatcher | None = None
        self._dispatchers: dict[Any, LoopDispatcher] = {}  # by event loop; each loop's thread adds its own
        self._retired: list[Ledger] = []
        self._pump: LogPump | None = None

    # -- life -------------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """PHP runs and takes requests, though perhaps not for every worker."""
        return self._state == "running" and self._pid == os.getpid()

    @property
    def ready(self) -> bool:
        """PHP runs, and every worker's script has booted."""
        return self.not_ready_reason() is None

    def not_ready_reason(self) -> str | None:
        """Say why the runtime is not `ready`, None when it is."""
        if not self.is_running:
            return f"the runtime is {self._state}"
        return self._crew.not_ready_reason() if self._crew is not None else None

    def start(self) -> None:
        """Start PHP and its threads; blocks until they are ready, about 0.2 s.

        Raises:
            EngineStartError: PHP did not accept its settings; the text is PHP's.
            EngineStateError: this or another runtime of the process runs already.
            ConfigError: a php.ini override cannot be written.
        """
        with self._lock:
            if self._state not in {"new", "stopped"}:
                raise EngineStateError(f"this Runtime cannot start: it is {self._state}")
            if native.state() not in {"new", "stopped", "failed"}:
                raise EngineStateError(
                    f"PHP is {native.state()} in this process already, and a process runs only one: share that Runtime"
                )
            self._start()

    def _start(self) -> None:
        lines = ini_lines(self.config.php_ini) + FORCED_INI
        defaults = ini_defaults(debug=self.config.debug, longest_wait_s=self.config.request_timeout_s)
        members = gather(self.config, list(self._registered))
        sizing = calculate(self.config, [member.worker for member in members], usable_cores())
        trial = Probe(lines, defaults).wait()
        for message in trial.messages:
            _log.warning("PHP at start: %s", message)
        if trial.needs_opcache_line:
            lines = OPCACHE_LINE + lines
        spool = os.environ.get("HOWDAH_SPOOL_DIR") or tempfile.gettempdir()
        level = _DEBUG_LEVEL if self.config.debug else _INFO_LEVEL
        ceiling = self._ceiling(sizing)
        try:
            native.start(lines.encode(), defaults, ceiling, self.config.max_queue, os.fsencode(spool), level)
        except RuntimeError as error:
            raise EngineStartError(f"PHP did not start: {error}") from None
        native.log_take(0.0)  # what the trial has told already
        self._pid = os.getpid()
        self._pump = LogPump(self._origin_names)
        self._pump.start()
        if self._sync is not None:
            self._retired.append(self._sync.ledger)
        self._sync = SyncDispatcher(self)
        limit = ini_bytes(native.facts()["memory_limit"] or "")
        crew = self._crew = Crew(self.config, ceiling)
        crew.start(members, self._size(members, limit))
        late = crew.wait_booted(_BOOT_TIMEOUT_S)
        if late is not None:
            self._state = "stopping"
            self._state = "stopped" if self._stop(_FAILED_START_GRACE_S) else "stuck"
            raise late
        crew.run(native.facts()["opcache"])
        self._state = "running"
        atexit.register(self._stop_at_exit)

    def _size(self, members: Sequence[Member], memory_limit_bytes: int | None) -> Sizing:
        workers = [member.worker for member in members]
        return calculate(self.config, workers, usable_cores(), usable_memory_bytes(), memory_limit_bytes)

    def _ceiling(self, sizing: Sizing) -> int:
        """Give the number of slots, which is fixed at the start: room for a configuration that is loaded later."""
        most = CEILING if self.config.max_threads == "auto" else sizing.max_threads
        return min(CEILING, max(most, _LEAST_CEILING))

    def stop(self, timeout_s: float | None = None) -> bool:
        """Stop PHP: take no new request, let running ones end, kill what is left, free everything.

        Blocks at most about ``timeout_s`` plus 2 s. Calling it on a stopped runtime does nothing.

        Args:
            timeout_s: time for running requests, default ``config.grace_s``.

        Returns:
            True when everything ended. False when a thread is stuck: PHP cannot be shut down then, and the
            process should leave by ``os._exit`` after it has flushed its logs.
        """
        if self._crew is not None:
            self._crew.hurry()
        with self._lock:
            if self._state != "running" or self._pid != os.getpid():
                return self._state != "stuck"
            self._state = "stopping"
            clean = self._stop(self.config.grace_s if timeout_s is None else timeout_s)
            self._state = "stopped" if clean else "stuck"
            atexit.unregister(self._stop_at_exit)
            return clean

    def _stop(self, grace_s: float) -> bool:
        crew = self._crew
        if crew is None:
            return True
        deadline = time.monotonic() + grace_s
        # Scripts of idle workers get a moment to leave their loops and clean up, even if requests have used the grace.
        busy = crew.drain(min(max(grace_s, _LEAST_DRAIN_S), 1.0))
        if busy and grace_s > 1.0:
            _log.info("waiting up to %.0f s for %d requests: %s", grace_s, len(busy), self._describe(busy))
            busy = crew.wait_gone(busy, deadline - time.monotonic())
        if busy:
            evicted = crew.evict()
            if evicted:
                _log.warning("%d waiting requests were refused because the server stops", evicted)
            _log.warning("ending %d requests that outlived the grace time: %s", len(busy), self._describe(busy))
            busy = crew.kill(busy, _KILL_TIMEOUT_S)
        if self._pump is not None and busy:
            self._pump.stop()
        if busy:
            crew.give_up(busy)
            _log.error("PHP threads %s are stuck, so PHP cannot be shut down: %s", busy, self._describe(busy))
            return False
        native.stop()
        if self._pump is not None:
            self._pump.stop()
            self._pump = None
        return True

    @staticmethod
    def _describe(slots: list[int]) -> str:
        texts = []
        for slot in slots:
            info = native.slot_info(slot)
            texts.append(f"thread {slot} {info['current'] or info['state']} since {info['since_s']:.1f} s")
        return "; ".join(texts)

    def _stop_at_exit(self) -> None:
        if self._pid == os.getpid() and not self.stop(_ATEXIT_TIMEOUT_S):
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(1 if hasattr(sys, "last_value") else 0)

    def _check_running(self) -> None:
        if self._pid and self._pid != os.getpid():
            raise EngineStateError(
                "PHP does not survive a fork: start a Runtime in the child before anything forks, or exec"
            )
        if self._state != "running":
            raise EngineStateError(f"this Runtime is {self._state}: call start() first")

    # -- requests ---------------------------------------------------------------------------------

    def dispatcher(self) -> LoopDispatcher:
        """Give the dispatcher of the running event loop; call it on that loop's thread.

        Raises:
            EngineStateError: the runtime is not running.
        """
        self._check_running()
        import asyncio

        from howdah.runtime.aio import LoopDispatcher

        loop = asyncio.get_running_loop()
        known = self._dispatchers.get(loop)
        if known is None:
            for other in [other for other in self._dispatchers if other.is_closed()]:
                self._retired.append(self._dispatchers.pop(other).ledger)
            known = self._dispatchers[loop] = LoopDispatcher(self, loop)
        return known

    def handle(self, request: Request) -> Response:
        """Run a request and block until its response is complete. Safe from any thread but an event loop's.

        Raises:
            ScriptNotFound: the path names no script.
            RequestRejected: refused before it ran; the subclass says why.
            EngineStateError: the runtime is not running.
        """
        self._check_running()
        sync = self._sync
        if sync is None:
            raise EngineStateError("this Runtime is stopping")
        channel = sync.channel()
        try:
            site = self.sites.find(request.site)
            arguments = _arguments(site, request)
        except RequestRejected as error:
            sync.reject(error, channel)
            raise
        except (ScriptError, ConfigError):
            sync.abandon(channel)
            raise
        record = self.sites.native(site).request(channel, *arguments, None)
        if request.body:
            record.set_body(request.body)
        return sync.run(record, channel, self.worker_for(site, arguments[0].script_filename), site.name)

    async def handle_async(self, request: Request) -> Response:
        """Run a request without blocking the event loop; cancelling it aborts the script.

        Raises:
            ScriptNotFound: the path names no script.
            RequestRejected: refused before it ran; the subclass says why.
            EngineStateError: the runtime is not running.
        """
        dispatcher = self.dispatcher()
        site = self.sites.find(request.site)
        arguments = _arguments(site, request)
        dispatcher.accept()
        record = dispatcher.request(site, *arguments)
        if request.body:
            record.set_body(request.body)
        exchange = dispatcher.submit(record, pool=self.worker_for(site, arguments[0].script_filename))
        status, headers, pieces, interim = 200, [], [], []
        try:
            flags = 0
            while not flags & engine.DONE:
                flags, code, fields, body = await exchange.next()
                if flags & engine.INTERIM:
                    interim.append((code, fields or []))
                elif flags & engine.HEADERS:
                    status, headers = code, fields or []
                pieces.append(body)
        except ClientDisconnected:
            raise EngineStateError("the request was aborted") from None
        finally:
            exchange.close()
        return Response(status, headers, b"".join(pieces), interim)

    def limits(self, config: RuntimeConfig) -> TimeLimits:
        """Make the time limits of a dispatcher."""
        return TimeLimits(config, self._note_stuck, self._note_late, worker_of=self._worker_of)

    def _worker_of(self, slot: int) -> str:
        """Give the name of the worker that a slot serves now, empty for none."""
        role = self._crew.fleet.threads[slot].role if self._crew is not None else None
        return role.name if role is not None else ""

    def _note_stuck(self, slot: int, request_id: int) -> None:
        crew = self._crew
        if crew is not None and native.slot_info(slot)["request_id"] == request_id:
            crew.fleet.mark_stuck(slot)

    def _note_late(self) -> None:
        if self._crew is not None:
            self._crew.fleet.count_kill("timeout")

    # -- looking in -------------------------------------------------------------------------------

    def statistics(self) -> RuntimeStatistics:
        """Give an immutable snapshot; callable from any thread, in any state."""
        ledgers = [*self._retired, *(dispatcher.ledger for dispatcher in list(self._dispatchers.values()))]
        if self._sync is not None:
            ledgers.append(self._sync.ledger)
        return collect(self._state, self._crew, ledgers)

    def _origin_names(self, root: bytes, slot: int) -> tuple[str, str]:
        """Give the names of the site at a document root and of the worker in a slot, for log records."""
        role = self._crew.fleet.threads[slot].role if self._crew is not None and slot >= 0 else None
        return self.sites.name_of(root), role.name if role is not None else ""

    def dump_threads(self) -> list[dict[str, Any]]:
        """Say what every thread is doing now, scripts with their PHP backtrace."""
        from howdah.runtime.dump import dump

        slots = [thread.slot for thread in self._crew.fleet.living()] if self._crew is not None else []
        return dump(slots, self._worker_of)

    # -- workers ----------------------------------------------------------------------------------

    def register(self, site: SiteConfig, name: str = "") -> None:
        """Add a site, so that its workers run. On a running runtime this starts them, and blocks until they booted.

        Raises:
            ConfigError: a worker of the site collides with another one, or there is no thread for it.
            WorkerBootError: a script does not boot.
        """
        with self._lock:
            self._registered.append((name, site))
            if self._state == "running" and site.workers:
                try:
                    self._resize(None)
                except HowdahError:
                    self._registered.pop()
                    raise

    def reconfigure(
        self,
        config: RuntimeConfig,
        sites: Sequence[tuple[str, SiteConfig]],
        switch: Callable[[], None] | None = None,
    ) -> None:
        """Take over another configuration: workers, limits and numbers of threads change in place; blocks.

        Requests go on: what a worker that is taken away has accepted is served, and one that stays keeps its threads.

        Args:
            config: the new settings.
            sites: name and configuration of every site.
            switch: called when the new workers have booted and the old ones still serve: the moment to send new
                requests to the new sites.

        Raises:
            ConfigError: something changed that PHP reads at its start only; nothing was changed.
            WorkerBootError: a new worker does not boot; the old configuration goes on.
        """
        with self._lock:
            self._check_running()
            check_reload(self.config, config)
            before = self.config, self._registered
            self.config, self._registered = config, list(sites)
            try:
                self._resize(switch)
            except HowdahError:
                self.config, self._registered = before
                raise
            for dispatcher in list(self._dispatchers.values()):
                dispatcher.configure(config)
            if self._sync is not None:
                self._sync.configure(config)

    def _resize(self, switch: Callable[[], None] | None) -> None:
        crew = self._crew
        if crew is None:
            raise EngineStateError("this Runtime does not run")
        members = gather(self.config, list(self._registered))
        limit = ini_bytes(native.facts()["memory_limit"] or "")
        crew.apply(self.config, members, self._size(members, limit), switch)

    def restart_workers(self, names: Iterable[str] | None = None, changed: Iterable[str] | None = None) -> None:
        """Restart worker scripts, one thread of a worker at a time; blocks until every thread runs the new code.

        Nothing is lost: running requests end, and other threads serve meanwhile. OPcache forgets changed files first.
        A call during a restart waits for the next one, which all such calls share.

        Args:
            names: only these workers; None = all.
            changed: paths of the files that changed; None looks at every cached script.

        Raises:
            WorkerBootError: the new code does not boot; the text is PHP's, and the old code goes on.
            EngineStateError: the runtime is not running, or there is no such worker.
        """
        self._check_running()
        if self._crew is None:
            raise EngineStateError("this Runtime does not run")
        self.sites.look_again()
        self._crew.roller.restart(names, changed)

    def worker_for(self, site: Site, script: bytes, worker: WorkerConfig | None = None) -> WorkerPool | None:
        """Give the worker that takes a request, None = a regular thread.

        Args:
            site: where the request came.
            script: the script that it asks for.
            worker: the worker whose ``match`` has chosen it already.
        """
        crew = self._crew
        if crew is None or crew.table.is_empty:
            return None
        return crew.table.for_script(site, script) if worker is None else crew.table.for_worker(worker)


def _arguments(site: Site, request: Request) -> RequestParts:
    """Give target, endpoint, method, URI, query, client and headers of a request value."""
    path, _, query = request.target.partition(b"?")
    target = site.script(decode_path(path))
    host = next((value for name, value in request.headers if name.lower() == b"host"), b"")
    address, port = split_remote(request.remote)
    return (
        target,
        endpoint(host, request.scheme, "1.1"),
        request.method,
        request.target,
        query,
        address,
        port,
        request.headers,
    )
