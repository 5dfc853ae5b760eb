"""Which file a path means, on a real disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from howdah.config.model import SiteConfig
from howdah.errors import ConfigError, Forbidden, InvalidPath, ScriptNotFound
from howdah.runtime.site import Site, Target


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    for name in ("index.php", "sub/a.php", "a.PHP", "notes.txt", ".env", ".hidden/x.php", ".well-known/w.php", "é.php"):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("<?php")
    (folder / "dir.php").mkdir()
    (folder / "upload.jpg").write_text("<?php evil")
    (tmp_path / "outside.php").write_text("<?php")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


@pytest.fixture
def site(root: Path) -> Site:
    return Site(SiteConfig(root=str(root)))


def test_a_script_gives_its_variables(site: Site) -> None:
    assert site.script(b"/sub/a.php") == Target(site.root + b"/sub/a.php", b"/sub/a.php", b"", b"", b"/sub/a.php")


def test_path_info_is_kept_as_it_came(site: Site) -> None:
    target = site.script(b"/index.php/a//b/")
    assert target.script_name == b"/index.php"
    assert target.path_info == b"/a//b/"
    assert target.path_translated == site.root + b"/a/b/"
    assert target.document_uri == b"/index.php"


def test_a_mount_is_part_of_names_and_not_of_files(site: Site) -> None:
    target = site.script(b"/sub/a.php/i", b"/app")
    assert target.script_name == target.document_uri == b"/app/sub/a.php"
    assert target.script_filename == site.root + b"/sub/a.php"
    assert target.path_info == b"/i"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"//index.php", b"/index.php"),
        (b"/sub/../index.php", b"/index.php"),
        (b"/../../index.php", b"/index.php"),
        (b"/./sub/./a.php", b"/sub/a.php"),
        (b"index.php", b"/index.php"),
        (b"/a.PHP", b"/a.PHP"),
        ("/é.php".encode(), "/é.php".encode()),
        (b"/.well-known/w.php", b"/.well-known/w.php"),
        (b"/nothing.php/../index.php", b"/index.php"),
    ],
)
def test_names_are_clean(site: Site, path: bytes, name: bytes) -> None:
    assert site.script(path).script_name == name


@pytest.mark.parametrize(
    "path",
    [
        b"/missing.php",
        b"/",
        b"",
        b"/notes.txt",
        b"/dir.php",
        b"/dir.php/",
        b"/a.php",  # the file is a.PHP
        b"/upload.jpg",
        b"/upload.jpg/x.php",
        b"/upload.jpg%00.php",
        b"/index.php.",
        b"/index.php ",
        b"/index.php\n",
        b"/index.php::$DATA",
        b"/index.php.bak",
        b"/index.phpx",
        b"/..\\index.php",
        b"/%2e%2e/outside.php",
        b"/../outside.php",
        b"/sub/../../outside.php",
        b"/\xc0\xae\xc0\xae/outside.php",
        b"/index.\xc1\xb0hp",
        "/index.ⓟⓗⓟ".encode(),
        "/index\uff0ephp".encode(),
        b"/" + b"a" * 300 + b".php",
        b"/" + b"a/" * 3000 + b"x.php",
        b"/.missing/x.php",
    ],
)
def test_what_is_no_script_is_not_found(site: Site, path: bytes) -> None:
    with pytest.raises(ScriptNotFound):
        site.script(path)


@pytest.mark.parametrize("path", [b"/index.php\0", b"/\0.php", b"/index.php/\0"])
def test_nul_is_invalid_also_without_decoding(site: Site, path: bytes) -> None:
    with pytest.raises(InvalidPath):
        site.script(path)


def test_hidden_scripts_never_run(site: Site) -> None:
    with pytest.raises(Forbidden, match="hidden"):
        site.script(b"/.hidden/x.php")
    with pytest.raises(Forbidden, match="hidden"):
        site.script(b"/.hidden/other.php")
    assert site.script(b"/index.php/.hidden").path_info == b"/.hidden"


def test_links_out_of_the_root_are_followed_or_refused(root: Path, site: Site) -> None:
    (root / "link.php").symlink_to(root.parent / "outside.php")
    (root / "up").symlink_to(root.parent)
    (root / "in.php").symlink_to("index.php")
    inside = Site(SiteConfig(root=str(root), symlinks="inside"))
    assert site.script(b"/link.php").script_filename == site.root + b"/link.php"
    assert site.script(b"/up/outside.php").script_name == b"/up/outside.php"
    assert inside.script(b"/in.php").script_name == b"/in.php"
    for path in (b"/link.php", b"/up/outside.php"):
        with pytest.raises(Forbidden, match="symlinks=inside"):
            inside.script(path)
    (root / "secret.txt").symlink_to(root.parent / "secret.txt")
    with pytest.raises(Forbidden, match="symlinks=inside"):
        inside.file(b"/secret.txt")


def test_a_root_with_the_same_beginning_is_outside(root: Path) -> None:
    neighbour = root.parent / "root2"
    neighbour.mkdir()
    (neighbour / "x.php").write_text("<?php")
    (root / "x.php").symlink_to(neighbour / "x.php")
    with pytest.raises(Forbidden):
        Site(SiteConfig(root=str(root), symlinks="inside")).script(b"/x.php")


def test_the_suffix_counts_after_links_too(root: Path, site: Site) -> None:
    (root / "page.php").symlink_to("notes.txt")
    with pytest.raises(ScriptNotFound):
        site.script(b"/page.php")
    (root / "source.txt").symlink_to("index.php")
    with pytest.raises(Forbidden, match="source"):
        site.file(b"/source.txt")


def test_a_switched_link_is_seen_at_once(root: Path) -> None:
    site = Site(SiteConfig(root=str(root), symlinks="inside"))
    link = root / "now.php"
    link.symlink_to("index.php")
    assert site.script(b"/now.php")
    link.unlink()
    link.symlink_to(root.parent / "outside.php")
    with pytest.raises(Forbidden):
        site.script(b"/now.php")
    link.unlink()
    with pytest.raises(ScriptNotFound):
        site.script(b"/now.php")
    link.write_text("<?php")
    assert site.script(b"/now.php")


def test_dangling_and_circular_links_are_not_found(root: Path, site: Site) -> None:
    (root / "gone.php").symlink_to("nowhere.php")
    (root / "loop.php").symlink_to("loop.php")
    os.mkfifo(root / "fifo.php")
    for path in (b"/gone.php", b"/loop.php", b"/fifo.php"):
        with pytest.raises(ScriptNotFound):
            site.script(path)


def test_the_first_suffix_of_several_wins(root: Path) -> None:
    (root / "x.phtml").write_text("")
    site = Site(SiteConfig(root=str(root), split=(".PHTML", ".php")))
    assert site.script(b"/x.phtml").script_name == b"/x.phtml"
    assert site.script(b"/index.php").script_name == b"/index.php"


def test_caches_stay_bounded(root: Path, site: Site) -> None:
    for number in range(2100):
        site.script(b"/index.php/%d" % number)
        site.candidates(b"/%d" % number)
    site.script(b"/index.php/" + b"x" * 10000)
    assert site._plan.cache_info().currsize <= 2048
    assert site._expand.cache_info().currsize <= 2048
    assert len(site._known) == 1


@pytest.mark.parametrize(("make", "message"), [("missing", "does not exist"), ("file", "is not a folder")])
def test_a_bad_root_is_a_configuration_error(tmp_path: Path, make: str, message: str) -> None:
    path = tmp_path / "x"
    if make == "file":
        path.write_text("")
    with pytest.raises(ConfigError, match=message) as caught:
        Site(SiteConfig(root=str(path)))
    assert str(path) in str(caught.value)
    assert caught.value.directive == "root"


def test_an_unreadable_root_is_a_configuration_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigError, match="not readable"):
        Site(SiteConfig(root=str(root)))


def test_an_unreadable_file_is_forbidden(root: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(Forbidden, match="not readable"):
        site.script(b"/index.php")
    with pytest.raises(Forbidden, match="not readable"):
        site.file(b"/notes.txt")


def test_a_folder_that_may_not_be_entered_is_forbidden(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> os.stat_result:
        raise PermissionError(13, "no")

    monkeypatch.setattr(os, "stat", refuse)
    for find in (site.script, site.file):
        with pytest.raises(Forbidden, match="may not enter"):
            find(b"/index.php")


def test_devices_and_fifos_are_no_files(root: Path, site: Site) -> None:
    os.mkfifo(root / "fifo")
    assert site.file(b"/fifo") is None
    assert site.file(b"/missing") is None


def test_the_root_is_resolved_once(root: Path) -> None:
    link = root.parent / "current"
    link.symlink_to(root)
    assert Site(SiteConfig(root=str(link))).root == os.fsencode(root.resolve())


def test_a_relative_root_counts_from_the_current_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    assert Site(SiteConfig()).root == os.fsencode(root.resolve())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(
            [b"/", b"..", b".", b"sub", b"index.php", b"a.php", b"outside.php", b"root", b"%", b"\\", b"\n"]
        ),
        max_size=10,
    ).map(b"".join)
)
def test_no_path_runs_anything_outside_the_root(site: Site, path: bytes) -> None:
    try:
        target = site.script(path)
    except (ScriptNotFound, Forbidden):
        return
    real = os.path.realpath(target.script_filename)
    assert real.startswith(site.root + b"/")
    assert real.lower().endswith(b".php")
    assert target.path_info[:1] in {b"", b"/"}
