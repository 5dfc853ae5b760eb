"""``header``, ``request_header`` and ``request_body``."""

from __future__ import annotations

from howdah.config import matchers, units
from howdah.config.context import Context
from howdah.config.dispenser import Dispenser
from howdah.config.http import Header, HeaderOperation, RequestBody, RequestHeader, Step
from howdah.config.lexer import Token

_USAGE = "[<matcher>] [+|-|?|>]<field> [<value>|<pattern> <replacement>]"


def parse_header(line: Dispenser, context: Context) -> list[Step]:
    """Changes of the response's head.

    Syntax::

        header [<matcher>] [+|-|?|>]<field> [<value>|<pattern> <replacement>] {
            <one such change per line>
            defer
        }

    Without sign the field is set; ``+`` adds one, ``-`` deletes it (``-X-*`` all that begin so), ``?`` sets it only if
    the response has none, ``>`` sets it after the handler has answered. With a pattern and a replacement the values
    are rewritten; ``$1`` and ``${name}`` are groups of the pattern. ``defer`` makes all changes after the handler has
    answered, as ``-``, ``?`` and ``>`` do by themselves.
    """
    matcher = context.take_matcher(line)
    operations: list[HeaderOperation] = []
    is_deferred = False
    if (field := line.next_arg()) is not None:
        operations.append(_operation(line, field, context))
        is_deferred = field.text.startswith((">", "-"))
    for change in line.next_block():
        if change.name == "defer":
            is_deferred = True
            continue
        operations.append(_operation(change, change.token, context))
        is_deferred = is_deferred or change.name.startswith((">", "-"))
    if not operations:
        raise line.error(f"header needs a field; write header {_USAGE}")
    # A default depends on the response, the others need not wait for it.
    defaults = tuple(one for one in operations if one.kind == "default")
    others = tuple(one for one in operations if one.kind != "default")
    actions = [Header(others, is_deferred)] if others else []
    if defaults:
        actions.append(Header(defaults, deferred=True))
    return [context.step(line, action, matcher) for action in actions]


def parse_request_header(line: Dispenser, context: Context) -> list[Step]:
    """Changes of the request's head, for what follows.

    Syntax: ``request_header [<matcher>] [+|-]<field> [<value>|<pattern> <replacement>]``, or a block with one such
    change per line

    Without sign the field is set, ``+`` adds one, ``-`` deletes it.
    """
    matcher = context.take_matcher(line)
    operations: list[HeaderOperation] = []
    if (field := line.next_arg()) is not None:
        operations.append(_request_operation(line, field, context))
    operations += [_request_operation(change, change.token, context) for change in line.next_block()]
    if not operations:
        raise line.error("request_header needs a field; write request_header [<matcher>] [+|-]<field> [<value>]")
    return [context.step(line, RequestHeader(tuple(operations)), matcher)]


def _request_operation(line: Dispenser, field: Token, context: Context) -> HeaderOperation:
    if field.text.startswith(("?", ">")):
        raise line.error(f"{field.text[0]} is for the response; request_header knows + and -", field)
    return _operation(line, field, context)


def _operation(line: Dispenser, field: Token, context: Context) -> HeaderOperation:
    text = field.text
    sign = text[0] if text.startswith(("+", "-", "?", ">")) else ""
    name = text[len(sign) :].removesuffix(":")
    if not name:
        raise line.error("the name of a field must stand here", field)
    if set(name) & set(' :"(),/;<=>?@[\\]\t\r\n') or not name.isascii():
        raise line.error(f"{name} is no name of a header field", field)
    if sign == "-":
        if name.count("*") > name.endswith("*") + (name.startswith("*") and len(name) > 1):
            raise line.error(f"{name}: a * may stand at an end only", field)
        line.arguments(0, 0, f"-{name}")
        return HeaderOperation("delete", name)
    words = line.arguments(0, 2, f"{sign}{name} [<value>|<pattern> <replacement>]")
    values = [context.text(line, word, is_free=True) for word in words]
    for word in words:
        if "\n" in word.text or "\r" in word.text:
            raise line.error(f"the value of {name} holds the end of a line; write it on one line", word)
    if len(words) == 2:
        if sign not in {"", ">"}:
            raise line.error(
                f"{sign}{name} takes one value; a pattern and its replacement need the plain name", words[1]
            )
        return HeaderOperation("replace", name, values[1], matchers.regexp(line, words[0]))
    value = values[0] if values else ""
    if sign == "+":
        return HeaderOperation("add", name, value)
    return HeaderOperation("default" if sign == "?" else "set", name, value)


def parse_request_body(line: Dispenser, context: Context) -> list[Step]:
    """Bounds of the request's body.

    Syntax::

        request_body [<matcher>] {
            max_size <size>
        }
    """
    matcher = context.take_matcher(line)
    max_size_bytes: int | None = None
    for option in line.next_block():
        if option.name != "max_size":
            raise option.unknown("option of request_body", ("max_size",))
        max_size_bytes = units.size(option, option.argument("a size"))
    return [context.step(line, RequestBody(max_size_bytes), matcher)]
