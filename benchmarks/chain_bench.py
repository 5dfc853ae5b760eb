"""What a site costs on top of the bare PHP application: CPU per request, without PHP and sockets.

    python benchmarks/chain_bench.py
    python benchmarks/chain_bench.py --against /other/checkout/.venv/bin/python

A request takes its real way through router, chain, runtime, access log and histograms; what the extension does is
stood in for. The process's CPU is measured, the log thread's and the disk's work included. Rounds of all rows
alternate, and the medians are compared. ``--against`` measures another checkout in turn with this one, and prints
both. Prints a table; ``--json`` prints one line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import uvloop
from standins import BROWSER, Runtime, fresh

from howdah.config.http import (
    Encode,
    Header,
    HeaderMatch,
    HeaderOperation,
    HttpSite,
    Log,
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
from howdah.observe.histograms import RequestTimes
from howdah.observe.logs import Logs
from howdah.web.accesslog import AccessLog
from howdah.web.asgi import PHPServer
from howdah.web.chain import BuildContext, build_site
from howdah.web.proxies import compile_proxies
from howdah.web.router import Entry, HostTable, Router

_ROUNDS = 9
_REQUESTS = 5000
_TURNS = 5
_CONNECTIONS = 32
_BARE = "bare PHP application"
# What issue and README speak of: router, a site as most are, access log, histograms.
_WHOLE = "normal site, access log, histograms"
_ONE, _MANY = "root, encode, php_server; router", "the same among 200 sites"


class _Row(NamedTuple):
    app: Any
    flush: Callable[[], Any] = lambda: None
    headers: Callable[[int], list[tuple[bytes, bytes]]] = lambda number: fresh(BROWSER)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--against", help="the Python of another checkout's environment")
    options = parser.parse_args()
    if options.against:
        _print_two(*_compare(options.against, options.rounds))
        return
    figures = measure(options.rounds)
    if options.json:
        print(json.dumps(figures))
        return
    bare = figures[_BARE]
    print(f"{'':44}  us/request  on top")
    for name, value in figures.items():
        print(f"{name:44}  {value:10.2f}  {value - bare:+6.2f}")


def measure(rounds: int) -> dict[str, float]:
    """Give microseconds of CPU per request, by row."""
    with tempfile.TemporaryDirectory(prefix="hw-chain-") as folder:
        root = Path(folder)
        (root / "hello.php").write_text("<?php echo 'Hello, world!';")
        logs = Logs()
        try:
            return uvloop.run(_measure(_rows(root, logs), rounds))
        finally:
            logs.close()


def _compare(other: str, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Measure the other checkout and this one in turns; give the medians of both."""
    taken: dict[str, list[dict[str, float]]] = {other: [], sys.executable: []}
    for turn in range(_TURNS):
        for python in sorted(taken, reverse=bool(turn % 2)):
            command = [python, __file__, "--json", "--rounds", str(rounds)]
            taken[python].append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
    theirs, ours = (
        {name: statistics.median(turn[name] for turn in turns) for name in turns[0]} for turns in taken.values()
    )
    return theirs, ours


def _print_two(theirs: dict[str, float], ours: dict[str, float]) -> None:
    print(f"{'on top of the bare PHP application, us':44}   other    this")
    for name, value in ours.items():
        print(f"{name:44}  {theirs[name] - theirs[_BARE]:+6.2f}  {value - ours[_BARE]:+6.2f}")
    print(f"{_BARE + ', all of it':44}  {theirs[_BARE]:6.2f}  {ours[_BARE]:6.2f}")


def _rows(root: Path, logs: Logs) -> dict[str, _Row]:
    runtime, observed = Runtime(), Runtime()
    observed.observers.append(RequestTimes().observe)
    context = BuildContext(_as_any(runtime), base=str(root))
    counted = BuildContext(_as_any(observed), base=str(root))

    def routed(site: HttpSite, *, log: str = "", context: BuildContext = context) -> Router:
        app: Any = build_site(site, context)
        if log:
            app = AccessLog(app, [logs.access(Log(output=str(root / log), format="json"))])
        return Router({8000: HostTable([Entry("www.example.com", "", app)])})

    names = [f"site{number}.example.com" for number in range(199)] + ["www.example.com"]
    many = HostTable([Entry(name, "", build_site(_plain(root, name), context)) for name in names])
    proxies = compile_proxies(("10.0.0.0/8",), ("X-Forwarded-For",))
    rich = HostTable([Entry("www.example.com", "", build_site(_rich(root), context))])
    normal, flush = _normal(root), logs.flush
    return {
        _BARE: _Row(PHPServer(root, runtime=_as_any(runtime))),
        _ONE: _Row(routed(_plain(root, "www.example.com"))),
        _MANY: _Row(Router({8000: many})),
        "normal site: 2 headers, 2 matchers more": _Row(routed(normal)),
        "normal site, histograms": _Row(routed(normal, context=counted)),
        "normal site, access log": _Row(routed(normal, log="a"), flush),
        _WHOLE: _Row(routed(normal, log="b", context=counted), flush),
        "the same, each request another cookie": _Row(routed(normal, log="c", context=counted), flush, _strangers),
        "rich site: a dozen directives": _Row(Router({8000: rich})),
        "rich site, access log, histograms": _Row(routed(_rich(root), log="d", context=counted), flush),
        "rich site, trusted proxies": _Row(Router({8000: rich}, proxies)),
    }


def _as_any(runtime: Runtime) -> Any:
    return runtime


def _strangers(number: int) -> list[tuple[bytes, bytes]]:
    """Give headers of somebody who has never been here."""
    cookie = b"PHPSESSID=%032x" % (time.perf_counter_ns() + number)
    return fresh([(name, cookie if name == b"cookie" else value) for name, value in BROWSER])


def _step(action: Any, *conditions: Any, group: str = "") -> Step:
    return Step(action, Matcher(conditions) if conditions else None, group=group)


def _plain(root: Path, name: str) -> HttpSite:
    steps = (_step(Root(str(root))), _step(Encode()), _step(Php(SiteConfig(root=""))))
    return HttpSite((SiteAddress(host=name),), steps)


def _normal(root: Path) -> HttpSite:
    """A site as most are: two fields of the head, two things that must not happen, compression, PHP."""
    return HttpSite(
        (SiteAddress(host="www.example.com"),),
        (
            _step(Root(str(root))),
            _step(Header((HeaderOperation("set", "X-Content-Type-Options", "nosniff"),))),
            _step(Header((HeaderOperation("set", "Referrer-Policy", "same-origin"),))),
            _step(Redir("/new{uri}", "301"), PathMatch(("/old/*",))),
            _step(Respond("", "403"), PathMatch(("/vendor/*", "*.sql", "*.log"))),
            _step(Encode()),
            _step(Php(SiteConfig(root=""))),
        ),
    )


def _rich(root: Path) -> HttpSite:
    """A site as an application's documentation would have it: a dozen directives, of which most do not match."""
    security = (
        HeaderOperation("set", "X-Content-Type-Options", "nosniff"),
        HeaderOperation("set", "X-Frame-Options", "DENY"),
        HeaderOperation("set", "Referrer-Policy", "same-origin"),
    )
    block = Routes((_step(Respond("api")),), exclusive=True)
    return HttpSite(
        (SiteAddress(host="www.example.com"),),
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


def _scope(number: int, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/hello.php",
        "raw_path": b"/hello.php",
        "query_string": b"page=%d" % number,
        "root_path": "",
        "headers": headers,
        "client": ("192.0.2.7", 40_000 + number % _CONNECTIONS),
        "server": ("127.0.0.1", 8000),
        "extensions": {},
    }


async def _receive() -> dict[str, Any]:
    return {"type": "http.disconnect"}


async def _send(message: Any) -> None:
    pass


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    pass


async def _measure(rows: dict[str, _Row], rounds: int) -> dict[str, float]:
    """Give the median of rounds that alternate between the rows, without what making the requests costs.

    Requests are made one by one: those of a long list would come from memory and not from the processor's cache, as
    they do when a server has just read them.
    """
    taken: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, row in rows.items():
            cost = await _round(row) - await _round(_Row(_nothing, headers=row.headers))
            taken[name].append(cost / _REQUESTS * 1e6)
    return {name: statistics.median(values) for name, values in taken.items()}


async def _round(row: _Row) -> float:
    app, headers = row.app, row.headers
    began = time.process_time()
    for number in range(_REQUESTS):
        await app(_scope(number, headers(number)), _receive, _send)
    row.flush()
    return time.process_time() - began


if __name__ == "__main__":
    sys.exit(main())
