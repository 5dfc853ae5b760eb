"""Servers on which a worker script runs the scripts of the tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.php.harness.server import SCRIPTS, Server, ServerFactory

WORKERS = SCRIPTS / "worker"
ANY = WORKERS / "any.php"


def worker_script(file: Path = ANY, *, num: int = 1, boot: str = "", **fields: Any) -> dict[str, Any]:
    """Describe a worker: `any.php` for every path, unless told otherwise.

    Args:
        file: the script.
        num: its threads.
        boot: piece of `worker/boot` that `any.php` runs before its loop.
        fields: further fields of `WorkerConfig`.
    """
    described: dict[str, Any] = {"file": str(file), "num": num, **fields}
    if file == ANY:
        described.setdefault("match", ["/*"])
        described["env"] = {**described.get("env", {}), **({"WORKER_BOOT": boot} if boot else {})}
    return described


def in_worker(make: ServerFactory, worker: Mapping[str, Any] | None = None, **options: Any) -> Server:
    """Start a server with one worker of one site.

    Args:
        make: the fixture `own_sites` or `module_sites`.
        worker: what `worker_script` gives; one thread of `any.php` by default.
        options: ``root``, ``env`` of the process, ``ini``, and further fields of `RuntimeConfig`.
    """
    described = dict(worker or worker_script())
    root, env, ini = options.pop("root", SCRIPTS), options.pop("env", None), options.pop("ini", {})
    runtime = {"num_threads": described["num"] + 1, "php_ini": {"html_errors": "0", **ini}, **options}
    return make({"any": {"root": str(root), "workers": [described]}}, runtime=runtime, env=env)


def in_mode(make: ServerFactory, mode: str, *, threads: int = 1, boot: str = "", **options: Any) -> Server:
    """Start a server that runs the scripts of the tests in classic or in worker mode, with so many threads for them."""
    if mode == "worker":
        return in_worker(make, worker_script(num=threads, boot=boot), **options)
    root, env, ini = options.pop("root", SCRIPTS), options.pop("env", None), options.pop("ini", {})
    runtime = {"num_threads": threads, "php_ini": {"html_errors": "0", **ini}, **options}
    return make({"any": {"root": str(root)}}, runtime=runtime, env=env)
