"""Access log entries: what is known of an answered request, and how it is written.

Field names are Caddy's, with a ``php`` object more. A line is made as soon as its request has ended, while all it
needs is in the processor's cache; on the log thread it would cost twice as much. Lines of JSON without filters are
written by the extension, which makes the same of an entry as `as_fields` does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from howdah.errors import EngineVersionError
from howdah.observe.records import clock
from howdah.observe.text import escape

Headers = Sequence[tuple[bytes, bytes]]

MESSAGE = "handled request"
_ERROR_FROM = 400
# Values of these headers are keys to somebody's account.
_SECRET = frozenset({b"cookie", b"set-cookie", b"authorization", b"proxy-authorization"})
_REDACTED = "REDACTED"
# Who connected, where a trusted proxy has told of another client.
_PEER = "howdah.peer"


class AccessEntry:
    """One request that has been answered.

    Attributes:
        scope: ASGI's, as it came.
        time_s: wall clock at the end.
        duration_s: from the first look at the request to the end of the answer.
        status: of the answer; 0 when none was sent.
        size_bytes: of the answer's body.
        read_bytes: of the request's body, as far as somebody read it.
        headers: of the answer.
        is_complete: the end of the body was sent.
        user: who was let in by ``basic_auth``.
        php: what PHP did: request id, thread, worker, memory in bytes, seconds in the queue and in the script.
    """

    __slots__ = (
        "duration_s",
        "headers",
        "is_complete",
        "php",
        "read_bytes",
        "scope",
        "size_bytes",
        "status",
        "time_s",
        "user",
    )

    def __init__(self, scope: Any) -> None:
        self.scope = scope
        self.time_s = 0.0
        self.duration_s = 0.0
        self.status = 0
        self.size_bytes = 0
        self.read_bytes = 0
        self.headers: Headers = ()
        self.is_complete = False
        self.user = ""
        self.php: tuple[int, int, str, int, float, float] | None = None


def _uri(scope: Any) -> str:
    """Give path and query as they were sent."""
    raw = scope.get("raw_path")
    if raw is None:
        raw = scope["path"].encode(errors="surrogateescape")
    query = scope.get("query_string")
    uri: str = (raw + b"?" + query if query else raw).decode("latin-1")
    return uri


def _peer(scope: Any) -> tuple[str, int]:
    """Give address and port of who connected; empty where a socket has none."""
    return _endpoint(scope[_PEER] if _PEER in scope else scope.get("client"))


def _client(scope: Any) -> str:
    """Give the client's address, behind trusted proxies."""
    return _endpoint(scope.get("client"))[0]


def _endpoint(client: tuple[str, int] | None) -> tuple[str, int]:
    address, port = client or ("", 0)
    if address[:7] == "::ffff:":  # IPv4 through a socket for both families
        address = address[7:]
    return address, port or 0


def is_error(entry: AccessEntry) -> bool:
    """Say whether an entry is logged at the level ERROR, as Caddy does."""
    return entry.status >= _ERROR_FROM or not entry.is_complete


def title(name: bytes) -> str:
    """Give a header's name as Go writes it: ``Content-Type``."""
    return b"-".join(part.capitalize() for part in name.split(b"-")).decode("latin-1")


def _shown(name: bytes, value: bytes) -> str:
    return _REDACTED if name.lower() in _SECRET else value.decode("latin-1")


def named(headers: Headers) -> dict[str, list[str]]:
    """Give headers by name, in the order in which they came."""
    fields: dict[str, list[str]] = {}
    for name, value in headers:
        fields.setdefault(title(name), []).append(_shown(name, value))
    return fields


def json_writer(logger: str) -> Callable[[AccessEntry], bytes]:
    """Make the function that writes entries as lines of JSON.

    Args:
        logger: name of the log.
    """
    try:
        from howdah.engine.native import native
    except EngineVersionError:
        return fields_writer(logger)
    head = json_head(logger)
    line = native.access_line

    def write(entry: AccessEntry) -> bytes:
        return line(
            head,
            entry.scope,
            entry.headers,
            entry.status,
            entry.is_complete,
            entry.size_bytes,
            entry.read_bytes,
            entry.user,
            entry.time_s,
            entry.duration_s,
            entry.php,
        )

    return write


def json_head(logger: str) -> bytes:
    """Give what stands between the time of a line and its request."""
    return f',"logger":{json.dumps(logger)},"msg":{json.dumps(MESSAGE)}'.encode()


def fields_writer(logger: str) -> Callable[[AccessEntry], bytes]:
    """Make a function that writes the same lines from the fields of entries, where the extension is not built.

    Args:
        logger: name of the log.
    """
    return lambda entry: json.dumps(as_fields(entry, logger), separators=(",", ":")).encode() + b"\n"


def _protocol(scope: Any) -> str:
    version: str = scope["http_version"]
    return version if "." in version else f"{version}.0"


def as_fields(entry: AccessEntry, logger: str) -> dict[str, Any]:
    """Give an entry as nested dictionaries, for filters and for people."""
    scope = entry.scope
    address, port = _peer(scope)
    fields: dict[str, Any] = {
        "level": "error" if is_error(entry) else "info",
        "ts": round(entry.time_s, 7),
        "logger": logger,
        "msg": MESSAGE,
        "request": {
            "remote_ip": address,
            "remote_port": str(port),
            "client_ip": _client(scope),
            "proto": f"HTTP/{_protocol(scope)}",
            "method": scope["method"],
            "host": dict(scope["headers"]).get(b"host", b"").decode("latin-1"),
            "uri": _uri(scope),
            "headers": named(scope["headers"]),
        },
        "bytes_read": entry.read_bytes,
        "user_id": entry.user,
        "duration": round(entry.duration_s, 9),
        "size": entry.size_bytes,
        "status": entry.status,
        "resp_headers": named(entry.headers),
    }
    if entry.php is not None:
        names = ("request_id", "thread", "worker", "memory", "queue", "time")
        fields["php"] = dict(zip(names, entry.php, strict=True))
    if not entry.is_complete:
        fields["cut"] = True
    return fields


def console_line(fields: dict[str, Any]) -> str:
    """Write an entry for people; fields that a filter took out are left out."""
    level, logger = escape(str(fields.get("level", ""))).upper(), escape(str(fields.get("logger", "")))
    return f"{clock(fields.get('ts', 0.0))} {level} {logger}: {gist(fields)}\n"


def gist(fields: dict[str, Any]) -> str:
    """Write what matters of an entry as ``key=value``; ``cut=1`` says that the answer was not completed."""
    request, php = fields.get("request", {}), fields.get("php", {})
    parts = [
        f"{label}={_word(holder[name])}"
        for label, holder, name in (
            ("remote", request, "remote_ip"),
            ("method", request, "method"),
            ("host", request, "host"),
            ("uri", request, "uri"),
            ("status", fields, "status"),
            ("bytes", fields, "size"),
        )
        if name in holder
    ]
    if "duration" in fields:
        parts.append(f"ms={fields['duration'] * 1000:.1f}")
    for label, value in (
        ("user", fields.get("user_id")),
        ("thread", php.get("thread")),
        ("worker", php.get("worker")),
        ("memory", php.get("memory")),
        ("cut", int(fields.get("cut", False))),
    ):
        if value or (label == "thread" and value is not None):
            parts.append(f"{label}={_word(value)}")
    return " ".join(parts)


def _word(value: Any) -> str:
    """Write a value so that it is one word of one line: nobody can forge an entry by an address."""
    text = str(value)
    if not (text.isascii() and text.isprintable()):
        text = text.encode("unicode_escape").decode("ascii")
    return text.replace('"', "%22").replace(" ", "%20") or "-"
