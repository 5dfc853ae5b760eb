"""After each request a worker is as it was at its first `frankenphp_handle_request()`, unless that is switched off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.php.harness.parallel import fetch_parallel, run_parallel
from tests.php.harness.server import SCRIPTS, Server, ServerFactory
from tests.php.harness.workers import in_worker, worker_script

_ENVIRONMENT = {"CUSTOM_OS_ENV_VARIABLE": "of the system"}
_RESTORED = [
    "env", "env of the system", "putenv", "putenv of the system", "putenv unset", "precision", "memory_limit", "session.name",
    "session.gc_maxlifetime", "session.name while open", "include_path", "error_reporting", "display_errors", "time limit",
    "timezone", "date.timezone", "locale", "locale of numbers", "umask", "folder", "error handler", "error handlers",
    "exception handler", "ignore_user_abort",
]  # fmt: skip
_ALWAYS_NEW = ["status", "header", "cookie", "header callback", "output buffer", "session", "superglobals"]
# What removes something that only a script has that set it before.
_ONLY_AFTER_BOOT = ["no error handler", "no exception handler"]
# What the switch leaves as a request left it, and the entry of the state that shows it.
_PERSISTS = {
    "env": "env", "env of the system": "env of the system", "putenv": "putenv", "putenv unset": "putenv of the system",
    "precision": "precision", "include_path": "include_path", "error_reporting": "error_reporting",
    "session.name": "session.name", "timezone": "timezone", "locale": "locale", "umask": "umask of a file", "folder": "folder",
    "error handler": "error handler", "exception handler": "exception handler", "ignore_user_abort": "ignore_user_abort",
}  # fmt: skip


def _start(make: ServerFactory, folder: Path, *, boot: str = "", num: int = 1, **worker: Any) -> Server:
    ini = {"variables_order": "EGPCS", "session.save_path": str(folder), "display_errors": "1"}
    return in_worker(make, worker_script(num=num, boot=boot, **worker), env=_ENVIRONMENT, ini=ini)


@pytest.fixture(scope="module")
def plain(module_sites: ServerFactory, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A script that sets nothing before its first request."""
    return _start(module_sites, tmp_path_factory.mktemp("sessions"))


@pytest.fixture(scope="module")
def settled(module_sites: ServerFactory, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A script that sets everything before its first request."""
    return _start(module_sites, tmp_path_factory.mktemp("sessions"), boot="state")


@pytest.fixture
def open_ended(own_sites: ServerFactory, tmp_path: Path) -> Server:
    """A script whose baseline is not restored."""
    return _start(own_sites, tmp_path, boot="state", reset_to_baseline=False)


def state(server: Server, change: str = "") -> dict[str, Any]:
    seen: dict[str, Any] = server.get("/state.php", params={"change": change}).json()
    return seen


def test_a_script_that_sets_nothing_starts_from_the_ini(plain: Server) -> None:
    seen = state(plain)
    expected: dict[str, Any] = {
        "precision": "14", "memory_limit": "128M", "session.name": "PHPSESSID",
        "env": None, "env of the system": "of the system", "putenv": False, "putenv of the system": "of the system",
        "timezone": "UTC", "umask": 0o022, "umask of a file": 0o644, "error handler": None, "exception handler": None,
        "ignore_user_abort": 1, "connection_status": 0, "status": 200, "headers": [], "buffers": 0,
    }  # fmt: skip
    assert {name: seen[name] for name in expected} == expected


def test_what_the_script_set_before_its_first_request_stays(settled: Server) -> None:
    seen = state(settled)
    expected = {
        "precision": "11", "memory_limit": "222M", "session.name": "BOOTED", "session.gc_maxlifetime": "222",
        "include_path": "/of/boot", "env": "of boot", "putenv": "of boot", "putenv of the system": "of boot",
        "all of getenv": {"HOWDAH_TEST_STATE": "of boot", "CUSTOM_OS_ENV_VARIABLE": "of boot"}, "timezone": "Europe/Paris",
        "umask": 0o027, "umask of a file": 0o640, "folder": "/usr", "error handler": "booted_error_handler",
        "exception handler": "booted_exception_handler", "ignore_user_abort": 1,
    }  # fmt: skip
    assert {name: seen[name] for name in expected} == expected
    assert "C.UTF-8" in seen["locale"]
    assert state(settled) == seen


@pytest.mark.parametrize("kind", [*_RESTORED, *_ALWAYS_NEW])
@pytest.mark.parametrize("which", ["plain", "settled"])
def test_what_a_request_changed_is_gone_in_the_next(request: pytest.FixtureRequest, which: str, kind: str) -> None:
    server: Server = request.getfixturevalue(which)
    clean = state(server)
    changed = state(server, kind)
    if kind != "header callback":
        assert changed != clean, "the test changes nothing"
    assert state(server) == clean
    assert state(server) == clean


@pytest.mark.parametrize("kind", _ONLY_AFTER_BOOT)
def test_what_a_request_removed_is_back_in_the_next(settled: Server, kind: str) -> None:
    clean = state(settled)
    assert state(settled, kind) != clean
    assert state(settled) == clean


def test_everything_changed_at_once_is_gone_in_the_next_request(settled: Server) -> None:
    clean = state(settled)
    for _ in range(20):
        state(settled, ",".join([*_RESTORED[:-1], *_ALWAYS_NEW[:4]]))
        assert state(settled) == clean


def test_traces_of_100_requests_at_once_stay_theirs(own_sites: ServerFactory, tmp_path: Path) -> None:
    server = _start(own_sites, tmp_path, boot="state", num=4)
    kinds = [kind for kind in _RESTORED if not kind.startswith("session")]
    clean = state(server)

    def request(i: int) -> dict[str, Any]:
        return {"url": "/state.php", "params": {"change": kinds[i % len(kinds)] if i % 2 else ""}}

    for _ in range(3):
        answers = fetch_parallel(server.url, request)
        assert all(answer.json() == clean for answer in answers[::2])


def test_two_requests_at_once_never_see_each_others_locale_umask_and_folder(
    own_sites: ServerFactory, tmp_path: Path
) -> None:
    server = _start(own_sites, tmp_path, num=4)
    clean = state(server)
    for _ in range(5):
        answers = fetch_parallel(server.url, lambda i: {"url": f"/per_thread.php?i={i}&folder={tmp_path}"}, 8)
        for i, answer in enumerate(answers):
            seen = answer.json()
            assert seen["before"]["umask"] == 0o022
            assert seen["before"]["locale"] == clean["locale"]
            assert seen["before"]["decimal"] == "1.500000"
            assert (seen["cwd"], seen["umask"], seen["mode"]) == (f"{tmp_path}/{i}", i, 0o666 & ~i)
            assert seen["native"] == ("C" if i % 2 else "C.UTF-8")
            (tmp_path / str(i) / "made").unlink()
        assert state(server) == clean


@pytest.mark.parametrize("kind", sorted(_PERSISTS))
def test_with_the_switch_off_it_stays_as_the_request_left_it(open_ended: Server, kind: str) -> None:
    entry = _PERSISTS[kind]
    clean = state(open_ended)
    changed = state(open_ended, kind)
    assert changed[entry] != clean[entry]
    assert state(open_ended)[entry] == changed[entry]


def test_what_belongs_to_a_request_is_new_with_the_switch_off_too(open_ended: Server) -> None:
    clean = state(open_ended)
    for kind in _ALWAYS_NEW:
        state(open_ended, kind)
        assert state(open_ended) == clean, kind


def test_a_classic_request_beside_it_sees_nothing_of_a_workers_state(own_sites: ServerFactory, tmp_path: Path) -> None:
    worker = worker_script(num=1, boot="state", match=["/state.php"])
    server = in_worker(
        own_sites, worker, env=_ENVIRONMENT, ini={"variables_order": "EGPCS", "session.save_path": str(tmp_path)}
    )
    clean = server.json("/find_traces.php")

    def one(i: int) -> Any:
        if i % 2:
            return state(server, "umask,locale,timezone,putenv,folder,precision") and clean
        return server.json("/find_traces.php")

    assert all(seen == clean for seen in run_parallel(one, 60, threads=6))
    assert (clean["umask"], clean["timezone"], clean["precision"], clean["getenv"]) == (0o022, "UTC", "14", False)
    assert clean["cwd"] == str(SCRIPTS)
