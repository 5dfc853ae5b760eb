"""Debian packages as plain folders: download without installing, unpack, and move to a place of one's own.

Knows dpkg and apt; knows no application.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_TEXT_SUFFIXES = frozenset({".php", ".inc", ".dist"})
_PLAIN_FOLDER = re.compile(r"[\w./+@:,=~ -]+")


class FetchError(Exception):
    """The application could not be fetched or placed; the message says what to do about it."""


def cache_folder() -> Path:
    """Folder that outlives checkouts: ``$HOWDAH_CACHE``, by default ``~/.cache/howdah``."""
    named = os.environ.get("HOWDAH_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "howdah"


def unpacked(name: str, packages: Sequence[str]) -> Path:
    """Folder with the packages unpacked as they are; downloaded once, then taken from the cache.

    The folder is shared: copy it, never write into it.

    Raises:
        FetchError: apt or dpkg is missing or failed; nothing is left behind in the cache.
    """
    tree = cache_folder() / "apps" / name
    if tree.is_dir():
        return tree
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise FetchError(
                f"{tool} is missing: applications come from Debian's packages, so this needs Debian or Ubuntu"
            )
    tree.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=tree.parent, prefix=f".{name}-") as work:
        fresh = Path(work) / "tree"
        fresh.mkdir()
        for archive in _download(Path(work), packages):
            _run(["dpkg-deb", "-x", str(archive), str(fresh)], Path(work))
        try:
            fresh.rename(tree)  # one step, so that a folder in the cache is always a whole one
        except OSError:
            if not tree.is_dir():  # somebody else was faster: theirs is as good
                raise
    return tree


def place(tree: Path, folder: Path, prefixes: Sequence[str]) -> None:
    """Copy an unpacked tree to a folder and make it refer to itself instead of to the system.

    Args:
        tree: what `unpacked` returned.
        folder: where the copy goes; created, must not exist or be empty.
        prefixes: absolute paths that PHP files quote and that mean a path in the tree.

    Raises:
        FetchError: the folder is in use, or its name cannot stand in a PHP string.
    """
    folder = folder.resolve()
    if not _PLAIN_FOLDER.fullmatch(str(folder)):
        raise FetchError(f"{folder}: choose a folder without quotes, dollar signs or backslashes in its name")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FetchError(f"{folder} is not empty: remove it or choose another one with --into")
    shutil.copytree(tree, folder, symlinks=True, dirs_exist_ok=True)
    quoted = re.compile(r"""(['"])(?=(?:""" + "|".join(map(re.escape, prefixes)) + r""")(?:['"/]))""")
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            _relink(path, folder)
            continue
        path.chmod(path.stat().st_mode | stat.S_IRUSR | stat.S_IWUSR)  # a fresh copy is there to be written to
        if path.suffix in _TEXT_SUFFIXES and path.is_file():
            _rewrite(path, quoted, str(folder))


def replace_in(path: Path, changes: Sequence[tuple[str, str]]) -> None:
    """Replace texts in a file.

    Raises:
        FetchError: a text is not there, so the recipe does not fit this version of the package.
    """
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    for old, new in changes:
        if old not in text:
            raise FetchError(f"{path} does not contain {old!r}: this version of the package needs another recipe")
        text = text.replace(old, new)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))


def _relink(path: Path, folder: Path) -> None:
    """Point an absolute link into the folder, relatively, so that the folder may be moved with its links."""
    target = path.readlink()
    if target.is_absolute():
        inside = folder / target.relative_to("/")
        path.unlink()
        path.symlink_to(os.path.relpath(inside, path.parent))


def _rewrite(path: Path, quoted: re.Pattern[str], folder: str) -> None:
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    changed = quoted.sub(lambda found: found[1] + folder, text)
    if changed != text:
        path.write_bytes(changed.encode("utf-8", "surrogateescape"))


def _download(work: Path, packages: Sequence[str]) -> list[Path]:
    """Download archives with the system's package lists, or with lists of our own where it has none."""
    # apt drops to a user that cannot write here and warns about it when run by root; nothing is installed, so stay
    options = ["-q", "-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else ["-q"]
    try:
        _run(["apt-get", *options, "download", *packages], work)
    except FetchError:
        state, cache = work / "state", work / "cache"
        (state / "lists" / "partial").mkdir(parents=True)
        (cache / "archives" / "partial").mkdir(parents=True)
        options += [
            "-o",
            f"Dir::State={state}",
            "-o",
            f"Dir::Cache={cache}",
            "-o",
            "Dir::State::status=/var/lib/dpkg/status",
        ]
        _run(["apt-get", *options, "update"], work)
        _run(["apt-get", *options, "download", *packages], work)
    return sorted(work.glob("*.deb"))


def _run(command: Sequence[str], work: Path) -> None:
    done = subprocess.run(command, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-10:])
        raise FetchError(f"{' '.join(command)} failed with code {done.returncode}:\n{tail}")
