"""CGI variables that depend on the connection: server name, port, protocol, remote address.

Pure and total: whatever a client or a proxy sends, these functions answer and never raise.
"""

from __future__ import annotations

from functools import lru_cache

_CACHE_ENTRIES = 1024
# A host name has at most 253 characters and a port 5; longer values are answered but not remembered,
# so that nobody can fill the cache with large keys.
_LONGEST_CACHED_HOST = 262
_DEFAULT_PORT = {b"https": b"443", b"http": b"80"}
_PROTOCOL = {"1.0": b"HTTP/1.0", "1": b"HTTP/1.0", "1.1": b"HTTP/1.1", "2": b"HTTP/2.0", "3": b"HTTP/3.0"}
_SCHEME = {"http": b"http", "https": b"https", "ws": b"http", "wss": b"https"}

Endpoint = tuple[bytes, bytes, bytes, bytes, bytes, bytes]


def _port_or_empty(text: bytes) -> bytes:
    return text if text.isdigit() and len(text) <= 5 and int(text) <= 65535 else b""


def _split_host(host: bytes, scheme: bytes) -> tuple[bytes, bytes]:
    default = _DEFAULT_PORT.get(scheme, b"80")
    if host[:1] == b"[":
        address, bracket, rest = host.partition(b"]")
        if not bracket or (rest and rest[:1] != b":"):
            return host, default
        return address + bracket, _port_or_empty(rest[1:]) or default
    name, colon, port = host.partition(b":")
    if not colon or b":" in port:
        return host, default
    return name, _port_or_empty(port) or default


_split_host_cached = lru_cache(_CACHE_ENTRIES)(_split_host)


def split_host(host: bytes, scheme: bytes) -> tuple[bytes, bytes]:
    """Split a Host header into SERVER_NAME and SERVER_PORT.

    The brackets of an IPv6 address stay, as RFC 3875 section 4.1.14 asks, so that scripts can build
    addresses from the parts. What is no port number counts as no port; what cannot be split is the
    name as a whole.

    Args:
        host: value of the header, maybe empty.
        scheme: ``b"http"`` or ``b"https"``, for the port that is not written.
    """
    if len(host) > _LONGEST_CACHED_HOST:
        return _split_host(host, scheme)
    return _split_host_cached(host, scheme)


def _endpoint(host: bytes, scheme: str, http_version: str) -> Endpoint:
    request_scheme = _SCHEME.get(scheme.lower(), b"http")
    name, port = _split_host(host, request_scheme)
    # No ASGI server tells the TLS version and cipher in a form that all share.
    return name, port, _PROTOCOL.get(http_version, b"HTTP/1.1"), request_scheme, b"", b""


_endpoint_cached = lru_cache(_CACHE_ENTRIES)(_endpoint)


def endpoint(host: bytes, scheme: str, http_version: str) -> Endpoint:
    """Give the variables of one endpoint as the native extension takes them.

    Args:
        host: Host header, or ``b""``.
        scheme: ASGI scheme.
        http_version: ASGI version: ``1.0``, ``1.1``, ``2`` or ``3``.

    Returns:
        SERVER_NAME, SERVER_PORT, SERVER_PROTOCOL, REQUEST_SCHEME, SSL_PROTOCOL, SSL_CIPHER.
    """
    if len(host) > _LONGEST_CACHED_HOST:
        return _endpoint(host, scheme, http_version)
    return _endpoint_cached(host, scheme, http_version)


def split_remote(addr: str) -> tuple[str, int]:
    """Split ``ip:port`` into REMOTE_ADDR and REMOTE_PORT.

    Brackets are stripped and an IPv6 zone is kept. A bare IPv6 address has no port.

    Returns:
        Address as far as it can be told, and the port, or 0 when there is none.
    """
    if addr[:1] == "[":
        address, _, rest = addr[1:].partition("]")
        return address, _port_number(rest[1:]) if rest[:1] == ":" else 0
    address, colon, port = addr.rpartition(":")
    if not colon or ":" in address:
        return addr, 0
    return address, _port_number(port)


def _port_number(text: str) -> int:
    if not text.isascii():  # isdigit() accepts digits that int() may not
        return 0
    return int(_port_or_empty(text.encode()) or b"0")
