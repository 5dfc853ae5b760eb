from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from howdah.config.http import (
    Encode,
    ErrorResponse,
    ErrorRoutes,
    FileServer,
    PathMatch,
    Respond,
    Rewrite,
    Root,
    Routes,
)
from howdah.errors import ConfigError
from tests.unit.web.building import Built, ask, php_server, site, step

FILES = (
    "a.txt",
    "index.html",
    "sub/index.txt",
    "plain/x.css",
    "secret/key.pem",
    "x.php",
    "copy.php.bak",
    ".env",
    ".well-known/acme",
    "a b%.txt",
    "Caddyfile",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"text of {name}")
    return folder


def get(root: Path, target: str, *, headers: Any = (), method: str = "GET", **fields: Any) -> Any:
    return ask(Root(str(root)), FileServer(**fields), target=target, headers=headers, method=method)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("/a.txt", "text of a.txt"),
        ("/", "text of index.html"),
        ("/sub/", "text of sub/index.txt"),
        ("/a%20b%25.txt", "text of a b%.txt"),
        ("/.well-known/acme", "text of .well-known/acme"),
        ("/plain/../a.txt", "text of a.txt"),
    ],
)
def test_files_and_indexes(root: Path, target: str, text: str) -> None:
    response = get(root, target)
    assert (response.status, response.text) == (200, text)


@pytest.mark.parametrize("target", ["/none", "/plain/", "/plain", "/sub/none/", "/../a", "/a.txt/x"])
def test_what_is_not_there_is_404(root: Path, target: str) -> None:
    assert get(root, target).status == 404


@pytest.mark.parametrize(
    "target", ["/x.php", "/X.PHP", "/copy.php.bak", "/.env", "/./.env", "/%2eenv", "/x.php/", "/.git"]
)
def test_sources_and_hidden_names_are_not_sent(root: Path, target: str) -> None:
    response = get(root, target)
    assert response.status in {403, 404, 308}
    assert b"text of" not in response.body


def test_sources_with_other_suffixes_of_the_site_are_not_sent(root: Path) -> None:
    (root / "y.phtml").write_text("source")
    steps = (Root(str(root)), step(FileServer(), PathMatch(("/y.phtml",))), php_server(split=(".phtml",)))
    assert ask(*steps, target="/y.phtml").status == 403


def test_rewrite_does_not_lead_to_a_source(root: Path) -> None:
    assert ask(Root(str(root)), Rewrite("/x.php"), FileServer(), target="/a").status == 403


@pytest.mark.parametrize(
    ("target", "location"),
    [("/sub", b"/sub/"), ("/sub?x=1", b"/sub/?x=1"), ("/a.txt/?y", b"/a.txt?y"), ("//sub", b"/sub/")],
)
def test_addresses_are_made_canonical(root: Path, target: str, location: bytes) -> None:
    response = get(root, target)
    assert (response.status, response.header("location")) == (308, location)


def test_addresses_may_be_left_alone(root: Path) -> None:
    assert get(root, "/sub", canonical_uris=False).text == "text of sub/index.txt"


def test_inside_of_a_stripped_block_there_is_no_redirect_to_the_wrong_place(root: Path) -> None:
    block = Routes((step(Root(str(root))), step(FileServer())), strip_prefix="/static")
    response = ask(step(block, PathMatch(("/static/*",))), target="/static/sub")
    assert (response.status, response.text) == (200, "text of sub/index.txt")


@pytest.mark.parametrize(
    ("hide", "target", "status"),
    [
        (("*.pem",), "/secret/key.pem", 404),
        (("secret",), "/secret/key.pem", 404),
        (("key",), "/secret/key.pem", 200),
        (("{query.hide}",), "/a.txt?hide=a.txt", 404),
        (("{query.hide}",), "/a.txt?hide=b.txt", 200),
    ],
)
def test_hide(root: Path, hide: tuple[str, ...], target: str, status: int) -> None:
    assert get(root, target, hide=hide).status == status


def test_hide_names_a_file_by_its_path_also_through_links(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    for path in (root / "Caddyfile", tmp_path / "link" / "Caddyfile"):
        assert get(root, "/Caddyfile", hide=(str(path),)).status == 404
    assert get(root, "/secret/key.pem", hide=(str(root / "secret"),)).status == 404


def test_index_names(root: Path) -> None:
    assert get(root, "/plain/", index=("none.html", "x.css")).text == "text of plain/x.css"
    (root / "plain" / "index.php").write_text("source")
    assert get(root, "/plain/", index=("index.php",)).status == 404


class TestPrecompressed:
    @pytest.fixture
    def packed(self, root: Path) -> Path:
        (root / "a.txt.gz").write_bytes(gzip.compress(b"text of a.txt"))
        (root / "a.txt.br").write_bytes(b"brotli")
        return root

    def coding(self, root: Path, precompressed: tuple[str, ...], accepted: str = "gzip, br") -> bytes | None:
        headers = {"accept-encoding": accepted}
        answer: bytes | None = get(root, "/a.txt", headers=headers, precompressed=precompressed).header(
            "content-encoding"
        )
        return answer

    def test_order_of_the_configuration_decides(self, packed: Path) -> None:
        assert self.coding(packed, ("gzip", "br")) == b"gzip"
        assert self.coding(packed, ("br", "gzip")) == b"br"

    def test_only_named_ones_are_used(self, packed: Path) -> None:
        assert self.coding(packed, ()) is None
        assert self.coding(packed, ("zstd",)) is None
        assert self.coding(packed, ("gzip",), "br") is None


class TestStatus:
    def test_file_is_sent_with_another_status(self, root: Path) -> None:
        response = get(root, "/a.txt", status="410", headers={"range": "bytes=0-1"})
        assert (response.status, response.text) == (410, "text of a.txt")

    def test_page_of_an_error_has_the_error_s(self, root: Path) -> None:
        errors = (ErrorRoutes((step(Root(str(root))), step(Rewrite("/a.txt")), step(FileServer()))),)
        built = Built(site(ErrorResponse("", "503"), errors=errors))
        response = built.ask("/x", method="POST", body=b"abc")
        assert (response.status, response.text) == (503, "text of a.txt")

    def test_wrong_one_is_an_error(self, root: Path) -> None:
        with pytest.raises(ConfigError, match="is no status"):
            get(root, "/", status="999")


def test_pass_through_goes_on(root: Path) -> None:
    steps = (Root(str(root)), FileServer(pass_through=True), Respond("next"))
    assert ask(*steps, target="/none").text == "next"
    assert ask(*steps, target="/a.txt").text == "text of a.txt"


def test_other_methods_get_405(root: Path) -> None:
    assert get(root, "/a.txt", method="POST").status == 405


def test_encode_wraps_files(root: Path) -> None:
    (root / "big.txt").write_text("x" * 5000)
    response = ask(
        Root(str(root)), Encode(("gzip",)), FileServer(), target="/big.txt", headers={"accept-encoding": "gzip"}
    )
    assert gzip.decompress(response.body) == b"x" * 5000


class TestBrowse:
    def test_listing_shows_what_is_served(self, root: Path) -> None:
        (root / "plain" / "<b>").write_text("")
        (root / "plain" / ".hidden").write_text("")
        (root / "plain" / "a b").mkdir()
        (root / "plain" / "y.php").write_text("")
        text = get(root, "/plain/", browse=True, hide=("*.css",)).text
        assert '<a href="./a%20b/">a b/</a>' in text
        assert "&lt;b&gt;" in text
        assert "<b>" not in text
        for name in (".hidden", "y.php", "x.css"):
            assert name not in text
        assert '<a href="../">' in text

    def test_index_comes_before_a_listing(self, root: Path) -> None:
        assert get(root, "/sub/", browse=True).text == "text of sub/index.txt"

    def test_folder_gets_its_slash(self, root: Path) -> None:
        assert get(root, "/plain", browse=True).header("location") == b"/plain/"


class TestLinks:
    def test_link_to_a_source_is_not_sent(self, root: Path) -> None:
        (root / "innocent.txt").symlink_to(root / "x.php")
        assert get(root, "/innocent.txt").status == 403
