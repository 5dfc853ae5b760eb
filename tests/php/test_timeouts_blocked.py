"""A script that waits for somebody who never answers: 504 in time, its thread given back, nobody else hit."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.php.harness.commands import php_binary
from tests.php.harness.raw import RawConnection
from tests.php.harness.server import SCRIPTS, Server, ServerFactory
from tests.php.harness.waiting import wait_until

LIMIT_S = 0.5
# The stages of a kill take 0.3 s; the rest is for a busy machine.
SLACK_S = 1.5

pytestmark = pytest.mark.log_noise("(?i)request_timeout|PHP (Warning|Notice)|is stuck")

PLAIN = ["loop", "sleep", "usleep", "nanosleep", "flock", "fifo", "accept"]
SOCKETS = ["stream", "stream for ever", "tls", "http", "pair", "writing", "select", "again and again"]
LIBRARIES = {
    "socket": "sockets",
    "datagram": "sockets",
    "curl": "curl",
    "curl multi": "curl",
    "mysqli": "mysqli",
    "pdo_mysql": "pdo_mysql",
    "pgsql": "pgsql",
    "redis": "redis",
}


@pytest.fixture(scope="module")
def strict(module_server: ServerFactory) -> Server:
    return module_server(SCRIPTS, "--num-threads", "1", "--request-timeout", f"{LIMIT_S}s", "--no-compress")


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


def _thread_id(server: Server) -> int:
    return int(server.statistics()["threads"][0]["thread_id"])


def _ends(server: Server, target: str, limit_s: float = LIMIT_S + SLACK_S) -> None:
    """Run a script that hangs, and check that it was ended and that the next request finds a fresh thread."""
    before = wait_until(lambda: _thread_id(server), "a thread")
    answer = server.get(target)
    assert answer.status_code == 504
    assert LIMIT_S <= answer.elapsed.total_seconds() < limit_s
    assert server.get("/hello.php?i=1").text == "request 1"
    assert _thread_id(server) != before


@pytest.mark.parametrize("how", PLAIN)
def test_what_a_signal_ends(strict: Server, tmp_path: Path, how: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    with (tmp_path / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        _ends(strict, f"/blocked.php?how={how}&lock={tmp_path}/lock&fifo={tmp_path}/fifo")


@pytest.mark.parametrize("how", SOCKETS)
def test_what_only_the_end_of_the_connection_ends(strict: Server, silent: int, how: str) -> None:
    _ends(strict, f"/blocked.php?how={how}&port={silent}")


@pytest.mark.parametrize("how", LIBRARIES)
def test_what_libraries_wait_for(strict: Server, silent: int, how: str) -> None:
    if f"\n{LIBRARIES[how]}\n" not in strict.get("/extensions.php").text:
        pytest.skip(f"PHP ({php_binary()}) has no {LIBRARIES[how]}")
    _ends(strict, f"/blocked.php?how={how}&port={silent}")


@pytest.mark.parametrize("how", ["shutdown function", "destructor"])
def test_shutdown_functions_and_destructors_have_a_second_deadline(strict: Server, silent: int, how: str) -> None:
    _ends(strict, f"/blocked.php?how={how}&port={silent}", LIMIT_S + 1 + SLACK_S)


def test_a_script_that_survives_everything_is_reported_and_its_client_answered(
    own_server: ServerFactory,
) -> None:
    server = own_server(SCRIPTS, "--num-threads", "2", "--request-timeout", f"{LIMIT_S}s")
    mark = server.log_mark()
    answer = server.get("/blocked.php?how=program", timeout=20)
    assert answer.status_code == 504
    assert answer.elapsed.total_seconds() < LIMIT_S + 2 + SLACK_S
    report = server.wait_for_log("script is stuck.*", since=mark)[0]
    assert "blocked.php?how=program" in report
    assert "#0 system()" in report
    assert "{main} at" in report
    assert server.get("/hello.php?i=1").text == "request 1"
    wait_until(lambda: server.running() == 0, "the end of the program", timeout_s=10)
    assert len(server.log_since(mark).split("script is stuck")) == 2, "it was reported more than once"


def test_other_connections_of_the_server_live_on(strict: Server, silent: int) -> None:
    with RawConnection(strict.port) as idle:
        idle.send(b"GET /hello.php?i=1 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"request 1" in idle.read_some()
        for _ in range(3):
            assert strict.get(f"/blocked.php?how=stream&port={silent}").status_code == 504
        idle.send(b"GET /hello.php?i=2 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"request 2" in idle.read_some()


def test_a_connection_to_the_server_itself_is_cut_on_the_side_of_the_script_only(own_server: ServerFactory) -> None:
    server = own_server(SCRIPTS, "--num-threads", "2", "--request-timeout", f"{LIMIT_S}s")
    answers: list[int] = []
    slow = threading.Thread(target=lambda: answers.append(server.get("/blocked.php?how=sleep").status_code))
    slow.start()
    # Two scripts wait: this one for the second one, which sleeps; both are over their time.
    assert server.get(f"/blocked.php?how=http&port={server.port}").status_code == 504
    slow.join()
    assert answers == [504]
    assert server.get("/hello.php?i=1").text == "request 1"


def test_waits_of_streams_are_capped_at_the_limit(own_server: ServerFactory, tmp_path: Path) -> None:
    (tmp_path / "ini.php").write_text(
        "<?php echo json_encode([ini_get('default_socket_timeout'), ini_get('mysqlnd.net_read_timeout')]);"
    )
    server = own_server(tmp_path, "--num-threads", "1", "--request-timeout", "1500ms")
    assert server.get("/ini.php").json() in (["2", "2"], ["2", False])
    lower = own_server(
        tmp_path, "--num-threads", "1", "--request-timeout", "10s", "--php-ini", "default_socket_timeout=3"
    )
    assert lower.get("/ini.php").json()[0] == "3"
    higher = own_server(
        tmp_path, "--num-threads", "1", "--request-timeout", "10s", "--php-ini", "default_socket_timeout=-1"
    )
    assert higher.get("/ini.php").json()[0] == "10"
    none = own_server(tmp_path, "--num-threads", "1")
    assert none.get("/ini.php").json()[0] == "60"
