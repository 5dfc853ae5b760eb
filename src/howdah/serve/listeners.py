"""Which sockets a configuration needs, and what each of them serves: pure, opens nothing.

The rules are Caddy's: a name gets TLS unless its scheme or port says HTTP, each address is one listener that all
its sites share, and what has TLS gets a redirect on the HTTP port.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from howdah.config.http import HttpServers, HttpSite, ServerModel, SiteAddress, Tls
from howdah.errors import ConfigError
from howdah.serve.address import Address, parse_address

_ALL_INTERFACES = frozenset({"", "0.0.0.0", "::"})
_INTERNAL_SUFFIXES = (".localhost", ".local", ".internal", ".home.arpa")
_VERSIONS = ("tls1.2", "tls1.3")
_DEFAULT_HTTPS_PORT = 443


@dataclass(frozen=True, slots=True)
class Binding:
    """A site at a listener. Empty host: any; empty path: all of them."""

    site: HttpSite
    address: SiteAddress

    @property
    def host(self) -> str:
        """The name by which the site is chosen, in lower case."""
        return self.address.host.lower()

    @property
    def path(self) -> str:
        """The prefix that the site is limited to."""
        return self.address.path


@dataclass(frozen=True, slots=True)
class Redirect:
    """A name whose plain requests go to HTTPS. Empty host: any; port 0: HTTPS's own, which clients need not name."""

    host: str
    port: int = 0


@dataclass(frozen=True, slots=True)
class TlsPlan:
    """What a listener's certificate must do.

    Args:
        names: that clients may ask for; none for a listener whose sites take any name.
        pairs: certificate and key files that sites name, each with the first site that does.
        internal: sites that want, or fall back to, a certificate of the local authority.
        client_ca: file of the authority whose certificates clients must have; empty asks for none.
        min_version: oldest version of the protocol.
    """

    names: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    named_by: tuple[HttpSite, ...] = ()
    internal: tuple[HttpSite, ...] = ()
    client_ca: str = ""
    min_version: str = "tls1.2"


@dataclass(frozen=True, slots=True)
class ListenerPlan:
    """One socket: where it listens, whether it has TLS, and the sites and redirects that it serves."""

    address: Address
    tls: TlsPlan | None = None
    bindings: tuple[Binding, ...] = ()
    redirects: tuple[Redirect, ...] = ()


@dataclass(slots=True)
class _Draft:
    """A listener while sites are added to it."""

    tls: bool
    bindings: list[Binding] = field(default_factory=list)
    redirects: list[Redirect] = field(default_factory=list)


def plan(model: ServerModel) -> list[ListenerPlan]:
    """Give the listeners of a configuration, in the order of their first sites; redirects come last.

    Raises:
        ConfigError: two sites contradict each other, or an address cannot be.
    """
    drafts: dict[Address, _Draft] = {}
    for site in model.sites:
        for written in site.addresses:
            is_tls = has_tls(written, site, model.servers)
            for address in socket_addresses(written, site, model.servers):
                _add(drafts, address, Binding(site, written), is_tls=is_tls)
    if model.servers.auto_https == "on":
        _add_redirects(drafts, model.servers)
    _refuse_overlaps(drafts)
    return [
        ListenerPlan(
            address,
            _tls_plan(draft.bindings) if draft.tls else None,
            tuple(draft.bindings),
            tuple(draft.redirects),
        )
        for address, draft in drafts.items()
    ]


def warnings(model: ServerModel) -> list[str]:
    """Give sentences about what works otherwise than its author may expect."""
    found = []
    for site in model.sites:
        names = [address.host for address in site.addresses if has_tls(address, site, model.servers)]
        public = sorted({name for name in names if is_public(name)})
        if public and not _has_files(site.tls) and not (site.tls and site.tls.internal):
            found.append(
                f"{_at(site)}certificates from a public authority are not supported yet: {', '.join(public)} gets one "
                "of the local authority, which browsers trust after `howdah trust`; name files by `tls CERT KEY`"
            )
        plain = sorted({address.host for address in site.addresses if _lost_its_tls(address, site, model.servers)})
        if plain:
            found.append(
                f"{_at(site)}{', '.join(plain)} is served without TLS on port {model.servers.https_port}, because "
                "auto_https is off and the site has no `tls`; write http:// before the name if that is meant"
            )
    return found


def has_tls(address: SiteAddress, site: HttpSite, servers: HttpServers) -> bool:
    """Tell whether a site is served over TLS at one of its addresses.

    Raises:
        ConfigError: scheme and port contradict each other.
    """
    if not address.unix:
        other = {"http": servers.https_port, "https": servers.http_port}.get(address.scheme)
        if address.port and address.port == other:
            kind = "HTTPS" if address.scheme == "http" else "HTTP"
            raise _error(
                f"{shown(address)}: {address.scheme}:// does not go with port {address.port}, which is the {kind} "
                "port; take another port or scheme",
                site,
            )
    if address.scheme:
        return address.scheme == "https"
    if address.unix:
        return site.tls is not None
    port = address.port or servers.https_port
    if port == servers.http_port:
        return False
    if site.tls is not None:
        return True
    return servers.auto_https != "off" and (bool(address.host) or port == servers.https_port)


def socket_addresses(address: SiteAddress, site: HttpSite, servers: HttpServers) -> Iterator[Address]:
    """Give the listening addresses of one address of a site: one for each word of ``bind``.

    Raises:
        ConfigError: a word of ``bind`` is no address.
    """
    if address.unix:
        yield Address("unix", path=address.unix)
        return
    port = address.port or (servers.http_port if address.scheme == "http" else servers.https_port)
    for word in site.bind or servers.default_bind or ("",):
        yield _bound(word, port, site)


def is_public(name: str) -> bool:
    """Tell whether a name could have a certificate of a public authority."""
    if not name or "." not in name.strip("."):
        return False
    lower = name.lower().rstrip(".")
    return not _is_ip(lower) and not lower.endswith(_INTERNAL_SUFFIXES)


def shown(address: SiteAddress) -> str:
    """Give an address of a site as its author would write it."""
    if address.unix:
        return f"unix/{address.unix}"
    scheme = f"{address.scheme}://" if address.scheme else ""
    host = f"[{address.host}]" if ":" in address.host else address.host
    port = f":{address.port}" if address.port else ""
    return f"{scheme}{host}{port}{address.path}" or ":"


def _bound(word: str, port: int, site: HttpSite) -> Address:
    word = word.removeprefix("tcp/")
    try:
        if word.startswith("unix/"):
            return parse_address(word)
        host = word.removeprefix("[").removesuffix("]")
        return parse_address(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except ConfigError as error:
        raise _error(f"bind {word}: {error.message}", site) from None


def _add(drafts: dict[Address, _Draft], address: Address, binding: Binding, *, is_tls: bool) -> None:
    draft = drafts.setdefault(address, _Draft(is_tls))
    if draft.tls != is_tls:
        first = draft.bindings[0]
        raise _error(
            f"{shown(binding.address)} is served {'with' if is_tls else 'without'} TLS at {address}, where "
            f"{shown(first.address)}{_of(first.site)} is served {'without' if is_tls else 'with'} it; give one of them "
            "another port",
            binding.site,
        )
    for known in draft.bindings:
        if (known.host, known.path) == (binding.host, binding.path):
            raise _error(
                f"{shown(binding.address)} is defined twice: {shown(known.address)}{_of(known.site)} is the same; put "
                "both into one site, or give one of them another name or port",
                binding.site,
            )
    draft.bindings.append(binding)


def _add_redirects(drafts: dict[Address, _Draft], servers: HttpServers) -> None:
    for address, draft in list(drafts.items()):
        if not draft.tls or address.kind == "unix" or address.port == servers.http_port:
            continue
        own = address.port in {servers.https_port, _DEFAULT_HTTPS_PORT}
        target = drafts.setdefault(address._replace(port=servers.http_port), _Draft(tls=False))
        if target.tls:
            continue
        taken = {binding.host for binding in target.bindings} | {redirect.host for redirect in target.redirects}
        for host in dict.fromkeys(binding.host for binding in draft.bindings):
            if host not in taken:
                target.redirects.append(Redirect(host, 0 if own else address.port))
    for address in [address for address, draft in drafts.items() if not draft.bindings and not draft.redirects]:
        del drafts[address]


def _refuse_overlaps(drafts: dict[Address, _Draft]) -> None:
    """Refuse a port that is taken for all interfaces and for one: the second could not be bound."""
    wide = {address.port: address for address in drafts if address.kind == "tcp" and address.host in _ALL_INTERFACES}
    for address, draft in drafts.items():
        other = wide.get(address.port) if address.kind == "tcp" and address.port else None
        if other is None or other == address:
            continue
        sites = [*draft.bindings, *drafts[other].bindings]
        names = " and ".join(dict.fromkeys(shown(binding.address) for binding in sites)) or "redirects to HTTPS"
        raise _error(
            f"port {address.port} is wanted at {address} and at all interfaces ({names}): give all sites of a port the "
            "same `bind`, or set `default_bind`",
            sites[0].site if sites else None,
        )


def _tls_plan(bindings: Iterable[Binding]) -> TlsPlan:
    sites = list({id(binding.site): binding.site for binding in bindings}.values())
    named: dict[tuple[str, str], HttpSite] = {}
    for site in sites:
        for pair in site.tls.files if site.tls else ():
            named.setdefault(pair, site)
    hosts = dict.fromkeys(binding.host for binding in bindings)
    return TlsPlan(
        names=tuple(host for host in hosts if host),
        pairs=tuple(named),
        named_by=tuple(named.values()),
        internal=tuple(site for site in sites if not _has_files(site.tls)),
        client_ca=_same([(site.tls.client_ca if site.tls else "", site) for site in sites], "client authority"),
        min_version=_same([(_min_version(site), site) for site in sites], "oldest TLS version"),
    )


def _min_version(site: HttpSite) -> str:
    words = site.tls.protocols if site.tls else ()
    if words and words[0] not in _VERSIONS:
        raise _error(f"tls protocols {words[0]}: there are {' and '.join(_VERSIONS)}", site)
    if len(words) > 1 and words[1] != _VERSIONS[-1]:
        raise _error("tls protocols: the newest version cannot be lowered; leave the second word out", site)
    return words[0] if words else _VERSIONS[0]


def _same(values: list[tuple[str, HttpSite]], what: str) -> str:
    first, owner = values[0]
    for value, site in values:
        if value != first:
            raise _error(
                f"{shown(site.addresses[0])} and {shown(owner.addresses[0])}{_of(owner)} share a listener but not the "
                f"{what} of `tls`: give both the same, or one of them another port",
                site,
            )
    return first


def _has_files(tls: Tls | None) -> bool:
    return tls is not None and bool(tls.files)


def _lost_its_tls(address: SiteAddress, site: HttpSite, servers: HttpServers) -> bool:
    is_bare = bool(address.host) and not address.scheme and not address.port
    return servers.auto_https == "off" and is_bare and not has_tls(address, site, servers)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _of(site: HttpSite) -> str:
    return f" of line {site.position.line}" if site.position.line else ""


def _at(site: HttpSite) -> str:
    position = site.position
    return f"{position.file}:{position.line}: " if position.line else ""


def _error(message: str, site: HttpSite | None) -> ConfigError:
    position = site.position if site is not None else None
    if position is None or not position.line:
        return ConfigError(message)
    return ConfigError(message, file=position.file, line=position.line, column=position.column)
