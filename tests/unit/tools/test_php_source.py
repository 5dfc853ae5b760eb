"""Where PHP's source comes from, and what is refused."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from pathlib import Path

import pytest

from debian_source import DebianSource, SourceError
from php_source import (
    PINNED,
    fetch_pinned,
    obtain_tarball,
    read_php_version,
    unpack,
)

CONTENT = b"the source"


class FakeDebian(DebianSource):
    """An archive that has the given packages."""

    def __init__(self, **packages: Path) -> None:
        self.packages = packages
        self.asked: list[str] = []

    def fetch(self, package: str, folder: Path) -> Path:
        self.asked.append(package)
        if package not in self.packages:
            raise SourceError(f"no {package}")
        return self.packages[package]


def opener(content: bytes = CONTENT) -> object:
    def open_address(address: str) -> io.BytesIO:
        assert re.fullmatch(r"https://www\.php\.net/distributions/php-[\d.]+\.tar\.xz", address)
        return io.BytesIO(content)

    return open_address


def fail_to_open(address: str) -> io.BytesIO:
    raise OSError(f"no route to {address}")


def make_tarball(path: Path, files: dict[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def test_debian_comes_first(tmp_path: Path) -> None:
    tarball = tmp_path / "php8.2_8.2.32.orig.tar.xz"
    debian = FakeDebian(**{"php8.2": tarball})
    assert obtain_tarball(tmp_path, debian, print, fail_to_open) == tarball
    assert debian.asked == ["php8.2"]


def test_a_newer_debian_has_another_package(tmp_path: Path) -> None:
    tarball = tmp_path / "php8.4_8.4.1.orig.tar.xz"
    assert obtain_tarball(tmp_path, FakeDebian(**{"php8.4": tarball}), print, fail_to_open) == tarball


def test_the_last_resort_names_all_reasons(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(SourceError, match=r"--tarball FILE.*no php8\.2.*no route to https"):
        obtain_tarball(tmp_path, FakeDebian(), said.append, fail_to_open)
    assert "trying php.net" in said[0]


def test_a_pinned_tarball_is_taken(tmp_path: Path) -> None:
    pins = {"8.2.99": hashlib.sha256(CONTENT).hexdigest()}
    tarball = fetch_pinned("8.2.99", pins, tmp_path / "new", opener())  # type: ignore[arg-type]
    assert tarball.name == "php-8.2.99.tar.xz"
    assert tarball.read_bytes() == CONTENT


def test_a_tarball_with_another_checksum_is_removed(tmp_path: Path) -> None:
    pins = {"8.2.99": "0" * 64}
    with pytest.raises(SourceError, match="not the pinned 0000"):
        fetch_pinned("8.2.99", pins, tmp_path, opener())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_version_without_pin_is_not_downloaded(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no pinned checksum"):
        fetch_pinned("8.2.1", {}, tmp_path, fail_to_open)


def test_pins_look_like_checksums() -> None:
    assert PINNED
    for version, checksum in PINNED.items():
        assert re.fullmatch(r"8\.\d+\.\d+", version)
        assert re.fullmatch(r"[0-9a-f]{64}", checksum)


def test_unpacking_gives_the_folder_of_the_source(tmp_path: Path) -> None:
    tarball = make_tarball(tmp_path / "php.tar.gz", {"php-8.2.32/configure": "", "php-8.2.32/main/a.c": ""})
    assert unpack(tarball, tmp_path / "out").name == "php-8.2.32"


def test_of_several_generations_the_newest_is_built(tmp_path: Path) -> None:
    names = {"package.xml": "", "apcu-4.0.11/config.m4": "", "apcu-5.1.22/config.m4": "", "tests-9.0/x": ""}
    assert unpack(make_tarball(tmp_path / "apcu.tar.gz", names), tmp_path / "out").name == "apcu-5.1.22"


@pytest.mark.parametrize("has_filter", [True, False])
@pytest.mark.parametrize("name", ["../outside", "/outside"])
def test_a_tarball_cannot_write_elsewhere(
    tmp_path: Path, name: str, *, has_filter: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_filter:  # as in Python before 3.11.4
        monkeypatch.delattr(tarfile, "data_filter")
    tarball = make_tarball(tmp_path / "bad.tar.gz", {name: "x", "php/configure": ""})
    if name.startswith("/"):
        unpack(tarball, tmp_path / "out")  # the leading slash is dropped
        assert (tmp_path / "out" / "outside").exists()
        return
    with pytest.raises(SourceError, match="cannot be unpacked"):
        unpack(tarball, tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "cannot be unpacked"), (b"no tar at all", "cannot be unpacked"), (None, "holds no source")],
)
def test_a_file_that_is_no_source_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    tarball = tmp_path / "x.tar.gz"
    if content is None:
        make_tarball(tarball, {"readme/text": "hello"})
    else:
        tarball.write_bytes(content)
    with pytest.raises(SourceError, match=message):
        unpack(tarball, tmp_path / "out")


def write_version(source: Path, text: str) -> Path:
    (source / "main").mkdir(parents=True)
    (source / "main" / "php_version.h").write_text(text, encoding="utf-8")
    return source


def test_the_version_is_read_from_the_source(tmp_path: Path) -> None:
    write_version(tmp_path, '#define PHP_VERSION "8.3.0-dev"\n#define PHP_VERSION_ID 80300\n')
    assert read_php_version(tmp_path) == "8.3.0-dev"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('#define PHP_VERSION "8.1.9"\n#define PHP_VERSION_ID 80109\n', "PHP 8.1.9; Howdah needs 8.2"),
        ("", "states no version"),
    ],
)
def test_a_source_of_no_use_is_refused(tmp_path: Path, text: str, message: str) -> None:
    write_version(tmp_path, text)
    with pytest.raises(SourceError, match=re.escape(message)):
        read_php_version(tmp_path)


def test_a_folder_without_php_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no source of PHP"):
        read_php_version(tmp_path)
