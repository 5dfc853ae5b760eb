"""The command frankenphp: what tools ask of it, and what goes to howdah."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import pytest

from howdah.cli import frankenphp


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    calls: list[list[str]] = []

    def note(words: list[str]) -> int:
        calls.append(words)
        return 7

    monkeypatch.setattr(frankenphp, "run_howdah", note)
    return calls


def test_build_info_is_what_octane_looks_for(capsys: pytest.CaptureFixture[str]) -> None:
    """The first line that begins with dep and names the module; its version is what follows the last v."""
    assert frankenphp.main(["build-info"]) == 0
    lines = capsys.readouterr().out.split("\n")
    (line,) = [line for line in lines if line.startswith("dep") and "github.com/dunglas/frankenphp" in line]
    version = line.strip().rpartition("v")[2]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert tuple(map(int, version.split("."))) >= (1, 5, 0)


@pytest.mark.parametrize("word", ["version", "-v", "--version"])
def test_version_names_both(capsys: pytest.CaptureFixture[str], word: str) -> None:
    assert frankenphp.main([word]) == 0
    assert re.fullmatch(r"FrankenPHP v1\.\d+\.\d+ \(Howdah \S+\) PHP .+\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "-c", "Caddyfile"], ["run", "-c", "Caddyfile"]),
        (["run", "--config", "Caddyfile", "--adapter", "caddyfile"], ["run", "--config", "Caddyfile"]),
        (["run", "--adapter=caddyfile"], ["run"]),
        (["run", "-a", "caddyfile", "-c", "x"], ["run", "-c", "x"]),
        (["php-cli", "artisan", "-a", "--adapter"], ["php-cli", "artisan", "-a", "--adapter"]),
        (["php-server", "-r", "public"], ["php-server", "-r", "public"]),
        (["stop"], ["stop"]),
        (["reload", "-c", "x"], ["reload", "-c", "x"]),
        (["validate"], ["validate"]),
        (["fmt", "-w"], ["fmt", "-w"]),
    ],
)
def test_shared_commands_go_to_howdah(passed: list[list[str]], words: list[str], expected: list[str]) -> None:
    assert frankenphp.main(words) == 7
    assert passed == [expected]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["start"], "stays in the foreground"),
        (["extension-init", "x.go"], "need FrankenPHP itself"),
        (["rnu"], "no command rnu; did you mean run?"),
        (["run", "--adapter", "json"], "reads Caddyfiles only"),
        (["run", "--adapter"], "reads Caddyfiles only"),
    ],
)
def test_mistakes_are_one_sentence(
    passed: list[list[str]], capsys: pytest.CaptureFixture[str], words: list[str], text: str
) -> None:
    assert frankenphp.main(words) == 2
    assert text in capsys.readouterr().err
    assert not passed


def test_access_log_flag_of_php_server_is_no_adapter(passed: list[list[str]]) -> None:
    assert frankenphp.main(["php-server", "-a", "-r", "public"]) == 7
    assert passed == [["php-server", "-a", "-r", "public"]]


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert frankenphp.main(["--help"]) == 0
    out = capsys.readouterr().out
    for word in ("run", "php-cli", "build-info"):
        assert f"\n  {word}" in out
    assert frankenphp.main([]) == 2


def test_it_is_installed_as_a_command_and_named_by_an_extra() -> None:
    text = (Path(__file__).resolve().parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    module, _, function = project["scripts"]["frankenphp"].partition(":")
    assert getattr(importlib.import_module(module), function) is frankenphp.main
    assert project["optional-dependencies"]["frankenphp"] == []
