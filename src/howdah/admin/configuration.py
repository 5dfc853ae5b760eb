"""Reading and changing the configuration by path: ``/config/...`` and ``/load``."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from howdah.errors import ConfigError

if TYPE_CHECKING:
    from howdah.admin.control import Control

CADDYFILE = "text/caddyfile"
JSON = "application/json"
# Where Caddy's configuration has FrankenPHP's, and ours: Laravel Octane asks there whether the server runs, and
# sends the answer back to let the workers restart.
_ALIASES = {("apps", "frankenphp"): ("runtime",)}
_CADDY_KEYS = frozenset({"apps", "logging", "storage"})


def check_load(body: bytes, content_type: str) -> None:
    """Refuse what is clearly no configuration of ours, before it is read.

    Raises:
        ConfigError: a type that says nothing, broken JSON, or Caddy's native JSON.
    """
    if content_type not in {CADDYFILE, JSON}:
        raise ConfigError(
            f"the Content-Type must be {CADDYFILE} for a Caddyfile or {JSON} for Howdah's own JSON, "
            f"not {content_type or 'empty'}"
        )
    if content_type == JSON:
        document = parse_json(body)
        if not isinstance(document, dict):
            raise ConfigError("a configuration in JSON is an object")
        if _CADDY_KEYS & document.keys():
            raise ConfigError(
                "this is Caddy's own JSON, which Howdah does not read: send the Caddyfile it was made from "
                f"(Content-Type: {CADDYFILE}), or the JSON of `howdah adapt`"
            )


def parse_json(body: bytes) -> Any:
    """Read JSON.

    Raises:
        ConfigError: it is none.
    """
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        raise ConfigError(f"the JSON is wrong at line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (ValueError, RecursionError):
        raise ConfigError("the body is no JSON in UTF-8") from None


def split_path(path: str) -> tuple[str, ...]:
    """Split what follows ``/config/``, and translate the paths of Caddy that tools know."""
    parts = tuple(part for part in path.split("/") if part)
    for caddy, ours in _ALIASES.items():
        if parts[: len(caddy)] == caddy:
            return (*ours, *parts[len(caddy) :])
    return parts


def value_at(document: Any, parts: Sequence[str]) -> Any:
    """Give the part of the configuration at a path.

    Raises:
        LookupError: there is none.
    """
    for part in parts:
        document = document[_key(document, part)]
    return document


def _key(document: Any, part: str) -> str | int:
    if isinstance(document, dict):
        return part
    if isinstance(document, list) and part.isascii() and part.isdigit():
        return int(part)
    raise LookupError(part)


async def patch(control: Control, parts: Sequence[str], value: Any, *, force: bool) -> bool:
    """Replace the part of the configuration at a path.

    Args:
        control: the server; its coroutines are awaited here.
        parts: from `split_path`.
        value: the new value.
        force: when nothing changes, restart the workers.

    Returns:
        False when nothing changed.

    Raises:
        LookupError: there is nothing at the path.
        HowdahError: the result is wrong, or a worker did not boot; nothing has changed.
    """
    document = control.config_json()
    if value_at(document, parts) == value:
        if force:
            await control.restart_workers()
        return False
    changed: Any = copy.deepcopy(document)
    if parts:
        holder = value_at(changed, parts[:-1])
        holder[_key(holder, parts[-1])] = value
    else:
        changed = value
    body = json.dumps(changed).encode()
    check_load(body, JSON)
    await control.load(body, JSON)
    return True
