"""The worst for OPcache: a small cache that overflows, resets on top, workers and regular threads in the middle of it.

Run as a program: ``opcache_storm.py FOLDER SECONDS [--unguarded]``. Ends when OPcache has counted 100 restarts of
each kind, or after the time; prints what it saw as JSON. With ``--unguarded`` it closes the descriptor that keeps
OPcache from wiping under running threads: the process is then expected to die.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from howdah import Request, Runtime, Worker
from howdah.config.model import SiteConfig
from howdah.engine.native import native
from howdah.runtime import opcache
from howdah.runtime.site import Site

SCRIPTS = 60
WANTED = 100
_LIBRARY = """<?php
return new class {{
    const TEXT = 'constant {n}';
    public function text(): string {{ return self::TEXT; }}
{ballast}
}};
"""
_BALLAST = (
    "    public function m{i}_{version}($a) {{ return ['a{i}' => $a, 'text {i} {version}' => 'value {i} {n}']; }}\n"
)
_BODY = """
    $n = (int) $_GET['n'];
    $file = __DIR__ . "/library$n.php";
    if (isset($_GET['reset'])) { opcache_reset(); }
    if (isset($_GET['forget'])) { opcache_invalidate($file, true); }
    $library = require $file;
    usleep(100);
    echo $library->text();
"""


def write(folder: Path, number: int, version: int) -> None:
    """Write one of the scripts anew; readers see the old or the new one."""
    ballast = "".join(_BALLAST.format(i=i, n=number, version=version) for i in range(120))
    fresh = folder / f"fresh{number}"
    fresh.write_text(_LIBRARY.format(n=number, version=version, ballast=ballast))
    fresh.rename(folder / f"library{number}.php")


def remove_guard() -> None:
    """Close the descriptor that holds the lock; OPcache's own was opened before it."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if ".ZendSem." in str(entry.readlink()):
                found.append(int(entry.name))
        except OSError:
            continue
    os.close(max(found))


class Storm:
    """Requests, changes and wipes at once."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder = folder
        self.end = time.monotonic() + seconds
        self.site = Site(SiteConfig(root=str(folder)))
        self.stop = threading.Event()
        self.wrong: list[str] = []
        self.served: Counter[str] = Counter()
        self.runtime = Runtime(
            num_threads=6,
            workers=(Worker(str(folder / "worker.php"), num=3),),
            php_ini={
                "opcache.memory_consumption": "8",
                "opcache.interned_strings_buffer": "1",
                "opcache.max_wasted_percentage": "1",
                "opcache.revalidate_freq": "0",
                "opcache.file_update_protection": "0",
            },
        )

    def load(self, seed: int) -> None:
        """Send requests until the end, and compare every body."""
        chance = random.Random(seed)
        while not self.stop.is_set():
            n = chance.randrange(SCRIPTS)
            script = "worker.php" if chance.random() < 0.5 else "classic.php"
            extra = "&reset=1" if chance.random() < 0.002 else "&forget=1" if chance.random() < 0.5 else ""
            answer = self.runtime.handle(Request(target=f"/{script}?n={n}{extra}".encode(), site=self.site))
            if answer.status != 200 or answer.body != b"constant %d" % n:
                self.wrong.append(f"{script} {n}: {answer.status} {answer.body[:200]!r}")
            self.served[script] += 1

    def change(self) -> None:
        """Rewrite the scripts, one after the other, until the end."""
        version = 1
        while not self.stop.is_set():
            for number in range(SCRIPTS):
                write(self.folder, number, version)
                if self.stop.wait(0.001):
                    return
            version += 1

    def run(self, *, guarded: bool) -> dict[str, object]:
        """Let it rage; gives what was seen."""
        opcache._LOOK_S = 0.01
        self.runtime.start()
        keeper = self.runtime._crew.keeper if self.runtime._crew is not None else None
        assert keeper is not None
        keeper._least_between_s = 0.0
        if not guarded:
            remove_guard()
        threads = [threading.Thread(target=self.load, args=(seed,)) for seed in range(8)]
        threads.append(threading.Thread(target=self.change))
        for thread in threads:
            thread.start()
        status = None
        while time.monotonic() < self.end and not self.wrong:
            time.sleep(0.2)
            status = native.opcache(False)
            if status is not None and min(status["oom_restarts"], status["manual_restarts"]) > WANTED:
                break
        self.stop.set()
        for thread in threads:
            thread.join()
        statistics = self.runtime.statistics()
        seen = {
            "wrong": self.wrong[:3],
            "served": dict(self.served),
            "oom_restarts": status["oom_restarts"] if status else 0,
            "manual_restarts": status["manual_restarts"] if status else 0,
            "wipes": keeper.wipes,
            "put_off": keeper.put_off,
            "longest_pause_s": round(keeper.longest_pause_s, 4),
            "mean_pause_s": round(keeper.pause_s / max(1, keeper.wipes), 4),
            "open": statistics.open,
        }
        assert self.runtime.stop()
        return seen


def main(folder: str, seconds: str, *flags: str) -> None:
    """Run the storm in a folder."""
    path = Path(folder)
    for number in range(SCRIPTS):
        write(path, number, 0)
    (path / "classic.php").write_text("<?php" + _BODY)
    (path / "worker.php").write_text("<?php while (frankenphp_handle_request(function () {" + _BODY + "})) {}")
    sys.stdout.write(json.dumps(Storm(path, float(seconds)).run(guarded="--unguarded" not in flags)) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
