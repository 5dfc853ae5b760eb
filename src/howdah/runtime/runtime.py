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
from howdah.config.model import RuntimeConfig, SiteConfig
from howdah.engine import native as engine
from howdah.engine.ini import ini_defaults, ini_lines
from howdah.engine.native import native
from howdah.engine.probe import OPCACHE_LINE, Probe
from howdah.errors import (
    ClientDisconnected,
    ConfigError,
    EngineStartError,
    EngineStateError,
    RequestRejected,
    ScriptError,
)
from howdah.runtime.lifecycle import wait_states
from howdah.runtime.logs import LogPump
from howdah.runtime.opcache import FORCED_INI, OpcacheKeeper
from howdah.runtime.request import Request, RequestParts, Response
from howdah.runtime.site import Site
from howdah.runtime.sizing import thread_count
from howdah.runtime.stats import RuntimeStatistics, collect
from howdah.runtime.sync import SyncDispatcher
from howdah.runtime.thread import PhpThread

if TYPE_CHECKING:
    from howdah.runtime.aio import LoopDispatcher
    from howdah.runtime.ledger import Ledger

_log = logging.getLogger("howdah.runtime")

_BOOT_TIMEOUT_S = 20.0
_KILL_TIMEOUT_S = 2.0
_ATEXIT_TIMEOUT_S = 2.0
_READY = frozenset({"ready"})
_GONE = frozenset({"reserved", "done"})
_DEBUG_LEVEL, _INFO_LEVEL = -4, 0


class Runtime:
    """PHP threads in this process.

    Args:
        config: all settings, or None for the defaults.
        fields: fields of `RuntimeConfig` that replace those of ``config``.

    Attributes:
        config: the settings in force.

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
        _refuse_what_is_missing(self.config)
        self._lock = threading.Lock()  # guards start and stop against each other
        self._state = "new"  # under the lock; read anywhere
        self._pid = 0
        self._threads: list[PhpThread] = []
        self._sync: SyncDispatcher | None = None
        self._dispatchers: dict[Any, LoopDispatcher] = {}  # by event loop; each loop's thread adds its own
        self._retired: list[Ledger] = []
        self._sites: dict[SiteConfig | str, Site] = {}
        self._native_sites: dict[Site, engine.Site] = {}
        self._pump: LogPump | None = None
        self._keeper: OpcacheKeeper | None = None

    # -- life -------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """PHP runs and takes requests."""
        return self._state == "running" and self._pid == os.getpid()

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
        trial = Probe(lines, defaults).wait()
        for message in trial.messages:
            _log.warning("PHP at start: %s", message)
        count = thread_count(self.config)
        if trial.needs_opcache_line:
            lines = OPCACHE_LINE + lines
        spool = os.environ.get("HOWDAH_SPOOL_DIR") or tempfile.gettempdir()
        level = _DEBUG_LEVEL if self.config.debug else _INFO_LEVEL
        try:
            native.start(
                lines.encode(),
                defaults,
                count,
                self.config.max_queue,
                os.fsencode(spool),
                level,
            )
        except RuntimeError as error:
            raise EngineStartError(f"PHP did not start: {error}") from None
        native.log_take(0.0)  # what the trial has told already
        self._pid = os.getpid()
        self._pump = LogPump()
        self._pump.start()
        if self._sync is not None:
            self._retired.append(self._sync.ledger)
        self._sync = SyncDispatcher(self)
        self._threads = [
            PhpThread(slot, self.config.max_requests, self.config.thread_stack_size_bytes) for slot in range(count)
        ]
        for thread in self._threads:
            thread.start()
        late = wait_states(range(count), _READY, _BOOT_TIMEOUT_S)
        if late:
            raise EngineStartError(f"PHP threads {late} were not ready after {_BOOT_TIMEOUT_S:.0f} s")
        if native.facts()["opcache"]:
            self._keeper = OpcacheKeeper(range(count))
            self._keeper.start()
        self._state = "running"
        atexit.register(self._stop_at_exit)

    def stop(self, timeout_s: float | None = None) -> bool:
        """Stop PHP: take no new request, let running ones end, kill what is left, free everything.

        Blocks at most about ``timeout_s`` plus 2 s. Calling it on a stopped runtime does nothing.

        Args:
            timeout_s: time for running requests, default ``config.grace_s``.

        Returns:
            True when everything ended. False when a thread is stuck: PHP cannot be shut down then, and the
            process should leave by ``os._exit`` after it has flushed its logs.
        """
        with self._lock:
            if self._state != "running" or self._pid != os.getpid():
                return self._state != "stuck"
            self._state = "stopping"
            clean = self._stop(self.config.grace_s if timeout_s is None else timeout_s)
            self._state = "stopped" if clean else "stuck"
            atexit.unregister(self._stop_at_exit)
            return clean

    def _stop(self, grace_s: float) -> bool:
        slots = range(len(self._threads))
        if self._keeper is not None:
            self._keeper.stop()
            self._keeper = None
        for thread in self._threads:
            thread.stop_replacing()
        native.queue_close()
        deadline = time.monotonic() + grace_s
        busy = wait_states(slots, _GONE, min(grace_s, 1.0))
        if busy and grace_s > 1.0:
            _log.info("waiting up to %.0f s for %d requests: %s", grace_s, len(busy), self._describe(busy))
            busy = wait_states(busy, _GONE, deadline - time.monotonic())
        if busy:
            evicted = native.queue_evict()
            if evicted:
                _log.warning("%d waiting requests were refused because the server stops", evicted)
            _log.warning("ending %d requests that outlived the grace time: %s", len(busy), self._describe(busy))
            busy = self._kill(busy)
        if self._pump is not None and busy:
            self._pump.stop()
        if busy:
            for slot in busy:
                for state in ("ready", "shutting down", "rebooting"):
                    if native.slot_change(slot, state, "stuck"):
                        break
            _log.error("PHP threads %s are stuck, so PHP cannot be shut down: %s", busy, self._describe(busy))
            return False
        native.stop()
        if self._pump is not None:
            self._pump.stop()
            self._pump = None
        self._native_sites.clear()
        return True

    def _kill(self, busy: list[int]) -> list[int]:
        deadline = time.monotonic() + _KILL_TIMEOUT_S
        while busy and time.monotonic() < deadline:
            for slot in busy:
                request_id = native.slot_info(slot)["request_id"]
                if request_id:
                    native.thread_kill(slot, request_id, "the server is stopping")
            busy = wait_states(busy, _GONE, 0.1)
        return busy

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

    # -- sites ------------------------------------------------------------------------------------

    def native_site(self, site: Site) -> engine.Site:
        """Give the constants of a site's ``$_SERVER`` as PHP threads use them; made once per site."""
        known = self._native_sites.get(site)
        if known is None:
            env = tuple((os.fsencode(name), os.fsencode(value)) for name, value in site.config.env.items())
            site.unchanged = native.unchanged
            known = self._native_sites[site] = engine.Site(site.root, b"Howdah", env, site.config.request_timeout_s)
        return known

    def site(self, site: str | SiteConfig | Site) -> Site:
        """Give the `Site` of a root or configuration; made once each.

        Raises:
            ConfigError: the root cannot be used.
        """
        if isinstance(site, Site):
            return site
        key = site if isinstance(site, str) else _site_key(site)
        known = self._sites.get(key)
        if known is None:
            known = self._sites[key] = Site(SiteConfig(root=site) if isinstance(site, str) else site)
        return known

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
            site = self.site(request.site)
            arguments = _arguments(site, request)
        except RequestRejected as error:
            sync.reject(error, channel)
            raise
        except (ScriptError, ConfigError):
            sync.abandon(channel)
            raise
        record = self.native_site(site).request(channel, *arguments, None)
        if request.body:
            record.set_body(request.body)
        return sync.run(record, channel)

    async def handle_async(self, request: Request) -> Response:
        """Run a request without blocking the event loop; cancelling it aborts the script.

        Raises:
            ScriptNotFound: the path names no script.
            RequestRejected: refused before it ran; the subclass says why.
            EngineStateError: the runtime is not running.
        """
        dispatcher = self.dispatcher()
        site = self.site(request.site)
        arguments = _arguments(site, request)
        dispatcher.accept()
        record = dispatcher.request(site, *arguments)
        if request.body:
            record.set_body(request.body)
        exchange = dispatcher.submit(record)
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

    # -- looking in -------------------------------------------------------------------------------

    def statistics(self) -> RuntimeStatistics:
        """Give an immutable snapshot; callable from any thread, in any state."""
        ledgers = [*self._retired, *(dispatcher.ledger for dispatcher in list(self._dispatchers.values()))]
        if self._sync is not None:
            ledgers.append(self._sync.ledger)
        return collect(self._state, len(self._threads), ledgers)


def _refuse_what_is_missing(config: RuntimeConfig) -> None:
    """Say so instead of ignoring a setting whose feature does not exist yet."""
    if config.workers:
        raise ConfigError("worker scripts cannot be run yet: leave `workers` out", directive="workers")
    if config.max_threads is not None and config.max_threads != thread_count(config):
        raise ConfigError("threads are not scaled yet: leave `max_threads` out", directive="max_threads")
    if config.max_idle_time_s != RuntimeConfig().max_idle_time_s:
        raise ConfigError("threads are not scaled yet: leave `max_idle_time` out", directive="max_idle_time")


def _site_key(config: SiteConfig) -> SiteConfig | str:
    try:
        hash(config)
    except TypeError:
        return repr(config)
    return config


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
