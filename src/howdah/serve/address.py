"""Listening addresses: their spelling, and sockets bound to them.

We bind ourselves instead of leaving it to the HTTP server, which would set SO_REUSEPORT: a second
server on the same port would then start without a word and take half of the connections.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import sys
from typing import Literal, NamedTuple

from howdah.errors import ConfigError, HowdahError

BACKLOG = 1024
_SPELLING = "write it as 127.0.0.1:8000, :8080, [::1]:8080 or unix//run/howdah.sock"
# sun_path has 108 bytes with the closing NUL.
_LONGEST_UNIX_PATH = 107


class ListenError(HowdahError):
    """A socket cannot be opened at an address; the message says why and what to do."""


class Address(NamedTuple):
    """A listening address.

    Args:
        kind: ``tcp`` or ``unix``.
        host: address or name for ``tcp``, empty for all interfaces.
        port: for ``tcp``; 0 lets the system choose.
        path: socket file for ``unix``.
    """

    kind: Literal["tcp", "unix"]
    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.kind == "unix":
            return f"unix/{self.path}" if self.path.startswith("/") else f"unix/./{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read a listening address.

    Raises:
        ConfigError: the spelling is wrong.
    """

    def refuse(reason: str) -> ConfigError:
        return ConfigError(f"listening address {text!r} {reason}; {_SPELLING}", directive="listen")

    if text.startswith("unix/"):
        path = text[len("unix/") :]
        if not path or path.endswith("/") or "\0" in path:
            raise refuse("names no socket file")
        if len(os.fsencode(path)) > _LONGEST_UNIX_PATH:
            raise ConfigError(
                f"listening address {text!r} is too long: the path of a socket file has at most "
                f"{_LONGEST_UNIX_PATH} bytes",
                directive="listen",
            )
        return Address("unix", path=path)
    host, colon, port = text.rpartition(":")
    if not colon:
        raise refuse("has no port")
    if not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise refuse(f"has the port {port!r}, which is no number from 0 to 65535")
    if host.startswith("["):
        if not host.endswith("]") or ":" not in host:
            raise refuse("has a bracket that does not enclose an IPv6 address")
        host = host[1:-1]
    elif ":" in host:
        raise refuse("needs brackets around its IPv6 address")
    if any(character in host for character in "/ \0"):
        raise refuse("has a host that is no name and no address")
    return Address("tcp", host=host, port=int(port))


def bind(address: Address, *, mode: int | None = None) -> socket.socket:
    """Open a socket at an address, bound and not yet listening.

    A socket file that is left from a dead server is replaced.

    Args:
        address: where.
        mode: permissions of a socket file; None leaves them to the process's umask.

    Raises:
        ListenError: the address is in use, not allowed or not of this machine.
    """
    try:
        return _bind_unix(address.path, mode) if address.kind == "unix" else _bind_tcp(address)
    except OSError as error:
        raise ListenError(f"cannot listen on {address}: {_reason(error, address)}") from None


def _bind_tcp(address: Address) -> socket.socket:
    host = address.host
    if not host:
        # Both families through one socket where the machine has IPv6.
        with contextlib.suppress(OSError):
            return _open_tcp(socket.AF_INET6, ("::", address.port, 0, 0))
        return _open_tcp(socket.AF_INET, ("0.0.0.0", address.port))
    try:
        found = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise ListenError(
            f"cannot listen on {address}: {host!r} is no address of this machine; use 127.0.0.1, or leave the host "
            "out for all interfaces"
        ) from None
    # A name such as localhost has addresses of both families: clients try IPv4 at any rate.
    family, _, _, _, sockaddr = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return _open_tcp(family, sockaddr)


def _open_tcp(family: int, sockaddr: object) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            both = isinstance(sockaddr, tuple) and sockaddr[0] == "::"
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both else 1)
        opened.bind(sockaddr)  # type: ignore[arg-type] # getaddrinfo's own type
    except BaseException:
        opened.close()
        raise
    return opened


def _bind_unix(path: str, mode: int | None) -> socket.socket:
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if mode is not None:
            # The file gets the mode that its socket has: there is no moment in which it is open to all.
            os.fchmod(opened.fileno(), mode)
        try:
            opened.bind(path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not _is_stale(path):
                raise
            os.unlink(path)  # noqa: PTH108
            opened.bind(path)
    except BaseException:
        opened.close()
        raise
    return opened


def _is_stale(path: str) -> bool:
    """Tell whether a path is a socket file at which nobody listens."""
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(path) == errno.ECONNREFUSED


def remove_socket_file(address: Address, inode: int) -> None:
    """Remove the socket file of a stopped server, unless another server has put its own there.

    Args:
        address: where it listened; TCP addresses have no file.
        inode: of the file, as `socket_inode` gave it after binding.
    """
    if address.kind == "unix":
        with contextlib.suppress(OSError):
            if socket_inode(address) == inode:
                os.unlink(address.path)  # noqa: PTH108


def socket_inode(address: Address) -> int:
    """Give the inode of a socket file, 0 for TCP.

    Raises:
        OSError: the file is gone.
    """
    return os.lstat(address.path).st_ino if address.kind == "unix" else 0


def listen(address: Address, bound: socket.socket) -> None:
    """Let connections come. Another process may have bound the port too and have been quicker.

    Raises:
        ListenError: it was.
    """
    try:
        bound.listen(BACKLOG)
    except OSError as error:
        raise ListenError(f"cannot listen on {address}: {_reason(error, address)}") from None


def _reason(error: OSError, address: Address) -> str:
    if error.errno == errno.EADDRINUSE:
        if address.kind == "unix":
            return "another server listens there, or the file is no socket; stop it or choose another path"
        return "the port is in use; stop the program that uses it or choose another port"
    if error.errno in {errno.EACCES, errno.EPERM}:
        if address.kind == "unix":
            return "this user may not create the socket file; choose another folder"
        return (
            "this user may not use ports below 1024; set http_port and https_port to ports from 1024 on, or allow it "
            f"once by `sudo setcap cap_net_bind_service=+ep {os.path.realpath(sys.executable)}`"
        )
    if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
        return "the address is none of this machine's; use 127.0.0.1, or leave the host out for all interfaces"
    if error.errno == errno.ENOENT:
        return "the folder of the socket file does not exist; create it"
    return f"{error.strerror or error}"


def shown_url(address: Address, bound: socket.socket, *, is_tls: bool = False) -> str:
    """Give what a user can open: a URL for TCP, the address itself for a socket file.

    Args:
        address: as the user wrote it; no host is shown as localhost.
        bound: its socket, asked for the port when the system has chosen it.
        is_tls: the scheme is https.
    """
    if address.kind == "unix":
        return str(address)
    port = bound.getsockname()[1]
    host = address.host or "localhost"
    if host in {"0.0.0.0", "::"}:
        host = "localhost"
    shown = f"[{host}]" if ":" in host else host
    scheme, usual = ("https", 443) if is_tls else ("http", 80)
    return f"{scheme}://{shown}/" if port == usual else f"{scheme}://{shown}:{port}/"
