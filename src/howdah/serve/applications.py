"""From sites to what listeners serve: applications of sites, redirects to HTTPS, and a table for each listener."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from howdah.config.dump import to_json
from howdah.config.http import ErrorRoutes, HttpSite, Php, PythonApp, Root, Routes, ServerModel, Step
from howdah.config.model import SiteConfig
from howdah.serve.address import Address
from howdah.serve.listeners import ListenerPlan, Redirect
from howdah.web.accesslog import AccessLog
from howdah.web.chain import BuildContext, SiteApp, build_site
from howdah.web.proxies import compile_proxies
from howdah.web.response import SERVER
from howdah.web.router import Entry, HostTable, Router

if TYPE_CHECKING:
    from howdah.observe.logs import Logs
    from howdah.runtime.runtime import Runtime

Application = Callable[..., Any]
Proxies = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Needs:
    """What applications are built with beside the model.

    Args:
        runtime: PHP.
        logs: where access logs go.
        metrics: gives the metrics page and its type for an Accept header.
        base: folder of relative names: where the server was started, which may be gone at a reload.
    """

    runtime: Runtime
    logs: Logs
    metrics: Callable[[str], tuple[bytes, str]]
    base: str


@dataclass(frozen=True, slots=True)
class Applications:
    """What the listeners of a model serve.

    Args:
        tables: the sites and redirects of each listener.
        sites: the applications of all sites.
        proxies: what trusted proxies change of a request.
        python_sites: sites that hold Python applications, by everything that makes them what they are.
    """

    tables: dict[Hashable, HostTable]
    sites: tuple[SiteApp, ...]
    proxies: Proxies | None = None
    python_sites: dict[str, SiteApp] = field(default_factory=dict)

    def alone(self, address: Address) -> Application:
        """Give the application of one listener as it is now, whatever comes after."""
        return Router({address: self.tables[address]}, self.proxies).listener(address)


def build_applications(
    model: ServerModel, plans: Mapping[Address, ListenerPlan], needs: Needs, before: Applications | None
) -> Applications:
    """Build the applications of all sites.

    Sites that hold Python applications are kept if nothing about them has changed: such an application exists once
    in a process, so it must not be started a second time and ended a first.

    Raises:
        ConfigError: something in a site cannot work, or a log file cannot be opened.
    """
    known = before.python_sites if before is not None else {}
    context = BuildContext(
        needs.runtime, model.servers, base=needs.base, debug=model.runtime.debug, metrics=needs.metrics
    )
    answering: dict[int, Application] = {}
    sites: list[SiteApp] = []
    python_sites: dict[str, SiteApp] = {}
    for site in model.sites:
        identity = _identity(site, context) if _has_python(site) else ""
        app = known.get(identity) or build_site(site, context)
        sites.append(app)
        if identity:
            python_sites[identity] = app
        answering[id(site)] = AccessLog(app, [needs.logs.access(log) for log in site.logs]) if site.logs else app
    tables: dict[Hashable, HostTable] = {
        address: HostTable(_entries(plan, answering, model)) for address, plan in plans.items()
    }
    servers = model.servers
    proxies = compile_proxies(servers.trusted_proxies, servers.client_ip_headers)
    return Applications(tables, tuple(sites), proxies, python_sites)


def _entries(plan: ListenerPlan, answering: Mapping[int, Application], model: ServerModel) -> Iterator[Entry]:
    for binding in plan.bindings:
        yield Entry(binding.host, binding.path, answering[id(binding.site)])
    for redirect in plan.redirects:
        yield Entry(redirect.host, "", redirect_app(redirect, model.servers.http_port, model.servers.https_port))


def redirect_app(redirect: Redirect, http_port: int, https_port: int) -> Application:
    """Give the application that sends plain requests to HTTPS: 308 with the same host, path and query.

    Args:
        redirect: from where, and to which port.
        http_port: port of the listener. A client that names it reaches our ports as they are, so the answer
            names HTTPS's; one that does not comes through a gateway that maps 80 and 443 to them.
        https_port: port to name if ``redirect`` has none of its own.
    """
    own = b":%d" % redirect.port if redirect.port else b""
    direct = own or (b":%d" % https_port if https_port != 443 else b"")
    named = b":%d" % http_port

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        host = next((value for name, value in scope["headers"] if name == b"host"), b"")
        if not host:
            await _answer(send, 400, [])
            return
        bare, port = (host[: -len(named)], direct) if host.endswith(named) else (_without_port(host), own)
        query = scope["query_string"]
        location = b"https://" + bare + port + scope["raw_path"] + (b"?" + query if query else b"")
        await _answer(send, 308, [(b"location", location), (b"connection", b"close")])

    return answer


async def _answer(send: Any, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
    head = [*headers, (b"content-length", b"0"), SERVER]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": b""})


def _without_port(host: bytes) -> bytes:
    bare, colon, port = host.rpartition(b":")
    return bare if colon and port.isdigit() and not (b":" in bare and not bare.endswith(b"]")) else host


def php_sites(model: ServerModel) -> list[tuple[str, SiteConfig]]:
    """Give name and configuration of the PHP sites that have workers of their own."""
    found = [step.action for site in model.sites for step in all_steps(site) if isinstance(step.action, Php)]
    return [(php.name, php.site) for php in found if php.site.workers]


def _identity(site: HttpSite, context: BuildContext) -> str:
    """Give everything that an application is made from; the links of its folders, too, which a release switches."""
    model = ServerModel(sites=(site,), servers=context.servers)
    roots = [os.path.realpath(os.path.join(context.base, root)) for root in _roots(site)]  # noqa: PTH118
    return json.dumps([to_json(model, positions=False), roots, context.base, context.debug], sort_keys=True)


def _has_python(site: HttpSite) -> bool:
    return any(isinstance(step.action, PythonApp) for step in all_steps(site))


def _roots(site: HttpSite) -> Iterator[str]:
    for step in all_steps(site):
        if isinstance(step.action, Root):
            yield step.action.path
        elif isinstance(step.action, Php):
            yield step.action.site.root or step.action.root


def all_steps(site: HttpSite) -> Iterator[Step]:
    """Give all steps of a site, those inside others too."""
    yield from _flat(site.steps)
    errors: Iterable[ErrorRoutes] = site.errors
    for routes in errors:
        yield from _flat(routes.steps)


def _flat(steps: Sequence[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        if isinstance(step.action, Routes):
            yield from _flat(step.action.steps)
