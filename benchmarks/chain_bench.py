"""What sites cost on top of the bare PHP application: CPU per request on the event loop, without PHP and sockets.

    python benchmarks/chain_bench.py

PHP is stood in for by an answer that is there at once, so that only the way of a request through routing, matchers
and headers is measured. Prints a table; ``--json`` prints one line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from howdah.config.http import (
    Encode,
    Header,
    HeaderMatch,
    HeaderOperation,
    HttpSite,
    Matcher,
    PathMatch,
    Php,
    Redir,
    RegexpMatch,
    RequestHeader,
    Respond,
    Rewrite,
    Root,
    Routes,
    SiteAddress,
    Step,
)
from howdah.config.model import SiteConfig
from howdah.web.asgi import PHPServer
from howdah.web.chain import BuildContext, build_site
from howdah.web.proxies import compile_proxies
from howdah.web.response import DONE, HEADERS
from howdah.web.router import Entry, HostTable, Router

_ROUNDS = 9
_REQUESTS = 8000


class _Exchange:
    """An exchange whose answer is there."""

    def __init__(self, request: Any) -> None:
        self.request = request

    async def next(self) -> tuple[int, int, list[tuple[bytes, bytes]], bytes]:
        return HEADERS | DONE, 200, [(b"content-type", b"text/html; charset=UTF-8")], b"Hello, world!"

    def close(self) -> None:
        pass


class _Dispatcher:
    def accept(self) -> None:
        pass

    def request(self, *parts: Any, env: Any = None) -> Any:
        return parts

    def submit(self, request: Any, on_slow: Any, pool: Any = None) -> _Exchange:
        return _Exchange(request)


class _Runtime:
    """PHP that runs."""

    is_running = ready = True
    config = SimpleNamespace(grace_s=1.0, debug=False)

    def __init__(self) -> None:
        self._dispatcher = _Dispatcher()

    def dispatcher(self) -> _Dispatcher:
        return self._dispatcher

    def register(self, site: Any, name: str = "") -> None:
        pass

    def worker_for(self, site: Any, script: bytes, worker: Any = None) -> None:
        return None


def _runtime() -> Any:
    return _Runtime()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "hello.php").write_text("<?php echo 'Hello, world!';")
        figures = asyncio.run(_measure(_applications(root)))
    if options.json:
        print(json.dumps(figures))
        return
    bare = figures["bare PHP application"]
    print(f"{'':44}  us/request  on top")
    for name, value in figures.items():
        print(f"{name:44}  {value:10.2f}  {value - bare:+6.2f}")


def _applications(root: Path) -> dict[str, Any]:
    runtime = _runtime()
    context = BuildContext(runtime, base=str(root))
    plain = build_site(_plain(root, "localhost"), context)
    one = HostTable([Entry("localhost", "", plain)])
    proxies = compile_proxies(("10.0.0.0/8",), ("X-Forwarded-For",))
    names = [f"site{number}.example.com" for number in range(199)]
    many = HostTable([Entry(name, "", build_site(_plain(root, name), context)) for name in names] + one.entries)
    return {
        "bare PHP application": PHPServer(root, runtime=runtime),
        "site: root, encode, php_server": plain,
        "the same behind the router": Router({8000: one}),
        "the same among 200 sites": Router({8000: many}),
        "site with headers, matchers and rewrites": build_site(_rich(root), context),
        "all of it, trusted proxies": Router(
            {8000: HostTable([Entry("", "", build_site(_rich(root), context))])}, proxies
        ),
    }


def _step(action: Any, *conditions: Any, group: str = "") -> Step:
    return Step(action, Matcher(conditions) if conditions else None, group=group)


def _plain(root: Path, name: str) -> HttpSite:
    steps = (_step(Root(str(root))), _step(Encode()), _step(Php(SiteConfig(root=""))))
    return HttpSite((SiteAddress(host=name),), steps)


def _rich(root: Path) -> HttpSite:
    """A site as an application's documentation would have it: a dozen directives, of which most do not match."""
    security = (
        HeaderOperation("set", "X-Content-Type-Options", "nosniff"),
        HeaderOperation("set", "X-Frame-Options", "DENY"),
        HeaderOperation("set", "Referrer-Policy", "same-origin"),
    )
    block = Routes((_step(Respond("api")),), exclusive=True)
    return HttpSite(
        (SiteAddress(host="localhost"),),
        (
            _step(Root(str(root))),
            _step(Header(security)),
            _step(Header((HeaderOperation("delete", "Server"),), deferred=True)),
            _step(
                Header((HeaderOperation("set", "Cache-Control", "max-age=86400"),)), PathMatch(("/assets/*", "*.css"))
            ),
            _step(RequestHeader((HeaderOperation("delete", "X-Debug"),)), HeaderMatch("X-Debug")),
            _step(Redir("/new{uri}", "301"), PathMatch(("/old/*",))),
            _step(Redir("https://www.example.com{uri}"), PathMatch(("/shop", "/shop/*"))),
            _step(Rewrite("/index.php?page={re.page.1}"), RegexpMatch(r"^/page/(\d+)$", "page"), group="rewrite"),
            _step(Respond("", "403"), PathMatch(("*/.git/*", "/vendor/*", "*.sql", "*.log"))),
            _step(block, PathMatch(("/api/*",))),
            _step(Encode()),
            _step(Php(SiteConfig(root=""))),
        ),
    )


def _scope() -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/hello.php",
        "raw_path": b"/hello.php",
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"host", b"localhost:8000"),
            (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64)"),
            (b"accept", b"text/html,application/xhtml+xml"),
            (b"accept-encoding", b"gzip, deflate, br"),
            (b"cookie", b"PHPSESSID=0123456789abcdef"),
        ],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "extensions": {},
    }


async def _receive() -> dict[str, Any]:
    return {"type": "http.disconnect"}


async def _send(message: Any) -> None:
    pass


async def _measure(applications: dict[str, Any]) -> dict[str, float]:
    """Give the median of rounds that alternate between the applications."""
    template = _scope()
    taken: dict[str, list[float]] = {name: [] for name in applications}
    for _ in range(_ROUNDS):
        for name, app in applications.items():
            begin = time.process_time()
            for _ in range(_REQUESTS):
                await app(dict(template), _receive, _send)
            taken[name].append((time.process_time() - begin) / _REQUESTS * 1e6)
    return {name: statistics.median(values) for name, values in taken.items()}


if __name__ == "__main__":
    sys.exit(main())
