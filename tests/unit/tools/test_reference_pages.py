"""The reference pages about commands, PHP functions and the Python API know everything that there is."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import howdah
from howdah import errors
from howdah.cli import main as cli
from howdah.cli.notify import VARIABLE

PROJECT = Path(__file__).resolve().parents[3]
REFERENCE = PROJECT / "docs" / "reference"


def page(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


def test_every_command_has_its_row() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|", page("commands"), re.MULTILINE)
    assert sorted(rows) == sorted(cli._COMMANDS)


def test_every_variable_that_is_read_has_its_row() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (PROJECT / "src").rglob("*.py")]
    read = {name for text in sources for name in re.findall(r'"(HOWDAH_[A-Z_]+|XDG_[A-Z_]+)"', text)}
    assert len(read) > 3
    assert [name for name in sorted({*read, VARIABLE}) if f"`{name}`" not in page("commands")] == []


def test_every_php_function_and_constant_is_there() -> None:
    source = (PROJECT / "native" / "hw_functions.c").read_text(encoding="utf-8")
    names = re.findall(r"ZEND_(?:FE|FALIAS)\((\w+)", source) + re.findall(r'REGISTER_LONG_CONSTANT\("(\w+)"', source)
    assert len(names) > 10
    assert [name for name in names if f"`{name}" not in page("php-functions")] == []


def test_every_public_name_and_error_of_the_package_is_there() -> None:
    known = {name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.HowdahError)}
    text = page("python")
    assert [name for name in sorted(known) if f"`{name}`" not in text and f"howdah.{name}`" not in text] == []
    assert [name for name in howdah.__all__ if name != "__version__" and f"howdah.{name}" not in text] == []


def test_public_methods_of_the_runtime_are_there() -> None:
    source = (PROJECT / "src" / "howdah" / "runtime" / "runtime.py").read_text(encoding="utf-8")
    named = re.findall(r"`(?:await )?(\w+)\([^`]*\)` \|", page("python"))
    missing = [
        name for name in named if name not in {"PHPApp", "PHPServer", "Runtime"} and f"def {name}(" not in source
    ]
    assert len(named) > 6
    assert missing == []
