"""Who may use the admin API: the host a request names, the origin it comes from, a token.

A page in an operator's browser can send requests to localhost, and by DNS rebinding under a name of its own;
hence a request must name the very host that is listened on, and one from another origin is refused.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from howdah.admin.client import split_address
from howdah.errors import ConfigError

if TYPE_CHECKING:
    from howdah.config.http import Admin

_UNIX = "unix/"
_LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
_SHORTEST_TOKEN = 16
_HTTP_PORT = 80
# What browsers say of a request that no foreign page has made.
_OWN_SITES = frozenset({"", "none", "same-origin"})

_CURE = "; list it in origins of admin if it may ask"

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered."""

    status: int
    message: str


def check_admin(admin: Admin) -> None:
    """Refuse to offer the admin API to other machines without a token.

    Raises:
        ConfigError: it would be open to them, the token can be guessed, or the address is misspelt.
    """
    if admin.token and len(admin.token) < _SHORTEST_TOKEN:
        raise ConfigError(f"the token of the admin API needs at least {_SHORTEST_TOKEN} characters", directive="admin")
    if admin.token and not (admin.token.isascii() and admin.token.isprintable() and " " not in admin.token):
        raise ConfigError("the token of the admin API must be ASCII without spaces", directive="admin")
    if not admin.token and not is_private(admin.listen):
        raise ConfigError(
            f"the admin API on {admin.listen} could be used from other machines: "
            "give it a token, or let it listen on localhost:2019 or a Unix socket",
            directive="admin",
        )


def is_private(listen: str) -> bool:
    """Say whether only this machine reaches an address; a name other than ``localhost`` may be anything."""
    if listen.startswith(_UNIX):
        return True
    if listen.startswith(":"):
        return False
    host, _ = split_address(listen)
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Gate:
    """Decides about each request of the admin API.

    Args:
        admin: what the configuration says.
    """

    def __init__(self, admin: Admin) -> None:
        self._token = f"Bearer {admin.token}".encode() if admin.token else b""
        self._enforce_origin = admin.enforce_origin
        own, self._any_host = _hosts(admin)
        named = frozenset(origin.lower().rstrip("/") for origin in admin.origins)
        self._hosts = own | {origin.rpartition("://")[2] for origin in named}
        self._origins = named | own

    def refusal(self, headers: Headers) -> Refusal | None:
        """Give the reason for which a request is refused, or None."""
        hosts: list[str] = []
        origin: str | None = None
        site, token = "", b""
        for name, value in headers:
            if name == b"host":
                hosts.append(value.decode("latin-1").lower())
            elif name == b"origin":
                origin = value.decode("latin-1").lower()
            elif name == b"sec-fetch-site":
                site = value.decode("latin-1").lower()
            elif name == b"authorization":
                token = value
        if not self._any_host and (len(hosts) > 1 or (hosts[0] if hosts else "") not in self._hosts):
            return Refusal(403, f"host not allowed: {hosts[0] if hosts else ''}{_CURE}")
        return self._origin_refusal(origin, site) or self._token_refusal(token)

    def _origin_refusal(self, origin: str | None, site: str) -> Refusal | None:
        if origin is None:
            if self._enforce_origin:
                return Refusal(403, "missing required Origin header")
            if site not in _OWN_SITES:
                return Refusal(403, "requests from other sites are not allowed")
            return None
        if self.allows_origin(origin):
            return None
        return Refusal(403, f"client is not allowed to access from origin {origin}{_CURE}")

    def _token_refusal(self, token: bytes) -> Refusal | None:
        if self._token and not hmac.compare_digest(token, self._token):
            return Refusal(401, "a token is needed: send the header Authorization: Bearer TOKEN")
        return None

    def allows_origin(self, origin: str) -> bool:
        """Say whether pages of an origin may use the API; an entry without scheme allows both schemes."""
        lower = origin.lower()
        scheme, separator, host = lower.partition("://")
        return lower in self._origins or (bool(separator) and scheme in {"http", "https"} and host in self._origins)


def _hosts(admin: Admin) -> tuple[frozenset[str], bool]:
    """Give the API's own hosts, and whether requests may name any.

    They may where it listens on all interfaces: there a token is obligatory, which no foreign page has.
    """
    if admin.listen.startswith(_UNIX):
        return frozenset({"", *_LOCAL_NAMES}), False
    host, port = split_address(admin.listen)
    if admin.listen.startswith(":") or host in {"0.0.0.0", "::"}:
        return frozenset(), True
    names = {f"[{host}]" if ":" in host else host.lower(), *(_LOCAL_NAMES if is_private(admin.listen) else ())}
    # Clients leave out the port that HTTP has anyway.
    return frozenset({f"{name}:{port}" for name in names} | (names if port == _HTTP_PORT else set())), False
