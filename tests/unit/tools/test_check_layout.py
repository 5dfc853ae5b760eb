"""The checks of layout find what they are for."""

from __future__ import annotations

from pathlib import Path

import pytest

import check_layout
from check_layout import (
    c_functions,
    check_c,
    check_headers,
    check_native_imports,
    check_python,
    check_sizes,
    read_groups,
)

FILE = Path("file")
SPDX = "/* SPDX-License-Identifier: MIT */\n"


def errors(findings: object) -> list[str]:
    return [message for is_error, message in findings if is_error]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("lines", "found"), [(500, []), (501, [False]), (801, [True])])
def test_long_files_are_noted_and_very_long_ones_refused(lines: int, found: list[bool]) -> None:
    assert [is_error for is_error, _ in check_sizes(FILE, "\n" * lines)] == found


def test_a_long_python_function_is_refused() -> None:
    body = "".join(f"    x = {number}\n" for number in range(50))
    assert "51 lines" in errors(check_python(FILE, f"def f():\n{body}"))[0]


def test_a_docstring_does_not_count() -> None:
    text = 'def f():\n    """One.\n' + "\n" * 60 + '    """\n    return 1\n'
    assert errors(check_python(FILE, text)) == []


def test_self_does_not_count_as_a_parameter() -> None:
    assert errors(check_python(FILE, "class A:\n    def f(self, a, b, c, d, e, f, g): ...\n")) == []
    assert "8 parameters" in errors(check_python(FILE, "def f(a, b, c, d, e, f, *, g, h): ...\n"))[0]


@pytest.mark.parametrize(
    "text", ["from howdah import _native\n", "import howdah._native\n", "from howdah._native import start\n"]
)
def test_one_module_imports_the_native_extension(text: str) -> None:
    assert "only howdah.engine.native" in errors(check_native_imports(Path("src/howdah/web/asgi.py"), text))[0]
    assert errors(check_native_imports(Path("src/howdah/engine/native.py"), text)) == []


def test_c_functions_are_measured() -> None:
    text = (
        f"{SPDX}static int\nadd(int a,\n    int b)\n{{\n    return a + b;\n}}\n\n"
        "ZEND_BEGIN(x)\nZEND_END()\nint f(void)\n{\n}\n"
    )
    assert list(c_functions(text)) == [(2, "add", 2, 6), (9, "f", 1, 5)]
    long_function = f"{SPDX}int f(int a)\n{{\n" + "    a++;\n" * 80 + "}\n"
    assert "83 lines" in errors(check_c(FILE, long_function))[0]
    assert "8 parameters" in errors(check_c(FILE, f"{SPDX}int f(int a, b, c, d, e, f, g, h)\n{{\n}}\n"))[0]


def test_a_c_file_states_its_licence() -> None:
    assert "SPDX" in errors(check_c(FILE, "int x;\n"))[0]


SOURCES = {
    "hw_queue.c": '#include "hw_queue.h"\n',
    "hw_queue.h": "#include <stdint.h>\n",
    "hw_sapi.c": '#include <php.h>\n#include "hw_queue.h"\n',
    "hw_sapi.h": "#include <SAPI.h>\n",
    "hw_module.c": '#include <Python.h>\n#include "hw_queue.h"\n',
}
MESON = """\
pure_sources = files(
  'hw_queue.c',
)
php_sources = files('hw_sapi.c')
python_sources = files('hw_module.c')
"""


def test_files_that_keep_to_their_side_pass() -> None:
    assert list(check_headers(SOURCES, read_groups(MESON))) == []


@pytest.mark.parametrize(
    ("name", "header", "side"),
    [
        ("hw_queue.c", "<Python.h>", "python"),
        ("hw_queue.h", "<zend_types.h>", "php"),
        ("hw_sapi.c", "<Python.h>", "python"),
        ("hw_module.c", "<ext/standard/info.h>", "php"),
        ("hw_module.c", '"hw_sapi.h"', "php"),
    ],
)
def test_a_foreign_header_is_refused_also_through_another_file(name: str, header: str, side: str) -> None:
    sources = {**SOURCES, name: f"{SOURCES[name]}#include {header}\n"}
    found = errors(check_headers(sources, read_groups(MESON)))
    assert found
    assert all(f"of the {side} side" in message for message in found)


def test_a_file_without_group_is_refused() -> None:
    assert "stands in no group" in errors(check_headers({"hw_new.c": ""}, read_groups(MESON)))[0]


def test_the_exit_code_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "native").mkdir()
    (tmp_path / "native" / "meson.build").write_text(MESON)
    monkeypatch.setattr(check_layout, "PROJECT", tmp_path)
    assert check_layout.main() == 0
    (tmp_path / "native" / "hw_lost.c").write_text("int x;\n")
    assert check_layout.main() == 1
    assert "error: native/hw_lost.c" in capsys.readouterr().err
