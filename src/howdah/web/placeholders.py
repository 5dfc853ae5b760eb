"""Placeholders such as ``{path}`` or ``{http.request.header.Accept}`` in texts of the configuration.

A text is compiled once into a function of the request. Names are resolved then, too, so that a request
pays only for looking its values up. Short names are understood everywhere, as in a Caddyfile.
"""

from __future__ import annotations

import os
import platform
import re
import socket
import tempfile
import time
import uuid
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from urllib.parse import parse_qsl, unquote_to_bytes

from howdah.cgi.variables import split_host
from howdah.errors import ConfigError
from howdah.web.request import HttpRequest, bytes_of, text_of

Text = Callable[[HttpRequest], str]

_PLACEHOLDER = re.compile(r"\\[{}]|\{([%?]?[A-Za-z_][\w.-]*(?:/[^{}\s]*)?)\}")
_LARGEST_FILE_BYTES = 1024 * 1024

_SHORT = {
    "dir": "http.request.uri.path.dir",
    "file": "http.request.uri.path.file",
    "file.base": "http.request.uri.path.file.base",
    "file.ext": "http.request.uri.path.file.ext",
    "host": "http.request.host",
    "hostport": "http.request.hostport",
    "port": "http.request.port",
    "method": "http.request.method",
    "orig_method": "http.request.orig_method",
    "orig_uri": "http.request.orig_uri",
    "orig_path": "http.request.orig_uri.path",
    "orig_dir": "http.request.orig_uri.path.dir",
    "orig_file": "http.request.orig_uri.path.file",
    "orig_query": "http.request.orig_uri.query",
    "path": "http.request.uri.path",
    "%path": "http.request.uri.path_escaped",
    "query": "http.request.uri.query",
    "%query": "http.request.uri.query_escaped",
    "?query": "http.request.uri.prefixed_query",
    "uri": "http.request.uri",
    "%uri": "http.request.uri_escaped",
    "remote": "http.request.remote",
    "remote_host": "http.request.remote.host",
    "remote_port": "http.request.remote.port",
    "client_ip": "http.vars.client_ip",
    "scheme": "http.request.scheme",
    "uuid": "http.request.uuid",
}
_SHORT_PREFIXES = (
    ("path.", "http.request.uri.path."),
    ("labels.", "http.request.host.labels."),
    ("header.", "http.request.header."),
    ("cookie.", "http.request.cookie."),
    ("query.", "http.request.uri.query."),
    ("vars.", "http.vars."),
    ("re.", "http.regexp."),
    ("err.", "http.error."),
    ("file_match.", "http.matchers.file."),
)
_FOUND_FILE = frozenset({"relative", "absolute", "type", "remainder", "size"})


def full_name(name: str) -> str:
    """Give the long form of a placeholder's name."""
    if name in _SHORT:
        return _SHORT[name]
    for prefix, full in _SHORT_PREFIXES:
        if name.startswith(prefix):
            return full + name[len(prefix) :]
    if name.startswith("file.") and name[5:] in _FOUND_FILE:
        return "http.matchers." + name
    return name


def has_placeholders(text: str) -> bool:
    """Tell whether a text depends on the request."""
    return any(found[1] is not None and find_getter(found[1]) for found in _PLACEHOLDER.finditer(text))


def split_text(text: str) -> list[tuple[bool, str]]:
    """Split a text into literal parts and names of placeholders: (is a name, part)."""
    parts: list[tuple[bool, str]] = []
    end = 0
    literal = ""
    for found in _PLACEHOLDER.finditer(text):
        literal += text[end : found.start()]
        end = found.end()
        if found[1] is None:
            literal += found[0][1]
            continue
        if literal:
            parts.append((False, literal))
            literal = ""
        parts.append((True, found[1]))
    literal += text[end:]
    if literal:
        parts.append((False, literal))
    return parts


def split_at(text: str, mark: str) -> tuple[str, str | None]:
    """Split a text at the first mark that stands in no placeholder; None when there is no mark."""
    depth = 0
    for position, character in enumerate(text):
        if character == mark and depth == 0:
            return text[:position], text[position + 1 :]
        depth += (character == "{") - (character == "}" and depth > 0)
    return text, None


def compile_text(text: str) -> Text:
    r"""Compile a text; a brace is written as ``\{``, and what is no placeholder stays as it is."""
    pieces: list[str | Text] = []
    for is_name, part in split_text(text):
        if not is_name:
            pieces.append(part)
            continue
        pieces.append(find_getter(part) or "{" + part + "}")
    if all(isinstance(piece, str) for piece in pieces):
        constant = "".join(piece for piece in pieces if isinstance(piece, str))
        return lambda request: constant
    if len(pieces) == 1 and not isinstance(pieces[0], str):
        return pieces[0]
    return lambda request: "".join([piece if isinstance(piece, str) else piece(request) for piece in pieces])


def find_getter(name: str) -> Text | None:
    """Give the function that looks a placeholder up, or None for a name that nobody knows."""
    name = full_name(name)
    known = _FIXED.get(name)
    if known is not None:
        return known
    for prefix, make in _FAMILIES:
        if name.startswith(prefix):
            return make(name[len(prefix) :])
    return None


# -- the request ------------------------------------------------------------------------------------


def _uri(request: HttpRequest) -> str:
    return text_of(request.raw_path + b"?" + request.query if request.query else request.raw_path)


def _prefixed(query: bytes) -> str:
    return "?" + text_of(query) if query else ""


def _original_path(request: HttpRequest) -> str:
    return text_of(unquote_to_bytes(request.original_raw_path))


def _original_query(request: HttpRequest) -> bytes:
    query: bytes = request.original.get("query_string", b"")
    return query


def _folder(path: str) -> str:
    return path[: path.rfind("/") + 1]


def _name(path: str) -> str:
    return path[path.rfind("/") + 1 :]


def _base(path: str) -> str:
    name = _name(path)
    dot = name.rfind(".")
    return name[:dot] if dot > 0 else name


def _extension(path: str) -> str:
    name = _name(path)
    dot = name.rfind(".")
    return name[dot:] if dot > 0 else ""


def _port(request: HttpRequest) -> str:
    scheme = request.scope.get("scheme", "http").encode()
    return text_of(split_host(bytes_of(request.headers.get("host", "")), scheme)[1])


def _remote(request: HttpRequest) -> str:
    address, port = request.peer
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _local(request: HttpRequest) -> tuple[str, str]:
    host, port = request.scope.get("server") or ("", None)
    return host, "" if port is None else str(port)


def _protocol(request: HttpRequest) -> str:
    version = request.scope.get("http_version", "1.1")
    return f"HTTP/{version}.0" if version in {"1", "2", "3"} else f"HTTP/{version}"


def _now() -> time.struct_time:
    return time.localtime()


def _error(name: str) -> Text:
    def get(request: HttpRequest) -> str:
        error = request.error
        return "" if error is None else error.value(name)

    return get


def _client(request: HttpRequest) -> str:
    return request.client[0]


_FIXED: dict[str, Text] = {
    "http.request.host": lambda request: request.host,
    "http.request.hostport": lambda request: request.headers.get("host", ""),
    "http.request.port": _port,
    "http.request.method": lambda request: request.method,
    "http.request.orig_method": lambda request: str(request.original["method"]),
    "http.request.orig_uri": lambda request: text_of(request.original_uri),
    "http.request.orig_uri.path": _original_path,
    "http.request.orig_uri.path.dir": lambda request: _folder(_original_path(request)),
    "http.request.orig_uri.path.file": lambda request: _name(_original_path(request)),
    "http.request.orig_uri.query": lambda request: text_of(_original_query(request)),
    "http.request.orig_uri.prefixed_query": lambda request: _prefixed(_original_query(request)),
    "http.request.uri": _uri,
    "http.request.uri_escaped": _uri,
    "http.request.uri.path": lambda request: request.path,
    "http.request.uri.path_escaped": lambda request: text_of(request.raw_path),
    "http.request.uri.path.dir": lambda request: _folder(request.path),
    "http.request.uri.path.file": lambda request: _name(request.path),
    "http.request.uri.path.file.base": lambda request: _base(request.path),
    "http.request.uri.path.file.ext": lambda request: _extension(request.path),
    "http.request.uri.query": lambda request: text_of(request.query),
    "http.request.uri.query_escaped": lambda request: text_of(request.query),
    "http.request.uri.prefixed_query": lambda request: _prefixed(request.query),
    "http.request.remote": _remote,
    "http.request.remote.host": lambda request: request.peer[0],
    "http.request.remote.port": lambda request: str(request.peer[1] or ""),
    "http.request.local": lambda request: ":".join(_local(request)),
    "http.request.local.host": lambda request: _local(request)[0],
    "http.request.local.port": lambda request: _local(request)[1],
    "http.request.scheme": lambda request: str(request.scope.get("scheme", "http")),
    "http.request.proto": _protocol,
    "http.request.uuid": lambda request: request.values.setdefault("uuid", str(uuid.uuid4())),
    "http.vars.root": lambda request: request.root,
    "http.vars.client_ip": _client,
    "http.auth.user.id": lambda request: request.user,
    "system.hostname": lambda request: socket.gethostname(),
    "system.slash": lambda request: "/",
    "system.os": lambda request: platform.system().lower(),
    "system.arch": lambda request: platform.machine(),
    "system.wd": lambda request: str(Path.cwd()),
    "system.tmp_dir": lambda request: tempfile.gettempdir(),
    "time.now": lambda request: time.strftime("%Y-%m-%d %H:%M:%S %z %Z", _now()),
    "time.now.http": lambda request: formatdate(usegmt=True),
    "time.now.common_log": lambda request: time.strftime("%d/%b/%Y:%H:%M:%S %z", _now()),
    "time.now.year": lambda request: str(_now().tm_year),
    "time.now.unix": lambda request: str(int(time.time())),
    "time.now.unix_ms": lambda request: str(time.time_ns() // 1_000_000),
}


# -- families ---------------------------------------------------------------------------------------


def _header(name: str) -> Text:
    key = name.lower()
    return lambda request: request.headers.get(key, "")


def _cookie(name: str) -> Text:
    def get(request: HttpRequest) -> str:
        for pair in request.headers.get("cookie", "").split(";"):
            key, _, value = pair.strip().partition("=")
            if key == name:
                return value.strip('"')
        return ""

    return get


def query_values(request: HttpRequest, name: str) -> list[str]:
    """Give the values of a query parameter, decoded."""
    pairs = parse_qsl(text_of(request.query), keep_blank_values=True, errors="surrogateescape")
    return [value for key, value in pairs if key == name]


def _segment(text: str) -> Text | None:
    if not text.isdigit():
        return None
    number = int(text)

    def get(request: HttpRequest) -> str:
        segments = request.path.strip("/").split("/")
        return segments[number] if number < len(segments) else ""

    return get


def _label(text: str) -> Text | None:
    if not text.isdigit():
        return None
    number = int(text)

    def get(request: HttpRequest) -> str:
        labels = request.host.split(".")
        return labels[-1 - number] if number < len(labels) else ""

    return get


def _environment(name: str) -> Text:
    value = os.environ.get(name, "")  # fixed: Howdah never writes the process's environment
    return lambda request: value


def _content(path: str) -> Text | None:
    """Give the content of a file, without the newline at its end, as it was when the server started."""
    if not path.startswith("/"):
        return None
    try:
        with Path(path).open("rb") as file:
            data = file.read(_LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{{file.{path}}} cannot be read: {error.strerror}") from None
    if len(data) > _LARGEST_FILE_BYTES:
        raise ConfigError(f"{{file.{path}}} is larger than 1 MiB, which is too much for a placeholder")
    value = text_of(data).removesuffix("\n")
    return lambda request: value


def _value(prefix: str) -> Callable[[str], Text]:
    def make(name: str) -> Text:
        key = prefix + name
        return lambda request: request.values.get(key, "")

    return make


_FAMILIES: tuple[tuple[str, Callable[[str], Text | None]], ...] = (
    ("http.request.header.", _header),
    ("http.request.cookie.", _cookie),
    ("http.request.uri.query.", lambda name: lambda request: ",".join(query_values(request, name))),
    ("http.request.uri.path.", _segment),
    ("http.request.host.labels.", _label),
    ("http.request.tls.", lambda name: lambda request: ""),
    ("http.vars.", lambda name: lambda request: request.variables.get(name, "")),
    ("http.regexp.", _value("re.")),
    ("http.matchers.file.", _value("file.")),
    ("http.error.", _error),
    ("env.", _environment),
    ("file.", _content),
)
