"""Time limits and the slow log over a native extension that is a fake."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from howdah.config.model import RuntimeConfig
from howdah.runtime import dump, limits, slowlog
from howdah.runtime.event import Event
from howdah.runtime.limits import TimeLimits


@dataclass
class FakeRequest:
    id: int = 1
    slot: int = 0
    timeout_s: float = 0.0
    running_s: float = 0.0
    finished_early: bool = False
    label: str = "GET /x.php?a=b c"
    given_up: list[int] = field(default_factory=list)

    @property
    def times_s(self) -> tuple[float, float]:
        return 0.25, self.running_s

    def give_up(self, status: int) -> None:
        self.given_up.append(status)


class FakeNative:
    """Scripts that go on whatever is done to them."""

    def __init__(self) -> None:
        self.kills: list[tuple[int, int, str, int, int]] = []
        self.running = {1}
        self.taken = 0
        self.traces: list[str | None] = []
        self.asked = 0

    def thread_kill(self, *arguments: Any) -> bool:
        self.kills.append(arguments)
        return True

    def thread_kills(self, slot: int, number: int) -> int:
        return self.taken if number in self.running else -1

    def trace(self, slot: int, number: int, timeout_s: float) -> str | None:
        self.asked += 1
        return self.traces.pop(0) if self.traces else None

    def slot_info(self, slot: int) -> dict[str, Any]:
        busy = slot == 0
        return {
            "state": "ready", "thread_id": 10 + slot if slot < 2 else 0, "request_id": 1 if busy else 0, "since_s": 1.23456,
            "requests": 5, "memory_bytes": 7, "current": "GET /x.php" if busy else "",
        }  # fmt: skip


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> FakeNative:
    fake = FakeNative()
    for module in (limits, slowlog, dump):
        monkeypatch.setattr(module, "native", fake)
    return fake


@pytest.fixture
def events(caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level(logging.DEBUG, "howdah.runtime")
    return lambda: [record.msg for record in caplog.records if isinstance(record.msg, Event)]


def sweep(limits: TimeLimits, request: Any, clock: Clock, seconds: float) -> list[bool]:
    """Enforce every 20 ms while the request runs on."""
    late = []
    for _ in range(round(seconds / 0.02)):
        late.append(limits.enforce(request))
        clock.now += 0.02
        request.running_s += 0.02
    return late


def make(clock: Clock, **fields: float) -> TimeLimits:
    return TimeLimits(RuntimeConfig(**fields), clock=clock, worker_of=lambda slot: f"worker {slot}")  # type: ignore[arg-type]


def test_nothing_happens_within_the_limit_or_without_one(native: FakeNative) -> None:
    clock = Clock()
    assert not any(sweep(make(clock, request_timeout_s=1.0), FakeRequest(), clock, 0.9))
    assert not any(sweep(make(clock), FakeRequest(), clock, 5.0))
    assert not any(sweep(make(clock, request_timeout_s=1.0), FakeRequest(slot=-1, running_s=9), clock, 0.1))
    assert native.kills == []
    assert not make(clock).is_active


def test_a_request_over_its_time_is_killed_in_stages_with_504(native: FakeNative) -> None:
    clock = Clock()
    assert any(sweep(make(clock, request_timeout_s=1.0), FakeRequest(), clock, 1.8))
    stages = [kill[4] for kill in native.kills]
    assert stages[0] == 1
    assert set(stages) == {1, 2, 3}
    assert native.kills[0][:4] == (0, 1, "request_timeout of 1 s reached", 504)


def test_a_limit_of_the_site_wins_over_that_of_the_runtime(native: FakeNative) -> None:
    clock = Clock()
    limits = make(clock, request_timeout_s=1.0)
    assert not any(sweep(limits, FakeRequest(timeout_s=3.0), clock, 2.0))
    assert sweep(limits, FakeRequest(timeout_s=0.5, running_s=0.6), clock, 0.1)[0]
    assert "0.5 s" in native.kills[0][2]


def test_a_script_that_survives_is_reported_once_and_its_client_answered(native: FakeNative, events: Any) -> None:
    clock = Clock()
    stuck: list[tuple[int, int]] = []
    limits = make(clock, request_timeout_s=1.0)
    limits.on_stuck = lambda slot, number: stuck.append((slot, number))
    request = FakeRequest()
    native.traces = ["#0 system()"]
    sweep(limits, request, clock, 6.0)
    assert stuck == [(0, 1)]
    assert request.given_up == [504]
    (event,) = events()
    assert "stuck" in event.message
    assert event.attributes["request"] == "GET /x.php?a=b c"
    assert event.attributes["backtrace"] == "#0 system()"


def test_what_ended_is_forgotten(native: FakeNative) -> None:
    clock = Clock()
    limits = make(clock, request_timeout_s=0.1)
    for number in range(1, 50):
        native.running = {number}
        sweep(limits, FakeRequest(id=number, running_s=1.0), clock, 0.1)
    assert len(limits._late) == 1
    native.running = set()
    limits.enforce(FakeRequest(id=49, running_s=1.0))  # type: ignore[arg-type]
    assert not limits._late


def test_a_slow_request_is_logged_once_while_it_runs(native: FakeNative, events: Any) -> None:
    clock = Clock()
    limits = make(clock, slow_request_threshold_s=0.5)
    assert limits.is_active
    native.traces = [None, "#0 sleep()"]
    request = FakeRequest()
    sweep(limits, request, clock, 2.0)
    limits.report(request)  # type: ignore[arg-type]
    (event,) = events()
    assert event.message == "slow request"
    assert event.attributes["method"] == "GET"
    assert event.attributes["uri"] == "/x.php?a=b c"
    assert 0.5 <= event.attributes["duration_s"] < 0.6
    assert event.attributes["queue_s"] == 0.25
    assert event.attributes["thread"] == 0
    assert event.attributes["worker"] == "worker 0"
    assert event.attributes["backtrace"] == "#0 sleep()"


def test_a_slow_request_without_a_backtrace_is_logged_all_the_same(native: FakeNative, events: Any) -> None:
    clock = Clock()
    sweep(make(clock, slow_request_threshold_s=0.5), FakeRequest(), clock, 2.0)
    (event,) = events()
    assert event.attributes["backtrace"] is None
    assert native.asked < 20


def test_a_slow_request_that_no_sweep_has_seen_is_logged_at_its_end(native: FakeNative, events: Any) -> None:
    limits = make(Clock(), slow_request_threshold_s=0.5)
    limits.report(FakeRequest(id=1, running_s=0.6))  # type: ignore[arg-type]
    limits.report(FakeRequest(id=2, running_s=0.4))  # type: ignore[arg-type]
    assert [event.attributes["request_id"] for event in events()] == [1]


def test_a_script_that_goes_on_after_its_response_is_not_logged_twice(native: FakeNative, events: Any) -> None:
    clock = Clock()
    limits = make(clock, slow_request_threshold_s=0.5)
    request = FakeRequest(running_s=0.6, finished_early=True)
    limits.report(request)  # type: ignore[arg-type]
    sweep(limits, request, clock, 1.0)
    assert len(events()) == 1


def test_the_slow_log_keeps_a_bounded_number_of_requests(native: FakeNative) -> None:
    limits = make(Clock(), slow_request_threshold_s=0.5)
    for number in range(3000):
        limits.enforce(FakeRequest(id=number, running_s=1.0))  # type: ignore[arg-type]
    assert len(limits._slow._known) == 1000


def test_a_dump_tells_what_every_thread_does(native: FakeNative) -> None:
    native.traces = ["#0 sleep()"]
    busy, idle, empty = dump.dump(range(3))
    assert busy == {
        "thread": 0, "worker": "", "state": "ready", "thread_id": 10, "request": "GET /x.php", "request_id": 1, "since_s": 1.235, "requests": 5,
        "memory_bytes": 7, "backtrace": "#0 sleep()",
    }  # fmt: skip
    assert idle["backtrace"] is None
    assert empty["thread_id"] == 0
    assert native.asked == 2  # there is nobody in the third slot
