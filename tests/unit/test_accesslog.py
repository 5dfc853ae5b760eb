from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from typing import Any

import pytest

from howdah.config.http import Log, PathMatch, Respond
from howdah.observe.access import AccessEntry, as_fields, console_line, fields_writer, gist, json_writer
from howdah.observe.logs import AccessSink
from howdah.testing.client import Client
from howdah.web.accesslog import ENTRY, AccessLog
from tests.unit.web.building import Built, site, step


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/none":
        return
    if scope["path"] == "/fails":
        raise ValueError("boom")
    if scope["method"] == "POST":
        await receive()
    if scope["path"] == "/php":
        entry = {**scope}[ENTRY]
        entry.php = (7, 2, "api", 2048, 0.25, 0.5)
        entry.user = "ann"
    status = 404 if scope["path"] == "/missing" else 200
    headers = [(b"content-length", b"6"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"abc", "more_body": True})
    if scope["path"] != "/cut":
        await send({"type": "http.response.body", "body": b"def"})


class Lines:
    """An access log that is a list."""

    def __init__(self, **fields: Any) -> None:
        self.lines: list[bytes] = []
        log = Log(**{"format": "json", **fields})
        self.sink = AccessSink(self.lines.append, json_writer("http.log.access"), log)

    def ask(
        self, target: str | bytes, method: str = "GET", headers: Any = (), body: bytes = b"", **options: Any
    ) -> Any:
        client = Client(AccessLog(app, [self.sink]), **options)
        asyncio.run(client.request(method, target, headers, body))
        return json.loads(self.lines[-1]) if self.lines else None


def test_names_of_caddy_are_kept() -> None:
    headers = [
        (b"host", b"example.com"),
        (b"accept", b"a"),
        (b"accept", b"b"),
        (b"cookie", b"secret"),
        (b"authorization", b"secret"),
    ]
    entry = Lines().ask("/a%20b?x=1", "POST", headers, b"12345")
    assert entry.pop("ts") > 1_600_000_000
    assert 0 <= entry.pop("duration") < 10
    assert entry == {
        "level": "info",
        "logger": "http.log.access",
        "msg": "handled request",
        "request": {
            "remote_ip": "127.0.0.1",
            "remote_port": entry["request"]["remote_port"],
            "client_ip": "127.0.0.1",
            "proto": "HTTP/1.1",
            "method": "POST",
            "host": "example.com",
            "uri": "/a%20b?x=1",
            "headers": {
                "Host": ["example.com"],
                "Accept": ["a", "b"],
                "Cookie": ["REDACTED"],
                "Authorization": ["REDACTED"],
                "Content-Length": ["5"],
            },
        },
        "bytes_read": 5,
        "user_id": "",
        "size": 6,
        "status": 200,
        "resp_headers": {"Content-Length": ["6"], "Set-Cookie": ["REDACTED", "REDACTED"]},
    }


def test_what_php_knows_is_added() -> None:
    entry = Lines().ask("/php")
    assert entry["php"] == {"request_id": 7, "thread": 2, "worker": "api", "memory": 2048, "queue": 0.25, "time": 0.5}
    assert entry["user_id"] == "ann"


def test_the_client_behind_a_proxy_is_named() -> None:
    lines = Lines()
    scope = {
        **Client(app)._scope("GET", b"/", []),
        "client": ("2001:db8::1", 0),
        "howdah.peer": ("::ffff:10.0.0.1", 99),
    }

    async def nothing(message: Any) -> None: ...

    asyncio.run(AccessLog(app, [lines.sink])(scope, None, nothing))  # type: ignore[arg-type]
    request = json.loads(lines.lines[0])["request"]
    assert (request["remote_ip"], request["remote_port"], request["client_ip"]) == ("10.0.0.1", "99", "2001:db8::1")


def test_errors_and_cut_answers_have_their_level() -> None:
    lines = Lines()
    assert lines.ask("/missing")["level"] == "error"
    assert (lines.ask("/cut")["level"], lines.ask("/cut")["cut"]) == ("error", True)
    assert (lines.ask("/none")["status"], lines.ask("/none")["cut"]) == (0, True)


def test_the_server_s_error_is_logged_and_goes_on() -> None:
    lines = Lines()
    with pytest.raises(ValueError, match="boom"):
        lines.ask("/fails")
    assert json.loads(lines.lines[0])["status"] == 0


def test_a_log_of_errors_has_no_others() -> None:
    lines = Lines(level="ERROR")
    assert lines.ask("/") is None
    assert lines.ask("/missing")["status"] == 404


@pytest.mark.parametrize(
    ("host", "is_logged"),
    [(b"a.example", True), (b"A.Example:8080", True), (b"b.example", False), (b"[::1]:80", True), (b"", False)],
)
def test_a_log_may_be_for_some_hosts(host: bytes, is_logged: bool) -> None:
    lines = Lines(hostnames=("a.example", "[::1]"))
    assert (lines.ask("/", headers=[(b"host", host)]) is not None) is is_logged


def test_the_scope_is_as_it_was() -> None:
    """A scope that still held the entry would be a reference cycle for each request."""
    scope = Client(app)._scope("GET", b"/", [])

    async def nothing(message: Any) -> None: ...

    asyncio.run(AccessLog(app, [Lines().sink])(scope, None, nothing))  # type: ignore[arg-type]
    assert ENTRY not in scope


@pytest.mark.parametrize(
    ("failure", "raised", "is_cut"),
    [(None, None, False), (OSError("the client left"), None, True), (ValueError("boom"), ValueError, True)],
)
def test_a_site_is_logged_whatever_its_end(
    failure: Exception | None, raised: type[Exception] | None, is_cut: bool
) -> None:
    lines = Lines()
    site_app = Built(site(step(Respond("no"), PathMatch(("/no",))), Respond("yes"))).app
    scope = Client(app)._scope("GET", b"/", [])

    async def send(message: Any) -> None:
        if failure is not None and message["type"] == "http.response.start":
            raise failure

    with pytest.raises(raised) if raised else contextlib.nullcontext():
        asyncio.run(AccessLog(site_app, [lines.sink])(scope, None, send))  # type: ignore[arg-type]
    (entry,) = map(json.loads, lines.lines)
    assert (entry["status"], entry.get("cut", False)) == (200, is_cut)
    assert ENTRY not in scope


def test_each_of_several_logs_gets_what_it_wants() -> None:
    all_lines, errors = Lines(), Lines(level="ERROR")
    served = AccessLog(Built(site(Respond("x"))).app, [all_lines.sink, errors.sink])
    asyncio.run(Client(served).get("/"))
    assert (len(all_lines.lines), len(errors.lines)) == (1, 0)


NASTY = '/"\\\n\r\x00\x1b[1m\x7f\x9b1m\u2028\xff'


def test_nobody_forges_lines() -> None:
    headers = [(b"user-agent", NASTY.encode("utf-8")), (b'x"\n', b"\r\n{}")]
    scope = {
        "method": "G\nET",
        "raw_path": NASTY.encode("utf-8"),
        "query_string": b"\n",
        "http_version": "1.1",
        "headers": headers,
    }
    entry = AccessEntry(scope)
    entry.headers = headers
    entry.user = NASTY
    for make in (json_writer, fields_writer):
        line = make("http.log.access")(entry).decode("latin-1")
        assert line.count("\n") == 1
        assert re.search(r"[\x00-\x09\x0b-\x1f\x80-\uffff]", line) is None
        assert json.loads(line)["request"]["uri"] == NASTY.encode("utf-8").decode("latin-1") + "?\n"
    for text in (console_line(as_fields(entry, "x")), gist(as_fields(entry, "x")) + "\n"):
        assert text.count("\n") == 1
        assert text.isascii()
        assert text.rstrip("\n").isprintable()
    assert "uri=/%22\\\\" in gist(as_fields(entry, "x"))


def test_headers_may_be_lists() -> None:
    entry = AccessEntry({"method": "GET", "path": "/ü", "http_version": "2", "headers": [[b"host", b"a"]]})
    entry.headers = [[b"x", b"y"]]  # type: ignore[list-item]
    for make in (json_writer, fields_writer):
        fields = json.loads(make("x")(entry))
        assert fields["request"]["headers"] == {"Host": ["a"]}
        assert fields["resp_headers"] == {"X": ["y"]}
        assert fields["request"]["proto"] == "HTTP/2.0"


# -- for programs with a logging of their own -------------------------------------------------------


def line(caplog: pytest.LogCaptureFixture, target: str | bytes, **options: Any) -> str:
    caplog.set_level(logging.INFO, "howdah.access")
    asyncio.run(Client(AccessLog(app), **options).get(target))
    return caplog.messages[-1]


def test_line_names_everything(caplog: pytest.LogCaptureFixture) -> None:
    assert re.fullmatch(
        r"remote=127\.0\.0\.1 method=GET host=testserver uri=/a%20b\?x=1 status=200 bytes=6 ms=\d+\.\d",
        line(caplog, "/a%20b?x=1"),
    )


def test_line_of_php(caplog: pytest.LogCaptureFixture) -> None:
    assert line(caplog, "/php").endswith(" user=ann thread=2 worker=api memory=2048")


def test_cut_response_is_marked(caplog: pytest.LogCaptureFixture) -> None:
    assert line(caplog, "/cut").endswith(" cut=1")
    assert "status=0 bytes=0" in line(caplog, "/none")


def test_client_may_be_unknown(caplog: pytest.LogCaptureFixture) -> None:
    assert line(caplog, "/", remote=None).startswith("remote=- ")


def test_pathsend_counts_what_is_announced(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "howdah.access")

    async def sends_file(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"123")]})
        await send({"type": "http.response.pathsend", "path": "/x"})

    async def nothing(message: Any) -> None: ...

    scope = Client(app)._scope("GET", b"/", [])
    asyncio.run(AccessLog(sends_file)(scope, None, nothing))  # type: ignore[arg-type]
    assert "bytes=123" in caplog.messages[-1]
    assert "cut" not in caplog.messages[-1]
