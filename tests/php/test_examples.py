"""The examples that no other test runs, started by the commands of examples/README.md."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from apps import slim
from apps.serving import configured
from tests.php.harness.ports import free_port
from tests.php.harness.server import HOWDAH, REPOSITORY, clean_environment
from tests.php.harness.waiting import wait_until

EXAMPLES = REPOSITORY / "examples"


@contextmanager
def running(
    command: list[str], port: int, folder: Path, env: Mapping[str, str] | None = None
) -> Iterator[httpx.Client]:
    """Run a command in a folder until the block ends; gives a client of what it serves."""
    process = subprocess.Popen(
        command, cwd=folder, env=clean_environment(env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        wait_until(lambda: _listens(port) or process.poll() is not None, "the server to listen", timeout_s=40)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            yield client
    finally:
        process.terminate()
        output = process.communicate(timeout=20)[0].decode()
    assert "Traceback" not in output, output


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def check_hello(visitor: httpx.Client) -> None:
    page = visitor.get("/")
    assert (page.status_code, "<h1>Hello from PHP</h1>" in page.text) == (200, True)
    assert visitor.get("/style.css").headers["content-type"].startswith("text/css")
    files = {"file": ("notes.txt", b"12345", "text/plain")}
    answer = visitor.post("/form.php", data={"name": "Ada & co"}, files=files)
    assert "Ada &amp; co" in answer.text


def test_hello_is_served_by_php_server(tmp_path: Path) -> None:
    port = free_port()
    command = [*HOWDAH, "php-server", "--root", str(EXAMPLES / "hello"), "--listen", f"127.0.0.1:{port}"]
    with running(command, port, tmp_path) as visitor:
        check_hello(visitor)


def test_hello_is_served_by_run_with_variables(tmp_path: Path) -> None:
    port = free_port()
    env = {
        "SERVER_ROOT": str(EXAMPLES / "hello"),
        "SERVER_NAME": f"http://127.0.0.1:{port}",
        "CADDY_GLOBAL_OPTIONS": "admin off",
    }
    with running([*HOWDAH, "run"], port, tmp_path, env) as visitor:
        check_hello(visitor)


@pytest.mark.parametrize("server", ["uvicorn", "granian"])
def test_asgi_runs_under_other_servers(server: str) -> None:
    port = free_port()
    flags = ["--interface", "asgi"] if server == "granian" else []
    command = [sys.executable, "-m", server, *flags, "--port", str(port), "app:app"]
    with running(command, port, EXAMPLES / "asgi") as visitor:
        assert visitor.get("/api/greeting?name=you").json() == {"greeting": "Hello, you!"}
        page = visitor.get("/", follow_redirects=True)
        assert page.url.path == "/blog/"
        assert "<h1>PHP inside FastAPI</h1>" in page.text
        assert visitor.get("/blog/style.css").headers["content-type"].startswith("text/css")


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_caddyfile_of_slim_serves_it_in_worker_mode(tmp_path: Path) -> None:
    root = slim.install(tmp_path / "app")
    environ = {"PHP_LIBRARIES": slim.libraries(root), "WORKERS": "2"}
    with (
        configured(root.parent / "Caddyfile", tmp_path / "server.log", environ=environ) as served,
        httpx.Client(base_url=served.url, trust_env=False, timeout=30) as visitor,
    ):
        assert "<dd>worker</dd>" in visitor.get("/").text
        assert "<h1>Hello Ada!</h1>" in visitor.get("/hello/Ada").text
