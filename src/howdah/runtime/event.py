"""A log message with attributes, for every layer.

``_log.info(Event("downscaling thread", thread=3))`` shows ``downscaling thread thread=3`` under any handler;
Howdah's own handlers keep message and attributes apart. Knows no handler and no PHP.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class Event:
    """What happened, and what it happened to.

    Args:
        message: a fixed text, so that logs can be searched for it.
        attributes: values that JSON can hold; others are shown by ``str()``.

    Attributes:
        message: the text alone.
        attributes: the attributes in the order in which they were given.
    """

    __slots__ = ("attributes", "message")

    def __init__(self, message: str, /, **attributes: Any) -> None:
        self.message = message
        self.attributes: Mapping[str, Any] = attributes

    @classmethod
    def of(cls, message: str, attributes: Mapping[str, Any]) -> Event:
        """Make an event whose attributes have names that are no identifiers."""
        event = cls(message)
        event.attributes = attributes
        return event

    def __str__(self) -> str:
        """Give one line: the message, then ``key=value`` for each attribute."""
        return " ".join([self.message, *(f"{key}={_shown(value)}" for key, value in self.attributes.items())])


def _shown(value: Any) -> str:
    if isinstance(value, str) and value.isprintable() and value and " " not in value and '"' not in value:
        return value
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, TypeError, RecursionError):  # circular, or keys that are no names
        return repr(value)
