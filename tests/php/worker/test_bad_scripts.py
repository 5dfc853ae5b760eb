"""What scripts should not do, in both modes where both can: nobody else is hurt, and the log says what happened."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.php.harness.parallel import fetch_parallel, run_parallel
from tests.php.harness.raw import get
from tests.php.harness.server import SCRIPTS, Server, ServerFactory
from tests.php.harness.waiting import wait_until
from tests.php.harness.workers import WORKERS, in_mode, in_worker, worker_script

pytestmark = pytest.mark.log_noise("PHP (Fatal|Warning|Parse)|Uncaught|Stack trace|thrown in|^#|Next ")
modes = pytest.mark.parametrize("mode", ["classic", "worker"])


def own_script(make: ServerFactory, name: str, trace: Path, num: int = 1, **runtime: object) -> Server:
    worker = {"file": str(WORKERS / name), "num": num, "env": {"TRACE": str(trace)}}
    return make({"any": {"root": str(SCRIPTS)}}, workers=[worker], runtime={"num_threads": num + 1, **runtime})


# -- the loop ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["stop", "restart", "max_requests"])
def test_a_script_that_ignores_false_is_ended_at_its_third_call(
    own_sites: ServerFactory, tmp_path: Path, why: str
) -> None:
    trace = tmp_path / "falses"
    server = own_script(own_sites, "ignores_false.php", trace, max_requests=3 if why == "max_requests" else 0)
    assert server.get("/worker/ignores_false.php").text == "answer"
    began = time.monotonic()
    if why == "stop":
        assert server.terminate() == 0
    elif why == "restart":
        assert server.restart_workers() == ""
    else:
        for _ in range(6):
            assert server.get("/worker/ignores_false.php").text == "answer"
    assert time.monotonic() - began < 5
    assert trace.read_text() == "2"
    line = server.wait_for_log(".*ignored the false.*")[0]
    assert " WARN" in line
    assert "ignores_false.php" in line


def test_asking_for_a_request_inside_of_one_is_an_exception_and_loses_nothing(
    own_sites: ServerFactory, tmp_path: Path
) -> None:
    server = own_script(own_sites, "nested.php", tmp_path, num=2)
    answers = fetch_parallel(server.url, lambda i: {"url": f"/worker/nested.php?i={i}"})
    assert [answer.text for answer in answers] == [f"outer {i};RuntimeException;outer ends" for i in range(100)]
    assert server.worker()["crashes"] == 0


def test_asking_for_a_request_while_the_script_or_a_request_ends_does_no_harm(
    own_sites: ServerFactory, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    server = own_script(own_sites, "late_callers.php", trace)
    for _ in range(3):
        assert server.get("/worker/late_callers.php").text == "answer refused"
    assert server.terminate() == 0
    assert trace.read_text() == "shutdown false"


def test_a_loop_inside_a_fiber_serves_requests(own_sites: ServerFactory, tmp_path: Path) -> None:
    server = own_script(own_sites, "in_fiber.php", tmp_path, num=2)
    answers = fetch_parallel(server.url, lambda i: {"url": f"/worker/in_fiber.php?i={i}"})
    assert [answer.text for answer in answers] == [f"suspended resumed {i}" for i in range(100)]


def test_fibers_and_generators_in_requests_of_100_clients(own_sites: ServerFactory) -> None:
    server = in_worker(own_sites, worker_script(num=3))
    answers = fetch_parallel(
        server.url,
        lambda i: {
            "method": "POST",
            "url": f"/fiber.php?i={i}",
            "content": "x" * i,
            "headers": {"content-type": "a/b"},
        },
    )
    for i, answer in enumerate(answers):
        assert answer.text == f"in suspended resumed {i} end {i}"


# -- processes --------------------------------------------------------------------------------------


def test_children_of_a_worker_do_their_work_and_serve_nobody(own_sites: ServerFactory, tmp_path: Path) -> None:
    server = own_script(own_sites, "forks.php", tmp_path)
    for number in (1, 2, 3):
        answer = get(server.port, "/worker/forks.php")
        seen = json.loads(answer.body)
        assert seen["number"] == number, "a child took a request"
        assert seen["returned"] is True
        assert set(seen["statuses"].values()) == {7}
    assert (tmp_path / "boot").exists()
    assert (tmp_path / "between").exists()
    assert server.worker()["crashes"] == 0


@modes
def test_a_child_of_a_request_ends_by_itself(own_sites: ServerFactory, tmp_path: Path, mode: str) -> None:
    server = in_mode(own_sites, mode)
    for number in range(3):
        seen = server.json(f"/fork.php?trace={tmp_path}/child{number}")
        assert seen == {"child": 3, "exited": True}
        assert Path(f"{tmp_path}/child{number}.end").exists()


# -- ends -------------------------------------------------------------------------------------------


@modes
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("memory", "Allowed memory size"),
        ("memory in pieces", "Allowed memory size"),
        ("recursion", "Allowed memory size"),
        ("exception in a destructor", "in a destructor"),
        ("exception at the end", "in a destructor"),
        ("exception in a buffer", "in a buffer"),
        ("error handler", "from the error handler"),
        ("timeout", "Maximum execution time"),
    ],
)
def test_a_bad_end_is_told_in_the_log_and_hurts_no_neighbour(
    own_sites: ServerFactory, mode: str, how: str, words: str
) -> None:
    server = in_mode(own_sites, mode, threads=2)
    mark = server.log_mark()

    def request(i: int) -> dict[str, object]:
        return {"url": f"/hello.php?i={i}"} if i % 2 else {"url": "/ending.php", "params": {"how": how, "quiet": 1}}

    answers = fetch_parallel(server.url, request, 8)
    assert [answer.text for answer in answers[1::2]] == [f"request {i}" for i in range(1, 8, 2)]
    server.wait_for_log(re.escape(words), since=mark)
    assert server.get("/hello.php?i=1").text == "request 1"


@modes
@pytest.mark.skipif("asan" in sys.executable, reason="the sanitizer ends the process")
@pytest.mark.log_noise(".")
def test_an_overflow_of_the_stack_in_c_ends_the_process_and_says_where(own_sites: ServerFactory, mode: str) -> None:
    server = in_mode(own_sites, mode)
    answered = run_parallel(lambda i: _status(server, f"/c_recursion.php?secret={i}"), 1)
    if answered[0] != 0:  # a PHP that knows its stack makes an error of it
        assert answered[0] in {200, 500}
        assert server.get("/hello.php?i=1").text == "request 1"
        return
    code = server.wait_ended(10)
    assert code == -signal.SIGSEGV
    report = server.log()
    assert "c_recursion.php" in report
    assert re.search(r"thread\D{1,3}\d", report)
    assert "/c_recursion.php?secret=0" in report


def _status(server: Server, target: str) -> int:
    try:
        return get(server.port, target).status
    except (AssertionError, OSError):  # the connection broke
        return 0


@modes
@pytest.mark.parametrize("how", ["", "exit", "exception", "fatal"])
def test_a_transaction_and_a_lock_left_open_are_given_up_with_their_variables(
    own_sites: ServerFactory, tmp_path: Path, mode: str, how: str
) -> None:
    server = in_mode(own_sites, mode, threads=2)
    for _ in range(5):
        text = server.get(f"/left_open.php?folder={tmp_path}&how={how}").text
        assert text.startswith('{"rows":1,"locked":true}'), text


@pytest.mark.may_leak
@modes
def test_what_a_script_keeps_open_is_its_own_until_it_ends(own_sites: ServerFactory, tmp_path: Path, mode: str) -> None:
    server = in_mode(own_sites, mode, ini={"display_errors": "1"})
    target = f"/left_open.php?folder={tmp_path}&keep=1"
    assert server.get(target).text.startswith('{"rows":1,"locked":true}')
    if mode == "worker":
        assert "database is locked" in server.get(target).text
        server.wait_for_log("database is locked")
        server.get("/ending.php?how=exit")
    assert server.get(target).text.startswith('{"rows":1,"locked":true}')


@modes
def test_an_exception_handler_that_throws_hurts_nobody(own_sites: ServerFactory, mode: str) -> None:
    server = in_mode(own_sites, mode)
    for number in range(3):
        mark = server.log_mark()
        assert "handled: request" in server.get(f"/ending.php?how=exception&handler=throws&i={number}").text
        server.wait_for_log("from the exception handler", since=mark)
        assert server.get(f"/hello.php?i={number}").text == f"request {number}"


# -- files ------------------------------------------------------------------------------------------


def test_a_worker_whose_script_is_deleted_goes_on_and_says_so_when_it_must_boot(
    own_sites: ServerFactory, tmp_path: Path
) -> None:
    script = tmp_path / "app.php"
    text = (
        "<?php while (frankenphp_handle_request(function () { if (isset($_GET['exit'])) { exit(0); } echo 'works'; }));"
    )
    script.write_text(text)
    (tmp_path / "hello.php").write_text((SCRIPTS / "hello.php").read_text())
    worker = {"file": str(script), "num": 1, "match": ["/api/*"]}
    runtime = {"num_threads": 2, "php_ini": {"opcache.revalidate_freq": "0"}}
    server = own_sites({"any": {"root": str(tmp_path), "workers": [worker]}}, runtime=runtime)
    assert server.get("/api/x").text == "works"
    script.unlink()
    for _ in range(5):
        assert server.get("/api/x").text == "works"
    mark = server.log_mark()
    server.get("/api/x?exit=1")
    wait_until(lambda: server.get("/api/x").status_code == 503, "requests to be refused")
    server.wait_for_log(r"app\.php", since=mark)
    assert server.get("/hello.php?i=1").text == "request 1"
    script.write_text(text)
    wait_until(lambda: server.get("/api/x").text == "works", "the worker to recover", timeout_s=6)


def test_a_script_deleted_in_classic_mode_is_404(own_server: ServerFactory, tmp_path: Path) -> None:
    script = tmp_path / "app.php"
    script.write_text("<?php echo 'works';")
    server = own_server(tmp_path, "--num-threads", "2")
    assert server.get("/app.php").text == "works"
    script.unlink()
    assert {server.get("/app.php").status_code for _ in range(5)} == {404}
