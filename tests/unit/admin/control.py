"""A server that does nothing but notes what it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from tests.unit.observe.snapshots import Runtime, Statistics, Worker

CONFIG: dict[str, Any] = {
    "runtime": {"num_threads": 4, "workers": [{"file": "/srv/worker.php", "num": 2}]},
    "sites": [],
}


class FakeControl:
    def __init__(self) -> None:
        self.runtime = Runtime(Statistics(workers=(Worker(name="api"),)))
        self.config = CONFIG
        self.calls: list[Any] = []
        self.reason: str | None = None
        self.error: Exception | None = None
        self.loops: list[asyncio.AbstractEventLoop] = []

    def statistics(self) -> Statistics:
        return self.runtime.statistics()

    def ready_reason(self) -> str | None:
        return self.reason

    def config_json(self) -> dict[str, Any]:
        return self.config

    def _note(self, *call: Any) -> None:
        self.loops.append(asyncio.get_running_loop())
        self.calls.append(call)
        if self.error is not None:
            raise self.error

    async def load(self, body: bytes, content_type: str) -> None:
        self._note("load", body, content_type)
        if content_type == "application/json":
            self.config = json.loads(body)

    async def stop(self) -> None:
        self._note("stop")

    async def restart_workers(self, names: Sequence[str] | None = None) -> None:
        self._note("restart", names)
