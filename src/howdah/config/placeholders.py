"""Which placeholders exist, so that a misspelt one is found when the configuration is read and not in production.

Only names are checked here; what they stand for is known to who serves requests.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable

from howdah.config.dispenser import Dispenser
from howdah.config.lexer import Token

# Short names and what they are short for.
SHORTHANDS = {
    "cookie.*": "http.request.cookie.*",
    "client_ip": "http.vars.client_ip",
    "dir": "http.request.uri.path.dir",
    "err.*": "http.error.*",
    "file": "http.request.uri.path.file",
    "file.*": "http.matchers.file.*",
    "file_match.*": "http.matchers.file.*",
    "header.*": "http.request.header.*",
    "host": "http.request.host",
    "hostport": "http.request.hostport",
    "labels.*": "http.request.host.labels.*",
    "method": "http.request.method",
    "orig_method": "http.request.orig_method",
    "orig_uri": "http.request.orig_uri",
    "orig_path": "http.request.orig_uri.path",
    "orig_dir": "http.request.orig_uri.path.dir",
    "orig_file": "http.request.orig_uri.path.file",
    "orig_query": "http.request.orig_uri.query",
    "path": "http.request.uri.path",
    "path.*": "http.request.uri.path.*",
    "port": "http.request.port",
    "query": "http.request.uri.query",
    "query.*": "http.request.uri.query.*",
    "re.*": "http.regexp.*",
    "remote": "http.request.remote",
    "remote_host": "http.request.remote.host",
    "remote_port": "http.request.remote.port",
    "resp.*": "http.intercept.*",
    "scheme": "http.request.scheme",
    "uri": "http.request.uri",
    "vars.*": "http.vars.*",
}
# Whole names, or all names below one that ends in a dot.
FULL_NAMES = (
    "env.",
    "http.error.",
    "http.matchers.file.",
    "http.regexp.",
    "http.request.",
    "http.vars.",
    "system.hostname",
    "system.wd",
    "time.now",
    "time.now.",
)

_PLACEHOLDER = re.compile(r"(\\?)\{([A-Za-z_][\w.-]*)(?::[^{}]*)?\}")
_LATER = {
    "upstream_hostport": "there is no reverse_proxy",
    "tls_": "client certificates are not passed on yet",
}


def is_placeholder(name: str) -> bool:
    """Tell whether a name, without its braces, is one of a placeholder."""
    head, dot, _ = name.partition(".")
    if name in SHORTHANDS or (dot and f"{head}.*" in SHORTHANDS):
        return True
    return any(name == full or (full.endswith(".") and name.startswith(full)) for full in FULL_NAMES)


def has_placeholder(text: str) -> bool:
    """Tell whether a text must be filled in for each request."""
    return any(not found[1] and is_placeholder(found[2]) for found in _PLACEHOLDER.finditer(text))


def check_placeholders(line: Dispenser, token: Token, warn: Callable[[Token, str], None] | None) -> None:
    """Check the placeholders of a text.

    Args:
        line: the directive.
        token: the text.
        warn: told about names that do not exist; None makes them errors.

    Raises:
        ConfigError: a placeholder does not exist, and nobody wants to be warned instead.
    """
    for found in _PLACEHOLDER.finditer(token.text):
        name: str = found[2]
        if found[1] or is_placeholder(name):
            continue
        message = _missing(name)
        if warn is None:
            raise line.error(message, token)
        warn(token, f"{message}; it stays as it is")


def _missing(name: str) -> str:
    for prefix, reason in _LATER.items():
        if name.startswith(prefix):
            return f"{{{name}}} is not supported: {reason}"
    near = difflib.get_close_matches(name, [*SHORTHANDS, *FULL_NAMES], n=1, cutoff=0.7)
    question = f"; did you mean {{{near[0]}}}?" if near else "; write \\{ for the brace itself"
    return f"there is no placeholder {{{name}}}{question}"
