"""Whatever a client sends, a site answers with a valid head, and never with an exception."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from howdah.config.http import (
    BasicAuth,
    Encode,
    FileMatch,
    FileServer,
    Header,
    HeaderMatch,
    HeaderOperation,
    PathMatch,
    QueryMatch,
    Redir,
    RegexpMatch,
    RemoteIpMatch,
    RequestHeader,
    Respond,
    Rewrite,
    Root,
    Routes,
    TryFiles,
    Vars,
)
from howdah.testing.client import Client, ClientResponse
from howdah.web.proxies import compile_proxies
from howdah.web.router import Entry, HostTable, Router
from tests.unit.web.building import Built, php_server, site, step

FOLDER = Path(tempfile.mkdtemp(prefix="hw-fuzz-"))
for name in ("index.php", "a.php", "b.txt", "sub/index.html", ".hidden", "copy.php~"):
    (FOLDER / name).parent.mkdir(exist_ok=True)
    (FOLDER / name).write_text("<?php secret")

HASH = "$2b$04$RkI9YCRIPOlbHnMYOkDQiuqP6ZbVlxkm5f3EYqgXcQnXhCvXkFfye"


def _built() -> Built:
    every = "{path} {file} {query} {query.a} {header.x-a} {cookie.a} {host} {labels.0} {re.1} {file.relative} {path.1}"
    return Built(
        site(
            Root(str(FOLDER)),
            Vars({"a": every}),
            step(Header((HeaderOperation("set", "X-Every", every),)), PathMatch(("/e*",))),
            Header((HeaderOperation("delete", "X-Gone"),), deferred=True),
            RequestHeader((HeaderOperation("replace", "X-A", "<$0>", "[a-z]+"),)),
            step(Redir("{query.to}{uri}", "301"), PathMatch(("/redir*",))),
            step(Redir("{path}", html=True), PathMatch(("/html*",))),
            step(Rewrite("/a.php/{re.x.1}?x={re.x.1}&{query}"), RegexpMatch("^/r/(.*)", "x")),
            step(Rewrite(strip_prefix="/strip", replace=(("a", "{header.x-a}"),)), PathMatch(("/strip*",))),
            step(Rewrite(path_regexp=(("(.)/", "$1{query}/"),)), PathMatch(("/p*",))),
            step(Respond("{vars.a}"), HeaderMatch("X-A", ("*a*",)), QueryMatch("a", ("*",))),
            step(BasicAuth((("ann", HASH),), realm="{path}"), PathMatch(("/auth*",))),
            step(
                Routes((step(TryFiles(("{path}", "{path}/", "=404"))), step(FileServer(browse=True)))),
                PathMatch(("/f*",)),
            ),
            step(Respond("{file.absolute}"), FileMatch(("{path}.txt", "{query.a}*"))),
            step(Respond("no", "403"), RemoteIpMatch(("10.0.0.0/8",), client_ip=True)),
            Encode(("gzip",), minimum_bytes=1),
            php_server(env=(("A", every),)),
        )
    )


BUILT = _built()
ROUTER = Router(
    {80: HostTable([Entry("", "", BUILT.app), Entry("*.wild", "", BUILT.app), Entry("x", "/p", BUILT.app)])},
    compile_proxies(("127.0.0.0/8",), ("X-Forwarded-For",)),
)
PIECES = st.sampled_from(
    [
        b"/",
        b"..",
        b".",
        b"%2e",
        b"%00",
        b"%0d%0a",
        b"%ff",
        b"a.php",
        b"index.php",
        b"b.txt",
        b"sub",
        b".hidden",
        b"~",
        b"/redir",
        b"/html",
        b"/r/",
        b"/strip",
        b"/p",
        b"/auth",
        b"/f",
        b"/e",
        b"%",
        b"\\",
        b"*",
        b"[",
        b"{path}",
        b"//",
    ]
)
PATHS = st.lists(PIECES | st.binary(max_size=4).filter(lambda data: not set(data) & set(b" ?#\r\n\0")), max_size=6).map(
    lambda parts: b"/" + b"".join(parts)
)
TEXTS = st.binary(max_size=20).filter(lambda data: not set(data) & set(b"\r\n\0"))
NAMES = st.sampled_from(
    [
        b"x-a",
        b"cookie",
        b"authorization",
        b"accept-encoding",
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"range",
        b"if-none-match",
    ]
)


@settings(max_examples=400, deadline=None)
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "X"]),
    path=PATHS,
    query=st.lists(TEXTS | st.sampled_from([b"a=1", b"to=//evil", b"&", b"="]), max_size=3).map(b"".join),
    host=TEXTS | st.sampled_from([b"x", b"a.wild", b"[::1]:80", b"..", b":"]),
    headers=st.lists(
        st.tuples(NAMES, TEXTS | st.sampled_from([b"1.2.3.4", b"Basic YTpi", b"gzip", b"bytes=0-1"])), max_size=4
    ),
)
def test_every_request_gets_a_valid_answer(
    method: str, path: bytes, query: bytes, host: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    target = path + (b"?" + query.replace(b"#", b"") if query else b"")

    async def run() -> ClientResponse:
        sent: Any = [(b"host", host), *headers]
        return await Client(ROUTER).request(method, target, sent)

    response = asyncio.run(run())
    assert 200 <= response.status <= 599
    assert response.complete
    for name, value in response.headers:
        assert not any(byte < 32 and byte != 9 for byte in name + value), (name, value)
    assert b"secret" not in response.body
