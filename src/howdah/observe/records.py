"""Records of Python's ``logging`` as fields, as lines of JSON, and as lines for people."""

from __future__ import annotations

import logging
import traceback
from time import localtime, strftime
from typing import Any

from howdah.observe.text import escape, quote, to_json
from howdah.runtime.event import Event

_LEVELS = ((logging.ERROR, "error"), (logging.WARNING, "warn"), (logging.INFO, "info"))
_OWN = frozenset({"level", "ts", "logger", "msg"})


def level_name(level: int) -> str:
    """Give the level as JSON logs name it."""
    return next((name for least, name in _LEVELS if level >= least), "debug")


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Give level, time, logger and message, then the attributes of an `Event` and what was raised."""
    event = record.msg if isinstance(record.msg, Event) else None
    fields: dict[str, Any] = {
        "level": level_name(record.levelno),
        "ts": round(record.created, 7),
        "logger": record.name,
        "msg": event.message if event else record.getMessage(),
    }
    if event:
        # A script may name its context as it likes.
        fields.update({f"{key}_" if key in _OWN else str(key): value for key, value in event.attributes.items()})
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        fields.setdefault("error", f"{type(error).__name__}: {error}")
        fields["stacktrace"] = "".join(traceback.format_exception(error)).rstrip("\n")
    return fields


def json_line(fields: dict[str, Any]) -> str:
    """Write fields as a line of JSON."""
    pairs = (f"{quote(name)}:{value if name == 'ts' else to_json(value)}" for name, value in fields.items())
    return f"{{{','.join(pairs)}}}\n"


def console_line(fields: dict[str, Any]) -> str:
    """Write fields as a line for people; a stack trace follows on indented lines."""
    rest = dict(fields)
    ts, trace = rest.pop("ts", 0.0), rest.pop("stacktrace", "")
    head = (
        f"{strftime('%Y-%m-%d %H:%M:%S', localtime(ts))}.{int(ts % 1 * 1000):03d} {str(rest.pop('level', '')).upper()}"
    )
    message = f"{head} {escape(str(rest.pop('logger', '')))}: {escape(str(rest.pop('msg', '')))}"
    words = [message, *(f"{escape(name)}={_word(value)}" for name, value in rest.items())]
    lines = [" ".join(words), *(f"    {escape(line)}" for line in trace.splitlines())]
    return "\n".join(lines) + "\n"


def clock(time_s: float) -> str:
    """Write a time of the wall clock for people: local, to the millisecond."""
    return f"{strftime('%Y-%m-%d %H:%M:%S', localtime(time_s))}.{int(time_s % 1 * 1000):03d}"


def _word(value: Any) -> str:
    if isinstance(value, str) and value.isprintable() and value and " " not in value and '"' not in value:
        return value
    return to_json(value)
