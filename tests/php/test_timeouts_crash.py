"""The stack of PHP threads, and what a crash says before it ends the process."""

from __future__ import annotations

import re
import signal
import sys

import pytest

from tests.php.harness.commands import python

_SETUP = """
import os, sys, threading
from howdah import Request, Runtime
from howdah.runtime.site import Site
from howdah.config.model import SiteConfig
site = Site(SiteConfig(root="."))
def handle(target):
    return runtime.handle(Request(target=target, site=site))
"""
# Without faulthandler, which python() switches on.
_ALONE = "import faulthandler\nfaulthandler.disable()\n"
_ENDLESS = """
runtime = Runtime(num_threads=2, php_ini={"memory_limit": "-1", "zend.max_allowed_stack_size": "-1"}%s)
runtime.start()
handle(b"/recursion_in_c.php?a=1")
"""

_is_instrumented = pytest.mark.skipif("asan" in sys.executable, reason="the sanitizer ends the process")


@_is_instrumented
def test_an_overflow_of_the_stack_names_thread_script_and_uri() -> None:
    result = python(_ALONE + _SETUP + _ENDLESS % "", timeout_s=60)
    assert result.returncode == -signal.SIGSEGV
    line = next(line for line in result.stderr.splitlines() if line.startswith("howdah:"))
    assert re.fullmatch(
        r"howdah: PHP thread [01] \(id \d+\) crashed by SIGSEGV at 0x[0-9a-f]+ in the script \S+/tests/scripts/"
        r"recursion_in_c\.php, request GET /recursion_in_c\.php\?a=1: its stack is full, most likely by recursion in C; "
        r"thread_stack_size sets the size",
        line,
    ), line


@_is_instrumented
@pytest.mark.parametrize("when", ["before", "after"])
def test_faulthandler_still_tells_the_stacks_of_python(when: str) -> None:
    switch = "import faulthandler\nfaulthandler.enable()\n"
    source = _ENDLESS % ""
    source = switch + source if when == "before" else source.replace("handle(", switch + "handle(")
    result = python(_ALONE + _SETUP + source, timeout_s=60)
    assert result.returncode == -signal.SIGSEGV
    assert result.stderr.count("howdah: PHP thread") == 1
    assert "Fatal Python error: Segmentation fault" in result.stderr
    assert "thread_run" in result.stderr or "in _body" in result.stderr


def test_a_fault_of_another_thread_is_not_said_to_be_of_php() -> None:
    result = python(
        _ALONE
        + _SETUP
        + """
import ctypes
runtime = Runtime(num_threads=1)
runtime.start()
handle(b"/hello.php")
sys.stdout.flush()
ctypes.string_at(8)
""",
        timeout_s=60,
    )
    assert result.returncode != 0
    assert "howdah: PHP thread" not in result.stderr


@_is_instrumented
def test_the_handler_is_gone_with_php() -> None:
    result = python(
        _ALONE
        + _SETUP
        + """
import ctypes, signal
libc = ctypes.CDLL(None)
def action():
    buffer = (ctypes.c_char * 256)()
    assert libc.sigaction(signal.SIGSEGV, None, buffer) == 0
    return bytes(buffer)[:8]
before = action()
for _ in range(2):
    runtime = Runtime(num_threads=1)
    runtime.start()
    assert action() != before
    assert runtime.stop()
    assert action() == before
print("well")
""",
        timeout_s=60,
    )
    assert result.stdout == "well\n", result.stderr


def _depth(stack_mib: int, levels: int) -> bool:
    """Whether a thread with that stack survives that many levels of recursion in C."""
    result = python(
        _SETUP
        + f"""
runtime = Runtime(num_threads=1, thread_stack_size_bytes={stack_mib} << 20, php_ini={{"memory_limit": "-1", "zend.max_allowed_stack_size": "-1"}})
runtime.start()
print(handle(b"/recursion_in_c.php?levels={levels}").body.decode())
""",
        timeout_s=60,
    )
    return result.stdout.strip() == str(levels)


@_is_instrumented
def test_thread_stack_size_decides_how_deep_a_script_can_go() -> None:
    assert _depth(16, 10_000)
    assert not _depth(1, 10_000)
    assert _depth(64, 40_000)


@_is_instrumented
def test_a_large_stack_is_taken_from_memory_as_it_is_used() -> None:
    result = python(
        _SETUP
        + """
def resident_kib():
    return int(open("/proc/self/statm").read().split()[1]) * 4
runtime = Runtime(num_threads=32, thread_stack_size_bytes=256 << 20)
before = resident_kib()
runtime.start()
print(resident_kib() - before)
runtime.stop()
""",
        timeout_s=60,
    )
    assert int(result.stdout) < 150_000, result.stderr
