from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from apps.debian import FetchError, place, replace_in

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "etc/app").mkdir(parents=True)
    (tree / "usr/share/app").mkdir(parents=True)
    (tree / "etc/app/conf.php").write_text(
        "<?php $a = '/usr/share/app/x'; $b = \"/etc/app\"; $c = '/usr/share/appendix';"
    )
    (tree / "usr/share/app/raw.js").write_text("'/etc/app'")
    (tree / "usr/share/app/latin.php").write_bytes(b"<?php // \xe9\n$a = '/etc/app/';")
    (tree / "usr/share/app/conf").symlink_to("/etc/app")
    (tree / "usr/share/app/same").symlink_to("raw.js")
    return tree


PREFIXES = ("/etc/app", "/usr/share/app")


def test_quoted_prefixes_in_php_files_move_into_the_folder(tree: Path, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    place(tree, folder, PREFIXES)
    moved = (folder / "etc/app/conf.php").read_text()
    assert moved == f"<?php $a = '{folder}/usr/share/app/x'; $b = \"{folder}/etc/app\"; $c = '/usr/share/appendix';"
    assert (folder / "usr/share/app/raw.js").read_text() == "'/etc/app'"
    assert (folder / "usr/share/app/latin.php").read_bytes() == f"<?php // \xe9\n$a = '{folder}/etc/app/';".encode(
        "latin-1"
    )


def test_absolute_links_point_into_the_folder(tree: Path, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    place(tree, folder, PREFIXES)
    assert (folder / "usr/share/app/conf").resolve() == folder / "etc/app"
    assert (folder / "usr/share/app/same").readlink().name == "raw.js"


def test_tree_in_the_cache_is_left_as_it_was(tree: Path, tmp_path: Path) -> None:
    place(tree, tmp_path / "site", PREFIXES)
    assert str(tmp_path) not in (tree / "etc/app/conf.php").read_text()


def test_copy_is_writable_even_when_the_package_is_not(tree: Path, tmp_path: Path) -> None:
    (tree / "etc/app/conf.php").chmod(0o444)
    place(tree, tmp_path / "site", PREFIXES)
    assert (tmp_path / "site/etc/app/conf.php").stat().st_mode & 0o200


def test_folder_in_use_is_refused(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="is not empty"):
        place(tree, tree, PREFIXES)


def test_folder_that_cannot_stand_in_a_php_string_is_refused(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="without quotes"):
        place(tree, tmp_path / "it's", PREFIXES)


def test_recipe_that_does_not_fit_says_so(tree: Path) -> None:
    with pytest.raises(FetchError, match="another recipe"):
        replace_in(tree / "etc/app/conf.php", [("not there", "")])
