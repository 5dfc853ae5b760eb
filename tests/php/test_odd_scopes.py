"""ASGI scopes as odd servers and proxies make them: an answer each time, never an exception."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.php.harness.commands import python

_PROGRAM = """
import asyncio, json, sys
import howdah
app = howdah.PHPServer(".", runtime=howdah.Runtime(num_threads=1))
base = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": "/server.php", "raw_path": b"/server.php", "query_string": b"", "root_path": "", "headers": [(b"host", b"a")],
        "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 80)}
async def call(changes, messages):
    scope = {**base, **changes}
    for name in [name for name, value in changes.items() if value == "ABSENT"]:
        del scope[name]
    inbox = list(messages)
    sent = []
    async def receive():
        return inbox.pop(0) if inbox else await asyncio.Event().wait()
    async def send(message):
        sent.append(message)
    await asyncio.wait_for(app(scope, receive, send), 10)
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"] if sent else None, body.decode("latin-1")
async def main():
    results = []
    for changes, messages in CASES:
        results.append(await call(changes, messages))
    return results
CASES = %s
print(json.dumps(asyncio.run(main())))
"""
_EMPTY = {"type": "http.request", "body": b"", "more_body": False}


def answers(*cases: tuple[dict[str, Any], list[dict[str, Any]]]) -> list[tuple[int | None, str]]:
    result = python(_PROGRAM % repr(cases))
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    return [(status, body) for status, body in json.loads(result.stdout)]


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        (None, ""),
        ("ABSENT", ""),
        (("", 0), ""),
        (("[", 1), "["),
        (("::1", 2), "::1"),
        (("fe80::1%eth0", 3), "fe80::1%eth0"),
        (("::ffff:1.2.3.4", 4), "1.2.3.4"),
        (("not an address", 5), "not an address"),
        (("x" * 3000, 70000), "x" * 3000),
        (("unix:", None), "unix:"),
    ],
)
def test_any_client_address_is_taken(client: Any, expected: str) -> None:
    [(status, body)] = answers(({"client": client}, [_EMPTY]))
    assert status == 200
    assert json.loads(body)["REMOTE_ADDR"] == expected


def test_optional_keys_may_be_absent() -> None:
    for name in ("raw_path", "root_path", "scheme", "server", "query_string"):
        [(status, body)] = answers(({name: "ABSENT"}, [_EMPTY]))
        assert status == 200, name
        assert json.loads(body)["SCRIPT_NAME"] == "/server.php"


def test_unusual_values_are_answered() -> None:
    cases: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
        ({"http_version": "1.0"}, [_EMPTY]),
        ({"http_version": "3"}, [_EMPTY]),
        ({"scheme": "wss"}, [_EMPTY]),
        ({"headers": []}, [_EMPTY]),
        ({"headers": [(b"host", b"["), (b"host", b"b")]}, [_EMPTY]),
        ({"method": "x" * 200}, [_EMPTY]),
        ({"query_string": b"\xff\x00=1", "path": "/hello.php", "raw_path": b"/hello.php"}, [_EMPTY]),
        ({"path": "", "raw_path": b""}, [_EMPTY]),
        ({"path": "server.php", "raw_path": b"server.php"}, [_EMPTY]),
        ({"server": None}, [_EMPTY]),
    ]
    for (changes, _), (status, _body) in zip(cases, answers(*cases), strict=True):
        assert status in {200, 400, 404}, changes


def test_a_client_that_is_gone_before_its_body_is_nobody_to_answer() -> None:
    length = [(b"host", b"a"), (b"content-length", b"10")]
    [(status, _)] = answers(({"method": "POST", "headers": length}, [{"type": "http.disconnect"}]))
    assert status is None


def test_a_body_that_is_shorter_or_longer_than_announced_is_not_executed() -> None:
    length = [(b"host", b"a"), (b"content-length", b"10")]
    short = {"type": "http.request", "body": b"12345", "more_body": False}
    long = {"type": "http.request", "body": b"x" * 20, "more_body": False}
    results = answers(({"method": "POST", "headers": length}, [short]), ({"method": "POST", "headers": length}, [long]))
    assert results[0][0] in {None, 400}, "a client that broke off"
    assert results[1][0] == 400


def test_an_unknown_kind_of_scope_is_a_clear_error() -> None:
    result = python(
        """
        import asyncio, howdah
        app = howdah.PHPApp(".")
        async def nothing(*_):
            return {}
        try:
            asyncio.run(app({"type": "telnet"}, nothing, nothing))
        except Exception as error:
            print(type(error).__name__, error)
        """
    )
    assert "telnet" in result.stdout
