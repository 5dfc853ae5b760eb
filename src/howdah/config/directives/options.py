"""The global options but for ``frankenphp``, ``servers`` and ``log``."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field, replace

from howdah.config import units
from howdah.config.context import Context
from howdah.config.directives.worker import ReadWorker
from howdah.config.dispenser import Dispenser
from howdah.config.http import Admin, Log
from howdah.config.order import ALIASES, DIRECTIVE_ORDER, UNORDERED

_POSITIONS = ("first", "last", "before", "after")
_ADMIN_OPTIONS = ("origins", "enforce_origin", "token")


@dataclass(slots=True)
class Options:
    """What the global options say, as they are read; ``lines`` tells where those stand that depend on others."""

    runtime: dict[str, object] = field(default_factory=dict)
    php_ini: dict[str, str] = field(default_factory=dict)
    workers: list[ReadWorker] = field(default_factory=list)
    servers: dict[str, object] = field(default_factory=dict)
    admin: Admin = field(default_factory=Admin)
    logs: list[Log] = field(default_factory=list)
    order: list[str] = field(default_factory=lambda: list(DIRECTIVE_ORDER))
    max_body_size_bytes: int | None = None
    lines: dict[str, Dispenser] = field(default_factory=dict)


def parse_debug(line: Dispenser, context: Context, options: Options) -> None:
    """Logs more, and shows PHP's errors in the response.

    Syntax: ``debug``
    """
    options.runtime["debug"] = True


def parse_http_port(line: Dispenser, context: Context, options: Options) -> None:
    """Port of ``http://`` addresses and of redirects to HTTPS; 80 by itself.

    Syntax: ``http_port <port>``
    """
    options.servers["http_port"] = units.count(line, line.argument("a port"), least=1, most=65535)


def parse_https_port(line: Dispenser, context: Context, options: Options) -> None:
    """Port of addresses with a name; 443 by itself.

    Syntax: ``https_port <port>``
    """
    options.servers["https_port"] = units.count(line, line.argument("a port"), least=1, most=65535)


def parse_auto_https(line: Dispenser, context: Context, options: Options) -> None:
    """Whether names get TLS by themselves.

    Syntax: ``auto_https off|disable_redirects|disable_certs|ignore_loaded_certs``

    ``off``: only addresses with ``https://`` or a ``tls`` directive have TLS. ``disable_redirects``: nothing listens on
    the HTTP port to send clients to HTTPS. The other two are about certificates from an authority, which Howdah does
    not fetch yet.
    """
    while (word := line.next_arg()) is not None:
        if word.text in {"off", "disable_redirects"}:
            options.servers["auto_https"] = word.text
        elif word.text in {"disable_certs", "ignore_loaded_certs", "prefer_wildcard"}:
            context.warn(word, f"auto_https {word.text} changes nothing: certificates of authorities come later")
        else:
            raise line.unknown("value of auto_https", ("off", "disable_redirects"), word)


def parse_admin(line: Dispenser, context: Context, options: Options) -> None:
    """The admin API.

    Syntax::

        admin off|<address> {
            origins <origins...>
            enforce_origin
            token <token>
        }

    It listens on ``localhost:2019`` by itself. An address that others can reach needs a token, which clients send as
    ``Authorization: Bearer <token>``.
    """
    admin = options.admin
    word = line.next_arg()
    if word is not None and word.text == "off":
        options.admin = replace(admin, enabled=False)
        return
    if word is not None:
        if not word.text.startswith("unix/") and not re.fullmatch(r"[^/\s]*:\d{1,5}", word.text, re.ASCII):
            raise line.error(
                f"{word.text} is no address for the admin API; write localhost:2019, unix//run/howdah.sock or off", word
            )
        admin = replace(admin, listen=word.text)
    for option in line.next_block():
        if option.name == "origins":
            words = option.arguments(1, None, "origins <origins...>")
            admin = replace(admin, origins=(*admin.origins, *(one.text for one in words)))
        elif option.name == "enforce_origin":
            admin = replace(admin, enforce_origin=True)
        elif option.name == "token":
            admin = replace(admin, token=context.fixed(option, option.argument("a token")))
        else:
            raise option.unknown("option of admin", _ADMIN_OPTIONS)
    if word is not None and not admin.token and not _is_private(admin.listen):
        raise line.error(
            f"the admin API on {admin.listen} can be reached by others; write localhost:2019, or give it a token", word
        )
    options.admin = replace(admin, enabled=True)


def _is_private(listen: str) -> bool:
    """Tell whether only this machine reaches an address."""
    if listen.startswith("unix/"):
        return True
    host = listen.rpartition(":")[0].strip("[]")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_grace_period(line: Dispenser, context: Context, options: Options) -> None:
    """Time that running requests get to end when the server stops; 30s by itself.

    Syntax: ``grace_period <duration>``
    """
    options.runtime["grace_s"] = units.duration(line, line.argument("a duration"))


def parse_default_bind(line: Dispenser, context: Context, options: Options) -> None:
    """Interfaces on which sites listen that have no ``bind``; all by itself.

    Syntax: ``default_bind <hosts...>``
    """
    words = line.arguments(1, None, "default_bind <hosts...>")
    options.servers["default_bind"] = tuple(word.text for word in words)


def parse_local_certs(line: Dispenser, context: Context, options: Options) -> None:
    """All certificates come from the local authority, as with ``tls internal``.

    Syntax: ``local_certs``
    """
    options.servers["local_certs"] = True


def parse_skip_install_trust(line: Dispenser, context: Context, options: Options) -> None:
    """Does not ask the system to trust the local authority; Howdah never does by itself (``howdah trust`` tells how).

    Syntax: ``skip_install_trust``
    """
    options.servers["skip_install_trust"] = True


def parse_metrics(line: Dispenser, context: Context, options: Options) -> None:
    """Collects metrics of every request; without it only those of threads, queues and OPcache are there.

    Syntax: ``metrics``
    """
    for option in line.next_block():
        if option.name != "per_host":
            raise option.unknown("option of metrics", ("per_host",))
    options.servers["metrics"] = True


def parse_persist_config(line: Dispenser, context: Context, options: Options) -> None:
    """Accepted, because Howdah never writes its configuration anywhere.

    Syntax: ``persist_config off``
    """
    word = line.argument("the word off")
    if word.text != "off":
        raise line.error("persist_config can only be off", word)


def parse_order(line: Dispenser, context: Context, options: Options) -> None:
    """Changes the order in which directives act.

    Syntax: ``order <directive> first|last|before <directive>|after <directive>``
    """
    name = line.argument("a directive")
    position = line.argument("a position (first, last, before or after)")
    moved = ALIASES.get(name.text, name.text)
    if moved not in options.order and moved not in UNORDERED:
        raise line.unknown("directive that has an order,", options.order, name)
    if position.text not in _POSITIONS:
        raise line.unknown("position", _POSITIONS, position)
    if moved in UNORDERED:
        context.warn(name, f"the order of {moved} changes nothing, because it is not supported")
    order = [one for one in options.order if one != moved]
    if position.text in {"before", "after"}:
        other = line.argument("another directive")
        anchor = ALIASES.get(other.text, other.text)
        if anchor not in order:
            raise line.unknown("other directive that has an order,", order, other)
        order.insert(order.index(anchor) + (position.text == "after"), moved)
    else:
        order.insert(0 if position.text == "first" else len(order), moved)
    options.order = order


def parse_authority(line: Dispenser, context: Context, options: Options) -> None:
    """About certificates from an authority: accepted with a warning, because Howdah does not fetch them yet.

    Syntax: as with Caddy
    """
    line.take_rest()
    context.warn(
        line.token,
        f"{line.name} changes nothing: certificates of authorities come later; until then public names get a "
        "certificate of the local authority, unless `tls` names files",
    )
