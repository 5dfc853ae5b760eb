"""Restarts workers when their files change: the watcher of the present configuration."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from howdah.config.http import Php, ServerModel
from howdah.config.model import WorkerConfig
from howdah.errors import HowdahError
from howdah.serve.applications import all_steps
from howdah.watch.watcher import Watcher, WatchGroup

if TYPE_CHECKING:
    from howdah.runtime.runtime import Runtime

_log = logging.getLogger("howdah.serve")

_STOP_S = 5.0


class FileWatch:
    """Watches the files of the workers of a model.

    Args:
        runtime: whose workers are restarted.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._watched: tuple[WorkerConfig, ...] = ()
        self._watcher: Watcher | None = None

    def start(self, model: ServerModel) -> None:
        """Watch; blocks until every change from now on will be seen.

        Raises:
            ConfigError: a pattern is wrong.
        """
        self.replace(self.prepare(model))

    def prepare(self, model: ServerModel) -> tuple[tuple[WorkerConfig, ...], Watcher | None] | None:
        """Make the watcher of a model; None when the present one does for it, too.

        Raises:
            ConfigError: a pattern is wrong.
        """
        watched = tuple(worker for worker in all_workers(model) if worker.watch)
        if watched == self._watched:
            return None
        groups = [WatchGroup(worker.watch, self._restart(worker), _name(worker)) for worker in watched]
        return watched, Watcher(groups) if groups else None

    def replace(self, prepared: tuple[tuple[WorkerConfig, ...], Watcher | None] | None) -> None:
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

    def _restart(self, worker: WorkerConfig) -> Callable[[frozenset[str]], object]:
        def restart(changed: frozenset[str]) -> None:
            _log.info("restarting worker %s: %s changed", _name(worker), ", ".join(sorted(changed)[:3]))
            runtime: Any = self._runtime
            try:
                runtime.restart_workers([_name(worker)], sorted(changed))
            except HowdahError as error:
                _log.error("worker %s was not restarted: %s", _name(worker), error)

        return restart


def all_workers(model: ServerModel) -> Iterator[WorkerConfig]:
    """Give the workers of a model: the global ones, then those of the sites."""
    yield from model.runtime.workers
    for site in model.sites:
        for step in all_steps(site):
            if isinstance(step.action, Php):
                yield from step.action.site.workers


def _name(worker: WorkerConfig) -> str:
    return worker.name or os.path.realpath(worker.file)
