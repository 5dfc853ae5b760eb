"""Directives that answer by themselves: ``respond``, ``error``, ``abort``, ``metrics``."""

from __future__ import annotations

import re

from howdah.config.context import Context
from howdah.config.dispenser import Dispenser
from howdah.config.http import Abort, ErrorResponse, MetricsPage, Respond, Step
from howdah.config.lexer import Token

_STATUS = re.compile(r"[1-9]\d\d", re.ASCII)


def parse_respond(line: Dispenser, context: Context) -> list[Step]:
    """Answers with a text, a status, or both.

    Syntax::

        respond [<matcher>] <status>|<text> [<status>] {
            body <text>
            close
        }

    ``close`` ends the connection.
    """
    matcher = context.take_matcher(line)
    text, status = _text_and_status(line, context, "respond [<matcher>] <status>|<text> [<status>]")
    closes = False
    for option in line.next_block():
        if option.name == "body":
            if text:
                raise option.error("there is a text already; write it once")
            text = context.text(option, option.argument("a text"), is_free=True)
        elif option.name == "close":
            closes = True
        else:
            raise option.unknown("option of respond", ("body", "close"))
    return [context.step(line, Respond(text, status or context.status or "200", closes), matcher)]


def parse_error(line: Dispenser, context: Context) -> list[Step]:
    """Ends the request with an error, which ``handle_errors`` may answer.

    Syntax::

        error [<matcher>] <status>|<message> [<status>] {
            message <text>
        }
    """
    matcher = context.take_matcher(line)
    text, status = _text_and_status(line, context, "error [<matcher>] <status>|<message> [<status>]")
    for option in line.next_block():
        if option.name != "message":
            raise option.unknown("option of error", ("message",))
        if text:
            raise option.error("there is a message already; write it once")
        text = context.text(option, option.argument("a text"), is_free=True)
    return [context.step(line, ErrorResponse(text, status or "500"), matcher)]


def parse_abort(line: Dispenser, context: Context) -> list[Step]:
    """Cuts the connection without an answer.

    Syntax: ``abort [<matcher>]``
    """
    return [context.step(line, Abort(), context.take_matcher(line))]


def parse_metrics(line: Dispenser, context: Context) -> list[Step]:
    """Answers with the metrics of this process, for Prometheus.

    Syntax: ``metrics [<matcher>]``
    """
    matcher = context.take_matcher(line)
    for option in line.next_block():
        if option.name != "disable_openmetrics":
            raise option.unknown("option of metrics", ("disable_openmetrics",))
    return [context.step(line, MetricsPage(), matcher)]


def _text_and_status(line: Dispenser, context: Context, usage: str) -> tuple[str, str]:
    words = line.arguments(0, 2, usage)
    if len(words) == 2:
        return context.text(line, words[0], is_free=True), _status(line, words[1], context)
    if not words:
        return "", ""
    if _STATUS.fullmatch(words[0].text):
        return "", words[0].text
    return context.text(line, words[0], is_free=True), ""


def _status(line: Dispenser, token: Token, context: Context) -> str:
    if not _STATUS.fullmatch(token.text) and not token.text.startswith("{"):
        raise line.error(f"{token.text} is no status; write a number such as 200 or 404", token)
    return context.text(line, token)
