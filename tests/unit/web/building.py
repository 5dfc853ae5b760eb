"""Builds sites from steps, around a PHP that answers without running."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from howdah.config.http import Action, Condition, ErrorRoutes, HttpSite, Matcher, Php, SiteAddress, Step
from howdah.config.model import SiteConfig
from howdah.testing.client import Client, ClientResponse
from howdah.web.chain import BuildContext, SiteApp, build_site
from tests.unit.fakes import FakeDispatcher, FakeRuntime


def step(action: Action, *conditions: Condition, group: str = "") -> Step:
    return Step(action, Matcher(conditions) if conditions else None, group=group)


def site(*steps: Step | Action, errors: tuple[ErrorRoutes, ...] = (), host: str = "") -> HttpSite:
    made = tuple(one if isinstance(one, Step) else Step(one) for one in steps)
    return HttpSite((SiteAddress(host=host),), made, errors)


def php_server(root: Path | str = "", **fields: Any) -> Php:
    site_fields = {name: fields.pop(name) for name in ("index", "split", "try_files", "workers") if name in fields}
    return Php(SiteConfig(root=str(root), **site_fields), **fields)


class Built:
    """A site with its fake PHP."""

    def __init__(self, built: HttpSite, events: list[Any] | None = None, **context: Any) -> None:
        self.runtime = FakeRuntime(events)
        context.setdefault("base", "/")
        runtime: Any = self.runtime
        self.app: SiteApp = build_site(built, BuildContext(runtime, **context))

    @property
    def php(self) -> FakeDispatcher:
        dispatcher: FakeDispatcher = self.runtime.the_dispatcher
        return dispatcher

    def ask(self, target: str = "/", method: str = "GET", headers: Any = (), body: bytes = b"", **options: Any) -> Any:
        async def run() -> ClientResponse:
            sent = [(name.lower().encode(), value.encode()) for name, value in dict(headers).items()]
            return await Client(self.app, **options).request(method, target, sent, body)

        return asyncio.run(run())


def ask(*steps: Step | Action, target: str = "/", **options: Any) -> Any:
    """Build a site of these steps and ask it once."""
    return Built(site(*steps)).ask(target, **options)
