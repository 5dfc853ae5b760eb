"""What Laravel Octane does with its server: it starts `frankenphp run` with everything in the environment, asks the admin API
whether it runs, reloads it, prints its log, and stops it.

The Caddyfile has the shape of Octane's; the worker script stands for the application.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.php.harness.ports import free_port
from tests.php.harness.server import REPOSITORY, clean_environment
from tests.php.harness.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

FRANKENPHP = [sys.executable, "-c", "import sys; from howdah.cli.frankenphp import main; sys.exit(main())"]


@dataclass
class Octane:
    """A server started as Octane starts it."""

    folder: Path
    port: int
    admin_port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def config_url(self) -> str:
        return f"http://localhost:{self.admin_port}/config/apps/frankenphp"

    def is_running(self) -> bool:
        """Ask as Octane asks."""
        try:
            return httpx.get(self.config_url, trust_env=False).is_success
        except httpx.ConnectError:
            return False

    def reload(self) -> httpx.Response:
        """Send the configuration back, as `octane:reload` does."""
        body = httpx.get(self.config_url, trust_env=False).content
        headers = {"Content-Type": "application/json", "Cache-Control": "must-revalidate"}
        return httpx.patch(self.config_url, content=body, headers=headers, timeout=30, trust_env=False)

    def stop(self) -> httpx.Response:
        """Stop it as `octane:stop` does."""
        return httpx.post(f"http://localhost:{self.admin_port}/stop", trust_env=False)

    def get(self, path: str = "/") -> dict[str, Any]:
        answer = httpx.get(self.url + path, timeout=30, trust_env=False)
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result

    def log(self) -> str:
        return (self.folder / "server.log").read_text(encoding="utf-8", errors="replace")

    def records(self) -> list[dict[str, Any]]:
        """Give the lines of standard error that Octane takes for JSON."""
        lines = [line for line in self.log().splitlines() if line.startswith("{")]
        return [json.loads(line) for line in lines]


def start(folder: Path, **variables: str) -> Octane:
    shutil.copytree(REPOSITORY / "tests" / "apps" / "octane", folder, dirs_exist_ok=True)
    (folder / "version").write_text("one")
    golden = (REPOSITORY / "tests" / "config" / "golden" / "octane.caddytest").read_text(encoding="utf-8")
    (folder / "Caddyfile").write_text(golden.split("\n----------")[0] + "\n")
    port, admin_port = free_port(), free_port()
    environment = {
        "APP_ENV": "local",
        "APP_BASE_PATH": str(folder),
        "APP_PUBLIC_PATH": str(folder / "public"),
        "LARAVEL_OCTANE": "1",
        "MAX_REQUESTS": "500",
        "REQUEST_MAX_EXECUTION_TIME": "30",
        "CADDY_GLOBAL_OPTIONS": "",
        "CADDY_SERVER_ADMIN_HOST": "localhost",
        "CADDY_SERVER_ADMIN_PORT": str(admin_port),
        "CADDY_SERVER_LOG_LEVEL": "INFO",
        "CADDY_SERVER_LOGGER": "json",
        "CADDY_SERVER_SERVER_NAME": f"http://:{port}",
        "CADDY_SERVER_WORKER_COUNT": "2",
        "CADDY_SERVER_EXTRA_DIRECTIVES": "",
        **variables,
    }
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*FRANKENPHP, "run", "-c", str(folder / "Caddyfile")],
            cwd=folder,
            env=clean_environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    octane = Octane(folder, port, admin_port, process)
    assert not octane.is_running()
    try:
        wait_until(lambda: octane.is_running() or process.poll() is not None, "the server to run", timeout_s=30)
        assert process.poll() is None, octane.log()
    except AssertionError:
        process.kill()
        process.wait()
        raise
    return octane


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    started: list[Octane] = []

    def make_one(**variables: str) -> Octane:
        started.append(start(tmp_path / "app", **variables))
        return started[-1]

    yield make_one
    for octane in started:
        if octane.process.poll() is None:
            octane.process.terminate()
            try:
                assert octane.process.wait(30) == 0, octane.log()
            except subprocess.TimeoutExpired:
                octane.process.kill()
                octane.process.wait()
                raise
        assert "Traceback" not in octane.log()


def test_application_answers_every_path_but_files(make: Any) -> None:
    octane = make()
    for path in ("/", "/users/7?tab=1", "/index.php", "/frankenphp-worker.php/x"):
        answer = octane.get(path)
        assert answer["uri"] == path
        assert answer["handled"] >= 1
        assert answer["octane"] == "1"
    file = httpx.get(f"{octane.url}/robots.txt", trust_env=False)
    assert (file.text, file.headers["content-type"]) == ("plain text\n", "text/plain; charset=utf-8")


def test_bodies_up_to_the_limit_arrive(make: Any) -> None:
    octane = make()
    answer = httpx.post(f"{octane.url}/upload", content=b"x" * 1_000_000, timeout=30, trust_env=False)
    assert answer.json()["body"] == 1_000_000
    with socket.create_connection(("127.0.0.1", octane.port), timeout=10) as client:
        client.sendall(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 64000001\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


def test_application_lives_on_and_leaves_after_max_requests(make: Any) -> None:
    octane = make(MAX_REQUESTS="5", CADDY_SERVER_WORKER_COUNT="1")
    answers = [octane.get() for _ in range(23)]
    assert max(answer["handled"] for answer in answers) == 5
    assert len({answer["boot"] for answer in answers}) == 5
    wait_until(lambda: octane.log().count("leaves after 5 requests") >= 4, "the words of the script in the log")


def test_reload_brings_new_code_and_loses_no_request(make: Any) -> None:
    octane = make()
    before = octane.get()
    (octane.folder / "version").write_text("two")
    stop, failures, answered = threading.Event(), [], []

    def load() -> None:
        with httpx.Client(base_url=octane.url, trust_env=False, timeout=30) as client:
            while not stop.is_set():
                try:
                    answer = client.get("/")
                    answered.append(answer.json()["version"])
                except (httpx.HTTPError, ValueError) as error:
                    failures.append(repr(error))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(answered) > 20, "some load")
        for _ in range(3):
            assert octane.reload().status_code == 200
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures
    assert answered[0] == "one"
    after = [octane.get() for _ in range(8)]
    assert {answer["version"] for answer in after} == {"two"}
    assert before["boot"] not in {answer["boot"] for answer in after}
    assert octane.is_running()


def test_log_is_what_octane_prints(make: Any) -> None:
    octane = make()
    octane.get("/private?token=secret&page=2")
    handled = wait_until(
        lambda: [record for record in octane.records() if record.get("msg") == "handled request"], "the access log"
    )
    assert handled[0]["level"] == "info"
    assert handled[0]["status"] == 200
    assert handled[0]["duration"] > 0
    assert handled[0]["request"]["method"] == "GET"
    assert handled[0]["request"]["uri"] == "/private?token=HIDDEN&page=2"
    assert "secret" not in octane.log()


def test_stop_ends_the_server(make: Any) -> None:
    octane = make()
    octane.get()
    assert octane.stop().is_success
    assert octane.process.wait(30) == 0
    assert not octane.is_running()


def test_worker_count_auto_is_an_empty_word(make: Any) -> None:
    octane = make(CADDY_SERVER_WORKER_COUNT="")
    assert octane.get()["handled"] == 1


def test_https_is_the_scheme_of_the_name(make: Any, tmp_path: Path) -> None:
    port = free_port()
    octane = make(
        CADDY_SERVER_SERVER_NAME=f"https://localhost:{port}",
        CADDY_GLOBAL_OPTIONS="auto_https disable_redirects",
        XDG_DATA_HOME=str(tmp_path / "data"),
    )
    answer = httpx.get(f"https://localhost:{port}/", verify=False, trust_env=False, timeout=30)
    assert answer.json()["uri"] == "/"
    assert octane.is_running()
