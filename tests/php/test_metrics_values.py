"""The metrics of a running server say what its threads really do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from howdah.admin.client import AdminClient
from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.ports import free_port
from tests.php.harness.raw import RawConnection
from tests.php.harness.server import Server, ServerFactory
from tests.php.harness.waiting import wait_until

CADDYFILE = """
{{
	admin {admin}
	auto_https off
	metrics
	frankenphp {{
		num_threads 3
		{options}
		worker {{
			file {root}/worker.php
			num 2
			name shop
		}}
	}}
}}
http://127.0.0.1:PORT {{
	root {root}
	handle /metrics {{
		metrics
	}}
	handle {{
		php_server
	}}
}}
"""
WORKER = """<?php
$n = 0;
while ($n++ < (int) ($_SERVER['LIMIT'] ?? 1000000) && frankenphp_handle_request(function () {
    if (isset($_GET['ms'])) { usleep((int) $_GET['ms'] * 1000); }
    if (isset($_GET['die'])) { $GLOBALS['n'] = PHP_INT_MAX - 1; }
    if (isset($_GET['crash'])) { $GLOBALS['crash'] = true; }
    echo 'worker';
})) {
    if ($crash ?? false) { exit(3); }
}
"""


@dataclass
class Site:
    server: Server
    admin: AdminClient

    def value(self, sample: str) -> float:
        """Give a sample's value, with its labels in the order of their names; NaN would be a mistake."""
        found = re.search(rf"^{re.escape(sample)} (\S+)$", self.page(), re.MULTILINE)
        assert found is not None, f"{sample} in\n{self.page()}"
        return float(found[1])

    def page(self) -> str:
        return self.admin.request("GET", "/metrics").body.decode()

    def wait_value(self, sample: str, value: float) -> None:
        wait_until(lambda: self.value(sample) == value, f"{sample} to be {value}")


def make(start: ServerFactory, root: Path, options: str = "") -> Site:
    (root / "worker.php").write_text(WORKER)
    (root / "index.php").write_text("<?php echo 'index';")
    (root / "sleep.php").write_text("<?php usleep((int) $_GET['ms'] * 1000); echo 'slept';")
    (root / "status.php").write_text("<?php http_response_code((int) $_GET['code']);")
    address = f"127.0.0.1:{free_port()}"
    return Site(start(CADDYFILE.format(admin=address, root=root, options=options), root), AdminClient(address))


@pytest.fixture(scope="module")
def site(module_caddyfile: ServerFactory, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return make(module_caddyfile, tmp_path_factory.mktemp("metrics"))


@pytest.fixture
def own(own_caddyfile: ServerFactory, tmp_path: Path) -> Site:
    return make(own_caddyfile, tmp_path)


@pytest.fixture
def in_parallel() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def test_everything_is_there_before_the_first_request_of_a_worker(own: Site) -> None:
    for sample, value in (
        ("frankenphp_total_threads", 3),
        ("frankenphp_busy_threads", 0),
        ("frankenphp_queue_depth", 0),
        ('frankenphp_total_workers{worker="shop"}', 2),
        ('frankenphp_ready_workers{worker="shop"}', 2),
        ('frankenphp_busy_workers{worker="shop"}', 0),
        ('frankenphp_worker_request_count{worker="shop"}', 0),
        ('frankenphp_worker_request_time{worker="shop"}', 0),
        ('frankenphp_worker_crashes{worker="shop"}', 0),
        ('frankenphp_worker_restarts{worker="shop"}', 0),
        ('frankenphp_worker_queue_depth{worker="shop"}', 0),
        ("howdah_running", 1),
    ):
        assert own.value(sample) == value, sample
    for name in ("process_resident_memory_bytes", "process_open_fds", "howdah_opcache_hit_ratio"):
        assert re.search(rf"^{name} \d", own.page(), re.MULTILINE), name


def test_busy_means_busy(site: Site, in_parallel: ThreadPoolExecutor) -> None:
    requests = [in_parallel.submit(site.server.get, "/sleep.php?ms=1500") for _ in range(2)]
    requests += [in_parallel.submit(site.server.get, "/worker.php?ms=1500") for _ in range(3)]
    site.wait_value("frankenphp_busy_threads", 3)
    site.wait_value("frankenphp_queue_depth", 1)
    assert site.value('frankenphp_busy_workers{worker="shop"}') == 2
    assert site.value('frankenphp_worker_queue_depth{worker="shop"}') == 1
    assert site.value("frankenphp_total_threads") == 3
    assert site.value("howdah_requests_open") >= 5
    for request in requests:
        assert request.result().status_code == 200
    site.wait_value("frankenphp_busy_threads", 0)
    assert site.value('frankenphp_busy_workers{worker="shop"}') == 0
    assert site.value("howdah_requests_open") == 0


def test_requests_are_counted_where_they_ran(site: Site) -> None:
    before = site.value('frankenphp_worker_request_count{worker="shop"}')
    fetch_parallel(site.server.url, lambda i: {"url": "/worker.php"}, 50)
    site.wait_value('frankenphp_worker_request_count{worker="shop"}', before + 50)
    count = site.value('howdah_request_duration_seconds_count{site="127.0.0.1",worker="shop"}')
    assert count == before + 50
    assert site.value('howdah_request_php_seconds_bucket{le="+Inf",site="127.0.0.1",worker="shop"}') == count
    total_s = site.value('howdah_request_duration_seconds_sum{site="127.0.0.1",worker="shop"}')
    parts_s = sum(
        site.value(f'howdah_request_{part}_seconds_sum{{site="127.0.0.1",worker="shop"}}') for part in ("queue", "php")
    )
    assert total_s == pytest.approx(parts_s, rel=1e-6)
    assert site.value('frankenphp_worker_request_time{worker="shop"}') == pytest.approx(total_s, rel=1e-3)


def test_the_balance_is_exact(site: Site) -> None:
    for code in (200, 404, 503):
        site.server.get(f"/status.php?code={code}")
    with RawConnection(site.server.port) as leaving:
        leaving.send(b"GET /sleep.php?ms=400 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        site.wait_value("frankenphp_busy_threads", 1)
    site.wait_value("howdah_requests_open", 0)
    ended = sum(
        float(value)
        for value in re.findall(
            r"^howdah_requests_(?:completed_total|aborted_total|rejected_total\{.*\}) (\S+)$", site.page(), re.MULTILINE
        )
    )
    assert site.value("howdah_requests_accepted_total") == ended
    assert site.value("howdah_requests_aborted_total") >= 1
    assert site.value('howdah_responses_total{code="5xx",site="127.0.0.1",worker=""}') >= 1
    assert site.value('howdah_responses_total{code="4xx",site="127.0.0.1",worker=""}') >= 1


def test_rejected_requests_have_their_reason(
    own_caddyfile: ServerFactory, tmp_path: Path, in_parallel: ThreadPoolExecutor
) -> None:
    site = make(own_caddyfile, tmp_path, "max_queue 2")
    rejected = 'howdah_requests_rejected_total{reason="queue_full"}'
    before = site.value(rejected) if rejected in site.page() else 0  # while the site was made ready
    requests = [in_parallel.submit(site.server.get, "/sleep.php?ms=600") for _ in range(6)]
    statuses = sorted(request.result().status_code for request in requests)
    assert statuses == [200, 200, 200, 503, 503, 503]
    assert site.value(rejected) == before + 3
    assert site.value("howdah_queue_peak") == 2


@pytest.mark.log_noise("crash", "unexpected termination")
def test_ends_of_worker_scripts_are_told_apart(own: Site) -> None:
    own.server.get("/worker.php?die=1")
    own.wait_value('frankenphp_worker_restarts{worker="shop"}', 1)
    own.server.get("/worker.php?crash=1")
    own.wait_value('frankenphp_worker_crashes{worker="shop"}', 1)
    own.wait_value('frankenphp_ready_workers{worker="shop"}', 2)
    assert own.value('frankenphp_worker_restarts{worker="shop"}') == 1
    assert own.value('frankenphp_total_workers{worker="shop"}') == 2


def test_rolling_restarts_and_recycles_are_counted(own_caddyfile: ServerFactory, tmp_path: Path) -> None:
    site = make(own_caddyfile, tmp_path, "max_requests 5")
    fetch_parallel(site.server.url, lambda i: {"url": "/index.php"}, 60)
    wait_until(lambda: site.value('howdah_thread_recycles_total{reason="max_requests"}') >= 10, "recycles")
    site.admin.restart_workers()
    assert site.value("howdah_restarts_total") == 1
    assert site.value("frankenphp_total_threads") == 3


def test_counters_never_go_back_and_gauges_never_below_zero(site: Site, in_parallel: ThreadPoolExecutor) -> None:
    def load() -> None:
        fetch_parallel(site.server.url, lambda i: {"url": "/worker.php" if i % 2 else "/index.php"}, 300)

    loading = in_parallel.submit(load)
    last: dict[str, float] = {}
    while not loading.done():
        samples = dict(re.findall(r"^((?:frankenphp|howdah)_\S+) (\S+)$", site.page(), re.MULTILINE))
        for name, text in samples.items():
            value = float(text)
            assert value >= 0, name
            if re.search(r"_(?:total|count|bucket|sum|crashes|restarts|request_time)(?:\{|$)", name):
                assert value >= last.get(name, 0), name
            last[name] = value
    loading.result()
    assert last


def test_the_page_of_a_site_speaks_openmetrics(site: Site) -> None:
    plain = site.server.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "frankenphp_total_threads 3.0" in plain.text
