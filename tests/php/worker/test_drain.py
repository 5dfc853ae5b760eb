"""A server with workers that stops: requests end, scripts clean up, nothing is left behind."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.php.harness.parallel import run_parallel
from tests.php.harness.raw import RawConnection
from tests.php.harness.server import SCRIPTS, Server, ServerFactory
from tests.php.harness.waiting import wait_until
from tests.php.harness.workers import WORKERS

_CLEANS_UP = """<?php
while (frankenphp_handle_request(function () {
    if (isset($_GET['trace'])) {
        file_put_contents($_GET['trace'], 'begun');
        while (!is_file($_GET['trace'] . '.gate')) {
            usleep(5_000);
        }
    }
    echo 'served';
}));
usleep(100_000);
file_put_contents(__DIR__ . '/cleaned', 'x', FILE_APPEND);
"""


def _start(make: ServerFactory, folder: Path, *flags: str) -> Server:
    (folder / "app.php").write_text(_CLEANS_UP)
    return make(folder, "--worker", f"{folder}/app.php,3", "--num-threads", "4", *flags)


def test_running_requests_end_and_scripts_clean_up(own_server: ServerFactory, tmp_path: Path) -> None:
    server = _start(own_server, tmp_path)
    trace = tmp_path / "trace"
    with RawConnection(server.port) as connection:
        connection.send(f"GET /app.php?trace={trace} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        wait_until(trace.exists, "the request to run")
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: _refused(server), "new connections to be refused")
        Path(f"{trace}.gate").touch()
        answer = connection.read_response()
    assert (answer.status, answer.body) == (200, b"served")
    assert server.wait_ended(10) == 0
    assert (tmp_path / "cleaned").read_text() == "xxx"


def _refused(server: Server) -> bool:
    try:
        with RawConnection(server.port, timeout_s=0.5):
            return False
    except OSError:
        return True


def test_a_server_with_idle_workers_stops_at_once(own_server: ServerFactory) -> None:
    server = own_server(SCRIPTS, "--worker", f"{WORKERS}/counter.php,4", "--num-threads", "5")
    began = time.monotonic()
    assert server.terminate() == 0
    assert time.monotonic() - began < 2


@pytest.mark.log_noise("grace|ending|outlived|Request ended by the server")
def test_a_request_that_outlives_the_grace_is_ended(own_server: ServerFactory, tmp_path: Path) -> None:
    server = _start(own_server, tmp_path, "--grace", "500ms")
    trace = tmp_path / "trace"
    with RawConnection(server.port) as connection:
        connection.send(f"GET /app.php?trace={trace} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        wait_until(trace.exists, "the request to run")
        began = time.monotonic()
        assert server.terminate() == 0
        assert time.monotonic() - began < 6
    assert (tmp_path / "cleaned").read_text().startswith("xx"), "the scripts without a request could clean up"


def test_requests_sent_while_the_server_stops_are_answered_or_refused_and_none_is_cut(
    own_server: ServerFactory, tmp_path: Path
) -> None:
    server = _start(own_server, tmp_path)

    def many(i: int) -> list[int]:
        statuses = []
        for _ in range(2000):
            try:
                with RawConnection(server.port, timeout_s=5) as connection:
                    connection.send(b"GET /app.php HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    data = connection.read_to_end()
            except OSError:
                break
            if not data:  # accepted by the kernel and never by the server
                break
            assert data.endswith(b"served") or b" 503 " in data[:20], data
            statuses.append(int(data.split()[1]))
            if i == 0 and len(statuses) == 20:
                server.process.send_signal(signal.SIGTERM)
        return statuses

    statuses = [status for seen in run_parallel(many, 4) for status in seen]
    assert statuses.count(200) > 20
    assert server.wait_ended(10) == 0
