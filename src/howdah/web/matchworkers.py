"""Workers with ``match``: they take paths whether or not such a file exists, after the site's static files."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from howdah.cgi.paths import clean_path, is_script_name, join_root, normalize_path
from howdah.web.matchers import path_test
from howdah.web.routing import FileRoute, Route, ScriptRoute

if TYPE_CHECKING:
    from howdah.config.model import WorkerConfig
    from howdah.runtime.site import Site


class MatchWorkers:
    """Those workers of one site that have ``match``; false when there are none.

    Args:
        workers: all workers of the site.
        base: folder from which relative script files count.
        files: static files come first.
    """

    def __init__(self, workers: tuple[WorkerConfig, ...], base: str = "", *, files: bool) -> None:
        self._files = files
        self._workers = [
            (path_test(worker.match), worker, os.path.join(base, worker.file))  # noqa: PTH118 - base may be empty
            for worker in workers
            if worker.match
        ]

    def __bool__(self) -> bool:
        return bool(self._workers)

    def find(self, site: Site, path: bytes, folded: str, mount: bytes = b"") -> Route | None:
        """Give the static file or the worker's script, or None when no ``match`` is for the path.

        Args:
            site: the site.
            path: decoded path below the site.
            folded: the same, clean and in lower case.
            mount: where the site is mounted.

        Raises:
            Forbidden: the path names a file that must not be served.
        """
        if self._files and not is_script_name(path, site.suffixes):
            clean = clean_path(normalize_path(path))
            status = site.file(clean)
            if status is not None and stat.S_ISREG(status.st_mode):
                return FileRoute(join_root(site.root, clean), status)
        for matches, worker, file in self._workers:
            if matches(folded):
                return ScriptRoute(site.worker_target(file, path, mount), worker)
        return None
