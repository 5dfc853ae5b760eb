"""What a PHP build offers, read from its php-config and headers, and whether it can be embedded.

Used by the build (before the extension exists) and at run time by the commands that need the PHP
binary. Standard library only; PHP is never loaded here.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from howdah.errors import EngineVersionError

MINIMUM_VERSION_ID = 80200
PHP_CONFIG_VARIABLE = "HOWDAH_PHP_CONFIG"

_CURE = f"Run `make setup` to build one that fits, or point {PHP_CONFIG_VARIABLE} at the php-config of another PHP."
_DEFINE = re.compile(r"^\s*#\s*define\s+(\w+)\s+(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PHPBuild:
    """An installed PHP that Howdah can embed.

    Args:
        php_config: absolute path of its php-config.
        prefix: installation folder.
        version: such as ``8.2.32``.
        version_id: such as ``80232``.
        library: absolute path of libphp.
        binary: absolute path of the command-line PHP, None when the build has none.
        include_dir: folder that holds ``main/php.h``.
        extension_dir: folder of shared extensions.
        is_debug: built with ``--enable-debug``.
        has_timers: ``max_execution_time`` works per thread (``--enable-zend-max-execution-timers``).
    """

    php_config: Path
    prefix: Path
    version: str
    version_id: int
    library: Path
    binary: Path | None
    include_dir: Path
    extension_dir: Path
    is_debug: bool
    has_timers: bool


def read_php_build(php_config: str | Path) -> PHPBuild:
    """Read the facts of a PHP build and check that it can be embedded.

    Runs php-config and reads header files; blocks for some milliseconds.

    Args:
        php_config: path of the php-config script, or its name if it is on ``PATH``.

    Raises:
        EngineVersionError: the build is missing, older than 8.2, not ZTS, without libphp, or uses
            zend-signals; the message is one sentence that says which, and one with the cure.
    """
    found = shutil.which(str(php_config))
    if found is None:
        raise EngineVersionError(f"There is no executable php-config at {php_config}. {_CURE}")
    script = Path(found).resolve()
    values = {
        name: _ask(script, f"--{name}")
        for name in ("prefix", "version", "vernum", "include-dir", "extension-dir", "ldflags", "php-binary")
    }
    if not values["vernum"].isdigit() or not values["version"]:
        raise EngineVersionError(f"{script} does not answer like a php-config. {_CURE}")
    version_id = int(values["vernum"])
    label = f"PHP {values['version']} ({script})"
    if version_id < MINIMUM_VERSION_ID:
        raise EngineVersionError(f"{label} is too old: Howdah needs 8.2 or newer. {_CURE}")
    include_dir = Path(values["include-dir"])
    defines = read_defines(include_dir, label)
    _check_defines(defines, label)
    binary = Path(values["php-binary"])
    return PHPBuild(
        php_config=script,
        prefix=Path(values["prefix"]),
        version=values["version"],
        version_id=version_id,
        library=find_library(Path(values["prefix"]), values["ldflags"], label),
        binary=binary if values["php-binary"] not in {"", "NONE"} and binary.is_file() else None,
        include_dir=include_dir,
        extension_dir=Path(values["extension-dir"]),
        is_debug=defines.get("ZEND_DEBUG") == 1,
        has_timers=defines.get("ZEND_MAX_EXECUTION_TIMERS") == 1,
    )


def read_defines(include_dir: Path, label: str) -> dict[str, int]:
    """Read the numeric ``#define`` lines of ``main/php_config.h``.

    Args:
        include_dir: folder of PHP's headers.
        label: how messages name this PHP.

    Raises:
        EngineVersionError: the header is missing, so this PHP has no development files.
    """
    header = include_dir / "main" / "php_config.h"
    try:
        text = header.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise EngineVersionError(f"{label} has no development headers: {header} cannot be read. {_CURE}") from error
    return {name: int(value) for name, value in _DEFINE.findall(text)}


def find_library(prefix: Path, ldflags: str, label: str) -> Path:
    """Find libphp: PHP's own install step puts it in ``lib`` or in ``lib/php``, and php-config does not say where.

    Args:
        prefix: installation folder.
        ldflags: what ``php-config --ldflags`` prints; its ``-L`` folders are searched too.
        label: how messages name this PHP.

    Raises:
        EngineVersionError: there is none, so this PHP was built without the embed SAPI.
    """
    folders = [prefix / "lib", prefix / "lib" / "php", prefix / "lib64", prefix / "lib64" / "php"]
    folders += [Path(flag[2:]) for flag in ldflags.split() if flag.startswith("-L")]
    for folder in folders:
        for name in ("libphp.so", "libphp.dylib"):
            if (folder / name).is_file():
                return folder / name
    raise EngineVersionError(f"{label} has no libphp: it was built without --enable-embed. {_CURE}")


def _check_defines(defines: dict[str, int], label: str) -> None:
    if defines.get("ZTS") != 1:
        raise EngineVersionError(f"{label} is not thread-safe (NTS): Howdah needs a build with --enable-zts. {_CURE}")
    # Such a build installs process-wide handlers for HUP, INT, QUIT, USR1, USR2 and TERM at each
    # request, and corrupts TSRM when its start-up is skipped.
    if defines.get("ZEND_SIGNALS") == 1:
        raise EngineVersionError(
            f"{label} was built with zend-signals, which would take over the server's signals: "
            f"Howdah needs a build with --disable-zend-signals. {_CURE}"
        )


def _ask(script: Path, option: str) -> str:
    """Run php-config with one option; an option that it does not know gives an empty answer."""
    try:
        answer = subprocess.run([script, option], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineVersionError(f"{script} cannot be run: {error}. {_CURE}") from error
    return answer.stdout.strip() if answer.returncode == 0 else ""
