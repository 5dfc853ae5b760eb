#!/usr/bin/env python3
"""Create the virtual environment and install all that working on Howdah needs, except Howdah itself.

What to install stands in pyproject.toml: the run-time dependencies and the dependency groups.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
import venv
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def requirements(pyproject: dict[str, object]) -> list[str]:
    """Collect run-time dependencies and all dependency groups."""
    project = pyproject["project"]
    groups = pyproject["dependency-groups"]
    assert isinstance(project, dict)  # noqa: S101 - the file is ours
    assert isinstance(groups, dict)  # noqa: S101
    return [*project["dependencies"], *(name for group in groups.values() for name in group)]


def main() -> int:
    """Create or update the environment named by the first argument; the marker file in it means complete."""
    folder = Path(sys.argv[1])
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"Creating {folder}", flush=True)
        venv.create(folder, with_pip=True)
    wanted = requirements(tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8")))
    print(f"Installing {len(wanted)} Python packages and what they need", flush=True)
    code = subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=False).returncode
    if code == 0:
        (folder / ".complete").touch()
    return code


if __name__ == "__main__":
    sys.exit(main())
