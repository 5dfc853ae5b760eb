"""Visible progress of long builds: a line per phase with its time, a counter while it compiles, a useful failure."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

TAIL_LINES = 40
REPORT_EVERY_S = 20.0

# What configure and the compiler say, and the Debian package that mends it.
_HINTS = (
    (r"libxml-2\.0|libxml/", "libxml2-dev"),
    (r"sqlite3", "libsqlite3-dev"),
    (r"openssl|libssl|libcrypto", "libssl-dev"),
    (r"libcurl", "libcurl4-openssl-dev"),
    (r"oniguruma|\bonig\b", "libonig-dev"),
    (r"icu-(uc|io|i18n)", "libicu-dev"),
    (r"libpng", "libpng-dev"),
    (r"libjpeg|jpeglib", "libjpeg62-turbo-dev"),
    (r"libwebp", "libwebp-dev"),
    (r"freetype", "libfreetype-dev"),
    (r"libzip", "libzip-dev"),
    (r"\bzlib\b", "zlib1g-dev"),
    (r"libsodium", "libsodium-dev"),
    (r"libpq|PostgreSQL|pg_config", "libpq-dev"),
    (r"readline|libedit", "libreadline-dev"),
    (r"argon2", "libargon2-dev"),
    (r"re2c", "re2c"),
    (r"\bbison\b", "bison"),
    (r"autoconf", "autoconf"),
    (r"pkg-config", "pkg-config"),
    (r"C compiler|\bcc\b.*not found|C\+\+ preprocessor", "build-essential"),
)
_COMPLAINT = re.compile(r"error|not found|No package|cannot find|missing|were not met|No such file", re.IGNORECASE)


class BuildError(Exception):
    """A step of a build failed; the message is for the user and says what to do."""


class BuildLog:
    """Runs the steps of one build, writes all they print to a file, and shows progress.

    Args:
        path: the log file; begun anew.
        stream: where progress goes; None takes standard error.
    """

    def __init__(self, path: Path, stream: TextIO | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", encoding="utf-8")
        self.path = path
        self._stream = stream or sys.stderr
        self._started = time.monotonic()

    def say(self, text: str) -> None:
        """Print one line with the time since the build began."""
        print(f"[{format_elapsed(time.monotonic() - self._started)}] {text}", file=self._stream, flush=True)

    def run(
        self,
        phase: str,
        command: Sequence[str | os.PathLike[str]],
        *,
        cwd: Path,
        environment: Mapping[str, str] | None = None,
        counts: tuple[str, int] | None = None,
    ) -> None:
        """Run one step to its end.

        Args:
            phase: what the step does, for the user.
            command: program and arguments.
            cwd: folder to run in.
            environment: variables on top of our own.
            counts: text that marks a line worth counting, and how many such lines to expect.

        Raises:
            BuildError: the program failed; the message holds the end of the log and a guess of the missing package.
        """
        self.say(phase)
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        with self.path.open("a", encoding="utf-8", errors="replace") as log:
            log.write(f"$ {' '.join(map(str, command))}\n")
            process = subprocess.Popen(
                list(command),
                cwd=cwd,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
            counter = _Counter(self, counts)
            with process:
                assert process.stdout is not None  # noqa: S101 - stdout is a pipe, says the call above
                for line in process.stdout:
                    log.write(line)
                    tail.append(line.rstrip())
                    counter.see(line)
            counter.end()
        if process.returncode != 0:
            raise BuildError(self._describe_failure(phase, process.returncode, tail))

    def _describe_failure(self, phase: str, code: int, tail: Sequence[str]) -> str:
        lines = [f"`{phase}` failed with exit code {code}. The end of {self.path}:", *(f"  {line}" for line in tail)]
        package = guess_package("\n".join(tail))
        if package is not None:
            lines.append(f"Probably a package is missing. Try: apt-get install {package}")
        return "\n".join(lines)

    def show(self, text: str) -> None:
        """Rewrite the current line of a terminal; print nothing elsewhere."""
        if self._stream.isatty():
            self._stream.write(f"\r\x1b[K{text}")
            self._stream.flush()

    @property
    def is_terminal(self) -> bool:
        """Whether progress is seen by a person who watches."""
        return self._stream.isatty()


class _Counter:
    """Counts the lines that mark a compiled object; live on a terminal, now and then in a file."""

    def __init__(self, log: BuildLog, counts: tuple[str, int] | None) -> None:
        self._log = log
        self._marker, self._total = counts or ("", 0)
        self._seen = 0
        self._reported = time.monotonic()

    def see(self, line: str) -> None:
        """Count a line of output."""
        if not self._marker or self._marker not in line:
            return
        self._seen += 1
        text = f"  compiled {self._seen} of {max(self._total, self._seen)} objects"
        self._log.show(text)
        if not self._log.is_terminal and time.monotonic() - self._reported >= REPORT_EVERY_S:
            self._reported = time.monotonic()
            self._log.say(text.strip())

    def end(self) -> None:
        """Clear the live line."""
        if self._marker:
            self._log.show("")


def format_elapsed(seconds: float) -> str:
    """Format a duration as minutes and seconds, such as ``03:07``."""
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"


def guess_package(text: str) -> str | None:
    """Guess from the end of a log which Debian package is missing; None when nothing points to one."""
    complaints = [line for line in text.splitlines() if _COMPLAINT.search(line)]
    for line in reversed(complaints):
        for pattern, package in _HINTS:
            if re.search(pattern, line, re.IGNORECASE):
                return package
    return None
