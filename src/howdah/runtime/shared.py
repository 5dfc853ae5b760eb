"""The one default `Runtime` of a process, for applications that were not given one.

PHP allows one engine per process, so this is the one piece of module-level state in the package.
"""

from __future__ import annotations

import threading

from howdah.config.model import RuntimeConfig
from howdah.errors import ConfigError
from howdah.runtime.runtime import Runtime

_lock = threading.Lock()
_shared: Runtime | None = None  # under the lock


def shared_runtime(config: RuntimeConfig | None = None) -> Runtime:
    """Give the process's default runtime; the first call makes it, nothing starts it here.

    Args:
        config: settings that are asked for; None takes what is there, or the defaults.

    Raises:
        ConfigError: it exists already with other settings.
    """
    global _shared  # noqa: PLW0603 - the one per process, see above
    with _lock:
        if _shared is None:
            _shared = Runtime(config)
        elif config is not None and config != _shared.config:
            raise ConfigError(
                "this process has a default Runtime with other settings already; PHP can run only once in a process, "
                "so give both applications the same Runtime by runtime="
            )
        return _shared
