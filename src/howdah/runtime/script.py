"""Whether the script of a worker can be run, found out without PHP."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from howdah.config.model import WorkerConfig


def check_worker_file(worker: WorkerConfig) -> None:
    """Refuse a worker whose script cannot be read.

    Raises:
        ConfigError: with the cure, and the position of the script's name if it stands in a file.
    """
    path = os.path.abspath(worker.file)  # noqa: PTH100 - shown as the user wrote it, not resolved
    if not os.path.exists(path):  # noqa: PTH110
        trouble = f"worker script {path} does not exist; create it or correct the path"
    elif not os.path.isfile(path):  # noqa: PTH113
        trouble = f"worker script {path} is no file; name the PHP script itself"
    elif not os.access(path, os.R_OK):
        trouble = f"worker script {path} is not readable for this user; change its mode, or the user of the server"
    else:
        return
    raise worker.position.error(trouble, "worker")
