"""A request and its response as values, for callers without an HTTP server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from howdah.cgi.variables import Endpoint
from howdah.config.model import SiteConfig
from howdah.runtime.site import Site, Target

# What PHP needs to know of a request: script, connection, method, URI, query, client's address and port, headers.
RequestParts = tuple[Target, Endpoint, str, bytes, bytes, str, int | str, Sequence[tuple[bytes, bytes]]]


@dataclass(frozen=True, slots=True)
class Request:
    """One request for PHP.

    Args:
        method: HTTP method.
        target: path as it stands in the request line, percent-encoded, with the query.
        headers: (name, value) pairs in wire order.
        body: the whole body.
        site: document root as a path, a `SiteConfig`, or a `Site` made before (cheapest).
        remote: client as ``address:port``.
        scheme: ``http`` or ``https``.
    """

    method: str = "GET"
    target: bytes = b"/index.php"
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: bytes = b""
    site: str | SiteConfig | Site = "."
    remote: str = "127.0.0.1:0"
    scheme: str = "http"


@dataclass(frozen=True, slots=True)
class Response:
    """What PHP answered.

    Attributes:
        status: final status, 200 to 599.
        headers: (lower-case name, value) pairs in PHP's order; names may repeat.
        body: the whole body.
        interim: statuses and headers of the 1xx responses that came before.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    interim: list[tuple[int, list[tuple[bytes, bytes]]]] = field(default_factory=list)
