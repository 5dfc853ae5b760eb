"""Matchers, compiled from the model to functions of the request.

Patterns of regular expressions run in RE2: its syntax is the one that Caddy has, and no address that a
client makes up can keep it busy, which Python's own engine does not promise.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import re2  # type: ignore[import-untyped] # it ships no types

from howdah.config.http import (
    Condition,
    FileMatch,
    HeaderMatch,
    HostMatch,
    Matcher,
    MethodMatch,
    NotMatch,
    PathMatch,
    ProtocolMatch,
    QueryMatch,
    RegexpMatch,
    RemoteIpMatch,
)
from howdah.errors import ConfigError
from howdah.web.filematch import FileFinder
from howdah.web.placeholders import Text, compile_text, has_placeholders, query_values
from howdah.web.request import HttpRequest

Test = Callable[[HttpRequest], bool]

_CACHED_TEXTS = 1024
_LONGEST_CACHED_TEXT = 512
_REFERENCE = re.compile(r"\$\$|\$\{(\w+)\}|\$(\w+)")
_PRIVATE = ("192.168.0.0/16", "172.16.0.0/12", "10.0.0.0/8", "127.0.0.1/8", "fd00::/8", "::1")


def compile_matcher(matcher: Matcher, base: str) -> Test:
    """Compile a matcher: all of its conditions must hold.

    Args:
        matcher: the model's.
        base: folder of relative file names where the site has no root.

    Raises:
        ConfigError: a regular expression or a network is not valid.
    """
    tests = [compile_condition(condition, base) for condition in matcher.conditions]
    if len(tests) == 1:
        return tests[0]
    # Not all() over a generator, which costs more than most tests.
    if len(tests) == 2:
        first, second = tests
        return lambda request: first(request) and second(request)

    def holds(request: HttpRequest) -> bool:
        for test in tests:  # noqa: SIM110
            if not test(request):
                return False
        return True

    return holds


def is_by_path(matcher: Matcher) -> bool:
    """Say whether the path alone decides, and a matcher that does not take a request leaves no trace in it.

    Regular expressions note their groups even where another condition, or a ``not`` around them, refuses the request.
    """
    if notes_groups(matcher):
        return len(matcher.conditions) == 1 and not _header_of(matcher.conditions[0])
    return all(_is_by_path(condition) for condition in matcher.conditions)


def _is_by_path(condition: Condition) -> bool:
    if isinstance(condition, PathMatch):
        return not any(has_placeholders(pattern) for pattern in condition.patterns)
    return isinstance(condition, NotMatch) and all(is_by_path(one) and not notes_groups(one) for one in condition.sets)


def _header_of(condition: Condition) -> str:
    return condition.header if isinstance(condition, RegexpMatch) else ""


def notes_groups(matcher: Matcher) -> bool:
    """Say whether a matcher notes something of the requests that it takes, for placeholders."""
    return any(isinstance(condition, RegexpMatch) for condition in matcher.conditions)


def compile_condition(condition: Condition, base: str) -> Test:
    """Compile one condition.

    Raises:
        ConfigError: a regular expression or a network is not valid.
    """
    if isinstance(condition, PathMatch):
        return _path(condition)
    if isinstance(condition, RegexpMatch):
        return _regexp(condition)
    if isinstance(condition, HostMatch):
        return _host(condition)
    if isinstance(condition, MethodMatch):
        methods = frozenset(method.upper() for method in condition.methods)
        return lambda request: request.scope["method"] in methods
    if isinstance(condition, HeaderMatch):
        return _header(condition)
    if isinstance(condition, QueryMatch):
        return _query(condition)
    if isinstance(condition, RemoteIpMatch):
        return _remote(condition)
    if isinstance(condition, ProtocolMatch):
        return _protocol(condition.protocol)
    if isinstance(condition, FileMatch):
        return FileFinder(condition.files, condition.root, condition.policy, condition.split, base).find_for
    if isinstance(condition, NotMatch):
        tests = [compile_matcher(matcher, base) for matcher in condition.sets]
        return lambda request: not any(test(request) for test in tests)
    raise ConfigError(f"a matcher of type {type(condition).__name__} is not known")


# -- path -------------------------------------------------------------------------------------------


def _path(condition: PathMatch) -> Test:
    fixed = [pattern.lower() for pattern in condition.patterns if not has_placeholders(pattern)]
    texts = [compile_text(pattern) for pattern in condition.patterns if has_placeholders(pattern)]
    if not texts:
        return _path_condition(_sort_patterns(fixed))
    test = path_test(fixed)

    def matches(request: HttpRequest) -> bool:
        path = request.folded or request.fold_path()
        return test(path) or any(path_test((text(request),))(path) for text in texts)

    return matches


class _Patterns(NamedTuple):
    """Path patterns by their kind."""

    exact: frozenset[str]
    prefixes: tuple[str, ...]
    suffixes: tuple[str, ...]
    inside: tuple[str, ...]
    globs: tuple[Any, ...]

    def match(self, path: str) -> bool:
        if path in self.exact or path.startswith(self.prefixes) or path.endswith(self.suffixes):
            return True
        # Loops, because most sites have neither, and a generator costs more than all the rest.
        for part in self.inside:
            if part in path:
                return True
        for glob in self.globs:  # noqa: SIM110
            if glob.search(_valid(path)):
                return True
        return False


def _path_condition(patterns: _Patterns) -> Test:
    """Give the test of a request; the usual kinds of patterns cost one call."""
    exact, prefixes, suffixes, inside, globs = patterns
    if inside or globs:
        match = patterns.match
        return lambda request: match(request.folded or request.fold_path())
    if not suffixes and not exact:
        return lambda request: (request.folded or request.fold_path()).startswith(prefixes)
    if not suffixes and not prefixes:
        return lambda request: (request.folded or request.fold_path()) in exact

    def matches(request: HttpRequest) -> bool:
        path = request.folded or request.fold_path()
        return path in exact or path.startswith(prefixes) or path.endswith(suffixes)

    return matches


def _sort_patterns(patterns: Iterable[str]) -> _Patterns:
    exact, prefixes, suffixes, inside, globs = set(), [], [], [], []
    for pattern in patterns:
        if pattern == "*":
            prefixes.append("")
        elif _is_plain(pattern):
            exact.add(pattern)
        elif pattern.startswith("*") and pattern.endswith("*") and _is_plain(pattern[1:-1]):
            inside.append(pattern[1:-1])
        elif pattern.endswith("*") and _is_plain(pattern[:-1]):
            prefixes.append(pattern[:-1])
        elif pattern.startswith("*") and _is_plain(pattern[1:]):
            suffixes.append(pattern[1:])
        else:
            globs.append(_glob(pattern))
    return _Patterns(frozenset(exact), tuple(prefixes), tuple(suffixes), tuple(inside), tuple(globs))


@lru_cache(256)
def _path_test(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    return _sort_patterns(patterns).match


def path_test(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Compile path patterns to a test of a folded path.

    A star at one end, or at both, stands for anything; elsewhere it stops at slashes.
    """
    return _path_test(tuple(pattern.lower() for pattern in patterns))


def _is_plain(text: str) -> bool:
    return not any(character in text for character in "*?[")


def _glob(pattern: str) -> Any:
    """Compile a shell pattern whose wildcards do not cross slashes."""
    parts = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        closing = pattern.find("]", position + 1) if character == "[" else -1
        if character == "*":
            parts.append("[^/]*")
        elif character == "?":
            parts.append("[^/]")
        elif closing > position + 1:
            parts.append("[" + pattern[position + 1 : closing].replace("\\", "\\\\") + "]")
            position = closing
        else:
            parts.append(re2.escape(character))
        position += 1
    return compile_regexp("(?s)^" + "".join(parts) + r"\z")


# -- regular expressions ----------------------------------------------------------------------------


def compile_regexp(pattern: str) -> Any:
    """Compile a regular expression.

    Raises:
        ConfigError: its syntax is wrong; the message is RE2's.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        shown = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
        raise ConfigError(f"regular expression {pattern!r} is not valid: {shown}") from None


def expander(template: str) -> Callable[[Any], str]:
    """Compile a replacement, in which ``$1``, ``${1}`` and ``${name}`` are groups and ``$$`` is a dollar sign."""

    def expand(found: Any) -> str:
        def group(reference: re.Match[str]) -> str:
            if reference[0] == "$$":
                return "$"
            name = reference[1] or reference[2]
            key = int(name) if name.isdigit() else name
            known = key <= found.re.groups if isinstance(key, int) else key in found.re.groupindex
            return (found[key] or "") if known else ""

        return _REFERENCE.sub(group, template)

    return expand


def _regexp(condition: RegexpMatch) -> Test:
    compiled = compile_regexp(condition.pattern)
    prefixes = ("re.", f"re.{condition.name}.") if condition.name else ("re.",)

    def search(text: str) -> tuple[tuple[str, str], ...] | None:
        found = compiled.search(_valid(text))
        if found is None:
            return None
        groups = {str(number): found[number] or "" for number in range(compiled.groups + 1)}
        groups.update({name: value or "" for name, value in found.groupdict().items()})
        return tuple((prefix + name, value) for prefix in prefixes for name, value in groups.items())

    cached = lru_cache(_CACHED_TEXTS)(search)
    header = condition.header.lower()

    def matches(request: HttpRequest) -> bool:
        if header:
            if header not in request.headers:
                return False
            text = request.headers[header]
        else:
            text = request.path
        found = cached(text) if len(text) <= _LONGEST_CACHED_TEXT else search(text)
        if found is None:
            return False
        request.values.update(found)
        return True

    return matches


def _valid(text: str) -> str:
    """Replace what is no UTF-8, which RE2 does not take."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


# -- the others -------------------------------------------------------------------------------------


def _host(condition: HostMatch) -> Test:
    fixed = [name for name in condition.names if not has_placeholders(name)]
    test = host_test(fixed)
    texts = [compile_text(name) for name in condition.names if has_placeholders(name)]
    if not texts:
        return lambda request: test(request.host)
    return lambda request: test(request.host) or host_test([text(request) for text in texts])(request.host)


def host_test(names: Iterable[str]) -> Callable[[str], bool]:
    """Compile host names to a test of a lower-case name; a star stands for one label."""
    exact = {name.lower() for name in names if "*" not in name}
    wildcards = [name.lower().split(".") for name in names if "*" in name]

    def matches(host: str) -> bool:
        if host in exact:
            return True
        if not wildcards:
            return False
        labels = host.split(".")
        return any(
            len(labels) == len(wildcard)
            and all(want in ("*", label) for want, label in zip(wildcard, labels, strict=True))
            for wildcard in wildcards
        )

    return matches


def _value_tests(values: Iterable[str]) -> list[Callable[[HttpRequest, str], bool]]:
    return [_value_test(value) for value in values]


def _value_test(value: str) -> Callable[[HttpRequest, str], bool]:
    if value == "*":
        return lambda request, text: True
    starts, ends = value.endswith("*"), value.startswith("*")
    wanted: Text = compile_text(value[ends : len(value) - starts])
    if starts and ends:
        return lambda request, text: wanted(request) in text
    if starts:
        return lambda request, text: text.startswith(wanted(request))
    if ends:
        return lambda request, text: text.endswith(wanted(request))
    return lambda request, text: text == wanted(request)


def _header(condition: HeaderMatch) -> Test:
    name = condition.name.lower().encode("latin-1", "replace")
    if condition.absent:
        return lambda request: not request.has_field(name)
    if not condition.values:
        return lambda request: request.has_field(name)
    tests = _value_tests(condition.values)

    def matches(request: HttpRequest) -> bool:
        # Each field by itself: joined ones would not equal any of their values.
        for key, raw_value in request.scope["headers"]:
            if key == name:
                value = raw_value.decode("utf-8", "surrogateescape")
                if any(test(request, value) for test in tests):
                    return True
        return False

    return matches


def _query(condition: QueryMatch) -> Test:
    if not condition.name:
        return lambda request: not request.query
    name = compile_text(condition.name)
    if not condition.values or "*" in condition.values:
        return lambda request: bool(query_values(request, name(request)))
    wanted = [compile_text(value) for value in condition.values]

    def matches(request: HttpRequest) -> bool:
        values = query_values(request, name(request))
        return bool(values) and any(text(request) in values for text in wanted)

    return matches


def compile_networks(networks: Iterable[str]) -> Callable[[str], bool]:
    """Compile networks to a test of an address; ``private_ranges`` stands for the private networks.

    Raises:
        ConfigError: one is neither a network nor an address.
    """
    known = []
    for text in networks:
        for item in _PRIVATE if text == "private_ranges" else (text,):
            try:
                known.append(ipaddress.ip_network(item, strict=False))
            except ValueError:
                raise ConfigError(f"{item!r} is no network; write it as 10.0.0.0/8 or 2001:db8::/32") from None

    @lru_cache(_CACHED_TEXTS)
    def contains(address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(parsed.version == network.version and parsed in network for network in known)

    return contains


def _remote(condition: RemoteIpMatch) -> Test:
    contains = compile_networks(condition.networks)
    if condition.client_ip:
        return lambda request: contains(request.client[0])
    return lambda request: contains(request.peer[0])


def _protocol(protocol: str) -> Test:
    protocol = protocol.lower()
    if protocol in {"http", "https"}:
        return lambda request: request.scope.get("scheme", "http") == protocol
    if protocol == "grpc":
        return lambda request: request.headers.get("content-type", "").startswith("application/grpc")
    name, _, version = protocol.partition("/")
    at_least = version.endswith("+")
    version = version.removesuffix("+")
    number = _version(version)
    if name != "http" or number is None:
        raise ConfigError(
            f"protocol {protocol!r} is not known; there are http, https, grpc, http/1.0, http/1.1, http/2 and http/3",
            directive="protocol",
        )
    if at_least:
        return lambda request: (_version(request.scope.get("http_version", "1.1")) or 0.0) >= number
    return lambda request: _version(request.scope.get("http_version", "1.1")) == number


def _version(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
