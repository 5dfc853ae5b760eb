"""Restarts workers when their files change: the watcher of the present configuration."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from howdah.config.http import ServerModel
from howdah.errors import HowdahError
from howdah.runtime.workers import gather
from howdah.serve.applications import php_sites
from howdah.watch.watcher import Watcher, WatchGroup

if TYPE_CHECKING:
    from howdah.runtime.runtime import Runtime

_log = logging.getLogger("howdah.serve")

_STOP_S = 5.0
_NAMED = 3

Watched = tuple[str, tuple[str, ...]]


class FileWatch:
    """Watches the files of the workers of a model.

    Args:
        runtime: whose workers are restarted.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._watched: tuple[Watched, ...] = ()
        self._watcher: Watcher | None = None

    def start(self, model: ServerModel) -> None:
        """Watch; blocks until every change from now on will be seen.

        Raises:
            ConfigError: a pattern is wrong.
        """
        self.replace(self.prepare(model))

    def prepare(self, model: ServerModel) -> tuple[tuple[Watched, ...], Watcher | None] | None:
        """Make the watcher of a model; None when the present one does for it, too.

        Raises:
            ConfigError: a pattern is wrong.
        """
        members = gather(model.runtime, php_sites(model))
        watched = tuple((member.name, member.worker.watch) for member in members if member.worker.watch)
        if watched == self._watched:
            return None
        groups = [WatchGroup(patterns, self._restart(name), name) for name, patterns in watched]
        return watched, Watcher(groups) if groups else None

    def replace(self, prepared: tuple[tuple[Watched, ...], Watcher | None] | None) -> None:
        """Watch with what `prepare` made; blocks until every change from now on will be seen."""
        if prepared is not None:
            old = self._watcher
            self._watched, self._watcher = prepared
            if self._watcher is not None:
                self._watcher.start()
            if old is not None:
                old.stop(_STOP_S)

    def stop(self) -> None:
        """Watch no more."""
        if self._watcher is not None:
            self._watcher.stop(_STOP_S)
            self._watcher = None

    def _restart(self, name: str) -> Callable[[frozenset[str]], object]:
        def restart(changed: frozenset[str]) -> None:
            _log.info("restarting worker %s: %s changed", name, ", ".join(sorted(changed)[:_NAMED]))
            try:
                self._runtime.restart_workers([name], sorted(changed))
            except HowdahError as error:
                _log.error("worker %s goes on with its old code: %s", name, error)

        return restart
