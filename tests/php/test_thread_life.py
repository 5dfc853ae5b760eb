"""Life of PHP threads in classic mode: replacement of unhealthy ones, soft kill, stuck ones, the life-cycle table.

One runtime fits a process, so each test is a small program.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.php.harness.commands import python

_STATES = Path(__file__).parents[2] / "tools" / "states.toml"

_SETUP = """
import json, logging, os, sys, threading, time
from pathlib import Path
from howdah import Request, Runtime
from howdah.engine.native import native
from howdah.runtime.site import Site
from howdah.config.model import SiteConfig
site = Site(SiteConfig(root="."))
def request(target, **more):
    return Request(target=target, site=site, **more)
def until(condition, bound_s=5):
    deadline = time.monotonic() + bound_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.005)
lines = []
class Lines(logging.Handler):
    def emit(self, record):
        lines.append(record.getMessage())
logging.getLogger("howdah").addHandler(Lines())
def timers():
    return Path("/proc/self/timers").read_text().count("notify:")
"""


def run(source: str, *, code: int = 0, timeout_s: float = 30) -> Any:
    """Run a program after the setup and give what it prints as JSON."""
    result = python(_SETUP + source, timeout_s=timeout_s)
    assert result.returncode == code, result.stderr + result.stdout
    return json.loads(result.stdout) if result.stdout.strip() else None


def test_a_thread_that_fails_in_request_start_up_is_replaced_and_its_client_answered() -> None:
    seen = run("""
runtime = Runtime(num_threads=1, php_ini={"memory_limit": "2M", "max_input_vars": "1000000"})
runtime.start()
form = b"&".join(b"field%d=1" % i for i in range(40000))
head = [(b"content-type", b"application/x-www-form-urlencoded"), (b"content-length", b"%d" % len(form))]
statuses, threads = [], set()
for _ in range(5):
    statuses.append(runtime.handle(request(b"/count_post.php", method="POST", headers=head, body=form)).status)
    statuses.append(runtime.handle(request(b"/hello.php")).status)
    threads.add(runtime.statistics().threads[0].thread_id)
statistics = runtime.statistics()
until(lambda: sum("in the start-up" in line for line in lines) == 5)
reasons = [line for line in lines if "in the start-up" in line]
numbers = [len(threads), statistics.threads[0].lives, statistics.open, statistics.completed]
print(json.dumps([statuses, *numbers, reasons, timers()]))
runtime.stop()
""")
    statuses, threads, lives, still_open, completed, reasons, timers = seen
    assert statuses == [500, 200] * 5
    assert all("the thread is replaced (Allowed memory size of" in reason for reason in reasons), reasons
    assert timers == 2, "of the thread and of php-main: those of the threads that are gone are gone, too"
    assert threads == 5
    assert lives == 6
    assert still_open == 0
    assert completed == 10


@pytest.mark.slow
def test_a_request_that_has_used_up_its_stack_leaves_the_next_one_a_thread_that_is_well() -> None:
    """Once a second OPcache is asked for its state at the end of a request, which needs memory of PHP's own.

    It failed after endless recursion; then PHP deleted the timer that the thread takes from request to request.
    """
    seen = run("""
runtime = Runtime(num_threads=1, php_ini={"display_errors": "1"})
runtime.start()
def text(target):
    return runtime.handle(request(target)).body.decode()
answers = [text(b"/hello.php?i=1")]
time.sleep(1.1)  # the second that is to pass
answers += [text(b"/ending.php?how=recursion"), text(b"/hello.php?i=2")]
thread = runtime.statistics().threads[0]
print(json.dumps([answers, thread.lives, timers(), [line for line in lines if "PHP failed" in line]]))
runtime.stop()
""")
    answers, lives, timers, failures = seen
    assert (answers[0], answers[2]) == ("request 1", "request 2")
    assert answers[1].count("Allowed memory size of") == 1
    assert lives == 1
    assert timers == 2, "of the thread and of php-main"
    assert failures == []


def test_a_killed_request_ends_at_once_and_the_next_one_is_innocent() -> None:
    seen = run("""
runtime = Runtime(num_threads=1)
runtime.start()
answers = []
thread = threading.Thread(target=lambda: answers.append(runtime.handle(request(b"/spin.php"))))
thread.start()
until(lambda: native.slot_info(0)["request_id"] != 0)
number = native.slot_info(0)["request_id"]
refused = native.thread_kill(0, number + 1, "somebody else")
began = time.monotonic()
killed = native.thread_kill(0, number, "the test wants it")
thread.join(5)
took = time.monotonic() - began
late = native.thread_kill(0, number, "too late")
print(json.dumps([refused, killed, late, answers[0].status, took, runtime.handle(request(b"/hello.php")).status]))
runtime.stop()
""")
    refused, killed, late, status, took, next_status = seen
    assert (refused, killed, late) == (False, True, False)
    assert status == 503
    assert took < 1
    assert next_status == 200


def test_a_stuck_thread_bounds_the_stop_and_is_named() -> None:
    result = python(
        _SETUP
        + """
import logging
logging.basicConfig(level=logging.INFO)
runtime = Runtime(num_threads=2, grace_s=0.2)
runtime.start()
threading.Thread(target=lambda: runtime.handle(request(b"/busy_in_c.php")), daemon=True).start()
until(lambda: any(native.slot_info(slot)["request_id"] for slot in (0, 1)))
began = time.monotonic()
clean = runtime.stop()
states = sorted(native.slot_state(slot) for slot in (0, 1))
print(json.dumps([clean, time.monotonic() - began, states]))
sys.stdout.flush()
os._exit(0)
""",
        timeout_s=30,
    )
    assert result.returncode == 0, result.stderr
    clean, took, states = json.loads(result.stdout)
    assert clean is False
    assert took < 4
    assert states == ["reserved", "stuck"]
    assert "are stuck" in result.stderr
    assert "busy_in_c.php" in result.stderr


def test_a_runtime_can_be_started_again_after_its_stop() -> None:
    seen = run("""
bodies = []
for count in (1, 3, 2):
    runtime = Runtime(num_threads=count)
    runtime.start()
    bodies.append(runtime.handle(request(b"/hello.php?i=%d" % count)).body.decode())
    assert runtime.stop()
print(json.dumps(bodies))
""")
    assert seen == ["request 1", "request 3", "request 2"]


@pytest.mark.parametrize("start", [state["name"] for state in tomllib.loads(_STATES.read_text())["state"]])
def test_only_transitions_of_the_table_are_possible(start: str) -> None:
    table = tomllib.loads(_STATES.read_text())
    names = [state["name"] for state in table["state"]]
    legal = [change["to"] for change in table["transition"] if change["from"] == start]
    path = _path_to(table["transition"], start)
    seen = run(f"""
native.start(b"", (), {len(names) + 1}, 1, b"/", 0)
allowed = []
for slot, name in enumerate({names!r}, start=1):
    for before, after in {path!r}:
        assert native.slot_change(slot, before, after)
    assert native.slot_state(slot) == {start!r}
    if native.slot_change(slot, {start!r}, name):
        allowed.append(name)
        assert native.slot_state(slot) == name
    else:
        assert native.slot_state(slot) == {start!r}
print(json.dumps(allowed))
sys.stdout.flush()
os._exit(0)
""")
    assert sorted(seen) == sorted(legal)


def _path_to(transitions: list[dict[str, str]], goal: str) -> list[tuple[str, str]]:
    """Give the shortest way from a free slot to a state, as (from, to) pairs."""
    ways: dict[str, list[tuple[str, str]]] = {"reserved": []}
    queue = ["reserved"]
    while queue:
        state = queue.pop(0)
        for change in transitions:
            if change["from"] == state and change["to"] not in ways:
                ways[change["to"]] = [*ways[state], (state, change["to"])]
                queue.append(change["to"])
    return ways[goal]


def test_max_requests_is_a_hard_bound_and_no_request_notices() -> None:
    seen = run("""
from concurrent.futures import ThreadPoolExecutor
import logging
class Records(logging.Handler):
    def __init__(self):
        super().__init__()
        self.texts = []
    def emit(self, record):
        self.texts.append(record.getMessage())
records = Records()
logging.getLogger("howdah.runtime").addHandler(records)
logging.getLogger("howdah.runtime").setLevel(logging.DEBUG)
runtime = Runtime(num_threads=3, max_requests=5)
runtime.start()
most = 0
def one(number):
    answer = runtime.handle(request(b"/hello.php?i=%d" % number))
    return answer.status, answer.body == b"request %d" % number
with ThreadPoolExecutor(20) as pool:
    answers = list(pool.map(one, range(200)))
statistics = runtime.statistics()
restarts = sum("max requests reached, restarting thread" in text for text in records.texts)
print(json.dumps([
    all(answer == (200, True) for answer in answers),
    sum(thread.lives for thread in statistics.threads),
    max(thread.life_requests for thread in statistics.threads),
    restarts, statistics.open]))
assert runtime.stop()
""")
    right, lives, longest, restarts, still_open = seen
    assert right
    assert lives >= 200 / 5
    assert longest <= 5
    assert restarts >= 200 // 5 - 3
    assert still_open == 0


def test_with_one_thread_requests_wait_for_the_recycle() -> None:
    seen = run("""
from concurrent.futures import ThreadPoolExecutor
runtime = Runtime(num_threads=1, max_requests=1)
runtime.start()
ids = set()
with ThreadPoolExecutor(8) as pool:
    statuses = list(pool.map(lambda number: runtime.handle(request(b"/hello.php")).status, range(50)))
print(json.dumps([statuses, runtime.statistics().threads[0].lives]))
assert runtime.stop()
""")
    statuses, lives = seen
    assert statuses == [200] * 50
    assert lives >= 50


def test_request_timeout_ends_a_script_and_frees_its_thread() -> None:
    seen = run("""
runtime = Runtime(num_threads=1, request_timeout_s=0.3, php_ini={"max_execution_time": "0"})
runtime.start()
began = time.monotonic()
status = runtime.handle(request(b"/spin.php")).status
print(json.dumps([status, time.monotonic() - began, runtime.handle(request(b"/hello.php")).status]))
assert runtime.stop()
""")
    status, took, next_status = seen
    assert (status, next_status) == (504, 200)
    assert 0.3 <= took < 1.3


def test_request_timeout_holds_after_the_response_is_finished() -> None:
    seen = run("""
import asyncio
runtime = Runtime(num_threads=1, request_timeout_s=0.3, php_ini={"max_execution_time": "0"})
runtime.start()
async def main():
    first = await runtime.handle_async(request(b"/endless.php?where=finished"))
    began = time.monotonic()
    second = await runtime.handle_async(request(b"/hello.php"))
    return first.status, second.status, time.monotonic() - began
print(json.dumps(asyncio.run(main())))
assert runtime.stop()
""")
    first, second, took = seen
    assert (first, second) == (200, 200)
    assert took < 2


def test_statistics_go_on_over_a_stop_and_count_nothing_twice() -> None:
    seen = run("""
import asyncio
runtime = Runtime(num_threads=1)
counts = []
async def main():
    for _ in range(2):
        await asyncio.to_thread(runtime.start)
        await runtime.handle_async(request(b"/hello.php"))
        await asyncio.to_thread(runtime.handle, request(b"/hello.php"))
        await asyncio.to_thread(runtime.stop)
        statistics = runtime.statistics()
        counts.append([statistics.accepted, statistics.completed, statistics.open])
asyncio.run(main())
print(json.dumps(counts))
""")
    assert seen == [[2, 2, 0], [4, 4, 0]]
