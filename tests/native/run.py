#!/usr/bin/env python3
# ruff: noqa: T201 -- a program whose result is what it prints
"""Build and run the tests of the pure C parts, plain and under sanitizers; needs gcc, no PHP and no build system.

Every ``test_*.c`` beside this file is a program. Its second line, ``// links: hw_a.c hw_b.c``, names the files of
native/ that belong to it, and may be repeated; ``check.h`` tells the rest. To add a test, add such a file.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

TESTS = Path(__file__).resolve().parent
NATIVE = TESTS.parent.parent / "native"
TIMEOUT_S = 300
# Unused parameters are normal in callbacks; the extension is built the same way.
WARNINGS = ["-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Wshadow", "-Werror"]
FLAVOURS = {
    "plain": ["-O2", "-g"],
    "asan": ["-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    "tsan": ["-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=thread"],
}
SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}
_LINKS = re.compile(r"^// links:(.*)$", re.MULTILINE)


class NativeTestError(Exception):
    """A test file cannot be used; the message says why."""


@dataclass
class Outcome:
    """What one program, or all of them, came to."""

    passed: int = 0
    failed: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Count another outcome in."""
        self.passed += other.passed
        self.failed += other.failed
        self.notes += other.notes


def read_links(test: Path) -> list[Path]:
    """Read which files of native/ a test is linked with.

    Raises:
        NativeTestError: there is no ``// links:`` line, or it names a file that does not exist.
    """
    found = _LINKS.findall(test.read_text(encoding="utf-8"))
    if not found:
        msg = f"{test.name}: the second line must name its sources: // links: hw_body.c hw_spool.c"
        raise NativeTestError(msg)
    paths = [NATIVE / name for name in " ".join(found).split()]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        msg = f"{test.name}: native/ has no {', '.join(missing)}; correct its line '// links:'"
        raise NativeTestError(msg)
    return paths


def build(test: Path, flavour: str, folder: Path) -> Path:
    """Compile one test.

    Raises:
        NativeTestError: the compiler refused it; the message is the compiler's.
    """
    program = folder / f"{test.stem}-{flavour}"
    sources = [test, *read_links(test)]
    command = ["gcc", *WARNINGS, *FLAVOURS[flavour], f"-I{NATIVE}", *map(str, sources), "-pthread", "-o", str(program)]
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if answer.returncode != 0:
        msg = f"{test.name} ({flavour}) does not compile:\n{answer.stdout}"
        raise NativeTestError(msg)
    return program


def run(program: Path, folder: Path) -> Outcome:
    """Run one program and count the lines ``ok NAME`` and ``not ok NAME`` that it prints."""
    # The programs' temporary files go where they are removed with the build, whatever happens.
    environment = {**os.environ, **SANITIZER_OPTIONS, "TMPDIR": str(folder)}
    try:
        answer = subprocess.run(
            [str(program)], env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return Outcome(failed=1, notes=[f"{program.name}: still running after {TIMEOUT_S} s"])
    rows = answer.stdout.splitlines()
    outcome = Outcome(sum(row.startswith("ok ") for row in rows), sum(row.startswith("not ok ") for row in rows))
    outcome.notes = [f"{program.name}: {row}" for row in rows if row.startswith("not ok ")]
    if answer.returncode != 0 and outcome.failed == 0:
        outcome.failed = 1
        last = rows[-1] if rows else "nothing"
        outcome.notes.append(f"{program.name}: ended with {answer.returncode}, the last line was: {last}")
    if outcome.failed:
        outcome.notes.append(answer.stderr)
    return outcome


def run_all(tests: list[Path], flavours: list[str]) -> Outcome:
    """Build and run every test in every flavour; a test that does not build counts as one failure."""
    total = Outcome()
    with tempfile.TemporaryDirectory(prefix="howdah-native-") as name:
        folder = Path(name)
        for flavour in flavours:
            for test in tests:
                try:
                    outcome = run(build(test, flavour, folder), folder)
                except NativeTestError as error:
                    outcome = Outcome(failed=1, notes=[str(error)])
                print(f"{test.stem} ({flavour}): {outcome.passed} passed, {outcome.failed} failed", flush=True)
                total.add(outcome)
    return total


def main() -> int:
    """Run what the arguments select; the exit code is 1 when something failed or nothing was found."""
    parser = argparse.ArgumentParser(description="Test the pure C parts.")
    parser.add_argument("names", nargs="*", help="tests to run, such as body or test_body.c; default: all")
    parser.add_argument("--flavour", choices=sorted(FLAVOURS), action="append", help="default: all; may be repeated")
    parser.add_argument("--list", action="store_true", help="print the tests and stop")
    arguments = parser.parse_args()
    wanted = {"test_" + name.removeprefix("test_").removesuffix(".c") for name in arguments.names}
    tests = [path for path in sorted(TESTS.glob("test_*.c")) if not wanted or path.stem in wanted]
    if not tests:
        print(f"no such test; there are: {', '.join(path.stem for path in sorted(TESTS.glob('test_*.c')))}")
        return 1
    if arguments.list:
        print("\n".join(path.name for path in tests))
        return 0
    total = run_all(tests, arguments.flavour or list(FLAVOURS))
    print("\n".join(total.notes), end="\n" if total.notes else "")
    print(f"{total.passed} passed, {total.failed} failed")
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
