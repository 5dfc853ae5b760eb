"""Where PHP's source comes from: a given tarball, Debian's source package, or php.net with a pinned checksum."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tarfile
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from debian_source import DebianSource, SourceError

# Debian releases name the package after the version; the first one that the archive has is taken.
DEBIAN_PACKAGES = ("php8.2", "php8.4", "php8.3", "php8.5")

# SHA-256 of php.net's php-<version>.tar.xz. To add a version, take the sum from php.net's
# downloads page and compare it with the tarball that Debian ships (it is the same file).
PINNED = {
    "8.2.32": "e02aa173c236c12791696254d607da680e6d5516f8f5c2339642de7c4f944bd2",
}
PHP_NET = "https://www.php.net/distributions/php-{version}.tar.xz"

_CHUNK_BYTES = 1 << 20


def obtain_tarball(
    folder: Path, debian: DebianSource, say: Callable[[str], None], opener: Callable[[str], object] | None = None
) -> Path:
    """Get a tarball of PHP's source: Debian's, else php.net's.

    Args:
        folder: where downloads go.
        debian: Debian's archive.
        say: tells the user what is tried.
        opener: opens an address for reading; None takes urllib.

    Raises:
        SourceError: neither answers; the message names both reasons.
    """
    reasons = []
    for package in DEBIAN_PACKAGES:
        try:
            return debian.fetch(package, folder)
        except SourceError as error:
            reasons.append(str(error))
    say(f"Debian's archive gives no PHP ({reasons[0]}); trying php.net")
    version = max(PINNED, key=lambda text: [int(part) for part in text.split(".")])
    try:
        return fetch_pinned(version, PINNED, folder, opener or urllib.request.urlopen)
    except (OSError, HTTPException, SourceError) as error:
        reasons.append(str(error))
    raise SourceError("PHP's source cannot be downloaded; pass one with --tarball FILE. " + "; ".join(reasons))


def fetch_pinned(version: str, pins: dict[str, str], folder: Path, opener: Callable[[str], object]) -> Path:
    """Download php.net's tarball of a version and compare its SHA-256 with the pinned one.

    Args:
        version: such as ``8.2.32``.
        pins: SHA-256 by version.
        folder: where the tarball goes; made if needed.
        opener: opens an address and gives a readable context manager.

    Raises:
        SourceError: the version is not pinned, or the file is not the pinned one (it is removed).
        OSError: the download failed.
    """
    if version not in pins:
        raise SourceError(f"PHP {version} has no pinned checksum in tools/php_source.py")
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"php-{version}.tar.xz"
    partial = target.with_suffix(".partial")
    with opener(PHP_NET.format(version=version)) as answer, partial.open("wb") as file:  # type: ignore[attr-defined]
        shutil.copyfileobj(answer, file, _CHUNK_BYTES)
    actual = sha256(partial)
    if actual != pins[version]:
        partial.unlink()
        raise SourceError(f"php-{version}.tar.xz has the checksum {actual}, not the pinned {pins[version]}")
    return partial.rename(target)


def sha256(path: Path) -> str:
    """Compute the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Extract without leaving the folder. The filter for it came with Python 3.11.4, and Debian 12 has 3.11.2."""
    if hasattr(tarfile, "data_filter"):
        archive.extractall(folder, filter="data")
        return
    for member in archive.getmembers():
        member.name = member.name.lstrip("/")
        targets = [member.name] + ([str(Path(member.name).parent / member.linkname)] if member.issym() else [])
        if member.islnk():
            targets.append(member.linkname)
        if member.isdev() or any(os.path.normpath(target).startswith(("..", "/")) for target in targets):
            raise tarfile.ExtractError(f"{member.name} would be written outside the folder")
        archive.extract(member, folder)


def unpack(tarball: Path, folder: Path) -> Path:
    """Unpack a source tarball.

    Args:
        tarball: ``.tar.gz`` or ``.tar.xz``.
        folder: where to; made if needed.

    Returns:
        The folder of the source: the only entry, or the first that holds a ``configure`` or ``config.m4``.

    Raises:
        SourceError: the file is no tarball or holds no source.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(tarball) as archive:
            _extract(archive, folder)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise SourceError(f"{tarball} cannot be unpacked: {error}") from error
    # Debian's packages of extensions hold a folder per supported PHP generation; the newest fits PHP 8.
    entries = sorted((entry for entry in folder.iterdir() if entry.is_dir()), key=_folder_key, reverse=True)
    for entry in entries:
        if (entry / "configure").is_file() or (entry / "config.m4").is_file():
            return entry
    raise SourceError(f"{tarball} holds no source that can be built")


def read_php_version(source: Path) -> str:
    """Read the version from PHP's source.

    Raises:
        SourceError: this is no source of PHP, or of one older than 8.2.
    """
    header = source / "main" / "php_version.h"
    try:
        text = header.read_text(encoding="utf-8")
    except OSError as error:
        raise SourceError(f"{source} is no source of PHP: {header} cannot be read") from error
    found = re.search(r'#define PHP_VERSION "([^"]+)"', text)
    number = re.search(r"#define PHP_VERSION_ID (\d+)", text)
    if found is None or number is None:
        raise SourceError(f"{header} states no version")
    if int(number[1]) < 80200:
        raise SourceError(f"this is PHP {found[1]}; Howdah needs 8.2 or newer")
    return found[1]


def _folder_key(folder: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", folder.name))
