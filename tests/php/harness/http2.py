"""A small HTTP/2 client without TLS, for what HTTP libraries hide: interim responses and stalled bodies."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import h2.config
import h2.connection
import h2.events


@dataclass
class Http2Response:
    """What came back on one stream."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    interim: list[dict[str, str]] = field(default_factory=list)


class Http2Connection:
    """One connection with prior knowledge; use it in a ``with`` statement."""

    def __init__(self, port: int, *, timeout_s: float = 10.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self._h2 = h2.connection.H2Connection(config=config)
        self._h2.initiate_connection()
        self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def request(self, method: str, path: str, headers: tuple[tuple[str, str], ...] = (), *, end: bool = True) -> int:
        """Send a head and give the number of its stream."""
        stream = int(self._h2.get_next_available_stream_id())
        head = [(":method", method), (":scheme", "http"), (":authority", "127.0.0.1"), (":path", path), *headers]
        self._h2.send_headers(stream, head, end_stream=end)
        self._flush()
        return stream

    def data(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Send a piece of a body; it must fit into the window."""
        self._h2.send_data(stream, data, end_stream=end)
        self._flush()

    def response(self, stream: int) -> Http2Response:
        """Read until the stream ends.

        Raises:
            AssertionError: the connection or the stream broke off.
        """
        answer = Http2Response()
        while True:
            received = self.socket.recv(65536)
            assert received, f"connection closed; had {answer}"
            for event in self._h2.receive_data(received):
                if getattr(event, "stream_id", stream) != stream:
                    continue
                if isinstance(event, h2.events.InformationalResponseReceived):
                    answer.interim.append(_fields(event.headers))
                elif isinstance(event, h2.events.ResponseReceived):
                    answer.headers = _fields(event.headers)
                    answer.status = int(answer.headers[":status"])
                elif isinstance(event, h2.events.DataReceived):
                    answer.body += event.data
                    self._h2.acknowledge_received_data(event.flow_controlled_length, stream)
                elif isinstance(event, h2.events.StreamEnded):
                    self._flush()
                    return answer
                else:
                    assert not isinstance(event, h2.events.StreamReset), f"stream reset; had {answer}"
            self._flush()

    def _flush(self) -> None:
        self.socket.sendall(self._h2.data_to_send())


def _fields(headers: object) -> dict[str, str]:
    assert isinstance(headers, list)
    return {str(name): str(value) for name, value in headers}
