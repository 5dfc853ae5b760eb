from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

import pytest

from howdah.testing.client import Client
from howdah.web.accesslog import AccessLog, escape


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/none":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
    await send({"type": "http.response.body", "body": b"abc", "more_body": True})
    if scope["path"] != "/cut":
        await send({"type": "http.response.body", "body": b"def"})


def line(caplog: pytest.LogCaptureFixture, target: str | bytes, **options: Any) -> str:
    caplog.set_level(logging.INFO, "howdah.access")
    asyncio.run(Client(AccessLog(app), **options).get(target))
    return caplog.messages[-1]


def test_line_names_everything(caplog: pytest.LogCaptureFixture) -> None:
    text = line(caplog, "/a%20b?x=1")
    assert re.fullmatch(r'remote=127\.0\.0\.1 method=GET uri="/a%20b\?x=1" status=200 bytes=6 ms=\d+\.\d', text)


def test_cut_response_is_marked(caplog: pytest.LogCaptureFixture) -> None:
    assert line(caplog, "/cut").endswith(" cut=1")
    assert "status=0 bytes=0" in line(caplog, "/none")


def test_client_may_be_unknown(caplog: pytest.LogCaptureFixture) -> None:
    assert line(caplog, "/", remote=None).startswith("remote=- ")


@pytest.mark.parametrize(
    ("text", "escaped"),
    [("/a", "/a"), ('/"x', "/%22x"), ("/a\nb", "/a\\nb"), ("/\xff", "/\\xff"), ("/\x1b[1m", "/\\x1b[1m")],
)
def test_nobody_forges_lines(text: str, escaped: str) -> None:
    assert escape(text) == escaped


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
