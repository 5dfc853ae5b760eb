"""The global option ``servers``: limits, protocols and proxies of all listeners."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from howdah.config import matchers, units
from howdah.config.context import Context
from howdah.config.directives.options import Options
from howdah.config.dispenser import Dispenser

_PROTOCOLS = ("h1", "h2", "h2c", "h3")


def parse_servers(line: Dispenser, context: Context, options: Options) -> None:
    """Limits, protocols and proxies, the same for all listeners.

    Syntax::

        servers {
            protocols         h1|h2|h2c...
            timeouts {
                read_header   <duration>
                idle          <duration>
            }
            max_header_size   <size>
            trusted_proxies   [static] <networks...>
            client_ip_headers <fields...>
            metrics
        }

    By themselves: ``protocols h1 h2``, ``read_header 30s``, ``idle 5m``, ``max_header_size 64KiB``, nobody trusted,
    ``client_ip_headers X-Forwarded-For``. Without TLS, HTTP/2 (``h2c``) is spoken only if it is named.
    ``trusted_proxies`` may set REMOTE_ADDR, HTTPS and SERVER_PORT by ``X-Forwarded-*``; ``private_ranges`` stands for
    all private networks.
    """
    word = line.next_arg()
    if word is not None:
        raise line.error(f"servers {word.text} is not supported: the options are the same for all listeners", word)
    for option in line.next_block():
        read = _OPTIONS.get(option.name)
        if read is None:
            raise option.unknown("option of servers", _OPTIONS)
        read(option, context, options)


def _read_protocols(option: Dispenser, context: Context, options: Options) -> None:
    names: list[str] = []
    for word in option.arguments(1, None, "protocols h1 h2 h2c"):
        if word.text not in _PROTOCOLS:
            raise option.unknown("protocol", _PROTOCOLS[:3], word)
        if word.text == "h3":
            context.warn(word, "HTTP/3 comes later; clients use HTTP/2 meanwhile")
        elif word.text not in names:
            names.append(word.text)
    if not names:
        raise option.error("protocols needs one of h1, h2 and h2c")
    options.servers["protocols"] = tuple(names)


def _read_timeouts(option: Dispenser, context: Context, options: Options) -> None:
    for timeout in option.next_block():
        seconds = units.duration(timeout, timeout.argument("a duration"))
        if timeout.name == "read_header":
            options.servers["read_header_timeout_s"] = seconds
        elif timeout.name == "idle":
            options.servers["idle_timeout_s"] = seconds
        elif timeout.name == "read_body":
            context.warn(timeout.token, "read_body changes nothing; php_server has request_body_timeout")
        elif timeout.name == "write":
            context.warn(timeout.token, "write changes nothing: PHP never waits for a client")
        else:
            raise timeout.unknown("timeout", ("idle", "read_body", "read_header", "write"))


def _read_max_header_size(option: Dispenser, context: Context, options: Options) -> None:
    options.servers["max_header_size_bytes"] = units.size(option, option.argument("a size"))


def _read_trusted_proxies(option: Dispenser, context: Context, options: Options) -> None:
    word = option.peek_arg()
    if word is not None and word.text == "static":
        option.next_arg()
    networks: list[str] = []
    for one in option.arguments(1, None, "trusted_proxies [static] <networks...>"):
        networks += matchers.network(option, one)
    options.servers["trusted_proxies"] = tuple(networks)


def _read_client_ip_headers(option: Dispenser, context: Context, options: Options) -> None:
    words = option.arguments(1, None, "client_ip_headers X-Forwarded-For")
    options.servers["client_ip_headers"] = tuple(word.text for word in words)


def _read_full_duplex(option: Dispenser, context: Context, options: Options) -> None:
    context.warn(
        option.token, "enable_full_duplex changes nothing: a response may always begin before the request ends"
    )


def _read_metrics(option: Dispenser, context: Context, options: Options) -> None:
    options.servers["metrics"] = True


_OPTIONS: Mapping[str, Callable[[Dispenser, Context, Options], None]] = {
    "client_ip_headers": _read_client_ip_headers,
    "enable_full_duplex": _read_full_duplex,
    "max_header_size": _read_max_header_size,
    "metrics": _read_metrics,
    "protocols": _read_protocols,
    "timeouts": _read_timeouts,
    "trusted_proxies": _read_trusted_proxies,
}
