"""What concerns all workers of a configuration together: their names and the number of their threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from howdah.config.http import ErrorRoutes, HostMatch, HttpSite, Matcher, Php, Routes, SiteAddress, Step
from howdah.config.model import RuntimeConfig, WorkerConfig
from howdah.errors import ConfigError


def server_name(addresses: Sequence[SiteAddress], matched_host: str = "") -> str:
    """Give the name of a PHP server that has none of its own.

    Args:
        addresses: of its site; their first host is the name.
        matched_host: name where they have none; where it is empty, too, the first address is the name.
    """
    for address in addresses:
        if address.host:
            return address.host
    if matched_host or not addresses:
        return matched_host
    first = addresses[0]
    return f"unix/{first.unix}" if first.unix else f":{first.port}" if first.port else ""


class Names:
    """Gives workers names that no other worker of the process has."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def unique(self, workers: Sequence[WorkerConfig], server: str) -> tuple[WorkerConfig, ...]:
        """Name workers whose own name, or whose path, is taken already.

        Args:
            workers: of one place.
            server: name of their site's PHP server; empty for global workers.
        """
        return tuple(self._name(worker, server) for worker in workers)

    def _name(self, worker: WorkerConfig, server: str) -> WorkerConfig:
        wanted = worker.name or os.path.abspath(worker.file)  # noqa: PTH100 - links are not resolved yet
        name = wanted
        if name in self._taken and server:
            name = f"{server}:{wanted}"
        number = 1
        while name in self._taken:
            name = f"{wanted}_{number}"
            number += 1
        self._taken.add(name)
        return worker if name == wanted else replace(worker, name=name)


def name_site(site: HttpSite, names: Names) -> HttpSite:
    """Name what runs PHP in a site, and its workers."""

    def name(php: Php, host: str) -> Php:
        server = php.name or server_name(site.addresses, host)
        workers = names.unique(php.site.workers, server)
        return replace(php, name=server, site=replace(php.site, workers=workers))

    errors = tuple(ErrorRoutes(_change(routes.steps, name), routes.codes) for routes in site.errors)
    return replace(site, steps=_change(site.steps, name), errors=errors)


def site_workers(site: HttpSite) -> list[WorkerConfig]:
    """Give the workers of a site."""
    found: list[WorkerConfig] = []

    def note(php: Php, _host: str) -> Php:
        found.extend(php.site.workers)
        return php

    for steps in (site.steps, *(routes.steps for routes in site.errors)):
        _change(steps, note)
    return found


def _change(steps: tuple[Step, ...], change: Callable[[Php, str], Php], host: str = "") -> tuple[Step, ...]:
    """Apply a function to all PHP servers, also in blocks, with the first host that a matcher around each asks for."""
    changed = []
    for step in steps:
        action = step.action
        inner = host or _matched_host(step.matcher)
        if isinstance(action, Php):
            changed.append(replace(step, action=change(action, inner)))
        elif isinstance(action, Routes):
            changed.append(replace(step, action=replace(action, steps=_change(action.steps, change, inner))))
        else:
            changed.append(step)
    return tuple(changed)


def _matched_host(matcher: Matcher | None) -> str:
    hosts = [condition.names for condition in matcher.conditions if isinstance(condition, HostMatch)] if matcher else []
    return next((name for names in hosts for name in names if "{" not in name), "")


def check_numbers(runtime: RuntimeConfig, workers: Sequence[WorkerConfig]) -> None:
    """Check what is written about threads; what follows from the machine's cores is checked when PHP starts.

    Raises:
        ConfigError: with the position of the worker that is wrong; about all of them together without one, but
            ``directive`` says which option to change.
    """
    most = runtime.max_threads
    for worker in workers:
        if isinstance(most, int) and worker.max_threads > most:
            raise worker.position.error(
                f"max_threads {worker.max_threads} of the worker {worker.file} must not be greater than the {most} of "
                "frankenphp: lower it, or raise the other",
                "max_threads",
            )
    least = sum(worker.num or 1 for worker in workers)
    for name, limit in (("num_threads", runtime.num_threads), ("max_threads", most)):
        if isinstance(limit, int) and limit <= least:
            raise ConfigError(
                f"{name} {limit} must be greater than the {least} threads of the workers, because one serves what no "
                "worker takes: raise it, or lower num of a worker",
                directive=name,
            )
