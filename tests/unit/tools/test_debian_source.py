"""Debian's archive, played by small programs that stand in for apt."""

from __future__ import annotations

from pathlib import Path

import pytest

from debian_source import (
    DebianSource,
    SourceError,
    find_tarball,
    last_error,
    parse_versions,
    source_lines,
)

TARGETS = """\
Debian|http://archive.example/debian/ bookworm main
Debian|http://archive.example/debian/ bookworm main
Somebody|https://elsewhere.example/ stable main
Debian|http://archive.example/security/ bookworm-security main
"""
# 8.2.36 is listed, but the mirror has lost it.
APT_GET = f"""#!/bin/sh
echo "$*" >> "$LOG"
case "$*" in
  *indextargets*) cat <<'END'
{TARGETS}END
  ;;
  *--download-only*php8.2=8.2.36*) echo 'E: Failed to fetch: 404' >&2; exit 100 ;;
  *--download-only*php8.2=8.2.32*) : > php8.2_8.2.32.orig.tar.xz ;;
  *--download-only*) echo 'E: Unable to find a source package' >&2; exit 100 ;;
esac
"""
APT_CACHE = """#!/bin/sh
case "$*" in
  *showsrc*php8.2) printf 'Version: %s\\n' '8.2.32-1~deb12u1' '8.2.36-1~deb12u1' ;;
esac
"""


@pytest.fixture
def apt_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in (("apt-get", APT_GET), ("apt-cache", APT_CACHE)):
        (programs / name).write_text(text, encoding="utf-8")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def test_a_version_that_is_gone_makes_room_for_the_next(tmp_path: Path, apt_log: Path) -> None:
    tarball = DebianSource(tmp_path / "state").fetch("php8.2", tmp_path / "download")
    assert tarball == tmp_path / "download" / "php8.2_8.2.32.orig.tar.xz"
    tried = [line.rpartition(" ")[2] for line in apt_log.read_text().splitlines() if "--download-only" in line]
    assert tried == ["php8.2=8.2.36-1~deb12u1", "php8.2=8.2.32-1~deb12u1"]


def test_only_debians_archives_go_into_the_private_list(tmp_path: Path, apt_log: Path) -> None:
    DebianSource(tmp_path / "state").versions("php8.2")
    assert (tmp_path / "state" / "sources.list").read_text() == (
        "deb-src http://archive.example/debian/ bookworm main\n"
        "deb-src http://archive.example/security/ bookworm-security main\n"
    )


def test_the_lists_of_the_machine_stay_as_they_are(tmp_path: Path, apt_log: Path) -> None:
    DebianSource(tmp_path / "state").fetch("php8.2", tmp_path / "download")
    for line in apt_log.read_text().splitlines():
        assert "indextargets" in line or f"Dir::State::Lists={tmp_path / 'state' / 'lists'}" in line


def test_the_lists_are_fetched_once(tmp_path: Path, apt_log: Path) -> None:
    debian = DebianSource(tmp_path / "state")
    debian.versions("php8.2")
    debian.versions("php-redis")
    assert sum(" update" in line for line in apt_log.read_text().splitlines()) == 1


def test_a_package_that_debian_lacks_is_an_error(tmp_path: Path, apt_log: Path) -> None:
    with pytest.raises(SourceError, match="does not offer the source package php9"):
        DebianSource(tmp_path / "state").fetch("php9", tmp_path)


def test_a_system_without_apt_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="no Debian system"):
        DebianSource(tmp_path / "state").versions("php8.2")


def test_a_system_that_knows_no_debian_archive_is_an_error(tmp_path: Path, apt_log: Path) -> None:
    (tmp_path / "programs" / "apt-get").write_text("#!/bin/sh\n", encoding="utf-8")
    with pytest.raises(SourceError, match="knows no archive of Debian"):
        DebianSource(tmp_path / "state").versions("php8.2")


def test_targets_of_others_are_left_out() -> None:
    assert "elsewhere" not in source_lines(TARGETS)
    assert source_lines("") == ""


def test_versions_come_newest_first() -> None:
    assert parse_versions("Version: 8.2.9-1\nVersion: 8.2.32-1\nVersion: 8.2.32-1\n") == ["8.2.32-1", "8.2.9-1"]


@pytest.mark.parametrize("version", ["5.3.7+4.3.0-3", "1:5.3.7+4.3.0-3"])
def test_the_tarball_has_neither_epoch_nor_revision(tmp_path: Path, version: str) -> None:
    (tmp_path / "php-redis_5.3.7+4.3.0.orig.tar.xz").touch()
    (tmp_path / "php-redis_5.3.7+4.3.0-3.debian.tar.xz").touch()
    tarball = find_tarball(tmp_path, "php-redis", version)
    assert tarball is not None
    assert tarball.name == "php-redis_5.3.7+4.3.0.orig.tar.xz"


def test_the_first_error_line_of_apt_is_shown() -> None:
    assert last_error("W: hm\nE: first\nE: second\n") == "E: first"
    assert last_error("W: hm\n") == "W: hm"
    assert last_error("") == "apt said nothing"
