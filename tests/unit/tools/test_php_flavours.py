"""Where builds of PHP stand, and what they are made with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from php_flavours import COMPLETE_MARKER, FLAVOURS, cache_dir, find_cached, version_key

RELEASE = FLAVOURS["release"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOWDAH_CACHE", str(tmp_path))
    return tmp_path


def make_build(cache: Path, name: str, *, complete: bool = True) -> Path:
    php_config = cache / "php" / name / "bin" / "php-config"
    php_config.parent.mkdir(parents=True)
    php_config.touch()
    if complete:
        (cache / "php" / name / COMPLETE_MARKER).touch()
    return php_config


def test_cache_stands_in_the_home_folder_unless_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HOWDAH_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache" / "howdah"


def test_prefix_names_version_flavour_and_options(cache: Path) -> None:
    assert RELEASE.prefix("8.2.32") == cache / "php" / f"8.2.32-release-{RELEASE.options_hash}"


def test_other_options_have_another_hash() -> None:
    assert replace(RELEASE, options=(*RELEASE.options, "--enable-calendar")).options_hash != RELEASE.options_hash
    assert replace(RELEASE, environment=(("CFLAGS", "-O3"),)).options_hash != RELEASE.options_hash


@pytest.mark.parametrize("name", ["release", "asan"])
def test_every_flavour_can_be_embedded(name: str) -> None:
    arguments = FLAVOURS[name].configure_arguments(Path("/opt/php"))
    assert arguments[0] == "--prefix=/opt/php"
    assert "--with-config-file-scan-dir=/opt/php/etc/conf.d:/etc/howdah/conf.d" in arguments
    for wanted in (
        "--enable-zts",
        "--enable-embed=shared",
        "--disable-zend-signals",
        "--enable-zend-max-execution-timers",
        "--enable-cli",
        "--disable-cgi",
        "--disable-phpdbg",
        "--with-config-file-path=/etc/howdah",
        "--enable-opcache",
    ):
        assert wanted in arguments


def test_newest_complete_build_of_the_flavour_is_found(cache: Path) -> None:
    make_build(cache, f"8.2.9-{RELEASE.label}")
    newest = make_build(cache, f"8.2.32-{RELEASE.label}")
    make_build(cache, f"8.2.40-{RELEASE.label}", complete=False)
    make_build(cache, "8.4.1-release-0123456789")
    assert find_cached(RELEASE) == newest
    assert find_cached(FLAVOURS["asan"]) is None


def test_a_certain_version_can_be_asked_for(cache: Path) -> None:
    old = make_build(cache, f"8.2.9-{RELEASE.label}")
    make_build(cache, f"8.2.32-{RELEASE.label}")
    assert find_cached(RELEASE, "8.2.9") == old


def test_a_marker_without_php_config_does_not_count(cache: Path) -> None:
    make_build(cache, f"8.2.9-{RELEASE.label}").unlink()
    assert find_cached(RELEASE) is None


def test_versions_sort_by_number() -> None:
    assert sorted(["8.2.9-x", "8.10.0-x", "8.2.32-x"], key=version_key) == ["8.2.9-x", "8.2.32-x", "8.10.0-x"]
