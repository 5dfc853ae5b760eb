"""Request headers cannot pose as other variables, and response headers cannot be injected."""

from __future__ import annotations

import json

import pytest

from tests.php.harness.raw import RawConnection, get
from tests.php.harness.server import Server


def variables(server: Server, *headers: str) -> dict[str, str]:
    answer = get(server.port, "/server.php", headers=headers)
    assert answer.status == 200, answer
    seen: dict[str, str] = json.loads(answer.body)
    return seen


def test_a_name_with_an_underscore_is_dropped(classic: Server) -> None:
    seen = variables(classic, "X_Forwarded_For: 6.6.6.6", "Content_Length: 9", "X_Only: 1")
    assert "HTTP_X_FORWARDED_FOR" not in seen
    assert "HTTP_X_ONLY" not in seen
    assert seen["CONTENT_LENGTH"] == ""


@pytest.mark.parametrize("order", [("Foo-Bar: good", "Foo_Bar: evil"), ("Foo_Bar: evil", "Foo-Bar: good")])
def test_an_underscore_name_cannot_replace_its_twin(classic: Server, order: tuple[str, str]) -> None:
    assert variables(classic, *order)["HTTP_FOO_BAR"] == "good"


def test_getallheaders_drops_underscore_names_too(classic: Server) -> None:
    answer = get(classic.port, "/request_headers.php", headers=("Foo_Bar: evil", "Foo-Bar: good"))
    headers = json.loads(answer.body)["getallheaders"]
    assert "Foo_Bar" not in headers
    assert headers["Foo-Bar"] == "good"


@pytest.mark.parametrize("name", ["Proxy", "proxy", "PROXY"])
def test_a_proxy_header_sets_no_http_proxy(classic: Server, name: str) -> None:
    seen = variables(classic, f"{name}: http://evil.example:8080")
    assert "HTTP_PROXY" not in seen


def test_getenv_never_shows_a_header(classic: Server) -> None:
    answer = get(classic.port, "/env_prepared.php?name=HTTP_X_EVIL", headers=("X-Evil: 1",))
    assert json.loads(answer.body)["getenv"] is False


@pytest.mark.parametrize(
    "head",
    [
        b"X-Folded: a\r\n b\r\n", b"X-Space : a\r\n", b" X-Leading: a\r\n", b"X-Bare\r\n", b": empty\r\n", b"X-Nul: a\0b\r\n", b"X-Cr: a\rb\r\n",
        b"X\x80: a\r\n", b"X-Del: \x7f\r\n", b"X(y): a\r\n",
    ],
)  # fmt: skip
def test_a_malformed_header_is_refused_or_harmless(classic: Server, head: bytes) -> None:
    with RawConnection(classic.port, timeout_s=5) as connection:
        connection.send(b"GET /server.php HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + head + b"\r\n")
        try:
            answer = connection.read_response()
        except AssertionError:
            return  # closed without an answer
    assert answer.status in {200, 400}
    if answer.status == 200:
        values = [value for key, value in json.loads(answer.body).items() if key.startswith("HTTP_X")]
        assert not any("\r" in value or "\n" in value or "\0" in value for value in values)


@pytest.mark.parametrize("name", ["X.Dot", "X'quote", "X!bang", "X~tilde", "X|pipe", "X%percent"])
def test_unusual_but_legal_names_cannot_become_other_keys(classic: Server, name: str) -> None:
    seen = variables(classic, f"{name}: v")
    assert sum(1 for key, value in seen.items() if value == "v" and key.startswith("HTTP_X")) <= 1
    assert "HTTP_X" not in seen


@pytest.mark.parametrize("name", ["GLOBALS", "this", "_SERVER", "_GET"])
def test_protected_names_of_php_cannot_be_overwritten(classic: Server, name: str) -> None:
    assert classic.get("/form.php", params={name: "evil"}).status_code == 200
    assert "HTTP_HOST" in variables(classic, f"Http-{name}: evil")


def test_a_cookie_cannot_pose_as_a_prefixed_one(classic: Server) -> None:
    answer = get(
        classic.port, "/malformed_cookie.php", headers=("Cookie: ..Host-a=evil; __Host-a=good; [_Host-b=evil",)
    )
    seen = json.loads(answer.body)["cookie"]
    assert seen["__Host-a"] == "good"
    assert "__Host-b" not in seen


def test_a_content_type_header_twice_is_harmless(classic: Server) -> None:
    assert get(classic.port, "/server.php", headers=("Content-Type: a/b", "Content-Type: c/d")).status in {200, 400}


def test_two_host_headers_are_refused_or_joined(classic: Server) -> None:
    answer = get(classic.port, "/server.php", headers=("Host: evil.example",))
    assert answer.status in {200, 400}


@pytest.mark.parametrize("raw", [b"a%0d%0aSet-Cookie:%20evil=1", b"a%0aSet-Cookie:%20evil=1", b"a%0d%0a%0d%0a<script>"])
def test_no_value_of_a_client_splits_a_response(classic: Server, raw: bytes) -> None:
    for field in (b"value", b"location", b"name"):
        answer = get(classic.port, b"/header_injection.php?" + field + b"=" + raw)
        assert answer.header("set-cookie") is None
        assert not answer.body.startswith(b"<script>")


@pytest.mark.parametrize(
    "line",
    [
        "HTTP/1.1 200 OK\r\nX-Injected: 1",
        "HTTP/1.1 200 \0",
        "HTTP/1.1 200 " + "x" * 70_000,
        "HTTP/1.1 2000",
        "HTTP/1.1 -200",
    ],
)
@pytest.mark.log_noise("(?i)status")
def test_no_status_line_injects_a_header(classic: Server, line: str) -> None:
    answer = classic.post("/status_line.php", params={"line": line[:8000]})
    assert "x-injected" not in answer.headers
    assert 200 <= answer.status_code <= 599
