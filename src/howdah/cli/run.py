"""``howdah run``: serve what a configuration file says."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from howdah._version import __version__
from howdah.cli.parser import Parser
from howdah.config.adapt import DEFAULT_NAME, STANDARD_INPUT, load_config, load_default, parse_config
from howdah.config.http import ServerModel
from howdah.config.lexer import decode
from howdah.errors import ConfigError

_DESCRIPTION = """\
Serve the sites of a Caddyfile. SIGHUP and `howdah reload` put a changed file in force without losing a request;
the first SIGINT or SIGTERM lets running requests end, the second ends at once.
"""
_DEFAULT_FILE = "Caddyfile"
_DASH = "-"


def run(arguments: list[str]) -> int:
    """Serve until a signal comes; gives the exit code.

    Raises:
        HowdahError: the configuration is wrong, or the server does not start.
    """
    parser = Parser(prog="howdah run", description=_DESCRIPTION)
    add_config(parser)
    options = parser.parse(arguments)
    reread = config_reader(options.config)
    model = reread()
    is_default = options.config is None and not Path(_DEFAULT_FILE).exists()
    try:
        return serve(model, None if options.config == _DASH else reread, _lines)
    except ConfigError as error:
        if not is_default or error.file != DEFAULT_NAME:
            raise
        # Whoever has no Caddyfile knows nothing of lines in the one that stands in for it.
        raise ConfigError(
            f"there is no {_DEFAULT_FILE} here; name one with -c, or mend what is served without one: {error.message}"
        ) from None


def add_config(parser: Parser) -> None:
    """Add the flags that name the configuration."""
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        help="a Caddyfile, a .json file that `howdah adapt` made, or - for a Caddyfile on standard input (default: "
        "./Caddyfile; where there is none, the folder public/ as environment variables say)",
    )
    parser.add_argument("-a", "--adapter", choices=("caddyfile",), help="accepted for Caddy's sake")


def config_reader(file: str | None) -> Callable[[], ServerModel]:
    """Give the function that reads the configuration, now and at each reload.

    Args:
        file: as given by the user; None means the usual one.
    """
    if file == _DASH:
        return lambda: parse_config(decode(sys.stdin.buffer.read(), STANDARD_INPUT), STANDARD_INPUT, os.environ)
    if file is not None:
        return lambda: _load(file)
    # Looked for each time: the file may come later.
    return lambda: _load(_DEFAULT_FILE) if Path(_DEFAULT_FILE).exists() else load_default(os.environ)


def _load(file: str) -> ServerModel:
    if not Path(file).exists():
        raise ConfigError("there is no such file; name it with -c, or - for standard input", file=file)
    return load_config(file, os.environ)


def serve(
    model: ServerModel,
    reread: Callable[[], ServerModel] | None,
    announcement: Callable[[str, Sequence[str]], str],
) -> int:
    """Serve a model until a signal comes; gives the exit code.

    Args:
        model: what to serve.
        reread: gives it anew when SIGHUP asks for a reload; None where nothing can have changed.
        announcement: gives the text to print from a label of what serves, and a line for each listener.

    Raises:
        HowdahError: the server does not start.
    """
    from howdah.cli.collector import rare_collections
    from howdah.cli.notify import take_notifier
    from howdah.cli.temporary import temporary_folder

    temporary_folder()  # so that its absence is a sentence
    from howdah.observe.logs import Logs
    from howdah.runtime.runtime import Runtime
    from howdah.serve.server import Server

    tell_systemd = take_notifier(os.environ)

    def announce(lines: Sequence[str]) -> None:
        try:
            print(announcement(f"Howdah {__version__} ({_php_label()})", lines), flush=True)
        except OSError:  # a closed pipe is no reason to serve nobody
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - stays open to the end
        tell_systemd()

    logs = Logs()
    try:
        logs.configure(model.logs, debug=model.runtime.debug)
        with rare_collections():
            return Server(model, Runtime(model.runtime), logs, reread, announce).run()
    finally:
        logs.close()


def _lines(label: str, lines: Sequence[str]) -> str:
    return "\n".join([f"{label} serving", *(f"  {line}" for line in lines)])


def _php_label() -> str:
    from howdah.engine.native import native

    build = native.build_info()
    opcache = "on" if native.facts()["opcache"] else "off"
    return f"PHP {build['php_version']}, {'ZTS' if build['zts'] else 'NTS'}, OPcache {opcache}"
