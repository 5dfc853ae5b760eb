"""``howdah php-server``: serve a folder over HTTP."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from howdah._version import __version__
from howdah.cli.parser import Parser, value_of
from howdah.cli.units import parse_count, parse_duration, parse_size
from howdah.config.model import Config, RuntimeConfig, ServerConfig, SiteConfig
from howdah.errors import ConfigError

if TYPE_CHECKING:
    from howdah.runtime.runtime import Runtime

_DESCRIPTION = """\
Serve a folder: PHP scripts by PHP, everything else as static files. Paths that are no file go to index.php.
The first SIGINT or SIGTERM lets running requests end, the second ends at once.
"""


def run(arguments: list[str]) -> int:
    """Serve until a signal comes; gives the exit code."""
    options = make_parser().parse(arguments)
    config = make_config(options)
    from howdah.cli.logs import configure_logging

    configure_logging(debug=options.debug, access_log=options.access_log)
    return _serve(config)


def make_parser() -> Parser:
    """Build the parser; its flags are named like the settings of every way to configure Howdah."""
    parser = Parser(prog="howdah php-server", description=_DESCRIPTION)
    _add_site(parser)
    _add_php(parser)
    _add_server(parser)
    return parser


def _add_site(parser: Parser) -> None:
    site = SiteConfig()
    add = parser.add_argument
    add("-r", "--root", default=site.root, metavar="DIR", help="document root (default: the current folder)")
    add(
        "--symlinks",
        choices=("follow", "inside"),
        default=site.symlinks,
        help="follow links anywhere, or only inside the document root (default: %(default)s)",
    )
    add(
        "--max-body-size",
        type=value_of(parse_size),
        default=site.max_body_size_bytes,
        metavar="SIZE",
        help="larger request bodies get 413; 0 is no limit (default: 1GiB)",
    )
    add(
        "--no-request-buffering",
        action="store_true",
        help="run scripts before their request's body has arrived (slow clients then hold a PHP thread)",
    )


def _add_php(parser: Parser) -> None:
    runtime = RuntimeConfig()
    add = parser.add_argument
    add("--num-threads", type=value_of(parse_count), metavar="N", help="PHP threads (default: twice the usable cores)")
    add(
        "--max-requests",
        type=value_of(parse_count),
        default=runtime.max_requests,
        metavar="N",
        help="requests after which a PHP thread is replaced by a fresh one; 0 never (default: 0)",
    )
    add(
        "--request-timeout",
        type=value_of(parse_duration),
        default=runtime.request_timeout_s,
        metavar="TIME",
        help="longest time a script may run, by the clock on the wall; 0 is no limit (default: 0)",
    )
    add(
        "--max-wait-time",
        type=value_of(parse_duration),
        default=runtime.max_wait_time_s,
        metavar="TIME",
        help="longest wait for a PHP thread before 503; 0 waits for ever (default: 30s)",
    )
    add(
        "--max-queue",
        type=value_of(parse_count),
        default=runtime.max_queue,
        metavar="N",
        help="requests that may wait for a thread; one more gets 503 (default: %(default)s)",
    )
    add(
        "--php-ini",
        action="append",
        type=value_of(parse_ini_entry),
        default=[],
        metavar="NAME=VALUE",
        help="ini entry that wins over every php.ini; may be repeated",
    )


def _add_server(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "-l",
        "--listen",
        action="append",
        metavar="ADDR",
        help="address: HOST:PORT, :PORT for all interfaces, or unix//PATH; may be repeated "
        f"(default: {ServerConfig().listen[0]})",
    )
    add(
        "--grace",
        type=value_of(parse_duration),
        default=RuntimeConfig().grace_s,
        metavar="TIME",
        help="time for running requests when the server stops (default: 30s)",
    )
    add("--no-compress", action="store_true", help="do not encode responses with zstd, br or gzip")
    add("-a", "--access-log", action="store_true", help="write a line per request to standard error")
    add("-v", "--debug", action="store_true", help="log more, and let PHP show errors in pages")


def parse_ini_entry(text: str) -> tuple[str, str]:
    """Read ``NAME=VALUE``.

    Raises:
        ConfigError: there is no equals sign.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ConfigError(f"{text!r} is no ini entry; write it as memory_limit=256M")
    return name.strip(), value.strip()


def make_config(options: argparse.Namespace) -> Config:
    """Turn parsed flags into the configuration.

    Raises:
        ConfigError: a value is out of range.
    """
    runtime = RuntimeConfig(
        num_threads=options.num_threads,
        max_requests=options.max_requests,
        request_timeout_s=options.request_timeout,
        max_wait_time_s=options.max_wait_time,
        max_queue=options.max_queue,
        grace_s=options.grace,
        php_ini=dict(options.php_ini),
        debug=options.debug,
    )
    site = SiteConfig(
        root=options.root,
        symlinks=options.symlinks,
        request_buffering=not options.no_request_buffering,
        max_body_size_bytes=options.max_body_size,
    )
    server = ServerConfig(
        listen=tuple(options.listen or ServerConfig().listen),
        access_log=options.access_log,
        compress=not options.no_compress,
    )
    return Config(runtime=runtime, sites=(site,), server=server)


def _serve(config: Config) -> int:
    from howdah.runtime.site import Site
    from howdah.serve.address import parse_address

    root = Site(config.sites[0]).root.decode(errors="backslashreplace")  # mistakes are told before PHP is loaded
    for text in config.server.listen:
        parse_address(text)
    from howdah.runtime.runtime import Runtime
    from howdah.serve.life import ServerProcess

    runtime = Runtime(config.runtime)

    def announce(urls: Sequence[str]) -> None:
        text = f"Howdah {__version__} ({_php_label()}) serving {root} at {' '.join(urls)}"
        try:
            print(text, flush=True)
        except OSError:  # a closed pipe is no reason to serve nobody
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - stays open to the end

    process = ServerProcess(
        config.server, runtime, lambda: make_application(config, runtime), config.runtime.grace_s, announce
    )
    return process.run()


def make_application(config: Config, runtime: Runtime) -> Any:
    """Build the ASGI application of a configuration, around PHP that may not run yet."""
    from howdah.web.asgi import PHPServer

    app: Any = PHPServer(runtime=runtime, **_fields(config.sites[0]))
    if config.server.compress:
        from howdah.web.compress import Compress

        app = Compress(app)
    if config.server.access_log:
        from howdah.web.accesslog import AccessLog

        app = AccessLog(app)
    return app


def _fields(site: SiteConfig) -> dict[str, Any]:
    return {field.name: getattr(site, field.name) for field in dataclasses.fields(site)}


def _php_label() -> str:
    from howdah.engine.native import native

    build = native.build_info()
    opcache = "on" if native.facts()["opcache"] else "off"
    return f"PHP {build['php_version']}, {'ZTS' if build['zts'] else 'NTS'}, OPcache {opcache}"
