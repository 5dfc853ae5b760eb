"""Run commands and small programs to their end."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from tests.php.harness.server import HOWDAH, REPOSITORY, clean_environment


@lru_cache(maxsize=1)
def php_binary() -> str:
    """Give the command line binary of the PHP that the extension is linked with."""
    from howdah import _buildinfo

    return os.fspath(Path(_buildinfo.PHP_CONFIG).with_name("php"))


def howdah(*arguments: str, timeout_s: float = 20.0, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the howdah command to its end."""
    env: Mapping[str, str] | None = options.pop("env", None)
    return subprocess.run(
        [*HOWDAH, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env=clean_environment(env),
        stdin=options.pop("stdin", subprocess.DEVNULL if "input" not in options else None),
        **options,
    )


def python(
    source: str, *, timeout_s: float = 20.0, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a small program in a fresh interpreter, in the folder of test scripts."""
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(source)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env=clean_environment(env),
        cwd=REPOSITORY / "tests" / "scripts",
        stdin=subprocess.DEVNULL,
    )
