"""Prometheus metrics: the runtime's statistics, read when somebody asks, and histograms of request times.

Names that begin with ``frankenphp_`` are those of FrankenPHP, so that dashboards go on working; their values are
what the threads do at this moment, and never counted up and down.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder, generate_latest
from prometheus_client.registry import Collector

from howdah._version import __version__
from howdah.observe.histograms import RequestTimes

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from howdah.observe.snapshot import Observed, Snapshot

# The client library gives every counter the suffix _total. FrankenPHP's have none in the text format, and have it
# in OpenMetrics.
_WITHOUT_SUFFIX = re.compile(rb"\b(frankenphp_worker_(?:crashes|restarts|request_count|request_time))_total\b")
_OPENMETRICS = "application/openmetrics-text"

Value = float | Mapping[str, float]


class Metrics:
    """The metrics page of one runtime; callable from any thread.

    Args:
        runtime: asked whenever the page is; may not run yet.
        requests: collect histograms of request times, too: about a microsecond per request.
        lost_log_lines: gives the number of log lines that could not be written.
    """

    def __init__(
        self, runtime: Observed, *, requests: bool = True, lost_log_lines: Callable[[], int] | None = None
    ) -> None:
        self._runtime = runtime
        self._times: RequestTimes | None = None
        self._lost_log_lines = lost_log_lines
        self._registry = CollectorRegistry()
        self._registry.register(_Pulled(self._collect))
        ProcessCollector(registry=self._registry)
        self.collect_requests(requests)

    def collect_requests(self, wanted: bool) -> None:
        """Collect histograms of request times from now on, or no longer; those that there are go with the latter."""
        if wanted and self._times is None:
            self._times = RequestTimes()
            self._runtime.observers.append(self._times.observe)
        elif not wanted:
            self.close()
            self._times = None

    def close(self) -> None:
        """Listen to no further request."""
        if self._times is not None and self._times.observe in self._runtime.observers:
            self._runtime.observers.remove(self._times.observe)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Give the page and its content type.

        Args:
            accept: the ``Accept`` header; OpenMetrics is given to who asks for it.
        """
        if _OPENMETRICS in accept:
            encode, content_type = choose_encoder(accept)
            if content_type.startswith(_OPENMETRICS):
                return encode(self._registry), content_type
        return _WITHOUT_SUFFIX.sub(rb"\1", generate_latest(self._registry)), CONTENT_TYPE_PLAIN_0_0_4

    def _collect(self) -> Iterator[Metric]:
        snapshot = self._runtime.statistics()
        yield from _threads(snapshot)
        yield from _workers(snapshot)
        yield from _requests(snapshot)
        yield from _life(snapshot)
        yield from _opcache(snapshot)
        if self._times is not None:
            yield from self._times.families([(worker.site, worker.name) for worker in snapshot.workers])
        if self._lost_log_lines is not None:
            yield _counter("howdah_log_lines_lost", "Log lines that could not be written", self._lost_log_lines())
        yield _gauge("howdah_info", "Howdah's version; always 1", {__version__: 1}, "version")


class _Pulled(Collector):
    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()

    def describe(self) -> Iterable[Metric]:
        return ()  # registering must not ask a runtime that may not run yet


def _gauge(name: str, text: str, value: Value, label: str = "") -> Metric:
    return _filled(GaugeMetricFamily(name, text, labels=[label] if label else None), value)


def _counter(name: str, text: str, value: Value, label: str = "") -> Metric:
    return _filled(CounterMetricFamily(name, text, labels=[label] if label else None), value)


def _filled(family: Any, value: Value) -> Metric:
    if isinstance(value, Mapping):
        for key, number in value.items():
            family.add_metric([key], number)
    else:
        family.add_metric([], value)
    metric: Metric = family
    return metric


def _threads(now: Snapshot) -> Iterator[Metric]:
    alive = [thread for thread in now.threads if thread.thread_id]
    yield _gauge("frankenphp_total_threads", "Total number of PHP threads", len(alive))
    busy = sum(thread.is_busy for thread in alive)
    yield _gauge("frankenphp_busy_threads", "Number of busy PHP threads", busy)
    yield _gauge("frankenphp_queue_depth", "Number of regular queued requests", now.queue_waiting)
    states: dict[str, float] = {}
    for thread in now.threads:
        states[thread.state] = states.get(thread.state, 0) + 1
    yield _gauge("howdah_threads", "PHP thread slots by state", states, "state")
    yield _gauge("howdah_threads_max", "Most PHP threads that there may be", now.max_threads)
    yield _gauge("howdah_threads_reserved", "PHP threads that may still be started", now.reserved_threads)
    yield _gauge("howdah_threads_idle", "PHP threads that wait for a request", now.idle_threads)
    memory = sum(thread.memory_bytes for thread in alive)
    yield _gauge("howdah_php_memory_bytes", "PHP memory of all threads, each at the end of its last request", memory)
    peak = max((thread.peak_memory_bytes for thread in alive), default=0)
    yield _gauge("howdah_php_memory_peak_bytes", "Highest PHP memory that a request of any living thread has had", peak)


def _workers(now: Snapshot) -> Iterator[Metric]:
    def by_name(attribute: str) -> dict[str, float]:
        return {worker.name: getattr(worker, attribute) for worker in now.workers}

    for family, name, text, attribute in (
        (_gauge, "frankenphp_total_workers", "Total number of PHP workers for this worker", "threads"),
        (
            _gauge,
            "frankenphp_ready_workers",
            "Running workers that have successfully called frankenphp_handle_request at least once",
            "ready",
        ),
        (_gauge, "frankenphp_busy_workers", "Number of busy PHP workers for this worker", "busy"),
        (_gauge, "frankenphp_worker_queue_depth", "Number of queued requests for this worker", "queue_waiting"),
        (_counter, "frankenphp_worker_request_count", "Number of requests ended by this worker", "requests"),
        (_counter, "frankenphp_worker_request_time", "Seconds of all requests of this worker", "request_time_s"),
        (_counter, "frankenphp_worker_crashes", "Number of PHP worker crashes for this worker", "crashes"),
        (_counter, "frankenphp_worker_restarts", "Number of PHP worker restarts for this worker", "restarts"),
        (_counter, "howdah_worker_boot_failures", "Boots of this worker that failed", "boot_failures"),
    ):
        yield family(name, text, by_name(attribute), "worker")


def _requests(now: Snapshot) -> Iterator[Metric]:
    yield _counter("howdah_requests_accepted", "Requests meant for PHP", now.accepted)
    yield _counter("howdah_requests_completed", "Requests answered by a script", now.completed)
    yield _counter("howdah_requests_rejected", "Requests refused with a status, by reason", now.rejected, "reason")
    yield _counter("howdah_requests_aborted", "Requests whose client left before the end", now.aborted)
    yield _gauge("howdah_requests_open", "Requests that have not ended", now.open)
    yield _gauge("howdah_queue_peak", "Most requests that ever waited for a PHP thread", now.queue_peak)
    yield _gauge("howdah_spool_memory_bytes", "Memory in all spools", now.spool_memory_bytes)
    yield _gauge("howdah_spool_file_bytes", "Disk space in all spools", now.spool_file_bytes)
    yield _gauge("howdah_spool_files", "Open spool files", now.spool_files)
    yield _counter("howdah_spool_errors", "Spool files that could not be made, written or read", now.spool_errors)


def _life(now: Snapshot) -> Iterator[Metric]:
    yield _counter("howdah_thread_recycles", "PHP threads replaced by fresh ones, by reason", now.recycles, "reason")
    yield _counter("howdah_kills", "Requests ended by force, by reason", now.kills, "reason")
    yield _counter("howdah_restarts", "Rolling restarts of workers", now.restarts)
    yield _counter("howdah_stuck_threads", "PHP threads that survived every attempt to end them", now.stuck)
    yield _gauge("howdah_running", "1 while PHP runs and takes requests", float(now.state == "running"))


def _opcache(now: Snapshot) -> Iterator[Metric]:
    yield _counter("howdah_opcache_wipes", "Wipes of OPcache's memory", now.wipes)
    yield _counter("howdah_opcache_wipes_put_off", "Wipes that had to be put off", now.wipes_put_off)
    yield _counter("howdah_opcache_wipe_pause_seconds", "Time in which no request could start", now.wipe_pause_s)
    cache = now.opcache
    if cache is None:
        return
    memory = {kind: cache[f"{kind}_bytes"] for kind in ("used", "free", "wasted")}
    yield _gauge("howdah_opcache_memory_bytes", "OPcache's memory by use", memory, "use")
    yield _counter("howdah_opcache_hits", "Scripts found in OPcache", cache["hits"])
    yield _counter("howdah_opcache_misses", "Scripts that had to be compiled", cache["misses"])
    asked = cache["hits"] + cache["misses"]
    yield _gauge("howdah_opcache_hit_ratio", "Part of scripts found in OPcache", cache["hits"] / asked if asked else 0)
    restarts = {kind: cache[f"{kind}_restarts"] for kind in ("oom", "hash", "manual")}
    yield _counter("howdah_opcache_restarts", "Restarts of OPcache as it counts them, by reason", restarts, "reason")
    yield _gauge("howdah_opcache_restart_pending", "1 while OPcache waits for a wipe", float(cache["restart_pending"]))
