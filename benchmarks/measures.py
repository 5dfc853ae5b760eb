"""What is measured: each function takes one sample of one side, or all samples of one kind."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import load
import processes
from servers import PLAIN, BenchError, Howdah, More, Peer, require_howdah

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server

Sample = dict[str, float]
BODY_BYTES = 100 * load.MIB
# The peer without what Howdah does too, receiving a body before PHP gets it: for information.
UNBUFFERED = f"{Peer.name}, body not buffered"
# The peer with one nginx process, as two get uneven shares of the connections: for information.
ONE_WORKER = f"{Peer.name}, one nginx worker"
_QUIET_CORES = 0.15
_ATTEMPTS = 6
_HERE = Path(__file__).resolve().parent
SCRIPTS = _HERE / "php"


@dataclass
class Bench:
    """One run of the benchmark.

    Attributes:
        folder: scratch folder, removed at the end.
        seconds: time of one load.
        rounds: how often the sides alternate.
        sides: names of the sides to measure.
        results: target, then side, then samples.
    """

    folder: Path
    seconds: float
    rounds: int
    sides: tuple[str, ...]
    port: int
    results: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)

    def server(self, side: str, root: Path, threads: int, children: int = 32, more: More = PLAIN) -> Howdah | Peer:
        """A side with so many PHP threads or children, ready to be started."""
        self.port += 1  # a port per start: no waiting for the last one to be free again
        if side.startswith(Howdah.name):
            return Howdah(root, self.folder, self.port, threads, more)
        tuning = {"buffering": "off"} if side == UNBUFFERED else {"workers": "1"} if side == ONE_WORKER else {}
        return Peer(root, self.folder, self.port, children, tuning, more.php_ini)

    def alternate(
        self, target: str, rounds: int | None = None, extra: tuple[str, ...] = ()
    ) -> Iterator[tuple[str, Callable[[Sample], None]]]:
        """Sides in turn, each round beginning with the other one; call the second value with the sample."""
        for number in range(rounds or self.rounds):
            sides = self.sides + extra
            order = sides if number % 2 == 0 else sides[::-1]
            for side in order:
                samples = self.results.setdefault(target, {}).setdefault(side, [])
                print(f"  {target}, round {number + 1}, {side} ...", file=sys.stderr, flush=True)
                yield side, samples.append

    def median(self, target: str, side: str, name: str) -> float | None:
        """Median of a figure over the rounds; None where it was not measured."""
        samples = self.results.get(target, {}).get(side, [])
        return statistics.median(sample[name] for sample in samples) if samples else None


def trivial(bench: Bench) -> None:
    """A script of 13 bytes, 32 connections."""
    extra = (ONE_WORKER,) if Peer.name in bench.sides else ()
    for side, keep in bench.alternate("trivial", extra=extra):
        with bench.server(side, SCRIPTS, threads=4) as server:
            if load.fetch(server.port, "/hello.php") != b"Hello, world!":
                raise BenchError(f"{side} answers something else than hello.php does")
            if load.fetch(server.port, "/opcache.php") != b"on":
                raise BenchError(f"{side} runs without OPcache")
            keep(pressed(server, "/hello.php", bench.seconds))


def dokuwiki(bench: Bench) -> None:
    """The start page of a wiki, 32 threads against 32 children, every visitor a new one."""
    root = _wiki(bench)
    for side, keep in bench.alternate("dokuwiki"):
        with bench.server(side, root, threads=32) as server:
            page = load.fetch(server.port, "/doku.php?id=start")
            if b"Welcome to the measured wiki" not in page or b"Warning" in page:
                raise BenchError(f"{side} does not answer the start page:\n{page[:2000].decode('utf-8', 'replace')}")
            keep(pressed(server, "/doku.php?id=start", bench.seconds))
        for session in bench.folder.glob("sess_*"):
            session.unlink()


def engine(bench: Bench) -> None:
    """Submit to result without HTTP; Howdah only."""
    require_howdah()
    command = [sys.executable, str(_HERE / "engine.py"), str(SCRIPTS), "--seconds", str(bench.seconds)]
    for _ in range(bench.rounds):
        print("  engine ...", file=sys.stderr, flush=True)
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            raise BenchError(f"the engine alone failed:\n{done.stdout}{done.stderr}")
        for way, sample in json.loads(done.stdout.splitlines()[-1]).items():
            bench.results.setdefault("engine", {}).setdefault(way, []).append(sample)


def transfers(bench: Bench) -> None:
    """100 MiB down, 100 MiB up as a form's file, 100 MiB up as a body that PHP reads."""
    kinds: dict[str, Callable[[int], float]] = {
        "download": lambda port: load.download(port, BODY_BYTES),
        "upload": lambda port: load.upload(port, BODY_BYTES, form=True),
        "body": lambda port: load.upload(port, BODY_BYTES, form=False),
    }
    for target, transfer in kinds.items():
        extra = (UNBUFFERED,) if target != "download" and Peer.name in bench.sides else ()
        for side, keep in bench.alternate(target, extra=extra):
            with bench.server(side, SCRIPTS, threads=4) as server:
                for _ in range(20):
                    load.fetch(server.port, "/hello.php")
                pids = server.pids()
                before, cpu_before = processes.rss_bytes(pids), processes.cpu_s(pids)
                processes.reset_peaks(pids)
                times = [transfer(server.port) for _ in range(5)]
                growth = processes.peak_rss_bytes(pids) - before
                keep(
                    {
                        "mib_per_s": BODY_BYTES / load.MIB / statistics.median(times),
                        "growth_mib": growth / load.MIB,
                        "cpu_ms": (processes.cpu_s(pids) - cpu_before) / len(times) * 1000,
                    }
                )


def startup(bench: Bench) -> None:
    """From starting the process to the first answer of PHP."""
    for side, keep in bench.alternate("startup", rounds=max(bench.rounds, 5)):
        begin = time.perf_counter()
        with bench.server(side, SCRIPTS, threads=4) as server:
            while load.fetch(server.port, "/hello.php") != b"Hello, world!":
                pass
            keep({"s": time.perf_counter() - begin})


def memory(bench: Bench) -> None:
    """Memory of idle servers: what one more PHP thread costs, and the whole with 32 of them."""
    few, many = 8, 40
    for side, keep in bench.alternate("memory", rounds=min(bench.rounds, 3)):
        totals = {}
        for threads in (few, many, 32):
            with bench.server(side, SCRIPTS, threads, children=threads) as server:
                load.fetch(server.port, "/hello.php")
                time.sleep(0.3)
                totals[threads] = processes.pss_bytes(server.pids())
        keep(
            {
                "thread_kib": (totals[many] - totals[few]) / (many - few) / 1024,
                "with_32_mib": totals[32] / load.MIB,
            }
        )


def pressed(server: Server, path: str, seconds: float, connections: int = 32) -> Sample:
    """Warm up and load; a load that other work on the machine disturbed is repeated, the quietest counts."""
    load.press(server.port, path, min(2.0, seconds), connections)
    samples = []
    for _ in range(_ATTEMPTS):
        samples.append(_pressed_once(server, path, seconds, connections))
        if samples[-1]["others"] <= _QUIET_CORES:
            break
    return min(samples, key=lambda sample: sample["others"])


def _pressed_once(server: Server, path: str, seconds: float, connections: int) -> Sample:
    """Load once and count the CPU of all server processes meanwhile."""
    before, machine_before, client_before = processes.cpu_s(server.pids()), processes.machine_cpu_s(), _client_s()
    outcome = load.press(server.port, path, seconds, connections)
    pids = server.pids()
    used_s = processes.cpu_s(pids) - before
    others_s = processes.machine_cpu_s() - machine_before - used_s - (_client_s() - client_before)
    return {
        "per_s": outcome.per_s,
        "p50_ms": outcome.p50_ms,
        "p99_ms": outcome.p99_ms,
        "cpu_us": used_s / outcome.requests * 1e6,
        "requests": float(outcome.requests),
        "pss_mib": processes.pss_bytes(pids) / load.MIB,
        "others": others_s / seconds,
    }


def _client_s() -> float:
    """CPU seconds of the clients that have ended so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _wiki(bench: Bench) -> Path:
    """A wiki that both sides serve, installed through the first side, with a start page of some length."""
    sys.path.insert(0, str(_HERE.parent / "tools"))
    from apps import dokuwiki as recipe
    from apps.dokuwiki_client import Wiki

    root = recipe.install(bench.folder / "wiki")
    paragraphs = "\n\n".join(
        f"===== Section {number} =====\n\nSome **bold** text, a [[wiki:syntax|link]], and\n\n  * a list\n  * of two"
        for number in range(10)
    )
    with bench.server(bench.sides[0], root, threads=4) as server, Wiki(f"http://127.0.0.1:{server.port}") as visitor:
        visitor.install()
        visitor.log_in()
        visitor.write("start", f"====== Welcome to the measured wiki ======\n\n{paragraphs}\n")
        time.sleep(1.1)  # DokuWiki trusts its cache only when it is a second younger than the page
        visitor.page("start")
    return root
