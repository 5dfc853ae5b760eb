"""The order in which the directives of a site act, whatever the order of its lines.

Caddy's order, with Howdah's own directives where they belong; the global option ``order`` changes it. Knows only
names and matchers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from howdah.config.http import PathMatch, Step

# Those that Howdah does not have are there because `order` may name them as a neighbour.
DIRECTIVE_ORDER: tuple[str, ...] = (
    "tracing",
    "map",
    "vars",
    "fs",
    "root",
    "log_append",
    "skip_log",
    "log_skip",
    "log_name",
    "header",
    "copy_response_headers",
    "request_body",
    "redir",
    "method",
    "rewrite",
    "uri",
    "try_files",
    "basic_auth",
    "forward_auth",
    "request_header",
    "encode",
    "push",
    "intercept",
    "x_sendfile",
    "templates",
    "invoke",
    "handle",
    "route",
    "abort",
    "error",
    "copy_response",
    "respond",
    "metrics",
    "reverse_proxy",
    "php_fastcgi",
    "asgi",
    "wsgi",
    "php",
    "php_server",
    "file_server",
    "acme_server",
)
# They have no place of their own; `order` may give them one.
UNORDERED = frozenset({"cache", "mercure", "rate_limit", "vulcain"})

# Of several directives of one such name in one block only the first that matches is done.
GROUPED = frozenset({"root", "rewrite", "handle"})
# They sort like another one.
ALIASES = {"handle_path": "handle", "basicauth": "basic_auth"}


class Placed(NamedTuple):
    """Steps that one directive became."""

    directive: str
    steps: tuple[Step, ...]


class _Key(NamedTuple):
    """What the place of a directive depends on."""

    position: int
    has_matcher: bool
    path: str
    prefix: str
    is_reversed: bool


class _Item(NamedTuple):
    key: _Key
    placed: Placed


def sort_directives(placed: Sequence[Placed], order: Sequence[str]) -> list[Placed]:
    """Sort the directives of a block: by the order of names, then the more specific matcher first.

    Of two directives of one name with one path each the longer path comes first, but ``/a`` before ``/a*``; one with
    a matcher comes before one without. ``vars`` is the other way round, so that the most specific one has the last
    word. Otherwise the order of the lines stays.

    That comparison is not transitive: a path and a method neither precede nor follow each other, though two paths do.
    The result then depends on the way of sorting, so it is the way of Caddy's library: runs of 20 by insertion, joined
    by SymMerge (Kim and Kutzner, "Stable Minimum Storage Merging by Symmetric Comparisons", 2004).
    """
    positions = {name: index for index, name in enumerate(order)}
    items = [_Item(_key(one, positions[one.directive]), one) for one in placed]
    count, width = len(items), _RUN
    for start in range(0, count, width):
        _insert(items, start, min(start + width, count))
    while width < count:
        for start in range(0, count - width, 2 * width):
            _merge(items, start, start + width, min(start + 2 * width, count))
        width *= 2
    return [item.placed for item in items]


_RUN = 20


def _insert(items: list[_Item], start: int, end: int) -> None:
    """Sort a run by insertion."""
    for first in range(start + 1, end):
        index = first
        while index > start and _precedes(items[index], items[index - 1]):
            items[index - 1], items[index] = items[index], items[index - 1]
            index -= 1


def _merge(items: list[_Item], start: int, middle: int, end: int) -> None:
    """Join two sorted runs that follow each other, ``start`` to ``middle`` and ``middle`` to ``end``."""
    if middle - start == 1:
        place = _bisect(middle, end, lambda index: _precedes(items[index], items[start]))
        items.insert(place - 1, items.pop(start))
        return
    if end - middle == 1:
        place = _bisect(start, middle, lambda index: not _precedes(items[middle], items[index]))
        items.insert(place, items.pop(middle))
        return
    centre = (start + end) // 2
    mirror = centre + middle
    low, high = (mirror - end, centre) if middle > centre else (start, middle)
    left = _bisect(low, high, lambda index: not _precedes(items[mirror - 1 - index], items[index]))
    right = mirror - left
    if left < middle < right:
        items[left:right] = items[middle:right] + items[left:middle]
    if start < left < centre:
        _merge(items, start, left, centre)
    if centre < right < end:
        _merge(items, centre, right, end)


def _bisect(low: int, high: int, goes_right: Callable[[int], bool]) -> int:
    while low < high:
        index = (low + high) // 2
        if goes_right(index):
            low = index + 1
        else:
            high = index
    return low


def _precedes(first: _Item, second: _Item) -> bool:
    one, other = first.key, second.key
    if one.position != other.position:
        return one.position < other.position
    if one.path and other.path:
        longer = len(one.path) - len(other.path)
        if one.prefix == other.prefix:
            longer = -longer
        return longer < 0 if one.is_reversed else longer > 0
    if one.is_reversed:
        return other.has_matcher and not one.has_matcher
    return one.has_matcher and not other.has_matcher


def _key(one: Placed, position: int) -> _Key:
    matcher = one.steps[0].matcher
    is_reversed = one.directive == "vars"
    if matcher is None:
        return _Key(position, has_matcher=False, path="", prefix="", is_reversed=is_reversed)
    paths = [condition for condition in matcher.conditions if isinstance(condition, PathMatch)]
    path = paths[0].patterns[0] if len(paths) == 1 and len(paths[0].patterns) == 1 else ""
    return _Key(position, has_matcher=True, path=path, prefix=path.removesuffix("*"), is_reversed=is_reversed)
