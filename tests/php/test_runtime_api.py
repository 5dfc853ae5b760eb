"""howdah.Runtime without any HTTP server. One runtime fits a process, so each test is a small program."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.php.harness.commands import python

_SETUP = """
import asyncio, json, os, sys, threading, time
import howdah
from howdah import Request, Response, Runtime, SiteConfig
from howdah.errors import *
site = SiteConfig(root=".")
def request(target, **more):
    return Request(method=more.pop("method", "GET"), target=target, headers=more.pop("headers", [(b"host", b"a")]), site=site, **more)
"""


def run(source: str, *, code: int = 0, timeout_s: float = 20) -> Any:
    """Run a program after the setup and give what it prints as JSON."""
    result = python(_SETUP + source, timeout_s=timeout_s)
    assert result.returncode == code, result.stderr + result.stdout
    assert "Fatal Python error" not in result.stderr
    return json.loads(result.stdout) if result.stdout.strip() else None


def test_handle_runs_a_script_and_gives_its_response() -> None:
    seen = run("""
runtime = Runtime(num_threads=2)
runtime.start()
answer = runtime.handle(request(b"/headers.php?i=5"))
print(json.dumps([runtime.ready, answer.status, answer.body.decode(), [[k.decode(), v.decode()] for k, v in answer.headers]]))
runtime.stop()
""")
    ready, status, body, headers = seen
    assert (ready, status, body) == (True, 201, "created")
    assert ["x-plain", "5"] in [[name.lower(), value] for name, value in headers]


def test_handle_async_runs_many_scripts_at_once() -> None:
    seen = run("""
runtime = Runtime(num_threads=4)
runtime.start()
async def main():
    answers = await asyncio.gather(*(runtime.handle_async(request(b"/hello.php?i=%d" % i)) for i in range(100)))
    return [answer.body.decode() for answer in answers]
print(json.dumps(asyncio.run(main())))
runtime.stop()
""")
    assert seen == [f"request {i}" for i in range(100)]


def test_handle_can_be_called_from_many_threads() -> None:
    seen = run("""
from concurrent.futures import ThreadPoolExecutor
runtime = Runtime(num_threads=2)
runtime.start()
with ThreadPoolExecutor(20) as pool:
    print(json.dumps(list(pool.map(lambda i: runtime.handle(request(b"/hello.php?i=%d" % i)).body.decode(), range(200)))))
runtime.stop()
""")
    assert seen == [f"request {i}" for i in range(200)]


def test_a_body_reaches_the_script() -> None:
    seen = run("""
runtime = Runtime(num_threads=1)
runtime.start()
answer = runtime.handle(request(b"/input.php", method="POST", headers=[(b"host", b"a"), (b"content-type", b"a/b"), (b"content-length", b"5")], body=b"hello"))
big = runtime.handle(request(b"/large_request.php", method="POST", headers=[(b"content-type", b"a/b")], body=b"x" * 3000000))
print(json.dumps([answer.body.decode(), big.body.decode()]))
runtime.stop()
""")
    assert seen[0] == "got: hello"
    assert seen[1].startswith("3000000 ")


def test_statistics_add_up() -> None:
    seen = run("""
runtime = Runtime(num_threads=2)
runtime.start()
for i in range(50):
    runtime.handle(request(b"/hello.php?i=%d" % i))
try:
    runtime.handle(request(b"/no-such.php"))
except ScriptNotFound:
    pass
numbers = runtime.statistics()
print(json.dumps(numbers.as_dict()))
runtime.stop()
""")
    assert seen["completed"] >= 50
    assert seen["accepted"] == seen["completed"] + sum(seen["rejected"].values()) + seen["aborted"]
    assert seen["queue_waiting"] == 0


def test_a_missing_script_is_404_or_an_error_that_says_so() -> None:
    seen = run("""
runtime = Runtime(num_threads=1)
runtime.start()
try:
    print(json.dumps(runtime.handle(request(b"/no-such.php")).status))
except ScriptNotFound as error:
    print(json.dumps(error.status))
runtime.stop()
""")
    assert seen == 404


def test_calls_that_do_not_fit_the_state_say_so() -> None:
    seen = run("""
runtime = Runtime(num_threads=1)
errors = []
def attempt(call):
    try:
        call()
        errors.append("none")
    except HowdahError as error:
        errors.append(type(error).__name__ + ": " + str(error))
attempt(lambda: runtime.handle(request(b"/hello.php")))
runtime.start()
attempt(lambda: Runtime(num_threads=3).start())
runtime.stop()
attempt(lambda: runtime.handle(request(b"/hello.php")))
runtime.stop()
print(json.dumps([errors, runtime.ready]))
""")
    errors, ready = seen
    assert all(error.startswith(("EngineStateError", "Draining", "ConfigError")) for error in errors), errors
    assert not ready


@pytest.mark.parametrize(
    ("ini", "text"),
    [
        ('{"opcache.preload": "/no/such/preload.php", "opcache.preload_user": "root"}', "/no/such/preload.php"),
        ('{"opcache.preload": os.path.abspath("parse_error.php"), "opcache.preload_user": "root"}', "parse_error.php"),
        ('{"opcache.preload": os.path.abspath("lib/preload.php")}', "preload_user"),
        ('{"opcache.lockfile_path": "/no/such/folder"}', "set opcache.lockfile_path"),
    ],
    ids=["missing preload", "broken preload", "preload as root", "bad lock file"],
)
def test_a_bad_ini_is_an_engine_start_error_with_phps_text(ini: str, text: str) -> None:
    seen = run(f"""
if os.getuid() != 0 and {text!r} == "preload_user":
    print(json.dumps("EngineStartError preload_user"))
    sys.exit()
try:
    Runtime(num_threads=1, php_ini={ini}).start()
    print(json.dumps("started"))
except EngineStartError as error:
    print(json.dumps("EngineStartError " + str(error)))
""")
    assert seen.startswith("EngineStartError")
    assert text in seen


def test_an_extension_that_cannot_be_loaded_is_named_in_a_warning() -> None:
    seen = run("""
import logging
told = []
class Keep(logging.Handler):
    def emit(self, record):
        told.append([record.levelname, record.getMessage()])
logging.getLogger().addHandler(Keep())
runtime = Runtime(num_threads=1, php_ini={"extension": "no_such_extension"})
runtime.start()
runtime.stop()
print(json.dumps(told))
""")
    assert any(level == "WARNING" and "no_such_extension" in text for level, text in seen)


def test_after_a_refused_start_another_start_works() -> None:
    seen = run("""
try:
    Runtime(num_threads=1, php_ini={"opcache.lockfile_path": "/no/such/folder"}).start()
except EngineStartError:
    pass
runtime = Runtime(num_threads=1)
runtime.start()
print(json.dumps(runtime.handle(request(b"/hello.php?i=1")).body.decode()))
runtime.stop()
""")
    assert seen == "request 1"


@pytest.mark.parametrize("fields", ["num_threads=0", "num_threads=4, max_threads=2", "max_queue=-1", "grace_s=-1.0"])
def test_impossible_settings_are_a_configuration_error(fields: str) -> None:
    seen = run(f"""
try:
    Runtime({fields})
    print(json.dumps("accepted"))
except ConfigError as error:
    print(json.dumps(str(error)))
""")
    assert fields.split("=", maxsplit=1)[0].removesuffix("_s") in seen or "max_threads" in seen


def test_a_program_that_forgets_to_stop_ends() -> None:
    start = time.monotonic()
    assert (
        run("""
runtime = Runtime(num_threads=2)
runtime.start()
print(json.dumps(runtime.handle(request(b"/hello.php?i=1")).status))
""")
        == 200
    )
    assert time.monotonic() - start < 7


def test_a_program_that_raises_ends_with_its_own_error() -> None:
    start = time.monotonic()
    result = python(
        _SETUP
        + """
runtime = Runtime(num_threads=2)
runtime.start()
threading.Thread(target=lambda: runtime.handle(request(b"/sleep.php?ms=30000")), daemon=True).start()
while runtime.statistics().idle_threads == runtime.statistics().num_threads:
    time.sleep(0.01)
raise KeyError("the program's own mistake")
"""
    )
    assert time.monotonic() - start < 7
    assert result.returncode == 1
    assert "the program's own mistake" in result.stderr


def test_stop_is_bounded_while_a_script_runs() -> None:
    seen = run("""
runtime = Runtime(num_threads=1)
runtime.start()
def call():
    try:
        runtime.handle(request(b"/sleep.php?ms=30000"))
    except HowdahError:
        pass
thread = threading.Thread(target=call, daemon=True)
thread.start()
while runtime.statistics().idle_threads == runtime.statistics().num_threads:
    time.sleep(0.01)
start = time.monotonic()
runtime.stop(1.0)
print(json.dumps(time.monotonic() - start), flush=True)
""")
    assert 0.5 < seen < 5


def test_stop_can_be_called_twice_and_start_again_is_clear() -> None:
    seen = run("""
runtime = Runtime(num_threads=1)
runtime.start()
runtime.stop()
runtime.stop()
try:
    runtime.start()
    print(json.dumps(runtime.handle(request(b"/hello.php?i=2")).body.decode()))
    runtime.stop()
except EngineStateError as error:
    print(json.dumps(str(error)))
""")
    assert seen


def test_after_a_fork_the_runtime_of_the_child_is_dead() -> None:
    seen = run("""
runtime = Runtime(num_threads=1)
runtime.start()
reader, writer = os.pipe()
pid = os.fork()
if pid == 0:
    try:
        runtime.handle(request(b"/hello.php"))
        text = "answered"
    except EngineStateError as error:
        text = "EngineStateError " + str(error)
    except BaseException as error:
        text = repr(error)
    os.write(writer, text.encode())
    sys.exit(0)
os.close(writer)
told = os.read(reader, 1000).decode()
_, status = os.waitpid(pid, 0)
print(json.dumps([told, os.waitstatus_to_exitcode(status), runtime.handle(request(b"/hello.php?i=7")).body.decode()]))
runtime.stop()
""")
    told, code, body = seen
    assert told.startswith("EngineStateError")
    assert code == 0
    assert body == "request 7", "the parent's runtime lives on"


def test_a_cancelled_call_gives_its_request_up() -> None:
    seen = run("""
runtime = Runtime(num_threads=1)
runtime.start()
async def main():
    busy = asyncio.create_task(runtime.handle_async(request(b"/sleep.php?ms=300")))
    await asyncio.sleep(0.05)
    queued = asyncio.create_task(runtime.handle_async(request(b"/hello.php?i=1")))
    await asyncio.sleep(0.05)
    queued.cancel()
    try:
        await queued
    except asyncio.CancelledError:
        pass
    await busy
    numbers = runtime.statistics()
    return [numbers.completed, numbers.open]
print(json.dumps(asyncio.run(main())))
runtime.stop()
""")
    assert seen == [1, 0]


def test_two_event_loops_one_after_the_other_can_use_a_runtime() -> None:
    seen = run("""
runtime = Runtime(num_threads=1)
runtime.start()
async def main(i):
    return (await runtime.handle_async(request(b"/hello.php?i=%d" % i))).body.decode()
print(json.dumps([asyncio.run(main(1)), asyncio.run(main(2))]))
runtime.stop()
""")
    assert seen == ["request 1", "request 2"]


def test_python_keeps_working_after_the_engine_has_started() -> None:
    seen = run("""
import locale, signal, subprocess
runtime = Runtime(num_threads=2)
before = [os.getcwd(), locale.setlocale(locale.LC_ALL), str(signal.getsignal(signal.SIGINT)), dict(os.environ) == dict(os.environ)]
runtime.start()
runtime.handle(request(b"/leave_traces.php?how=normal&i=1"))
after = [os.getcwd(), locale.setlocale(locale.LC_ALL), str(signal.getsignal(signal.SIGINT)), "HOWDAH_TEST_TRACE" not in os.environ]
print(json.dumps([before, after, subprocess.run(["echo", "child"], capture_output=True, text=True).stdout]))
runtime.stop()
""")
    before, after, child = seen
    assert before == after
    assert child == "child\n"


def test_the_default_number_of_threads_is_twice_the_usable_cores() -> None:
    seen = run("""
runtime = Runtime()
runtime.start()
print(json.dumps([runtime.statistics().num_threads, len(os.sched_getaffinity(0))]))
runtime.stop()
""")
    threads, cores = seen
    assert threads <= 2 * cores
    assert threads >= 1
