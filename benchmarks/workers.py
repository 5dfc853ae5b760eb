"""Measurements of worker mode and of what threads do in their life: recycling, restarts, wipes, scaling."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import load
from measures import SCRIPTS, pressed
from servers import HERE, BenchError, Howdah, More, require_howdah

if TYPE_CHECKING:
    from measures import Bench

WORKER = f"{Howdah.name}, worker mode"
UNLIMITED = "no limit"
# Threads that run the worker's script; one more serves what is no worker's.
_THREADS = 4
_STEADY_S = 60.0
_SCRIPT = "/worker.php"


def _as_worker(script: Path, *flags: str) -> More:
    return More(flags=("--worker", f"{script},{_THREADS}", *flags))


def worker(bench: Bench) -> None:
    """13 bytes from a worker script against 13 bytes from PHP-FPM, at 32 and at 100 connections."""
    for connections in (32, 100):
        for side, keep in bench.alternate(f"worker-{connections}"):
            is_howdah = side == Howdah.name
            path = _SCRIPT if is_howdah else "/hello.php"
            more = _as_worker(SCRIPTS / "worker.php") if is_howdah else More()
            with bench.server(side, SCRIPTS, threads=_THREADS + is_howdah, more=more) as server:
                if load.fetch(server.port, path) != b"Hello, world!":
                    raise BenchError(f"{side} answers something else than {path} does")
                keep(pressed(server, path, bench.seconds, connections))


def slim(bench: Bench) -> None:
    """A page of a real application on Slim and Twig: classic mode, worker mode, and the peer."""
    sys.path.insert(0, str(HERE.parent / "tools"))
    from apps import slim as recipe

    root = recipe.install(bench.folder / "slim")
    path = "/index.php/hello/world"
    for side, keep in bench.alternate("slim", extra=(WORKER,) if Howdah.name in bench.sides else ()):
        is_worker = side == WORKER
        flags = _as_worker(recipe.worker(root)).flags if is_worker else ()
        more = More(flags=flags, php_ini=recipe.php_ini(root))
        with bench.server(side, root, threads=_THREADS + is_worker, more=more) as server:
            if b"<h1>Hello world!</h1>" not in load.fetch(server.port, path):
                raise BenchError(f"{side} does not answer the page of the Slim application")
            keep(pressed(server, path, bench.seconds))


def recycling(bench: Bench) -> None:
    """Requests/s of the trivial worker when its threads are replaced, and what one replacement costs."""
    limits = (UNLIMITED, "max_requests 1000", "max_requests 100")
    for number in range(bench.rounds):
        for limit in limits if number % 2 == 0 else limits[::-1]:
            flags = () if limit == UNLIMITED else ("--max-requests", limit.split()[1])
            print(f"  recycling, round {number + 1}, {limit} ...", file=sys.stderr, flush=True)
            more = _as_worker(SCRIPTS / "worker.php", *flags)
            with bench.server(Howdah.name, SCRIPTS, threads=_THREADS + 1, more=more) as server:
                sample = pressed(server, _SCRIPT, bench.seconds)
            bench.results.setdefault("recycling", {}).setdefault(limit, []).append(sample)
        for way in ("regular", "worker"):
            kept, replaced = (_alone(way, "--limit", limit) for limit in ("0", "1"))
            sample = {name: replaced[name] - kept[name] for name in kept}
            bench.results.setdefault("recycle", {}).setdefault(f"{way} thread", []).append(sample)


def wipe(bench: Bench) -> None:
    """Three wipes of OPcache under load."""
    print("  wipe ...", file=sys.stderr, flush=True)
    bench.results.setdefault("wipe", {})[Howdah.name] = [_alone("wipe")]


def steady(bench: Bench) -> None:
    """A minute of load while threads are replaced, workers restart, and both: nothing may fail."""
    ways = {
        "max_requests 10": (("--max-requests", "10"), 0.0),
        "a restart every 500 ms": ((), 0.5),
        "both": (("--max-requests", "10"), 0.5),
    }
    for way, (flags, every_s) in ways.items():
        print(f"  steady, {way} ...", file=sys.stderr, flush=True)
        notes = bench.folder / "steady.json"
        more = More(flags=_as_worker(SCRIPTS / "worker.php", *flags).flags, watch=(notes, every_s))
        with bench.server(Howdah.name, SCRIPTS, threads=_THREADS + 1, more=more) as server:
            outcome = load.press_counting(server.port, _SCRIPT, max(_STEADY_S, bench.seconds))
        restarts = json.loads(notes.read_text(encoding="ascii"))["restarts"]
        sample = {"failed": float(outcome.failed), "requests": float(outcome.requests), "restarts": float(restarts)}
        bench.results.setdefault("steady", {})[way] = [{**sample, "per_s": outcome.per_s, "p99_ms": outcome.p99_ms}]


def scaling(bench: Bench) -> None:
    """200 connections to a script that sleeps 100 ms: from 4 threads to the limit of 64."""
    limit = 64
    for number in range(bench.rounds):
        print(f"  scaling, round {number + 1} ...", file=sys.stderr, flush=True)
        notes = bench.folder / "scaling.json"
        more = More(flags=("--max-threads", str(limit)), watch=(notes, 0.0))
        with bench.server(Howdah.name, SCRIPTS, threads=_THREADS, more=more) as server:
            load.press(server.port, "/sleep.php", 2.0, connections=200)
            outcome = load.press(server.port, "/sleep.php", bench.seconds, connections=200)
        sizes = json.loads(notes.read_text(encoding="ascii"))["sizes"]
        reached = [seconds for seconds, threads in sizes if threads == limit]
        sample = {"per_s": outcome.per_s, "threads": float(max(threads for _, threads in sizes))}
        sample["reached_s"] = reached[0] if reached else float("inf")
        bench.results.setdefault("scaling", {}).setdefault(Howdah.name, []).append(sample)


def _alone(*arguments: str) -> dict[str, float]:
    """Run `recycling.py`."""
    require_howdah()
    what, *rest = arguments
    command = [sys.executable, str(HERE / "recycling.py"), what, str(SCRIPTS), *rest]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise BenchError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
