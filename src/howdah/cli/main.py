"""Entry point of the command ``howdah``: finds the subcommand and turns errors into sentences."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from howdah.errors import ConfigError, HowdahError

_COMMANDS = {
    "run": ("howdah.cli.run", "serve the sites of a Caddyfile"),
    "php-server": ("howdah.cli.php_server", "serve a folder of PHP scripts and files over HTTP"),
    "php-cli": ("howdah.cli.php_cli", "run the command-line PHP of the same build"),
    "reload": ("howdah.cli.control:run_reload", "put a changed Caddyfile in force in the running server"),
    "stop": ("howdah.cli.control:run_stop", "let the running server end"),
    "trust": ("howdah.cli.control:run_trust", "say how to trust the certificates of `tls internal`"),
    "threads": ("howdah.cli.threads", "show what every PHP thread of a running server does"),
    "restart-workers": ("howdah.cli.restart_workers", "let the worker scripts of a running server boot again"),
    "doctor": ("howdah.cli.doctor", "look at PHP, the machine and a configuration, and say what to do"),
    "fmt": ("howdah.cli.config_cmds:run_fmt", "lay out a Caddyfile"),
    "validate": ("howdah.cli.config_cmds:run_validate", "say what is wrong with a Caddyfile"),
    "adapt": ("howdah.cli.config_cmds:run_adapt", "print what a Caddyfile means, as JSON"),
    "version": ("howdah.cli.version", "print the versions of Howdah, PHP and what serves it"),
}
# Relative paths count from the current folder, and these read or serve some.
_NEED_FOLDER = frozenset({"run", "php-server", "doctor", "validate"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: without the program's name; None takes those of the process.

    Returns:
        Exit code: 0, 1 for a failure, 2 for a mistake in usage or configuration, 130 after an interrupt.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(words)
    except HowdahError as error:
        _complain(f"howdah: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(words: list[str]) -> int:
    if not words:
        sys.stderr.write(_usage())
        return ConfigError.exit_code
    command, *rest = words
    if command in {"-h", "--help", "help"}:
        sys.stdout.write(_usage())
        return 0
    if command in {"-V", "--version"}:
        command = "version"
    if command not in _COMMANDS:
        from howdah.cli.parser import suggest

        raise ConfigError(f"there is no command {command}{suggest(command, list(_COMMANDS))}\nTry `howdah --help`.")
    if command in _NEED_FOLDER:
        _check_folder()
    module, _, function = _COMMANDS[command][0].partition(":")
    run: Callable[[list[str]], int] = getattr(import_module(module), function or "run")
    return run(rest)


def _check_folder() -> None:
    """Refuse to work in a folder that has been removed, as that of an old release is."""
    try:
        os.getcwd()  # noqa: PTH109 - asked for its error
    except FileNotFoundError:
        raise HowdahError("the current folder does not exist any more; change to another one") from None


def _usage() -> str:
    lines = [f"  {name:<17}{purpose}" for name, (_, purpose) in _COMMANDS.items()]
    return "\n".join(
        [
            "usage: howdah COMMAND [ARGUMENTS]",
            "",
            "Howdah serves PHP from one Python process.",
            "",
            *lines,
            "",
            "`howdah COMMAND --help` tells more.",
            "",
        ]
    )


def _complain(text: str) -> None:
    sys.stdout.flush()
    sys.stderr.write(f"{text}\n")
