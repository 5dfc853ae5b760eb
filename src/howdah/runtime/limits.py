"""Limits on the time of one request: the soft kill of what runs too long, a log line for what was slow."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from howdah.engine.native import native

if TYPE_CHECKING:
    from howdah.config.model import RuntimeConfig
    from howdah.engine.native import Request

_log = logging.getLogger("howdah.runtime")


class TimeLimits:
    """``request_timeout`` and ``slow_request_threshold`` of one runtime; callable from any thread.

    Attributes:
        timeout_s: wall-clock time that a script may take, 0 = any.
    """

    __slots__ = ("_threshold_s", "timeout_s")

    def __init__(self, config: RuntimeConfig) -> None:
        self.timeout_s = config.request_timeout_s
        self._threshold_s = config.slow_request_threshold_s

    def enforce(self, request: Request) -> bool:
        """End the script of a request that has run longer than the timeout.

        The script gets a fatal error at its next safe point, and a blocking system call is interrupted. May be
        called again and again: a script that is deep in one call of PHP's own needs more than one push.

        Returns:
            True when the request was over its time.
        """
        if not self.timeout_s or request.slot < 0 or request.times_s[1] < self.timeout_s:
            return False
        native.thread_kill(request.slot, request.id, f"request_timeout of {self.timeout_s:g} s reached")
        return True

    def report(self, request: Request) -> None:
        """Log a request that has ended and was slow."""
        if not self._threshold_s:
            return
        queued_s, running_s = request.times_s
        if running_s >= self._threshold_s:
            _log.warning(
                "slow request: %s took %.3f s in PHP after %.3f s in the queue", request.label, running_s, queued_s
            )
