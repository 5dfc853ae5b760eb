from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from howdah.config.http import (
    Condition,
    FileMatch,
    HeaderMatch,
    HostMatch,
    Matcher,
    MethodMatch,
    NotMatch,
    PathMatch,
    ProtocolMatch,
    QueryMatch,
    RegexpMatch,
    RemoteIpMatch,
    Respond,
    Root,
    Vars,
)
from howdah.errors import ConfigError
from tests.unit.web.building import Built, site, step


def matches(*conditions: Condition, target: str = "/", **options: Any) -> bool:
    built = Built(site(step(Respond("yes"), *conditions), Respond("no")))
    return bool(built.ask(target, **options).text == "yes")


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/a", "/a", True),
        ("/a", "/a/", False),
        ("/a", "/A", True),
        ("/A", "/a", True),
        ("/a", "/ab", False),
        ("/a/*", "/a/", True),
        ("/a/*", "/a/b/c", True),
        ("/a/*", "/a", False),
        ("/a*", "/abc/d", True),
        ("*.php", "/x/y.php", True),
        ("*.php", "/x/y.php/z", False),
        ("*/.git/*", "/x/.git/config", True),
        ("*/.git/*", "/x/git/config", False),
        ("*", "/anything", True),
        ("/a/*/c", "/a/b/c", True),
        ("/a/*/c", "/a/b/b/c", False),
        ("/a/?", "/a/b", True),
        ("/a/[bc]", "/a/c", True),
        ("/a/[bc]", "/a/d", False),
        ("/a.b", "/axb", False),
        ("/ü", "/%C3%BC", True),
        # The ways around a rule: what PHP would make of the path is what is compared.
        ("/admin/*", "//admin/x", True),
        ("/admin/*", "/./admin/x", True),
        ("/admin/*", "/public/../admin/x", True),
        ("/admin/*", "/%61dmin/x", True),
        ("/admin/*", "/admin%2Fx", True),
        ("/admin/*", "/admin/../public", False),
        ("/a/b", "/a//b", True),
    ],
)
def test_path(pattern: str, path: str, expected: bool) -> None:
    assert matches(PathMatch((pattern,)), target=path) is expected


def test_path_with_nul_is_refused() -> None:
    assert Built(site(step(Respond("x"), PathMatch(("/a",))))).ask("/a%00").status == 400


def test_any_of_several_paths() -> None:
    condition = PathMatch(("/a", "/b/*", "*.css", "*/x/*"))
    assert [matches(condition, target=path) for path in ("/a", "/b/c", "/d.css", "/1/x/2", "/e")] == [
        True,
        True,
        True,
        True,
        False,
    ]


def test_path_may_hold_placeholders() -> None:
    assert matches(PathMatch(("/{host}/*",)), target="/testserver/x")
    assert not matches(PathMatch(("/{host}/*",)), target="/other/x")


def test_regexp_sets_its_groups() -> None:
    condition = RegexpMatch(r"^/user/(?P<id>\d+)/(\w+)$", "user")
    built = Built(site(step(Respond("{re.user.id} {re.user.2} {re.1} {http.regexp.user.0}"), condition), Respond("no")))
    assert built.ask("/user/42/edit").text == "42 edit 42 /user/42/edit"
    assert built.ask("/user/x/edit").text == "no"


@pytest.mark.parametrize("path", ["/user/42%0A", "/user/42%0Ax", "/user/4%0A2"])
def test_end_of_a_regexp_is_the_end_of_the_path(path: str) -> None:
    assert not matches(RegexpMatch(r"^/user/\d+$"), target=path)


def test_regexp_takes_bytes_that_are_no_text() -> None:
    assert matches(RegexpMatch(r"^/a.b$"), target="/a%FFb")


def test_regexp_of_a_header() -> None:
    condition = RegexpMatch(r"Firefox/(\d+)", "browser", "User-Agent")
    built = Built(site(step(Respond("{re.browser.1}"), condition), Respond("no")))
    assert built.ask("/", headers={"user-agent": "Mozilla Firefox/128"}).text == "128"
    assert built.ask("/").text == "no"


def test_regexp_that_would_run_for_ever_elsewhere_is_quick() -> None:
    assert not matches(RegexpMatch(r"^/(a+)+$"), target="/" + "a" * 400 + "!")


@pytest.mark.parametrize("pattern", ["(", "a{2,1}", r"(?<!x)y", "[[:nothing:]]"])
def test_wrong_regexp_is_an_error(pattern: str) -> None:
    with pytest.raises(ConfigError, match="is not valid"):
        matches(RegexpMatch(pattern))


@pytest.mark.parametrize(
    ("name", "host", "expected"),
    [
        ("example.com", "example.com", True),
        ("example.com", "EXAMPLE.com:8080", True),
        ("example.com", "www.example.com", False),
        ("*.example.com", "www.example.com", True),
        ("*.example.com", "a.b.example.com", False),
        ("*.example.com", "example.com", False),
        ("::1", "[::1]:80", True),
        ("{header.X-Name}", "named", True),
    ],
)
def test_host(name: str, host: str, expected: bool) -> None:
    assert matches(HostMatch((name,)), headers={"host": host, "x-name": "named"}) is expected


def test_method() -> None:
    assert matches(MethodMatch(("get", "POST")), method="GET")
    assert not matches(MethodMatch(("POST",)), method="GET")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (HeaderMatch("X-A", ("one",)), True),
        (HeaderMatch("x-a", ("ONE",)), False),
        (HeaderMatch("X-A", ("two", "on*")), True),
        (HeaderMatch("X-A", ("*ne",)), True),
        (HeaderMatch("X-A", ("*n*",)), True),
        (HeaderMatch("X-A", ("*",)), True),
        (HeaderMatch("X-A"), True),
        (HeaderMatch("X-B"), False),
        (HeaderMatch("X-B", ("one",)), False),
        (HeaderMatch("X-B", absent=True), True),
        (HeaderMatch("X-A", absent=True), False),
        (HeaderMatch("X-A", ("{header.X-Same}",)), True),
        (HeaderMatch("Host", ("testserver",)), True),
    ],
)
def test_header(condition: HeaderMatch, expected: bool) -> None:
    assert matches(condition, headers={"x-a": "one", "x-same": "one"}) is expected


@pytest.mark.parametrize(
    ("condition", "query", "expected"),
    [
        (QueryMatch("a", ("1",)), "a=1", True),
        (QueryMatch("a", ("1",)), "a=2&a=1", True),
        (QueryMatch("a", ("1",)), "a=2", False),
        (QueryMatch("a", ("*",)), "a=", True),
        (QueryMatch("a", ("*",)), "b=1", False),
        (QueryMatch("a", ("x y",)), "a=x+y", True),
        (QueryMatch(""), "", True),
        (QueryMatch(""), "a", False),
    ],
)
def test_query(condition: QueryMatch, query: str, expected: bool) -> None:
    assert matches(condition, target=f"/?{query}") is expected


@pytest.mark.parametrize(
    ("networks", "remote", "expected"),
    [
        (("127.0.0.1",), "127.0.0.1", True),
        (("127.0.0.0/8",), "::ffff:127.1.2.3", True),
        (("10.0.0.0/8", "2001:db8::/32"), "2001:db8::7", True),
        (("10.0.0.0/8",), "11.0.0.1", False),
        (("private_ranges",), "192.168.3.4", True),
        (("private_ranges",), "8.8.8.8", False),
        (("10.0.0.0/8",), "nonsense", False),
    ],
)
def test_remote_ip(networks: tuple[str, ...], remote: str, expected: bool) -> None:
    assert matches(RemoteIpMatch(networks), remote=(remote, 1)) is expected


def test_remote_ip_without_a_peer_matches_nothing() -> None:
    assert not matches(RemoteIpMatch(("0.0.0.0/0", "::/0")), remote=None)


def test_wrong_network_is_an_error() -> None:
    with pytest.raises(ConfigError, match="is no network"):
        matches(RemoteIpMatch(("10.0.0",)))


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [("http", True), ("https", False), ("http/1.1", True), ("http/1.1+", True), ("http/2", False), ("grpc", False)],
)
def test_protocol(protocol: str, expected: bool) -> None:
    assert matches(ProtocolMatch(protocol)) is expected


def test_unknown_protocol_is_an_error() -> None:
    with pytest.raises(ConfigError, match="is not known"):
        matches(ProtocolMatch("gopher"))


def test_not_means_none_of_the_sets() -> None:
    one, two = Matcher((PathMatch(("/a",)), MethodMatch(("GET",)))), Matcher((PathMatch(("/b",)),))
    condition = NotMatch((one, two))
    assert not matches(condition, target="/a")
    assert matches(condition, target="/a", method="POST")
    assert not matches(condition, target="/b")
    assert matches(condition, target="/c")


class TestFile:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for name, size in (("a.txt", 3), ("b.txt", 9), ("sub/c.txt", 1), ("x.php", 2), ("100%.txt", 1)):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("x" * size)
        os.utime(tmp_path / "a.txt", (1, 1))
        return tmp_path

    def found(self, root: Path, condition: FileMatch, target: str = "/") -> str:
        text = "{file.relative} {file.type}{file.remainder}"
        built = Built(site(Root(str(root)), step(Respond(text), condition), Respond("no")))
        response = built.ask(target)
        return str(response.text) if response.status == 200 else str(response.status)

    @pytest.mark.parametrize(
        ("files", "target", "expected"),
        [
            (("{path}",), "/a.txt", "/a.txt file"),
            (("{path}",), "/c.txt", "no"),
            (("{path}",), "/sub", "no"),
            (("{path}/",), "/sub", "/sub/ directory"),
            (("{path}", "/b.txt"), "/nothing", "/b.txt file"),
            (("a.txt",), "/", "/a.txt file"),
            (("{path}",), "/../../etc/passwd", "no"),
            (("{path}",), "/sub/%2e%2e/a.txt", "/a.txt file"),
            (("{path}", "=404"), "/nothing", "404"),
            (("{path}", "=410"), "/nothing", "410"),
            (("/*/c.txt",), "/", "/sub/c.txt file"),
            (("{path}*",), "/%5Bab%5D", "no"),
        ],
    )
    def test_first_that_exists(self, root: Path, files: tuple[str, ...], target: str, expected: str) -> None:
        assert self.found(root, FileMatch(files), target) == expected

    @pytest.mark.parametrize(
        ("policy", "expected"),
        [
            ("smallest_size", "/a.txt file"),
            ("largest_size", "/b.txt file"),
            ("most_recently_modified", "/b.txt file"),
            ("first_exist", "/b.txt file"),
        ],
    )
    def test_policies(self, root: Path, policy: Any, expected: str) -> None:
        assert self.found(root, FileMatch(("/b.txt", "/a.txt"), policy=policy)) == expected

    def test_fallback_is_taken_although_it_does_not_exist(self, root: Path) -> None:
        condition = FileMatch(("{path}", "/fallback"), policy="first_exist_fallback")
        assert self.found(root, condition, "/nothing") == "/fallback file"

    def test_split_keeps_the_path_info(self, root: Path) -> None:
        assert self.found(root, FileMatch(("{path}",), split=(".php",)), "/x.php/info") == "/x.php file/info"

    def test_root_of_the_matcher_wins(self, root: Path) -> None:
        built = Built(site(Root("/"), step(Respond("{file.absolute}"), FileMatch(("c.txt",), root=str(root / "sub")))))
        assert built.ask("/").text == str(root / "sub" / "c.txt")

    def test_root_may_depend_on_the_request(self, root: Path) -> None:
        condition = FileMatch(("c.txt",), root=f"{root}/{{vars.folder}}")
        assert Built(site(Vars({"folder": "sub"}), step(Respond("yes"), condition))).ask("/").text == "yes"

    def test_wrong_policy_or_status_is_an_error(self, root: Path) -> None:
        policy: Any = "newest"
        with pytest.raises(ConfigError, match="policy"):
            self.found(root, FileMatch(("a",), policy=policy))
        with pytest.raises(ConfigError, match="status"):
            self.found(root, FileMatch(("a", "=200")))
