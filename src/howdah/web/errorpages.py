"""Errors as answers: what is passed to ``handle_errors``, and the pages where it is not used.

Without debug a page holds a status and a sentence that is known beforehand. With debug it shows what
happened: message, cause, and where in Howdah or PHP.
"""

from __future__ import annotations

import html
import logging
import secrets
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

from howdah.errors import ConfigError, HowdahError, RequestRejected, ScriptError
from howdah.web.response import Header, phrase, refusal_headers, refuse, send_body, send_text

if TYPE_CHECKING:
    from howdah.web.request import HttpRequest

_log = logging.getLogger("howdah.web")

_ID_BYTES = 5


class HttpError(HowdahError):
    """An error with a status for the client; ``handle_errors`` may answer it.

    Args:
        status: HTTP status, 400 to 599.
        message: what happened, for ``{err.message}`` and debug pages; never sent otherwise.
        headers: header fields of the answer.
    """

    def __init__(self, status: int, message: str = "", headers: tuple[Header, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers
        self.id = ""

    def value(self, name: str) -> str:
        """Give what ``{err.<name>}`` stands for."""
        if name == "status_code":
            return str(self.status)
        if name == "status_text":
            return phrase(self.status)
        if name == "message":
            return self.message
        if name == "id":
            # Made when it is asked for: it only serves to find the line in the log again.
            if not self.id:
                self.id = secrets.token_hex(_ID_BYTES)
                _log.info("error %s: %d %s", self.id, self.status, self.message)
            return self.id
        if name == "trace":
            frames = traceback.extract_tb(self.__traceback__)
            return f"{frames[-1].name} ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
        return ""


def as_http_error(error: BaseException) -> HttpError:
    """Give the error that steps of ``handle_errors`` see."""
    if isinstance(error, HttpError):
        return error
    status = int(getattr(error, "status", 500))
    is_known = isinstance(error, RequestRejected | ScriptError)
    made = HttpError(status, str(error) if is_known else f"{type(error).__name__}: {error}")
    made.__cause__ = error
    made.__traceback__ = error.__traceback__
    return made


def code_test(codes: tuple[str, ...]) -> Callable[[int], bool]:
    """Compile the codes of ``handle_errors``: ``404`` or ``4xx``; none means all.

    Raises:
        ConfigError: one is no code.
    """
    exact, classes = set(), set()
    for code in codes:
        if len(code) == 3 and code.lower().endswith("xx") and code[0] in "45":
            classes.add(int(code[0]))
        elif code.isdigit() and len(code) == 3:
            exact.add(int(code))
        else:
            raise ConfigError(f"{code!r} is no status; write it as 404 or 4xx", directive="handle_errors")
    if not codes:
        return lambda status: True
    return lambda status: status in exact or status // 100 in classes


async def send_error(request: HttpRequest, error: Exception, *, debug: bool) -> None:
    """Answer an error that no ``handle_errors`` has answered."""
    scope, send = request.scope, request.send
    if debug:
        shown = as_http_error(error)
        body = debug_page(shown).encode("utf-8", "backslashreplace")
        headers = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store")]
        await send_body(shown.status, body, headers + refusal_headers(error, scope), scope, send)
    elif isinstance(error, RequestRejected | ScriptError):
        await refuse(error, scope, send)
    else:
        status = as_http_error(error).status
        await send_text(status, "the server could not answer this request", refusal_headers(error, scope), scope, send)


def debug_page(error: HttpError) -> str:
    """Write the page that shows a developer what happened."""
    title = f"{error.status} {phrase(error.status)}"
    parts = [f"<h1>{html.escape(title)}</h1>"]
    shown: BaseException | None = error
    while shown is not None:
        text = str(shown)
        if text and (shown is error or text != error.message):
            parts.append(f"<pre>{html.escape(text)}</pre>")
        detail = getattr(shown, "detail", "")
        if detail:  # what PHP said
            parts.append(f"<pre>{html.escape(detail)}</pre>")
        shown = shown.__cause__
    cause = error.__cause__
    if cause is not None and not isinstance(cause, HowdahError):
        trace = "".join(traceback.format_exception(cause))
        parts.append(f"<h2>Trace</h2><pre>{html.escape(trace)}</pre>")
    body = "\n".join(parts)
    style = "body{font:16px/1.4 sans-serif;margin:2em}pre{white-space:pre-wrap;background:#f4f4f4;padding:1em}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{style}</style></head>\n<body>\n{body}\n"
        "<p>This page shows details because <code>debug</code> is on.</p>\n</body></html>\n"
    )
