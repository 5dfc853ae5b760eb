"""Server name, port and remote address from whatever clients send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.cgi.variables import endpoint, split_host, split_remote


@pytest.mark.parametrize(
    ("host", "scheme", "expected"),
    [
        (b"example.com", b"http", (b"example.com", b"80")),
        (b"example.com", b"https", (b"example.com", b"443")),
        (b"example.com:8080", b"https", (b"example.com", b"8080")),
        (b"example.com:", b"http", (b"example.com", b"80")),
        (b"example.com:abc", b"http", (b"example.com", b"80")),
        (b"example.com:70000", b"http", (b"example.com", b"80")),
        (b"[::1]", b"http", (b"[::1]", b"80")),
        (b"[::1]:8443", b"https", (b"[::1]", b"8443")),
        (b"[fe80::1%25eth0]:1", b"http", (b"[fe80::1%25eth0]", b"1")),
        (b"[", b"http", (b"[", b"80")),
        (b"[::1]x", b"http", (b"[::1]x", b"80")),
        (b"a:b:c", b"http", (b"a:b:c", b"80")),
        (b"::1", b"http", (b"::1", b"80")),
        (b":80", b"http", (b"", b"80")),
        (b"", b"http", (b"", b"80")),
        (b"h" * 300 + b":1", b"http", (b"h" * 300, b"1")),
    ],
)
def test_host_is_split(host: bytes, scheme: bytes, expected: tuple[bytes, bytes]) -> None:
    assert split_host(host, scheme) == expected


@given(st.binary(max_size=400), st.sampled_from([b"http", b"https", b"", b"x"]))
def test_any_host_gives_a_port_number(host: bytes, scheme: bytes) -> None:
    name, port = split_host(host, scheme)
    assert name == host[: len(name)]
    assert 0 <= int(port) <= 65535


@pytest.mark.parametrize(
    ("version", "protocol"),
    [("1.0", b"HTTP/1.0"), ("1.1", b"HTTP/1.1"), ("2", b"HTTP/2.0"), ("3", b"HTTP/3.0"), ("?", b"HTTP/1.1")],
)
def test_endpoint_names_the_protocol(version: str, protocol: bytes) -> None:
    assert endpoint(b"h:1", "http", version) == (b"h", b"1", protocol, b"http", b"", b"")


def test_endpoint_knows_the_port_of_the_scheme() -> None:
    assert endpoint(b"h", "https", "2")[:4] == (b"h", b"443", b"HTTP/2.0", b"https")
    assert endpoint(b"h", "WSS", "1.1")[:4] == (b"h", b"443", b"HTTP/1.1", b"https")
    assert endpoint(b"h", "gopher", "1.1")[:4] == (b"h", b"80", b"HTTP/1.1", b"http")
    assert endpoint(b"h" * 300, "http", "1.1")[0] == b"h" * 300


@pytest.mark.parametrize(
    ("addr", "expected"),
    [
        ("192.0.2.1:5000", ("192.0.2.1", 5000)),
        ("192.0.2.1", ("192.0.2.1", 0)),
        ("[2001:db8::1]:443", ("2001:db8::1", 443)),
        ("[2001:db8::1]", ("2001:db8::1", 0)),
        ("[fe80::1%eth0]:8", ("fe80::1%eth0", 8)),
        ("2001:db8::1", ("2001:db8::1", 0)),
        ("[", ("", 0)),
        ("[]", ("", 0)),
        ("]:1", ("]", 1)),
        ("", ("", 0)),
        (":80", ("", 80)),
        ("host:http", ("host", 0)),
        ("host:-1", ("host", 0)),
        ("host:99999", ("host", 0)),
        ("host:\u0663", ("host", 0)),
        ("unix:", ("unix", 0)),
        ("/run/x.sock", ("/run/x.sock", 0)),
    ],
)
def test_remote_address_is_split(addr: str, expected: tuple[str, int]) -> None:
    assert split_remote(addr) == expected


@given(st.text())
def test_any_remote_address_is_answered(addr: str) -> None:
    address, port = split_remote(addr)
    assert address in addr
    assert 0 <= port <= 65535
