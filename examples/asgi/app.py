"""A FastAPI application with a PHP site mounted in it.

Run it with any ASGI server, from this folder:

    uvicorn app:app
    granian --interface asgi app:app

``/`` and ``/api/greeting`` are answered by Python, everything below ``/blog/`` by the folder ``site``.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import RedirectResponse

from howdah import PHPServer

app = FastAPI(title="Python and PHP in one process")


@app.get("/", include_in_schema=False)
async def home() -> RedirectResponse:
    """Send visitors to the PHP part."""
    return RedirectResponse("/blog/")


@app.get("/api/greeting")
async def greeting(name: str = "world") -> dict[str, str]:
    """Greet somebody."""
    return {"greeting": f"Hello, {name}!"}


# A mounted application gets no lifespan, so PHP starts at the first request below /blog/.
app.mount("/blog", PHPServer(Path(__file__).with_name("site")))
