"""A client of the admin API, for commands; over TCP or a Unix socket.

``http.client`` and no library: commands must start quickly, and the API is ours.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from howdah.errors import ConfigError, HowdahError

DEFAULT_ADDRESS = "localhost:2019"
TOKEN_VARIABLE = "HOWDAH_ADMIN_TOKEN"  # noqa: S105 - a name, not a token
_UNIX = "unix/"
_TIMEOUT_S = 10.0
# A restart lasts as long as the longest request, and the server bounds it.
_RESTART_TIMEOUT_S = 600.0
_ERRORS_FROM = 400


class AdminUnreachable(HowdahError):
    """No server answers at the address of the admin API."""


class AdminRefused(HowdahError):
    """The server answered with an error; the message is its own.

    Args:
        status: HTTP status.
        message: for the user.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server answered."""

    status: int
    body: bytes

    def json(self) -> Any:
        """Read the body as JSON.

        Raises:
            AdminRefused: it is none, so that is no admin API.
        """
        try:
            return json.loads(self.body)
        except ValueError:
            raise AdminRefused(self.status, "what answers there is not Howdah's admin API") from None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class AdminClient:
    """Asks the admin API of a running server; every call is one connection, and blocks.

    Args:
        address: ``localhost:2019`` or ``unix//path``, as ``admin`` in the Caddyfile.
        token: for a server that wants one; None takes the environment's ``HOWDAH_ADMIN_TOKEN``.

    Raises:
        ConfigError: the address is misspelt.
    """

    def __init__(self, address: str = DEFAULT_ADDRESS, token: str | None = None) -> None:
        self.address = address
        self._token = os.environ.get(TOKEN_VARIABLE, "") if token is None else token
        self._unix = address.removeprefix(_UNIX) if address.startswith(_UNIX) else ""
        self._host, self._port = ("", 0) if self._unix else split_address(address)

    def threads(self) -> dict[str, Any]:
        """Give what ``GET /frankenphp/threads`` says."""
        threads: dict[str, Any] = self.request("GET", "/frankenphp/threads").json()
        return threads

    def restart_workers(self, names: Sequence[str] = ()) -> None:
        """Restart worker scripts; returns when every thread runs the new code."""
        query = "&".join(f"worker={quote(name, safe='')}" for name in names)
        path = "/frankenphp/workers/restart" + (f"?{query}" if query else "")
        self.request("POST", path, timeout_s=_RESTART_TIMEOUT_S)

    def load(self, body: bytes, content_type: str) -> None:
        """Put a configuration in force; returns when it is."""
        self.request("POST", "/load", body, content_type)

    def stop(self) -> None:
        """Let the server stop; returns when it has begun to."""
        self.request("POST", "/stop")

    def request(
        self, method: str, path: str, body: bytes = b"", content_type: str = "", timeout_s: float = _TIMEOUT_S
    ) -> Answer:
        """Ask.

        Raises:
            AdminUnreachable: nobody listens there, or the answer does not come.
            AdminRefused: the server answered with an error.
        """
        headers = {"Content-Type": content_type} if content_type else {}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        connection = self._connection(timeout_s)
        try:
            connection.request(method, path, body or None, headers)
            response = connection.getresponse()
            answer = Answer(response.status, response.read())
        except (OSError, http.client.HTTPException) as error:
            raise AdminUnreachable(self._why(error)) from None
        finally:
            connection.close()
        if answer.status >= _ERRORS_FROM:
            raise AdminRefused(answer.status, _message(answer))
        return answer

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        if self._unix:
            return _UnixConnection(self._unix, timeout_s)
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)

    def _why(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"the admin API at {self.address} does not answer in time"
        if isinstance(error, PermissionError):
            return f"the admin API at {self.address} may not be used by this user: {error.strerror}"
        if isinstance(error, (ConnectionRefusedError, FileNotFoundError)):
            return (
                f"no Howdah answers at {self.address}: start one with `howdah run`, "
                "or name the address of its admin API with --address"
            )
        return f"the admin API at {self.address} cannot be used: {str(error) or type(error).__name__}"


def split_address(address: str) -> tuple[str, int]:
    """Split ``host:port``; no host means localhost, no port 2019.

    Raises:
        ConfigError: it is no address.
    """
    text = address.removeprefix("http://").rstrip("/")
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, "2019"
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ConfigError(f"{address!r} is no address of an admin API; write it as localhost:2019 or unix//path")
    return host.strip("[]") or "localhost", int(port)


def _message(answer: Answer) -> str:
    try:
        message = json.loads(answer.body)["error"]
    except (ValueError, TypeError, KeyError):
        message = answer.body.decode(errors="replace").strip()
    return str(message) or f"the server answered with {answer.status}"
