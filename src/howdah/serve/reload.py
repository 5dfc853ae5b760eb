"""What a running server is made of, and how another model takes its place without losing a request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from howdah.config.http import ServerModel
from howdah.errors import ConfigError, HowdahError
from howdah.serve.address import Address
from howdah.serve.adminport import AdminPort, refuse_clash
from howdah.serve.applications import Applications, Needs, build_applications, php_sites
from howdah.serve.certificates import Certificates, CertificateWatch
from howdah.serve.life import max_connections
from howdah.serve.listeners import ListenerPlan, plan
from howdah.serve.tls import Loaded
from howdah.serve.watching import FileWatch
from howdah.web.router import Router, start_sites

if TYPE_CHECKING:
    from howdah.admin.control import Control
    from howdah.observe.metrics import Metrics
    from howdah.serve.endpoint import Endpoint
    from howdah.web.chain import SiteApp

_log = logging.getLogger("howdah.serve")

_URLS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model that can be served: everything that could fail by a mistake in it has been done."""

    model: ServerModel
    plans: dict[Address, ListenerPlan]
    certificates: dict[Address, Loaded]
    applications: Applications


class Reloader:
    """The parts of a running server.

    Args:
        needs: what applications are built with.
        certificates: loads certificates.
        control: what the admin API speaks to.
        metrics: the metrics page.
    """

    def __init__(self, needs: Needs, certificates: Certificates, control: Control, metrics: Metrics) -> None:
        self._needs = needs
        self._certificates = certificates
        self._router = Router({})
        self._endpoints: dict[Address, Endpoint] = {}
        self._retired: list[Endpoint] = []
        self._watches: list[asyncio.Task[None]] = []
        self._jobs: set[asyncio.Task[None]] = set()
        self._prepared: Prepared | None = None
        self._admin = AdminPort(control, metrics)
        self._files = FileWatch(needs.runtime)
        self._failure: asyncio.Future[str] | None = None
        self._lock = asyncio.Lock()

    # -- start --------------------------------------------------------------------------------------
    def prepare(self, model: ServerModel) -> Prepared:
        """Do what can be done without changing anything: plan, build applications, read certificates.

        Raises:
            ConfigError: the model cannot be served.
            AuthorityError: the local authority cannot be used.
        """
        plans = {one.address: one for one in plan(model)}
        if not plans:
            raise ConfigError("the configuration has no site; begin one with its address, such as localhost")
        refuse_clash(model.admin, plans.values())
        before = self._prepared.applications if self._prepared is not None else None
        applications = build_applications(model, plans, self._needs, before)
        return Prepared(model, plans, self._certificates.load_all(plans), applications)

    def open(self, prepared: Prepared) -> None:
        """Open all sockets; connections wait until `start`.

        Raises:
            ListenError: an address cannot be used.
        """
        self._endpoints = self._open(prepared.plans)
        self._admin.open(prepared.model.admin)

    def listen(self) -> None:
        """Let connections come.

        Raises:
            ListenError: another process was quicker.
        """
        for endpoint in self._endpoints.values():
            endpoint.listen()

    async def start(self, prepared: Prepared) -> None:
        """Serve.

        Raises:
            HowdahError: a Python application does not start, or the admin API cannot be served.
        """
        self._failure = asyncio.get_running_loop().create_future()
        await start_sites(prepared.applications.sites)
        self._commit(prepared)
        self._admin.start()
        await asyncio.to_thread(self._files.start, prepared.model)

    async def wait_failure(self) -> str:
        """Wait until a listener ends by itself; gives the reason."""
        assert self._failure is not None  # noqa: S101 - set by start()
        return await asyncio.shield(self._failure)

    # -- reload -------------------------------------------------------------------------------------
    async def apply(self, model: ServerModel) -> None:
        """Put a model in force; one after the other.

        Raises:
            HowdahError: it cannot be; nothing has changed.
        """
        async with self._lock:
            old = self._prepared
            assert old is not None  # noqa: S101 - set by start()
            prepared = await asyncio.to_thread(self.prepare, model)
            opened: dict[Address, Endpoint] = {}
            started: list[SiteApp] = []
            try:
                opened = self._open([address for address in prepared.plans if address not in old.plans])
                for endpoint in opened.values():
                    endpoint.listen()
                self._admin.prepare(model.admin)
                files = await asyncio.to_thread(self._files.prepare, model)
                fresh = _without(prepared.applications.sites, old.applications.sites)
                await start_sites(fresh)
                started = fresh
                self._needs.logs.configure(model.logs, debug=model.runtime.debug)
                await self._reconfigure(prepared, opened)
            except BaseException:
                if self._prepared is not prepared:
                    await self._undo(old, opened, started)
                raise
            self._admin.replace(model.admin)
            await asyncio.to_thread(self._files.replace, files)

    async def _reconfigure(self, prepared: Prepared, opened: dict[Address, Endpoint]) -> None:
        """Let PHP take its settings; in between, when old and new workers run, the listeners get their sites."""
        loop = asyncio.get_running_loop()

        async def commit() -> None:
            self._endpoints.update(opened)
            self._commit(prepared)

        def switch() -> None:
            asyncio.run_coroutine_threadsafe(commit(), loop).result()

        model, runtime = prepared.model, self._needs.runtime
        await asyncio.to_thread(runtime.reconfigure, model.runtime, php_sites(model), switch)
        try:
            # No worker is restarted, but scripts that have changed are compiled anew.
            await asyncio.to_thread(runtime.restart_workers, ())
        except HowdahError as error:
            _log.warning("a restart of workers that went on at the same time has failed: %s", error)

    async def _undo(self, old: Prepared, opened: dict[Address, Endpoint], started: Iterable[SiteApp]) -> None:
        self._needs.logs.configure(old.model.logs, debug=old.model.runtime.debug)
        self._admin.forget()
        for endpoint in opened.values():
            endpoint.close()
        for site in started:
            await site.shutdown()

    def _commit(self, prepared: Prepared) -> None:
        """Let all listeners serve the new sites; takes no time, and no mistake of a model makes it fail."""
        from howdah.serve.endpoint import options_of

        for watch in self._watches:
            watch.cancel()
        self._watches = []
        self._retire(prepared)
        self._router.replace(prepared.applications.tables, prepared.applications.proxies)
        share = max(1, max_connections() // len(prepared.plans))
        for address, one in prepared.plans.items():
            endpoint = self._endpoints[address]
            loaded = prepared.certificates.get(address)
            endpoint.serve(options_of(prepared.model.servers, loaded.material if loaded else None, share))
            if loaded is not None:
                self._watch_certificate(prepared, one, loaded)
        if self._prepared is not None:
            leaving = _without(self._prepared.applications.sites, prepared.applications.sites)
            self._in_background(_end_sites(leaving))
        self._prepared = prepared

    def _retire(self, prepared: Prepared) -> None:
        """Give up the addresses that are not wanted any more; their connections keep the sites that they know."""
        for address in [address for address in self._endpoints if address not in prepared.plans]:
            endpoint = self._endpoints.pop(address)
            if self._prepared is not None:
                endpoint.route(self._prepared.applications.alone(address))
            endpoint.retire()
            self._retired = [*(known for known in self._retired if not known.is_gone), endpoint]

    def _watch_certificate(self, prepared: Prepared, one: ListenerPlan, loaded: Loaded) -> None:
        from howdah.serve.endpoint import options_of

        if one.tls is None:
            return
        endpoint = self._endpoints[one.address]

        def replace(changed: Loaded) -> None:
            share = endpoint.options.max_connections if endpoint.options else max_connections()
            endpoint.serve(options_of(prepared.model.servers, changed.material, share))

        watch = CertificateWatch(self._certificates, one.tls, loaded, replace)
        self._watches.append(asyncio.get_running_loop().create_task(watch.run()))

    def _open(self, addresses: Iterable[Address]) -> dict[Address, Endpoint]:
        from howdah.serve.endpoint import Endpoint

        opened: dict[Address, Endpoint] = {}
        try:
            for address in addresses:
                opened[address] = Endpoint(address, self._on_failure)
                opened[address].route(self._router.listener(address))
        except BaseException:
            for endpoint in opened.values():
                endpoint.close()
            raise
        return opened

    def _on_failure(self, reason: str) -> None:
        if self._failure is not None and not self._failure.done():
            self._failure.set_result(reason)

    def _in_background(self, coroutine: Coroutine[Any, Any, None]) -> None:
        job = asyncio.get_running_loop().create_task(coroutine)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    # -- end ----------------------------------------------------------------------------------------
    def stop_accepting(self) -> None:
        """Refuse new connections, finish running requests."""
        for watch in self._watches:
            watch.cancel()
        for endpoint in self._all():
            endpoint.stop_accepting()

    async def wait_stopped(self, deadline: float) -> bool:
        """Wait until the last connection has ended; False when some are left at the deadline."""
        results = [await endpoint.wait_stopped(deadline) for endpoint in self._all()]
        return all(results)

    async def end_applications(self) -> None:
        """Stop the Python applications, when no request runs any more."""
        for job in self._jobs:
            job.cancel()
        for site in self._prepared.applications.sites if self._prepared is not None else ():
            await site.shutdown()

    def stop_helpers(self) -> None:
        """End the watcher and the admin API; blocks for at most some seconds."""
        self._files.stop()
        self._admin.stop()

    def close(self) -> None:
        """Close what is open, and remove socket files."""
        for endpoint in self._all():
            endpoint.close()
        self._admin.close()

    def announcement(self) -> list[str]:
        """Give a line for each listener: what serves where."""
        assert self._prepared is not None  # noqa: S101 - set by start()
        plans = self._prepared.plans.items()
        return [*(_line(self._endpoints[address], one) for address, one in plans), *self._admin.announcement()]

    def _all(self) -> Iterable[Endpoint]:
        return [*self._retired, *self._endpoints.values()]


async def _end_sites(sites: Iterable[SiteApp]) -> None:
    """Stop the Python applications of sites that are gone, after the requests that run now."""
    from howdah.serve.servers import request_tasks

    running = request_tasks()
    if running:
        await asyncio.wait(running)
    for site in sites:
        await site.shutdown()


def _without(sites: Iterable[SiteApp], known: Iterable[SiteApp]) -> list[SiteApp]:
    there = {id(site) for site in known}
    return [site for site in sites if id(site) not in there]


def _line(endpoint: Endpoint, one: ListenerPlan) -> str:
    """Say where the sites of a listener are, or that it redirects."""
    if not one.bindings:
        return f"{endpoint.url()} redirects to HTTPS"
    urls = list(dict.fromkeys(endpoint.url(binding.host) + binding.path.strip("/*") for binding in one.bindings))
    shown = " ".join(urls[:_URLS_SHOWN])
    return shown if len(urls) <= _URLS_SHOWN else f"{shown} and {len(urls) - _URLS_SHOWN} more"
