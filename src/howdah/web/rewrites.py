"""``rewrite``, ``uri``, ``try_files`` and ``method``: steps that give a request another address inside the site.

What a client sees does not change: REQUEST_URI keeps the address as it came.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote_from_bytes, unquote_to_bytes

from howdah.cgi.paths import normalize_path
from howdah.config.http import Rewrite, TryFiles
from howdah.web.filematch import FileFinder, Found, note
from howdah.web.matchers import compile_regexp, expander
from howdah.web.placeholders import Text, compile_text, full_name, split_at, split_text
from howdah.web.request import PATH_SAFE, HttpRequest, bytes_of, quote_path, text_of

Change = Callable[[HttpRequest], None]

# Placeholders that are percent-encoded already; the values of all others are encoded when they are put into a path.
_ENCODED = frozenset(
    {
        "http.request.uri",
        "http.request.uri_escaped",
        "http.request.uri.path_escaped",
        "http.request.uri.query",
        "http.request.uri.query_escaped",
        "http.request.uri.prefixed_query",
        "http.request.orig_uri",
        "http.request.orig_uri.query",
        "http.request.orig_uri.prefixed_query",
    }
)
_PATH = "http.request.uri.path"
_QUERY_SAFE = PATH_SAFE + "?%"
_BARE_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def compile_rewrite(action: Rewrite) -> Change:
    """Compile ``rewrite``, ``method`` or ``uri``.

    Raises:
        ConfigError: a regular expression is not valid.
    """
    changes: list[Change] = []
    if action.method:
        method = compile_text(action.method)
        changes.append(lambda request: request.change("method", method(request).upper()))
    if action.to:
        changes.append(_compile_to(action.to))
    if action.strip_prefix:
        changes.append(_compile_strip_prefix(action.strip_prefix))
    if action.strip_suffix:
        changes.append(_compile_strip_suffix(action.strip_suffix))
    changes += [_compile_replace(find, to) for find, to in action.replace]
    changes += [_compile_path_regexp(find, to) for find, to in action.path_regexp]
    if len(changes) == 1:
        return changes[0]

    def change(request: HttpRequest) -> None:
        for one in changes:
            one(request)

    return change


def compile_try_files(action: TryFiles, base: str) -> Change:
    """Compile ``try_files``: the request becomes one for the file that was found.

    Raises:
        ConfigError: an entry cannot be used.
    """
    finder = FileFinder(action.files, None, action.policy, (), base)

    def change(request: HttpRequest) -> None:
        found = finder.find(request)
        if found is not None:
            note(request, found, finder.root_of(request))
            _use(request, found)

    return change


def _use(request: HttpRequest, found: Found) -> None:
    raw_path = quote_path(text_of(found.relative + found.remainder))
    if raw_path != request.raw_path:
        request.set_path(raw_path)
    if found.query is not None:
        request.set_query(_clean_query(found.query))


def _compile_to(to: str) -> Change:
    path_text, query_text = split_at(split_at(to, "#")[0], "?")
    path = _compile_path(path_text) if path_text else None
    query = None if query_text is None else compile_text(query_text)

    def change(request: HttpRequest) -> None:
        new_query = None if query is None else _clean_query(query(request))
        if path is not None:
            new_path, mark, rest = path(request).partition(b"?")
            if mark and new_query is None:  # {uri} brings a query along
                new_query = rest
            request.set_path(new_path if new_path.startswith(b"/") else b"/" + new_path)
        if new_query is not None:
            request.set_query(new_query)

    return change


def _compile_path(text: str) -> Callable[[HttpRequest], bytes]:
    parts: list[bytes | Callable[[HttpRequest], bytes]] = []
    for is_name, part in split_text(text):
        if not is_name:
            parts.append(_escape(bytes_of(part)))
            continue
        name = full_name(part)
        if name == _PATH:  # as it came: what was encoded twice stays so
            parts.append(lambda request: request.raw_path)
        else:
            parts.append(_encoded(compile_text("{" + part + "}"), is_encoded=name in _ENCODED))
    return lambda request: b"".join([part if isinstance(part, bytes) else part(request) for part in parts])


def _encoded(value: Text, *, is_encoded: bool) -> Callable[[HttpRequest], bytes]:
    if is_encoded:
        return lambda request: _escape(bytes_of(value(request)), also="?")
    return lambda request: quote_path(value(request))


def _escape(raw: bytes, also: str = "") -> bytes:
    """Encode what may not stand in an address and leave escapes alone."""
    return quote_from_bytes(_BARE_PERCENT.sub(b"%25", raw), safe=PATH_SAFE + "%" + also).encode("ascii")


def _clean_query(text: str) -> bytes:
    return quote_from_bytes(bytes_of(text), safe=_QUERY_SAFE).encode("ascii")


def _compile_strip_prefix(prefix: str) -> Change:
    wanted = compile_text(prefix)

    def change(request: HttpRequest) -> None:
        strip_prefix(request, wanted(request))

    return change


def strip_prefix(request: HttpRequest, prefix: str) -> None:
    """Take a prefix off the path; what is compared is decoded, what is left keeps its escapes."""
    if not prefix.startswith("/"):
        prefix = "/" + prefix
    raw = request.raw_path
    wanted = bytes_of(prefix)
    end = _encoded_length(raw, len(wanted))
    if unquote_to_bytes(raw[:end]).lower() != wanted.lower():
        # The same path written differently, such as //prefix: what matched it must be stripped, too.
        raw = quote_path(text_of(normalize_path(bytes_of(request.path))))
        while raw.startswith(b"//"):
            raw = raw[1:]
        end = _encoded_length(raw, len(wanted))
        if unquote_to_bytes(raw[:end]).lower() != wanted.lower():
            return
    rest = raw[end:]
    request.set_path(rest if rest.startswith(b"/") else b"/" + rest)


def _encoded_length(raw: bytes, count: int) -> int:
    """Give how many bytes of an encoded path stand for its first ``count`` decoded ones."""
    position = 0
    while count and position < len(raw):
        escaped = raw[position : position + 1] == b"%" and not _BARE_PERCENT.match(raw, position)
        position += 3 if escaped else 1
        count -= 1
    return position


def _compile_strip_suffix(suffix: str) -> Change:
    wanted = compile_text(suffix)

    def change(request: HttpRequest) -> None:
        end = wanted(request)
        path = request.path
        if end and path.lower().endswith(end.lower()):
            request.set_path(quote_path(path[: len(path) - len(end)] or "/"))

    return change


def _compile_replace(find: str, to: str) -> Change:
    old, new = compile_text(find), compile_text(to)

    def change(request: HttpRequest) -> None:
        wanted = old(request)
        if not wanted:
            return
        replacement = bytes_of(new(request))
        raw = bytes_of(wanted)
        if raw in request.raw_path:
            _set_raw_path(request, request.raw_path.replace(raw, replacement))
        if raw in request.query:
            request.set_query(_clean_query(text_of(request.query.replace(raw, replacement))))

    return change


def _compile_path_regexp(find: str, to: str) -> Change:
    pattern = compile_regexp(find)
    template = compile_text(to)

    def change(request: HttpRequest) -> None:
        path = request.path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        if pattern.search(path):
            new = pattern.sub(expander(template(request)), path)
            request.set_path(quote_path(new if new.startswith("/") else "/" + new))

    return change


def _set_raw_path(request: HttpRequest, raw_path: bytes) -> None:
    escaped = _escape(raw_path)
    request.set_path(escaped if escaped.startswith(b"/") else b"/" + escaped)
