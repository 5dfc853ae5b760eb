"""Entry point of the command ``frankenphp``: Howdah under the name and with the arguments that FrankenPHP has.

Laravel Octane, for one, starts ``frankenphp run -c Caddyfile`` and reads a version from ``frankenphp build-info``.
Commands that both programs have are passed on to ``howdah``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from howdah._version import __version__
from howdah.cli.main import main as run_howdah
from howdah.cli.parser import suggest
from howdah.errors import ConfigError

# The version of FrankenPHP whose functions, configuration and admin API Howdah follows.
COMPATIBLE_VERSION = "1.12.6"

_PASSED_ON = {
    "run": "serve a Caddyfile",
    "php-server": "serve a folder",
    "php-cli": "run the command-line PHP of the same build",
    "stop": "stop the running server",
    "reload": "put a changed Caddyfile in force",
    "validate": "check a Caddyfile",
    "adapt": "print a Caddyfile as JSON",
    "fmt": "lay out a Caddyfile",
    "trust": "say how to trust the local certificate authority",
}
_REFUSED = {
    "start": "Howdah stays in the foreground: use `frankenphp run` under systemd or another supervisor",
    "extension-init": "PHP extensions in Go need FrankenPHP itself",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: without the program's name; None takes those of the process.

    Returns:
        Exit code, as `howdah.cli.main.main` has it.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    own: dict[str, Callable[[], str]] = {"build-info": _build_info, "version": _version, "help": _usage}
    aliases = {"-h": "help", "--help": "help", "-v": "version", "--version": "version"}
    command = aliases.get(words[0], words[0]) if words else "help"
    if command in own:
        sys.stdout.write(own[command]())
        return 0 if words else ConfigError.exit_code
    if command in _PASSED_ON:
        has_adapter = command in {"run", "reload", "validate", "adapt"}
        rest = _without_adapter(words[1:]) if has_adapter else words[1:]
        if rest is not None:
            return run_howdah([command, *rest])
        return _refuse("Howdah reads Caddyfiles only: leave --adapter out, or write --adapter caddyfile")
    if command in _REFUSED:
        return _refuse(_REFUSED[command])
    near = suggest(command, [*own, *_PASSED_ON])
    return _refuse(f"Howdah has no command {command}{near}\nTry `frankenphp --help`.")


def _without_adapter(words: Sequence[str]) -> list[str] | None:
    """Take ``--adapter caddyfile`` away, which is the only one that there is; None for another one."""
    kept = []
    waiting = iter(words)
    for word in waiting:
        flag, equals, value = word.partition("=")
        if flag in {"-a", "--adapter"}:
            if (value if equals else next(waiting, "")) != "caddyfile":
                return None
        else:
            kept.append(word)
    return kept


def _build_info() -> str:
    # The form is that of Go's `version -m`; Octane wants the version at the end of the line.
    return "\n".join(
        [
            "path\thowdah",
            f"mod\thowdah\tv{__version__}",
            f"dep\tgithub.com/dunglas/frankenphp\tv{COMPATIBLE_VERSION}",
            "",
        ]
    )


def _version() -> str:
    from howdah.cli.version import php_version

    return f"FrankenPHP v{COMPATIBLE_VERSION} (Howdah {__version__}) PHP {php_version()}\n"


def _usage() -> str:
    lines = [f"  {name:<12}{purpose}" for name, purpose in _PASSED_ON.items()]
    return "\n".join(
        [
            "usage: frankenphp COMMAND [ARGUMENTS]",
            "",
            f"Howdah {__version__} under the name of FrankenPHP, compatible with v{COMPATIBLE_VERSION}.",
            "",
            *lines,
            "  build-info  print the version for tools",
            "  version     print the versions",
            "",
            "`howdah --help` lists what Howdah has beside these.",
            "",
        ]
    )


def _refuse(message: str) -> int:
    sys.stderr.write(f"frankenphp: {message}\n")
    return ConfigError.exit_code
