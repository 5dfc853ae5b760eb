"""Howdah: a PHP application server in Python.

The names here are loaded when they are first used: ``import howdah`` needs neither libphp nor an
HTTP server.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from howdah._version import __version__

if TYPE_CHECKING:
    from howdah.config.model import RuntimeConfig, SiteConfig
    from howdah.config.model import WorkerConfig as Worker
    from howdah.errors import HowdahError
    from howdah.runtime.request import Request, Response
    from howdah.runtime.runtime import Runtime
    from howdah.web.asgi import PHPApp, PHPServer

__all__ = [
    "HowdahError",
    "PHPApp",
    "PHPServer",
    "Request",
    "Response",
    "Runtime",
    "RuntimeConfig",
    "SiteConfig",
    "Worker",
    "__version__",
]

_HOMES = {
    "HowdahError": "howdah.errors",
    "PHPApp": "howdah.web.asgi",
    "PHPServer": "howdah.web.asgi",
    "Request": "howdah.runtime.request",
    "Response": "howdah.runtime.request",
    "Runtime": "howdah.runtime.runtime",
    "RuntimeConfig": "howdah.config.model",
    "SiteConfig": "howdah.config.model",
    "Worker": "howdah.config.model:WorkerConfig",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'howdah' has no attribute {name!r}")
    module, _, original = home.partition(":")
    value = getattr(import_module(module), original or name)
    globals()[name] = value  # so that this function is not asked again
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
