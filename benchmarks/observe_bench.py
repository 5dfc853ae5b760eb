"""What the access log and the histograms cost: CPU per request, without PHP and sockets.

    python benchmarks/observe_bench.py

The process's CPU is measured, the log thread's and the disk's work included. Rounds of the bare application and of
the observed one alternate, and the medians are compared. Prints a table; ``--json`` prints one line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from standins import BROWSER, fresh

from howdah.config.http import Log, LogField
from howdah.observe.histograms import RequestTimes
from howdah.observe.logs import Logs
from howdah.runtime.event import Event
from howdah.web.accesslog import ENTRY, AccessLog

_ROUNDS = 9
_REQUESTS = 10_000
_ANSWER = [
    (b"server", b"Howdah"),
    (b"x-powered-by", b"PHP/8.2.32"),
    (b"content-type", b"text/html; charset=UTF-8"),
    (b"content-length", b"13"),
]
# As wrk sends them.
_FEW_HEADERS = [(b"host", b"127.0.0.1:8000")]


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer at once, and note what PHP did as the real one does."""
    if ENTRY in scope:
        scope[ENTRY].php = (1234, 3, "", 2_097_152, 0.000031, 0.000412)
    await send({"type": "http.response.start", "status": 200, "headers": fresh(_ANSWER)})
    await send({"type": "http.response.body", "body": b"Hello, world!", "more_body": False})


async def _send(message: Any) -> None:
    """Take a message."""


async def _receive() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _round(app: Any, headers: list[tuple[bytes, bytes]]) -> None:
    for number in range(_REQUESTS):
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/index.php",
            "raw_path": b"/index.php",
            "query_string": b"page=%d" % number,
            "root_path": "",
            "headers": fresh(headers),
            "client": ("192.0.2.7", 40_000 + number % 32),
            "server": ("127.0.0.1", 8000),
        }
        await app(scope, _receive, _send)


def _cpu_us(run: Callable[[], None]) -> float:
    began = time.process_time()
    run()
    return (time.process_time() - began) / _REQUESTS * 1e6


def _compare(bare: Callable[[], None], observed: Callable[[], None]) -> float:
    """Give what the observed round costs more, in microseconds per request."""
    bare()
    observed()
    pairs = [(_cpu_us(bare), _cpu_us(observed)) for _ in range(_ROUNDS)]
    return statistics.median(pair[1] for pair in pairs) - statistics.median(pair[0] for pair in pairs)


def _access(logs: Logs, headers: list[tuple[bytes, bytes]], log: Log) -> float:
    app = AccessLog(application, [logs.access(log)])

    def observed() -> None:
        asyncio.run(_round(app, headers))
        logs.flush()

    return _compare(lambda: asyncio.run(_round(application, headers)), observed)


def _histograms() -> float:
    times = RequestTimes()
    ends = [("www", "", 200, queue_s, php_s) for queue_s, php_s in ((0.00003, 0.0004), (0.0001, 0.02), (0.002, 0.3))]

    def nothing(*end: Any) -> None: ...

    def run(observe: Callable[..., None]) -> None:
        for number in range(_REQUESTS):
            observe(*ends[number % 3])

    return _compare(lambda: run(nothing), lambda: run(times.observe))


def _records(logs: Logs, path: Path) -> float:
    import logging

    logger = logging.getLogger("howdah.bench")
    logs.configure([Log(output=str(path), format="json")])

    def run() -> None:
        for number in range(_REQUESTS):
            logger.info(Event("low stock", sku="A-7", left=number, request_id=number, site="shop"))
        logs.flush()

    return _compare(lambda: None, run)


def measure() -> dict[str, float]:
    """Measure everything; microseconds of CPU per request."""
    with tempfile.TemporaryDirectory(prefix="hw-observe-") as folder:
        path = Path(folder)
        logs = Logs()
        query = LogField("uri", "query", (("replace", "token", "REDACTED"),))
        results = {
            "access log, json, browser": _access(logs, BROWSER, Log(output=str(path / "a"), format="json")),
            "access log, json, one header": _access(logs, _FEW_HEADERS, Log(output=str(path / "b"), format="json")),
            "access log, console": _access(logs, BROWSER, Log(output=str(path / "c"))),
            "access log, filter": _access(logs, BROWSER, Log(output=str(path / "d"), format="json", fields=(query,))),
            "histograms": _histograms(),
            "record of PHP, json": _records(logs, path / "e"),
        }
        logs.close()
        results["access log and histograms"] = results["access log, json, browser"] + results["histograms"]
        return results


def main() -> int:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = measure()
    if options.json:
        print(json.dumps({name: round(value, 2) for name, value in results.items()}))
        return 0
    for name, value in results.items():
        print(f"{name:<32} {value:6.2f} us")
    return 0


if __name__ == "__main__":
    sys.exit(main())
