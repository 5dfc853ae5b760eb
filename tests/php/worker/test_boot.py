"""What a worker's script sees before its first request, and where it goes what it prints outside of requests."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.server import SCRIPTS, Server, ServerFactory
from tests.php.harness.workers import ANY, WORKERS, in_worker, worker_script


@pytest.fixture(scope="module")
def booted(module_sites: ServerFactory) -> Server:
    """A worker that noted everything while it booted."""
    worker = worker_script(boot="headers", env={"OF_WORKER": "worker"})
    return in_worker(module_sites, worker, ini={"variables_order": "EGPCS"}, env={"CUSTOM_OS_ENV_VARIABLE": "system"})


def test_the_boot_looks_like_a_request_without_a_client(booted: Server) -> None:
    seen = booted.json("/at_boot.php")
    server = seen["server"]
    assert server["SCRIPT_FILENAME"] == str(ANY)
    assert server["DOCUMENT_ROOT"] in {str(ANY.parent), str(SCRIPTS)}
    assert server["REQUEST_METHOD"] == "GET"
    assert server.get("REQUEST_URI", "") == ""
    assert server.get("QUERY_STRING", "") == ""
    assert server["FRANKENPHP_WORKER"] == "1"
    assert server["OF_WORKER"] == "worker"
    assert server["CUSTOM_OS_ENV_VARIABLE"] == "system"
    assert not [name for name in server if name.startswith(("HTTP_", "PHP_AUTH"))]
    assert seen["get"] == [[], [], [], [], []]
    assert seen["input"] == ""
    assert seen["session"] == [False, "", 1]
    assert seen["abort"] == [1, 0]


def test_functions_about_a_request_do_no_harm_while_booting(booted: Server) -> None:
    seen = booted.json("/at_boot.php")
    assert seen["headers"] == [[], []]
    assert (seen["finish"], seen["response"]) == (True, True)


def test_headers_and_status_of_the_boot_reach_no_client(own_sites: ServerFactory) -> None:
    server = in_worker(own_sites, worker_script(boot="headers", match=["/hello.php", "/at_boot.php"]))
    for number in range(3):
        answer = server.get(f"/hello.php?i={number}")
        assert answer.status_code == 200
        assert "x-left-at-boot" not in answer.headers
        assert "set-cookie" not in answer.headers


def test_the_worker_mark_is_1_while_booting_and_absent_in_requests(booted: Server) -> None:
    seen = booted.json("/environment.php")
    assert seen["at boot"]["env"]["FRANKENPHP_WORKER"] == "1"
    assert seen["at boot"]["getenv"]["FRANKENPHP_WORKER"] == "1"
    assert "FRANKENPHP_WORKER" not in seen["server"]


def test_output_outside_of_requests_is_logged_and_reaches_no_client(own_server: ServerFactory) -> None:
    server = own_server(SCRIPTS, "--worker", f"{WORKERS}/chatty.php,1", "--num-threads", "2")
    for number in range(1, 4):
        answer = server.get("/worker/chatty.php")
        assert (answer.status_code, answer.text) == (200, f"answer {number}")
        assert "x-between" not in answer.headers
        assert "x-boot-header" not in answer.headers
    for said in ("said while booting", "in two lines", "said after request 1", "said after request 3"):
        assert " INFO " in server.wait_for_log(f".*{said}.*")[0]
    server.wait_for_log("noticed while booting")
    assert server.terminate() == 0
    log = server.log()
    assert log.count("said after the loop") == 1
    for line in log.splitlines():
        assert "said" not in line or re.match(r"\d{4}-\d\d-\d\d .*INFO", line), "output past the log"


# -- variables ------------------------------------------------------------------------------------


def _environment(server: Server, host: str = "any") -> dict[str, Any]:
    seen: dict[str, Any] = server.json("/environment.php", headers={"host": host})
    return seen


def test_variables_of_the_worker_are_seen_while_booting_and_those_of_the_site_in_requests(
    own_sites: ServerFactory,
) -> None:
    worker = worker_script(boot="note", num=2, env={"OF_WORKER": "worker", "BOTH": "of worker"})
    site = {"root": str(SCRIPTS), "workers": [worker], "env": {"OF_SITE": "site", "BOTH": "of site"}}
    server = own_sites({"any": site}, runtime={"num_threads": 3, "php_ini": {"variables_order": "EGPCS"}})
    for answer in fetch_parallel(server.url, lambda i: {"url": "/environment.php"}, 40):
        seen = answer.json()
        for kind in ("server", "env", "getenv"):
            boot = seen["at boot"][kind]
            assert (boot["OF_SITE"], boot["OF_WORKER"], boot["BOTH"]) == ("site", "worker", "of worker")
        assert seen["at boot"]["child"] == "site worker of worker"
        assert seen["server"] == {"OF_SITE": "site", "BOTH": "of site"}
        assert seen["getenv"]["OF_SITE"] == seen["one"] == seen["child"] == "site"
        assert seen["getenv"]["BOTH"] == "of site"
        assert seen["getenv"]["OF_WORKER"] == "worker"


def test_a_shared_worker_shows_each_request_the_variables_of_its_own_site_only(own_sites: ServerFactory) -> None:
    worker = {"file": str(SCRIPTS / "worker" / "site_variables.php"), "num": 2}
    sites = {
        "a.example": {"root": str(SCRIPTS), "env": {"OF_SITE": "a"}},
        "b.example": {"root": str(SCRIPTS), "env": {"OF_SITE": "b", "OF_OTHER": "secret of b"}},
        "c.example": {"root": str(SCRIPTS)},
    }
    server = own_sites(sites, workers=[worker], runtime={"num_threads": 3, "php_ini": {"variables_order": "EGPCS"}})
    expected = {"a": {"OF_SITE": "a"}, "b": {"OF_SITE": "b", "OF_OTHER": "secret of b"}, "c": {}}

    def request(i: int) -> dict[str, Any]:
        return {"url": "/worker/site_variables.php", "headers": {"host": f"{'abc'[i % 3]}.example"}}

    for i, answer in enumerate(fetch_parallel(server.url, request)):
        seen = answer.json()
        own = expected["abc"[i % 3]]
        assert seen["server"] == own
        assert {name: value for name, value in seen["getenv"].items() if name.startswith("OF_")} == own
        assert not [name for name in seen["env"] if name.startswith("OF_")]
        assert seen["one"] == own.get("OF_SITE", False)
        assert seen["child"] == own.get("OF_SITE", "")


def test_variables_of_the_site_are_seen_after_the_script_called_putenv(own_sites: ServerFactory) -> None:
    worker = worker_script(boot="putenv")
    site = {"root": str(SCRIPTS), "workers": [worker], "env": {"OF_SITE": "site"}}
    server = own_sites(
        {"any": site},
        runtime={"num_threads": 2, "php_ini": {"variables_order": "EGPCS"}},
        env={"CUSTOM_OS_ENV_VARIABLE": "system"},
    )
    for _ in range(3):
        seen = _environment(server)
        assert seen["getenv"]["OF_SITE"] == seen["one"] == seen["child"] == "site"
        assert (seen["getenv"]["FROM_BOOT"], seen["env"]["FROM_BOOT"]) == ("boot", "boot")
        assert seen["getenv"]["CUSTOM_OS_ENV_VARIABLE"] == "of boot", "what putenv() set while booting wins"
        assert seen["server"]["CUSTOM_OS_ENV_VARIABLE"] == "system"
        prepared = server.json("/env_prepared.php?name=OF_SITE")
        assert prepared["after_putenv"] == prepared["all"] == "site"


@pytest.mark.parametrize("opcache", ["0", "1"])
def test_a_script_that_waits_for_requests_does_not_hold_its_file_open(own_sites: ServerFactory, opcache: str) -> None:
    server = in_worker(own_sites, worker_script(num=2), ini={"opcache.enable": opcache})
    assert [path for path in server.descriptors() if path.endswith(".php")] == []
    server.get("/ending.php?how=exit")
    assert server.get("/hello.php").status_code == 200
    assert [path for path in server.descriptors() if path.endswith(".php")] == []


def test_without_e_in_variables_order_a_worker_has_no_env_either(own_sites: ServerFactory) -> None:
    server = in_worker(
        own_sites, worker_script(boot="note", env={"OF_WORKER": "worker"}), ini={"variables_order": "GPCS"}
    )
    seen = _environment(server)
    assert seen["at boot"]["env"] == []
    assert seen["at boot"]["server"]["OF_WORKER"] == "worker"
    assert seen["at boot"]["getenv"]["OF_WORKER"] == "worker"
    assert seen["env"] == {}
