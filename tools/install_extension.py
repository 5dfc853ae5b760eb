#!/usr/bin/env python3
"""Install Howdah editable, with the native extension built against one PHP.

The release flavour goes into .venv. The asan flavour gets an environment of its own under build/,
which sees the packages of .venv but not the release build. An installation that fits is left alone;
changes in native/ are rebuilt when the package is imported, so they need no new installation.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from howdah_source import PROJECT, SKIP_VARIABLE, skip_value

# A change in one of these can change what is installed, not only what is compiled.
_INPUTS = ("pyproject.toml", "meson.options")
_MESON_OPTIONS = {
    "release": ("-Dbuildtype=debugoptimized",),
    "asan": ("-Dbuildtype=debug", "-Doptimization=1", "-Db_sanitize=address,undefined"),
}


def fingerprint(php_config: Path) -> str:
    """Describe what the installation was made from; another text means that it has to be made again."""
    files = [PROJECT / name for name in _INPUTS] + [php_config]
    return "".join(f"{file} {file.stat().st_mtime_ns}\n" for file in files) + f"{sys.version}\n{PROJECT}\n"


def target_python(flavour: str) -> Path:
    """Give the interpreter that gets the installation; makes the environment of the asan flavour."""
    if flavour == "release":
        return Path(sys.executable)
    folder = PROJECT / "build" / f"{flavour}-venv"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=False)
        # A plain path line makes the packages of .venv importable; its own .pth files, and with
        # them the release build, are not read.
        site = Path(sysconfig.get_path("purelib"))
        (folder / site.relative_to(sys.prefix) / "packages.pth").write_text(f"{site}\n", encoding="utf-8")
    return python


def install(flavour: str, php_config: Path) -> int:
    """Run pip without build isolation: an isolated editable build loses its ninja, and with it the import."""
    build_dir = PROJECT / "build" / flavour
    options = [f"-Dphp_config={php_config}", *_MESON_OPTIONS[flavour]]
    command = [
        *(sys.executable, "-m", "pip", "--python", str(target_python(flavour))),
        *("install", "--quiet", "--no-build-isolation", "--no-deps", "--editable", str(PROJECT)),
        f"-Cbuild-dir={build_dir}",
        *(f"-Csetup-args={option}" for option in options),
    ]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environment = {**os.environ, "PATH": path, SKIP_VARIABLE: skip_value()}
    return subprocess.run(command, env=environment, check=False).returncode


def install_if_needed(flavour: str, php_config: Path) -> int:
    """Install unless the stamp says that nothing changed."""
    stamp = PROJECT / "build" / f"{flavour}.installed"
    wanted = fingerprint(php_config)
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return 0
    print(f"Building the extension ({flavour}) with {php_config}", flush=True)
    stamp.unlink(missing_ok=True)
    code = install(flavour, php_config)
    if code == 0:
        stamp.write_text(wanted, encoding="utf-8")
    return code


def main() -> int:
    """Install one flavour; the exit code is pip's."""
    parser = argparse.ArgumentParser(description="Build and install the native extension.")
    parser.add_argument("--flavour", choices=sorted(_MESON_OPTIONS), default="release")
    parser.add_argument("--php-config", type=Path, required=True)
    options = parser.parse_args()
    (PROJECT / "build").mkdir(exist_ok=True)
    with (PROJECT / "build" / f"{options.flavour}.lock").open("w", encoding="utf-8") as lock:
        # Two at once (`make serve` beside `make test`) would fight for the build folder.
        fcntl.flock(lock, fcntl.LOCK_EX)
        return install_if_needed(options.flavour, options.php_config)


if __name__ == "__main__":
    sys.exit(main())
