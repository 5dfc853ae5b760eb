from __future__ import annotations

from typing import Any

import pytest

from howdah.config.http import LogField
from howdah.errors import ConfigError
from howdah.observe.filters import Filter, short_hash


def entry() -> dict[str, Any]:
    return {
        "status": 200,
        "request": {
            "remote_ip": "192.0.2.77",
            "uri": "/a?token=s%20x&b=1&flag&token=t",
            "headers": {
                "Cookie": ["session=abc; theme=dark"],
                "X-Forwarded-For": ["192.0.2.77, 2001:db8:1:2:3::1"],
                "Authorization": ["Basic xyz"],
            },
        },
    }


def after(path: str, kind: Any, *arguments: tuple[str, ...]) -> dict[str, Any]:
    return Filter([LogField(path, kind, arguments)]).apply(entry())


def test_delete() -> None:
    assert "Authorization" not in after("request>headers>Authorization", "delete")["request"]["headers"]
    assert "headers" not in after("request>headers", "delete")["request"]
    assert "status" not in after("status", "delete")


def test_names_of_headers_are_compared_without_case() -> None:
    assert "Authorization" not in after("request>headers>authorization", "delete")["request"]["headers"]


def test_short_names_stand_for_fields_of_the_request() -> None:
    """Octane's file says ``uri`` where newer ones say ``request>uri``."""
    changed = after("uri", "query", ("replace", "token", "REDACTED"))
    assert changed["request"]["uri"] == "/a?token=REDACTED&b=1&flag&token=REDACTED"


def test_query() -> None:
    assert after("request>uri", "query", ("delete", "token"))["request"]["uri"] == "/a?b=1&flag"
    hashed = after("request>uri", "query", ("hash", "token"))["request"]["uri"]
    assert hashed == f"/a?token={short_hash('s x')}&b=1&flag&token={short_hash('t')}"
    everything = Filter([LogField("uri", "query", (("delete", "token"), ("delete", "b"), ("delete", "flag")))])
    assert everything.apply(entry())["request"]["uri"] == "/a"


def test_a_query_that_hides_its_name_is_found() -> None:
    fields = {"request": {"uri": "/?%74oken=secret"}}
    Filter([LogField("uri", "query", (("replace", "token", "x"),))]).apply(fields)
    assert "secret" not in fields["request"]["uri"]


def test_cookie() -> None:
    changed = after("request>headers>Cookie", "cookie", ("replace", "session", "x"), ("delete", "theme"))
    assert changed["request"]["headers"]["Cookie"] == ["session=x"]
    hashed = after("request>headers>Cookie", "cookie", ("hash", "session"))["request"]["headers"]["Cookie"]
    assert hashed == [f"session={short_hash('abc')}; theme=dark"]


@pytest.mark.parametrize(
    "arguments", [(("24", "32"),), (("ipv4", "24"), ("ipv6", "32")), (("ipv4", "24", "ipv6", "32"),)]
)
def test_ip_mask(arguments: tuple[tuple[str, ...], ...]) -> None:
    assert after("request>remote_ip", "ip_mask", *arguments)["request"]["remote_ip"] == "192.0.2.0"
    masked = after("request>headers>X-Forwarded-For", "ip_mask", *arguments)["request"]["headers"]
    assert masked["X-Forwarded-For"] == ["192.0.2.0, 2001:db8::"]


def test_what_is_no_address_stays() -> None:
    assert after("status", "ip_mask", ("8", "8"))["status"] == "200"


def test_replace_rename_hash_regexp() -> None:
    assert after("request>uri", "replace", ("x",))["request"]["uri"] == "x"
    assert after("status", "rename", ("code",)) == {**{k: v for k, v in entry().items() if k != "status"}, "code": 200}
    assert after("status", "hash")["status"] == short_hash("200")
    assert after("request>uri", "regexp", (r"token=([^&]*)", r"t\$1[${1}]"))["request"]["uri"].startswith(
        r"/a?t\s%20x[s%20x]&"
    )
    assert after("request>uri", "regexp", (r"(?P<name>token)=", "$name:"))["request"]["uri"].startswith("/a?token:s")


def test_absent_fields_are_nothing() -> None:
    assert after("request>nothing>more", "delete") == entry()
    assert after("status>more", "delete") == entry()
    assert after("resp_headers>X", "replace", ("x",)) == entry()


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("regexp", (("(", "x"),), r"the regular expression '\(' is wrong"),
        ("regexp", (("a", "$1"),), "names a group that 'a' has not"),
        ("regexp", (("a",),), "takes 2 arguments, not 1"),
        ("replace", (), "takes 1 argument, not 0"),
        ("query", (("frob", "x"),), "not `frob x`"),
        ("ip_mask", (("99", "1"),), "ip_mask takes"),
        ("ip_mask", (("ipv5", "1"),), "ip_mask takes"),
    ],
)
def test_wrong_arguments(kind: Any, arguments: tuple[tuple[str, ...], ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Filter([LogField("request>uri", kind, arguments)])
