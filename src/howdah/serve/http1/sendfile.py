"""Sends a file from the page cache to a socket without bringing it into the process.

The kernel's sendfile is called on the loop's thread while the next part of the file is in memory, which costs
nothing but the copy, and in a thread where the disk must be waited for.
"""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from howdah.serve.http1.connection import Connection

# The loop's other work waits for one piece: 1 MiB takes about a quarter of a millisecond.
_PIECE_BYTES = 1024 * 1024
_PAGE_BYTES = 4096
_NO_WAIT: int = getattr(os, "RWF_NOWAIT", 0)
_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


async def send_file(connection: Connection, path: str, size_bytes: int) -> None:
    """Send the first ``size_bytes`` of a file; what was written to the connection before goes first.

    Raises:
        OSError: the client left, or the file cannot be read or is shorter.
    """
    file = os.open(path, _OPEN_FLAGS)
    try:
        await connection.wait_flushed()
        connection.note_progress()
        # A descriptor of our own: the connection's may be closed, and its number reused, while a thread is sending.
        socket = connection.duplicate_socket()
        try:
            await _send(connection, socket, file, size_bytes)
        finally:
            os.close(socket)
    finally:
        os.close(file)


async def _send(connection: Connection, socket: int, file: int, size_bytes: int) -> None:
    loop = connection.loop
    offset = 0
    while offset < size_bytes:
        if connection.is_lost:
            raise ConnectionResetError("the client left")
        count = min(_PIECE_BYTES, size_bytes - offset)
        try:
            if _is_cached(file, offset, count):
                sent = os.sendfile(socket, file, offset, count)
                await asyncio.sleep(0)
            else:
                sent = await _in_thread(loop, socket, file, offset, count)
        except BlockingIOError:
            await _wait_writable(connection, socket)
            continue
        if sent == 0:
            raise OSError(errno.EIO, "the file shrank while it was sent")
        offset += sent
        connection.note_progress()


async def _in_thread(loop: asyncio.AbstractEventLoop, socket: int, file: int, offset: int, count: int) -> int:
    job = loop.run_in_executor(None, os.sendfile, socket, file, offset, count)
    try:
        return await asyncio.shield(job)
    except asyncio.CancelledError:
        await asyncio.wait([job])  # the descriptors must not be closed under the thread
        job.exception()
        raise


def _is_cached(file: int, offset: int, count: int) -> bool:
    """Tell whether the first and the last page of a part are in memory; what lies between usually is then."""
    if not _NO_WAIT:
        return False
    probe = [bytearray(1)]
    try:
        for position in (offset, offset + count - 1):
            if os.preadv(file, probe, position, _NO_WAIT) == 0:
                return True  # past the end: nothing to wait for
    except OSError:
        return False
    return True


async def _wait_writable(connection: Connection, socket: int) -> None:
    writable = connection.loop.create_future()
    connection.loop.add_writer(socket, _set, writable)
    connection.on_lost = lambda: _set(writable)
    try:
        await writable
    finally:
        connection.on_lost = None
        connection.loop.remove_writer(socket)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
