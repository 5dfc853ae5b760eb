"""``howdah php-cli``: become the command-line PHP of the build that the server embeds."""

from __future__ import annotations

import os
import sys

from howdah.errors import EngineVersionError


def run(arguments: list[str]) -> int:
    """Replace this process by PHP, so that arguments, standard input, signals and exit code are PHP's own.

    PHP reads the same php.ini and scan folder as the server (``PHPRC`` and ``PHP_INI_SCAN_DIR`` are inherited).

    Raises:
        EngineVersionError: the build is gone or has no command-line PHP.
    """
    binary = find_binary()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(binary, [binary, *arguments])  # noqa: S606 - no shell is wanted


def find_binary() -> str:
    """Give the path of the command-line PHP.

    Raises:
        EngineVersionError: the build is gone or has none.
    """
    try:
        from howdah._buildinfo import PHP_CONFIG, PHP_PREFIX
    except ImportError:
        raise EngineVersionError("Howdah is not built yet: run `make setup`.") from None
    usual = os.path.join(PHP_PREFIX, "bin", "php")  # noqa: PTH118
    if os.access(usual, os.X_OK):
        return usual
    # php-config knows better, but asking it takes a tenth of a second.
    from howdah.engine.phpconfig import read_php_build

    build = read_php_build(PHP_CONFIG)
    if build.binary is None:
        raise EngineVersionError(
            f"PHP {build.version} in {build.prefix} has no command-line binary: it was built with --disable-cli. "
            "Run `make setup` to build one that has it."
        )
    return str(build.binary)
