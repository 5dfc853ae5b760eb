"""Histograms of request times by site and worker, cheap enough to be fed by every request.

prometheus-client's own histograms take a lock and a dictionary of labels per observation, which costs five times
as much; its families are only made when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from threading import get_ident
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from prometheus_client.core import Metric

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_FIRST_S = BOUNDS_S[0]
_N_BUCKETS = len(BOUNDS_S) + 1
_LABELS = ("site", "worker")
_NAMES = (
    ("howdah_request_duration_seconds", "Time from the arrival of a request to the end of its script, queue included"),
    ("howdah_request_queue_seconds", "Time that a request waited for a PHP thread"),
    ("howdah_request_php_seconds", "Time that a script ran for a request"),
)


class _Series:
    """The counts of one site and worker, written by one thread."""

    __slots__ = ("codes", "php", "php_s", "queue", "queue_s", "total", "total_s")

    def __init__(self) -> None:
        self.total = [0] * _N_BUCKETS
        self.queue = [0] * _N_BUCKETS
        self.php = [0] * _N_BUCKETS
        self.total_s = self.queue_s = self.php_s = 0.0
        self.codes = [0] * 10

    def add(self, other: _Series) -> None:
        for mine, others in zip(self._lists(), other._lists(), strict=True):
            mine[:] = map(sum, zip(mine, others, strict=True))
        self.total_s += other.total_s
        self.queue_s += other.queue_s
        self.php_s += other.php_s

    def _lists(self) -> tuple[list[int], ...]:
        return self.total, self.queue, self.php, self.codes

    def histograms(self) -> tuple[tuple[list[int], float], ...]:
        return (self.total, self.total_s), (self.queue, self.queue_s), (self.php, self.php_s)


class RequestTimes:
    """Counts the ends of requests; `observe` goes into ``Runtime.observers``.

    Each thread counts in series of its own, so that no count is lost and nothing is locked.
    """

    def __init__(self) -> None:
        self._threads: dict[int, dict[tuple[str, str], _Series]] = {}

    def observe(self, site: str, worker: str, status: int, queue_s: float, php_s: float) -> None:
        """Count a request; callable from any thread."""
        ident = get_ident()
        try:
            series = self._threads[ident][site, worker]
        except KeyError:
            series = self._threads.setdefault(ident, {}).setdefault((site, worker), _Series())
        total_s = queue_s + php_s
        if total_s <= _FIRST_S:  # and so are its parts
            series.total[0] += 1
            series.queue[0] += 1
            series.php[0] += 1
        else:
            bucket = bisect_left(BOUNDS_S, total_s)
            series.total[bucket] += 1
            series.queue[bisect_left(BOUNDS_S, queue_s) if queue_s > _FIRST_S else 0] += 1
            # Most of the time is PHP's, which then is in the same bucket.
            series.php[bucket if php_s > BOUNDS_S[bucket - 1] else bisect_left(BOUNDS_S, php_s)] += 1
        series.total_s += total_s
        series.queue_s += queue_s
        series.php_s += php_s
        series.codes[status // 100 % 10] += 1

    def families(self, known: Sequence[tuple[str, str]] = ()) -> Iterator[Metric]:
        """Give the histograms, and the answers by class of status.

        Args:
            known: site and worker of series that are shown before their first request.
        """
        merged = {labels: _Series() for labels in known}
        for shard in list(self._threads.values()):
            for labels, series in list(shard.items()):
                merged.setdefault(labels, _Series()).add(series)
        for number, (name, text) in enumerate(_NAMES):
            family = HistogramMetricFamily(name, text, labels=_LABELS)
            for labels, series in merged.items():
                counts, sum_s = series.histograms()[number]
                family.add_metric(labels, _cumulated(counts), sum_s)
            yield family
        answers = CounterMetricFamily(
            "howdah_responses", "Requests that PHP has ended, by class of status", labels=(*_LABELS, "code")
        )
        for labels, series in merged.items():
            for digit, count in enumerate(series.codes):
                if count:
                    answers.add_metric((*labels, f"{digit}xx" if digit else "none"), count)
        yield answers


def _cumulated(counts: Sequence[int]) -> list[tuple[str, float]]:
    total = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*map(floatToGoString, BOUNDS_S), "+Inf"), counts, strict=True):
        total += count
        buckets.append((bound, total))
    return buckets
