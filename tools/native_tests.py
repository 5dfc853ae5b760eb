#!/usr/bin/env python3
"""Build and run the tests of the pure C parts, once per set of sanitizers; needs no PHP."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
SANITIZERS = {"asan": "address,undefined", "tsan": "thread"}
# A finding of UBSan must fail the test, too.
_ENVIRONMENT = {"UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1", "TSAN_OPTIONS": "halt_on_error=1"}


def run(name: str, sanitizers: str) -> int:
    """Configure (once), build and run one set.

    Args:
        name: last part of the build folder.
        sanitizers: value of meson's ``b_sanitize``.

    Returns:
        Exit code of the step that failed, or 0.
    """
    folder = PROJECT / "build" / f"native-{name}"
    meson = Path(sys.executable).with_name("meson")
    path = f"{meson.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environment = {**os.environ, **_ENVIRONMENT, "PATH": path}
    setup: list[str | Path] = [
        meson,
        "setup",
        folder,
        PROJECT,
        "-Dextension=false",
        f"-Db_sanitize={sanitizers}",
        "-Dbuildtype=debug",
    ]
    steps: list[list[str | Path]] = [] if (folder / "build.ninja").exists() else [setup]
    steps += [
        [meson, "compile", "-C", folder, "--ninja-args=--quiet"],
        [meson, "test", "-C", folder, "--no-rebuild", "--print-errorlogs", "--quiet"],
    ]
    for step in steps:
        answer = subprocess.run(step, env=environment, stdout=subprocess.PIPE, text=True, check=False)
        if answer.returncode != 0:
            print(answer.stdout)
            return answer.returncode
    print(f"native tests under {sanitizers}: ok")
    return 0


if __name__ == "__main__":
    sys.exit(next((code for item in SANITIZERS.items() if (code := run(*item))), 0))
