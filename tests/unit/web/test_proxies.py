from __future__ import annotations

from typing import Any

import pytest

from howdah.errors import ConfigError
from howdah.web.proxies import compile_proxies

TRUSTED = ("10.0.0.0/8", "fd00::/8")


def apply(headers: dict[str, str], peer: Any = ("10.0.0.1", 4000), client_headers: tuple[str, ...] = ()) -> Any:
    change = compile_proxies(TRUSTED, client_headers or ("X-Forwarded-For",))
    assert change is not None
    scope: dict[str, Any] = {
        "client": peer,
        "scheme": "http",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    change(scope)
    return scope


def test_without_trusted_proxies_there_is_nothing_to_do() -> None:
    assert compile_proxies((), ("X-Forwarded-For",)) is None


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("1.2.3.4", ("1.2.3.4", 0)),
        ("1.2.3.4:99", ("1.2.3.4", 99)),
        ("2001:db8::1", ("2001:db8::1", 0)),
        ("[2001:db8::1]:99", ("2001:db8::1", 99)),
        ("::ffff:1.2.3.4", ("1.2.3.4", 0)),
        # What stands left of the first address that is not trusted, anybody may have written.
        ("6.6.6.6, 1.2.3.4", ("1.2.3.4", 0)),
        ("6.6.6.6, 1.2.3.4, 10.0.0.2, 10.0.0.3", ("1.2.3.4", 0)),
        ("10.0.0.3, 10.0.0.2", ("10.0.0.3", 0)),
        ("1.2.3.4, nonsense, 10.0.0.2", ("10.0.0.2", 0)),
        ("nonsense", ("10.0.0.1", 4000)),
        ("", ("10.0.0.1", 4000)),
        ("unknown, 1.2.3.4", ("1.2.3.4", 0)),
    ],
)
def test_client_is_the_first_from_the_right_that_is_not_trusted(value: str, client: tuple[str, int]) -> None:
    assert apply({"X-Forwarded-For": value})["client"] == client


def test_nobody_else_is_believed() -> None:
    headers = {
        "X-Forwarded-For": "1.2.3.4",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil",
        "X-Forwarded-Port": "1",
    }
    scope = apply(headers, peer=("9.9.9.9", 1))
    assert (scope["client"], scope["scheme"]) == (("9.9.9.9", 1), "http")
    assert "howdah.host" not in scope
    assert "howdah.peer" not in scope


def test_peer_of_a_unix_socket_is_trusted() -> None:
    assert apply({"X-Forwarded-For": "1.2.3.4"}, peer=None)["client"] == ("1.2.3.4", 0)
    assert apply({"X-Forwarded-For": "1.2.3.4"}, peer=("", 0))["client"] == ("1.2.3.4", 0)


def test_several_headers_are_one_list() -> None:
    change = compile_proxies(TRUSTED, ("X-Forwarded-For",))
    assert change is not None
    values = [(b"x-forwarded-for", b"6.6.6.6"), (b"x-forwarded-for", b"1.2.3.4, 10.9.9.9")]
    scope: dict[str, Any] = {"client": ("10.0.0.1", 1), "scheme": "http", "headers": values}
    change(scope)
    assert scope["client"] == ("1.2.3.4", 0)


def test_client_header_may_be_another() -> None:
    headers = {"X-Forwarded-For": "1.1.1.1", "CF-Connecting-IP": "2.2.2.2"}
    assert apply(headers, client_headers=("CF-Connecting-IP", "X-Forwarded-For"))["client"] == ("2.2.2.2", 0)
    assert apply({"X-Forwarded-For": "1.1.1.1"}, client_headers=("CF-Connecting-IP", "X-Forwarded-For"))["client"] == (
        "1.1.1.1",
        0,
    )


@pytest.mark.parametrize(
    ("headers", "scheme", "host"),
    [
        ({"X-Forwarded-Proto": "https"}, "https", None),
        ({"X-Forwarded-Proto": "HTTPS"}, "https", None),
        ({"X-Forwarded-Proto": "gopher"}, "http", None),
        ({"X-Forwarded-Host": "www.example.com"}, "http", b"www.example.com"),
        ({"X-Forwarded-Port": "8443", "Host": "a:80"}, "http", b"a:8443"),
        ({"X-Forwarded-Port": "8443", "X-Forwarded-Host": "b"}, "http", b"b:8443"),
        ({"X-Forwarded-Port": "99999", "Host": "a"}, "http", None),
        ({"X-Forwarded-Port": "x", "Host": "a"}, "http", None),
        # What the client wrote itself stands left of what the proxies wrote.
        ({"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https, http"}, "http", None),
        ({"X-Forwarded-For": "1.2.3.4, 10.0.0.2", "X-Forwarded-Proto": "https, http"}, "https", None),
        ({"X-Forwarded-For": "1.2.3.4, 10.0.0.2", "X-Forwarded-Proto": "https"}, "https", None),
    ],
)
def test_scheme_host_and_port(headers: dict[str, str], scheme: str, host: bytes | None) -> None:
    scope = apply(headers)
    assert scope["scheme"] == scheme
    assert scope.get("howdah.host") == host


def test_wrong_network_is_an_error() -> None:
    with pytest.raises(ConfigError, match="is no network"):
        compile_proxies(("ten",), ())
