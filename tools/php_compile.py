"""Compiles and installs PHP and its shared extensions from unpacked sources."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from build_log import BuildError, BuildLog
from debian_source import DebianSource, SourceError
from php_flavours import Flavour
from php_source import unpack

# libtool prints this once for every object that make compiles.
COMPILE_MARK = "--mode=compile"

# Debian's source package, and the lines of the ini file that enables the extension.
_DEBIAN_EXTENSIONS = {
    "apcu": ("php-apcu", "extension=apcu\n"),
    "redis": ("php-redis", "extension=redis\n"),
}


def usable_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0))


def compile_php(source: Path, prefix: Path, flavour: Flavour, log: BuildLog) -> None:
    """Configure, compile and install PHP.

    Args:
        source: unpacked source; is written to.
        prefix: final place of the installation.
        flavour: options and environment.
        log: takes output and progress.

    Raises:
        BuildError: a step failed.
    """
    environment = dict(flavour.environment)
    log.run(
        f"configuring PHP ({flavour.name})",
        ["./configure", "-q", *flavour.configure_arguments(prefix)],
        cwd=source,
        environment=environment,
    )
    log.run(
        "compiling PHP (some minutes)",
        ["make", f"-j{usable_cores()}"],
        cwd=source,
        environment=environment,
        counts=(COMPILE_MARK, count_objects(source, environment)),
    )
    log.run(f"installing to {prefix}", ["make", "install"], cwd=source, environment=environment)
    (prefix / "etc" / "conf.d").mkdir(parents=True, exist_ok=True)


def count_objects(source: Path, environment: Mapping[str, str]) -> int:
    """Ask make how many objects it is going to compile; 0 when it does not say."""
    answer = subprocess.run(
        ["make", "-n"], cwd=source, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    return answer.stdout.count(COMPILE_MARK)


def add_shared_extensions(prefix: Path, flavour: Flavour, work: Path, debian: DebianSource, log: BuildLog) -> None:
    """Build the flavour's shared extensions from Debian's sources and enable them in the installation.

    They are wanted but not needed: one that cannot be had is reported and left out.

    Args:
        prefix: installation of PHP.
        flavour: names the extensions.
        work: scratch folder.
        debian: Debian's archive.
        log: takes output and progress.
    """
    for name in flavour.shared_extensions:
        try:
            _add_extension(name, prefix, work / name, debian, log)
        except (SourceError, BuildError) as error:
            log.say(f"warning: PHP gets no {name}: {str(error).splitlines()[0]}")


def _add_extension(name: str, prefix: Path, work: Path, debian: DebianSource, log: BuildLog) -> None:
    package, ini = _DEBIAN_EXTENSIONS[name]
    source = unpack(debian.fetch(package, work), work / "source")
    log.run(f"adding the extension {name}", [prefix / "bin" / "phpize"], cwd=source)
    log.run(
        f"  configuring {name}",
        ["./configure", "-q", f"--with-php-config={prefix / 'bin' / 'php-config'}"],
        cwd=source,
        environment={"CFLAGS": "-O2 -g1"},
    )
    log.run(f"  compiling {name}", ["make", f"-j{usable_cores()}"], cwd=source)
    log.run(f"  installing {name}", ["make", "install"], cwd=source)
    log.run(f"  loading {name}", [prefix / "bin" / "php", "-n", "-d", f"extension={name}", "-r", "exit;"], cwd=source)
    (prefix / "etc" / "conf.d" / f"20-{name}.ini").write_text(ini, encoding="utf-8")
