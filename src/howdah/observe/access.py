"""Access log entries: what is known of an answered request, and how it is written.

Field names are Caddy's, with a ``php`` object more. A line is made as soon as its request has ended, while all it
needs is in the processor's cache; on the log thread it would cost twice as much. Headers come again and again, so
their text is remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from howdah.observe.records import clock
from howdah.observe.text import escape, quote_ascii, to_json

Headers = Sequence[tuple[bytes, bytes]]

MESSAGE = "handled request"
_ERROR_FROM = 400
# Values of these headers are keys to somebody's account.
_SECRET = frozenset({b"cookie", b"set-cookie", b"authorization", b"proxy-authorization"})
_REDACTED = "REDACTED"
# Who connected, where a trusted proxy has told of another client.
_PEER = "howdah.peer"
_REMEMBERED = 4096
_LONGEST_REMEMBERED = 256


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

    def uri(self) -> str:
        """Give path and query as they were sent."""
        scope = self.scope
        raw = scope.get("raw_path")
        if raw is None:
            raw = scope["path"].encode(errors="surrogateescape")
        query = scope.get("query_string")
        uri: str = (raw + b"?" + query if query else raw).decode("latin-1")
        return uri

    def peer(self) -> tuple[str, int]:
        """Give address and port of who connected; empty where a socket has none."""
        scope = self.scope
        return _endpoint(scope[_PEER] if _PEER in scope else scope.get("client"))

    def client(self) -> str:
        """Give the client's address, behind trusted proxies."""
        return _endpoint(self.scope.get("client"))[0]


def _endpoint(client: tuple[str, int] | None) -> tuple[str, int]:
    address, port = client or ("", 0)
    if address[:7] == "::ffff:":  # IPv4 through a socket for both families
        address = address[7:]
    return address, port or 0


def is_error(entry: AccessEntry) -> bool:
    """Say whether an entry is logged at the level ERROR, as Caddy does."""
    return entry.status >= _ERROR_FROM or not entry.is_complete


class HeaderWriter:
    """Writes headers as a JSON object of lists; remembers the text of pairs that it has seen."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, bytes], str] = {}

    def write(self, headers: Headers, names: int) -> str:
        """Give the object's inside, without braces.

        Args:
            headers: in the order in which they came.
            names: number of different names; where it differs, values of one name are put together.
        """
        if names != len(headers):
            return ",".join(f"{quote_ascii(name)}:{to_json(values)}" for name, values in named(headers).items())
        known = self._known
        try:
            return ",".join([known[pair] for pair in headers])
        except KeyError:
            return ",".join([known.get(pair) or self._learn(pair) for pair in headers])
        except TypeError:  # ASGI allows lists for pairs, too
            return self.write([(name, value) for name, value in headers], names)

    def _learn(self, pair: tuple[bytes, bytes]) -> str:
        name, value = pair
        text = f"{quote_ascii(title(name))}:[{quote_ascii(_shown(name, value))}]"
        if len(value) <= _LONGEST_REMEMBERED:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[pair] = text
        return text


def title(name: bytes) -> str:
    """Give a header's name as Go writes it: ``Content-Type``."""
    return "-".join(part.capitalize() for part in name.decode("latin-1").split("-"))


def _shown(name: bytes, value: bytes) -> str:
    return _REDACTED if name.lower() in _SECRET else value.decode("latin-1")


def named(headers: Headers) -> dict[str, list[str]]:
    """Give headers by name, in the order in which they came."""
    fields: dict[str, list[str]] = {}
    for name, value in headers:
        fields.setdefault(title(name), []).append(_shown(name, value))
    return fields


def json_writer(logger: str) -> Callable[[AccessEntry], str]:
    """Make the function that writes entries as lines of JSON.

    Args:
        logger: name of the log.
    """
    write_headers = HeaderWriter().write
    info, error = (f'{{"level":"{level}","ts":' for level in ("info", "error"))
    middle = f',"logger":{quote_ascii(logger)},"msg":"{MESSAGE}","request":{{"remote_ip":'

    def write(entry: AccessEntry) -> str:
        scope = entry.scope
        headers = scope["headers"]
        by_name = dict(headers)
        host = by_name.get(b"host", b"").decode("latin-1")
        address, port = entry.peer()
        remote = quote_ascii(address)
        client = quote_ascii(entry.client()) if _PEER in scope else remote
        status, answer = entry.status, entry.headers
        return (
            f"{info if entry.is_complete and status < _ERROR_FROM else error}{entry.time_s:.7f}{middle}{remote}"
            f',"remote_port":"{port}","client_ip":{client},"proto":"HTTP/{_protocol(scope)}"'
            f',"method":{quote_ascii(scope["method"])},"host":{quote_ascii(host)},"uri":{quote_ascii(entry.uri())}'
            f',"headers":{{{write_headers(headers, len(by_name))}}}}},"bytes_read":{entry.read_bytes}'
            f',"user_id":{quote_ascii(entry.user)},"duration":{entry.duration_s:.9f},"size":{entry.size_bytes}'
            f',"status":{status},"resp_headers":{{{write_headers(answer, len(dict(answer)))}}}{_end(entry)}'
        )

    return write


def _end(entry: AccessEntry) -> str:
    cut = "" if entry.is_complete else ',"cut":true'
    if entry.php is None:
        return cut + "}\n"
    request_id, thread, worker, memory_bytes, queue_s, php_s = entry.php
    return (
        f',"php":{{"request_id":{request_id},"thread":{thread},"worker":{quote_ascii(worker)}'
        f',"memory":{memory_bytes},"queue":{queue_s:.6f},"time":{php_s:.6f}}}{cut}}}\n'
    )


def _protocol(scope: Any) -> str:
    version: str = scope["http_version"]
    return version if "." in version else f"{version}.0"


def as_fields(entry: AccessEntry, logger: str) -> dict[str, Any]:
    """Give an entry as nested dictionaries, for filters and for people."""
    scope = entry.scope
    address, port = entry.peer()
    fields: dict[str, Any] = {
        "level": "error" if is_error(entry) else "info",
        "ts": round(entry.time_s, 7),
        "logger": logger,
        "msg": MESSAGE,
        "request": {
            "remote_ip": address,
            "remote_port": str(port),
            "client_ip": entry.client(),
            "proto": f"HTTP/{_protocol(scope)}",
            "method": scope["method"],
            "host": dict(scope["headers"]).get(b"host", b"").decode("latin-1"),
            "uri": entry.uri(),
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
