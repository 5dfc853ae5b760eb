"""OPcache under load: scripts change, its memory overflows, it is reset. Wiping it under a running thread is a crash."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.server import ServerFactory

SECONDS = float(os.environ.get("HOWDAH_STRESS_SECONDS", "15"))
_SCRIPTS = 60
_LIBRARY = """<?php
class Library{n}_{version} {{
    const TEXT = 'constant {n}';
    public array $list = ['x' => 1, 'y' => [1, 2, 3]];
    public function sum(int $count): int {{
        for ($sum = 0, $i = 0; $i < $count; $i++) {{ $sum += strlen(self::TEXT . $i); }}
        return $sum;
    }}
}}
{ballast}
return 'Library{n}_{version}';
"""
_BALLAST = "function ballast{i}_{n}_{version}($a) {{ return ['a{i}' => $a, 'text {i} {n}' => 'value {i}']; }}\n"
_WORK = """<?php
$n = $_GET['i'] % 60;
$class = require __DIR__ . "/library$n.php";
usleep(200);
echo 'work ', $_GET['i'], ' ', (new $class())->sum(500) > 0 ? $class::TEXT : 'wrong';
"""


def _write(folder: Path, number: int, version: int) -> None:
    ballast = "".join(_BALLAST.format(i=i, n=number, version=version) for i in range(150))
    fresh = folder / f"fresh{number}"
    fresh.write_text(_LIBRARY.format(n=number, version=version, ballast=ballast))
    fresh.rename(folder / f"library{number}.php")


@contextmanager
def _changing(folder: Path) -> Iterator[None]:
    stop = threading.Event()

    def change() -> None:
        version = 1
        while not stop.is_set():
            for number in range(_SCRIPTS):
                _write(folder, number, version)
                stop.wait(0.005)
            version += 1

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.stress
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["changes", "overflows", "resets"])
def test_no_request_fails_while_the_cache_turns_over(own_server: ServerFactory, tmp_path: Path, kind: str) -> None:
    for number in range(_SCRIPTS):
        _write(tmp_path, number, 0)
    (tmp_path / "work.php").write_text(_WORK)
    (tmp_path / "reset.php").write_text("<?php opcache_reset(); echo 'reset';")
    ini = {"opcache.revalidate_freq": "0", "opcache.file_update_protection": "0"}
    if kind == "overflows":
        ini |= {
            "opcache.memory_consumption": "16",
            "opcache.interned_strings_buffer": "2",
            "opcache.max_wasted_percentage": "1",
        }
    server = own_server(tmp_path, "--num-threads", "4", ini=ini)
    every = 25 if kind == "resets" else 1000
    end = time.monotonic() + SECONDS
    with _changing(tmp_path):
        while time.monotonic() < end:
            answers = fetch_parallel(
                server.url, lambda i: {"url": f"/work.php?i={i}" if i % every else "/reset.php"}, 200
            )
            for i, answer in enumerate(answers):
                expected = f"work {i} constant {i % _SCRIPTS}" if i % every else "reset"
                assert answer.text == expected
