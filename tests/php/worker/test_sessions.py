"""Sessions of a worker: nothing of a visitor is left for the next one, and no lock stays, however a request ended."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.php.harness.parallel import fetch_parallel, run_parallel
from tests.php.harness.raw import RawConnection
from tests.php.harness.server import Server, ServerFactory
from tests.php.harness.waiting import wait_until
from tests.php.harness.workers import in_mode, in_worker, worker_script

pytestmark = pytest.mark.log_noise(
    "PHP (Fatal|Warning)|with an open session|Stack trace|thrown in|^#|from the save handler"
)
_NOTHING = [False, "", 1]
_ENDINGS = ["", "exit", "exit 1", "exception", "fatal", "timeout"]


@pytest.fixture(scope="module")
def two(module_sites: ServerFactory, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Two worker threads with PHP's own session files."""
    folder = tmp_path_factory.mktemp("sessions")
    return in_worker(
        module_sites, worker_script(num=2), ini={"session.save_path": str(folder), "session.use_strict_mode": "0"}
    )


@pytest.fixture(scope="module")
def one(module_sites: ServerFactory, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """One worker thread, so that the next request runs where the last one did."""
    return in_worker(module_sites, ini={"session.save_path": str(tmp_path_factory.mktemp("sessions"))})


def visit(server: Server, **query: str) -> dict[str, Any]:
    """Send a request and give the JSON that stands before whatever else was printed."""
    text = server.get("/session_handler.php", params=query).text
    seen, _ = json.JSONDecoder().raw_decode(text)
    return dict(seen)


@pytest.mark.parametrize("how", _ENDINGS)
def test_other_visitors_see_nothing_of_a_session_however_it_was_left(one: Server, how: str) -> None:
    left = visit(one, secret="of the first visitor", how=how)
    assert left["session"]["secret"] == "of the first visitor"
    for _ in range(2):
        seen = visit(one)
        assert seen["before"] == _NOTHING
        assert seen["session"] == {"count": 1}
    assert one.json("/session_peek.php")["before"] == {"set": False, "id": "", "status": 1}


@pytest.mark.parametrize("how", _ENDINGS)
def test_a_session_left_open_is_written_and_its_lock_is_gone(two: Server, how: str) -> None:
    visitor = f"visitor{how.replace(' ', '')}"
    for count in (1, 2, 3):
        began = time.monotonic()
        seen = visit(two, id=visitor, how=how)
        assert seen["session"]["count"] == count
        assert time.monotonic() - began < 3, "it waited for a lock"


def test_exit_with_an_open_session_delivers_its_output_and_the_worker_is_back_soon(one: Server) -> None:
    began = time.monotonic()
    assert visit(one, secret="kept by exit", how="exit 1")["session"]["secret"] == "kept by exit"
    assert visit(one)["session"] == {"count": 1}
    assert time.monotonic() - began < 2


def test_sessions_of_100_visitors_with_100_endings_are_kept_apart(two: Server) -> None:
    def visits(i: int) -> list[Any]:
        ending = ["", "exit", "exception", ""][i % 4]
        return [visit(two, id=f"many{i}", secret=f"of {i}", how=ending)["session"] for _ in range(2)]

    for i, seen in enumerate(run_parallel(visits, threads=20)):
        assert seen == [{"count": n, "secret": f"of {i}"} for n in (1, 2)]


# -- save handlers in PHP ---------------------------------------------------------------------------


def test_a_save_handler_set_before_the_loop_serves_every_request(own_sites: ServerFactory, tmp_path: Path) -> None:
    worker = worker_script(boot="sessions", env={"SESSION_FOLDER": str(tmp_path)}, num=2)
    server = in_worker(own_sites, worker)
    for count in (1, 2, 3):
        seen = visit(server, id="me", close="1")
        assert seen["before"] == _NOTHING
        assert seen["session"] == {"count": count}
        assert seen["calls"] == ["open", "read", "write", "close"]
        assert seen["handler"] == "user"
    assert (tmp_path / "data-me").read_text() == "count|i:3;"
    answers = fetch_parallel(server.url, lambda i: {"url": f"/session_handler.php?id=parallel{i % 10}"})
    counts = sorted(answer.json()["session"]["count"] for answer in answers)
    assert counts == sorted(list(range(1, 11)) * 10)


def test_a_save_handler_that_a_request_set_does_no_harm_to_the_next(one: Server, tmp_path: Path) -> None:
    for number in range(1, 4):
        own = visit(one, handler=str(tmp_path), id="own", close="1")
        assert own["calls"] == ["open", "read", "write", "close"]
        assert own["session"] == {"count": number}
        plain = visit(one)
        assert plain["session"] == {"count": 1}
        assert plain["before"] == _NOTHING


def test_the_session_is_written_by_the_requests_own_handler_when_it_is_left_open(one: Server, tmp_path: Path) -> None:
    visit(one, handler=str(tmp_path), id="open", secret="written")
    assert 'secret|s:7:"written"' in (tmp_path / "data-open").read_text()
    visit(one)
    assert "count|i:1;" in (tmp_path / "data-open").read_text(), "the next request's session went elsewhere"


@pytest.mark.parametrize("how", _ENDINGS)
def test_a_handler_in_php_writes_and_unlocks_however_the_request_ends(
    own_sites: ServerFactory, tmp_path: Path, how: str
) -> None:
    worker = worker_script(boot="sessions", env={"SESSION_FOLDER": str(tmp_path)}, num=2)
    server = in_worker(own_sites, worker)
    for count in (1, 2, 3):
        began = time.monotonic()
        assert visit(server, id="me", how=how)["session"]["count"] == count
        assert time.monotonic() - began < 3, "it waited for a lock"


def test_a_handler_in_php_that_throws_is_told_and_hurts_nobody_else(own_sites: ServerFactory, tmp_path: Path) -> None:
    worker = worker_script(boot="sessions", env={"SESSION_FOLDER": str(tmp_path)}, num=2)
    server = in_worker(own_sites, worker)
    for count in (1, 2):
        mark = server.log_mark()
        visit(server, id="thrower", throw="1")
        server.wait_for_log("from the save handler", since=mark)
        assert visit(server, id="me")["session"] == {"count": count}
        assert visit(server, id="thrower")["session"]["count"] == count


@pytest.mark.parametrize("where", ["script", "save handler"])
@pytest.mark.parametrize("kind", ["files", "user"])
def test_a_client_that_leaves_releases_the_sessions_lock(
    own_sites: ServerFactory, tmp_path: Path, kind: str, where: str
) -> None:
    if kind == "files" and where == "save handler":
        pytest.skip("PHP's own handler prints nothing")
    trace = tmp_path / "trace"
    worker = worker_script(num=2)
    if kind == "user":
        worker = worker_script(num=2, boot="sessions", env={"SESSION_FOLDER": str(tmp_path)})
    server = in_worker(own_sites, worker, ini={"session.save_path": str(tmp_path), "session.use_strict_mode": "0"})
    how = f"how=abort&trace={trace}" if where == "script" else f"print={trace}"
    for _ in range(2):
        trace.unlink(missing_ok=True)
        with RawConnection(server.port) as connection:
            connection.send(f"GET /session_handler.php?id=leaver&{how} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            wait_until(trace.exists, "the script to begin")
        began = time.monotonic()
        seen = visit(server, id="leaver")
        assert time.monotonic() - began < 3, "the session was still locked"
        assert seen["before"] == _NOTHING
        assert visit(server, id="another")["before"] == _NOTHING


def test_requests_of_one_session_wait_for_each_other_across_threads(two: Server) -> None:
    answers = fetch_parallel(two.url, lambda i: {"url": "/session_handler.php?id=shared"}, 40)
    assert sorted(answer.json()["session"]["count"] for answer in answers) == list(range(1, 41))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["classic", "worker"])
def test_a_handler_in_php_that_runs_out_of_time_with_the_lock_does_not_keep_it(
    own_sites: ServerFactory, tmp_path: Path, mode: str
) -> None:
    """Three requests of one session on two threads: one holds the lock, one gets it and is ended inside the handler."""
    server = in_mode(own_sites, mode, threads=2)
    trace, gate, hang = (tmp_path / name for name in ("trace", "gate", "hang"))
    query = f"GET /session_handler.php?id=me&handler={tmp_path}"
    with RawConnection(server.port) as holder, RawConnection(server.port) as hanging:
        holder.send(f"{query}&how=hold&trace={trace}&gate={gate} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        wait_until(trace.exists, "the first request to hold the lock")
        hanging.send(f"{query}&hang={hang} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        wait_until(lambda: server.running() == 2, "the second request to wait for the lock")
        gate.touch()
        assert holder.read_response().status == 200
        wait_until(hang.exists, "the second request to have the lock")
        began = time.monotonic()
        seen = visit(server, id="me", handler=str(tmp_path))
        assert time.monotonic() - began < 5, "it waited for a lock that nobody holds"
        assert seen["session"] == {"count": 2}
        hanging.read_response()
