"""Small PHP scripts that tests write into a folder of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def either(body: str, boot: str = "") -> str:
    """Give a script that answers once in classic mode, and in a worker once for each request.

    Args:
        body: statements that answer; they see the variables ``$boot`` and ``$count``, requests of this script so far.
        boot: an expression whose value at the script's start is ``$boot``.
    """
    return (
        f"<?php $boot = {boot or 'null'}; $count = 0; "
        f"$answer = function () use ($boot, &$count) {{ {body} $count++; }}; "
        "if (!isset($_SERVER['FRANKENPHP_WORKER'])) { $answer(); return; } "
        "while (frankenphp_handle_request($answer));"
    )


COUNTER = either("echo 'requests:', $count + 1;")
SLEEP = either("usleep((int) ($_GET['ms'] ?? 0) * 1000); echo 'slept ', $_GET['ms'] ?? 0;")


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write files below a folder; their names may have folders in them."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
