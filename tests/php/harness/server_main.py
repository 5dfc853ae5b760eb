"""Run a server as a user would, with a control socket beside it.

    python server_main.py SOCKET howdah php-server -r DIR ...
    python server_main.py SOCKET configured PORT ROOT SERVER-CONFIGURATION-AS-JSON
    python server_main.py SOCKET sites PORT SITES-AS-JSON
    python server_main.py SOCKET uvicorn|hypercorn|granian PORT APPLICATION-AS-JSON

The first form calls the command's own entry point, the second and third set what has no flag: fields of the server, or
worker scripts and several sites (see `start_sites`). In the last form the application is described by JSON; see
`tests.php.harness.applications`.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.php.harness.control import serve_control

_runtimes: list[Any] = []


def _remember_runtime() -> None:
    """Note every Runtime that starts, so that the control socket can ask it."""
    from howdah import Runtime

    start = Runtime.start

    def start_and_note(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = start(self, *args, **kwargs)
        _runtimes.append(self)
        return result

    Runtime.start = start_and_note  # type: ignore[method-assign]


def _statistics() -> Any:
    return _runtimes[-1].statistics() if _runtimes else None


def _pool_threads() -> int:
    return sum(thread.name.startswith(("asyncio_", "uvloop_")) for thread in threading.enumerate())


def _thread_names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def _serve(port: int, sites: dict[str, Any], runtime: dict[str, Any], servers: dict[str, Any]) -> int:
    """Serve sites by their host names, the first one for every other name too."""
    from howdah.cli.run import serve
    from howdah.config.http import Admin, Encode, HttpServers, HttpSite, Php, ServerModel, SiteAddress, Step
    from howdah.config.model import RuntimeConfig, SiteConfig

    made: list[HttpSite] = []
    for host, fields in sites.items():
        site = SiteConfig(**{**fields, "workers": _workers(fields.get("workers", ()))})
        addresses = [SiteAddress("http", host=host, port=port)]
        if not made:
            addresses.append(SiteAddress("http", port=port))
        made.append(HttpSite(tuple(addresses), (Step(Encode()), Step(Php(site, name=host))), bind=("127.0.0.1",)))
    model = ServerModel(
        RuntimeConfig(**{**runtime, "workers": _workers(runtime.get("workers", ()))}),
        tuple(made),
        HttpServers(https_port=0, auto_https="off", **servers),
        Admin(enabled=False),
    )
    return serve(model, None, lambda label, lines: f"{label} serves {len(lines)}")


def _workers(described: Any) -> tuple[Any, ...]:
    from howdah.config.model import WorkerConfig

    return tuple(WorkerConfig(**{**worker, "match": tuple(worker.get("match", ()))}) for worker in described)


def _restart_workers() -> str:
    """Restart and give nothing, or the name and text of the error."""
    from howdah import HowdahError

    try:
        _runtimes[-1].restart_workers()
    except HowdahError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def main() -> int:
    socket_path, kind, *rest = sys.argv[1:]
    _remember_runtime()
    answers = {
        "statistics": _statistics,
        "pool_threads": _pool_threads,
        "thread_names": _thread_names,
        "ready": lambda: [_runtimes[-1].ready, _runtimes[-1].not_ready_reason()],
    }
    serve_control(socket_path, answers, slow={"restart workers": _restart_workers})
    if kind == "howdah":
        from howdah.cli.main import main as howdah_main

        sys.argv = ["howdah", *rest]
        return howdah_main() or 0
    if kind == "configured":
        return _serve(int(rest[0]), {"any": {"root": rest[1]}}, {"num_threads": 2}, json.loads(rest[2]))
    if kind == "sites":
        described = json.loads(rest[1])
        return _serve(int(rest[0]), described["sites"], described["runtime"], {})
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    from tests.php.harness.applications import application, run

    run(kind, application(json.loads(rest[1])), int(rest[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
