"""Restarts of worker scripts: rolling, nothing lost, new code everywhere, and what a broken release does."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.php.harness.parallel import fetch_parallel, run_parallel
from tests.php.harness.raw import RawConnection
from tests.php.harness.server import SCRIPTS, Server, ServerFactory
from tests.php.harness.waiting import wait_until

pytestmark = pytest.mark.log_noise("PHP (Fatal|Parse|Warning)|Uncaught|Stack trace|thrown in|^#|restart|broken")

_APP = """<?php
file_put_contents(__DIR__ . '/boots', 'begin ' . microtime(true) . "\\n", FILE_APPEND);
$version = require __DIR__ . '/version.php';
if (is_file(__DIR__ . '/slow')) {
    usleep(200_000);
}
file_put_contents(__DIR__ . '/boots', 'end ' . microtime(true) . "\\n", FILE_APPEND);
$boot = bin2hex(random_bytes(6));
while (frankenphp_handle_request(function () use ($version, $boot) {
    if (isset($_GET['ms'])) {
        usleep(1000 * (int) $_GET['ms']);
    }
    if (isset($_GET['trace'])) {
        file_put_contents($_GET['trace'], 'begun');
        sleep(60);
        file_put_contents($_GET['trace'], 'slept');
    }
    header('Content-Type: application/json');
    echo json_encode([$version, $boot, (require __DIR__ . '/request_version.php'), __DIR__, $_SERVER['DOCUMENT_ROOT']]);
}));
file_put_contents(__DIR__ . '/cleaned', 'x', FILE_APPEND);
"""
# A production server: OPcache never looks whether a file changed.
_PRODUCTION = {
    "opcache.validate_timestamps": "0",
    "opcache.file_update_protection": "0",
    "opcache.revalidate_freq": "600",
}


def release(folder: Path, version: str) -> None:
    """Write an application of which the script, a file that it boots with, and a file of each request tell the version."""
    folder.mkdir(exist_ok=True)
    (folder / "app.php").write_text(_APP)
    (folder / "version.php").write_text(f"<?php return '{version}';")
    (folder / "request_version.php").write_text(f"<?php return '{version}';")
    (folder / "classic.php").write_text("<?php echo require __DIR__ . '/request_version.php', ' ', __DIR__;")


def start(make: ServerFactory, root: Path, *, num: int = 2, **runtime: Any) -> Server:
    fields = {"num_threads": num + 1, "php_ini": _PRODUCTION, **runtime}
    return make({"any": {"root": str(root)}}, workers=[{"file": str(root / "app.php"), "num": num}], runtime=fields)


def versions(server: Server, count: int = 30) -> set[tuple[str, str]]:
    """Give the versions that the boots and the requests of all threads know."""
    answers = fetch_parallel(server.url, lambda i: {"url": "/app.php?ms=5"}, count)
    assert {answer.status_code for answer in answers} == {200}
    return {(seen[0], seen[2]) for seen in (answer.json() for answer in answers)}


@contextmanager
def load(server: Server, clients: int = 4) -> Iterator[list[Any]]:
    """Keep sending requests meanwhile; gives a list of what was not 200 and complete."""
    stop = threading.Event()
    wrong: list[Any] = []
    served = [0] * clients

    def send(number: int) -> None:
        with server.client() as client:
            while not stop.is_set():
                try:
                    answer = client.get("/app.php")
                    if answer.status_code != 200 or len(answer.json()) != 5:
                        wrong.append((answer.status_code, answer.text))
                except (httpx.HTTPError, json.JSONDecodeError) as error:
                    wrong.append(repr(error))
                served[number] += 1

    threads = [threading.Thread(target=send, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: all(served), "every client to be served")
        yield wrong
        before = list(served)
        wait_until(
            lambda: all(now > then for now, then in zip(served, before, strict=True)), "clients to be served still"
        )
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def boots(folder: Path) -> list[tuple[float, float]]:
    """Give the times at which boots began and ended, in the order of the file."""
    lines = (folder / "boots").read_text().splitlines()
    begins = sorted(float(line.split()[1]) for line in lines if line.startswith("begin"))
    ends = sorted(float(line.split()[1]) for line in lines if line.startswith("end"))
    return list(itertools.zip_longest(begins, ends, fillvalue=0.0))


def test_a_restart_runs_new_code_in_every_thread_without_looking_at_timestamps(
    own_sites: ServerFactory, tmp_path: Path
) -> None:
    root = tmp_path / "app"
    release(root, "one")
    server = start(own_sites, root, num=3)
    assert versions(server) == {("one", "one")}
    assert server.get("/classic.php").text == f"one {root}"
    release(root, "two")
    assert versions(server) == {("one", "one")}, "OPcache does not look at files by itself"
    assert server.restart_workers() == ""
    assert versions(server) == {("two", "two")}, "when it returns, every thread runs the new code"
    assert server.get("/classic.php").text == f"two {root}"
    numbers = server.worker()
    assert (numbers["ready"], numbers["crashes"]) == (3, 0)


def test_restarts_under_load_fail_no_request(own_sites: ServerFactory, tmp_path: Path) -> None:
    root = tmp_path / "app"
    release(root, "0")
    server = start(own_sites, root, num=3)
    with load(server) as wrong:
        for number in range(1, 8):
            release(root, str(number))
            assert server.restart_workers() == ""
            with server.client() as client:
                assert {tuple(client.get("/app.php").json()[:3:2]) for _ in range(10)} == {(str(number), str(number))}
    assert wrong == []


def test_only_one_thread_boots_at_a_time_and_the_others_serve(own_sites: ServerFactory, tmp_path: Path) -> None:
    root = tmp_path / "app"
    release(root, "one")
    server = start(own_sites, root, num=3)
    (root / "slow").touch()
    (root / "boots").unlink()
    slowest = 0.0
    restart = threading.Thread(target=server.restart_workers)
    restart.start()
    with server.client() as client:
        while restart.is_alive():
            began = time.monotonic()
            assert client.get("/app.php").status_code == 200
            slowest = max(slowest, time.monotonic() - began)
    restart.join()
    seen = boots(root)
    assert len(seen) == 3
    assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(seen)), seen
    assert slowest < 0.19, "a request waited for a boot although other threads were free"


def test_calls_during_a_restart_share_the_next_one(own_sites: ServerFactory, tmp_path: Path) -> None:
    root = tmp_path / "app"
    release(root, "one")
    server = start(own_sites, root)
    (root / "slow").touch()
    (root / "boots").unlink()
    took: list[float] = []

    def restart(i: int) -> str:
        began = time.monotonic()
        result = server.restart_workers()
        took.append(time.monotonic() - began)
        return result

    assert run_parallel(restart, 5) == [""] * 5
    # Files may have changed after the running restart has read them, so joining that one is not enough.
    assert len(boots(root)) in {2, 4}
    assert min(took) > 0.35, "a call returned before every thread ran the new code"


def test_running_requests_end_before_their_thread_restarts(own_sites: ServerFactory, tmp_path: Path) -> None:
    root = tmp_path / "app"
    release(root, "one")
    server = start(own_sites, root)
    answers: list[httpx.Response] = []
    request = threading.Thread(target=lambda: answers.append(server.get("/app.php?ms=800")))
    request.start()
    wait_until(lambda: server.worker()["busy"] == 1, "the request to run")
    release(root, "two")
    assert server.restart_workers() == ""
    request.join()
    assert answers[0].status_code == 200
    assert answers[0].json()[0] == "one"
    assert versions(server) == {("two", "two")}


def test_a_request_that_outlives_the_grace_is_ended_and_the_restart_goes_on(
    own_sites: ServerFactory, tmp_path: Path
) -> None:
    root = tmp_path / "app"
    release(root, "one")
    server = start(own_sites, root, grace_s=0.5)
    trace = tmp_path / "trace"
    with RawConnection(server.port) as connection:
        connection.send(f"GET /app.php?trace={trace} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        wait_until(trace.exists, "the script to sleep")
        release(root, "two")
        began = time.monotonic()
        assert server.restart_workers() == ""
        assert time.monotonic() - began < 4
        assert connection.read_response().status >= 500, "the client is released"
    assert trace.read_text() == "begun"
    assert versions(server) == {("two", "two")}


def test_the_script_can_clean_up_when_it_is_restarted_and_when_the_server_stops(
    own_sites: ServerFactory, tmp_path: Path
) -> None:
    root = tmp_path / "app"
    release(root, "one")
    server = start(own_sites, root)
    server.restart_workers()
    assert (root / "cleaned").read_text() == "xx"
    assert server.terminate() == 0
    assert (root / "cleaned").read_text() == "xxxx"


# -- broken releases --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("app.php", "<?php function (", "Unclosed '('"),
        ("version.php", "<?php throw new Exception('broken release');", "broken release"),
        ("version.php", None, "version.php"),
    ],
    ids=["parse error", "exception", "deleted"],
)
def test_a_broken_release_stops_the_roll_and_the_old_code_goes_on(
    own_sites: ServerFactory, tmp_path: Path, file: str, text: str | None, words: str
) -> None:
    root = tmp_path / "app"
    release(root, "one")
    server = start(own_sites, root, num=3)
    if text is None:
        (root / file).unlink()
    else:
        (root / file).write_text(text)
    with load(server) as wrong:
        error = server.restart_workers()
        assert error.startswith("WorkerBootError")
        assert words in error
    assert wrong == []
    assert {seen[0] for seen in versions(server)} == {"one"}
    release(root, "two")
    assert server.restart_workers() == ""
    assert versions(server) == {("two", "two")}
    wait_until(lambda: server.worker()["ready"] == 3, "every thread to be ready")


# -- releases switched by a link -------------------------------------------------------------------


def test_a_release_switched_by_a_link_is_picked_up_by_a_restart(own_sites: ServerFactory, tmp_path: Path) -> None:
    releases = tmp_path / "releases"
    releases.mkdir()
    for version in ("one", "two"):
        release(releases / version, version)
    current = tmp_path / "current"
    current.symlink_to(releases / "one")
    server = start(own_sites, current)
    assert versions(server) == {("one", "one")}
    assert server.get("/app.php").json()[3] == str(releases / "one")
    assert server.get("/classic.php").text == f"one {releases}/one"
    fresh = tmp_path / "fresh"
    fresh.symlink_to(releases / "two")
    with load(server) as wrong:
        fresh.rename(current)
        assert server.restart_workers() == ""
    assert wrong == []
    assert versions(server) == {("two", "two")}
    assert server.get("/app.php").json()[3:] == [str(releases / "two"), str(releases / "two")]
    assert server.get("/classic.php").text == f"two {releases}/two"


def test_before_its_restart_a_worker_stays_whole_on_its_old_release(own_sites: ServerFactory, tmp_path: Path) -> None:
    releases = tmp_path / "releases"
    releases.mkdir()
    for version in ("one", "two"):
        release(releases / version, version)
    current = tmp_path / "current"
    current.symlink_to(releases / "one")
    server = start(own_sites, current)
    fresh = tmp_path / "fresh"
    fresh.symlink_to(releases / "two")
    fresh.rename(current)
    assert versions(server) == {("one", "one")}
    assert server.get("/app.php").json()[3] == str(releases / "one")


def test_a_changed_and_a_vanished_include_are_seen_after_a_restart(own_sites: ServerFactory, tmp_path: Path) -> None:
    root = tmp_path / "app"
    release(root, "one")
    (root / "request_version.php").write_text(
        "<?php return is_file(__DIR__ . '/extra.php') ? require __DIR__ . '/extra.php' : 'without';"
    )
    (root / "extra.php").write_text("<?php return 'extra one';")
    server = start(own_sites, root)
    assert versions(server) == {("one", "extra one")}
    (root / "extra.php").write_text("<?php return 'extra two';")
    assert server.restart_workers() == ""
    assert versions(server) == {("one", "extra two")}
    (root / "extra.php").unlink()
    assert server.restart_workers() == ""
    assert versions(server) == {("one", "without")}


def test_a_restart_without_workers_is_no_error_and_classic_mode_sees_new_code(
    own_sites: ServerFactory, tmp_path: Path
) -> None:
    release(tmp_path / "app", "one")
    server = own_sites({"any": {"root": str(tmp_path / "app")}}, runtime={"num_threads": 2, "php_ini": _PRODUCTION})
    assert server.get("/classic.php").text.startswith("one")
    release(tmp_path / "app", "two")
    assert server.restart_workers() == ""
    assert server.get("/classic.php").text.startswith("two")


def test_workers_of_the_test_folder_restart_while_100_requests_run(own_server: ServerFactory) -> None:
    server = own_server(SCRIPTS, "--worker", f"{SCRIPTS}/worker/counter.php,3", "--num-threads", "4")
    before = {
        answer.json()["boot"] for answer in fetch_parallel(server.url, lambda i: {"url": "/worker/counter.php?ms=2"})
    }
    restart = threading.Thread(target=server.restart_workers)
    restart.start()
    answers = fetch_parallel(server.url, lambda i: {"url": f"/worker/counter.php?ms=5&i={i}"}, 200)
    restart.join()
    assert [answer.json()["i"] for answer in answers] == [str(i) for i in range(200)]
    after = {
        answer.json()["boot"] for answer in fetch_parallel(server.url, lambda i: {"url": "/worker/counter.php?ms=2"})
    }
    assert not before & after
