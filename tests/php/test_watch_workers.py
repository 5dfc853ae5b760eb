"""Workers restart when their files change: `watch` in a Caddyfile and `php-server --watch`, on real files and real PHP."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from apps.serving import Served, configured
from tests.php.harness.server import Server, ServerFactory
from tests.php.harness.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

WORKER = """<?php
$boot = bin2hex(random_bytes(8));
require __DIR__ . '/../src/value.php';
$handled = 0;
while (frankenphp_handle_request(function () use ($boot, &$handled) {
    echo json_encode(['boot' => $boot, 'value' => value(), 'handled' => ++$handled]);
})) {
}
"""


def value(text: str) -> str:
    return f"<?php function value() {{ return '{text}'; }}\n"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An application whose worker loads a file beside it."""
    return make_app(tmp_path / "app")


def make_app(folder: Path) -> Path:
    for name in ("public", "src", "other"):
        (folder / name).mkdir(parents=True)
    (folder / "public" / "index.php").write_text(WORKER)
    (folder / "src" / "value.php").write_text(value("one"))
    (folder / "other" / "data.txt").write_text("x")
    return folder


def serve(own_server: ServerFactory, app: Path, *watch: str, threads: int = 1, **options: Any) -> Server:
    flags = ["--worker", f"{app}/public/index.php,{threads}", "--num-threads", str(threads + 1), *watch]
    return own_server(app / "public", *flags, cwd=app, **options)


def until(server: Server, text: str) -> dict[str, Any]:
    """Ask the server until its code says this, and give that answer."""

    def ask() -> dict[str, Any] | None:
        answer: dict[str, Any] = server.json("/")
        return answer if answer["value"] == text else None

    return wait_until(ask, f"code that says {text}", step_s=0.05)


@pytest.mark.parametrize(
    "watch",
    [["--watch=./src/**/*.php"], ["--watch=./src"], ["--watch"], ["--watch=./none", "--watch=./src/value.php"]],
    ids=["pattern", "folder", "bare", "several"],
)
def test_a_change_that_matches_brings_the_new_code(own_server: ServerFactory, app: Path, watch: list[str]) -> None:
    server = serve(own_server, app, *watch)
    before = server.json("/")
    assert before["value"] == "one"
    (app / "src" / "value.php").write_text(value("two"))
    after = until(server, "two")
    assert after["boot"] != before["boot"]
    server.wait_for_log(r"filesystem changes detected: \S*/src/value\.php")


def test_a_change_that_matches_nothing_restarts_nothing(own_server: ServerFactory, app: Path) -> None:
    """The second change, which matches, tells when the first one has been dealt with."""
    server = serve(own_server, app, "--watch=./src/**/*.php")
    boot = server.json("/")["boot"]
    (app / "other" / "data.txt").write_text("changed")
    (app / "other" / "code.php").write_text(value("other"))
    (app / "src" / "notes.md").write_text("changed")
    (app / "src" / "value.php").write_text(value("two"))
    until(server, "two")
    assert server.log().count("restarting worker /") == 1
    assert server.log().count("filesystem changes detected") == 1
    assert server.json("/")["boot"] != boot


def test_a_watcher_without_changes_does_not_disturb(own_server: ServerFactory, app: Path) -> None:
    server = serve(own_server, app, "--watch")
    counts = [server.json("/")["handled"] for _ in range(30)]
    assert counts == list(range(counts[0], counts[0] + 30))


def test_changed_code_is_seen_where_opcache_looks_at_no_timestamps(own_server: ServerFactory, app: Path) -> None:
    server = serve(own_server, app, "--watch=./src", ini={"opcache.validate_timestamps": "0"})
    for text in ("two", "three"):
        (app / "src" / "value.php").write_text(value(text))
        until(server, text)


@pytest.mark.log_noise("PHP Parse error", "goes on with its old code", "has failed", "worker")
def test_code_that_does_not_boot_leaves_the_old_code_running_until_it_is_mended(
    own_server: ServerFactory, app: Path
) -> None:
    server = serve(own_server, app, "--watch=./src", threads=2)
    (app / "src" / "value.php").write_text("<?php function value( {\n")
    server.wait_for_log("goes on with its old code", timeout_s=15)
    server.wait_for_log("syntax error.*value.php on line 1", timeout_s=15)
    answers = [server.json("/")["value"] for _ in range(6)]
    assert set(answers) == {"one"}
    (app / "src" / "value.php").write_text(value("mended"))
    until(server, "mended")


def test_no_request_fails_while_files_change_under_load(own_server: ServerFactory, app: Path) -> None:
    server = serve(own_server, app, "--watch=./src", threads=2)
    stop = threading.Event()
    failures: list[str] = []
    answered: list[str] = []

    def load() -> None:
        with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
            while not stop.is_set():
                try:
                    answered.append(client.get("/").json()["value"])
                except (httpx.HTTPError, ValueError) as error:
                    failures.append(repr(error))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for number in range(5):
            # Replaced in one step, as editors and deployments do it: half a file is no code.
            fresh = app / "src" / "value.php.new"
            fresh.write_text(value(f"v{number}"))
            fresh.replace(app / "src" / "value.php")
            until(server, f"v{number}")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures
    assert len(answered) > 50


class TestTwoWorkers:
    CADDYFILE = """
{
	{$CADDY_GLOBAL_OPTIONS}
	frankenphp {
		num_threads 3
	}
}
{$SERVER_NAME} {
	handle_path /shop* {
		root shop/public
		php_server {
			worker index.php {
				name shop
				num 1
				watch ./shop/src
			}
			root shop/public
		}
	}
	handle_path /blog* {
		root blog/public
		php_server {
			worker index.php {
				name blog
				num 1
				watch ./blog/src ./shared/**/*.php
			}
			root blog/public
		}
	}
}
"""

    @pytest.fixture
    def site(self, tmp_path: Path) -> Iterator[Served]:
        make_app(tmp_path / "shop")
        make_app(tmp_path / "blog")
        (tmp_path / "shared").mkdir()
        (tmp_path / "Caddyfile").write_text(self.CADDYFILE)
        with configured(tmp_path / "Caddyfile", tmp_path / "server.log") as served:
            yield served

    def test_only_the_worker_whose_pattern_matches_restarts(self, site: Served, tmp_path: Path) -> None:
        def ask(name: str) -> dict[str, Any]:
            answer: dict[str, Any] = httpx.get(f"{site.url}/{name}/", timeout=10, trust_env=False).json()
            return answer

        shop, blog = ask("shop"), ask("blog")
        (tmp_path / "shop" / "src" / "value.php").write_text(value("two"))
        wait_until(lambda: ask("shop")["value"] == "two", "the shop's new code")
        assert ask("blog")["boot"] == blog["boot"]
        shop = ask("shop")
        (tmp_path / "shared" / "library.php").write_text("<?php\n")
        wait_until(lambda: ask("blog")["boot"] != blog["boot"], "the blog's restart")
        assert ask("shop")["boot"] == shop["boot"]
        log = site.log.read_text(encoding="utf-8")
        assert [found[1] for found in re.finditer(r"restarting worker (\w+):", log)] == ["shop", "blog"]
