from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from howdah.config.http import (
    ErrorRoutes,
    Header,
    HeaderOperation,
    PathMatch,
    PythonApp,
    RequestBody,
    Respond,
    Routes,
    Step,
)
from howdah.config.model import Position
from howdah.errors import ConfigError, HowdahError
from howdah.testing.client import Client
from tests.unit.web.building import Built, site, step

ECHO = """
import json
events = []
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            events.append(message["type"])
            if message["type"] == "lifespan.startup":
                scope["state"]["made"] = "at start"
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    told = {name: str(scope[name]) for name in ("path", "raw_path", "root_path", "scheme", "client", "query_string")}
    told |= {"body": body.decode(), "state": scope["state"], "keys": sorted(scope)}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})
async def fails(scope, receive, send):
    if scope["path"] == "/late":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise KeyError("secret")
async def silent(scope, receive, send):
    return None
async def bare(scope, receive, send):
    await send({"type": "http.response.start", "status": 204})
    await send({"type": "http.response.body"})
async def cannot(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})
value = 3
class Inner:
    app = staticmethod(bare)
def make():
    return bare
def make_nothing():
    raise RuntimeError("no settings")
"""
WSGI = """
def app(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("201 Created", [("Content-Type", "text/plain"), ("X-Path", environ["PATH_INFO"])])
    names = ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "HTTP_X_A", "REMOTE_ADDR", "CONTENT_LENGTH")
    yield "|".join(environ.get(name, "-") for name in names).encode()
    yield b"|" + body
def fails(environ, start_response):
    raise ValueError("secret")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "hw_echo.py").write_text(ECHO)
    (tmp_path / "hw_wsgi.py").write_text(WSGI)
    path, modules = list(sys.path), set(sys.modules)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("hw_"):
            del sys.modules[name]


def mounted(folder: Path, target: str = "hw_echo:app", *around: Any, **fields: Any) -> Built:
    kind: Any = "wsgi" if target.startswith("hw_wsgi") else "asgi"
    return Built(site(*around, PythonApp(kind, target, path=str(folder), **fields)))


def test_application_answers_and_sees_what_came(folder: Path) -> None:
    response = mounted(folder).ask("/a%20b?x=1", method="POST", body=b"body")
    told = json.loads(response.body)
    assert told["path"] == "/a b"
    assert told["raw_path"] == "b'/a%20b'"
    assert told["root_path"] == ""
    assert told["body"] == "body"
    assert not any(key.startswith("howdah") for key in told["keys"])


def test_mount_is_the_root_path_also_where_a_block_has_stripped_it(folder: Path) -> None:
    app = PythonApp("asgi", "hw_echo:app", path=str(folder), mount="/api")
    block = Routes((step(app),), strip_prefix="/api")
    for built in (Built(site(step(block, PathMatch(("/api/*",))))), Built(site(app))):
        told = json.loads(built.ask("/api/v1").body)
        assert (told["root_path"], told["path"]) == ("/api", "/api/v1")


def test_lifespan_runs_around_the_requests(folder: Path) -> None:
    built = mounted(folder)
    events = sys.modules["hw_echo"].events

    async def run() -> Any:
        await built.app.startup()
        response = await Client(built.app).get("/")
        await built.app.shutdown()
        return response

    assert b'"made": "at start"' in asyncio.run(run()).body
    assert events == ["lifespan.startup", "lifespan.shutdown"]


def test_application_without_lifespan_is_left_alone(folder: Path) -> None:
    built = mounted(folder, "hw_echo:silent")

    async def run() -> None:
        await built.app.startup()
        await built.app.shutdown()

    asyncio.run(run())


def test_application_that_cannot_start_says_why(folder: Path) -> None:
    built = mounted(folder, "hw_echo:cannot")
    with pytest.raises(HowdahError, match="asgi hw_echo:cannot did not start: no database"):
        asyncio.run(built.app.startup())


def test_error_before_the_answer_is_a_500_of_the_site(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = PythonApp("asgi", "hw_echo:fails", path=str(folder))
    errors = (ErrorRoutes((step(Respond("sorry {err.status_code}")),)),)
    plain = Built(site(app)).ask("/")
    assert plain.status == 500
    assert b"secret" not in plain.body
    assert "KeyError" in caplog.text
    assert Built(site(app, errors=errors)).ask("/").text == "sorry 500"
    debug = Built(site(app), debug=True).ask("/")
    assert "KeyError" in debug.text
    assert "hw_echo.py" in debug.text


def test_error_within_the_answer_cuts_it(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    response = mounted(folder, "hw_echo:fails").ask("/late")
    assert (response.body, response.complete) == (b"half", False)
    assert "KeyError" in caplog.text


def test_application_that_says_nothing_is_a_500(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        assert mounted(folder, "hw_echo:silent").ask("/").status == 500
    assert "gave no answer" in caplog.text


def test_short_messages_are_understood(folder: Path) -> None:
    header = Header((HeaderOperation("set", "X-A", "1"),))
    response = mounted(folder, "hw_echo:Inner.app", header).ask("/")
    assert (response.status, response.header("x-a")) == (204, b"1")


def test_factory_is_called(folder: Path) -> None:
    assert mounted(folder, "hw_echo:make()").ask("/").status == 204


def test_body_has_a_bound(folder: Path) -> None:
    built = mounted(folder, "hw_echo:app", RequestBody(max_size_bytes=3))
    assert built.ask("/", method="POST", body=b"abcd").status == 413
    assert built.ask("/", method="POST", body=b"abc").status == 200

    async def pieces() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"cd"

    async def run() -> Any:
        return await Client(built.app).request("POST", "/", [(b"transfer-encoding", b"chunked")], pieces())

    assert asyncio.run(run()).status == 413


class TestWsgi:
    def test_application_answers(self, folder: Path) -> None:
        response = mounted(folder, "hw_wsgi:app").ask(
            "/a%20b?x=%C3%BC", method="POST", body=b"body", headers={"x-a": "1", "x_a": "evil"}
        )
        assert response.status == 201
        assert response.text == "POST||/a b|x=%C3%BC|1|127.0.0.1|4|body"

    def test_query_that_is_no_ascii_does_no_harm(self, folder: Path) -> None:
        built = mounted(folder, "hw_wsgi:app")

        async def run() -> Any:
            return await Client(built.app).request("GET", b"/?x=\xff")

        assert b"|x=%FF|" in asyncio.run(run()).body

    def test_mount(self, folder: Path) -> None:
        assert "|/api|/v1|" in mounted(folder, "hw_wsgi:app", mount="/api").ask("/api/v1").text

    def test_error_is_a_500(self, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        assert mounted(folder, "hw_wsgi:fails").ask("/").status == 500
        assert "ValueError" in caplog.text

    def test_truncated_body_is_not_taken_for_the_whole(self, folder: Path) -> None:
        built = mounted(folder, "hw_wsgi:app")

        async def cut_off() -> AsyncIterator[bytes]:
            yield b"half"
            raise ConnectionResetError

        async def run() -> Any:
            return await Client(built.app).request("POST", "/", [(b"content-length", b"99")], cut_off())

        assert asyncio.run(run()).status == 0


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("hw_none:app", "'hw_none' cannot be imported: ModuleNotFoundError"),
        ("hw_echo:nothing", "has no 'nothing'"),
        ("hw_echo:value", "is no application but a int"),
        ("hw_broken:app", r"NameError: name 'undefined' is not defined \(.*hw_broken.py, line 2\)"),
        ("hw_syntax:app", r"SyntaxError: .* \(.*hw_syntax.py, line 1\)"),
        ("hw_exit:app", "SystemExit"),
        ("hw_echo:make_nothing()", r"make_nothing\(\) failed: RuntimeError: no settings \(.*hw_echo.py, line \d+\)"),
        (":app", "names no application"),
        ("hw_echo:", "names no application"),
    ],
)
def test_mistake_names_both_places(folder: Path, target: str, message: str) -> None:
    (folder / "hw_broken.py").write_text("\nundefined\n")
    (folder / "hw_syntax.py").write_text("def (\n")
    (folder / "hw_exit.py").write_text("raise SystemExit(3)\n")
    wrong = Step(PythonApp("asgi", target, path=str(folder)), position=Position("Caddyfile", 3, 5))
    with pytest.raises(ConfigError, match=message) as raised:
        Built(site(wrong))
    assert str(raised.value).startswith("Caddyfile:3:5: asgi ")


def test_missing_folder_is_a_mistake(folder: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        mounted(folder / "none")


def test_module_of_another_folder_is_not_taken_for_this_one(folder: Path) -> None:
    other = folder / "other"
    other.mkdir()
    (other / "hw_echo.py").write_text(ECHO)
    mounted(folder)
    with pytest.raises(ConfigError, match="another module 'hw_echo' is loaded already"):
        mounted(other)


def test_environment_is_there_before_the_import(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HW_SETTING", "")
    (folder / "hw_env.py").write_text("import os\nassert os.environ['HW_SETTING'] == 'x'\napp = print\n")
    mounted(folder, "hw_env:app", env=(("HW_SETTING", "x"),))
