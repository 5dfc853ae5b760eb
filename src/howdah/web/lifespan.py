"""Runs the lifespan of an ASGI application: its start before the first request, its end after the last."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from howdah.errors import HowdahError

_log = logging.getLogger("howdah.web")

_TIMEOUT_S = 60.0


class Lifespan:
    """The lifespan of one application.

    Args:
        app: ASGI 3 application.
        name: for messages.

    Attributes:
        state: what the application put into its lifespan's state; requests get a copy.
    """

    def __init__(self, app: Any, name: str) -> None:
        self._app = app
        self._name = name
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self.state: dict[str, Any] = {}

    async def start(self) -> None:
        """Start the application; one that knows no lifespan is left alone.

        Raises:
            HowdahError: it says that it cannot start, or says nothing for a minute.
        """
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        self._task = asyncio.ensure_future(self._app(scope, self._to_app.get, self._from_app.put))
        answer = await self._step("lifespan.startup")
        if answer is None:
            self._forget()
        elif answer["type"] == "lifespan.startup.failed":
            self._forget()
            raise HowdahError(f"{self._name} did not start: {answer.get('message') or 'it gives no reason'}")

    async def stop(self) -> None:
        """Let the application end; errors are logged."""
        if self._task is None:
            return
        try:
            answer = await self._step("lifespan.shutdown")
        except HowdahError as error:
            _log.warning("%s", error)
        else:
            if answer is not None and answer["type"] == "lifespan.shutdown.failed":
                _log.warning("%s did not stop well: %s", self._name, answer.get("message") or "it gives no reason")
        self._forget()

    async def _step(self, kind: str) -> dict[str, Any] | None:
        """Send a message and wait for the answer; None when the application ended without one."""
        task = self._task
        assert task is not None  # noqa: S101 - a step belongs to a task
        await self._to_app.put({"type": kind})
        answer = asyncio.ensure_future(self._from_app.get())
        try:
            await asyncio.wait({answer, task}, timeout=_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            if task.done():
                return None
            raise HowdahError(f"{self._name} gave no answer to {kind} for {_TIMEOUT_S:g} s")
        finally:
            answer.cancel()

    def _forget(self) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        if not task.done():
            task.cancel()
        elif not task.cancelled() and task.exception() is not None:
            # The protocol's way of saying that an application knows no lifespan.
            _log.debug("%s has no lifespan: %s", self._name, task.exception())
