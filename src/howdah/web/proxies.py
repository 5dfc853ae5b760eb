"""``trusted_proxies``: whose ``X-Forwarded-*`` headers decide who the client is and how it came.

From anybody else the headers are data that scripts see, and nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING

from howdah.cgi.variables import split_host, split_remote
from howdah.web.matchers import compile_networks

if TYPE_CHECKING:
    from howdah.web.static import Scope

_MOST_HOPS = 64


def compile_proxies(networks: Sequence[str], client_headers: Sequence[str]) -> Callable[[Scope], None] | None:
    """Compile the trusted proxies to a change of the scope; None where nobody is trusted.

    The lists of addresses are read from the right: each proxy appends whom it saw, so the first address that is
    not trusted is the client, and what stands left of it anybody may have written. A peer of a unix socket, which
    has no address, is trusted.

    Args:
        networks: of the proxies.
        client_headers: headers with the client's address; the first that is there counts.

    Raises:
        ConfigError: a network is not valid.
    """
    if not networks:
        return None
    is_trusted = compile_networks(networks)
    names = [name.lower().encode("latin-1") for name in client_headers]

    def apply(scope: Scope) -> None:
        peer = scope.get("client")
        address = peer[0].removeprefix("::ffff:") if peer else ""
        if address and not address.startswith("unix:") and not is_trusted(address):
            return
        scope["howdah.peer"] = peer
        found: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in names or name.startswith(b"x-forwarded-"):
                found[name] = found[name] + b"," + value if name in found else value
        hops = 1
        for name in names:
            if name in found:
                client, hops = _client(found[name], is_trusted)
                if client is not None:
                    scope["client"] = client
                break
        _apply_connection(scope, found, hops)

    return apply


def _client(value: bytes, is_trusted: Callable[[str], bool]) -> tuple[tuple[str, int] | None, int]:
    """Give the address that the farthest trusted proxy saw, and how many proxies there are in between."""
    found: tuple[str, int] | None = None
    hops = 0
    for part in reversed(value.decode("latin-1").split(",")[-_MOST_HOPS:]):
        address, port = split_remote(part.strip().strip('"'))
        address = address.removeprefix("::ffff:")
        if not _is_address(address):
            # Nothing before it can be believed.
            break
        found = address, port
        hops += 1
        if not is_trusted(address):
            break
    return found, max(hops, 1)


def _is_address(text: str) -> bool:
    try:
        ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True


def _apply_connection(scope: Scope, found: dict[bytes, bytes], hops: int) -> None:
    scheme = _said(found.get(b"x-forwarded-proto"), hops).lower()
    if scheme in {b"http", b"https"}:
        scope["scheme"] = scheme.decode()
    host = _said(found.get(b"x-forwarded-host"), hops)
    port = _said(found.get(b"x-forwarded-port"), hops)
    has_port = port.isdigit() and len(port) <= 5 and 0 < int(port) <= 65535
    if not host and not has_port:
        return
    host = host or next((value for name, value in scope["headers"] if name == b"host"), b"")
    if has_port:
        host = split_host(host, scope["scheme"].encode())[0] + b":" + port
    scope["howdah.host"] = host


def _said(value: bytes | None, hops: int) -> bytes:
    """Give what the proxy said that is so many hops away; one that repeats nobody's words wrote the only one."""
    if not value:
        return b""
    parts = value.split(b",")
    return parts[-min(hops, len(parts))].strip()
