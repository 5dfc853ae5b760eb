"""Figures as tables: what was measured, and whether each target is met."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from servers import Howdah, Peer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from measures import Bench

_LOADED = (
    ("per_s", "requests/s", 0),
    ("p50_ms", "p50 ms", 2),
    ("p99_ms", "p99 ms", 2),
    ("cpu_us", "CPU us/request", 1),
    ("pss_mib", "memory MiB", 0),
    ("others", "cores busy otherwise", 2),
)
_COLUMNS = {
    "trivial": _LOADED,
    "worker-32": _LOADED,
    "worker-100": _LOADED,
    "slim": _LOADED,
    "recycling": _LOADED,
    "static-small": _LOADED,
    "static-large": (("mb_per_s", "MB/s", 0), ("cpu_ms", "CPU ms", 0)),
    "recycle": (("cpu_ms", "CPU ms", 2), ("wall_ms", "wall ms", 2)),
    "wipe": (("pause_ms", "pause ms", 1), ("slowest_ms", "slowest request ms", 1)),
    "scaling": (("per_s", "requests/s", 0), ("threads", "threads", 0), ("reached_s", "seconds to 64 threads", 2)),
    "steady": (
        ("failed", "failed requests", 0),
        ("requests", "requests", 0),
        ("restarts", "restarts", 0),
        ("per_s", "requests/s", 0),
        ("p99_ms", "p99 ms", 1),
    ),
    "dokuwiki": (
        ("per_s", "requests/s", 0),
        ("p50_ms", "p50 ms", 1),
        ("p99_ms", "p99 ms", 1),
        ("cpu_us", "CPU us/request", 0),
        ("pss_mib", "memory MiB", 0),
        ("others", "cores busy otherwise", 2),
    ),
    "engine": (("per_s", "requests/s", 0), ("cpu_us", "CPU us/request", 1)),
    "download": (("mib_per_s", "MiB/s", 0), ("growth_mib", "memory growth MiB", 1), ("cpu_ms", "CPU ms", 0)),
    "upload": (("mib_per_s", "MiB/s", 0), ("growth_mib", "memory growth MiB", 1), ("cpu_ms", "CPU ms", 0)),
    "body": (("mib_per_s", "MiB/s", 0), ("growth_mib", "memory growth MiB", 1), ("cpu_ms", "CPU ms", 0)),
    "startup": (("s", "seconds to first answer", 2),),
    "memory": (("thread_kib", "KiB per idle PHP thread or child", 0), ("with_32_mib", "MiB with 32", 0)),
}
_TITLES = {
    "trivial": "Trivial script: 13 bytes, 32 connections, 4 PHP threads",
    "dokuwiki": "DokuWiki's start page: 32 connections, 32 PHP threads or children",
    "engine": "Engine alone: submit to result, no HTTP, 4 PHP threads",
    "download": "Download of 100 MiB that PHP prints",
    "upload": "Upload of 100 MiB as a form's file",
    "body": "Upload of 100 MiB as a body that PHP reads",
    "startup": "Start: process to first answer",
    "memory": "Memory at rest (shared pages divided among processes)",
    "worker-32": "Trivial worker script: 13 bytes, 32 connections, 4 threads",
    "worker-100": "Trivial worker script: 13 bytes, 100 connections, 4 threads",
    "static-small": "Static file of 10 KiB: 32 connections",
    "static-large": "Static file of 100 MB: one connection",
    "slim": "A page of Slim and Twig: 32 connections, 4 PHP threads or 32 children",
    "recycling": "Trivial worker script whose threads are replaced: 32 connections, 4 threads",
    "recycle": "Replacement of one thread, without an application's boot",
    "wipe": "Wipe of OPcache under load, 2 worker threads",
    "scaling": "Script that sleeps 100 ms: 200 connections, 4 threads at the start, at most 64",
    "steady": "A minute of load on the trivial worker script, 32 connections",
}


@dataclass(frozen=True)
class Verdict:
    """One target: a figure and its bound."""

    what: str
    value: float | None
    bound: float
    at_most: bool

    @property
    def met(self) -> bool:
        """Whether the figure is there and on the right side of the bound."""
        return self.value is not None and (self.value <= self.bound if self.at_most else self.value >= self.bound)

    def row(self) -> tuple[str, str, str, str]:
        """Cells for a table."""
        shown = "-" if self.value is None else f"{self.value:.2f}"
        outcome = "not measured" if self.value is None else "met" if self.met else "short"
        return self.what, shown, f"{'at most' if self.at_most else 'at least'} {self.bound:g}", outcome


def verdicts(bench: Bench) -> list[Verdict]:
    """The targets of this project, as far as their figures were measured."""
    howdah, peer = Howdah.name, Peer.name

    def ratio(target: str, name: str) -> float | None:
        return _divide(bench.median(target, howdah, name), bench.median(target, peer, name))

    http_us = bench.median("trivial", howdah, "cpu_us")
    found = [
        Verdict("trivial: CPU per request / peer's", ratio("trivial", "cpu_us"), 0.75, at_most=True),
        Verdict("trivial: requests/s / peer's", ratio("trivial", "per_s"), 1.1, at_most=False),
        Verdict("trivial: p99 / peer's", ratio("trivial", "p99_ms"), 1.0, at_most=True),
        Verdict("DokuWiki: requests/s / peer's", ratio("dokuwiki", "per_s"), 1.0, at_most=False),
    ]
    for way, words in (("asyncio", "32 coroutines"), ("threads", "blocking threads")):
        own_us = bench.median("engine", way, "cpu_us")
        found.append(
            Verdict(f"engine alone ({words}): CPU / through HTTP", _divide(own_us, http_us), 0.6, at_most=True)
        )
    for target in ("download", "upload", "body"):
        found += [
            Verdict(f"{target}: MiB/s / peer's", ratio(target, "mib_per_s"), 0.8, at_most=False),
            Verdict(f"{target}: memory growth, MiB", bench.median(target, howdah, "growth_mib"), 32, at_most=True),
        ]
    found += [
        Verdict("static file of 10 KiB: requests/s / peer's", ratio("static-small", "per_s"), 0.5, at_most=False),
        Verdict("static file of 100 MB: MB/s / peer's", ratio("static-large", "mb_per_s"), 0.9, at_most=False),
    ]
    found += _of_workers(bench)
    found.append(Verdict("start to first answer, s", bench.median("startup", howdah, "s"), 0.6, at_most=True))
    return [verdict for verdict in found if verdict.value is not None]


def _of_workers(bench: Bench) -> list[Verdict]:
    """Targets of worker mode and of the life of threads."""
    howdah, peer = Howdah.name, Peer.name

    def ratio(target: str, name: str, one: str = howdah, other: str = peer) -> float | None:
        return _divide(bench.median(target, one, name), bench.median(target, other, name))

    def kept(limit: str) -> float | None:
        return ratio("recycling", "per_s", limit, "no limit")

    found = [
        Verdict("worker: CPU per request / peer's", ratio("worker-32", "cpu_us"), 0.5, at_most=True),
        Verdict("worker: requests/s / peer's", ratio("worker-32", "per_s"), 1.5, at_most=False),
        Verdict("worker, 100 connections: p99 / peer's", ratio("worker-100", "p99_ms"), 1.0, at_most=True),
        Verdict("requests/s with max_requests 1000 / without", kept("max_requests 1000"), 0.97, at_most=False),
        Verdict("requests/s with max_requests 100 / without", kept("max_requests 100"), 0.8, at_most=False),
    ]
    for way in ("regular thread", "worker thread"):
        found += [
            Verdict(f"recycle of a {way}: CPU ms", bench.median("recycle", way, "cpu_ms"), 2, at_most=True),
            Verdict(f"recycle of a {way}: wall ms", bench.median("recycle", way, "wall_ms"), 5, at_most=True),
        ]
    found += [
        Verdict("wipe of OPcache: pause, ms", bench.median("wipe", howdah, "pause_ms"), 50, at_most=True),
        Verdict(
            "scaling: requests/s / 640", _divide(bench.median("scaling", howdah, "per_s"), 640), 0.95, at_most=False
        ),
        Verdict("scaling: seconds to 64 threads", bench.median("scaling", howdah, "reached_s"), 2, at_most=True),
    ]
    for way in bench.results.get("steady", {}):
        found.append(Verdict(f"failed in 60 s, {way}", bench.median("steady", way, "failed"), 0, at_most=True))
    return found


def markdown(bench: Bench, facts: Sequence[str]) -> str:
    """The whole report."""
    parts = ["\n".join(f"- {fact}" for fact in facts)]
    for target, sides in bench.results.items():
        columns = _COLUMNS[target]
        rows = [
            (side, *(_number(bench.median(target, side, name), digits) for name, _, digits in columns))
            for side in sides
        ]
        table = _table(("", *(title for _, title, _ in columns)), rows)
        parts.append(f"**{_TITLES[target]}**\n\n{table}")
    outcome = [verdict.row() for verdict in verdicts(bench)]
    if outcome:
        parts.append(f"**Targets**\n\n{_table(('target', 'measured', 'wanted', ''), outcome)}")
    return "\n\n".join(parts) + "\n"


def machine_facts() -> list[str]:
    """What a reader needs to compare figures."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory_gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return [
        time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        f"{model}, {len(os.sched_getaffinity(0))} cores (shared with the client), {memory_gib:.0f} GiB",
        f"Linux {platform.release()}, CPython {platform.python_version()}",
        f"load average at the start {os.getloadavg()[0]:.2f}",
    ]


def _divide(one: float | None, other: float | None) -> float | None:
    return None if one is None or not other else one / other


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["--:" for _ in head[1:]]], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
