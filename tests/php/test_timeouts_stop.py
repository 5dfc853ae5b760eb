"""A stop does not wait for scripts that wait for somebody else: they are ended after the grace time, with 503."""

from __future__ import annotations

import socket
import time

import pytest

from tests.php.harness.raw import RawConnection
from tests.php.harness.server import SCRIPTS, ServerFactory
from tests.php.harness.waiting import wait_until

GRACE_S = 0.5


@pytest.mark.log_noise("(?i)server is stopping|PHP (Warning|Notice)|outlived the grace")
@pytest.mark.parametrize("how", ["loop", "sleep", "stream", "http", "curl", "shutdown function"])
def test_a_script_that_waits_is_ended_after_the_grace_time(own_server: ServerFactory, how: str) -> None:
    server = own_server(SCRIPTS, "--num-threads", "2", "--grace", f"{GRACE_S}s")
    with socket.socket() as silent, RawConnection(server.port) as connection:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        target = f"/blocked.php?how={how}&port={silent.getsockname()[1]}".replace(" ", "%20")
        connection.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        wait_until(lambda: server.running() == 1, "the request to run")
        began = time.monotonic()
        server.process.terminate()
        answer = connection.read_response()
        assert answer.status == 503
        assert server.wait_ended(10) == 0
        assert GRACE_S <= time.monotonic() - began < GRACE_S + 4
    server.stopped = True
