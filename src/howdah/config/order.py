"""The order in which the directives of a site act, whatever the order of its lines.

Caddy's order, with Howdah's own directives where they belong; the global option ``order`` changes it. Knows only
names and matchers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from howdah.config.http import PathMatch, Step

DIRECTIVE_ORDER: tuple[str, ...] = (
    "vars",
    "root",
    "header",
    "request_body",
    "redir",
    "method",
    "rewrite",
    "uri",
    "try_files",
    "basic_auth",
    "request_header",
    "encode",
    "x_sendfile",
    "handle",
    "route",
    "abort",
    "error",
    "respond",
    "metrics",
    "asgi",
    "wsgi",
    "php",
    "php_server",
    "file_server",
)

# Of several directives of one such name in one block only the first that matches is done.
GROUPED = frozenset({"root", "rewrite", "handle"})
# They sort like another one.
ALIASES = {"handle_path": "handle", "basicauth": "basic_auth"}


class Placed(NamedTuple):
    """Steps that one directive became."""

    directive: str
    steps: tuple[Step, ...]


class _Key(NamedTuple):
    """What the order of directives of one name depends on."""

    has_matcher: bool
    path: str
    prefix: str


def sort_directives(placed: Sequence[Placed], order: Sequence[str]) -> list[Placed]:
    """Sort the directives of a block: by the order of names, then the more specific matcher first.

    Of two directives of one name with one path each the longer path comes first, but ``/a`` before ``/a*``; one with
    a matcher comes before one without. ``vars`` is the other way round, so that the most specific one has the last
    word. Otherwise the order of the lines stays.
    """
    by_name: dict[str, list[Placed]] = {}
    for one in placed:
        by_name.setdefault(one.directive, []).append(one)
    positions = {name: index for index, name in enumerate(order)}
    result: list[Placed] = []
    for name in sorted(by_name, key=positions.__getitem__):
        group = by_name[name]
        result += group if len(group) == 1 else _sort_group(group, reverse=name == "vars")
    return result


def _sort_group(group: Sequence[Placed], *, reverse: bool) -> list[Placed]:
    """Sort directives of one name as Caddy's library does.

    The comparison is not transitive (a path and a method neither precede nor follow each other), so the result depends
    on the way of sorting: runs of 20 by insertion, then merged.
    """
    keyed = [(_key(one), one) for one in group]
    runs = [_insert(keyed[start : start + 20], reverse) for start in range(0, len(keyed), 20)]
    while len(runs) > 1:
        pairs = [runs[index : index + 2] for index in range(0, len(runs), 2)]
        runs = [_merge(pair[0], pair[1], reverse) if len(pair) == 2 else pair[0] for pair in pairs]
    return [one for _, one in runs[0]]


def _insert(items: list[tuple[_Key, Placed]], reverse: bool) -> list[tuple[_Key, Placed]]:
    for start in range(1, len(items)):
        index = start
        while index and _precedes(items[index][0], items[index - 1][0], reverse):
            items[index - 1], items[index] = items[index], items[index - 1]
            index -= 1
    return items


def _merge(
    left: list[tuple[_Key, Placed]], right: list[tuple[_Key, Placed]], reverse: bool
) -> list[tuple[_Key, Placed]]:
    merged: list[tuple[_Key, Placed]] = []
    first = second = 0
    while first < len(left) and second < len(right):
        if _precedes(right[second][0], left[first][0], reverse):
            merged.append(right[second])
            second += 1
        else:
            merged.append(left[first])
            first += 1
    return [*merged, *left[first:], *right[second:]]


def _precedes(one: _Key, other: _Key, reverse: bool) -> bool:
    if one.path and other.path:
        longer = len(one.path) - len(other.path)
        if one.prefix == other.prefix:
            longer = -longer
        return longer < 0 if reverse else longer > 0
    if reverse:
        return other.has_matcher and not one.has_matcher
    return one.has_matcher and not other.has_matcher


def _key(one: Placed) -> _Key:
    matcher = one.steps[0].matcher
    if matcher is None:
        return _Key(has_matcher=False, path="", prefix="")
    paths = [condition for condition in matcher.conditions if isinstance(condition, PathMatch)]
    path = paths[0].patterns[0] if len(paths) == 1 and len(paths[0].patterns) == 1 else ""
    return _Key(has_matcher=True, path=path, prefix=path.removesuffix("*"))
