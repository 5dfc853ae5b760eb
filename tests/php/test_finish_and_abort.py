"""fastcgi_finish_request, clients that leave, and ignore_user_abort."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.php.harness.parallel import fetch_parallel, run_parallel
from tests.php.harness.raw import RawConnection
from tests.php.harness.server import Server
from tests.php.harness.waiting import wait_until


def _request(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def _start_and_leave(server: Server, target: str, trace: Path, *, reset: bool = False) -> float:
    """Send a request, wait until its script has begun, leave; give the time of leaving."""
    with RawConnection(server.port) as connection:
        connection.send(_request(target))
        wait_until(trace.exists, "the script to begin")
        if reset:
            connection.reset()
    return time.time()


def _ended_at(trace: Path, timeout_s: float = 5.0) -> tuple[float, int]:
    end = Path(f"{trace}.end")
    wait_until(lambda: end.exists() and end.read_text(), "the script to end", timeout_s=timeout_s)
    moment, status = end.read_text().split()
    return float(moment), int(status)


def test_only_output_before_finish_is_delivered(served: Server) -> None:
    mark = served.log_mark()
    for i, answer in enumerate(fetch_parallel(served.url, lambda i: {"url": f"/finish.php?i={i}"})):
        assert answer.text == f"before finish {i}"
    for i in range(100):
        served.wait_for_log(rf"finish {i} first=1 second=0 status=0", since=mark)


def test_the_client_does_not_wait_for_what_follows_finish(served: Server, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    mark = served.log_mark()
    answer = served.get(f"/finish.php?i=1&gate={gate}")
    assert answer.text == "before finish 1"
    assert "finish 1 first=1" not in served.log_since(mark)
    gate.touch()
    served.wait_for_log("finish 1 first=1 second=0 status=0", since=mark)


def test_a_connection_is_usable_again_right_after_finish(served: Server, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    mark = served.log_mark()
    with served.client() as client:
        client.get(f"/finish.php?i=8&gate={gate}")
        assert client.get("/hello.php?i=2").text == "request 2"
        gate.touch()
        served.wait_for_log("finish 8 ", since=mark)


def test_the_body_can_be_read_after_finish(served: Server) -> None:
    mark = served.log_mark()
    answer = served.post("/finish.php?i=9&body=1", content=b"x" * 200_000, headers={"content-type": "a/b"})
    assert answer.text == "before finish 9"
    served.wait_for_log("finish 9 .*length=200000", since=mark)


def test_a_client_that_leaves_after_finish_is_no_abort(served: Server, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    mark = served.log_mark()
    served.get(f"/finish.php?i=4&gate={gate}")
    gate.touch()
    served.wait_for_log("finish 4 first=1 second=0 status=0", since=mark)


@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
@pytest.mark.parametrize("size", [8, 50_000], ids=["small pieces", "spooled pieces"])
def test_a_script_that_prints_every_100_ms_ends_300_ms_after_its_client_left(
    served: Server, tmp_path: Path, size: int, reset: bool
) -> None:
    trace = tmp_path / "trace"
    left = _start_and_leave(served, f"/ticking.php?trace={trace}&size={size}", trace, reset=reset)
    ended, status = _ended_at(trace)
    assert ended - left < 0.3
    assert status == 1


def test_four_scripts_at_once_end_when_their_clients_leave(classic: Server, tmp_path: Path) -> None:
    def one(i: int) -> float:
        trace = tmp_path / f"trace{i}"
        left = _start_and_leave(classic, f"/ticking.php?trace={trace}", trace)
        return _ended_at(trace)[0] - left

    assert max(run_parallel(one, 4)) < 0.4


def test_ignore_user_abort_lets_the_script_end_by_itself(served: Server, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    _start_and_leave(served, f"/ticking.php?trace={trace}&ignore=1&ticks=10", trace)
    _, status = _ended_at(trace)
    assert Path(f"{trace}.full").exists()
    assert status == 1, "the script can still see that nobody listens"


@pytest.mark.parametrize("finish", [False, True], ids=["without finish", "after finish"])
def test_connection_status_tells_that_the_client_left(served: Server, tmp_path: Path, finish: bool) -> None:
    mark = served.log_mark()

    def one(i: int) -> None:
        trace = tmp_path / f"trace{i}"
        _start_and_leave(served, f"/connection.php?trace={trace}" + ("&finish=1" if finish else ""), trace)
        Path(f"{trace}.gone").touch()

    run_parallel(one, 4)
    # After finish the state of that moment is kept: the client was still there.
    expected = "connection status 0 aborted 0" if finish else "connection status 1 aborted 1"
    wait_until(lambda: served.log_since(mark).count(expected) == 4, f"4 x {expected!r}")


def test_a_script_without_output_is_not_disturbed_by_its_client_leaving(served: Server, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    _start_and_leave(served, f"/ticking.php?trace={trace}&size=0&ticks=3&noflush=1", trace)
    _ended_at(trace)
    assert Path(f"{trace}.full").exists()


def test_a_client_that_leaves_is_counted_as_aborted(served: Server, tmp_path: Path) -> None:
    before = served.statistics()["aborted"]
    trace = tmp_path / "trace"
    _start_and_leave(served, f"/ticking.php?trace={trace}", trace)
    _ended_at(trace)
    wait_until(lambda: served.statistics()["aborted"] == before + 1, "one more aborted request")


@pytest.mark.parametrize(
    "where", ["fiber", "shutdown", "destructor", "late destructor", "generator", "buffer", "callback", "try", "session"]
)
def test_a_script_that_prints_in_an_unusual_place_ends_when_its_client_leaves(
    classic: Server, tmp_path: Path, where: str
) -> None:
    def one(i: int) -> None:
        trace = tmp_path / f"trace{i}"
        target = f"/ticking_inside.php?where={where.replace(' ', '%20')}&trace={trace}"
        _start_and_leave(classic, target, trace)
        wait_until(lambda: not _is_growing(trace), "the script to stop printing")
        assert not Path(f"{trace}.full").exists()

    run_parallel(one, 4)
    assert classic.get("/hello.php?i=1").text == "request 1"


def _is_growing(trace: Path) -> bool:
    before = trace.read_text()
    time.sleep(0.2)
    return before != trace.read_text()
