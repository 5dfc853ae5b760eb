"""Chooses the site of a request: by the listener that it came through and by its Host header.

A table is never changed but replaced, so that a reload is one assignment and requests that run keep what
they have begun with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from howdah.cgi.variables import split_host
from howdah.errors import HowdahError
from howdah.web.accesslog import AccessLog
from howdah.web.chain import SiteApp
from howdah.web.matchers import host_test
from howdah.web.response import send_body

if TYPE_CHECKING:
    from howdah.web.static import Receive, Scope, Send

Application = Callable[..., Any]

_REMEMBERED_HOSTS = 1024
_LONGEST_REMEMBERED_HOST = 262


class Entry(NamedTuple):
    """A site at a listener.

    Attributes:
        host: name in lower case; ``*`` stands for one label, ``""`` for any host.
        path: prefix of the paths that the site answers; ``""`` for all.
        app: the ASGI application.
    """

    host: str
    path: str
    app: Application


class HostTable:
    """The sites of one listener."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        # Longer paths first, so that the closest one wins.
        self.entries = sorted(entries, key=lambda entry: -len(entry.path))
        self._exact: dict[str, list[Entry]] = {}
        for entry in self.entries:
            if "*" not in entry.host:
                self._exact.setdefault(entry.host.lower().strip("[]"), []).append(entry)
        wildcards = sorted((entry for entry in self.entries if "*" in entry.host), key=_vagueness)
        self._wildcards = [(host_test([entry.host]), entry) for entry in wildcards]
        self._remembered: dict[bytes, list[Entry]] = {}
        self._direct: dict[bytes, Application] = {}  # hosts whose first site answers every path
        only = self._exact.get("", []) if len(self.entries) == 1 else []
        self._only = only[0].app if only and not only[0].path else None

    def find(self, scope: Scope) -> Application:
        """Give the application of a request; one that answers nothing for hosts that nobody serves."""
        if self._only is not None:
            return self._only
        host = b""
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
                break
        direct = self._direct.get(host)
        if direct is not None:
            return direct
        found = self._remembered.get(host)
        if found is None:
            found = self._candidates(host)
            if len(host) <= _LONGEST_REMEMBERED_HOST:
                self._remember(host, found)
        for entry in found:
            if not entry.path or _is_below(scope["path"], entry.path):
                return entry.app
        return answer_nothing

    def _remember(self, host: bytes, found: list[Entry]) -> None:
        if len(self._remembered) >= _REMEMBERED_HOSTS:
            self._remembered.clear()
            self._direct.clear()
        self._remembered[host] = found
        if found and not found[0].path:
            # A method costs less than an object that is called.
            app = found[0].app
            self._direct[host] = app.__call__ if isinstance(app, SiteApp | AccessLog) else app

    def _candidates(self, raw_host: bytes) -> list[Entry]:
        host = split_host(raw_host, b"http")[0].decode("latin-1").lower().strip("[]").rstrip(".")
        # Exact names first, then the closest wildcard, then sites for any host.
        found = list(self._exact.get(host, ())) if host else []
        found += [entry for matches, entry in self._wildcards if host and matches(host)]
        return found + self._exact.get("", [])


class Router:
    """The application that all listeners share.

    Called as an ASGI application it takes the listener's port (or the path of its socket) from the scope; a
    server that knows its listeners gets an application for each by `listener`.

    Args:
        tables: by listener.
        proxies: from `compile_proxies`.
    """

    def __init__(self, tables: Mapping[Hashable, HostTable], proxies: Callable[[Scope], None] | None = None) -> None:
        self._tables = dict(tables)
        self._proxies = proxies

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request of any listener."""
        host, port = scope.get("server") or ("", None)
        # Some servers give the port as text.
        return self._serve(host if port is None else int(port), scope, receive, send)

    def listener(self, key: Hashable) -> Application:
        """Give the application of one listener; it follows when the table is replaced."""

        def serve(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            return self._serve(key, scope, receive, send)

        return serve

    def replace(
        self, tables: Mapping[Hashable, HostTable], proxies: Callable[[Scope], None] | None = None
    ) -> list[SiteApp]:
        """Put other sites in place; requests that run keep theirs.

        Returns:
            The sites that nobody chooses any more, for `shutdown` once their requests have ended.
        """
        old = self.sites()
        self._tables, self._proxies = dict(tables), proxies
        kept = {id(site) for site in self.sites()}
        return [site for site in old if id(site) not in kept]

    def sites(self) -> list[SiteApp]:
        """Give every site once."""
        found = {id(entry.app): entry.app for table in self._tables.values() for entry in table.entries}
        return [app for app in found.values() if isinstance(app, SiteApp)]

    async def startup(self) -> None:
        """Start the Python applications of all sites.

        Raises:
            HowdahError: one does not start; the others are stopped again.
        """
        await start_sites(self.sites())

    async def shutdown(self) -> None:
        """Stop the Python applications of all sites; call it when no request runs any more."""
        await asyncio.gather(*(site.shutdown() for site in self.sites()))

    def _serve(self, key: Hashable, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # A plain function that gives the application's own coroutine: one more for each request would cost
        # more than the choice.
        table = self._tables.get(key)
        if table is None:
            return answer_nothing(scope, receive, send)
        if self._proxies is not None:
            self._proxies(scope)
        answer: Awaitable[None] = table.find(scope)(scope, receive, send)
        return answer


async def start_sites(sites: Iterable[SiteApp]) -> None:
    """Start the Python applications of sites one after the other.

    Raises:
        HowdahError: one does not start; those before it are stopped again.
    """
    started: list[SiteApp] = []
    for site in sites:
        try:
            await site.startup()
        except HowdahError:
            for other in started:
                await other.shutdown()
            raise
        started.append(site)


async def answer_nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a host that nobody serves: 200 without a body, as Caddy does."""
    if scope["type"] == "http":
        await send_body(200, b"", [], scope, send)


def _vagueness(entry: Entry) -> tuple[int, int]:
    """Sort wildcards: the fewest stars first, then the most labels."""
    return entry.host.count("*"), -entry.host.count(".")


def _is_below(path: str, prefix: str) -> bool:
    prefix = prefix.rstrip("*")
    if prefix.endswith("/"):
        return path.startswith(prefix)
    return path == prefix or path.startswith(prefix + "/")
