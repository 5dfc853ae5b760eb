"""The model as JSON and back: Howdah's own format, which ``howdah adapt`` prints and the admin API takes.

An object per dataclass with the names of its fields; what has its default is left out. Where several kinds may stand,
``type`` tells which. Derived from the annotations of the model, so that a new field needs nothing here.
"""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from howdah.config import http
from howdah.config.http import ServerModel
from howdah.config.model import Position
from howdah.errors import ConfigError

CONDITIONS: Mapping[str, type] = types.MappingProxyType(
    {
        "file": http.FileMatch,
        "header": http.HeaderMatch,
        "host": http.HostMatch,
        "method": http.MethodMatch,
        "not": http.NotMatch,
        "path": http.PathMatch,
        "protocol": http.ProtocolMatch,
        "query": http.QueryMatch,
        "regexp": http.RegexpMatch,
        "remote_ip": http.RemoteIpMatch,
    }
)
ACTIONS: Mapping[str, type] = types.MappingProxyType(
    {
        "abort": http.Abort,
        "basic_auth": http.BasicAuth,
        "encode": http.Encode,
        "error": http.ErrorResponse,
        "file_server": http.FileServer,
        "header": http.Header,
        "metrics": http.MetricsPage,
        "php": http.Php,
        "python": http.PythonApp,
        "redir": http.Redir,
        "request_body": http.RequestBody,
        "request_header": http.RequestHeader,
        "respond": http.Respond,
        "rewrite": http.Rewrite,
        "root": http.Root,
        "routes": http.Routes,
        "try_files": http.TryFiles,
        "vars": http.Vars,
        "x_sendfile": http.XSendfile,
    }
)

_NAMES = {kind: name for table in (CONDITIONS, ACTIONS) for name, kind in table.items()}
_TAG = "type"
_DEEPEST = 400


def to_json(model: ServerModel, *, positions: bool = True) -> dict[str, Any]:
    """Give the model as what `json.dumps` takes.

    Args:
        model: the model.
        positions: say where each step stands in the configuration.
    """
    result = cast("dict[str, Any]", _encode(model, positions=positions))
    # The sections are there even if all is default, because the admin API is asked for them by name.
    sections: dict[str, Any] = {"runtime": {}, "sites": [], "servers": {}, "admin": {}}
    return {**sections, **result}


def from_json(document: object) -> ServerModel:
    """Make the model of what `json.loads` gave.

    Raises:
        ConfigError: a part of it is unknown or has the wrong type; the message says which.
    """
    return cast("ServerModel", _decode(document, ServerModel, "the configuration", 0))


def parse_json(text: str, file: str) -> ServerModel:
    """Read Howdah's JSON from its text.

    Args:
        text: the whole document.
        file: its name, for messages.

    Raises:
        ConfigError: it is no JSON, or not ours; with line and column where the JSON itself is wrong.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"this is no JSON: {error.msg}", file=file, line=error.lineno, column=error.colno) from None
    except (RecursionError, ValueError) as error:
        raise ConfigError(f"this JSON cannot be read: {error}", file=file) from None
    if isinstance(document, dict) and "apps" in document:
        raise ConfigError(
            "this is Caddy's own JSON, which Howdah does not read; give it the Caddyfile, or what `howdah adapt` makes",
            file=file,
        )
    try:
        return from_json(document)
    except ConfigError as error:
        raise ConfigError(error.message, file=file, directive=error.directive) from None


def _encode(value: object, *, positions: bool) -> object:
    if isinstance(value, Position):
        return f"{value.file}:{value.line}:{value.column}"
    if is_dataclass(value) and not isinstance(value, type):
        return _encode_fields(value, positions=positions)
    if isinstance(value, tuple):
        return [_encode(one, positions=positions) for one in value]
    if isinstance(value, Mapping):
        return {name: _encode(one, positions=positions) for name, one in value.items()}
    return value


def _encode_fields(value: Any, *, positions: bool) -> dict[str, object]:
    kind: type = type(value)
    name = _NAMES.get(kind)
    result: dict[str, object] = {} if name is None else {_TAG: name}
    for field_name, default in _defaults(kind).items():
        one = getattr(value, field_name)
        if one == default or (isinstance(one, Position) and not positions):
            continue
        result[field_name] = _encode(one, positions=positions)
    return result


@cache
def _defaults(kind: type) -> dict[str, object]:
    """Give the defaults of a dataclass; `MISSING` where there is none."""
    return {one.name: one.default if one.default_factory is MISSING else one.default_factory() for one in fields(kind)}


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _decode(value: object, hint: Any, where: str, depth: int) -> object:
    if depth > _DEEPEST:
        raise ConfigError(f"{where} stands too deep inside of other parts")
    origin = get_origin(hint)
    if origin in {Union, types.UnionType}:
        return _decode_union(value, get_args(hint), where, depth)
    if origin is Literal:
        if value not in get_args(hint) or not isinstance(value, str):
            raise _wrong(value, f"one of {', '.join(get_args(hint))}", where)
        return value
    if origin is tuple:
        return _decode_list(value, get_args(hint), where, depth)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise _wrong(value, "an object", where)
        inner = get_args(hint)[1]
        return {name: _decode(one, inner, f"{where}.{name}", depth + 1) for name, one in value.items()}
    if hint is Position:
        return _decode_position(value, where)
    if is_dataclass(hint):
        return _decode_fields(value, cast("type", hint), where, depth)
    return _decode_plain(value, hint, where)


def _decode_plain(value: object, hint: Any, where: str) -> object:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}
        raise _wrong(value, names[hint], where)
    return value


def _decode_union(value: object, hints: tuple[Any, ...], where: str, depth: int) -> object:
    if value is None and type(None) in hints:
        return None
    present = [hint for hint in hints if hint is not type(None)]
    if len(present) == 1:
        return _decode(value, present[0], where, depth)
    if all(is_dataclass(hint) for hint in present):
        return _decode_tagged(value, present, where, depth)
    for hint in present:
        try:
            return _decode(value, hint, where, depth)
        except ConfigError:
            continue
    raise _wrong(value, " or ".join(str(getattr(hint, "__name__", hint)) for hint in present), where)


def _decode_tagged(value: object, kinds: list[Any], where: str, depth: int) -> object:
    if not isinstance(value, dict):
        raise _wrong(value, "an object", where)
    by_name = {_NAMES[kind]: kind for kind in kinds}
    name = value.get(_TAG)
    if not isinstance(name, str) or name not in by_name:
        raise ConfigError(f"{where} has the type {name!r}; supported: {', '.join(sorted(by_name))}")
    rest = {key: one for key, one in value.items() if key != _TAG}
    return _decode_fields(rest, by_name[name], f"{where} ({name})", depth)


def _decode_list(value: object, hints: tuple[Any, ...], where: str, depth: int) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise _wrong(value, "a list", where)
    if len(hints) == 2 and hints[1] is Ellipsis:
        return tuple(_decode(one, hints[0], f"{where}[{index}]", depth + 1) for index, one in enumerate(value))
    if len(value) != len(hints):
        raise ConfigError(f"{where} has {len(value)} values where {len(hints)} belong")
    return tuple(
        _decode(one, hint, f"{where}[{index}]", depth + 1)
        for index, (one, hint) in enumerate(zip(value, hints, strict=True))
    )


def _decode_fields(value: object, kind: type, where: str, depth: int) -> object:
    if not isinstance(value, dict):
        raise _wrong(value, "an object", where)
    hints = _hints(kind)
    found: dict[str, object] = {}
    for name, one in value.items():
        if name not in hints:
            raise ConfigError(f"{where} has no {name}; supported: {', '.join(sorted(hints))}", directive=str(name))
        found[name] = _decode(one, hints[name], f"{where}.{name}", depth + 1)
    for name, default in _defaults(kind).items():
        if default is MISSING and name not in found:
            raise ConfigError(f"{where} needs {name}", directive=name)
    try:
        return kind(**found)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.message}", directive=error.directive) from None


def _decode_position(value: object, where: str) -> Position:
    file, _, rest = value.rpartition(":")[0].rpartition(":") if isinstance(value, str) else ("", "", "")
    column = value.rpartition(":")[2] if isinstance(value, str) else ""
    if not all(number.isascii() and number.isdigit() and len(number) < 10 for number in (rest, column)):
        raise _wrong(value, "a position such as Caddyfile:3:5", where)
    return Position(file, int(rest), int(column))


def _wrong(value: object, wanted: str, where: str) -> ConfigError:
    return ConfigError(f"{where} is {_shorten(value)} and must be {wanted}")


def _shorten(value: object) -> str:
    names: dict[type, str] = {dict: "an object", list: "a list", type(None): "null"}
    name = names.get(type(value))
    if name is not None:
        return name
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
