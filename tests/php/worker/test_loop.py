"""The loop of a worker's script: which requests it gets, and what stays between them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.server import SCRIPTS, Server, ServerFactory
from tests.php.harness.workers import WORKERS, in_worker


@pytest.fixture(scope="module")
def counting(module_server: ServerFactory) -> Server:
    """One thread that runs a counting worker, one thread for the rest; both modes on one server."""
    return module_server(SCRIPTS, "--worker", f"{WORKERS}/counter.php,1", "--num-threads", "2")


def test_the_script_boots_once_and_counts_its_requests(counting: Server) -> None:
    first = counting.post("/worker/counter.php", data={"foo": "bar"}).json()
    second = counting.post("/worker/counter.php", data={"foo": "baz"}).json()
    assert second["count"] == first["count"] + 1
    assert second["boot"] == first["boot"]
    assert (first["post"], second["post"]) == ({"foo": "bar"}, {"foo": "baz"})


def test_100_requests_at_once_are_handled_one_after_the_other_by_one_thread(counting: Server) -> None:
    before = counting.json("/worker/counter.php")["count"]
    seen = [
        answer.json() for answer in fetch_parallel(counting.url, lambda i: {"url": f"/worker/counter.php?i={i}"}, 100)
    ]
    assert sorted(answer["count"] for answer in seen) == list(range(before + 1, before + 101))
    assert [answer["i"] for answer in seen] == [str(i) for i in range(100)]
    assert len({answer["boot"] for answer in seen}) == 1


def test_scripts_that_are_no_worker_run_in_classic_mode_beside_it(counting: Server) -> None:
    def request(i: int) -> dict[str, object]:
        return {"url": f"/hello.php?i={i}" if i % 2 else f"/worker/counter.php?i={i}"}

    for i, answer in enumerate(fetch_parallel(counting.url, request)):
        assert answer.text == f"request {i}" if i % 2 else answer.json()["i"] == str(i)


def test_in_classic_mode_the_function_is_an_exception_also_beside_a_worker(counting: Server) -> None:
    text = counting.get("/handle_request.php").text
    assert text.startswith("RuntimeException: ")
    assert "worker mode" in text


@pytest.mark.log_noise("PHP Fatal error")
def test_the_loop_of_a_worker_is_a_fatal_error_in_classic_mode(own_server: ServerFactory) -> None:
    server = own_server(SCRIPTS, "--num-threads", "2", ini={"display_errors": "1", "html_errors": "1"})
    text = server.get("/worker/counter.php").text
    assert "<b>Fatal error</b>" in text
    assert "RuntimeException" in text


def test_getopt_and_argv_between_requests_do_no_harm(own_sites: ServerFactory) -> None:
    worker = {"file": str(WORKERS / "getopt.php"), "num": 1, "env": {"FOO": "bar"}}
    server = own_sites(
        {"any": {"root": str(SCRIPTS)}},
        workers=[worker],
        runtime={"num_threads": 2, "php_ini": {"register_argc_argv": "1"}},
    )
    for number in range(5):
        seen = server.json(f"/worker/getopt.php?i={number}", headers={"request": f"header {number}"})
        assert seen["server"]["HTTP_REQUEST"] == f"header {number}"
        assert seen["server"]["REQUEST_URI"] == f"/worker/getopt.php?i={number}"
        assert "FRANKENPHP_WORKER" not in seen["server"]
        assert "FOO" not in seen["server"]
        assert seen["between"] == (None if number == 0 else [[], True])


def test_objects_classes_statics_generators_and_fibers_persist_in_each_thread(own_server: ServerFactory) -> None:
    server = own_server(SCRIPTS, "--worker", f"{WORKERS}/persistent.php,2", "--num-threads", "3")
    seen = [answer.json() for answer in fetch_parallel(server.url, lambda i: {"url": f"/worker/persistent.php?i={i}"})]
    assert [answer["i"] for answer in seen] == [str(i) for i in range(100)]
    assert len({answer["object"] for answer in seen}) == 1
    assert {answer["autoloaders"] for answer in seen} == {1}
    assert {answer["constant"] for answer in seen} == {"constant"}
    for answer in seen:
        count = answer["calls"]
        assert (answer["number"], answer["autoloaded"], answer["generator"], answer["fiber"]) == (
            count,
            count,
            count + 1,
            count,
        )
    counts = sorted(answer["calls"] for answer in seen)
    assert counts[-1] < 100, "two threads share the work"
    assert counts.count(1) == 2


def test_streams_that_were_opened_before_the_loop_stay_open(own_server: ServerFactory) -> None:
    server = own_server(SCRIPTS, "--worker", f"{WORKERS}/streams.php,1", "--num-threads", "2")
    bodies = [server.post("/worker/streams.php", content=f"body {n}").text for n in range(3)]
    assert bodies == [f"word{n + 1} local {n + 1} body {n}" for n in range(3)]


def test_requests_of_a_worker_do_not_add_to_its_memory(own_sites: ServerFactory) -> None:
    server = in_worker(own_sites)
    with server.client() as client:
        sizes = [int(client.post(f"/memory.php?i={i % 10}", data={"a": "b"}).text) for i in range(1200)]
    assert sizes[-1] - sizes[200] < 1200 * 8, sizes[200::100]


_OF_THE_SCRIPT = ["SCRIPT_FILENAME", "SCRIPT_NAME", "DOCUMENT_URI", "PATH_INFO", "PHP_SELF", "DOCUMENT_ROOT"]


def _of_the_script(seen: dict[str, str]) -> dict[str, str]:
    return {name: seen[name] for name in _OF_THE_SCRIPT}


def test_a_worker_found_by_its_path_is_described_like_a_script(own_server: ServerFactory) -> None:
    server = own_server(SCRIPTS, "--worker", f"{WORKERS}/server.php,2", "--num-threads", "3")

    def request(i: int) -> dict[str, object]:
        return {
            "method": "POST",
            "url": f"/worker/s%65rver.php/baz/b%20t?foo=a&i={i}",
            "content": "foo",
            "headers": {"content-type": "text/plain", "host": "example.com:81"},
            "auth": ("kevin", "password"),
        }

    for i, answer in enumerate(fetch_parallel(server.url, request)):
        seen = answer.json()
        assert _of_the_script(seen) == {
            "SCRIPT_FILENAME": f"{WORKERS}/server.php",
            "SCRIPT_NAME": "/worker/server.php",
            "DOCUMENT_URI": "/worker/server.php",
            "PATH_INFO": "/baz/b t",
            "PHP_SELF": "/worker/server.php/baz/b t",
            "DOCUMENT_ROOT": str(SCRIPTS),
        }
        assert seen["PATH_TRANSLATED"] == f"{SCRIPTS}/baz/b t"
        assert seen["REQUEST_URI"] == f"/worker/s%65rver.php/baz/b%20t?foo=a&i={i}"
        assert (seen["QUERY_STRING"], seen["REQUEST_METHOD"]) == (f"foo=a&i={i}", "POST")
        assert (seen["REMOTE_USER"], seen["PHP_AUTH_USER"], seen["PHP_AUTH_PW"]) == ("kevin", "kevin", "password")
        assert (seen["SERVER_NAME"], seen["SERVER_PORT"], seen["CONTENT_LENGTH"]) == ("example.com", "81", "3")
        assert abs(seen["REQUEST_TIME_FLOAT"] - time.time()) < 30, "refreshed for each request"


def test_a_worker_with_match_is_described_by_its_file_and_the_script_of_the_path(
    own_sites: ServerFactory, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.php"
    outside.write_text(f"<?php while (frankenphp_handle_request(function () {{ require '{SCRIPTS}/server.php'; }}));")
    workers = [
        {"file": f"{WORKERS}/server.php", "num": 1, "match": ["/in/*"]},
        {"file": str(outside), "num": 1, "match": ["/out/*"]},
    ]
    server = own_sites({"any": {"root": str(SCRIPTS), "workers": workers}}, runtime={"num_threads": 3})
    inside = {
        "SCRIPT_FILENAME": f"{WORKERS}/server.php",
        "SCRIPT_NAME": "/worker/server.php",
        "DOCUMENT_ROOT": str(SCRIPTS),
    }
    assert _of_the_script(server.json("/in/app.php/info?a=b")) == {
        **inside, "DOCUMENT_URI": "/in/app.php", "PATH_INFO": "/info", "PHP_SELF": "/worker/server.php/info"
    }  # fmt: skip
    assert _of_the_script(server.json("/in/some/path")) == {
        **inside, "DOCUMENT_URI": "", "PATH_INFO": "", "PHP_SELF": "/worker/server.php"
    }  # fmt: skip
    for path in ("/out/app.php/info", "/out/some/path"):
        seen = server.json(path)
        assert seen["SCRIPT_FILENAME"] == str(outside)
        assert seen["SCRIPT_NAME"] == seen["DOCUMENT_URI"] == seen["PATH_INFO"] == seen["PHP_SELF"] == ""
        assert seen["REQUEST_URI"] == path


# -- which worker ---------------------------------------------------------------------------------


def test_the_index_script_of_a_site_can_be_a_worker(own_server: ServerFactory, tmp_path: Path) -> None:
    (tmp_path / "index.php").write_text(_INDEX)
    (tmp_path / "file.txt").write_text("static")
    server = own_server(tmp_path, "--worker", f"{tmp_path}/index.php,2", "--num-threads", "3")
    boots = set()
    for i, answer in enumerate(fetch_parallel(server.url, lambda i: {"url": f"/article/{i}?q={i}"})):
        boots.add(answer.headers["x-boot"])
        assert answer.json() == {
            "SCRIPT_NAME": "/index.php",
            "SCRIPT_FILENAME": str(tmp_path / "index.php"),
            "REQUEST_URI": f"/article/{i}?q={i}",
            "QUERY_STRING": f"q={i}",
            "PATH_INFO": "",
        }
    assert len(boots) == 2
    assert server.get("/").headers["x-boot"] in boots
    info = server.get("/index.php/more/info")
    assert info.headers["x-boot"] in boots
    assert info.json()["PATH_INFO"] == "/more/info"
    assert server.get("/file.txt").text == "static"


_INDEX = """<?php
$boot = bin2hex(random_bytes(6));
while (frankenphp_handle_request(function () use ($boot) {
    header('Content-Type: application/json');
    header("X-Boot: $boot");
    $names = ['SCRIPT_NAME', 'SCRIPT_FILENAME', 'REQUEST_URI', 'QUERY_STRING', 'PATH_INFO'];
    echo json_encode(array_intersect_key($_SERVER, array_flip($names)));
}));
"""


def test_a_worker_found_through_a_link_is_the_same_worker(own_server: ServerFactory, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "app.php").write_text((WORKERS / "counter.php").read_text())
    (tmp_path / "linked").symlink_to("real")
    server = own_server(
        tmp_path / "linked", "--worker", str(tmp_path / "linked" / "app.php") + ",1", "--num-threads", "2"
    )
    counts = [server.json("/app.php")["count"] for _ in range(3)]
    assert counts == [counts[0], counts[0] + 1, counts[0] + 2]


def test_a_worker_with_match_gets_its_paths_whether_such_a_file_exists_or_not(own_sites: ServerFactory) -> None:
    workers = [
        {"file": str(WORKERS / "counter.php"), "num": 1, "name": "first", "match": ["/api/*", "*.json"]},
        {"file": str(WORKERS / "counter.php"), "num": 1, "name": "second", "match": ["/api/second", "/exact"]},
    ]
    server = own_sites({"any": {"root": str(SCRIPTS), "workers": workers}}, runtime={"num_threads": 3})

    def boot(path: str) -> str:
        return str(server.json(path)["boot"])

    first, second = boot("/api/x"), boot("/exact")
    assert first != second
    assert boot("/api/second") == first, "the first declared one wins"
    assert boot("/API/Upper/case") == first, "without case"
    assert boot("/data.json") == first
    assert boot("/deep/data.json") == first
    assert server.get("/hello.php?i=3").text == "request 3", "other scripts run in classic mode"
    assert server.get("/plain.txt").status_code == 200


@pytest.mark.log_noise("PHP Fatal error")
def test_the_own_path_of_a_worker_with_match_is_not_a_workers(own_sites: ServerFactory) -> None:
    worker = {"file": str(WORKERS / "counter.php"), "num": 1, "match": ["/api/*"]}
    server = own_sites(
        {"any": {"root": str(SCRIPTS), "workers": [worker]}},
        runtime={"num_threads": 2, "php_ini": {"display_errors": "1"}},
    )
    assert "not in worker mode" in server.get("/worker/counter.php").text
    assert server.json("/api/one")["server"] == "/api/one"


def test_a_static_file_comes_before_a_worker_that_matches_its_path(own_sites: ServerFactory) -> None:
    server = in_worker(own_sites)
    answer = server.get("/plain.txt")
    assert answer.text == (SCRIPTS / "plain.txt").read_text()
    assert "x-boot" not in answer.headers
    assert server.get("/no-such.txt").status_code == 404
    assert "x-boot" in server.get("/hello.php?i=1").headers


def test_a_worker_of_one_site_is_invisible_to_another(own_sites: ServerFactory) -> None:
    worker = {"file": str(WORKERS / "counter.php"), "num": 1}
    server = own_sites(
        {"with.example": {"root": str(SCRIPTS), "workers": [worker]}, "without.example": {"root": str(SCRIPTS)}},
        runtime={"num_threads": 3, "php_ini": {"display_errors": "1"}},
    )
    assert server.json("/worker/counter.php", headers={"host": "with.example"})["count"] >= 0
    mark = server.log_mark()
    answer = server.get("/worker/counter.php", headers={"host": "without.example"})
    assert "not in worker mode" in answer.text
    server.wait_for_log("PHP Fatal error", since=mark)
    server.checked_up_to = server.log_mark()


def test_a_global_worker_serves_every_site(own_sites: ServerFactory) -> None:
    server = own_sites(
        {"a.example": {"root": str(SCRIPTS)}, "b.example": {"root": str(SCRIPTS)}},
        workers=[{"file": str(WORKERS / "counter.php"), "num": 1}],
        runtime={"num_threads": 2},
    )
    seen = [server.json("/worker/counter.php", headers={"host": f"{name}.example"}) for name in "abab"]
    assert len({answer["boot"] for answer in seen}) == 1
    assert [answer["count"] for answer in seen] == list(range(seen[0]["count"], seen[0]["count"] + 4))


def test_a_relative_worker_file_counts_from_the_working_directory(own_server: ServerFactory, tmp_path: Path) -> None:
    (tmp_path / "app.php").write_text((WORKERS / "counter.php").read_text())
    server = own_server(tmp_path, "--worker", "app.php,1", "--num-threads", "2", cwd=tmp_path)
    assert server.json("/app.php")["server"] == "/app.php"
    assert os.path.realpath(server.worker()["file"]) == str(tmp_path / "app.php")
