"""Good, bad and abandoned requests at the same time for some seconds: `make stress` runs it."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import httpx
import pytest

from tests.php.harness.parallel import run_parallel
from tests.php.harness.raw import RawConnection
from tests.php.harness.server import SCRIPTS, Server, ServerFactory

SECONDS = float(os.environ.get("HOWDAH_STRESS_SECONDS", "15"))
_BAD = [
    "/fatal.php?how=undefined",
    "/fatal.php?how=exit",
    "/fatal.php?how=memory",
    "/no-such.php",
    "/status_code.php?code=999",
    "/a%00b",
]


def _one(server: Server, client: httpx.Client, choice: random.Random) -> int:
    kind = choice.random()
    number = choice.randrange(10**9)
    if kind < 0.6:
        answer = client.get(f"/hello.php?i={number}")
        assert answer.status_code == 503 or answer.text == f"request {number}"
        return answer.status_code
    if kind < 0.75:
        return client.get(choice.choice(_BAD)).status_code
    if kind < 0.85:
        body = b"x" * choice.randrange(200_000)
        answer = client.post("/large_request.php", content=body, headers={"content-type": "a/b"})
        assert answer.status_code == 503 or answer.text.startswith(f"{len(body)} ")
        return answer.status_code
    target = choice.choice(["/download.php?bytes=3000000", "/hello.php", "/sleep.php?ms=20", "/session.php"])
    with RawConnection(server.port) as connection:
        connection.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        if choice.random() < 0.5:
            connection.read_some()
        if choice.random() < 0.5:
            connection.reset()
    return 0


@pytest.mark.stress
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.log_noise(".")
@pytest.mark.parametrize(
    "flags", [(), ("--max-requests", "50"), ("--max-queue", "5")], ids=["plain", "recycling", "short queue"]
)
def test_the_server_survives_and_its_numbers_add_up(
    own_server: ServerFactory, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    server = own_server(SCRIPTS, "--num-threads", "4", *flags, ini={"session.save_path": str(tmp_path)})
    end = time.monotonic() + SECONDS

    def client_loop(seed: int) -> int:
        choice = random.Random(seed)
        count = 0
        with server.client() as client:
            while time.monotonic() < end:
                _one(server, client, choice)
                count += 1
        return count

    counts = run_parallel(client_loop, 12)
    assert sum(counts) > 100
    assert server.get("/hello.php?i=1").text == "request 1"


@pytest.mark.stress
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_memory_is_flat_over_many_requests(own_server: ServerFactory) -> None:
    server = own_server(SCRIPTS, "--num-threads", "2")

    def resident() -> int:
        status = Path(f"/proc/{server.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])

    def loop(count: int) -> None:
        with server.client() as client:
            for i in range(count):
                assert client.get(f"/form.php?i={i}").status_code == 200

    run_parallel(lambda _: loop(1000), 4)
    before = resident()
    run_parallel(lambda _: loop(4000), 4)
    assert resident() - before < 4096, "more than 4 MiB over 16,000 requests"
