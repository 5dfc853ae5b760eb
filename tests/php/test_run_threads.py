"""The reference's end-to-end cases of threads: which there are, what the admin API says of them, and how many they become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from howdah.admin.client import AdminClient
from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.ports import free_port
from tests.php.harness.scripts import COUNTER, SLEEP, either, write_files
from tests.php.harness.server import Server, ServerFactory
from tests.php.harness.waiting import wait_until

FILES = {
    "counter.php": COUNTER,
    "index.php": either("echo 'index';"),
    "env.php": either("echo 'env';"),
    "worker.php": either("echo 'worker';"),
    "sleep.php": SLEEP,
}


@dataclass
class Site:
    """A server with an admin API."""

    server: Server
    admin: AdminClient
    root: Path
    text: str

    def ask(self, path: str) -> str:
        """Give the text of an answer that must be a 200."""
        answer = self.server.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def threads(self) -> list[dict[str, Any]]:
        return list(self.admin.threads()["ThreadDebugStates"])

    def names(self) -> list[str]:
        return [str(thread["Name"]) for thread in self.threads()]

    def metric(self, sample: str) -> float | None:
        """Give the value of a sample, or None where there is none."""
        for line in self.admin.request("GET", "/metrics").body.decode().splitlines():
            if line.startswith(f"{sample} "):
                return float(line.removeprefix(sample))
        return None


Make = Callable[[str, str], Site]


@pytest.fixture
def make(own_caddyfile: ServerFactory, tmp_path: Path) -> Make:
    """Start a server with these options of frankenphp and these directives of its one site."""

    def start(options: str, directives: str) -> Site:
        write_files(tmp_path / "app", FILES)
        address = f"127.0.0.1:{free_port()}"
        text = (
            f"{{\n admin {address}\n auto_https off\n metrics\n frankenphp {{\n{options}\n}}\n}}\n"
            f"http://127.0.0.1:PORT {{\n{directives}\n}}\n"
        ).replace("ROOT", f"{tmp_path}/app")
        return Site(own_caddyfile(text, tmp_path / "app"), AdminClient(address), tmp_path / "app", text)

    return start


COUNTING = "root ROOT\n rewrite counter.php\n php"


def test_a_restart_through_the_admin_api_resets_what_a_worker_counts(make: Make) -> None:
    site = make("num_threads 2\n worker ROOT/counter.php 1", COUNTING)
    first = int(site.ask("/").removeprefix("requests:"))
    assert site.ask("/") == f"requests:{first + 1}"
    answer = site.admin.request("POST", "/frankenphp/workers/restart")
    assert (answer.status, answer.body) == (200, b"workers restarted successfully\n")
    assert site.ask("/") == "requests:1"


def test_the_list_of_threads_begins_with_the_regular_one_and_counts_what_may_come(make: Make) -> None:
    workers = "worker ROOT/counter.php 1\n worker ROOT/index.php 1"
    site = make(f"num_threads 3\n max_threads 6\n {workers}", COUNTING)
    told = site.admin.threads()
    threads = told["ThreadDebugStates"]
    assert [thread["Name"] for thread in threads] == [
        "Regular PHP Thread",
        f"Worker PHP Thread - {site.root}/counter.php",
        f"Worker PHP Thread - {site.root}/index.php",
    ]
    assert [thread["State"] for thread in threads] == ["ready"] * 3
    assert told["ReservedThreadCount"] == 3


def test_threads_that_served_requests_tell_their_memory(make: Make) -> None:
    site = make("num_threads 2\n worker ROOT/counter.php 1", COUNTING)
    for _ in range(3):
        site.ask("/")
    served = [thread for thread in site.threads() if thread["RequestCount"] > 0]
    assert served
    assert all(thread["MemoryUsage"] > 0 for thread in served)


def test_every_worker_wherever_it_stands_has_its_one_thread(make: Make) -> None:
    site = make(
        "num_threads 4\n worker ROOT/env.php 1",
        "route {\n"
        "php {\n root ROOT\n worker counter.php 1 {\n match /matched*\n }\n }\n"
        "php {\n root ROOT\n worker worker.php 1\n }\n"
        "}",
    )
    of_workers = [f"Worker PHP Thread - {site.root}/{name}.php" for name in ("counter", "env", "worker")]
    assert sorted(site.names()) == ["Regular PHP Thread", *of_workers]
    assert site.ask("/matched/x").startswith("requests:")


def test_a_worker_that_is_loaded_through_the_admin_api_serves(make: Make) -> None:
    site = make("num_threads 2\n max_threads 4", "route {\n root ROOT\n php\n }")
    assert site.names() == ["Regular PHP Thread"] * 2
    changed = site.text.replace(" php\n", " php {\n worker ROOT/counter.php 1\n }\n").replace("ROOT", str(site.root))
    changed = changed.replace("PORT", str(site.server.port)).replace("num_threads 2", "num_threads 3")
    answer = httpx.post(
        f"http://{site.admin.address}/load",
        content=changed,
        headers={"content-type": "text/caddyfile"},
        trust_env=False,
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    assert f"Worker PHP Thread - {site.root}/counter.php" in site.names()
    assert site.ask("/counter.php") == "requests:1"
    site.server.note_base()


# -- waiting ----------------------------------------------------------------------------------------


def statuses(site: Site, path: str, count: int = 10) -> list[int]:
    return [answer.status_code for answer in fetch_parallel(site.server.url, lambda i: {"url": path}, count)]


def test_who_may_wait_for_a_nanosecond_gets_503_when_the_thread_is_taken(make: Make) -> None:
    site = make("num_threads 1\n max_wait_time 1ns", "root ROOT\n php")
    got = statuses(site, "/sleep.php?ms=10")
    assert set(got) == {200, 503}, got
    assert site.metric("frankenphp_queue_depth") == 0


def test_who_may_wait_for_a_nanosecond_gets_503_when_the_worker_is_taken(make: Make) -> None:
    worker = "worker {\n num 1\n name service\n file ROOT/sleep.php\n }"
    site = make(f"num_threads 2\n max_wait_time 1ns\n {worker}", "root ROOT\n php")
    got = statuses(site, "/sleep.php?ms=10")
    assert set(got) == {200, 503}, got
    assert site.metric('frankenphp_worker_queue_depth{worker="service"}') == 0


# -- restarts by the script itself ------------------------------------------------------------------

THREE_REQUESTS = (
    "<?php $every = (int) $_SERVER['EVERY']; $handled = 0; do { $more = frankenphp_handle_request(function () { echo 'Counter (', $_GET['i'], ')'; }); "
    "} while ($more && ++$handled < $every);"
)


def test_a_script_that_ends_after_every_third_request_is_restarted_and_loses_none(make: Make, tmp_path: Path) -> None:
    write_files(tmp_path / "app", {"restart.php": THREE_REQUESTS})
    worker = "worker {\n name service\n file ROOT/restart.php\n num 1\n env EVERY 3\n }"
    site = make(f"num_threads 2\n {worker}", "root ROOT\n php")
    numbers = [
        f'frankenphp_{name}{{worker="service"}}' for name in ("ready_workers", "total_workers", "worker_restarts")
    ]
    # The reference leaves a counter out until it counts; here it is there from the start.
    assert [site.metric(name) for name in numbers] == [1, 1, 0]
    answers = fetch_parallel(site.server.url, lambda i: {"url": f"/restart.php?i={i}"}, 10)
    assert [answer.text for answer in answers] == [f"Counter ({i})" for i in range(10)]
    wait_until(lambda: [site.metric(name) for name in numbers] == [1, 1, 3], "three restarts and a ready worker")
    assert site.metric('frankenphp_worker_crashes{worker="service"}') == 0


# -- scaling ----------------------------------------------------------------------------------------


def most_threads(site: Site, path: str, more_than: int) -> int:
    """Send requests that sleep until there are more threads; give the most that were seen."""
    most = 0
    for _ in range(10):
        answers = fetch_parallel(site.server.url, lambda i: {"url": path}, 200)
        assert {answer.status_code for answer in answers} == {200}
        most = max(most, len(site.threads()))
        if most > more_than:
            break
    fetch_parallel(site.server.url, lambda i: {"url": path}, 200)  # who would come too many comes under more load
    return max(most, len(site.threads()))


@pytest.mark.slow
@pytest.mark.may_leak  # threads that were added stay until they have been idle for long
def test_a_worker_under_load_gets_threads_up_to_its_own_limit(make: Make) -> None:
    worker = "worker ROOT/sleep.php {\n num 1\n max_threads 3\n }"
    site = make(f"max_threads 10\n num_threads 2\n {worker}", "root ROOT\n rewrite sleep.php?{query}\n php")
    assert len(site.threads()) == 2
    assert 2 < most_threads(site, "/?ms=2", 2) <= 4
    assert site.names().count("Regular PHP Thread") == 1
    assert site.names().count(f"Worker PHP Thread - {site.root}/sleep.php") <= 3


@pytest.mark.slow
@pytest.mark.may_leak
def test_regular_threads_under_load_grow_where_the_limit_is_automatic(make: Make) -> None:
    site = make("max_threads auto\n num_threads 1\n php_ini memory_limit 40M", "root ROOT\n php")
    assert len(site.threads()) == 1
    assert most_threads(site, "/sleep.php?ms=2", 1) > 1
    assert set(site.names()) == {"Regular PHP Thread"}
