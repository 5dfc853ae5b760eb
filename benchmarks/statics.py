"""Measurements of static files: a small one by many clients, and a large one by one."""

from __future__ import annotations

import os
import statistics
import time
from typing import TYPE_CHECKING

import load
import processes
from measures import pressed
from servers import BenchError

if TYPE_CHECKING:
    from measures import Bench

SMALL_BYTES = 10 * 1024
LARGE_BYTES = 100 * 1000 * 1000
# Files that were changed a moment ago are not kept by those who keep files.
_SETTLED_S = 2.5


def static(bench: Bench) -> None:
    """10 KiB by 32 connections, and 100 MB by one, on a site that has PHP, too."""
    root = bench.folder / "static"
    root.mkdir()
    (root / "index.php").write_text("<?php echo 'not this';", encoding="utf-8")
    (root / "small.bin").write_bytes(os.urandom(SMALL_BYTES))
    (root / "large.bin").write_bytes(os.urandom(1024) * (LARGE_BYTES // 1024) + bytes(LARGE_BYTES % 1024))
    time.sleep(_SETTLED_S)
    for side, keep in bench.alternate("static-small"):
        with bench.server(side, root, threads=4) as server:
            if load.fetch(server.port, "/small.bin") != (root / "small.bin").read_bytes():
                raise BenchError(f"{side} sends something else than the file")
            keep(pressed(server, "/small.bin", bench.seconds))
    for side, keep in bench.alternate("static-large"):
        with bench.server(side, root, threads=4) as server:
            pids = server.pids()
            load.download(server.port, LARGE_BYTES, "/large.bin")
            before = processes.cpu_s(pids)
            times = [load.download(server.port, LARGE_BYTES, "/large.bin") for _ in range(9)]
            cpu_ms = (processes.cpu_s(pids) - before) / len(times) * 1000
            keep({"mb_per_s": LARGE_BYTES / 1e6 / statistics.median(times), "cpu_ms": cpu_ms})
