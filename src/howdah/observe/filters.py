"""``format filter``: what is taken out of log entries, or changed, before they are written.

A field is named by its path in the entry: ``request>headers>Cookie``. Names of headers are compared without case.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, unquote_plus

from howdah.errors import ConfigError

if TYPE_CHECKING:
    from howdah.config.http import LogField

Fields = dict[str, Any]
Change = Callable[[Any], Any]

# Short names of what is in the request, as files for older versions of Caddy have them.
_REQUEST = frozenset({"uri", "method", "host", "proto", "headers", "remote_ip", "remote_port", "client_ip"})
_HASH_LENGTH = 8
_PREFIXES = {4: 32, 6: 128}
_REFERENCE = re.compile(r"\$(?:(\w+)|\{(\w+)\})", re.ASCII)  # $1 and ${name}, as Go has them
_QUERY_PAIR = re.compile(r"[^&]+")
_COOKIE_PAIR = re.compile(r"([^=;\s]+)=([^;]*)")


class Filter:
    """The filters of one log.

    Args:
        fields: from the configuration.

    Raises:
        ConfigError: a filter has the wrong arguments.
    """

    def __init__(self, fields: Sequence[LogField]) -> None:
        self._steps = [(_path(field.path), *_step(field)) for field in fields]

    def apply(self, entry: Fields) -> Fields:
        """Change an entry; it belongs to the caller and is changed in place."""
        for path, kind, change in self._steps:
            holder, name = _find(entry, path)
            if holder is None:
                continue
            if kind == "delete":
                del holder[name]
            elif kind == "rename":
                holder[change(name)] = holder.pop(name)
            else:
                holder[name] = _changed(holder[name], change)
        return entry


def _path(text: str) -> list[str]:
    parts = text.split(">")
    return ["request", *parts] if parts[0] in _REQUEST else parts


def _find(entry: Fields, path: Sequence[str]) -> tuple[Any, str]:
    """Give the dictionary that holds a field, and its name there; None without such a field."""
    holder: Any = entry
    for part in path[:-1]:
        holder = holder.get(_name(holder, part)) if isinstance(holder, dict) else None
    if not isinstance(holder, dict):
        return None, ""
    name = _name(holder, path[-1])
    return (holder, name) if name in holder else (None, "")


def _name(holder: Fields, part: str) -> str:
    if part in holder:
        return part
    lower = part.lower()
    return next((name for name in holder if name.lower() == lower), part)


def _changed(value: Any, change: Change) -> Any:
    return [change(item) for item in value] if isinstance(value, list) else change(value)


def _step(field: LogField) -> tuple[str, Change]:
    makers: dict[str, Callable[[LogField], Change]] = {
        "delete": _nothing,
        "replace": _replace,
        "rename": _replace,
        "hash": lambda _: short_hash,
        "regexp": _regexp,
        "ip_mask": _ip_mask,
        "query": _query,
        "cookie": _cookie,
    }
    return field.kind, makers[field.kind](field)


def _nothing(field: LogField) -> Change:
    return lambda value: value


def _words(field: LogField, count: int) -> tuple[str, ...]:
    words = tuple(word for argument in field.arguments for word in argument)
    if len(words) != count:
        raise ConfigError(
            f"the log filter {field.kind} of {field.path} takes {count} argument{'s' if count > 1 else ''}, "
            f"not {len(words)}",
            directive="log",
        )
    return words


def _replace(field: LogField) -> Change:
    (text,) = _words(field, 1)
    return lambda value: text


def short_hash(value: Any) -> str:
    """Give the beginning of the SHA-256 of a value: the same values can be told to be the same."""
    return hashlib.sha256(str(value).encode(errors="surrogatepass")).hexdigest()[:_HASH_LENGTH]


def _regexp(field: LogField) -> Change:
    pattern, replacement = _words(field, 2)
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"the regular expression {pattern!r} is wrong: {error}", directive="log") from None
    for reference in _REFERENCE.findall(replacement):
        name = reference[0] or reference[1]
        if (int(name) > compiled.groups) if name.isdigit() else (name not in compiled.groupindex):
            raise ConfigError(f"{replacement!r} names a group that {pattern!r} has not", directive="log")
    # A backslash is nothing special in Go's replacements.
    template = _REFERENCE.sub(r"\\g<\1\2>", replacement.replace("\\", "\\\\"))
    return lambda value: compiled.sub(template, str(value))


def _ip_mask(field: LogField) -> Change:
    """``ip_mask [ipv4 BITS] [ipv6 BITS]``, in pairs, or the two numbers alone."""
    words = [word for argument in field.arguments for word in argument]
    bits = dict(_PREFIXES)
    try:
        if words and words[0].isdigit():
            bits.update(zip((4, 6), map(int, words), strict=False))
        else:
            for name, number in zip(words[::2], words[1::2], strict=True):
                bits[{"ipv4": 4, "ipv6": 6}[name]] = int(number)
        for version, most in _PREFIXES.items():
            if not 0 <= bits[version] <= most:
                raise ValueError
    except (KeyError, ValueError):
        raise ConfigError("ip_mask takes `ipv4 BITS` and `ipv6 BITS`", directive="log") from None

    def mask(value: Any) -> Any:
        masked = [_masked(part.strip(), bits) for part in str(value).split(",")]
        return ", ".join(masked)

    return mask


def _masked(text: str, bits: dict[int, int]) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    return str(ipaddress.ip_network((address, bits[address.version]), strict=False).network_address)


def _named_changes(field: LogField) -> dict[str, Callable[[str], str | None]]:
    """Read ``replace NAME VALUE``, ``delete NAME`` and ``hash NAME``; None as a result deletes."""
    changes: dict[str, Callable[[str], str | None]] = {}
    for argument in field.arguments:
        match argument:
            case ("replace", name, value):
                changes[name] = lambda _, value=value: value  # type: ignore[misc]
            case ("delete", name):
                changes[name] = lambda _: None
            case ("hash", name):
                changes[name] = short_hash
            case _:
                raise ConfigError(
                    f"the log filter {field.kind} of {field.path} takes `replace NAME VALUE`, `delete NAME` and "
                    f"`hash NAME`, not `{' '.join(argument)}`",
                    directive="log",
                )
    return changes


def _query(field: LogField) -> Change:
    changes = _named_changes(field)

    def change(value: Any) -> str:
        path, mark, query = str(value).partition("?")
        kept = []
        for pair in _QUERY_PAIR.findall(query):
            name, _, text = pair.partition("=")
            act = changes.get(unquote_plus(name))
            if act is None:
                kept.append(pair)
                continue
            result = act(unquote_plus(text))
            if result is not None:
                kept.append(f"{name}={quote_plus(result)}")
        return path + (mark + "&".join(kept) if kept else "")

    return change


def _cookie(field: LogField) -> Change:
    changes = _named_changes(field)

    def change(value: Any) -> str:
        kept = []
        for name, text in _COOKIE_PAIR.findall(str(value)):
            result = changes[name](text) if name in changes else text
            if result is not None:
                kept.append(f"{name}={result}")
        return "; ".join(kept)

    return change
