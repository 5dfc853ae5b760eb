#!/usr/bin/env python3
"""Check what no linter knows: sizes of files and functions, numbers of parameters, and the header rule of native/.

A file of more than 500 lines is reported, one of more than 800 is an error. Functions have at most
50 lines in Python (without the docstring) and 80 in C; none has more than 7 parameters.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
FILE_WARN_LINES, FILE_MAX_LINES = 500, 800
PYTHON_FUNCTION_MAX_LINES, C_FUNCTION_MAX_LINES = 50, 80
MAX_PARAMETERS = 7

_INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', re.MULTILINE)
_GROUP = re.compile(r"^(\w+)_sources = files\((.*?)\)", re.MULTILINE | re.DOTALL)
_C_NAME = re.compile(r"(\w+)\((.*)\)\s*$", re.DOTALL)
# Every header of PHP begins with one of these.
_PHP_HEADER = re.compile(r"php|zend|SAPI|TSRM|ext/|main/|Zend/|sapi/")
# Whose headers the files of a group may reach, directly or through other files of native/.
_ALLOWED = {
    "pure": {"pure"},
    "php": {"pure", "php"},
    "python": {"pure", "python"},
    "bridge": {"pure", "php", "python", "bridge"},
}


def check_sizes(path: Path, text: str) -> Iterator[tuple[bool, str]]:
    """Check the length of a file; gives (is an error, message)."""
    count = text.count("\n")
    if count > FILE_MAX_LINES:
        yield True, f"{path}: {count} lines, at most {FILE_MAX_LINES} are allowed: split it by concern"
    elif count > FILE_WARN_LINES:
        yield False, f"{path}: {count} lines, more than the {FILE_WARN_LINES} that read well"


def check_python(path: Path, text: str) -> Iterator[tuple[bool, str]]:
    """Check length and parameters of every function of a Python file."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        first = node.body[0]
        documented = ast.get_docstring(node) is not None
        docstring_lines = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
        lines = (node.end_lineno or 0) - node.lineno + 1 - docstring_lines
        if lines > PYTHON_FUNCTION_MAX_LINES:
            yield True, f"{path}:{node.lineno}: {node.name}() has {lines} lines, at most {PYTHON_FUNCTION_MAX_LINES}"
        names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        parameters = len(names) - (names[:1] in (["self"], ["cls"]))
        if parameters > MAX_PARAMETERS:
            yield True, f"{path}:{node.lineno}: {node.name}() has {parameters} parameters, at most {MAX_PARAMETERS}"


def check_native_imports(path: Path, text: str) -> Iterator[tuple[bool, str]]:
    """Check that only engine/native.py imports the native extension; import-linter cannot see a compiled module."""
    if path == Path("src/howdah/engine/native.py"):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names] + [str(node.module)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        if "howdah._native" in names:
            yield True, f"{path}:{node.lineno}: only howdah.engine.native may import howdah._native"


def check_c(path: Path, text: str) -> Iterator[tuple[bool, str]]:
    """Check licence line, and length and parameters of every function of a C file."""
    if not text.startswith("/* SPDX-License-Identifier: MIT"):
        yield True, f"{path}:1: the first line must begin with /* SPDX-License-Identifier: MIT"
    for line, name, parameters, lines in c_functions(text):
        if lines > C_FUNCTION_MAX_LINES:
            yield True, f"{path}:{line}: {name}() has {lines} lines, at most {C_FUNCTION_MAX_LINES}"
        if parameters > MAX_PARAMETERS:
            yield True, f"{path}:{line}: {name}() has {parameters} parameters, at most {MAX_PARAMETERS}"


def c_functions(text: str) -> Iterator[tuple[int, str, int, int]]:
    """Find function definitions: a brace alone in the first column opens one, the next such brace closes it.

    Gives:
        line of the head, name, number of parameters, length in lines.
    """
    rows = text.split("\n")
    for opening, row in enumerate(rows):
        if row != "{":
            continue
        head = opening
        while head > 0 and rows[head - 1] and not re.search(r"[;}]$|\*/$|^#", rows[head - 1]):
            head -= 1
        # A macro call without semicolon can stand above; the head itself has no indented first line.
        found = _C_NAME.search("\n".join(rows[head:opening]).rpartition(")\n")[2])
        closing = next((end for end in range(opening, len(rows)) if rows[end] == "}"), opening)
        if found is not None:
            yield head + 1, found[1], found[2].count(",") + 1, closing - head + 1


def read_groups(meson_text: str) -> dict[str, str]:
    """Read which group of native/meson.build each C file belongs to, by stem."""
    return {
        Path(name).stem: group
        for group, body in _GROUP.findall(meson_text)
        for name in re.findall(r"'([^']+\.c)'", body)
    }


def reachable_headers(name: str, sources: dict[str, str]) -> set[str]:
    """Collect everything a file includes, also through other files of native/."""
    seen: set[str] = set()
    pending = [name]
    while pending:
        for header in _INCLUDE.findall(sources.get(pending.pop(), "")):
            if header not in seen:
                seen.add(header)
                pending.append(header)
    return seen


def header_kind(header: str) -> str:
    """Tell which side a header belongs to; our own count as pure, because what they include is looked at, too."""
    if header == "Python.h":
        return "python"
    return "php" if _PHP_HEADER.match(header) else "pure"


def check_headers(sources: dict[str, str], groups: dict[str, str]) -> Iterator[tuple[bool, str]]:
    """Check the header rule: which of php.h and Python.h a file may reach decides which locks it can need.

    Args:
        sources: text of every file of native/, by name.
        groups: group by stem, as ``read_groups`` gives it.
    """
    for name in sorted(sources):
        if not name.endswith(".c"):
            continue
        group = groups.get(Path(name).stem)
        if group is None:
            yield True, f"native/{name}: stands in no group of native/meson.build"
            continue
        for header in sorted(reachable_headers(name, sources)):
            kind = header_kind(header)
            if kind not in _ALLOWED[group]:
                yield True, f"native/{name}: is in the group {group} but reaches {header}, which is of the {kind} side"


def check_project(project: Path) -> list[tuple[bool, str]]:
    """Run all checks on a checkout; gives (is an error, message) pairs."""
    findings: list[tuple[bool, str]] = []
    for folder in ("src", "tools", "tests", "benchmarks"):
        for path in sorted((project / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            shown = path.relative_to(project)
            findings += [*check_sizes(shown, text), *check_python(shown, text)]
            if folder == "src":
                findings += check_native_imports(shown, text)
    for folder in ("native", "tests/native"):
        for path in sorted((project / folder).glob("*.[ch]")):
            text = path.read_text(encoding="utf-8")
            shown = path.relative_to(project)
            findings += [*check_sizes(shown, text), *check_c(shown, text)]
    sources = {path.name: path.read_text(encoding="utf-8") for path in (project / "native").glob("*.[ch]")}
    groups = read_groups((project / "native" / "meson.build").read_text(encoding="utf-8"))
    return [*findings, *check_headers(sources, groups)]


def main() -> int:
    """Print all findings; the exit code is 1 when one is an error."""
    findings = check_project(PROJECT)
    for is_error, message in findings:
        print(f"{'error' if is_error else 'note'}: {message}", file=sys.stderr)
    return int(any(is_error for is_error, _ in findings))


if __name__ == "__main__":
    sys.exit(main())
