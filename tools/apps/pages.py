"""What is wrong with a page although its status is 200."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

_PHP_ERROR = re.compile(
    r"(?:<b>)?(?:PHP )?(Warning|Notice|Deprecated|Fatal error|Parse error|Catchable fatal error)(?:</b>)?:\s.{0,200}"
    r" on line (?:<b>)?\d+",
    re.DOTALL,
)


class PageError(AssertionError):
    """An application answered something that a working one does not."""


def checked(answer: httpx.Response, status: int = 200) -> httpx.Response:
    """Give the answer back if it has the status, and if its HTML is whole and without PHP's error texts.

    Raises:
        PageError: it does not; the message has the request and a piece of the page.
    """
    where = f"{answer.request.method} {answer.request.url}"
    if answer.status_code != status:
        raise PageError(f"{where}: status {answer.status_code}, not {status}\n{answer.text[:2000]}")
    if answer.headers.get("content-type", "").startswith("text/html"):
        if found := _PHP_ERROR.search(answer.text):
            raise PageError(f"{where}: PHP printed: {found[0]}")
        if "<html" in answer.text and not answer.text.rstrip().endswith("</html>"):
            raise PageError(f"{where}: the page ends early: ...{answer.text[-200:]!r}")
    return answer
