"""The reference's end-to-end cases of a document root that is a link: workers are found, and scripts see what was chosen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.php.harness.scripts import write_files
from tests.php.harness.server import Server, ServerFactory

COUNTING = """<?php
if (!isset($_SERVER['FRANKENPHP_WORKER'])) {
    die('this script needs worker mode');
}
$n = 0;
while (frankenphp_handle_request(function () use (&$n) { echo 'WORD ', $n++; }));
"""
ROOT_OF_DOCUMENTS = """<?php
$tell = function () { echo $_SERVER['DOCUMENT_ROOT']; };
if (!isset($_SERVER['FRANKENPHP_WORKER'])) {
    $tell();
    return;
}
while (frankenphp_handle_request($tell));
"""
FILES = {
    "test/index.php": COUNTING.replace("WORD", "request"),
    "test/nested/index.php": COUNTING.replace("WORD", "nested request"),
    "test/root.php": ROOT_OF_DOCUMENTS,
    "test/hello.php": "<?php",  # what the server is made ready with
}
Make = Callable[..., Server]


@pytest.fixture
def links(tmp_path: Path) -> Path:
    write_files(tmp_path, FILES)
    (tmp_path / "public").symlink_to("test")
    return tmp_path


@pytest.fixture
def make(own_caddyfile: ServerFactory, links: Path) -> Make:
    """Start a server in a folder, with these global workers and these lines in the block of its one ``php``."""

    def start(workers: str = "", *lines: str, root: str = "PUBLIC", cwd: str = ".") -> Server:
        block = "\n".join((f"root {root}", *lines))
        text = (
            f"{{\n admin off\n frankenphp {{\n{workers}\n}}\n}}\n"
            f"http://127.0.0.1:PORT {{\n route {{\n php {{\n{block}\n}}\n}}\n}}\n"
        ).replace("PUBLIC", f"{links}/public")
        return own_caddyfile(text, links / "test", cwd=links / cwd)

    return start


@pytest.mark.parametrize(
    ("file", "path", "text"),
    [
        ("PUBLIC/index.php 1", "/index.php", "request 0"),
        ("PUBLIC/nested/index.php 1", "/nested/index.php", "nested request 0"),
        ("{\n name outside\n file PUBLIC/index.php\n num 1\n }", "/index.php", "request 0"),
    ],
    ids=["neighbour", "nested", "named"],
)
def test_a_worker_is_found_through_a_root_that_is_a_link(make: Make, file: str, path: str, text: str) -> None:
    assert make(f"worker {file}", "resolve_root_symlink true").get(path).text == text


@pytest.mark.parametrize(
    ("cwd", "file", "root"),
    [("public", "index.php", "."), (".", "public/index.php", "public"), ("test", "index.php", "../public")],
    ids=["inside", "above", "in the target"],
)
def test_relative_paths_meet_wherever_the_server_was_started(make: Make, cwd: str, file: str, root: str) -> None:
    assert make(f"worker {file} 1", root=root, cwd=cwd).get("/index.php").text == "request 0"


def test_scripts_see_the_target_of_the_root_where_links_are_resolved(make: Make, links: Path) -> None:
    server = make("worker PUBLIC/root.php 1", "resolve_root_symlink true")
    assert server.get("/root.php").text == f"{links}/test"


def test_scripts_see_the_link_where_links_are_not_resolved(make: Make, links: Path) -> None:
    assert make("", "resolve_root_symlink false").get("/root.php").text == f"{links}/public"


def test_a_worker_script_that_is_no_worker_has_no_sign_of_one(make: Make) -> None:
    assert make().get("/index.php").text == "this script needs worker mode"


def test_a_worker_of_the_site_counts_its_requests(make: Make) -> None:
    server = make("", "resolve_root_symlink true", "worker index.php 1")
    assert [server.get("/index.php").text for _ in range(5)] == [f"request {number}" for number in range(5)]
