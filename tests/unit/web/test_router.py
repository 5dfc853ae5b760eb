from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from howdah.config.http import PythonApp, Respond, Root
from howdah.errors import HowdahError
from howdah.testing.client import Client, ClientResponse
from howdah.web.proxies import compile_proxies
from howdah.web.router import Entry, HostTable, Router
from tests.unit.web.building import Built, php_server, site


def app(text: str) -> Any:
    return Built(site(Respond(text))).app


def ask(router: Any, host: str = "testserver", target: str = "/", port: Any = 80) -> ClientResponse:
    async def run() -> ClientResponse:
        async def with_port(scope: Any, receive: Any, send: Any) -> None:
            scope["server"] = ("0.0.0.0", port) if not str(port).startswith("/") else (port, None)
            await router(scope, receive, send)

        return await Client(with_port).request("GET", target, [(b"host", host.encode())])

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("one.example", "one"),
        ("ONE.example:8080", "one"),
        ("one.example.", "one"),
        ("two.example", "two"),
        ("a.two.example", "wild"),
        ("b.a.two.example", "wilder"),
        ("[::1]:80", "six"),
        ("other", "rest"),
        ("", "rest"),
        ("x" * 3000, "rest"),
    ],
)
def test_site_is_chosen_by_its_name(host: str, text: str) -> None:
    table = HostTable(
        [
            Entry("", "", app("rest")),
            Entry("*.*.two.example", "", app("wilder")),
            Entry("*.two.example", "", app("wild")),
            Entry("one.example", "", app("one")),
            Entry("two.example", "", app("two")),
            Entry("::1", "", app("six")),
        ]
    )
    router = Router({80: table})
    for _ in range(2):  # from the table, and from memory
        assert ask(router, host).text == text


def test_unknown_host_gets_an_empty_200() -> None:
    router = Router({80: HostTable([Entry("one.example", "", app("one"))])})
    response = ask(router, "two.example")
    assert (response.status, response.body, response.header("server")) == (200, b"", b"Howdah")


def test_listener_decides_first() -> None:
    router = Router(
        {80: HostTable([Entry("", "", app("eighty"))]), "/run/x.sock": HostTable([Entry("", "", app("unix"))])}
    )
    assert ask(router).text == "eighty"
    assert ask(router, port="80").text == "eighty"  # as Granian gives it
    assert ask(router, port=81).body == b""
    assert ask(router, port="/run/x.sock").text == "unix"


def test_application_of_a_listener_does_not_look_at_the_port() -> None:
    router = Router({("0.0.0.0", 80): HostTable([Entry("", "", app("this"))])})
    assert ask(router.listener(("0.0.0.0", 80)), port=7).text == "this"


def test_longest_path_wins() -> None:
    table = HostTable(
        [
            Entry("a", "", app("all")),
            Entry("a", "/blog", app("blog")),
            Entry("a", "/blog/admin/*", app("admin")),
            Entry("", "/health", app("health")),
        ]
    )
    router = Router({80: table})
    assert [ask(router, "a", target).text for target in ("/", "/blog", "/blog/x", "/blogger", "/blog/admin/y")] == [
        "all",
        "blog",
        "blog",
        "all",
        "admin",
    ]
    assert ask(router, "b", "/health").text == "health"
    assert ask(router, "b", "/").body == b""


def test_memory_of_hosts_is_bounded() -> None:
    table = HostTable([Entry("a", "", app("a")), Entry("", "", app("rest"))])
    router = Router({80: table})
    for number in range(3000):
        router({"type": "lifespan", "server": ("", 80), "headers": [(b"host", b"h%d" % number)]}, None, None).close()  # type: ignore[arg-type,attr-defined]
    assert len(table._remembered) <= 1024


def test_table_is_replaced_while_requests_run() -> None:
    router = Router({80: HostTable([Entry("", "", app("old"))])})
    listener = router.listener(80)
    assert ask(listener).text == "old"
    gone = router.replace({80: HostTable([Entry("", "", app("new"))])})
    assert ask(listener).text == "new"
    assert len(gone) == 1
    assert router.replace({}) != []
    assert ask(listener).body == b""


def test_site_that_stays_is_not_given_up() -> None:
    kept = app("kept")
    router = Router({80: HostTable([Entry("a", "", kept), Entry("b", "", kept)])})
    assert router.sites() == [kept]
    assert router.replace({81: HostTable([Entry("", "", kept)])}) == []


def test_trusted_proxy_decides_what_scripts_see(tmp_path: Path) -> None:
    (tmp_path / "a.php").write_text("")
    built = Built(site(Root(str(tmp_path)), php_server()))
    router = Router({80: HostTable([Entry("", "", built.app)])}, compile_proxies(("127.0.0.1",), ("X-Forwarded-For",)))
    headers = [
        (b"host", b"inner"),
        (b"x-forwarded-for", b"1.2.3.4"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-host", b"www.example.com"),
    ]
    asyncio.run(Client(router).request("GET", "/a.php", headers))
    request = built.php.last
    assert request.address == "1.2.3.4"
    assert request.endpoint[:4] == (b"www.example.com", b"443", b"HTTP/1.1", b"https")
    assert (b"host", b"inner") in request.headers


def test_peer_and_client_are_told_apart_behind_a_proxy() -> None:
    built = Built(site(Respond("{remote_host} {client_ip}")))
    router = Router({80: HostTable([Entry("", "", built.app)])}, compile_proxies(("127.0.0.1",), ("X-Forwarded-For",)))
    response = asyncio.run(Client(router).request("GET", "/", [(b"x-forwarded-for", b"1.2.3.4")]))
    assert response.text == "127.0.0.1 1.2.3.4"


def test_python_applications_start_and_stop_with_the_router(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hw_router_app.py").write_text(
        "events = []\n"
        "def make(name):\n"
        "    async def app(scope, receive, send):\n"
        "        for _ in range(2):\n"
        "            kind = (await receive())['type']\n"
        "            events.append(name + kind[8:])\n"
        "            await send({'type': kind + ('.failed' if name == 'bad' and kind.endswith('startup') else '.complete')})\n"
        "    return app\n"
        "one, two, bad = make('one'), make('two'), make('bad')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def mounted(*names: str) -> Router:
        sites = [Built(site(PythonApp("asgi", f"hw_router_app:{name}", path=str(tmp_path)))).app for name in names]
        return Router({80: HostTable([Entry(str(number), "", built) for number, built in enumerate(sites)])})

    async def run(router: Router) -> None:
        await router.startup()
        await router.shutdown()

    import sys

    asyncio.run(run(mounted("one", "two")))
    events = sys.modules["hw_router_app"].events
    assert events == ["one.startup", "two.startup", "one.shutdown", "two.shutdown"]
    events.clear()
    with pytest.raises(HowdahError, match="did not start"):
        asyncio.run(run(mounted("one", "bad", "two")))
    assert events == ["one.startup", "bad.startup", "one.shutdown"]
    del sys.modules["hw_router_app"]
