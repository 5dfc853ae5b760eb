#!/usr/bin/env python3
"""Debian packages that building PHP and Howdah needs: which are missing, and their installation.

As a script: install what is missing when run as root, else print the line to run and end with 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

BUILD_PACKAGES = (
    "build-essential",
    "pkg-config",
    "autoconf",
    "bison",
    "re2c",
    "patchelf",
    "dpkg-dev",
    "libtool",
    "libxml2-dev",
    "libsqlite3-dev",
    "libssl-dev",
    "libcurl4-openssl-dev",
    "libonig-dev",
    "libicu-dev",
    "libpng-dev",
    "libjpeg62-turbo-dev",
    "libwebp-dev",
    "libfreetype-dev",
    "libzip-dev",
    "zlib1g-dev",
    "libsodium-dev",
    "libpq-dev",
    "libreadline-dev",
    "libargon2-dev",
)


def python_packages() -> tuple[str, ...]:
    """Packages that the running Python lacks for a virtual environment and for building extensions."""
    packages = []
    try:
        import ensurepip  # noqa: F401 - Debian splits it off into python3-venv
    except ImportError:
        packages.append("python3-venv")
    import sysconfig

    if not os.path.isfile(os.path.join(sysconfig.get_path("include"), "Python.h")):  # noqa: PTH113, PTH118
        packages.append("python3-dev")
    return tuple(packages)


def find_missing(packages: Sequence[str]) -> list[str]:
    """List the packages that are not installed, in the given order; empty where dpkg does not rule."""
    if shutil.which("dpkg-query") is None:
        return []
    answer = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *packages],
        capture_output=True,
        text=True,
        check=False,
    )
    installed = {line.split()[0] for line in answer.stdout.splitlines() if line.split()[1:2] == ["installed"]}
    return [package for package in packages if package not in installed]


def install_line(packages: Sequence[str]) -> str:
    """Build the command that a user copies."""
    return f"apt-get install --no-install-recommends -y {' '.join(packages)}"


def install(packages: Sequence[str]) -> int:
    """Install packages as root; the package lists are refreshed first, because a bare machine has none.

    Returns:
        Exit code: 0 when all are there afterwards.
    """
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-q"], env=environment, check=False)
    return subprocess.run(install_line(packages).split(), env=environment, check=False).returncode


def main() -> int:
    """Make sure that all packages are installed."""
    missing = find_missing([*BUILD_PACKAGES, *python_packages()])
    if not missing:
        return 0
    if os.geteuid() != 0:
        print(
            "These Debian packages are missing. Run as root, then repeat the command:\n\n"
            f"  apt-get update && {install_line(missing)}\n",
            file=sys.stderr,
        )
        return 1
    print(f"Installing {len(missing)} Debian packages: {' '.join(missing)}", flush=True)
    if install(missing) == 0:
        return 0
    print(f"apt-get failed. Mend what it says, then run: {install_line(missing)}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
