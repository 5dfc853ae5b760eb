"""Runs of steps that are decided by the path alone, and remembered for it.

Most matchers of a site look at the path, most requests are for paths that were asked for before, and most steps only
change something. So a run of steps is worked out once for each path: which of them act, and where the request goes
then. Where the path does not decide, the steps are asked each time, as they stand.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from howdah.config.http import Header
from howdah.errors import InvalidPath
from howdah.web.headers import compile_response_headers
from howdah.web.matchers import Test
from howdah.web.request import Handler, HttpRequest

# What changes a request or its answer and lets the next step go on.
Change = Callable[[HttpRequest], None]

_REMEMBERED_PATHS = 1024
# Clients choose paths, so what is remembered needs a bound in bytes, too.
_LONGEST_REMEMBERED_PATH = 256


class Item(NamedTuple):
    """A step of a run.

    Attributes:
        test: tells by the path whether it acts; None where it always does, or decides for itself.
        change: what it changes.
        leaves: where the request goes when it acts, for a step that ends the run.
        header: the model of a ``header``; several that follow one another are made one change.
    """

    test: Test | None = None
    change: Change | None = None
    leaves: Handler | None = None
    header: Header | None = None


_Plan = tuple[tuple[Change, ...], Handler]


def compile_run(make: Callable[[], tuple[Sequence[Item], Handler]], one_by_one: Handler) -> Handler:
    """Compile a run of steps.

    Args:
        make: gives the steps and what follows the last of them; called when the first request comes.
        one_by_one: does the same without remembering anything; answers paths that cannot be decoded.
    """
    run: _Run | None = None
    plans: dict[bytes, _Plan] = {}

    def handle(request: HttpRequest) -> Awaitable[None]:
        nonlocal run
        known = plans.get(request.raw_path)
        if known is None:
            run = run or _Run(*make(), one_by_one)
            known = run.decide(request)
            if len(request.raw_path) <= _LONGEST_REMEMBERED_PATH:
                if len(plans) >= _REMEMBERED_PATHS:
                    plans.clear()
                plans[request.raw_path] = known
        changes, following = known
        for change in changes:
            change(request)
        return following(request)

    return handle


class _Run:
    """The steps of a run, and what was made of them for the paths so far."""

    def __init__(self, items: Sequence[Item], tail: Handler, one_by_one: Handler) -> None:
        self._items = items
        self._tail = tail
        self._one_by_one: _Plan = ((), one_by_one)
        self._plans: dict[tuple[int, ...], _Plan] = {}

    def decide(self, request: HttpRequest) -> _Plan:
        """Find out which steps act for the path of a request."""
        # What matchers note of a request is only for steps that come after them, so they are asked with another one.
        probe = HttpRequest(request.scope, request.receive, request.send, request.root)
        acting: list[int] = []
        try:
            for number, item in enumerate(self._items):
                if item.test is None or item.test(probe):
                    acting.append(number)
                    if item.leaves is not None:
                        break
        except InvalidPath:
            return self._one_by_one
        key = tuple(acting)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = self._make([self._items[number] for number in acting])
        return plan

    def _make(self, acting: Sequence[Item]) -> _Plan:
        changes: list[Change] = []
        headers: list[Header] = []
        for item in [*acting, Item(leaves=self._tail)]:
            if item.header is not None:
                headers.append(item.header)
                continue
            if headers:
                changes.append(compile_response_headers(headers))
                headers = []
            if item.leaves is not None:
                return tuple(changes), item.leaves
            if item.change is not None:
                changes.append(item.change)
        raise AssertionError  # the last one leaves
