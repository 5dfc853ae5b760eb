"""``howdah version``: what runs here, one fact per line."""

from __future__ import annotations

import platform
from importlib import metadata

from howdah._version import __version__
from howdah.cli.parser import Parser

_SERVER_PARTS = ("granian", "uvloop")


def run(arguments: list[str]) -> int:
    """Print the versions; gives the exit code.

    PHP is started with one thread for a moment, because only a started PHP knows which ini files it has read
    and whether OPcache accepted them.

    Raises:
        EngineError: libphp or the extension is missing, or PHP does not start.
    """
    Parser(prog="howdah version", description="Print the versions of Howdah and of what it runs on.").parse(arguments)
    print(f"Howdah {__version__}")
    print(f"Python {platform.python_version()} ({platform.python_implementation()})")
    for name in _SERVER_PARTS:
        print(f"{name} {metadata.version(name)}", flush=True)
    for line in _php_lines():
        print(line)
    return 0


def php_version() -> str:
    """Give the version of the PHP that Howdah was built with, without starting it."""
    try:
        from howdah._buildinfo import PHP_VERSION
    except ImportError:
        return "not built yet"
    return PHP_VERSION


def _php_lines() -> list[str]:
    from howdah.engine.native import native
    from howdah.runtime.runtime import Runtime

    build = native.build_info()
    runtime = Runtime(num_threads=1)
    runtime.start()
    try:
        facts = native.facts()
    finally:
        runtime.stop(1.0)
    names = [facts["ini_file"] or "", *(facts["ini_scanned"] or "").replace("\n", "").split(",")]
    files = [name.strip() for name in names if name.strip()]
    return [
        f"PHP {build['php_version']}{' (debug build)' if build['debug'] else ''}",
        f"ZTS {'yes' if build['zts'] else 'no'}",
        f"OPcache {'on' if facts['opcache'] else 'off'}",
        f"max_execution_time {'per thread' if build['max_execution_timers'] else 'not supported by this build'}",
        f"ini files {', '.join(files) if files else 'none'}",
    ]
