from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from howdah.config.http import Header, HeaderOperation, PathMatch, RequestHeader, Respond
from howdah.errors import ConfigError
from tests.unit.fakes import whole
from tests.unit.web.building import Built, ask, php_server, site, step

Kind = Literal["add", "set", "delete", "default", "replace"]


def op(kind: Kind, name: str, value: str = "", search: str = "") -> HeaderOperation:
    return HeaderOperation(kind, name, value, search)


def values(response: Any, name: str) -> list[bytes]:
    return [value for key, value in response.headers if key == name.encode()]


def php_with(root: Path, *steps: Any, headers: tuple[tuple[bytes, bytes], ...]) -> Any:
    (root / "a.php").write_text("")
    events = whole(b"page", (b"content-type", b"text/html"), *headers)
    return Built(site(*steps, php_server(root)), events).ask("/a.php")


def test_field_is_set_and_placeholders_are_filled_in() -> None:
    response = ask(Header((op("set", "X-Path", "at {path}"), op("set", "X-Fixed", "1"))), Respond("x"), target="/p")
    assert values(response, "x-path") == [b"at /p"]
    assert values(response, "x-fixed") == [b"1"]


def test_later_step_replaces_what_an_earlier_one_set() -> None:
    steps = (Header((op("set", "X-A", "1"),)), Header((op("set", "X-A", "2"),)), Respond("x"))
    assert values(ask(*steps), "x-a") == [b"2"]


def test_added_field_stands_beside() -> None:
    steps = (Header((op("add", "X-A", "1"),)), Header((op("add", "X-A", "2"),)), Respond("x"))
    assert values(ask(*steps), "x-a") == [b"1", b"2"]


def test_step_of_one_request_leaves_no_trace_in_the_next() -> None:
    built = Built(
        site(
            Header((op("set", "X-A", "1"),)),
            step(Header((op("add", "X-A", "2"),)), PathMatch(("/two",))),
            Respond("x"),
        )
    )
    assert values(built.ask("/two"), "x-a") == [b"1", b"2"]
    assert values(built.ask("/one"), "x-a") == [b"1"]


def test_early_field_stands_beside_the_script_s_and_a_deferred_one_replaces_it(tmp_path: Path) -> None:
    script = ((b"x-frame-options", b"SAMEORIGIN"),)
    early = php_with(tmp_path, Header((op("set", "X-Frame-Options", "DENY"),)), headers=script)
    assert values(early, "x-frame-options") == [b"DENY", b"SAMEORIGIN"]
    deferred = php_with(tmp_path, Header((op("set", "X-Frame-Options", "DENY"),), deferred=True), headers=script)
    assert values(deferred, "x-frame-options") == [b"DENY"]


def test_fields_that_are_one_each_are_never_doubled(tmp_path: Path) -> None:
    steps = (Header((op("set", "Server", "mine"), op("set", "Content-Type", "text/plain"))),)
    response = php_with(tmp_path, *steps, headers=((b"etag", b'"1"'),))
    assert values(response, "server") == [b"mine"]
    assert values(response, "content-type") == [b"text/plain"]


def test_what_describes_the_body_is_the_handler_s(tmp_path: Path) -> None:
    response = php_with(tmp_path, Header((op("set", "ETag", '"mine"'),)), headers=((b"etag", b'"script"'),))
    assert values(response, "etag") == [b'"script"']
    assert values(php_with(tmp_path, Header((op("set", "ETag", '"mine"'),)), headers=()), "etag") == [b'"mine"']


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("X-Powered-By", [b"x-debug-a", b"x-debug-b"]),
        ("X-Debug-*", [b"x-powered-by"]),
        ("*-b", [b"x-powered-by", b"x-debug-a"]),
        ("*debug*", [b"x-powered-by"]),
        ("*", []),
    ],
)
def test_deleted_fields(tmp_path: Path, name: str, left: list[bytes]) -> None:
    script = ((b"x-powered-by", b"PHP"), (b"x-debug-a", b"1"), (b"x-debug-b", b"2"))
    response = php_with(tmp_path, Header((op("delete", name),), deferred=True), headers=script)
    assert [key for key, _ in response.headers if key.startswith(b"x-")] == left


def test_server_may_be_deleted() -> None:
    assert ask(Header((op("delete", "Server"),), deferred=True), Respond("x")).header("server") is None


def test_default_is_used_where_nothing_is_set(tmp_path: Path) -> None:
    step_of = Header((op("default", "Cache-Control", "no-store"),), deferred=True)
    assert values(php_with(tmp_path, step_of, headers=()), "cache-control") == [b"no-store"]
    script = ((b"cache-control", b"public"),)
    assert values(php_with(tmp_path, step_of, headers=script), "cache-control") == [b"public"]


def test_value_is_replaced_by_a_pattern(tmp_path: Path) -> None:
    step_of = Header((op("replace", "Location", "https://$1", r"^http://(.*)$"),), deferred=True)
    response = php_with(tmp_path, step_of, headers=((b"location", b"http://example.com/x"),))
    assert values(response, "location") == [b"https://example.com/x"]


def test_of_deferred_steps_the_last_acts_first(tmp_path: Path) -> None:
    steps = (
        Header((op("default", "X-A", "outer"),), deferred=True),
        Header((op("delete", "X-A"),), deferred=True),
    )
    assert values(php_with(tmp_path, *steps, headers=((b"x-a", b"script"),)), "x-a") == [b"outer"]


@pytest.mark.parametrize("value", ["a%0D%0AX-Evil: 1", "a%0AX-Evil: 1", "a%00b"])
def test_client_cannot_end_a_line(value: str) -> None:
    response = ask(Header((op("set", "X-Path", "{path}"),)), Respond("x"), target=f"/{value.replace(' ', '%20')}")
    if response.status == 200:
        assert not any(byte < 32 for _, held in response.headers for byte in held)
        assert response.header("x-evil") is None
    else:
        assert response.status == 400


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\n", "ü"])
def test_wrong_name_is_an_error(name: str) -> None:
    with pytest.raises(ConfigError, match="is no name"):
        ask(Header((op("set", name, "1"),)), Respond("x"))


class TestRequestHeader:
    def test_scripts_see_the_changes_and_matchers_too(self, tmp_path: Path) -> None:
        (tmp_path / "a.php").write_text("")
        operations = (op("set", "X-A", "{host}"), op("delete", "X-Del*"), op("add", "X-Add", "2"))
        built = Built(site(RequestHeader(operations), php_server(tmp_path)))
        built.ask("/a.php", headers={"x-a": "client", "x-delete": "1", "x-add": "1"})
        headers = built.php.last.headers
        assert [value for name, value in headers if name == b"x-a"] == [b"testserver"]
        assert [value for name, value in headers if name == b"x-add"] == [b"1", b"2"]
        assert b"x-delete" not in dict(headers)

    def test_placeholders_see_the_changes(self) -> None:
        steps = (RequestHeader((op("set", "X-A", "new"),)), Respond("{header.X-A} {http.request.header.X-A}"))
        assert ask(*steps, headers={"x-a": "old"}).text == "new new"

    def test_value_is_replaced_by_a_pattern(self) -> None:
        steps = (RequestHeader((op("replace", "X-A", "<${0}>", r"\d+"),)), Respond("{header.X-A}"))
        assert ask(*steps, headers={"x-a": "a1b22"}).text == "a<1>b<22>"
