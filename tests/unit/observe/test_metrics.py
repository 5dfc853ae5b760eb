from __future__ import annotations

import math
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from howdah.observe.histograms import BOUNDS_S, RequestTimes
from howdah.observe.metrics import Metrics
from tests.unit.observe.snapshots import OPCACHE, End, Runtime, Statistics, Thread, Worker

WORKER = Worker(
    name="api",
    threads=3,
    ready=2,
    busy=1,
    queue_waiting=4,
    requests=5,
    request_time_s=1.5,
    crashes=6,
    restarts=7,
    boot_failures=8,
)
ALL = Statistics(
    accepted=10,
    completed=5,
    rejected={"queue_full": 1, "wait_timeout": 2},
    aborted=1,
    open=1,
    queue_waiting=3,
    queue_peak=9,
    recycles={"max_requests": 4},
    kills={"timeout": 1},
    restarts=2,
    stuck=3,
    wipes=4,
    wipes_put_off=5,
    wipe_pause_s=0.25,
    opcache=OPCACHE,
    threads=(
        Thread(is_busy=True, is_waiting=False, memory_bytes=100, peak_memory_bytes=300, thread_id=11),
        Thread(slot=1, memory_bytes=50, peak_memory_bytes=60, thread_id=12),
        Thread(slot=2, state="reserved", thread_id=0, memory_bytes=7, peak_memory_bytes=999),
    ),
    workers=(WORKER,),
)


def page(metrics: Metrics) -> str:
    body, content_type = metrics.render()
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    return body.decode()


def lines(statistics: Statistics, prefix: str) -> list[str]:
    text = page(Metrics(Runtime(statistics)))
    return [
        line for line in text.splitlines() if line.removeprefix("# HELP ").removeprefix("# TYPE ").startswith(prefix)
    ]


@pytest.mark.parametrize(
    ("name", "kind", "text", "sample"),
    [
        ("frankenphp_total_threads", "gauge", "Total number of PHP threads", " 2.0"),
        ("frankenphp_busy_threads", "gauge", "Number of busy PHP threads", " 1.0"),
        ("frankenphp_queue_depth", "gauge", "Number of regular queued requests", " 3.0"),
        (
            "frankenphp_total_workers",
            "gauge",
            "Total number of PHP workers for this worker",
            '{worker="api"} 3.0',
        ),
        (
            "frankenphp_ready_workers",
            "gauge",
            "Running workers that have successfully called frankenphp_handle_request at least once",
            '{worker="api"} 2.0',
        ),
        ("frankenphp_busy_workers", "gauge", "Number of busy PHP workers for this worker", '{worker="api"} 1.0'),
        ("frankenphp_worker_queue_depth", "gauge", "Number of queued requests for this worker", '{worker="api"} 4.0'),
        ("frankenphp_worker_request_count", "counter", "Number of requests ended by this worker", '{worker="api"} 5.0'),
        ("frankenphp_worker_request_time", "counter", "Seconds of all requests of this worker", '{worker="api"} 1.5'),
        ("frankenphp_worker_crashes", "counter", "Number of PHP worker crashes for this worker", '{worker="api"} 6.0'),
        (
            "frankenphp_worker_restarts",
            "counter",
            "Number of PHP worker restarts for this worker",
            '{worker="api"} 7.0',
        ),
    ],
)
def test_names_of_frankenphp_are_kept(name: str, kind: str, text: str, sample: str) -> None:
    assert lines(ALL, name) == [f"# HELP {name} {text}", f"# TYPE {name} {kind}", name + sample]


def test_everything_else_is_there() -> None:
    text = page(Metrics(Runtime(ALL), lost_log_lines=lambda: 17))
    for sample in (
        "howdah_requests_accepted_total 10.0",
        "howdah_requests_completed_total 5.0",
        'howdah_requests_rejected_total{reason="wait_timeout"} 2.0',
        "howdah_requests_aborted_total 1.0",
        "howdah_requests_open 1.0",
        "howdah_queue_peak 9.0",
        'howdah_thread_recycles_total{reason="max_requests"} 4.0',
        'howdah_kills_total{reason="timeout"} 1.0',
        "howdah_restarts_total 2.0",
        "howdah_stuck_threads_total 3.0",
        "howdah_opcache_wipes_total 4.0",
        "howdah_opcache_wipes_put_off_total 5.0",
        "howdah_opcache_wipe_pause_seconds_total 0.25",
        'howdah_opcache_memory_bytes{use="wasted"} 30.0',
        "howdah_opcache_hit_ratio 0.75",
        'howdah_opcache_restarts_total{reason="manual"} 3.0',
        'howdah_threads{state="ready"} 2.0',
        'howdah_threads{state="reserved"} 1.0',
        "howdah_php_memory_bytes 150.0",
        "howdah_php_memory_peak_bytes 300.0",
        'howdah_worker_boot_failures_total{worker="api"} 8.0',
        "howdah_log_lines_lost_total 17.0",
        "howdah_running 1.0",
    ):
        assert f"\n{sample}\n" in text
    assert "\nprocess_resident_memory_bytes " in text
    assert "\nprocess_open_fds " in text


def test_page_is_valid_and_complete_before_the_first_request() -> None:
    families = {
        family.name: family
        for family in text_string_to_metric_families(page(Metrics(Runtime(Statistics(workers=(Worker(),))))))
    }
    assert families["frankenphp_worker_crashes"].samples[0].value == 0
    assert families["howdah_request_queue_seconds"].samples[-1].value == 0
    for family in families.values():
        names = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
        assert len(names) == len(set(names)), family.name


def test_openmetrics_has_the_suffix_that_it_demands() -> None:
    body, content_type = Metrics(Runtime(ALL)).render("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in parse_openmetrics(body.decode())}  # type: ignore[no-untyped-call]
    assert families["frankenphp_worker_crashes"].samples[0].name == "frankenphp_worker_crashes_total"


def test_requests_are_counted_by_site_and_worker() -> None:
    runtime = Runtime(Statistics(workers=(Worker(name="api", site="/a"),)))
    metrics = Metrics(runtime)
    (observe,) = runtime.observers
    observe(*End(site="/a", worker="api", queue_s=0.001, php_s=0.003))
    observe(*End(site="/a", worker="api", php_s=100.0, status=503))
    observe(*End(site="/b", php_s=0.004))
    text = page(metrics)
    for sample in (
        'howdah_request_duration_seconds_bucket{le="0.0025",site="/a",worker="api"} 0.0',
        'howdah_request_duration_seconds_bucket{le="0.005",site="/a",worker="api"} 1.0',
        'howdah_request_duration_seconds_bucket{le="60.0",site="/a",worker="api"} 1.0',
        'howdah_request_duration_seconds_bucket{le="+Inf",site="/a",worker="api"} 2.0',
        'howdah_request_duration_seconds_sum{site="/a",worker="api"} 100.004',
        'howdah_request_queue_seconds_bucket{le="0.001",site="/a",worker="api"} 2.0',
        'howdah_request_php_seconds_count{site="/a",worker="api"} 2.0',
        'howdah_request_duration_seconds_count{site="/b",worker=""} 1.0',
        'howdah_responses_total{code="5xx",site="/a",worker="api"} 1.0',
        'howdah_responses_total{code="2xx",site="/b",worker=""} 1.0',
    ):
        assert f"\n{sample}\n" in text
    metrics.close()
    assert not runtime.observers


def test_a_site_can_have_any_name() -> None:
    runtime = Runtime()
    metrics = Metrics(runtime)
    runtime.observers[0](*End(site='/a"\n\\b'))
    assert 'site="/a\\"\\n\\\\b"' in page(metrics)
    list(text_string_to_metric_families(page(metrics)))


def test_histograms_come_and_go_while_the_server_runs() -> None:
    runtime = Runtime(ALL)
    metrics = Metrics(runtime, requests=False)
    metrics.collect_requests(True)
    metrics.collect_requests(True)
    assert len(runtime.observers) == 1
    runtime.observers[0](*End())
    assert "howdah_request_" in page(metrics)
    metrics.collect_requests(False)
    assert runtime.observers == []
    assert "howdah_request_" not in page(metrics)


def test_histograms_can_be_left_out() -> None:
    runtime = Runtime()
    assert "howdah_request_" not in page(Metrics(runtime, requests=False))
    assert not runtime.observers


TIMES = st.sampled_from([0.0, *BOUNDS_S, *(bound + 1e-9 for bound in BOUNDS_S)]) | st.floats(0, 100)


@given(TIMES, TIMES)
def test_each_time_is_in_its_bucket(queue_s: float, php_s: float) -> None:
    times = RequestTimes()
    times.observe(*End(queue_s=queue_s, php_s=php_s))
    for family, time_s in zip(times.families(), (queue_s + php_s, queue_s, php_s), strict=False):
        for bound, sample in zip((*BOUNDS_S, math.inf), family.samples, strict=False):
            assert sample.value == (time_s <= bound), (family.name, bound)


def test_no_observation_of_any_thread_is_lost() -> None:
    times = RequestTimes()

    def observe() -> None:
        for _ in range(2000):
            times.observe(*End(php_s=BOUNDS_S[0]))

    threads = [threading.Thread(target=observe) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    family = next(iter(times.families()))
    assert family.samples[0].value == 8000
