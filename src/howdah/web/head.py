"""What a site does to the head of an answer: fields that it adds or changes, and whether the body is encoded.

All of it is one object around ``send``, because each layer costs every answer two calls.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from howdah.web.compress import coding_of, encode_with

if TYPE_CHECKING:
    from howdah.web.compress import Encoding
    from howdah.web.static import Message, Send

Headers = list[tuple[bytes, bytes]]
Applied = Callable[[Headers], Headers]

# An answer has one of each; what the configuration says wins over what a handler would have said by itself.
_SINGLE = frozenset({b"content-type", b"server"})
# What describes the body is the handler's, whatever was said before it ran.
_BODY = frozenset({b"content-length", b"content-encoding", b"content-range", b"etag", b"last-modified", b"location"})
# Fields that have to be compared with what the handler says.
COMPARED = _SINGLE | _BODY


class Head:
    """Changes of one answer between a handler and ``send``; the body is encoded before the head is changed.

    Attributes:
        early: fields that are there before a handler answers; the list is replaced, never changed.
        is_plain: none of them is among `COMPARED`.
        deferred: changes for after it has answered, in the order in which they were asked for.
        encoding: how the body may be encoded; None leaves it.
        request_headers: of the request, which say what the client takes.
    """

    __slots__ = ("_encoded", "_send", "deferred", "early", "encoding", "is_plain", "request_headers")

    def __init__(
        self,
        send: Send,
        early: Headers | None = None,
        deferred: tuple[Applied, ...] = (),
        is_plain: bool = True,
    ) -> None:
        self._send = send
        self.early = early
        self.deferred = deferred
        self.is_plain = is_plain
        self.encoding: Encoding | None = None
        self.request_headers: Headers | None = None
        self._encoded: Send | None = None

    def send(self, message: Message) -> Awaitable[None]:
        """Stand for ``send``; a plain function, so that it costs no coroutine."""
        if self._encoded is not None:
            return self._encoded(message)
        if message["type"] == "http.response.start":
            if self.encoding is not None:
                coding = coding_of(message, self.request_headers or [], self.encoding)
                if coding:
                    # Not this object again, which would then refer to itself.
                    changed = Head(self._send, self.early, self.deferred, self.is_plain)
                    self._encoded = encode_with(coding, changed.send, self.encoding)
                    return self._encoded(message)
            if self.early and self.is_plain:
                headers: Headers = [*self.early, *message.get("headers", ())]
            elif self.early or self.deferred:
                headers = _merge(self.early or [], list(message.get("headers", ())))
            else:
                return self._send(message)
            # What was asked for last is nearest to the handler.
            for change in reversed(self.deferred):
                headers = change(headers)
            message = {**message, "headers": headers}
        return self._send(message)


def _merge(early: Headers, headers: Headers) -> Headers:
    """Join what was said before the handler answered and what it says, where an answer has one of each."""
    names = {name for name, _ in headers}
    kept = [header for header in early if header[0] not in _BODY or header[0] not in names]
    single = {name for name, _ in kept if name in _SINGLE}
    return kept + [header for header in headers if header[0] not in single]
