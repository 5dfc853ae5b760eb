"""Nothing of one request is left for the next, however it ended."""

from __future__ import annotations

from typing import Any

import pytest

from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.raw import RawConnection
from tests.php.harness.server import SCRIPTS, Server, ServerFactory
from tests.php.harness.waiting import wait_until
from tests.php.harness.workers import in_mode

ENDINGS = ["normal", "exit", "exception", "fatal", "memory", "timeout", "abort"]


@pytest.fixture(scope="module")
def server(module_server: ServerFactory, tmp_path_factory: pytest.TempPathFactory) -> Server:
    sessions = tmp_path_factory.mktemp("sessions")
    return module_server(
        SCRIPTS, "--num-threads", "2", ini={"session.save_path": str(sessions), "variables_order": "EGPCS"}
    )


def _leave(server: Server, how: str, number: int) -> None:
    if how == "abort":
        with RawConnection(server.port) as connection:
            connection.send(f"GET /leave_traces.php?how=abort&i={number} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            connection.read_head()
        wait_until(lambda: server.running() == 0, "the abandoned script to end")
        return
    server.get(f"/leave_traces.php?how={how}&i={number}")


@pytest.mark.log_noise("PHP (Fatal|Warning)|uncaught|undefined")
@pytest.mark.parametrize("how", ENDINGS)
def test_no_state_is_left_after_a_request_that_ended_so(server: Server, how: str) -> None:
    clean = server.json("/find_traces.php")
    for number in range(3):
        _leave(server, how, number)
        for answer in fetch_parallel(server.url, lambda i: {"url": "/find_traces.php"}, 6):
            assert answer.status_code == 200
            assert answer.json() == clean


def test_an_untouched_request_looks_as_expected(server: Server) -> None:
    seen = server.json("/find_traces.php")
    expected: dict[str, Any] = {
        "session": None, "session_id": "", "env": None, "server": None, "getenv": False, "precision": "14", "umask": 0o022,
        "timezone": "UTC", "error_handler": None, "exception_handler": None, "libxml": False, "ignore_user_abort": 0,
        "connection_status": 0, "class": False, "constant": False, "function": False, "wrapper": True, "autoload": 0, "headers": [],
        "ob": 0, "included": 1,
    }  # fmt: skip
    assert {name: seen[name] for name in expected} == expected


@pytest.mark.log_noise("Allowed memory size")
@pytest.mark.parametrize("mode", ["classic", "worker"])
def test_a_memory_limit_that_a_request_has_raised_and_used_is_the_old_one_for_the_next(
    own_sites: ServerFactory, mode: str
) -> None:
    server = in_mode(own_sites, mode, ini={"memory_limit": "32M", "display_errors": "1"})

    def refused(query: str) -> bool:
        return "Allowed memory size of 33554432 bytes" in server.get(f"/use_memory.php?{query}").text

    assert not refused("mb=400&limit=512M")
    assert refused("mb=100")
    assert not refused("mb=10")


@pytest.mark.log_noise("PHP (Fatal|Warning)|uncaught|undefined")
def test_traces_of_neighbours_running_at_the_same_time_stay_theirs(server: Server) -> None:
    def request(i: int) -> dict[str, object]:
        return {"url": "/find_traces.php" if i % 2 else f"/leave_traces.php?how=normal&i={i}"}

    clean = server.json("/find_traces.php")
    for number, answer in enumerate(fetch_parallel(server.url, request, 60)):
        if number % 2:
            assert answer.json() == clean


def test_a_session_id_of_another_visitor_is_not_accepted_in_strict_mode(own_server: ServerFactory) -> None:
    server = own_server(SCRIPTS, ini={"session.use_strict_mode": "1"})
    answer = server.get("/session_peek.php", headers={"cookie": "PHPSESSID=chosenbyattacker"})
    assert answer.json()["id"] != "chosenbyattacker"
