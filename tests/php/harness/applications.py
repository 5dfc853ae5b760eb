"""ASGI applications for tests, described by JSON, and the servers that run them."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def application(description: dict[str, Any]) -> Any:
    """Build an application.

    The description holds ``kind`` (``server`` or ``app``), ``root``, ``options`` of the site, ``runtime``
    options, and maybe ``worker``: fields of a worker script, and ``mount``: a prefix in a ``starlette`` or
    ``fastapi`` application (``framework``).
    """
    import howdah

    kind = howdah.PHPServer if description.get("kind", "server") == "server" else howdah.PHPApp
    options = dict(description.get("options", {}))
    if "runtime" in description:
        options["runtime"] = howdah.Runtime(**description["runtime"])
    if "worker" in description:
        options["worker"] = howdah.Worker(**description["worker"])
    php = kind(description["root"], **options)
    mount = description.get("mount")
    if mount is None:
        return php
    return _mounted(php, mount, description.get("framework", "starlette"), description.get("lifespan", False))


def _mounted(php: Any, prefix: str, framework: str, own_lifespan: bool) -> Any:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        yield

    arguments: dict[str, Any] = {"lifespan": lifespan} if own_lifespan else {}
    if framework == "fastapi":
        from fastapi import FastAPI

        fast = FastAPI(**arguments)

        @fast.get("/python")
        async def answer() -> dict[str, str]:
            return {"from": "python"}

        fast.mount(prefix, php)
        return fast
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route

    async def python(request: Any) -> PlainTextResponse:
        return PlainTextResponse("from python")

    return Starlette(routes=[Route("/python", python), Mount(prefix, app=php)], **arguments)


def run(server: str, app: Any, port: int) -> None:
    """Run an application until SIGTERM."""
    if server == "uvicorn":
        import uvicorn

        uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
    elif server == "hypercorn":
        asyncio.run(_hypercorn(app, port))
    else:
        asyncio.run(_granian(app, port))


async def _stop_event() -> asyncio.Event:
    event = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, event.set)
    return event


async def _hypercorn(app: Any, port: int) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.keep_alive_timeout = 0.5  # it keeps connections that their client has closed
    config.bind = [f"127.0.0.1:{port}"]
    event = await _stop_event()

    async def wait() -> None:
        await event.wait()

    await serve(app, config, shutdown_trigger=wait)


async def _granian(app: Any, port: int) -> None:
    from granian.constants import Interfaces
    from granian.server.embed import Server

    server = Server(app, address="127.0.0.1", port=port, interface=Interfaces.ASGI, log_enabled=False)
    event = await _stop_event()
    serving = asyncio.create_task(server.serve())
    await event.wait()
    server.stop()  # type: ignore[no-untyped-call]
    await asyncio.wait_for(serving, 10)
