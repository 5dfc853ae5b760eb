"""Which placeholders exist, so that a misspelt one is found when the configuration is read and not in production.

Only names are checked here; what they stand for is known to who serves requests.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping

from howdah.config.dispenser import Dispenser
from howdah.config.lexer import Token

# Short names, and the beginnings of short names.
SHORT = frozenset(
    {
        *("%path", "%query", "%uri", "?query", "client_ip", "dir", "file", "file.base", "file.ext", "host", "hostport"),
        *("method", "orig_dir", "orig_file", "orig_method", "orig_path", "orig_query", "orig_uri"),
        *("path", "port", "query", "remote", "remote_host", "remote_port", "scheme", "uri", "uuid"),
        *("file.relative", "file.absolute", "file.type", "file.remainder", "file.size"),
    }
)
SHORT_FAMILIES = ("cookie.", "err.", "file_match.", "header.", "labels.", "path.", "query.", "re.", "vars.")

FULL = frozenset(
    {
        "http.auth.user.id",
        *(f"http.request.{name}" for name in ("host", "hostport", "method", "port", "proto", "scheme", "uuid")),
        *(f"http.request.local{part}" for part in ("", ".host", ".port")),
        *(f"http.request.remote{part}" for part in ("", ".host", ".port")),
        *(f"http.request.uri{part}" for part in ("", "_escaped", ".path", ".path_escaped", ".query", ".query_escaped")),
        *(f"http.request.uri.{part}" for part in ("path.dir", "path.file", "path.file.base", "path.file.ext")),
        "http.request.uri.prefixed_query",
        "http.request.orig_method",
        *(f"http.request.orig_uri{part}" for part in ("", ".path", ".path.dir", ".path.file", ".query")),
        "http.request.orig_uri.prefixed_query",
        *(f"system.{name}" for name in ("arch", "hostname", "os", "slash", "tmp_dir", "wd")),
        *(f"time.now{part}" for part in ("", ".common_log", ".http", ".unix", ".unix_ms", ".year")),
    }
)
FAMILIES = (
    "env.",
    "http.error.",
    "http.matchers.file.",
    "http.regexp.",
    "http.request.cookie.",
    "http.request.header.",
    "http.request.tls.",
    "http.request.uri.query.",
    "http.vars.",
)
# Families whose names are numbers: parts of the path, labels of the host.
_NUMBERED = ("http.request.host.labels.", "http.request.uri.path.", "labels.", "path.")

_PLACEHOLDER = re.compile(r"(\\[{}])|\{([%?]?[A-Za-z_][\w.-]*(?:/[^{}\s]*)?)\}")
_ENVIRONMENT = re.compile(r"(?<!\\)\{env\.([\w.-]+)\}")


def is_placeholder(name: str) -> bool:
    """Tell whether a name, without its braces, is one of a placeholder."""
    if name in SHORT or name in FULL:
        return True
    for family in _NUMBERED:
        if name.startswith(family):
            return name[len(family) :].isdigit()
    if name.startswith("file./"):
        return True
    return any(name.startswith(family) and len(name) > len(family) for family in (*FAMILIES, *SHORT_FAMILIES))


def has_placeholder(text: str) -> bool:
    """Tell whether a text must be filled in for each request."""
    return "{" in text and any(found[2] and is_placeholder(found[2]) for found in _PLACEHOLDER.finditer(text))


def fill_environment(text: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Put variables of the server's environment in for ``{env.NAME}``.

    Returns:
        The text, and the name of a variable that is not set, whose placeholder stays; empty if all are.
    """
    missing = ""

    def fill(found: re.Match[str]) -> str:
        nonlocal missing
        value = environ.get(found[1])
        if value is None:
            missing = found[1]
        return found[0] if value is None else value

    return _ENVIRONMENT.sub(fill, text), missing


def check_placeholders(line: Dispenser, token: Token, warn: Callable[[Token, str], None] | None) -> None:
    """Check the placeholders of a text.

    Args:
        line: the directive.
        token: the text.
        warn: told about names that do not exist; None makes them errors.

    Raises:
        ConfigError: a placeholder does not exist, and nobody wants to be warned instead.
    """
    if "{" not in token.text:
        return
    for found in _PLACEHOLDER.finditer(token.text):
        name: str | None = found[2]
        if name is None or is_placeholder(name):
            continue
        message = _missing(name)
        if warn is None:
            raise line.error(message, token)
        warn(token, f"{message}; it stays as it is")


def _missing(name: str) -> str:
    near = difflib.get_close_matches(name, [*SHORT, *FULL, *FAMILIES, *SHORT_FAMILIES], n=1, cutoff=0.7)
    if not near:
        return f"there is no placeholder {{{name}}}; write \\{{ for the brace itself"
    example = f"{near[0]}<name>" if near[0].endswith(".") else near[0]
    return f"there is no placeholder {{{name}}}; did you mean {{{example}}}?"
