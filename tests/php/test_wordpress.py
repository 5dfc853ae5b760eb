"""docs/howto/wordpress.md carried out: WordPress with MariaDB, both from Debian's packages, served by the Caddyfile of the page.

It is installed, logged in to, written, commented on and uploaded to; any page with PHP's error texts is a failure.
"""

from __future__ import annotations

import re
import struct
import zlib
from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx
import pytest

from apps import mariadb, wordpress
from apps.debian import FetchError
from apps.pages import PageError
from apps.serving import Served, configured
from apps.wordpress_client import TITLE, USER, Blog
from tests.php.harness.parallel import run_parallel
from tests.php.harness.server import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(180)]

_BAD_LINE = re.compile(r"PHP (Warning|Fatal error|Parse error)|WordPress database error|Traceback|ERROR")
# What WordPress says under any server: it may not ask its home for updates, and Debian's installer forgets two variables.
_NOT_OURS = re.compile(
    r"could not establish a secure connection to WordPress.org|Undefined variable \$upload_(url_)?path"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wordpress")


@pytest.fixture(scope="module")
def database(folder: Path) -> Iterator[mariadb.Database]:
    try:
        with mariadb.running("wordpress", folder / "database.log") as running:
            yield running
    except FetchError as error:
        pytest.skip(f"MariaDB cannot be fetched from Debian's archive here: {error}")


@pytest.fixture(scope="module")
def site(folder: Path, database: mariadb.Database) -> Iterator[Served]:
    """An installed blog, served; the server's log must be clean in the end."""
    access = wordpress.Access(database.name, database.user, database.password, f"localhost:{database.socket}")
    wordpress.install(folder / "app", access)
    config = folder / "Caddyfile"
    config.write_text((REPOSITORY / "examples" / "wordpress" / "Caddyfile").read_text())
    # errors shown in pages are errors that the tests see
    (folder / "tests.ini").write_text("display_errors=1\nsendmail_path=/bin/true\n")
    environ = {"WORDPRESS": str(folder / "app"), "PHP_INI_SCAN_DIR": f":{folder}"}
    with configured(config, folder / "server.log", environ=environ) as served:
        with Blog(served.url) as author:
            author.install()
        yield served
    lines = served.log.read_text(encoding="utf-8", errors="replace").splitlines()
    bad = [line for line in lines if _BAD_LINE.search(line) and not _NOT_OURS.search(line)]
    assert not bad, bad[:5]


@pytest.fixture
def reader(site: Served) -> Iterator[Blog]:
    with Blog(site.url) as blog:
        yield blog


@pytest.fixture
def author(site: Served) -> Iterator[Blog]:
    with Blog(site.url) as blog:
        assert "Dashboard" in blog.log_in()
        yield blog


def test_first_page_is_the_blogs(reader: Blog) -> None:
    page = reader.get("/").text
    assert TITLE in page
    assert "Hello world!" in page


def test_installer_refuses_to_run_twice(reader: Blog) -> None:
    assert "Already Installed" in reader.get("/wp-admin/install.php").text


def test_wrong_password_is_refused(site: Served) -> None:
    with Blog(site.url) as stranger:
        assert "is incorrect" in stranger.log_in("wrong")
        assert "Dashboard" not in stranger.get("/wp-admin/").text


def test_post_is_written_and_read_at_its_readable_address(author: Blog, reader: Blog) -> None:
    path = author.write("Größe & Mut", "<p>First <strong>words</strong> ünïcode.</p>")
    assert re.fullmatch(r"/\d{4}/groesse-mut/|/\d{4}/grose-mut/", path)
    page = reader.get(path).text
    assert "First <strong>words</strong> ünïcode." in page
    assert "Größe" in reader.get("/").text
    assert "Größe" in reader.get("/", s="ünïcode").text


def test_missing_page_is_wordpress_own_404(reader: Blog) -> None:
    assert "Page not found" in reader.get("/2020/no-such-post/", 404).text


def test_comment_waits_for_approval(author: Blog, site: Served) -> None:
    path = author.write("Talk to me", "<p>Please.</p>")
    with Blog(site.url) as visitor:
        page = visitor.comment(path, "Bob", "What a quokka!")
        assert "What a quokka!" in page
        assert "awaiting moderation" in page
    with Blog(site.url) as other:
        assert "What a quokka!" not in other.get(path).text
    assert "What a quokka!" in author.get("/wp-admin/edit-comments.php").text


def test_picture_is_uploaded_unchanged_and_scaled(author: Blog, reader: Blog) -> None:
    picture = _png(640, 480)
    media = author.upload("photo.png", picture, "image/png")
    answer = reader.get(httpx.URL(media["source_url"]).path)
    assert answer.headers["content-type"] == "image/png"
    assert answer.content == picture
    sizes = media["media_details"]["sizes"]
    small = reader.get(httpx.URL(sizes["thumbnail"]["source_url"]).path).content
    assert struct.unpack(">II", small[16:24]) == (150, 150)


def test_uploaded_script_is_not_run_and_not_shown(author: Blog, folder: Path, reader: Blog) -> None:
    with pytest.raises(PageError, match="status 500"):
        author.upload("evil.php", b"<?php echo 6 * 7;", "application/x-php")
    planted = folder / "app/var/lib/wordpress/wp-content/uploads/evil.php"
    planted.write_text("<?php echo 6 * 7;")
    assert reader.get("/wp-content/uploads/evil.php", 404).text == ""


@pytest.mark.parametrize("path", ["/wp-config.php", "/xmlrpc.php", "/readme.html", "/.htaccess"])
def test_what_is_nobodys_business_is_hidden(reader: Blog, path: str) -> None:
    assert reader.get(path, 404).text == ""


def test_styles_scripts_and_theme_are_files(reader: Blog) -> None:
    page = reader.get("/").text
    paths = {httpx.URL(link).path for link in re.findall(r"(?:href|src)='(http[^']+\.(?:css|js))[^']*'", page)}
    paths |= {"/wp-includes/js/underscore.min.js", "/wp-content/themes/twentytwentythree/style.css"}
    for path in paths:
        answer = reader.get(path)
        assert answer.headers["content-type"].startswith(("text/css", "text/javascript")), path
        assert "etag" in answer.headers


def test_feed_and_api_are_machine_readable(reader: Blog) -> None:
    assert reader.get("/feed/").text.startswith("<?xml")
    posts = reader.get("/wp-json/wp/v2/posts").json()
    assert posts[-1]["title"]["rendered"] == "Hello world!"
    assert reader.get("/wp-json/wp/v2/users/1").json()["slug"] == USER


def test_pages_are_compressed_for_who_asks(site: Served) -> None:
    for algorithm in ("gzip", "br", "zstd"):
        with httpx.stream("GET", f"{site.url}/", headers={"Accept-Encoding": algorithm}, timeout=30) as answer:
            assert answer.headers["content-encoding"] == algorithm


def test_scheduler_calls_the_blog_itself(reader: Blog, folder: Path) -> None:
    """wp-cron.php is requested by WordPress through its own address, so a second thread serves the first one."""
    assert reader.get("/wp-cron.php?doing_wp_cron").text == ""


def test_parallel_readers_all_get_the_page(author: Blog, site: Served) -> None:
    path = author.write("Busy page", "<p>Read by many.</p>")

    def read(number: int) -> bool:
        with Blog(site.url) as reader:
            return "Read by many." in reader.get(path).text

    assert all(run_parallel(read, 30, threads=10))


def test_parallel_authors_do_not_mix_their_posts(site: Served) -> None:
    with ExitStack() as open_blogs:
        authors = [open_blogs.enter_context(Blog(site.url)) for _ in range(6)]
        # One after the other: WordPress keeps a user's sessions in one row, and logins at the same time lose some.
        for author in authors:
            author.log_in()

        def write_and_read(number: int) -> bool:
            path = authors[number].write(f"Post number {number}", f"<p>Text of post {number}.</p>")
            return f"Text of post {number}." in authors[number].get(path).text

        assert all(run_parallel(write_and_read, len(authors)))


def _png(width: int, height: int) -> bytes:
    rows = b"".join(
        b"\0" + bytes((x * 7 ^ y * 13 ^ channel * 101) & 255 for x in range(width) for channel in range(3))
        for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")
