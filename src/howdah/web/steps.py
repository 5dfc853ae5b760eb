"""From a list of steps to a handler: in which order they act, and which of them a request meets.

Each step becomes a function of the request that knows what follows it; where the path decides which of them act,
that is worked out once for each path (`runs`). Knows nothing of what the steps do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from howdah.config import http as model
from howdah.config.http import Routes, Step
from howdah.errors import ConfigError
from howdah.web.matchers import Test, is_by_path, notes_groups
from howdah.web.request import Handler, HttpRequest
from howdah.web.runs import Change, Item, compile_run

# Actions that let the next step go on with the path as it is.
_KEEP_PATH = (
    model.Root,
    model.Vars,
    model.Header,
    model.RequestHeader,
    model.Encode,
    model.RequestBody,
    model.XSendfile,
)


class Compiler(Protocol):
    """Compiles what single steps do."""

    def compile_matcher(self, matcher: model.Matcher) -> Test:
        """Compile the condition of a step."""

    def compile_change(self, action: model.Action) -> Change | None:
        """Compile an action that lets the next one go on; None for those that answer."""

    def compile_answer(self, step: Step, after: Handler) -> Handler:
        """Compile an action that answers, or hands the request to ``after``."""


def compile_steps(compiler: Compiler, steps: Sequence[Step], following: Handler) -> Handler:
    """Compile a list of steps.

    Args:
        compiler: compiles each of them.
        steps: in their order.
        following: answers what none of them answers.

    Raises:
        ConfigError: one of them cannot work.
    """
    return _Steps(compiler, steps, following).enter(0, frozenset())


class _Steps:
    """One list of steps on its way to a handler."""

    def __init__(self, compiler: Compiler, steps: Sequence[Step], following: Handler) -> None:
        self._compiler = compiler
        self._steps = steps
        self._following = following
        self._groups = [_group(step) for step in steps]
        self._handlers: dict[tuple[int, frozenset[str]], Handler] = {}
        self._entries: dict[tuple[int, frozenset[str]], Handler] = {}
        self._changes: dict[int, Change | None] = {}
        self._tests: dict[int, Test] = {}

    def enter(self, index: int, done: frozenset[str]) -> Handler:
        """Compile the rest of the list for requests whose path will not change before one of its steps does it.

        Of the groups that are done no step acts again.
        """
        index, done = self._next(index, done)
        handler = self._one_by_one(index, done)
        entry = self._entries.get((index, done))
        if entry is None:
            is_run = index < len(self._steps) and self._item(index, done) is not None
            entry = compile_run(lambda: self._make_run(index, done), handler) if is_run else handler
            self._entries[index, done] = entry
        return entry

    def _make_run(self, index: int, done: frozenset[str]) -> tuple[Sequence[Item], Handler]:
        """Give the steps of a run and what follows them."""
        items: list[Item] = []
        while (index := self._next(index, done)[0]) < len(self._steps):
            item = self._item(index, done)
            if item is None:
                break
            items.append(item)
            index += 1
        return items, self._one_by_one(index, done)

    def _item(self, index: int, done: frozenset[str]) -> Item | None:
        """Give a step as one of a run; None for a step that ends it, whatever the path is."""
        step = self._steps[index]
        by_path = step.matcher is not None and is_by_path(step.matcher)
        test = self._test(index) if by_path else None
        if not isinstance(step.action, _KEEP_PATH) or self._groups[index]:
            return Item(test, leaves=self._one_by_one(index, done)) if by_path else None
        change = self._change(index)
        if step.matcher is None or (by_path and not notes_groups(step.matcher)):
            return Item(test, change, header=step.action if isinstance(step.action, model.Header) else None)
        return Item(test, _if(self._test(index), change) if change is not None else None)

    def _one_by_one(self, index: int, done: frozenset[str]) -> Handler:
        """Compile the rest of the list to functions that know what follows them."""
        index, done = self._next(index, done)
        if index == len(self._steps):
            return self._following
        handler = self._handlers.get((index, done))
        if handler is None:
            step = self._steps[index]
            # Behind a step that may have changed the path, or waited, decisions are made anew.
            follow = self._one_by_one if isinstance(step.action, _KEEP_PATH) else self.enter
            group = self._groups[index]
            after = follow(index + 1, done | {group} if group else done)
            with _placed(step):
                change = self._change(index)
                handler = then(change, after) if change is not None else self._compiler.compile_answer(step, after)
                if step.matcher is not None:
                    handler = _when(self._test(index), handler, self._one_by_one(index + 1, done))
            self._handlers[index, done] = handler
        return handler

    def _next(self, index: int, done: frozenset[str]) -> tuple[int, frozenset[str]]:
        """Skip steps of groups that are done, and forget groups that do not come again."""
        if not done:
            return index, done
        while index < len(self._steps) and self._groups[index] in done:
            index += 1
        return index, done.intersection(self._groups[index:])

    def _change(self, index: int) -> Change | None:
        if index not in self._changes:
            self._changes[index] = self._compiler.compile_change(self._steps[index].action)
        return self._changes[index]

    def _test(self, index: int) -> Test:
        if index not in self._tests:
            matcher = self._steps[index].matcher
            assert matcher is not None  # noqa: S101 - only asked of steps that have one
            self._tests[index] = self._compiler.compile_matcher(matcher)
        return self._tests[index]


def _if(matches: Test, change: Change) -> Change:
    def change_if(request: HttpRequest) -> None:
        if matches(request):
            change(request)

    return change_if


def then(change: Change, after: Handler) -> Handler:
    """Give the handler that changes a request and hands it on."""

    def handle(request: HttpRequest) -> Awaitable[None]:
        change(request)
        return after(request)

    return handle


def _when(matches: Test, acting: Handler, other: Handler) -> Handler:
    return lambda request: acting(request) if matches(request) else other(request)


def _group(step: Step) -> str:
    if step.group:
        return step.group
    return "handle" if isinstance(step.action, Routes) and step.action.exclusive else ""


@contextmanager
def _placed(step: Step) -> Iterator[None]:
    """Say where in the configuration a mistake stands."""
    try:
        yield
    except ConfigError as error:
        if error.file or not step.position.file:
            raise
        position = step.position
        raise ConfigError(
            error.message,
            file=position.file,
            line=position.line or None,
            column=position.column or None,
            directive=error.directive,
        ) from None
