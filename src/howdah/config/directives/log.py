"""``log``: access logs of sites, and logs of the server in the global options."""

from __future__ import annotations

from typing import cast

from howdah.config import units
from howdah.config.context import Context, SiteParts
from howdah.config.directives.options import Options
from howdah.config.dispenser import Dispenser
from howdah.config.http import Log, LogField
from howdah.config.lexer import Token

_SITE_OPTIONS = ("format", "hostnames", "level", "output")
_GLOBAL_OPTIONS = ("exclude", "format", "include", "level", "output")
_OUTPUTS = ("stderr", "stdout", "discard", "file")
_FORMATS = ("console", "filter", "json")
_FILE_OPTIONS = (
    "mode",
    "roll_disabled",
    "roll_gzip",
    "roll_keep",
    "roll_keep_for",
    "roll_local_time",
    "roll_size",
    "roll_uncompressed",
)
_LEVELS = {
    "debug": "DEBUG",
    "info": "INFO",
    "warn": "WARN",
    "warning": "WARN",
    "error": "ERROR",
    "panic": "ERROR",
    "fatal": "ERROR",
}
_KINDS = ("cookie", "delete", "hash", "ip_mask", "query", "regexp", "rename", "replace")


def parse_log(line: Dispenser, context: Context, site: SiteParts) -> None:
    """An access log of the site.

    Syntax::

        log [<name>] {
            hostnames <names...>
            output    stderr|stdout|discard|file <path> { <rotation> }
            format    console|json|filter { <see below> }
            level     DEBUG|INFO|WARN|ERROR
        }

    Rotation of files: ``roll_size <size>``, ``roll_keep <files>``, ``roll_keep_for <duration>``, ``roll_disabled``.

    ``format filter`` changes fields before they are written::

        format filter {
            wrap json|console
            fields {
                request>headers>Authorization delete
                uri query {
                    replace token REDACTED
                }
            }
        }

    Kinds of changes: ``delete``, ``replace <value>``, ``rename <name>``, ``hash``, ``ip_mask [<bits4> [<bits6>]]``,
    ``regexp <pattern> <value>``, ``query`` and ``cookie`` with a block of ``delete <name>``, ``replace <name> <value>``
    and ``hash <name>``.
    """
    word = line.next_arg()
    site.logs.append(_read(line, context, word, _SITE_OPTIONS))


def parse_global_log(line: Dispenser, context: Context, options: Options) -> None:
    """A log of the server.

    Syntax::

        log [<name>] {
            output  <as in sites>
            format  <as in sites>
            level   DEBUG|INFO|WARN|ERROR
            include <loggers...>
            exclude <loggers...>
        }
    """
    word = line.next_arg()
    log = _read(line, context, word, _GLOBAL_OPTIONS)
    if any(other.name == log.name for other in options.logs):
        raise line.error(f"there is a log {log.name} already; give this one another name", word)
    options.logs.append(log)


def _read(line: Dispenser, context: Context, name: Token | None, known: tuple[str, ...]) -> Log:
    fields: dict[str, object] = {} if name is None else {"name": name.text}
    for option in line.next_block():
        if option.name not in known:
            raise option.unknown("option of log", known)
        match option.name:
            case "output":
                _read_output(option, context, fields)
            case "format":
                _read_format(option, context, fields)
            case "level":
                word = option.argument("a level (DEBUG, INFO, WARN or ERROR)")
                level = _LEVELS.get(word.text.lower())
                if level is None:
                    raise option.unknown("level", sorted(set(_LEVELS.values())), word)
                fields["level"] = level
            case _:
                words = option.arguments(1, None, f"{option.name} <names...>")
                fields[option.name] = tuple(word.text for word in words)
    return context.make(line, Log, **fields)


def _read_output(option: Dispenser, context: Context, fields: dict[str, object]) -> None:
    word = option.argument(f"a target ({', '.join(_OUTPUTS)})")
    if word.text not in _OUTPUTS:
        raise option.unknown("output of a log", _OUTPUTS, word)
    if word.text != "file":
        fields["output"] = word.text
        return
    path = option.argument("a path")
    if path.text in _OUTPUTS:
        raise option.error(f"{path.text} is no path of a file; write ./{path.text}", path)
    fields["output"] = context.fixed(option, path)
    for roll in option.next_block():
        match roll.name:
            case "roll_disabled":
                fields["roll"] = False
            case "roll_size":
                fields["roll_size_bytes"] = units.size(roll, roll.argument("a size"))
            case "roll_keep":
                fields["roll_keep"] = units.count(roll, roll.argument("a number"))
            case "roll_keep_for":
                fields["roll_keep_s"] = units.duration(roll, roll.argument("a duration"))
            case "roll_uncompressed" | "roll_local_time":
                pass
            case "roll_gzip" | "mode":
                roll.argument("a value")
            case _:
                raise roll.unknown("option of a log file", _FILE_OPTIONS)


def _read_format(option: Dispenser, context: Context, fields: dict[str, object]) -> None:
    word = option.argument(f"a format ({', '.join(_FORMATS)})")
    if word.text == "filter":
        for inner in option.next_block():
            if inner.name == "wrap":
                _read_wrapped(inner, fields)
            elif inner.name == "fields":
                changes = [_read_field(one, context) for one in inner.next_block()]
                fields["fields"] = (*cast("tuple[LogField, ...]", fields.get("fields", ())), *changes)
            else:
                # Newer files leave `fields` out.
                change = _read_field(inner, context)
                fields["fields"] = (*cast("tuple[LogField, ...]", fields.get("fields", ())), change)
        fields.setdefault("format", "json")
        return
    if word.text not in _FORMATS:
        raise option.unknown("format of a log", _FORMATS, word)
    fields["format"] = word.text


def _read_wrapped(option: Dispenser, fields: dict[str, object]) -> None:
    word = option.argument("a format (console or json)")
    if word.text not in {"console", "json"}:
        raise option.unknown("format of a log", ("console", "json"), word)
    fields["format"] = word.text


def _read_field(line: Dispenser, context: Context) -> LogField:
    kind = line.argument(f"a change ({', '.join(_KINDS)})")
    if kind.text not in _KINDS:
        raise line.unknown("change of a log field", _KINDS, kind)
    match kind.text:
        case "delete" | "hash":
            arguments: tuple[tuple[str, ...], ...] = ()
        case "replace" | "rename":
            arguments = ((line.argument("a value").text,),)
        case "regexp":
            pattern, value = line.arguments(2, 2, f"{line.name} regexp <pattern> <value>")
            arguments = ((pattern.text, value.text),)
        case "ip_mask":
            arguments = _read_mask(line)
        case _:
            arguments = tuple(_read_part(part) for part in line.next_block())
    return LogField(line.name, kind.text, arguments)  # type: ignore[arg-type]


def _read_mask(line: Dispenser) -> tuple[tuple[str, ...], ...]:
    bits = {"ipv4": "16", "ipv6": "32"}
    words = line.arguments(0, 2, f"{line.name} ip_mask [<bits4> [<bits6>]]")
    for family, word in zip(bits, words, strict=False):
        bits[family] = str(units.count(line, word, 0, 128))
    for option in line.next_block():
        if option.name not in bits:
            raise option.unknown("option of ip_mask", tuple(bits))
        bits[option.name] = str(units.count(option, option.argument("a number of bits"), 0, 128))
    return (tuple(bits.values()),)


def _read_part(part: Dispenser) -> tuple[str, ...]:
    match part.name:
        case "delete" | "hash":
            return part.name, part.argument("a name").text
        case "replace":
            name, value = part.arguments(2, 2, "replace <name> <value>")
            return part.name, name.text, value.text
        case _:
            raise part.unknown("change", ("delete", "hash", "replace"))
