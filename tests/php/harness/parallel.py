"""Many requests at the same time, as the acceptance list of the reference runs its cases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import httpx

T = TypeVar("T")
PARALLEL = 100
IDENTITY = {"accept-encoding": "identity"}


def fetch_parallel(
    base_url: str, request_of: Callable[[int], dict[str, Any]], count: int = PARALLEL
) -> list[httpx.Response]:
    """Send ``count`` requests at once and give the responses in the order of their numbers.

    Args:
        base_url: address of the server.
        request_of: gives the arguments of ``httpx.AsyncClient.request`` for one number.
        count: how many.
    """

    async def run() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=count, max_keepalive_connections=count)
        async with httpx.AsyncClient(
            base_url=base_url, headers=IDENTITY, limits=limits, timeout=30, trust_env=False
        ) as client:

            async def one(number: int) -> httpx.Response:
                arguments = {"method": "GET", **request_of(number)}
                return await client.request(**arguments)

            return list(await asyncio.gather(*(one(number) for number in range(count))))

    return asyncio.run(run())


def run_parallel(function: Callable[[int], T], count: int = PARALLEL, threads: int | None = None) -> list[T]:
    """Call a blocking function with 0 .. count-1 in threads and give the results in order."""
    with ThreadPoolExecutor(max_workers=threads or count) as pool:
        return list(pool.map(function, range(count)))
