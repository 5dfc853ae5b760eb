from __future__ import annotations

from pathlib import Path

import pytest

from howdah.config.http import PathMatch, RegexpMatch, Respond, Rewrite, Root, TryFiles
from howdah.errors import ConfigError
from tests.unit.web.building import Built as Build
from tests.unit.web.building import ask, site, step


def after(*actions: Rewrite, target: str) -> str:
    """Give path as it would go to PHP, decoded path and query."""
    return str(ask(*actions, Respond("{%path} {query}"), target=target).text)


@pytest.mark.parametrize(
    ("to", "target", "expected"),
    [
        ("/new", "/old?a=1", "/new a=1"),
        ("/new?b=2", "/old?a=1", "/new b=2"),
        ("/new?b=2&{query}", "/old?a=1", "/new b=2&a=1"),
        ("/new?", "/old?a=1", "/new "),
        ("?b=2", "/old", "/old b=2"),
        ("/index.php{uri}", "/old?a=1", "/index.php/old a=1"),
        ("/p{path}", "/a%2Fb%20c", "/p/a%2Fb%20c "),
        ("/p/{query.x}", "/?x=a%2Fb%3Fc%25", "/p/a/b%3Fc%25 x=a%2Fb%3Fc%25"),
        ("/x#frag", "/old", "/x "),
        ("new", "/old", "/new "),
        ("/sp ace", "/old", "/sp%20ace "),
        ("/{header.X-A}", "/old", "/%0D%0Aa "),
        ("/100%", "/old", "/100%25 "),
    ],
)
def test_rewrite(to: str, target: str, expected: str) -> None:
    response = ask(Rewrite(to), Respond("{%path} {query}"), target=target, headers={"x-a": "\r\na"})
    assert response.text == expected


def test_captures_go_into_the_address() -> None:
    built = Build(
        site(
            step(Rewrite("/index.php?id={re.post.1}"), RegexpMatch(r"^/post/([^/]+)$", "post")),
            Respond("{%path} {query}"),
        )
    )
    assert built.ask("/post/42").text == "/index.php id=42"
    # A client cannot add parameters of its own beyond what it could write anyway, nor end the line.
    assert built.ask("/post/4%0A2").text == "/index.php id=4%0A2"


def test_method() -> None:
    assert ask(Rewrite(method="get"), Respond("{method} {http.request.orig_method}"), method="POST").text == "GET POST"


@pytest.mark.parametrize(
    ("action", "target", "expected"),
    [
        (Rewrite(strip_prefix="/api"), "/api/v1?x=1", "/v1 x=1"),
        (Rewrite(strip_prefix="/api"), "/api", "/ "),
        (Rewrite(strip_prefix="api"), "/api/v1", "/v1 "),
        (Rewrite(strip_prefix="/api"), "/other/v1", "/other/v1 "),
        (Rewrite(strip_prefix="/api"), "/%61pi/v%2F1", "/v%2F1 "),
        (Rewrite(strip_prefix="/api"), "//api/v1", "/v1 "),
        (Rewrite(strip_prefix="/ü"), "/%C3%BC/x", "/x "),
        (Rewrite(strip_suffix=".html"), "/a.html?x", "/a x"),
        (Rewrite(strip_suffix=".html"), "/a.htm", "/a.htm "),
        (Rewrite(replace=(("/docs/", "/v1/"),)), "/docs/a/docs/b", "/v1/a/v1/b "),
        (Rewrite(replace=(("a", "b"),)), "/a?a=1", "/b b=1"),
        (Rewrite(path_regexp=((r"/{2,}", "/"),)), "/a//b///c", "/a/b/c "),
        (Rewrite(path_regexp=((r"^/(\w+)/(\w+)$", "/$2/${1}"),)), "/one/two", "/two/one "),
        (Rewrite(path_regexp=((r"x", "/"),)), "/none", "/none "),
    ],
)
def test_uri(action: Rewrite, target: str, expected: str) -> None:
    assert after(action, target=target) == expected


def test_wrong_regexp_is_an_error() -> None:
    with pytest.raises(ConfigError, match="is not valid"):
        after(Rewrite(path_regexp=(("(", ""),)), target="/")


class TestTryFiles:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for name in ("index.php", "a.txt", "100%.txt", "sub/index.html"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("x")
        return tmp_path

    @pytest.mark.parametrize(
        ("files", "target", "expected"),
        [
            (("{path}", "/index.php?{query}&p={path}"), "/a.txt?x=1", "/a.txt x=1"),
            (("{path}", "/index.php?{query}&p={path}"), "/b?x=1", "/index.php x=1&p=/b"),
            (("{path}", "{path}/index.html"), "/sub", "/sub/index.html "),
            (("{path}", "{path}/"), "/sub", "/sub/ "),
            (("{path}",), "/nothing", "/nothing "),
            (("{path}",), "/100%25.txt", "/100%25.txt "),
            (("{path}.txt", "index.php"), "/a", "/a.txt "),
        ],
    )
    def test_rewrites_to_what_exists(self, root: Path, files: tuple[str, ...], target: str, expected: str) -> None:
        assert ask(Root(str(root)), TryFiles(files), Respond("{%path} {query}"), target=target).text == expected

    def test_status_at_the_end_is_an_error_of_the_site(self, root: Path) -> None:
        response = ask(Root(str(root)), TryFiles(("{path}", "=404")), Respond("yes"), target="/nothing")
        assert response.status == 404

    def test_acts_only_where_its_matcher_holds(self, root: Path) -> None:
        steps = (Root(str(root)), step(TryFiles(("/a.txt",)), PathMatch(("/x/*",))), Respond("{path}"))
        assert ask(*steps, target="/x/y").text == "/a.txt"
        assert ask(*steps, target="/z").text == "/z"
