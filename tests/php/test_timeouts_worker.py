"""Time limits in worker mode: of one worker, of one site, and what a kill means for the script of the worker."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.php.harness.server import SCRIPTS, Server, ServerFactory
from tests.php.harness.waiting import wait_until
from tests.php.harness.workers import in_worker, worker_script

LIMIT_S = 0.5
SLACK_S = 1.5

pytestmark = pytest.mark.log_noise("(?i)request_timeout|PHP (Warning|Notice)")


@pytest.fixture(scope="module")
def worker(module_sites: ServerFactory) -> Server:
    """One thread of a worker, with a limit of its own."""
    return in_worker(module_sites, worker_script(request_timeout_s=LIMIT_S))


@pytest.fixture
def silent() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


@pytest.mark.parametrize("how", ["loop", "sleep", "stream", "http", "shutdown function"])
def test_a_request_of_a_worker_is_ended_and_the_script_boots_again_on_a_fresh_thread(
    worker: Server, silent: int, how: str
) -> None:
    before = wait_until(lambda: worker.get("/hello.php?i=1").headers.get("x-boot"), "the boot of the worker")
    answer = worker.get(f"/blocked.php?how={how}&port={silent}")
    assert answer.status_code == 504
    assert LIMIT_S <= answer.elapsed.total_seconds() < LIMIT_S + 1 + SLACK_S
    after = worker.get("/hello.php?i=2")
    assert after.text == "request 2"
    assert after.headers["x-boot"] != before


def test_requests_after_one_another_are_not_hit_by_an_old_kill(worker: Server) -> None:
    for _ in range(3):
        assert worker.get("/blocked.php?how=sleep").status_code == 504
        for number in range(20):
            assert worker.get(f"/hello.php?i={number}").text == f"request {number}"


def test_the_slow_log_names_the_worker_and_shows_its_script(own_sites: ServerFactory) -> None:
    server = in_worker(own_sites, worker_script(name="patient"), slow_request_threshold_s=0.2)
    mark = server.log_mark()
    assert server.get("/where.php?place=method&seconds=0.8").text == "through"
    entry = server.wait_for_log("slow request.*", since=mark)[0]
    assert "worker=" in entry
    assert "patient" in entry
    for frame in ("stay()", "Place->method()", "require()", "frankenphp_handle_request()", "{main} at"):
        assert frame in entry
    assert server.log_since(mark).count("slow request") == 1


def test_a_worker_without_a_limit_is_not_held_to_that_of_another_site(own_sites: ServerFactory) -> None:
    server = own_sites(
        {
            "free": {"root": str(SCRIPTS)},
            "strict": {"root": str(SCRIPTS), "request_timeout_s": LIMIT_S},
        },
        runtime={"num_threads": 2},
    )
    assert server.get("/sleep.php?ms=1500", headers={"Host": "free"}).status_code == 200
    assert server.get("/sleep.php?ms=1500", headers={"Host": "strict"}).status_code == 504
    assert server.get("/sleep.php?ms=1500", headers={"Host": "free"}).status_code == 200
