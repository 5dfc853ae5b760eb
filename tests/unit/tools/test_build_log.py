"""What a person sees of a long build."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from build_log import TAIL_LINES, BuildError, BuildLog, format_elapsed, guess_package


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_every_phase_has_a_line_and_the_log_has_all(tmp_path: Path) -> None:
    stream = io.StringIO()
    log = BuildLog(tmp_path / "logs" / "php.log", stream)
    log.run("counting", ["sh", "-c", "echo one; echo two >&2"], cwd=tmp_path)
    assert stream.getvalue() == "[00:00] counting\n"
    assert log.path.read_text().splitlines()[1:] == ["one", "two"]


def test_a_terminal_gets_a_live_counter(tmp_path: Path) -> None:
    stream = Terminal()
    BuildLog(tmp_path / "log", stream).run(
        "compiling", ["printf", "cc a.c\ncc b.c\nld\n"], cwd=tmp_path, counts=("cc ", 2)
    )
    assert "compiled 1 of 2 objects" in stream.getvalue()
    assert "compiled 2 of 2 objects" in stream.getvalue()


def test_environment_reaches_the_program(tmp_path: Path) -> None:
    log = BuildLog(tmp_path / "log", io.StringIO())
    log.run("showing", ["sh", "-c", 'echo "$CFLAGS"'], cwd=tmp_path, environment={"CFLAGS": "-O2"})
    assert "-O2\n" in log.path.read_text()


def test_a_failure_shows_the_end_of_the_log_and_the_missing_package(tmp_path: Path) -> None:
    script = 'for i in $(seq 100); do echo "line $i"; done; echo "No package \'oniguruma\' found"; exit 3'
    with pytest.raises(BuildError) as caught:
        BuildLog(tmp_path / "log", io.StringIO()).run("configuring", ["sh", "-c", script], cwd=tmp_path)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"`configuring` failed with exit code 3. The end of {tmp_path / 'log'}:"
    assert len(lines) == TAIL_LINES + 2
    assert "apt-get install libonig-dev" in lines[-1]


@pytest.mark.parametrize(
    ("text", "package"),
    [
        ("configure: error: Package requirements (libxml-2.0 >= 2.9.0) were not met:", "libxml2-dev"),
        ("No package 'icu-uc' found", "libicu-dev"),
        ("configure: error: re2c 0.13.4 is required to generate PHP lexers. Not found", "re2c"),
        ("configure: error: no acceptable C compiler found in $PATH", "build-essential"),
        ("fatal error: sodium.h: No such file or directory\nPackage libsodium was not found", "libsodium-dev"),
        ("collect2: error: ld returned 1 exit status", None),
        ("checking for libcurl... yes", None),
    ],
)
def test_the_package_is_guessed_from_complaints_only(text: str, package: str | None) -> None:
    assert guess_package(text) == package


def test_elapsed_time_reads_as_minutes_and_seconds() -> None:
    assert format_elapsed(187.9) == "03:07"
