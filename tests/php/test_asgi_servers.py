"""The ASGI applications under Granian, Uvicorn and Hypercorn, and mounted in other applications."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.php.harness.commands import python
from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.raw import RawConnection, get
from tests.php.harness.server import SCRIPTS, Server, ServerFactory
from tests.php.harness.waiting import wait_until

SERVERS = ["granian", "uvicorn", "hypercorn"]
ROOT = str(SCRIPTS)


@pytest.fixture(scope="module", params=SERVERS)
def anywhere(request: pytest.FixtureRequest, module_asgi: ServerFactory) -> Server:
    """The same application under each server."""
    return module_asgi(request.param, {"root": ROOT, "runtime": {"num_threads": 4}})


def test_a_hundred_requests_are_answered_by_every_server(anywhere: Server) -> None:
    answers = fetch_parallel(anywhere.url, lambda i: {"url": f"/hello.php?i={i}"})
    assert [answer.text for answer in answers] == [f"request {i}" for i in range(100)]


def test_forms_and_path_info_arrive_under_every_server(anywhere: Server) -> None:
    seen = anywhere.post("/form.php?a=1", data={"b": "2"}).json()
    assert (seen["get"], seen["post"]) == ({"a": "1"}, {"b": "2"})
    assert anywhere.json("/path_info.php/x%20y?q")["PATH_INFO"] == "/x y"


def test_request_uri_keeps_its_encoding_under_every_server(anywhere: Server) -> None:
    seen = json.loads(get(anywhere.port, "/path_info.php/a%2Fb%20c").body)
    assert seen["REQUEST_URI"] == "/path_info.php/a%2Fb%20c"
    assert seen["PATH_INFO"] == "/a/b c"


def test_large_bodies_go_both_ways_under_every_server(anywhere: Server) -> None:
    body = b"q" * 3_000_000
    answer = anywhere.post("/large_request.php", content=body, headers={"content-type": "a/b"})
    assert answer.text.startswith("3000000 ")
    assert len(anywhere.get("/download.php?bytes=5000000").content) == 5_000_000


def test_static_files_are_served_under_every_server(anywhere: Server) -> None:
    answer = anywhere.get("/plain.txt")
    assert (answer.status_code, answer.text) == (200, "plain text\n")
    again = anywhere.get("/plain.txt", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
    part = anywhere.get("/plain.txt", headers={"range": "bytes=0-4"})
    assert (part.status_code, part.text) == (206, "plain")


def test_head_and_empty_statuses_work_under_every_server(anywhere: Server) -> None:
    assert get(anywhere.port, "/headers.php?i=1", method="HEAD").status == 201
    assert anywhere.get("/only_headers.php").status_code == 204


def test_flushed_output_leaves_at_once_under_every_server(anywhere: Server, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with RawConnection(anywhere.port) as connection:
        connection.send(f"GET /flush.php?gate={gate} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        connection.read_head()
        connection.read_until(b"first;")
        gate.touch()
        assert b"second" in connection.read_to_end()


def test_interim_responses_do_no_harm_under_every_server(anywhere: Server) -> None:
    answers = fetch_parallel(anywhere.url, lambda i: {"url": f"/early_hints.php?i={i}"}, 10)
    assert {answer.status_code for answer in answers} == {200}


def test_a_client_that_leaves_ends_its_script_under_every_server(anywhere: Server, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with RawConnection(anywhere.port) as connection:
        connection.send(f"GET /ticking.php?trace={trace} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        wait_until(trace.exists, "the script to begin")
    wait_until(Path(f"{trace}.end").exists, "the script to end", timeout_s=2)
    assert not Path(f"{trace}.full").exists()


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_drains_and_ends_when_it_is_asked_to(own_asgi: ServerFactory, kind: str) -> None:
    server = own_asgi(kind, {"root": ROOT, "runtime": {"num_threads": 1}})
    assert server.get("/hello.php?i=1").text == "request 1"
    code = server.terminate()
    assert code in {0, -15}, server.log()


@pytest.mark.parametrize("kind", ["uvicorn", "hypercorn"])
def test_php_only_application_serves_no_files(own_asgi: ServerFactory, kind: str) -> None:
    server = own_asgi(kind, {"kind": "app", "root": ROOT, "runtime": {"num_threads": 1}})
    assert server.get("/hello.php?i=1").text == "request 1"
    assert server.get("/plain.txt").status_code == 404


@pytest.fixture(scope="module", params=["starlette", "fastapi"])
def mounted(request: pytest.FixtureRequest, module_asgi: ServerFactory) -> Server:
    """PHP below a prefix of a Python application."""
    description = {"root": ROOT, "mount": "/php", "framework": request.param, "runtime": {"num_threads": 2}}
    return module_asgi("uvicorn", description)


def test_a_mounted_application_knows_its_prefix(mounted: Server) -> None:
    answers = fetch_parallel(mounted.url, lambda i: {"url": f"/php/path_info.php/extra?i={i}"})
    for i, answer in enumerate(answers):
        seen = answer.json()
        assert seen["SCRIPT_NAME"] == "/php/path_info.php"
        assert seen["PHP_SELF"] == "/php/path_info.php/extra"
        assert seen["REQUEST_URI"] == f"/php/path_info.php/extra?i={i}"
        assert seen["PATH_INFO"] == "/extra"
        assert seen["SCRIPT_FILENAME"] == ROOT + "/path_info.php"
        assert seen["DOCUMENT_ROOT"] == ROOT


def test_a_mounted_application_leaves_its_neighbours_alone(mounted: Server) -> None:
    assert "python" in mounted.get("/python").text
    assert mounted.get("/hello.php").status_code == 404


def test_a_mounted_application_serves_files_below_its_prefix(mounted: Server) -> None:
    assert mounted.get("/php/plain.txt").text == "plain text\n"
    assert mounted.get("/php/no-such.php").status_code == 404


def test_a_folder_redirect_of_a_mounted_application_keeps_prefix_and_query(own_asgi: ServerFactory) -> None:
    description = {"root": str(SCRIPTS / "site"), "mount": "/php", "runtime": {"num_threads": 1}}
    answer = own_asgi("uvicorn", description).get("/php/sub?x=1")
    assert answer.status_code == 308
    assert answer.headers["location"].endswith("/php/sub/?x=1")


def test_applications_without_a_runtime_share_the_default_one() -> None:
    result = python(
        """
        import howdah
        from starlette.applications import Starlette
        from starlette.routing import Mount
        from starlette.testclient import TestClient
        app = Starlette(routes=[Mount("/a", app=howdah.PHPServer(".")), Mount("/b", app=howdah.PHPApp("site"))])
        client = TestClient(app)
        print(client.get("/a/hello.php?i=1").text, client.get("/b/app.php/x").text)
        """
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "request 1 app /x"


def test_lifespan_starts_the_runtime_before_the_first_request() -> None:
    result = python(
        """
        import asyncio, howdah
        runtime = howdah.Runtime(num_threads=1)
        app = howdah.PHPServer(".", runtime=runtime)
        async def main():
            inbox, outbox = asyncio.Queue(), asyncio.Queue()
            task = asyncio.create_task(app({"type": "lifespan", "asgi": {"version": "3.0"}}, inbox.get, outbox.put))
            await inbox.put({"type": "lifespan.startup"})
            print((await asyncio.wait_for(outbox.get(), 15))["type"], runtime.ready)
            await inbox.put({"type": "lifespan.shutdown"})
            print((await asyncio.wait_for(outbox.get(), 15))["type"], runtime.ready)
            await task
        asyncio.run(main())
        """
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["lifespan.startup.complete", "True", "lifespan.shutdown.complete", "False"]


def test_a_bad_ini_fails_the_lifespan_with_phps_text() -> None:
    result = python(
        """
        import asyncio, howdah
        app = howdah.PHPServer(".", runtime=howdah.Runtime(num_threads=1, php_ini={"opcache.preload": "/no/such.php",
                                                                                   "opcache.preload_user": "root"}))
        async def main():
            inbox, outbox = asyncio.Queue(), asyncio.Queue()
            task = asyncio.create_task(app({"type": "lifespan", "asgi": {"version": "3.0"}}, inbox.get, outbox.put))
            await inbox.put({"type": "lifespan.startup"})
            print(await asyncio.wait_for(outbox.get(), 15))
        asyncio.run(main())
        """
    )
    assert "lifespan.startup.failed" in result.stdout, result.stderr
    assert "/no/such.php" in result.stdout


def test_conflicting_runtime_settings_are_an_error() -> None:
    result = python(
        """
        import howdah
        from howdah.errors import HowdahError
        first = howdah.Runtime(num_threads=1)
        first.start()
        try:
            second = howdah.Runtime(num_threads=2)
            second.start()
        except HowdahError as error:
            print(type(error).__name__, error)
        first.stop()
        """
    )
    assert result.returncode == 0, result.stderr
    assert "Error" in result.stdout
