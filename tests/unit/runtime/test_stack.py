"""The stack size of threads that are started in a context."""

from __future__ import annotations

import mmap
import threading

import pytest

from howdah.runtime.stack import stack_size


def test_the_size_holds_inside_the_context_only() -> None:
    before = threading.stack_size()
    with stack_size(1_000_000):
        assert threading.stack_size() == -(-1_000_000 // mmap.PAGESIZE) * mmap.PAGESIZE
    assert threading.stack_size() == before


def test_the_size_is_put_back_after_an_error() -> None:
    before = threading.stack_size()
    with pytest.raises(RuntimeError), stack_size(1 << 20):
        raise RuntimeError
    assert threading.stack_size() == before


def test_two_contexts_do_not_mix_their_sizes() -> None:
    seen = []

    def start(size_bytes: int) -> None:
        for _ in range(200):
            with stack_size(size_bytes):
                seen.append(threading.stack_size() == size_bytes)

    threads = [threading.Thread(target=start, args=(megabytes << 20,)) for megabytes in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(seen)
    assert len(seen) == 600
