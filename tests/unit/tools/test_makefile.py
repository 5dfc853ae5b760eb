"""The runner: its help is complete, its phases stop where they must."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]


def run(*command: str, path: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{path}{os.pathsep if path else ''}{os.environ['PATH']}"}
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)


def test_help_names_every_target_for_users() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    shown = re.findall(r"^  make (\w+)", run("make", "--no-print-directory", "help").stdout, re.MULTILINE)
    # "packages" and "tools" are steps of others.
    assert sorted(shown) == sorted(set(phony[1].split()) - {"packages", "tools"})


def test_help_is_the_default() -> None:
    assert run("make", "--no-print-directory").stdout == run("make", "--no-print-directory", "help").stdout


def test_an_old_python_is_named() -> None:
    answer = run("make", "--no-print-directory", "packages", "PYTHON=false")
    assert answer.returncode != 0
    assert "Howdah needs Python 3.11 or newer as false" in answer.stdout


def test_phases_stop_at_the_first_failure(tmp_path: Path) -> None:
    (tmp_path / "make").write_text('#!/bin/sh\n[ "$2" != bad ]\n', encoding="utf-8")
    (tmp_path / "make").chmod(0o755)
    answer = run(sys.executable, "tools/run_phases.py", "good", "bad", "never", path=str(tmp_path))
    assert answer.returncode == 1
    assert re.search(r"^good +\d\d:\d\d  ok\nbad +\d\d:\d\d  FAILED$", answer.stdout, re.MULTILINE)
    assert "never" not in answer.stdout
