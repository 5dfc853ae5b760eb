from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from howdah.config.http import Encode, Root, XSendfile
from tests.unit.fakes import whole
from tests.unit.web.building import Built, php_server, site

HTML = (b"content-type", b"text/html; charset=UTF-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("public/a.php", "private/file.bin", "private/.hidden", "private/source.php", "private/sub/page.css"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"text of {name}")
    (tmp_path / "outside.txt").write_text("outside")
    (tmp_path / "private" / "link.txt").symlink_to(tmp_path / "outside.txt")
    return tmp_path


def ask(root: Path, *headers: tuple[bytes, bytes], request: Any = (), status: int = 200, method: str = "GET") -> Any:
    events = whole(b"the script's own", HTML, *headers, status=status)
    steps = (Root(str(root / "public")), XSendfile(str(root / "private")), php_server())
    return Built(site(*steps), events).ask("/a.php", headers=request, method=method)


@pytest.mark.parametrize(
    "header",
    [
        (b"x-sendfile", b"/file.bin"),
        (b"x-sendfile", b"file.bin"),
        (b"x-accel-redirect", b"/file%2Ebin"),
        (b"x-accel-redirect", b"/sub/../file.bin?x"),
    ],
)
def test_file_comes_in_the_place_of_the_answer(root: Path, header: tuple[bytes, bytes]) -> None:
    response = ask(root, header)
    assert (response.status, response.body) == (200, b"text of private/file.bin")
    assert response.header(header[0].decode()) is None
    assert response.complete


def test_absolute_name_below_the_root(root: Path) -> None:
    assert ask(root, (b"x-sendfile", str(root / "private/file.bin").encode())).body == b"text of private/file.bin"


@pytest.mark.parametrize(
    "name",
    [
        b"/../outside.txt",
        b"../outside.txt",
        b"/sub/../../outside.txt",
        b"/link.txt",
        b"/.hidden",
        b"/source.php",
        b"/none",
        b"/sub/",
        b"/sub",
        b"/etc/passwd",
        b"",
        b"/file.bin%00",
        b"/file.bin\0",
    ],
)
def test_nothing_else_is_sent(root: Path, name: bytes) -> None:
    for header in (b"x-sendfile", b"x-accel-redirect"):
        response = ask(root, (header, name))
        assert response.status == 404
        assert b"text of" not in response.body
        assert b"outside" not in response.body
        assert b"the script" not in response.body


def test_absolute_name_elsewhere_is_not_sent(root: Path) -> None:
    assert ask(root, (b"x-sendfile", str(root / "outside.txt").encode())).status == 404


def test_headers_of_the_script_stay(root: Path) -> None:
    response = ask(
        root,
        (b"x-sendfile", b"/file.bin"),
        (b"content-disposition", b"attachment"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"content-length", b"16"),
    )
    assert response.header("content-disposition") == b"attachment"
    assert [value for name, value in response.headers if name == b"set-cookie"] == [b"a=1", b"b=2"]
    assert response.header("content-length") == b"%d" % len(response.body)
    assert [value for name, value in response.headers if name == b"server"] == [b"Howdah"]


def test_type_is_the_script_s_unless_it_is_php_s_default(root: Path) -> None:
    assert ask(root, (b"x-sendfile", b"/sub/page.css")).header("content-type").startswith(b"text/css")
    events = whole(b"", (b"content-type", b"application/x-own"), (b"x-sendfile", b"/sub/page.css"))
    built = Built(site(XSendfile(str(root / "private")), php_server(root / "public")), events)
    assert built.ask("/a.php").header("content-type") == b"application/x-own"


def test_ranges_and_validators_are_the_file_s(root: Path) -> None:
    part = ask(root, (b"x-sendfile", b"/file.bin"), request={"range": "bytes=0-3"})
    assert (part.status, part.body) == (206, b"text")
    whole_file = ask(root, (b"x-sendfile", b"/file.bin"))
    again = ask(root, (b"x-sendfile", b"/file.bin"), request={"if-none-match": whole_file.header("etag").decode()})
    assert again.status == 304


def test_post_gets_the_file_too(root: Path) -> None:
    assert ask(root, (b"x-sendfile", b"/file.bin"), method="POST").body == b"text of private/file.bin"


def test_head_gets_its_length(root: Path) -> None:
    response = ask(root, (b"x-sendfile", b"/file.bin"), method="HEAD")
    assert (response.body, response.header("content-length")) == (b"", b"24")


def test_answer_without_the_header_stays(root: Path) -> None:
    assert ask(root).body == b"the script's own"


def test_client_cannot_say_what_the_server_does(root: Path) -> None:
    built = Built(site(XSendfile(str(root / "private")), php_server(root / "public")))
    built.ask("/a.php", headers={"x-sendfile-type": "X-Accel-Redirect", "x-accel-mapping": "/=/"})
    headers = built.php.last.headers
    assert [value for name, value in headers if name == b"x-sendfile-type"] == [b"X-Sendfile"]
    assert b"x-accel-mapping" not in dict(headers)


def test_root_is_the_site_s_by_itself_and_encoding_works(root: Path) -> None:
    (root / "public" / "big.txt").write_text("x" * 5000)
    events = whole(b"", HTML, (b"x-sendfile", b"big.txt"))
    steps = (Root(str(root / "public")), Encode(("gzip",)), XSendfile(), php_server())
    response = Built(site(*steps), events).ask("/a.php", headers={"accept-encoding": "gzip"})
    assert response.header("content-encoding") == b"gzip"
    assert response.complete
