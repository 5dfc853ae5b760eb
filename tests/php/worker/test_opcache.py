"""OPcache with worker scripts: preloading, and wipes while workers and classic threads run."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tests.php.harness.parallel import fetch_parallel, run_parallel
from tests.php.harness.scripts import either, write_files
from tests.php.harness.server import SCRIPTS, ServerFactory
from tests.php.harness.waiting import wait_until
from tests.php.harness.workers import in_worker, worker_script

_APP = """<?php
$version = require __DIR__ . '/version.php';
$boot = bin2hex(random_bytes(6));
while (frankenphp_handle_request(function () use ($version, $boot) {
    header("X-Boot: $boot");
    if (isset($_GET['reset'])) {
        echo opcache_reset() ? 'reset ' : 'refused ';
    }
    if (isset($_GET['n'])) {
        require_once __DIR__ . "/part{$_GET['n']}.php";
        $class = "Part{$_GET['n']}";
        echo $class::text(), ' ';
    }
    echo $version;
}));
"""
_PART = "<?php class Part{n} {{ const TEXT = 'part {n}'; public static function text() {{ return self::TEXT; }} }}"


def _application(folder: Path) -> None:
    (folder / "app.php").write_text(_APP)
    (folder / "version.php").write_text("<?php return 'one';")
    for number in range(20):
        (folder / f"part{number}.php").write_text(_PART.format(n=number))
    (folder / "classic.php").write_text(
        '<?php $n = $_GET[\'n\']; require __DIR__ . "/part$n.php"; $class = "Part$n"; echo $class::text();'
    )


def test_a_preloaded_function_can_be_called_in_a_worker(own_sites: ServerFactory) -> None:
    ini = {"opcache.preload": str(SCRIPTS / "lib" / "preload.php"), "opcache.preload_user": "root"}
    server = in_worker(own_sites, worker_script(num=2), ini=ini)
    answers = fetch_parallel(server.url, lambda i: {"url": "/preload_check.php"})
    assert {answer.text for answer in answers} == {"preloaded by frankenphp"}


def test_a_reset_by_a_worker_lets_its_request_end_and_boots_every_script_with_new_code(
    own_sites: ServerFactory, tmp_path: Path
) -> None:
    _application(tmp_path)
    ini = {"opcache.validate_timestamps": "0", "opcache.file_update_protection": "0"}
    server = own_sites(
        {"any": {"root": str(tmp_path)}},
        workers=[{"file": str(tmp_path / "app.php"), "num": 2}],
        runtime={"num_threads": 3, "php_ini": ini},
    )
    assert server.get("/app.php").text == "one"
    (tmp_path / "version.php").write_text("<?php return 'two';")
    assert server.get("/app.php?reset=1").text == "reset one"

    def answers() -> set[str]:
        return {answer.text for answer in fetch_parallel(server.url, lambda i: {"url": "/app.php"}, 10)}

    wait_until(lambda: answers() == {"two"}, "every thread to run new code", timeout_s=15)
    numbers = server.statistics()
    assert numbers["wipes"] == 1
    assert numbers["wipe_pause_s"] < 1
    assert server.worker()["crashes"] == 0


@pytest.mark.slow
@pytest.mark.log_noise("Allowed memory size")
def test_the_look_at_opcache_at_the_end_of_a_request_leaves_memory_limit_as_it_was(
    own_sites: ServerFactory, tmp_path: Path
) -> None:
    (tmp_path / "app.php").write_text(
        "<?php while (frankenphp_handle_request(static fn () => print strlen(str_repeat('x', $_GET['mb'] << 20))));"
    )
    server = in_worker(
        own_sites,
        worker_script(tmp_path / "app.php"),
        root=tmp_path,
        ini={"memory_limit": "18M", "display_errors": "1"},
    )
    for _ in range(2):
        time.sleep(1.1)  # the look is due again
        assert server.get("/app.php?mb=1").text == str(1 << 20)
        assert "Allowed memory size of 18874368 bytes exhausted" in server.get("/app.php?mb=17").text


def test_resets_under_load_of_both_modes_break_no_answer(own_sites: ServerFactory, tmp_path: Path) -> None:
    _application(tmp_path)
    server = own_sites(
        {"any": {"root": str(tmp_path)}},
        workers=[{"file": str(tmp_path / "app.php"), "num": 2}],
        runtime={"num_threads": 4, "php_ini": {"opcache.file_update_protection": "0"}},
    )
    stop = threading.Event()

    def reset() -> None:
        while not stop.wait(0.05):
            assert server.get("/app.php?reset=1").status_code == 200

    storm = threading.Thread(target=reset)
    storm.start()

    def one_round() -> None:
        answers = fetch_parallel(
            server.url, lambda i: {"url": f"/app.php?n={i % 20}" if i % 2 else f"/classic.php?n={i % 20}"}, 200
        )
        for i, answer in enumerate(answers):
            assert answer.status_code == 200
            assert answer.text == (f"part {i % 20} one" if i % 2 else f"part {i % 20}")

    try:
        rounds = 0
        while server.statistics()["wipes"] < 2 and rounds < 200:  # wipes are ten seconds apart
            one_round()
            rounds += 1
    finally:
        stop.set()
        storm.join()
    assert server.statistics()["wipes"] >= 2
    one_round()


@pytest.mark.slow
def test_a_fifth_of_500_requests_resets_and_every_answer_is_right(own_caddyfile: ServerFactory, tmp_path: Path) -> None:
    """The reference's storm: 40 threads, 20 of them a worker's, 50 clients."""
    files = {
        "sleep.php": either(
            "$times = (require __DIR__ . '/work.php')((int) $_GET['work']); usleep((int) $_GET['ms'] * 1000); "
            "echo 'slept ', $_GET['ms'], ' ms and worked ', $times, ' times';"
        ),
        "work.php": "<?php return function (int $n): int { for ($i = 0; $i < $n; $i++) { hash('crc32', (string) $i); } return $i; };",
        "reset.php": "<?php require __DIR__ . '/work.php'; opcache_reset(); echo 'reset done';",
        "index.php": "<?php",
    }
    write_files(tmp_path, files)
    server = own_caddyfile(
        f"""
        {{
            admin off
            metrics
            frankenphp {{
                num_threads 40
                php_ini {{
                    opcache.enable 1
                    opcache.log_verbosity_level 4
                    max_execution_time 30
                }}
            }}
        }}
        http://127.0.0.1:PORT {{
            php {{
                root {tmp_path}
                worker {{
                    file sleep.php
                    match /sleep*
                    num 20
                }}
            }}
        }}
        """,
        tmp_path,
    )

    def visit(visitor: int) -> None:
        with server.client() as client:
            for i in range(10 * visitor, 10 * visitor + 10):
                resets = i % 10 > 7
                answer = client.get("/reset.php" if resets else f"/sleep.php?ms={i % 100}&work={i % 100}")
                expected = "reset done" if resets else f"slept {i % 100} ms and worked {i % 100} times"
                assert (answer.status_code, answer.text) == (200, expected)

    run_parallel(visit, 50)
    assert server.statistics()["wipes"] >= 1
    assert server.worker()["crashes"] == 0
