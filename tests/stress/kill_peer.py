"""Answers each line ``TOKEN MS`` with the token after that time, or never if it is negative; prints its port."""

from __future__ import annotations

import asyncio
import contextlib


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ValueError):
        token, ms = (await reader.readline()).split()
        if int(ms) >= 0:
            await asyncio.sleep(int(ms) / 1000)
            writer.write(token + b"\n")
            await writer.drain()
        await reader.read()  # until the script has closed its end
    writer.close()


async def _main() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the way to say it
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
