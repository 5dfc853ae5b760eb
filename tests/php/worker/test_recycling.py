"""Threads of workers that are replaced after so many requests or so much memory."""

from __future__ import annotations

import re
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.server import SCRIPTS, Server, ServerFactory
from tests.php.harness.waiting import wait_until
from tests.php.harness.workers import WORKERS, in_worker, worker_script


def _start(make: ServerFactory, num: int, **runtime: Any) -> Server:
    worker = {"file": str(WORKERS / "counter.php"), "num": num}
    worker |= runtime.pop("worker", {})
    return make(
        {"any": {"root": str(SCRIPTS)}}, workers=[worker], runtime={"num_threads": num + 1, "debug": True, **runtime}
    )


def _served(server: Server, count: int) -> list[dict[str, Any]]:
    answers = fetch_parallel(server.url, lambda i: {"url": f"/worker/counter.php?i={i}"}, count)
    assert {answer.status_code for answer in answers} == {200}
    seen = [answer.json() for answer in answers]
    assert [answer["i"] for answer in seen] == [str(i) for i in range(count)]
    return seen


def test_a_script_boots_again_on_a_fresh_thread_after_max_requests(own_sites: ServerFactory) -> None:
    server = _start(own_sites, 1, max_requests=5)
    seen = [server.json(f"/worker/counter.php?i={i}") for i in range(20)]
    instances = Counter(answer["boot"] for answer in seen)
    assert len(instances) >= 4
    assert max(instances.values()) <= 5
    assert max(answer["count"] for answer in seen) <= 4
    lines = re.findall(r".*max requests reached, restarting(?! thread).*", server.log())
    assert len(lines) >= 2
    for line in lines:
        assert " DEBUG " in line
        assert "counter.php" in line
        assert re.search(r"thread\D{1,3}\d", line)
        assert re.search(r"max_requests\D{1,3}5", line)


def test_200_requests_at_once_are_all_served_by_instances_of_at_most_10(own_sites: ServerFactory) -> None:
    server = _start(own_sites, 4, max_requests=10)
    instances = Counter(answer["boot"] for answer in _served(server, 200))
    assert len(instances) > 4
    assert max(instances.values()) <= 10
    threads = [thread for thread in server.statistics()["threads"] if thread["role"] == "worker"]
    assert sum(thread["lives"] for thread in threads) >= 200 / 10
    assert server.worker()["crashes"] == 0


def test_with_one_thread_requests_wait_for_the_fresh_one(own_sites: ServerFactory) -> None:
    server = _start(own_sites, 1, max_requests=1)
    seen = _served(server, 50)
    assert len({answer["boot"] for answer in seen}) == 50
    assert {answer["count"] for answer in seen} == {0}


def test_the_operating_systems_thread_is_another_one_after_a_recycle(own_sites: ServerFactory) -> None:
    server = _start(own_sites, 1, max_requests=3)

    def thread_id() -> int:
        wait_until(lambda: server.worker()["ready"] == 1, "the worker to be ready")
        return next(int(t["thread_id"]) for t in server.statistics()["threads"] if t["role"] == "worker")

    before = thread_id()
    _served(server, 3)
    wait_until(lambda: thread_id() != before, "another thread")


def test_a_workers_own_limit_wins_over_the_runtimes(own_sites: ServerFactory) -> None:
    server = _start(own_sites, 1, max_requests=1000, worker={"max_requests": 2})
    instances = Counter(answer["boot"] for answer in _served(server, 20))
    assert max(instances.values()) <= 2


def test_classic_threads_are_recycled_beside_workers(own_sites: ServerFactory) -> None:
    server = _start(own_sites, 2, max_requests=5)
    answers = fetch_parallel(
        server.url, lambda i: {"url": f"/hello.php?i={i}" if i % 2 else f"/worker/counter.php?i={i}"}
    )
    assert {answer.status_code for answer in answers} == {200}
    server.wait_for_log("max requests reached, restarting thread")
    wait_until(
        lambda: server.statistics()["recycles"].get("max_requests", 0) >= 100 // 5 - 4, "the recycles to be counted"
    )


def test_a_thread_whose_memory_has_grown_too_large_is_recycled(own_sites: ServerFactory) -> None:
    server = in_worker(own_sites, max_thread_memory_bytes=24 << 20)
    boots: Counter[str] = Counter()
    for i in range(60):
        answer = server.get(f"/memory.php?i={i}&leak=1000000")
        assert answer.status_code == 200
        boots[answer.headers["x-boot"]] += 1
        assert int(answer.text) < 30 << 20
    assert 2 <= len(boots) <= 10, boots
    assert server.statistics()["recycles"]["memory"] >= 1


@pytest.mark.slow
def test_memory_is_flat_when_every_request_leaks_and_threads_are_recycled(own_sites: ServerFactory) -> None:
    server = in_worker(own_sites, worker_script(num=2), max_requests=20)

    def resident() -> int:
        status = Path(f"/proc/{server.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))

    def leak(count: int) -> None:
        answers = fetch_parallel(server.url, lambda i: {"url": f"/memory.php?i={i}&leak=500000"}, count)
        assert {answer.status_code for answer in answers} == {200}

    for _ in range(3):
        leak(100)
    before = resident()
    for _ in range(8):
        leak(100)
    assert resident() - before < 24 << 10, "400 MB were leaked meanwhile"


def test_a_stop_and_a_restart_during_recycles_lose_nothing(own_sites: ServerFactory) -> None:
    server = _start(own_sites, 3, max_requests=2)
    restarts: list[str] = []
    restart = threading.Thread(target=lambda: restarts.extend(server.restart_workers() for _ in range(3)))
    restart.start()
    for _ in range(3):
        _served(server, 100)
    restart.join()
    assert restarts == ["", "", ""]
    assert server.terminate() == 0


def test_a_script_sees_false_and_can_clean_up_before_its_thread_is_recycled(
    own_sites: ServerFactory, tmp_path: Path
) -> None:
    trace = tmp_path / "cleaned"
    (tmp_path / "app.php").write_text(
        f"<?php while (frankenphp_handle_request(fn () => print 'x')); file_put_contents('{trace}', 'x', FILE_APPEND);"
    )
    server = own_sites(
        {"any": {"root": str(tmp_path)}},
        workers=[{"file": str(tmp_path / "app.php"), "num": 1}],
        runtime={"num_threads": 2, "max_requests": 4},
    )
    warmed = server.worker()["requests"]
    for _ in range(12):
        assert server.get("/app.php").text == "x"
    wait_until(
        lambda: trace.exists() and len(trace.read_text()) >= (warmed + 12) // 4, "the script to clean up each time"
    )
