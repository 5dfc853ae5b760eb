"""What the replacement of a thread and a wipe of OPcache cost, without HTTP, in a process of its own.

Called by `workers.py`; prints one line of JSON. One PHP thread serves one request after the other. With ``--limit 1``
each of them takes a fresh thread: the difference to the time without is the replacement.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import threading
import time
from pathlib import Path

import howdah
from howdah.config.model import RuntimeConfig, SiteConfig
from howdah.runtime.request import Request

_EXPECTED = b"Hello, world!"
_HEADERS = ((b"host", b"127.0.0.1"),)


def main() -> None:
    """Measure what was asked for and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["regular", "worker", "wipe"])
    parser.add_argument("root", type=Path)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--limit", type=int, default=0, help="max_requests")
    options = parser.parse_args()
    if options.what == "wipe":
        print(json.dumps(_wipe(options.root)))
    else:
        print(json.dumps(_requests(options.root, options.count, options.what, options.limit)))


def _requests(root: Path, count: int, way: str, limit: int) -> dict[str, float]:
    script = "worker.php" if way == "worker" else "hello.php"
    workers = (howdah.Worker(str(root / script), num=1),) if way == "worker" else ()
    runtime = howdah.Runtime(RuntimeConfig(num_threads=1 + len(workers), max_requests=limit, workers=workers))
    runtime.start()
    request = Request(target=f"/{script}".encode(), headers=_HEADERS, site=SiteConfig(root=str(root)))
    walls = []
    try:
        for _ in range(20):
            assert runtime.handle(request).body == _EXPECTED
        before = _cpu_s()
        for _ in range(count):
            begin = time.perf_counter()
            assert runtime.handle(request).body == _EXPECTED
            walls.append(time.perf_counter() - begin)
        used_s = _cpu_s() - before
    finally:
        runtime.stop(10)
    return {"cpu_ms": used_s / count * 1000, "wall_ms": statistics.median(walls) * 1000}


def _wipe(root: Path) -> dict[str, float]:
    """Wipes under load, each asked for by ``opcache_reset()``; two of them are at least ten seconds apart."""
    workers = (howdah.Worker(str(root / "worker.php"), num=2),)
    runtime = howdah.Runtime(RuntimeConfig(num_threads=4, workers=workers))
    runtime.start()
    site = SiteConfig(root=str(root))
    longest: list[float] = []
    over = threading.Event()

    def load(target: bytes) -> None:
        request = Request(target=target, headers=_HEADERS, site=site)
        slowest = 0.0
        while not over.is_set():
            begin = time.perf_counter()
            assert runtime.handle(request).body == _EXPECTED
            slowest = max(slowest, time.perf_counter() - begin)
        longest.append(slowest)

    callers = [
        threading.Thread(target=load, args=(target,)) for target in (b"/worker.php", b"/worker.php", b"/hello.php")
    ]
    for caller in callers:
        caller.start()
    pauses = []
    try:
        for _ in range(3):
            before = runtime.statistics()
            runtime.handle(Request(target=b"/reset.php", headers=_HEADERS, site=site))
            until = time.monotonic() + 30
            while runtime.statistics().wipes == before.wipes:
                if time.monotonic() > until:
                    sys.exit("OPcache was not wiped within 30 s")
                time.sleep(0.01)
            pauses.append(runtime.statistics().wipe_pause_s - before.wipe_pause_s)
    finally:
        over.set()
        for caller in callers:
            caller.join()
        runtime.stop(10)
    return {"pause_ms": statistics.median(pauses) * 1000, "slowest_ms": max(longest) * 1000}


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
