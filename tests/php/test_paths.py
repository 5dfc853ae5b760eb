"""Which file answers a path: scripts, files, folders, links, and what is refused."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.raw import get
from tests.php.harness.server import SCRIPTS, Server, ServerFactory


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A document root with links in all directions, and a folder outside it."""
    base = tmp_path_factory.mktemp("paths")
    root, outside = base / "root", base / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "outside.php").write_text("<?php echo 'outside script';")
    (outside / "outside.txt").write_text("outside text")
    (outside / "secret.conf").write_text("secret")
    (root / "inside.php").write_text("<?php echo 'inside script';")
    (root / "inside.txt").write_text("inside text")
    (root / "style.css").write_text("body { color: black }\n" * 200)
    (root / "style.css.gz").write_bytes(gzip.compress((root / "style.css").read_bytes()))
    (root / "large.bin").write_bytes(bytes(range(256)) * 40_000)
    (root / "no-suffix").write_text("<?php echo 'must not run';")
    (root / "upload.jpg").write_text("<?php echo 'must not run';")
    (root / "folder.php").mkdir()
    (root / "sub").mkdir()
    (root / "sub" / "index.php").write_text("<?php echo 'sub index ', $_SERVER['REQUEST_URI'];")
    (root / "empty").mkdir()
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("private")
    (root / ".env").write_text("SECRET=1")
    (root / ".well-known").mkdir()
    (root / ".well-known" / "ok.txt").write_text("well known")
    links: dict[str, str | Path] = {
        "in.php": "inside.php", "in.txt": "inside.txt", "out.php": outside / "outside.php", "out.txt": outside / "outside.txt",
        "outdir": outside, "alias.php": outside / "secret.conf", "dangling.php": "nothing.php", "loop.php": "loop.php",
    }  # fmt: skip
    for name, target in links.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "pipe.php")
    (root / "unreadable.php").write_text("<?php echo 'closed';")
    return root


@pytest.fixture(scope="module")
def following(tree: Path, module_server: ServerFactory) -> Server:
    return module_server(tree, "--num-threads", "2")


@pytest.fixture(scope="module")
def inside(tree: Path, module_server: ServerFactory) -> Server:
    return module_server(tree, "--num-threads", "2", "--symlinks", "inside")


def test_a_missing_script_is_404_in_parallel_too(following: Server) -> None:
    answers = fetch_parallel(following.url, lambda i: {"url": f"/missing{i}.php"})
    assert {answer.status_code for answer in answers} == {404}


@pytest.mark.parametrize(
    "path",
    [
        "/missing.txt",
        "/missing/",
        "/sub/missing.php",
        "/missing.php/info",
        "/folder.php",
        "/dangling.php",
        "/loop.php",
        "/empty/",
    ],
)
def test_what_does_not_exist_is_404(following: Server, path: str) -> None:
    assert get(following.port, path).status in {403, 404, 308}
    assert get(following.port, path).status != 200


@pytest.mark.parametrize(("path", "text"), [("/in.php", "inside script"), ("/out.php", "outside script")])
def test_linked_scripts_run_by_default(following: Server, path: str, text: str) -> None:
    assert following.get(path).text == text


@pytest.mark.parametrize(
    ("path", "text"),
    [("/in.txt", "inside text"), ("/out.txt", "outside text"), ("/outdir/outside.txt", "outside text")],
)
def test_linked_files_are_served_by_default(following: Server, path: str, text: str) -> None:
    assert following.get(path).text == text


def test_with_symlinks_inside_links_within_the_root_still_work(inside: Server) -> None:
    assert inside.get("/in.php").text == "inside script"
    assert inside.get("/in.txt").text == "inside text"


@pytest.mark.parametrize(
    "path", ["/out.php", "/out.txt", "/outdir/outside.php", "/outdir/outside.txt", "/outdir/outside.php/info"]
)
def test_with_symlinks_inside_targets_outside_are_403(inside: Server, path: str) -> None:
    assert inside.get(path).status_code == 403


@pytest.mark.parametrize("flag", ["following", "inside"])
def test_a_script_must_have_a_listed_suffix_after_resolution_too(request: pytest.FixtureRequest, flag: str) -> None:
    server: Server = request.getfixturevalue(flag)
    answer = server.get("/alias.php")
    assert answer.status_code in {403, 404}
    assert "secret" not in answer.text


def test_a_script_must_be_a_regular_file(following: Server) -> None:
    assert get(following.port, "/pipe.php").status in {403, 404}
    assert get(following.port, "/folder.php/").status in {403, 404}


@pytest.mark.parametrize(
    "path", ["/no-suffix", "/upload.jpg", "/upload.jpg/x.php", "/inside.txt/x.php", "/no-suffix/index.php"]
)
def test_only_files_with_a_script_suffix_run(following: Server, path: str) -> None:
    answer = get(following.port, path)
    assert not answer.body.startswith(b"must not run")


@pytest.mark.parametrize("path", ["/.env", "/.git/config", "/sub/../.env", "/%2eenv", "/.git%2fconfig", "//.env"])
def test_hidden_files_are_refused(following: Server, path: str) -> None:
    answer = get(following.port, path)
    assert answer.status in {400, 403, 404}
    assert b"SECRET" not in answer.body
    assert b"private" not in answer.body


def test_well_known_files_are_served(following: Server) -> None:
    assert following.get("/.well-known/ok.txt").text == "well known"


def test_a_folder_is_redirected_to_its_slash_with_the_query_kept(following: Server) -> None:
    answer = following.get("/sub?a=1&b=%20")
    assert answer.status_code == 308
    assert answer.headers["location"].endswith("/sub/?a=1&b=%20")
    assert following.get("/sub/?a=1").text == "sub index /sub/?a=1"


def test_source_of_scripts_is_never_sent(following: Server) -> None:
    for path in (
        "/inside.PHP",
        "/inside.php%20",
        "/inside.php.",
        "/inside.php%00",
        "/inside.php::$DATA",
        "/inside.php~",
        "/inside.Php/x",
    ):
        assert b"<?php" not in get(following.port, path).body, path


def test_the_front_controller_answers_for_paths_without_a_file(module_server: ServerFactory) -> None:
    server = module_server(SCRIPTS / "site", "--num-threads", "2")
    assert server.json("/any/thing")["front"] is True
    assert server.json("/")["SCRIPT_NAME"] == "/index.php"
    assert server.get("/file.txt").text == "static text\n"
    assert server.get("/dir/file.txt").text == "in a folder\n"
    assert server.get("/app.php/x").text == "app /x"


def test_conditional_and_range_requests_of_files_work(following: Server) -> None:
    first = following.get("/inside.txt")
    assert first.headers["etag"]
    assert first.headers["last-modified"]
    assert first.headers["content-type"].startswith("text/plain")
    same = {"if-modified-since": first.headers["last-modified"]}
    assert following.get("/inside.txt", headers=same).status_code == 304
    part = following.get("/inside.txt", headers={"range": "bytes=7-"})
    assert (part.status_code, part.text, part.headers["content-range"]) == (206, "text", "bytes 7-10/11")
    assert following.get("/inside.txt", headers={"range": "bytes=100-"}).status_code == 416


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_files_cannot_be_written(following: Server, method: str) -> None:
    with following.client() as client:
        assert client.request(method, "/inside.txt", content=b"x").status_code == 405


def test_a_compressed_sibling_is_sent_to_clients_that_take_it(following: Server) -> None:
    plain = following.get("/style.css")
    packed = following.get("/style.css", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["content-type"].startswith("text/css")
    assert packed.text == plain.text
    assert packed.headers["etag"] != plain.headers["etag"]


def test_a_large_file_arrives_whole_and_in_ranges(following: Server) -> None:
    whole = following.get("/large.bin")
    assert whole.content == bytes(range(256)) * 40_000
    part = following.get("/large.bin", headers={"range": "bytes=5000000-5000255"})
    assert part.content == whole.content[5_000_000:5_000_256]
    tail = following.get("/large.bin", headers={"range": "bytes=-10"})
    assert tail.content == whole.content[-10:]


def test_a_hundred_files_at_once_arrive_whole(following: Server) -> None:
    answers = fetch_parallel(following.url, lambda i: {"url": "/style.css" if i % 2 else "/inside.txt"})
    assert {len(answer.content) for answer in answers} == {11, 4400}


def test_head_of_a_file_has_its_length_and_no_body(following: Server) -> None:
    answer = get(following.port, "/large.bin", method="HEAD")
    assert (answer.status, answer.header("content-length"), answer.body) == (200, b"10240000", b"")
