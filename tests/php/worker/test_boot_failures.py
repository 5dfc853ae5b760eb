"""Worker scripts that do not get as far as their first request: at the start, and later."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import pytest

from tests.php.harness.commands import howdah
from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.ports import free_port
from tests.php.harness.programs import run_program
from tests.php.harness.server import SCRIPTS, Server, ServerFactory
from tests.php.harness.waiting import wait_until

pytestmark = pytest.mark.log_noise("PHP (Fatal|Parse|Warning)|Uncaught|Stack trace|thrown in|^#|boot|failed|broken")
_LOOP = "while (frankenphp_handle_request(function () { echo '%s'; }));"
_BROKEN = {
    "throws": ("throw new Exception('the database is away');", "the database is away"),
    "does not parse": ("function (", "Unclosed '('"),
    "calls what does not exist": ("not_a_function();", "undefined function not_a_function"),
    "misses a file": ("require 'no/such/file.php';", "no/such/file.php"),
    "runs out of memory": ("ini_set('memory_limit', '8M'); str_repeat('x', 64 << 20);", "Allowed memory size"),
    "ends its time": ("set_time_limit(1); while (true);", "Maximum execution time"),
    "gives no function": ("frankenphp_handle_request('no_such_function');", "no_such_function"),
    "returns at once": ("echo 'done';", "frankenphp_handle_request"),
    "exits at once": ("exit(0);", "frankenphp_handle_request"),
    "exits with a status": ("exit(3);", "frankenphp_handle_request"),
}


@pytest.mark.parametrize("how", sorted(_BROKEN))
def test_the_start_fails_with_the_name_of_the_script_and_phps_own_words(tmp_path: Path, how: str) -> None:
    code, words = _BROKEN[how]
    (tmp_path / "app.php").write_text(f"<?php\n{code}")
    seen = run_program(
        tmp_path,
        """
runtime = Runtime(num_threads=2, workers=(worker(max_consecutive_failures=0),))
try:
    runtime.start()
    print(json.dumps("started"))
except WorkerBootError as error:
    print(json.dumps(str(error)))
""",
    )
    assert words in seen
    assert str(tmp_path / "app.php") in seen


def test_the_command_fails_with_one_sentence_and_phps_words(tmp_path: Path) -> None:
    script = tmp_path / "app.php"
    script.write_text("<?php\nthrow new Exception('the database is away');")
    began = time.monotonic()
    result = howdah("php-server", "-r", str(tmp_path), "-l", f"127.0.0.1:{free_port()}", "--worker", f"{script},1")
    took = time.monotonic() - began
    assert result.returncode == 1
    assert "the database is away" in result.stderr
    assert str(script) in result.stderr
    assert "Traceback" not in result.stderr
    assert 3 < took < 12, "seven attempts with growing pauses"


@pytest.mark.parametrize(("limit", "attempts"), [(0, 1), (1, 2), (3, 4)])
def test_so_many_boots_may_fail_with_growing_pauses(tmp_path: Path, limit: int, attempts: int) -> None:
    (tmp_path / "app.php").write_text(
        "<?php file_put_contents(__DIR__ . '/times', microtime(true) . \"\\n\", FILE_APPEND); exit(1);"
    )
    run_program(
        tmp_path,
        f"""
try:
    Runtime(num_threads=2, workers=(worker(max_consecutive_failures={limit}),)).start()
    raise SystemExit("started")
except WorkerBootError:
    pass
""",
    )
    times = [float(line) for line in (tmp_path / "times").read_text().split()]
    assert len(times) == attempts
    # min(n^2 * 100 ms, 1 s): the first pause may be none or 100 ms, depending on whether n counts from 0 or 1.
    for n, (earlier, later) in enumerate(itertools.pairwise(times)):
        assert min(n * n * 0.1, 1.0) - 0.02 <= later - earlier < min((n + 1) ** 2 * 0.1, 1.0) + 1.0


def test_without_a_limit_the_start_waits_until_the_script_is_mended(tmp_path: Path) -> None:
    (tmp_path / "app.php").write_text("<?php file_put_contents(__DIR__ . '/tries', 'x', FILE_APPEND); exit(1);")
    seen = run_program(
        tmp_path,
        f"""
def mend():
    until(lambda: (folder / "tries").exists() and len((folder / "tries").read_text()) >= 4)
    (folder / "app.php").write_text({"<?php " + _LOOP % "mended"!r})
threading.Thread(target=mend).start()
runtime = Runtime(num_threads=2, php_ini={{"opcache.revalidate_freq": "0"}}, workers=(worker(max_consecutive_failures=-1),))
runtime.start()
print(json.dumps([get(runtime, "/app.php"), runtime.ready]))
assert runtime.stop()
""",
    )
    assert seen == [[200, "mended"], True]


def test_one_broken_worker_of_two_fails_the_start_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "good.php").write_text("<?php " + _LOOP % "good")
    (tmp_path / "bad.php").write_text("<?php throw new Exception('bad one');")
    seen = run_program(
        tmp_path,
        """
runtime = Runtime(num_threads=5, workers=(worker("good.php", num=2), worker("bad.php", num=2, max_consecutive_failures=1)))
try:
    runtime.start()
    print(json.dumps("started"))
except WorkerBootError as error:
    print(json.dumps(str(error)))
""",
    )
    assert "bad one" in seen
    assert "bad.php" in seen
    assert "good.php" not in seen


def test_after_a_failed_start_the_process_can_start_php_again(tmp_path: Path) -> None:
    (tmp_path / "app.php").write_text("<?php throw new Exception('not yet');")
    seen = run_program(
        tmp_path,
        f"""
runtime = Runtime(num_threads=2, workers=(worker(max_consecutive_failures=0),))
errors = []
for _ in range(2):
    try:
        runtime.start()
    except HowdahError as error:
        errors.append(type(error).__name__)
    runtime = Runtime(num_threads=2, workers=(worker(max_consecutive_failures=0),))
(folder / "app.php").write_text({"<?php " + _LOOP % "at last"!r})
runtime.start()
print(json.dumps([errors, get(runtime, "/app.php")]))
assert runtime.stop()
""",
    )
    assert seen == [["WorkerBootError", "WorkerBootError"], [200, "at last"]]


# -- later ----------------------------------------------------------------------------------------

# Changed files are seen at once, not after OPcache's two seconds.
_AT_ONCE = {"opcache.revalidate_freq": "0"}
_FRAGILE = """<?php
if (is_file(__DIR__ . '/broken')) {
    echo 'printed before it broke';
    throw new Exception('broken on purpose');
}
while (frankenphp_handle_request(function () {
    if (isset($_GET['exit'])) {
        exit((int) $_GET['exit']);
    }
    echo 'works';
}));
"""


def _fragile(make: ServerFactory, folder: Path, *, debug: bool, num: int = 1, **fields: Any) -> Server:
    (folder / "app.php").write_text(_FRAGILE)
    (folder / "hello.php").write_text((SCRIPTS / "hello.php").read_text())
    (folder / "other.php").write_text("<?php " + _LOOP % "the other worker")
    workers = [{"file": str(folder / name), "num": number} for name, number in (("app.php", num), ("other.php", 1))]
    runtime: dict[str, Any] = {"num_threads": num + 2, "debug": debug, "php_ini": _AT_ONCE, **fields}
    return make({"any": {"root": str(folder)}}, workers=workers, runtime=runtime)


@pytest.mark.parametrize("debug", [False, True], ids=["production", "debug"])
def test_a_worker_that_breaks_later_answers_503_until_it_is_mended(
    own_sites: ServerFactory, tmp_path: Path, debug: bool
) -> None:
    server = _fragile(own_sites, tmp_path, debug=debug)
    assert server.get("/app.php").text == "works"
    (tmp_path / "broken").touch()
    mark = server.log_mark()
    server.get("/app.php?exit=0")
    wait_until(lambda: server.worker("app.php")["boot_failures"] >= 1, "the first failed boot")
    for _ in range(2):
        began = time.monotonic()
        answer = server.get("/app.php")
        assert answer.status_code == 503
        assert time.monotonic() - began < 2
        assert ("broken on purpose" in answer.text) == debug
        assert "retry-after" in answer.headers
    assert server.get("/hello.php?i=1").text == "request 1"
    assert server.get("/other.php").text == "the other worker"
    is_ready, reason = server.ready()
    assert not is_ready
    assert "app.php" in str(reason)
    assert "broken on purpose" in server.worker("app.php")["last_error"]
    server.wait_for_log("WARN.*worker script.*", since=mark)
    server.wait_for_log("broken on purpose", since=mark)
    server.wait_for_log("printed before it broke", since=mark)
    (tmp_path / "broken").unlink()
    wait_until(lambda: server.get("/app.php").text == "works", "the worker to recover by itself", timeout_s=4)
    wait_until(lambda: server.ready()[0], "the server to be ready")


def test_100_requests_at_a_broken_worker_get_503_and_none_is_lost(own_sites: ServerFactory, tmp_path: Path) -> None:
    server = _fragile(own_sites, tmp_path, debug=False, num=2)
    (tmp_path / "broken").touch()
    for _ in range(2):
        server.get("/app.php?exit=1")
    wait_until(lambda: server.worker("app.php")["ready"] == 0, "both threads to be broken")
    answers = fetch_parallel(server.url, lambda i: {"url": "/hello.php?i=1" if i % 2 else "/app.php"})
    assert [answer.status_code for answer in answers] == [503, 200] * 50
    (tmp_path / "broken").unlink()
    wait_until(lambda: server.worker("app.php")["ready"] == 2, "both threads to recover", timeout_s=4)
    answers = fetch_parallel(server.url, lambda i: {"url": "/app.php"})
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, "works")}


def test_the_pauses_between_failed_boots_grow_to_a_second_and_no_further(
    own_sites: ServerFactory, tmp_path: Path
) -> None:
    server = _fragile(own_sites, tmp_path, debug=False)
    (tmp_path / "broken").touch()
    server.get("/app.php?exit=0")
    began = time.monotonic()
    wait_until(lambda: server.worker("app.php")["boot_failures"] >= 6, "six failures", timeout_s=8)
    assert 2.0 < time.monotonic() - began < 6.0


def test_a_broken_worker_does_not_hold_the_stop_up(own_sites: ServerFactory, tmp_path: Path) -> None:
    server = _fragile(own_sites, tmp_path, debug=False)
    (tmp_path / "broken").touch()
    server.get("/app.php?exit=0")
    wait_until(lambda: server.worker("app.php")["boot_failures"] >= 4, "some failures", timeout_s=6)
    began = time.monotonic()
    assert server.terminate() == 0
    assert time.monotonic() - began < 3


def test_a_boot_that_hangs_holds_nobody_else_up(own_sites: ServerFactory, tmp_path: Path) -> None:
    server = _fragile(own_sites, tmp_path, debug=False, grace_s=1.0)
    (tmp_path / "app.php").write_text("<?php file_put_contents(__DIR__ . '/hangs', 'x'); while (true) { sleep(1); }")
    server.get("/app.php?exit=0")
    wait_until((tmp_path / "hangs").exists, "the script to hang in its boot")
    assert server.get("/hello.php?i=1").text == "request 1"
    assert server.get("/other.php").text == "the other worker"
    assert not server.ready()[0]
    server.process.terminate()
    assert server.wait_ended(6) == 0


def test_a_slow_boot_delays_readiness_and_its_requests_wait(own_sites: ServerFactory, tmp_path: Path) -> None:
    (tmp_path / "app.php").write_text(
        "<?php if (is_file(__DIR__ . '/slow')) { usleep(700_000); } "
        "while (frankenphp_handle_request(function () { if (isset($_GET['exit'])) { exit(0); } echo 'works'; }));"
    )
    server = own_sites(
        {"any": {"root": str(tmp_path)}},
        workers=[{"file": str(tmp_path / "app.php"), "num": 1}],
        runtime={"num_threads": 2},
    )
    (tmp_path / "slow").touch()
    server.get("/app.php?exit=1")
    began = time.monotonic()
    assert not server.ready()[0], "the script boots again"
    answers = fetch_parallel(server.url, lambda i: {"url": "/app.php"}, 20)
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, "works")}
    assert time.monotonic() - began > 0.5
    assert server.ready()[0]
