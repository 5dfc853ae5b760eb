"""What a reload asks of PHP: the settings that it can take while it runs, and those that need a restart."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from howdah.config.http import ServerModel
from howdah.config.model import RuntimeConfig, SiteConfig
from howdah.errors import ConfigError

if TYPE_CHECKING:
    from howdah.runtime.runtime import Runtime

_Reconfigure = Callable[[RuntimeConfig, Sequence[SiteConfig]], None]


def reconfigure(runtime: Runtime, old: ServerModel, new: ServerModel, sites: Sequence[SiteConfig]) -> None:
    """Let PHP take the settings of another model; blocks until it has.

    Args:
        runtime: PHP.
        old: in force.
        new: wanted.
        sites: the PHP sites of ``new``.

    Raises:
        ConfigError: a setting needs a restart; nothing has changed.
    """
    _refuse_php_ini(old.runtime, new.runtime)
    change: _Reconfigure | None = getattr(runtime, "reconfigure", None)
    if change is not None:
        change(new.runtime, sites)
        return
    changed = [
        field.name
        for field in dataclasses.fields(RuntimeConfig)
        if getattr(old.runtime, field.name) != getattr(new.runtime, field.name)
    ]
    if changed:
        raise ConfigError(f"{', '.join(changed)} cannot change while the server runs: restart it", directive=changed[0])


def _refuse_php_ini(old: RuntimeConfig, new: RuntimeConfig) -> None:
    names = sorted(name for name in {*old.php_ini, *new.php_ini} if old.php_ini.get(name) != new.php_ini.get(name))
    if names:
        raise ConfigError(
            f"PHP reads its ini settings only at its start, so {', '.join(names)} cannot change by a reload: restart "
            "the server",
            directive="php_ini",
        )
