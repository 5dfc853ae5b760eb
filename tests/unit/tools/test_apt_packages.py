"""Missing Debian packages: found, and named in a line to copy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import apt_packages
from apt_packages import BUILD_PACKAGES, find_missing, install_line

DPKG_QUERY = """#!/bin/sh
echo 'bison installed'
echo 're2c config-files'
echo 'dpkg-query: no packages found matching autoconf' >&2
exit 1
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    add_program(tmp_path, "dpkg-query", DPKG_QUERY)
    return tmp_path


def add_program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")
    (folder / name).chmod(0o755)


def test_only_installed_packages_count(programs: Path) -> None:
    assert find_missing(["bison", "re2c", "autoconf"]) == ["re2c", "autoconf"]


def test_elsewhere_nothing_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_missing(["bison"]) == []


def test_without_root_the_exact_line_is_printed(
    programs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(apt_packages, "BUILD_PACKAGES", ("bison", "re2c"))
    monkeypatch.setattr(apt_packages, "python_packages", lambda: ("python3-venv",))
    assert apt_packages.main() == 1
    message = capsys.readouterr().err
    assert "  apt-get update && apt-get install --no-install-recommends -y re2c python3-venv\n" in message


def test_root_gets_them_installed(
    programs: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    add_program(programs, "apt-get", '#!/bin/sh\necho "apt-get $*"\n')
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(apt_packages, "BUILD_PACKAGES", ("bison", "re2c"))
    monkeypatch.setattr(apt_packages, "python_packages", tuple)
    assert apt_packages.main() == 0
    assert capfd.readouterr().out.splitlines() == [
        "Installing 1 Debian packages: re2c",
        "apt-get update -q",
        "apt-get install --no-install-recommends -y re2c",
    ]


def test_a_complete_machine_is_left_alone(
    programs: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    add_program(programs, "apt-get", "#!/bin/sh\necho called\n")
    monkeypatch.setattr(apt_packages, "BUILD_PACKAGES", ("bison",))
    monkeypatch.setattr(apt_packages, "python_packages", tuple)
    assert apt_packages.main() == 0
    assert capfd.readouterr().out == ""


def test_a_failing_apt_is_reported(
    programs: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    add_program(programs, "apt-get", "#!/bin/sh\nexit 100\n")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert apt_packages.main() == 1
    assert "apt-get failed" in capfd.readouterr().err


def test_the_line_names_each_package_once() -> None:
    words = install_line(BUILD_PACKAGES).split()
    assert len(words) == len(set(words))
