"""The engine without HTTP, in a process of its own: CPU per request from submit to result, as one line of JSON.

Called by `run.py`. Two ways to submit: 32 coroutines in one event loop, as a server does it, and several
Python threads that block.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import threading
import time

import howdah
from howdah.config.model import SiteConfig
from howdah.runtime.request import Request
from howdah.runtime.site import Site

_EXPECTED = b"Hello, world!"


def main() -> None:
    """Measure both ways after a warm-up and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("root")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--threads", type=int, default=4, help="PHP threads")
    parser.add_argument("--callers", type=int, default=4, help="Python threads that block in handle()")
    options = parser.parse_args()
    request = Request(
        target=b"/hello.php", headers=((b"host", b"127.0.0.1"),), site=Site(SiteConfig(root=options.root))
    )
    runtime = howdah.Runtime(num_threads=options.threads, php_ini={"output_buffering": "4096"})
    runtime.start()
    try:
        _threads(runtime, request, 0.5, options.callers)
        blocking = _measured(lambda: _threads(runtime, request, options.seconds, options.callers))
        asyncio.run(_coroutines(runtime, request, 0.5))
        awaited = _measured(lambda: asyncio.run(_coroutines(runtime, request, options.seconds)))
    finally:
        runtime.stop(10)
    print(json.dumps({"threads": blocking, "asyncio": awaited}))


def _measured(run: object) -> dict[str, float]:
    assert callable(run)
    begin, before = time.perf_counter(), _cpu_s()
    count = run()
    took_s, used_s = time.perf_counter() - begin, _cpu_s() - before
    return {"requests": count, "per_s": count / took_s, "cpu_us": used_s / count * 1e6}


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _threads(runtime: howdah.Runtime, request: Request, seconds: float, callers: int) -> int:
    counts = [0] * callers
    until = time.perf_counter() + seconds

    def call(number: int) -> None:
        while time.perf_counter() < until:
            for _ in range(50):
                assert runtime.handle(request).body == _EXPECTED
            counts[number] += 50

    threads = [threading.Thread(target=call, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts)


async def _coroutines(runtime: howdah.Runtime, request: Request, seconds: float) -> int:
    counts = [0] * 32
    until = time.perf_counter() + seconds

    async def call(number: int) -> None:
        while time.perf_counter() < until:
            for _ in range(10):
                assert (await runtime.handle_async(request)).body == _EXPECTED
            counts[number] += 10

    await asyncio.gather(*(call(number) for number in range(32)))
    return sum(counts)


if __name__ == "__main__":
    main()
