"""Addresses of sites: ``localhost``, ``:8080``, ``http://a.example:81/path``, ``unix//run/site.sock``."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Literal, cast

from howdah.config.http import HttpSite, SiteAddress
from howdah.config.lexer import Token
from howdah.errors import ConfigError

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_HOST = re.compile(r"(\*|[^\W_][\w-]*|_[\w-]*)(\.(\*|[\w-]+))*\.?")
_SPELLING = "write it as example.com, :8080, http://example.com or unix//run/site.sock"


def read_addresses(keys: Sequence[Token]) -> tuple[SiteAddress, ...]:
    """Read the addresses of a site block.

    Raises:
        ConfigError: one is wrong, or stands there twice.
    """
    addresses: dict[SiteAddress, Token] = {}
    for key in keys:
        address = read_address(key)
        if address in addresses:
            raise key.error(f"the address {key.text} stands here twice; remove one of them")
        addresses[address] = key
    return tuple(addresses)


def read_address(token: Token) -> SiteAddress:
    """Read one address.

    Raises:
        ConfigError: it is none.
    """
    text = token.text
    found = _SCHEME.match(text)
    scheme = found[1].lower() if found else ""
    if scheme not in {"", "http", "https"}:
        raise token.error(f"the scheme {scheme} is not served; an address begins with http:// or https://, or has none")
    rest = text[found.end() :] if found else text
    known = cast("Literal['', 'http', 'https']", scheme)
    if rest.startswith("unix/"):
        path = rest[len("unix/") :]
        if not path or path.endswith("/"):
            raise token.error(f"the address {text} names no socket file; write unix//run/site.sock")
        return SiteAddress(known, unix=path)
    if rest.startswith("@") or text.startswith("@"):
        raise token.error(f"{text} is a matcher and no address; matchers stand inside the braces of a site")
    authority, slash, path = rest.partition("/")
    host, port = _split_port(authority, token)
    address = SiteAddress(known, _host(host, token), port, path=slash + path if path else "")
    _check_convention(address, token)
    return address


def _split_port(authority: str, token: Token) -> tuple[str, int]:
    if authority.startswith("["):
        host, bracket, rest = authority[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise token.error(f"the address {token.text} has a bracket that encloses no IPv6 address")
        return host, _port(rest[1:], token) if rest else 0
    if authority.count(":") > 1:
        raise token.error(f"the address {token.text} needs brackets around its IPv6 address, as [::1]:8080")
    host, colon, port = authority.partition(":")
    return host, _port(port, token) if colon else 0


def _port(text: str, token: Token) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise token.error(f"the address {token.text} has the port {text!r}, which is no number from 1 to 65535")
    return int(text)


def _host(host: str, token: Token) -> str:
    if not host:
        return ""
    if ":" in host or host.replace(".", "").isdigit():
        try:
            return str(ipaddress.ip_address(host))
        except ValueError:
            raise token.error(f"the address {token.text} holds no IP address and no name; {_SPELLING}") from None
    if not _HOST.fullmatch(host) or len(host) > 253:
        raise token.error(f"there is no directive and no address {token.text}; {_SPELLING}")
    return host.lower()


def _check_convention(address: SiteAddress, token: Token) -> None:
    for scheme, other, port in (("http", "https", 443), ("https", "http", 80)):
        if address.scheme == scheme and address.port == port:
            raise token.error(f"{token.text} says {scheme} on the port of {other}; remove the scheme or the port")


def check_unique(sites: Sequence[tuple[Sequence[Token], HttpSite]], http_port: int, https_port: int) -> None:
    """Check that no address belongs to two sites on the same interfaces.

    Raises:
        ConfigError: with the position of the second one.
    """
    seen: dict[tuple[str, ...], Token] = {}
    for keys, site in sites:
        for key, address in zip(keys, site.addresses, strict=True):
            identity = (*_identity(address, http_port, https_port), *sorted(site.bind))
            other = seen.get(identity)
            if other is not None:
                raise _duplicate(key, other)
            seen[identity] = key


def _identity(address: SiteAddress, http_port: int, https_port: int) -> tuple[str, ...]:
    if address.unix:
        return ("unix", address.unix, address.host, address.path)
    port = address.port or (http_port if address.scheme == "http" else https_port)
    scheme = address.scheme or ("http" if port == http_port else "https")
    return (scheme, address.host, str(port), address.path)


def _duplicate(key: Token, other: Token) -> ConfigError:
    where = f"{other.file}:{other.line}:{other.column}"
    return key.error(f"the address {key.text} belongs to the site at {where} already; join the sites or change one")
