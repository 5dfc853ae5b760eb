"""What goes into the virtual environment, and when the extension is installed again."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import install_extension
from create_venv import requirements
from howdah_source import PROJECT

PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))


def test_an_environment_gets_run_time_and_development_packages() -> None:
    names = requirements(PYPROJECT)
    assert {name for name in names if name.startswith("granian")} == {"granian>=2.8,<3"}
    for group in PYPROJECT["dependency-groups"].values():
        assert set(group) <= set(names)


def test_formatters_are_pinned_where_their_output_counts() -> None:
    assert [name for name in PYPROJECT["dependency-groups"]["lint"] if name.startswith("clang-format==")]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("pyproject.toml", "meson.options", "php-config"):
        (tmp_path / name).touch()
    monkeypatch.setattr(install_extension, "PROJECT", tmp_path)
    return tmp_path


def test_the_extension_is_installed_once(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[str] = []

    def install(flavour: str, php_config: Path) -> int:
        installed.append(flavour)
        return 0

    monkeypatch.setattr(install_extension, "install", install)
    monkeypatch.setattr(sys, "argv", ["install_extension.py", "--php-config", str(checkout / "php-config")])
    assert install_extension.main() == 0
    assert install_extension.main() == 0
    assert installed == ["release"]

    os.utime(checkout / "php-config", (1, 1))  # another PHP
    assert install_extension.main() == 0
    assert installed == ["release", "release"]


def test_a_failed_installation_is_tried_again(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = [1, 0]
    monkeypatch.setattr(install_extension, "install", lambda flavour, php_config: codes.pop(0))
    monkeypatch.setattr(sys, "argv", ["install_extension.py", "--php-config", str(checkout / "php-config")])
    assert install_extension.main() == 1
    assert install_extension.main() == 0
    assert codes == []


@pytest.mark.parametrize("php_config", ["/nowhere/php-config", "/bin/true"])
def test_the_build_gets_one_sentence_about_a_php_of_no_use(php_config: str) -> None:
    answer = subprocess.run(
        [sys.executable, PROJECT / "tools" / "php_facts.py", php_config], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 1
    assert len(answer.stderr.splitlines()) == 1
    assert answer.stdout == ""
