"""Backtraces of scripts that run: right, complete, and not noticed by the script."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.php.harness.commands import python

# By place: the frames from stay() outward, as function and line of lib/places.php.
PLACES = {
    "method": ["Place->method 15", "go 49"],
    "static": ["Place->method 15", "Place::fixed 20", "go 52"],
    "magic": ["Place->method 15", "Place->__call 25", "go 55"],
    "closure": ["{closure} 58", "array_map", "go 58"],
    "generator": ["inner 31", "middle 37", "outer 42", "go 61"],
    "fiber": ["{closure} 64", "Fiber->start", "go 64"],
    "anonymous": ["class@anonymous->run 70", "go 72"],
    "destructor": ["class@anonymous->__destruct 85", "go 88"],
    "exception": ["go 94"],
}

_SETUP = """
import json, os, sys, threading, time
from howdah import Request, Runtime
from howdah.engine.native import native
from howdah.runtime.site import Site
from howdah.config.model import SiteConfig
site = Site(SiteConfig(root="."))
def handle(target):
    return runtime.handle(Request(target=target, site=site))
def start(target):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(handle(target).body.decode()))
    thread.start()
    return thread, answers
def busy(bound_s=5):
    deadline = time.monotonic() + bound_s
    while time.monotonic() < deadline:
        found = [entry for entry in runtime.dump_threads() if entry["request"] and entry["backtrace"]]
        if found and "stay()" in found[0]["backtrace"] or found and "hash" in found[0]["backtrace"]:
            return found[0]["backtrace"]
    raise SystemExit("no backtrace")
"""


def run(source: str) -> Any:
    result = python(_SETUP + source, timeout_s=60)
    assert result.returncode == 0, result.stderr + result.stdout
    return json.loads(result.stdout)


def frames(backtrace: str) -> list[str]:
    """Write frames as in PLACES; the place of the main script stays away."""
    found = []
    for number, line in enumerate(backtrace.splitlines()):
        match = re.fullmatch(r"#(\d+) (\S+?)(?:\(\))?(?: at (.+):(\d+))?", line)
        assert match, line
        assert int(match[1]) == number
        name = re.sub(r"^\{closure.*\}$", "{closure}", match[2])  # 8.4 tells where it stands
        found.append(f"{name} {match[4]}" if match[4] else name)
        assert match[3] is None or match[3].endswith(("lib/places.php", "where.php", "eval()'d code")), line
    return found


@pytest.mark.parametrize("how", ["sleep", "compute"])
def test_every_kind_of_frame_is_right(how: str) -> None:
    seen = run(f"""
runtime = Runtime(num_threads=1)
runtime.start()
traces, bodies = {{}}, []
for place in {[*PLACES, "eval"]!r}:
    thread, answers = start(f"/where.php?place={{place}}&seconds=0.3&how={how}".encode())
    traces[place] = busy()
    thread.join()
    bodies += answers
print(json.dumps([traces, bodies]))
assert runtime.stop()
""")
    traces, bodies = seen
    top = ["usleep", "stay 6"] if how == "sleep" else ["stay 8"]
    for place, expected in PLACES.items():
        found = frames(traces[place])
        if how == "compute" and found[0] == "microtime":
            found = found[1:]
        if how == "compute" and found[0] in {"stay 4", "stay 5"}:
            found[0] = "stay 8"  # it was seen before its loop
        assert found == [*top, *expected, "{main} 6"], place
    assert re.search(r"eval\(\) at .*places\.php\(75\) : eval\(\)'d code:1\n#\d+ go\(\) at .*:75", traces["eval"])
    assert bodies.count("through") == len(PLACES)  # all but the one that throws: nobody noticed anything


def test_an_included_file_is_told_from_the_script(tmp_path: Any) -> None:
    (tmp_path / "part.php").write_text("<?php\nusleep(300000);\n")
    (tmp_path / "main.php").write_text("<?php\n\nrequire_once 'part.php';\n")
    seen = run(f"""
site = Site(SiteConfig(root={str(tmp_path)!r}))
runtime = Runtime(num_threads=1)
runtime.start()
thread, _ = start(b"/main.php")
trace = ""
while "usleep" not in trace:
    trace = runtime.dump_threads()[0]["backtrace"] or ""
thread.join()
print(json.dumps(trace))
runtime.stop()
""")
    assert seen == f"#0 usleep()\n#1 require_once() at {tmp_path}/part.php:2\n#2 {{main}} at {tmp_path}/main.php:3"


def test_a_deep_stack_is_cut() -> None:
    seen = run("""
runtime = Runtime(num_threads=1)
runtime.start()
thread, _ = start(b"/where.php?place=deep&seconds=0.5")
trace = busy()
thread.join()
print(json.dumps(trace))
runtime.stop()
""")
    lines = seen.splitlines()
    assert len(lines) <= 51
    assert len(seen) < 4096
    assert lines[2].startswith("#2 {closure")


def test_a_script_deep_in_one_function_of_php_is_shown() -> None:
    seen = run("""
runtime = Runtime(num_threads=1)
runtime.start()
thread, _ = start(b"/where.php?place=hash")
print(json.dumps(busy()))
thread.join()
runtime.stop()
""")
    assert frames(seen) == ["hash_pbkdf2", "go 103", "{main} 6"]


def test_idle_threads_have_no_backtrace() -> None:
    seen = run("""
runtime = Runtime(num_threads=2)
runtime.start()
handle(b"/hello.php")
print(json.dumps(runtime.dump_threads()))
runtime.stop()
""")
    assert [entry["backtrace"] for entry in seen] == [None, None]
    assert [entry["request"] for entry in seen] == ["", ""]
    assert {entry["thread"] for entry in seen} == {0, 1}


def test_tracing_disturbs_no_script() -> None:
    """Requests of every kind while all threads are traced as fast as it goes."""
    seen = run("""
runtime = Runtime(num_threads=4)
runtime.start()
stopping = threading.Event()
counts = {"traces": 0, "wrong": 0}
def trace():
    while not stopping.is_set():
        counts["traces"] += sum(entry["backtrace"] is not None for entry in runtime.dump_threads())
def client(number):
    for serial in range(150):
        body = handle(b"/where.php?place=%s&seconds=0.002&how=%s" % (
            [b"method", b"magic", b"closure", b"generator", b"fiber", b"eval"][serial % 6],
            [b"sleep", b"compute"][(serial + number) % 2])).body
        counts["wrong"] += body != b"through"
        large = handle(b"/download.php?bytes=3000000").body
        counts["wrong"] += len(large) != 3000000
tracers = [threading.Thread(target=trace) for _ in range(2)]
clients = [threading.Thread(target=client, args=(number,)) for number in range(4)]
for thread in (*tracers, *clients):
    thread.start()
for thread in clients:
    thread.join()
stopping.set()
for thread in tracers:
    thread.join()
print(json.dumps(counts))
assert runtime.stop()
""")
    assert seen["wrong"] == 0
    assert seen["traces"] > 20


def test_a_slow_request_is_logged_while_it_runs() -> None:
    seen = run("""
import asyncio, logging
from howdah.runtime.event import Event
class Records(logging.Handler):
    def emit(self, record):
        if isinstance(record.msg, Event) and record.msg.message == "slow request":
            entries.append([record.levelname, time.monotonic() - began, record.msg.attributes, str(record.msg)])
entries = []
logging.getLogger("howdah.runtime").addHandler(Records())
runtime = Runtime(num_threads=3, slow_request_threshold_s=0.2)
runtime.start()
async def main():
    targets = [b"/where.php?place=method&seconds=0.8&how=sleep", b"/where.php?place=static&seconds=0.8&how=compute", b"/hello.php"]
    return [answer.status for answer in await asyncio.gather(
        *(runtime.handle_async(Request(target=target, site=site)) for target in targets))]
began = time.monotonic()
statuses = asyncio.run(main())
by_loop, entries = entries, []
began = time.monotonic()
handle(b"/where.php?place=method&seconds=0.6&how=sleep")
print(json.dumps([statuses, by_loop, entries]))
runtime.stop()
""")
    statuses, by_loop, by_call = seen
    assert statuses == [200, 200, 200]
    assert len(by_loop) == 2
    assert len(by_call) == 1
    for level, after_s, attributes, text in (*by_loop, *by_call):
        assert level == "WARNING"
        assert 0.2 <= after_s < 0.55  # before the end of the script
        assert attributes["method"] == "GET"
        assert attributes["uri"].startswith("/where.php?place=")
        assert 0.2 <= attributes["duration_s"] < 0.55
        assert frames(attributes["backtrace"])[-1] == "{main} 6"
        assert "stay()" in attributes["backtrace"]
        assert "backtrace=" in text


def test_the_file_that_tells_system_calls_can_be_read_here() -> None:
    assert run("print(json.dumps(native.syscall_readable()))") is True
