"""``howdah version``: what runs here, one fact per line."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata

from howdah._version import __version__
from howdah.cli.parser import Parser

# Asked of the command-line binary of the same build: it reads the same ini files, and takes 20 ms.
_QUESTION = (
    'echo PHP_VERSION, "\\n", PHP_ZTS ? "yes" : "no", "\\n", function_exists("opcache_get_status") ? phpversion('
    '"Zend OPcache") : "", "\\n", php_ini_loaded_file() ?: "", "\\n", str_replace("\\n", "", '
    'php_ini_scanned_files() ?: "");'
)
_PYTHON_PARTS = ("granian", "uvloop")


def run(arguments: list[str]) -> int:
    """Print the versions; gives the exit code.

    Raises:
        EngineVersionError: libphp or the extension is missing.
    """
    Parser(prog="howdah version", description="Print the versions of Howdah and of what it runs on.").parse(arguments)
    print(f"Howdah {__version__}", flush=True)
    for line in _php_lines():
        print(line)
    print(f"Python {platform.python_version()} ({platform.python_implementation()})")
    for name in _PYTHON_PARTS:
        print(f"{name} {metadata.version(name)}")
    return 0


def _php_lines() -> list[str]:
    from howdah.engine.native import native

    info = native.build_info()
    lines = [
        f"PHP {info['php_version']}{' (debug)' if info['debug'] else ''}",
        f"ZTS {'yes' if info['zts'] else 'no'}",
        f"max_execution_time per thread {'yes' if info['max_execution_timers'] else 'no'}",
    ]
    from howdah.cli.php_cli import find_binary

    answer = subprocess.run(
        [find_binary(), "-d", "display_errors=0", "-r", _QUESTION],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    parts = answer.stdout.split("\n")
    if answer.returncode != 0 or len(parts) < 5:
        lines.append(f"ini files: unknown ({(answer.stderr or answer.stdout).strip().splitlines()[:1]})")
        return lines
    _, _, opcache, loaded, scanned = parts[:5]
    lines.append(f"OPcache {opcache or 'not loaded'}")
    files = [name for name in (loaded, *scanned.split(",")) if name.strip()]
    lines.append(f"ini files: {', '.join(name.strip() for name in files) if files else 'none'}")
    return lines
