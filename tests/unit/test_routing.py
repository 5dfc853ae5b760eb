"""What php_server means: scripts, files, folders and the front controller."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from howdah.config.model import SiteConfig
from howdah.errors import Forbidden, InvalidPath, RequestRejected, ScriptNotFound
from howdah.runtime.site import Site
from howdah.web.routing import FileRoute, RedirectRoute, ScriptRoute, route

FILES = (
    "index.php",
    "x.php",
    "style.css",
    "sub/index.php",
    "sub/readme.txt",
    "plain/page.html",
    "pages/index.html",
    ".env",
    ".git/config",
    ".well-known/security.txt",
    "copy.php.bak",
    "copy.php~",
    "copy.php.",
    "copy.php::$DATA",
    "sub/.htaccess",
    "folder.php/style.css",
    "a b/index.php",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    for name in FILES:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("<?php secret();")
    (tmp_path / "outside.txt").write_text("outside")
    return folder


@pytest.fixture
def site(root: Path) -> Site:
    return Site(SiteConfig(root=str(root)))


@pytest.mark.parametrize(
    ("path", "name", "info"),
    [
        (b"/", b"/index.php", b""),
        (b"", b"/index.php", b""),
        (b"/index.php", b"/index.php", b""),
        (b"/x.php", b"/x.php", b""),
        (b"/x.php/", b"/x.php", b"/"),
        (b"/x.php/en", b"/x.php", b"/en"),
        (b"/x.php/a%20b//c/", b"/x.php", b"/a b//c/"),
        (b"/X.php", b"/index.php", b""),
        (b"/en", b"/index.php", b""),
        (b"/en/", b"/index.php", b""),
        (b"/en/deep/er", b"/index.php", b""),
        (b"/missing.php", b"/index.php", b""),
        (b"/missing.php/info", b"/index.php", b""),
        (b"/sub/", b"/sub/index.php", b""),
        (b"/sub//", b"/sub/index.php", b""),
        (b"/sub/missing", b"/index.php", b""),
        (b"/a%20b/", b"/a b/index.php", b""),
        (b"/plain", b"/index.php", b""),
        (b"/plain/", b"/index.php", b""),
        (b"/style.css/", b"/index.php", b""),
        (b"/style.css/x", b"/index.php", b""),
        (b"/x.php.bak", b"/index.php", b""),
        (b"/x.php%0a", b"/index.php", b""),
        (b"/%2e%2e/x.php", b"/x.php", b""),
        (b"/%2e%2e%2foutside.txt", b"/index.php", b""),
        (b"/..%5coutside.txt", b"/index.php", b""),
        (b"/%252e%252e/outside.txt", b"/index.php", b""),
        (b"/%c0%ae%c0%ae/outside.txt", b"/index.php", b""),
        (b"/x.php/../index.php", b"/index.php", b""),
        (b"/.unknown/route", b"/index.php", b""),
        (b"/folder.php/style.css", b"/index.php", b""),
        (b"//x.php", b"/x.php", b""),
    ],
)
def test_scripts_and_the_front_controller_answer(site: Site, path: bytes, name: bytes, info: bytes) -> None:
    found = route(site, path, b"")
    assert isinstance(found, ScriptRoute)
    assert found.target.script_name == name
    assert found.target.path_info == info


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"/style.css", b"/style.css"),
        (b"/%73tyle.css", b"/style.css"),
        (b"//style.css", b"/style.css"),
        (b"/sub/../style.css", b"/style.css"),
        (b"/sub/readme.txt", b"/sub/readme.txt"),
        (b"/.well-known/security.txt", b"/.well-known/security.txt"),
        (b"/plain/page.html", b"/plain/page.html"),
    ],
)
def test_existing_files_are_static(site: Site, path: bytes, name: bytes) -> None:
    found = route(site, path, b"", method="POST")
    assert isinstance(found, FileRoute)
    assert found.path == site.root + name
    assert found.stat.st_size == 15


@pytest.mark.parametrize(
    ("path", "query", "mount", "location"),
    [
        (b"/sub", b"", b"", b"/sub/"),
        (b"/sub", b"a=1&b=%20", b"", b"/sub/?a=1&b=%20"),
        (b"/sub", b"a=\r\nX: y\xff", b"", b"/sub/?a=%0D%0AX:%20y%FF"),
        (b"/a%20b", b"", b"", b"/a%20b/"),
        (b"//sub", b"", b"", b"/sub/"),
        (b"//evil.example/../sub", b"", b"", b"/sub/"),
        (b"/x/../sub", b"", b"", b"/sub/"),
        (b"/sub", b"q", b"/app", b"/app/sub/?q"),
        (b"", b"", b"/app", b"/app/"),
        (b"/sub", b"", b"//evil.example", b"/evil.example/sub/"),
    ],
)
def test_folders_with_an_index_are_sent_to_their_slash(
    site: Site, path: bytes, query: bytes, mount: bytes, location: bytes
) -> None:
    assert route(site, path, query, mount) == RedirectRoute(location, 308)


def test_a_folder_named_like_another_host_stays_a_path(root: Path, site: Site) -> None:
    folder = root / "\\evil.example"
    folder.mkdir()
    (folder / "index.php").write_text("")
    assert route(site, b"/\\evil.example", b"") == RedirectRoute(b"/%5Cevil.example/", 308)


def test_a_mount_is_prefixed_to_names(site: Site) -> None:
    found = route(site, b"/en", b"", b"/app")
    assert isinstance(found, ScriptRoute)
    assert found.target.script_name == b"/app/index.php"
    assert found.target.script_filename == site.root + b"/index.php"


@pytest.mark.parametrize(
    "path",
    [
        b"/.env",
        b"/%2eenv",
        b"/x/../.env",
        b"/.git",
        b"/.git/",
        b"/.git/config",
        b"/.git/not-there",
        b"/sub/.htaccess",
        b"/copy.php.bak",
        b"/copy.php~",
        b"/copy.php.",
        b"/copy.php::$DATA",
    ],
)
def test_hidden_files_and_sources_are_forbidden(site: Site, path: bytes) -> None:
    with pytest.raises(Forbidden):
        route(site, path, b"")


@pytest.mark.parametrize("path", [b"/%00", b"/x.php%00", b"/style.css\0.php"])
def test_nul_is_invalid(site: Site, path: bytes) -> None:
    with pytest.raises(InvalidPath):
        route(site, path, b"")


@pytest.mark.parametrize("path", [b"/", b"/en", b"/missing.php", b"/plain/", b"/plain", b"/style.css/", b"/.nothing"])
def test_without_a_front_controller_the_missing_is_not_found(root: Path, site: Site, path: bytes) -> None:
    (root / "index.php").unlink()
    with pytest.raises(ScriptNotFound):
        route(site, path, b"")


def test_without_a_front_controller_folders_show_their_index_html(root: Path, site: Site) -> None:
    (root / "index.php").unlink()
    assert route(site, b"/pages", b"a=1") == RedirectRoute(b"/pages/?a=1", 308)
    found = route(site, b"/pages/", b"")
    assert isinstance(found, FileRoute)
    assert found.path == site.root + b"/pages/index.html"


def test_without_an_index_only_what_is_named_answers(root: Path) -> None:
    site = Site(SiteConfig(root=str(root), index=None))
    assert isinstance(route(site, b"/x.php/i", b""), ScriptRoute)
    assert isinstance(route(site, b"/style.css", b""), FileRoute)
    for path in (b"/", b"/en", b"/sub", b"/sub/", b"/missing.php"):
        with pytest.raises(ScriptNotFound):
            route(site, path, b"")


def test_a_list_without_the_path_sends_everything_to_the_front(root: Path) -> None:
    site = Site(SiteConfig(root=str(root), try_files=("index.php",)))
    for path in (b"/x.php", b"/style.css", b"/sub", b"/"):
        found = route(site, path, b"")
        assert isinstance(found, ScriptRoute)
        assert found.target.script_name == b"/index.php"


def test_a_list_without_file_server_still_runs_scripts(root: Path) -> None:
    site = Site(SiteConfig(root=str(root), try_files=("{path}/index.php", "index.php")))
    for path, name in ((b"/x.php/i", b"/x.php"), (b"/sub/", b"/sub/index.php"), (b"/style.css", b"/index.php")):
        found = route(site, path, b"")
        assert isinstance(found, ScriptRoute)
        assert found.target.script_name == name
    assert route(site, b"/sub", b"") == RedirectRoute(b"/sub/", 308)


def test_a_folder_entry_shows_the_folders_index(root: Path) -> None:
    site = Site(SiteConfig(root=str(root), try_files=("{path}", "{path}/", "index.php")))
    found = route(site, b"/sub/", b"")
    assert isinstance(found, ScriptRoute)
    assert found.target.script_name == b"/sub/index.php"
    page = route(site, b"/pages/", b"")
    assert isinstance(page, FileRoute)
    assert page.path.endswith(b"/pages/index.html")
    assert route(site, b"/pages", b"") == RedirectRoute(b"/pages/", 308)
    front = route(site, b"/plain/", b"")
    assert isinstance(front, ScriptRoute)
    assert front.target.script_name == b"/index.php"


def test_links_out_of_the_root_follow_the_policy(root: Path, site: Site) -> None:
    (root / "link.txt").symlink_to(root.parent / "outside.txt")
    (root / "up").symlink_to(root.parent)
    inside = Site(SiteConfig(root=str(root), symlinks="inside"))
    for path in (b"/link.txt", b"/up/outside.txt"):
        assert isinstance(route(site, path, b""), FileRoute)
        with pytest.raises(Forbidden):
            route(inside, path, b"")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(
            [b"/", b"..", b".", b"%2e", b"%2F", b"sub", b"x.php", b"copy.php", b".bak", b".env", b"::$DATA"]
        )
        | st.sampled_from([b"~", b"style.css", b".git", b"config", b"%5c", b"%00", b"outside.txt", b" "]),
        max_size=8,
    ).map(b"".join)
)
def test_no_path_sends_a_source_or_a_hidden_file(site: Site, path: bytes) -> None:
    try:
        found = route(site, path, b"")
    except (RequestRejected, ScriptNotFound):
        return
    if isinstance(found, FileRoute):
        name = found.path.removeprefix(site.root)
        assert found.path.startswith(site.root + b"/")
        assert name in {b"/style.css", b"/sub/readme.txt"}
    elif isinstance(found, RedirectRoute):
        assert found.location[:2] not in {b"//", b"/\\"}


def test_a_list_without_a_match_leaves_the_path_itself(root: Path) -> None:
    site = Site(SiteConfig(root=str(root), try_files=("missing.html",)))
    assert isinstance(route(site, b"/style.css", b""), FileRoute)
    assert isinstance(route(site, b"/x.php", b""), ScriptRoute)
