"""``route``, ``handle``, ``handle_path``, ``handle_errors``: blocks of directives."""

from __future__ import annotations

import re

from howdah.config.context import Context, SiteParts
from howdah.config.dispenser import Dispenser
from howdah.config.http import ErrorRoutes, Matcher, PathMatch, Routes, Step

_ERROR_CODE = re.compile(r"[45]\d\d|[45]xx", re.ASCII | re.IGNORECASE)


def parse_route(line: Dispenser, context: Context) -> list[Step]:
    """Directives that act in the order of their lines.

    Syntax::

        route [<matcher>] {
            <directives...>
        }
    """
    matcher = context.take_matcher(line)
    steps = _body(line, context, is_ordered=True)
    return [context.step(line, Routes(steps), matcher)]


def parse_handle(line: Dispenser, context: Context) -> list[Step]:
    """Directives for the requests that match; of several ``handle`` beside each other only the first that matches acts.

    Syntax::

        handle [<matcher>] {
            <directives...>
        }
    """
    matcher = context.take_matcher(line)
    steps = _body(line, context, is_ordered=False)
    return [context.step(line, Routes(steps, exclusive=True), matcher)]


def parse_handle_path(line: Dispenser, context: Context) -> list[Step]:
    """Like ``handle`` for one path, whose beginning is taken off for what stands inside.

    Syntax::

        handle_path <path> {
            <directives...>
        }
    """
    token = line.argument("a path, as in handle_path /api/*")
    if not token.text.startswith("/"):
        raise line.error(f"{token.text} is no path; handle_path takes one path that begins with /", token)
    path = context.text(line, token)
    prefix = path.partition("*")[0].removesuffix("/")
    steps = _body(line, context, is_ordered=False)
    matcher = Matcher((PathMatch((path,)),))
    return [context.step(line, Routes(steps, exclusive=True, strip_prefix=prefix), matcher)]


def parse_handle_errors(line: Dispenser, context: Context, site: SiteParts) -> None:
    """Directives that answer in place of the error page; ``{err.status_code}`` and ``{err.message}`` say why.

    Syntax::

        handle_errors [<codes...>] {
            <directives...>
        }

    Codes are ``404``, ``503`` or all of a class: ``4xx``, ``5xx``. Without codes it is for all errors that no other
    ``handle_errors`` of the site is for.
    """
    codes = []
    while (token := line.next_arg()) is not None:
        if not _ERROR_CODE.fullmatch(token.text):
            raise line.error(f"{token.text} is no code of an error; write 404, 503, 4xx or 5xx", token)
        codes.append(token.text.lower())
    steps = _body(line, context.inner(for_errors=True), is_ordered=False)
    site.errors.append(ErrorRoutes(steps, tuple(codes)))


def _body(line: Dispenser, context: Context, *, is_ordered: bool) -> tuple[Step, ...]:
    token = line.peek_arg()
    if token is not None:
        raise line.error(f"{token.text} is one too many for {line.name}; only a matcher stands before its block", token)
    if not line.has_block:
        raise line.error(f"{line.name} needs a block of directives; write {line.name} {{ and its lines, closed by }}")
    return context.steps(line, is_ordered=is_ordered)
