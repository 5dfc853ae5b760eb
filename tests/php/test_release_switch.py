"""A release as docs/howto/deploy.md describes it: a link is switched and workers restart, while clients ask."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.php.harness.commands import howdah
from tests.php.harness.ports import free_port
from tests.php.harness.server import Server, ServerFactory
from tests.php.harness.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

_WORKER = (
    "<?php $boot = '{0}'; while (frankenphp_handle_request(function () use ($boot) {{ echo 'worker ', $boot; }}));"
)


def write_release(folder: Path, name: str) -> None:
    (folder / name).mkdir()
    (folder / name / "index.php").write_text(f"<?php echo 'classic {name}';")
    (folder / name / "worker.php").write_text(_WORKER.format(name))


def switch(folder: Path, name: str) -> None:
    """Replace the link in one step, as `mv -T` does."""
    (folder / "next").symlink_to(name)
    (folder / "next").replace(folder / "current")


@contextmanager
def asked(server: Server) -> Iterator[list[str]]:
    """Ask without a break while the block runs; gives the texts of the answers, and afterwards no error among them."""
    answers: list[str] = []
    stopping = threading.Event()

    def ask(path: str) -> None:
        with server.client() as client:
            while not stopping.is_set():
                try:
                    answer = client.get(path)
                    answers.append(answer.text if answer.status_code == 200 else f"status {answer.status_code}")
                except httpx.HTTPError as error:
                    answers.append(repr(error))

    threads = [threading.Thread(target=ask, args=(path,)) for path in ("/", "/worker.php") for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(answers) > 50, "clients to ask")
        yield answers
        before = len(answers)
        wait_until(lambda: len(answers) > before + 50, "clients to ask on")
    finally:
        stopping.set()
        for thread in threads:
            thread.join(20)


@pytest.mark.log_noise("did not boot|failed on restart|no database|Stack trace|admin request failed")
def test_a_switched_link_and_a_restart_lose_no_request(own_caddyfile: ServerFactory, tmp_path: Path) -> None:
    for name in ("one", "two", "broken"):
        write_release(tmp_path, name)
    (tmp_path / "broken" / "worker.php").write_text("<?php throw new Exception('no database');")
    switch(tmp_path, "one")
    admin = f"localhost:{free_port()}"
    current = tmp_path / "current"
    server: Server = own_caddyfile(
        f"{{\n\tadmin {admin}\n\tfrankenphp {{\n\t\tphp_ini opcache.validate_timestamps 0\n\t}}\n}}\n"
        f"http://127.0.0.1:PORT {{\n\troot {current}\n\tphp_server {{\n\t\tworker {current}/worker.php 2\n\t}}\n}}\n",
        current,
    )
    with asked(server) as answers:
        switch(tmp_path, "two")
        assert server.get("/").text == "classic one", "nothing happens before the command"
        assert howdah("restart-workers", "--address", admin).returncode == 0
        assert (server.get("/").text, server.get("/worker.php").text) == ("classic two", "worker two")
        switch(tmp_path, "broken")
        failed = howdah("restart-workers", "--address", admin)
        assert (failed.returncode, "no database" in failed.stderr) == (1, True)
        assert server.get("/worker.php").text == "worker two", "the workers keep the release that boots"
        switch(tmp_path, "two")
        assert howdah("restart-workers", "--address", admin).returncode == 0
    assert {text for text in answers if not text.startswith(("classic ", "worker "))} == set()
