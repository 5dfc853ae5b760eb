"""The stack size of PHP threads, which Python can set only for all threads that start."""

from __future__ import annotations

import mmap
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()


@contextmanager
def stack_size(size_bytes: int) -> Iterator[None]:
    """Give the threads that are started inside this context a stack of that size, rounded up to whole pages.

    The memory is taken as the stack grows, so a large one costs address space only. A thread that another thread
    starts at the same moment gets such a stack, too; nothing else happens to it.
    """
    pages = -(-size_bytes // mmap.PAGESIZE)
    with _lock:
        before = threading.stack_size(pages * mmap.PAGESIZE)
        try:
            yield
        finally:
            threading.stack_size(before)
