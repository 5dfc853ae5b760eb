"""The reference's end-to-end cases of metrics: names, help texts and values after some requests, and metrics switched off."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from howdah.admin.client import AdminClient
from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.ports import free_port
from tests.php.harness.scripts import either, write_files
from tests.php.harness.server import Server, ServerFactory

FILES = {
    "index.php": either("echo 'index (', $_GET['i'] ?? 'not set', ')';"),
    "other.php": either("echo 'other';"),
    "matching.php": either("echo 'matching';"),
}
HELP = {
    "frankenphp_total_threads": "Total number of PHP threads",
    "frankenphp_busy_threads": "Number of busy PHP threads",
    "frankenphp_total_workers": "Total number of PHP workers for this worker",
    "frankenphp_busy_workers": "Number of busy PHP workers for this worker",
    "frankenphp_ready_workers": "Running workers that have successfully called frankenphp_handle_request at least once",
    "frankenphp_worker_crashes": "Number of PHP worker crashes for this worker",
    "frankenphp_worker_restarts": "Number of PHP worker restarts for this worker",
}


@dataclass
class Site:
    """A server and its metrics page."""

    server: Server
    admin: AdminClient
    root: Path

    def page(self) -> str:
        return self.admin.request("GET", "/metrics").body.decode()

    def values(self, name: str) -> dict[str, float]:
        """Give the values of a family by worker; ``""`` for the one value without label."""
        found = re.findall(rf'^{name}(?:\{{worker="([^"]*)"\}})? (\S+)$', self.page(), re.MULTILINE)
        return {worker: float(value) for worker, value in found}

    def answer_ten(self, path: str = "/index.php?i={}") -> None:
        """Send ten requests and wait until none runs."""
        answers = fetch_parallel(self.server.url, lambda i: {"url": path.format(i)}, 10)
        assert [answer.text for answer in answers] == [f"index ({i})" for i in range(10)]


Make = Callable[..., Site]


@pytest.fixture
def make(own_caddyfile: ServerFactory, tmp_path: Path) -> Make:
    """Start a server with these options of frankenphp, these global ones and these directives."""

    def start(
        frankenphp: str = "",
        options: str = "metrics",
        directives: str = "route {\n php {\n root ROOT\n }\n }",
        at: str = "http://127.0.0.1:PORT",
    ) -> Site:
        write_files(tmp_path / "app", FILES)
        address = f"127.0.0.1:{free_port()}"
        text = (
            f"{{\n admin {address}\n auto_https off\n {options}\n frankenphp {{\n{frankenphp}\n}}\n}}\n"
            f"{at} {{\n{directives}\n}}\n"
            "http://example.test:PORT {\n php {\n root ROOT\n }\n}\n"
        ).replace("ROOT", f"{tmp_path}/app")
        return Site(own_caddyfile(text, tmp_path / "app"), AdminClient(address), tmp_path / "app")

    return start


def test_without_workers_there_are_as_many_threads_as_the_admin_api_lists_and_none_is_busy(make: Make) -> None:
    site = make()
    site.answer_ten()
    assert site.values("frankenphp_total_threads") == {"": len(site.admin.threads()["ThreadDebugStates"])}
    assert site.values("frankenphp_busy_threads") == {"": 0}


@pytest.mark.parametrize("name", ["", "my_app"])
def test_a_worker_is_counted_under_its_name_or_its_path(make: Make, name: str) -> None:
    site = make(f"worker {{\n file ROOT/index.php\n num 2\n {f'name {name}' if name else ''}\n }}")
    site.answer_ten()
    worker = name or f"{site.root}/index.php"
    before = site.values("frankenphp_worker_request_count")[worker] - 10
    assert before >= 0, "the requests that made the server ready"
    assert site.values("frankenphp_total_workers") == {worker: 2}
    assert site.values("frankenphp_ready_workers") == {worker: 2}
    assert site.values("frankenphp_busy_workers") == {worker: 0}
    # The reference counts idle workers as busy threads; here busy means that a request runs.
    assert site.values("frankenphp_busy_threads") == {"": 0}
    assert site.values("frankenphp_total_threads") == {"": len(site.admin.threads()["ThreadDebugStates"])}
    site.answer_ten()
    assert site.values("frankenphp_worker_request_count") == {worker: before + 20}


def test_two_workers_are_counted_apart(make: Make) -> None:
    workers = [("service1", "index", 2), ("service2", "other", 3)]
    site = make(
        "".join(f"worker {{\n name {name}\n file ROOT/{file}.php\n num {num}\n }}\n" for name, file, num in workers)
    )
    before = site.values("frankenphp_worker_request_count")
    site.answer_ten()
    assert site.values("frankenphp_total_workers") == {"service1": 2, "service2": 3}
    assert site.values("frankenphp_ready_workers") == {"service1": 2, "service2": 3}
    assert site.values("frankenphp_busy_workers") == {"service1": 0, "service2": 0}
    assert site.values("frankenphp_worker_request_count") == {
        "service1": before["service1"] + 10,
        "service2": before["service2"],
    }


def test_help_texts_are_those_that_dashboards_know(make: Make) -> None:
    page = make("worker ROOT/index.php 1\n num_threads 2").page()
    for name, text in HELP.items():
        kind = "counter" if name.endswith(("crashes", "restarts")) else "gauge"
        assert f"# HELP {name} {text}\n# TYPE {name} {kind}\n{name}" in page


def test_every_worker_of_a_site_has_one_pool_and_a_matched_path_is_served(make: Make) -> None:
    site = make(
        "num_threads 3",
        directives="php_server {\n root ROOT\n"
        "worker {\n file ROOT/matching.php\n num 1\n match /match/*\n }\n"
        "worker {\n file ROOT/other.php\n num 1\n }\n}",
    )
    assert site.server.get("/match/anything").text == "matching"
    assert site.values("frankenphp_total_workers") == {f"{site.root}/matching.php": 1, f"{site.root}/other.php": 1}


def test_a_worker_without_a_number_gets_all_threads_but_one(make: Make) -> None:
    site = make("worker ROOT/index.php")
    site.answer_ten()
    threads = len(site.admin.threads()["ThreadDebugStates"])
    worker = f"{site.root}/index.php"
    assert site.values("frankenphp_total_threads") == {"": threads}
    for family in ("total_workers", "ready_workers"):
        assert site.values(f"frankenphp_{family}") == {worker: threads - 1}
    assert site.values("frankenphp_busy_workers") == {worker: 0}


def test_without_the_option_no_request_is_measured(make: Make) -> None:
    """What the threads themselves know costs nothing, and stays."""
    workers = "worker {\n name service1\n file ROOT/index.php\n num 2\n }"
    site = make(workers, options="")
    site.answer_ten()
    assert not re.search(r"^howdah_request_\w+_seconds|^howdah_responses", site.page(), re.MULTILINE)
    assert site.values("frankenphp_total_workers") == {"service1": 2}
    measured = make(workers)
    measured.answer_ten()
    assert re.search(r"^howdah_request_duration_seconds_count\{.*service1.*\} \d", measured.page(), re.MULTILINE)


def test_a_server_is_counted_under_its_own_name_the_host_it_asks_for_or_its_address(make: Make) -> None:
    site = make(
        directives="@named host named.test\n@api host api.test\n"
        "handle @named {\n php {\n root ROOT\n name shop\n }\n }\n"
        "handle @api {\n php {\n root ROOT\n }\n }\n"
        "handle {\n php {\n root ROOT\n }\n }",
        at="http://:PORT",
    )
    for host in ("named.test", "api.test", f"127.0.0.1:{site.server.port}", "example.test"):
        assert site.server.get("/index.php?i=1", headers={"host": host}).text == "index (1)"
    counted = set(re.findall(r'^howdah_responses_total\{code="2xx",site="([^"]*)"', site.page(), re.MULTILINE))
    # What made the server ready came to the one site of this address, too.
    assert counted == {"shop", "api.test", f":{site.server.port}", "example.test"}
