"""A client on bare sockets, for requests that no HTTP library would send."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self


@dataclass
class RawResponse:
    """A response as it came over the wire."""

    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    interim: list[int] = field(default_factory=list)
    complete: bool = True

    def header(self, name: str) -> bytes | None:
        """Give the first value of a header, or None."""
        wanted = name.lower().encode()
        return next((value for key, value in self.headers if key == wanted), None)

    def all(self, name: str) -> list[bytes]:
        """Give all values of a header in wire order."""
        wanted = name.lower().encode()
        return [value for key, value in self.headers if key == wanted]


class RawConnection:
    """One TCP connection; use it in a ``with`` statement."""

    def __init__(self, port: int, *, timeout_s: float = 20.0, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:  # must be set before connecting to bound the window
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout_s)
        try:
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Close with RST, as a client does whose process was killed with unread data."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.socket.close()

    def read_some(self) -> bytes:
        """Give buffered bytes, or what one receive brings; empty at the end of the connection."""
        if self._buffer:
            data, self._buffer = self._buffer, b""
            return data
        try:
            return self.socket.recv(65536)
        except ConnectionResetError:
            return b""

    def read_to_end(self) -> bytes:
        """Give everything until the server closes."""
        parts = []
        while data := self.read_some():
            parts.append(data)
        return b"".join(parts)

    def read_until(self, marker: bytes) -> bytes:
        """Give everything up to and including the marker.

        Raises:
            AssertionError: the connection ended before.
        """
        data = b""
        while marker not in data:
            more = self.read_some()
            if not more:
                raise AssertionError(f"connection ended before {marker!r}; had {data[-500:]!r}")
            data += more
        end = data.index(marker) + len(marker)
        self._buffer = data[end:] + self._buffer
        return data[:end]

    def is_closed_within(self, timeout_s: float) -> bool:
        """Tell whether the server closes the connection in this time; what it sends meanwhile is dropped."""
        end = time.monotonic() + timeout_s
        before = self.socket.gettimeout()
        try:
            while (left := end - time.monotonic()) > 0:
                self.socket.settimeout(left)
                try:
                    if not self.socket.recv(65536):
                        return True
                except TimeoutError:
                    return False
                except ConnectionResetError:
                    return True
            return False
        finally:
            self.socket.settimeout(before)

    def read_head(self) -> RawResponse:
        """Give the next response head, interim or final."""
        head = self.read_until(b"\r\n\r\n")
        lines = head.rstrip(b"\r\n").split(b"\r\n")
        _, _, rest = lines[0].partition(b" ")
        code, _, reason = rest.partition(b" ")
        headers = []
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            headers.append((name.lower(), value.strip(b" \t")))
        return RawResponse(int(code), reason, headers)

    def read_response(self, *, method: str = "GET") -> RawResponse:
        """Give the next final response with its body; interim ones are noted in ``interim``."""
        interim = []
        response = self.read_head()
        while 100 <= response.status < 200:
            interim.append(response.status)
            response = self.read_head()
        response.interim = interim
        if method == "HEAD" or response.status in {204, 304}:
            return response
        if (response.header("transfer-encoding") or b"").lower() == b"chunked":
            self._read_chunks(response)
        elif (length := response.header("content-length")) is not None:
            response.body, response.complete = self._read_exactly(int(length))
        else:
            response.body = self.read_to_end()
        return response

    def _read_exactly(self, count: int) -> tuple[bytes, bool]:
        data = b""
        while len(data) < count:
            more = self.read_some()
            if not more:
                return data, False
            data += more
        self._buffer = data[count:] + self._buffer
        return data[:count], True

    def _read_chunks(self, response: RawResponse) -> None:
        parts = []
        while True:
            try:
                size = int(self.read_until(b"\r\n").split(b";")[0], 16)
            except AssertionError:
                response.complete = False
                break
            if size == 0:
                self.read_until(b"\r\n")
                break
            data, whole = self._read_exactly(size)
            parts.append(data)
            if not whole:
                response.complete = False
                break
            self.read_until(b"\r\n")
        response.body = b"".join(parts)


def get(
    port: int, target: str | bytes, *, headers: tuple[str, ...] = (), method: str = "GET", body: bytes = b""
) -> RawResponse:
    """Send one request whose target reaches the server byte for byte, and read its response."""
    path = target.encode() if isinstance(target, str) else target
    lines = [method.encode() + b" " + path + b" HTTP/1.1", b"Host: 127.0.0.1", b"Connection: close"]
    lines += [line.encode("latin-1") for line in headers]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    with RawConnection(port) as connection:
        connection.send(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        return connection.read_response(method=method)
