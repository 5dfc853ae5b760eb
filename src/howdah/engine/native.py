"""The one door to the native extension.

Nothing else imports ``howdah._native``, so that a missing libphp is reported in one place, as an
error with a cure, and not as an ImportError from the depth.
"""

from __future__ import annotations

import os

from howdah.errors import EngineVersionError

try:
    from howdah import _native as native
except ImportError as _error:
    if "libphp" in str(_error):
        raise EngineVersionError(
            f"the PHP library cannot be loaded ({_error}). Run `make setup` to build PHP and the extension again."
        ) from None
    raise EngineVersionError(
        f"the native extension is missing or does not fit this Python ({_error}). Run `make setup`."
    ) from None

from howdah._native import (
    ABORTED,
    COMPLETED,
    DONE,
    EVENT_ENDED,
    EVENT_KILLED,
    EVENT_LEFT,
    EVENT_MEMORY,
    EVENT_RECYCLE,
    EVENT_STOPPED,
    EVENT_UNHEALTHY,
    HEADERS,
    INTERIM,
    KILL_BY_CUTOFF,
    KILL_BY_FLAG,
    KILL_BY_SIGNAL,
    MORE,
    PUSH_CLOSED,
    PUSH_DEFERRED,
    PUSH_FULL,
    PUSH_OK,
    REJECTED,
    Channel,
    Request,
    Site,
)

__all__ = [
    "ABORTED",
    "COMPLETED",
    "DONE",
    "EVENT_ENDED",
    "EVENT_KILLED",
    "EVENT_LEFT",
    "EVENT_MEMORY",
    "EVENT_RECYCLE",
    "EVENT_STOPPED",
    "EVENT_UNHEALTHY",
    "HEADERS",
    "INTERIM",
    "KILL_BY_CUTOFF",
    "KILL_BY_FLAG",
    "KILL_BY_SIGNAL",
    "MORE",
    "PUSH_CLOSED",
    "PUSH_DEFERRED",
    "PUSH_FULL",
    "PUSH_OK",
    "REJECTED",
    "Channel",
    "Request",
    "Site",
    "native",
]

# In the child of a fork there are no PHP threads: the engine must say so instead of waiting for them.
os.register_at_fork(after_in_child=native.after_fork)
