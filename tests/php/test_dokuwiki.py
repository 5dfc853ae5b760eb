"""A real application in classic mode: DokuWiki is installed, logged in to, written, read and uploaded to.

Unpacked without care every page answers 200 with PHP warnings in it, so the tests look at contents, and the client
refuses any page with PHP's error texts.
"""

from __future__ import annotations

import html
import re
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from apps import dokuwiki
from apps.dokuwiki_client import FULL_NAME, TITLE, Wiki, WikiError
from apps.serving import Served, serving
from tests.php.harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dokuwiki")


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[Served]:
    """An installed wiki, served; its own error log and the server's must be clean in the end."""
    root = dokuwiki.install(folder / "app")
    # errors shown in pages are errors that the tests see
    with serving(root, folder / "server.log", php_ini={"display_errors": "1"}) as served:
        with Wiki(served.url) as visitor:
            visitor.install()
        yield served
    complaints = list((folder / "app/var/lib/dokuwiki/data/log/error").glob("*.log"))
    assert not complaints, complaints[0].read_text(encoding="utf-8")
    log = served.log.read_text(encoding="utf-8", errors="replace")
    assert not re.search(r"PHP (Warning|Fatal error|Parse error)|Traceback", log), log[-4000:]


@pytest.fixture
def visitor(site: Served) -> Iterator[Wiki]:
    with Wiki(site.url) as wiki:
        yield wiki


@pytest.fixture
def author(visitor: Wiki) -> Wiki:
    assert f"Logged in as: <bdi>{FULL_NAME}</bdi>" in visitor.log_in()
    return visitor


def test_start_page_is_complete_and_names_the_wiki(visitor: Wiki) -> None:
    page = visitor.get("/").text  # index.php redirects to doku.php
    assert f"<title>start [{TITLE}]</title>" in page
    assert "This topic does not exist yet" in page
    assert 'id="dw__search"' in page


def test_installer_refuses_to_run_twice(visitor: Wiki) -> None:
    page = visitor.get("/install.php").text
    assert "users.auth.php</code> already exists" in page
    assert 'name="d[password]"' not in page


def test_wrong_password_is_refused(visitor: Wiki) -> None:
    page = visitor.log_in(password="wrong", status=403)
    assert "username or password was wrong" in page
    assert "Logged in as" not in page


def test_login_lasts_over_requests_and_ends_with_logout(author: Wiki) -> None:
    page = author.page("start")
    assert FULL_NAME in page
    token = re.search(r"do=logout&amp;sectok=(\w+)", page)
    assert token is not None
    author.page("start", do="logout", sectok=token[1])
    assert FULL_NAME not in author.page("start")


def test_page_is_created_edited_and_read_by_others(author: Wiki, site: Served) -> None:
    first = author.write("life:page", "====== Größe & <Mut> ======\n\n  * one\n  * **two**\n", "first words")
    assert "Größe &amp; &lt;Mut&gt;</h1>" in first
    assert "<strong>two</strong>" in first
    second = author.write("life:page", "====== Größe ======\n\nSecond text.\n", "second words")
    assert "Second text." in second
    assert "<strong>two</strong>" not in second
    assert author.source("life:page").replace("\r", "") == "====== Größe ======\n\nSecond text.\n"
    history = author.page("life:page", do="revisions")
    assert "second words" in history
    with Wiki(site.url) as stranger:
        page = stranger.page("life:page")
        assert "Second text." in page
        assert 'name="do[save]"' not in stranger.page("life:page", do="edit"), "strangers see the source only"
        assert (
            stranger.get("/doku.php", id="life:page", do="export_raw").text == "====== Größe ======\n\nSecond text.\n"
        )


def test_page_of_a_megabyte_is_stored_and_shown_whole(author: Wiki) -> None:
    text = "".join(f"Line {number:04} {'word ' * 200}\n\n" for number in range(1_050))
    shown = author.write("long:page", text)
    assert "Line 1049 word" in shown
    assert author.get("/doku.php", id="long:page", do="export_raw").text == text


def test_written_page_is_found_by_search(author: Wiki) -> None:
    author.write("find:me", "====== Find me ======\n\nThe quokka sleeps.\n")
    # the page asks for the indexer as an invisible image
    assert author.get("/lib/exe/taskrunner.php", id="find:me").content.startswith(b"GIF89a")
    # which works on after it has answered
    wait_until(
        lambda: 'data-wiki-id="find:me"' in author.page("start", do="search", q="quokka"), "the page to be indexed"
    )


@pytest.mark.parametrize("way", ["form", "body"])
def test_picture_is_uploaded_unchanged_and_scaled(author: Wiki, way: str) -> None:
    picture = _png(300, 200)
    if way == "form":
        name = author.upload("life", "form.png", picture, "image/png")
    else:
        name = author.upload_body("life", "body.png", picture)
    assert name == f"life:{way}.png"
    answer = author.get("/lib/exe/fetch.php", media=name)
    assert answer.headers["content-type"] == "image/png"
    assert answer.content == picture
    page = author.write(f"life:with_{way}", f"{{{{{name}?60}}}}\n")
    link = re.search(r'<img src="([^"]+)" class="media"', page)
    assert link is not None
    small = author.get(html.unescape(link[1])).content
    assert struct.unpack(">II", small[16:24]) == (60, 40)


def test_script_is_no_picture(author: Wiki) -> None:
    with pytest.raises(WikiError, match="upload refused"):
        author.upload("life", "evil.php", b"<?php echo 'not a picture';", "image/png")


def test_styles_scripts_and_static_files_are_there(visitor: Wiki) -> None:
    page = visitor.page("start")
    links = re.findall(r'(?:href|src)="(/lib/[^"]+)"', page)
    kinds = {path.partition("?")[0]: visitor.get(html.unescape(path)) for path in links}
    assert kinds["/lib/exe/css.php"].headers["content-type"] == "text/css; charset=utf-8"
    assert ".dokuwiki" in kinds["/lib/exe/css.php"].text
    assert "JSINFO" in kinds["/lib/exe/js.php"].text
    assert "jQuery JavaScript" in kinds["/lib/exe/jquery.php"].text or "jQuery v3" in kinds["/lib/exe/jquery.php"].text
    logo = kinds["/lib/tpl/dokuwiki/images/logo.png"]  # behind a link that leaves the document root
    assert logo.headers["content-type"] == "image/png"
    assert logo.content.startswith(b"\x89PNG")


def test_machine_readable_answers_are_well_formed(visitor: Wiki) -> None:
    assert visitor.get("/lib/exe/opensearch.php").text.startswith("<?xml")
    assert visitor.get("/lib/exe/manifest.php").json()["name"] == TITLE


def test_hundred_parallel_readers_all_get_the_page(author: Wiki, site: Served) -> None:
    author.write("busy:page", "====== Busy ======\n\nRead by many.\n")
    # In the second in which a page is written DokuWiki rewrites its cache file at every read, in place: others then
    # read a piece of it. That is DokuWiki's, with any server.
    time.sleep(1.1)
    author.page("busy:page")

    def read(number: int) -> bool:
        with Wiki(site.url) as reader:
            return "Read by many." in reader.page("busy:page")

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(read, range(100)))


def test_parallel_authors_do_not_mix_their_pages(site: Served) -> None:
    def write_and_read(number: int) -> bool:
        with Wiki(site.url) as author:
            author.log_in()
            author.write(f"many:page{number}", f"Text of author {number}.\n")
            return f"Text of author {number}." in author.page(f"many:page{number}")

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(write_and_read, range(16)))


def _png(width: int, height: int) -> bytes:
    """A colourful picture: one that compresses badly is larger than what a server keeps in memory."""
    rows = b"".join(
        b"\0" + bytes((x * 7 ^ y * 13 ^ channel * 101) & 255 for x in range(width) for channel in range(3))
        for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b"")
