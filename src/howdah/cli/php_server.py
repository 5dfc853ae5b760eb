"""``howdah php-server``: serve a folder over HTTP."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Literal

from howdah.cli.parser import Parser, value_of
from howdah.cli.units import parse_count, parse_duration, parse_size
from howdah.config.http import Admin, Encode, HttpServers, HttpSite, Log, Php, ServerModel, SiteAddress, Step
from howdah.config.model import RuntimeConfig, SiteConfig, WorkerConfig
from howdah.errors import ConfigError
from howdah.serve.address import Address, parse_address

DEFAULT_LISTEN = "127.0.0.1:8000"
# What `--watch` without a pattern watches.
DEFAULT_WATCH = "./**/*.{env,php,twig,yaml,yml}"

_DESCRIPTION = """\
Serve a folder: PHP scripts by PHP, everything else as static files. Paths that are no file go to index.php.
The first SIGINT or SIGTERM lets running requests end, the second ends at once.
"""


def run(arguments: list[str]) -> int:
    """Serve until a signal comes; gives the exit code."""
    model = make_model(make_parser().parse(arguments))
    from howdah.cli.run import serve
    from howdah.runtime.site import Site

    php = next(step.action for step in model.sites[0].steps if isinstance(step.action, Php))
    root = Site(php.site).root.decode(errors="backslashreplace")  # mistakes are told before PHP is loaded

    def announcement(label: str, lines: Sequence[str]) -> str:
        return f"{label} serving {root} at {' '.join(line.partition(' ')[0] for line in lines)}"

    return serve(model, None, announcement)


def make_parser() -> Parser:
    """Build the parser; its flags are named like the settings of every way to configure Howdah."""
    parser = Parser(prog="howdah php-server", description=_DESCRIPTION)
    _add_site(parser)
    _add_php(parser)
    _add_limits(parser)
    _add_workers(parser)
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
        "--max-threads",
        type=value_of(parse_max_threads),
        metavar="N",
        help="most PHP threads when requests wait, or auto for what memory allows (default: --num-threads)",
    )
    add(
        "--max-idle-time",
        type=value_of(parse_duration),
        default=runtime.max_idle_time_s,
        metavar="TIME",
        help="idle time after which a thread beyond --num-threads may go (default: 5s)",
    )
    add(
        "--php-ini",
        action="append",
        type=value_of(parse_ini_entry),
        default=[],
        metavar="NAME=VALUE",
        help="ini entry that wins over every php.ini; may be repeated",
    )


def _add_limits(parser: Parser) -> None:
    runtime = RuntimeConfig()
    add = parser.add_argument
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


def _add_workers(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "-w",
        "--worker",
        action="append",
        type=value_of(parse_worker),
        default=[],
        metavar="FILE[,NUM]",
        help="worker script and its number of threads (default: twice the usable cores); may be repeated",
    )
    add(
        "--watch",
        action="append",
        nargs="?",
        const=DEFAULT_WATCH,
        default=[],
        metavar="GLOB",
        help="restart the workers when a file changes that matches; may be repeated; without =GLOB: " + DEFAULT_WATCH,
    )


def _add_server(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "-d",
        "--domain",
        default="",
        metavar="NAME",
        help="serve this name with TLS, on port 443 and with redirects from port 80 unless --listen says otherwise",
    )
    add(
        "-l",
        "--listen",
        action="append",
        metavar="ADDR",
        help="address: HOST:PORT, :PORT for all interfaces, or unix//PATH; may be repeated "
        f"(default: {DEFAULT_LISTEN})",
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


def parse_max_threads(text: str) -> int | Literal["auto"]:
    """Read a number of threads or ``auto``.

    Raises:
        ConfigError: it is neither.
    """
    return "auto" if text == "auto" else parse_count(text)


def parse_worker(text: str) -> WorkerConfig:
    """Read ``FILE[,NUM]``.

    Raises:
        ConfigError: there is no file, or what follows the comma is no number.
    """
    file, comma, num = text.rpartition(",")
    if not comma:
        return WorkerConfig(text)
    try:
        return WorkerConfig(file, parse_count(num.strip()))
    except ConfigError as error:
        raise ConfigError(f"{text!r} is no worker: {error.message}; write it as worker.php or worker.php,4") from None


def make_model(options: argparse.Namespace) -> ServerModel:
    """Turn parsed flags into the model that a Caddyfile would give.

    Raises:
        ConfigError: a value is out of range, or flags contradict each other.
    """
    runtime = RuntimeConfig(
        num_threads=options.num_threads,
        max_threads=options.max_threads,
        max_idle_time_s=options.max_idle_time,
        max_requests=options.max_requests,
        request_timeout_s=options.request_timeout,
        max_wait_time_s=options.max_wait_time,
        max_queue=options.max_queue,
        grace_s=options.grace,
        php_ini=dict(options.php_ini),
        workers=_workers(options.worker, tuple(options.watch)),
        debug=options.debug,
    )
    addresses = [parse_address(text) for text in options.listen or ([] if options.domain else [DEFAULT_LISTEN])]
    steps = _steps(options)
    logs = (Log(),) if options.access_log else ()
    sites = [
        HttpSite((_site_address(address, options.domain),), steps, bind=_bind(address), logs=logs)
        for address in addresses
    ] or [HttpSite((SiteAddress(host=options.domain),), steps, logs=logs)]
    return ServerModel(runtime, tuple(sites), _servers(addresses, options.domain), Admin(enabled=False))


def _workers(workers: Sequence[WorkerConfig], watch: tuple[str, ...]) -> tuple[WorkerConfig, ...]:
    if watch and not workers:
        raise ConfigError("--watch restarts workers, and there is none: name one by --worker FILE", directive="watch")
    return tuple(WorkerConfig(worker.file, worker.num, watch=watch) for worker in workers)


def _steps(options: argparse.Namespace) -> tuple[Step, ...]:
    site = SiteConfig(
        root=options.root,
        symlinks=options.symlinks,
        request_buffering=not options.no_request_buffering,
        max_body_size_bytes=options.max_body_size,
    )
    php = Step(Php(site))
    return (php,) if options.no_compress else (Step(Encode()), php)


def _site_address(address: Address, domain: str) -> SiteAddress:
    if address.kind == "unix":
        return SiteAddress(unix=address.path)
    # A name gets TLS, as in a Caddyfile.
    return SiteAddress(host=domain, port=address.port) if domain else SiteAddress("http", port=address.port)


def _bind(address: Address) -> tuple[str, ...]:
    return (address.host,) if address.host else ()


def _servers(addresses: Sequence[Address], domain: str) -> HttpServers:
    if not domain:
        # The site is plain on whatever port; port 0 lets the system choose one.
        is_free = any(address.kind == "tcp" and address.port == 0 for address in addresses)
        return HttpServers(http_port=0 if is_free else 80, https_port=0, auto_https="off")
    return HttpServers(auto_https="disable_redirects" if addresses else "on")
