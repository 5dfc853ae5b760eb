"""Checks of the machine for `howdah doctor`: limits, kernel, file events, listening addresses. Needs no PHP."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import resource
import struct
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator

from howdah.cli.doctor_finding import Finding, Verdict, size_text
from howdah.errors import HowdahError
from howdah.runtime.cgroups import Cgroups
from howdah.runtime.sizing import usable_cores, usable_memory_bytes
from howdah.serve.address import Address, bind
from howdah.watch.backends import read_limit

# An open connection is one descriptor, a spooled body or response another; and PHP's own files and sockets.
_FEW_DESCRIPTORS = 4096
_TOO_FEW_DESCRIPTORS = 256
_FEW_WATCHES = 8192
_FEW_INSTANCES = 32
_LITTLE_STACK = 256 << 10
_CLONE_FS = 0x00000200
_FIRST_FREE_PORT = 1024


def check_system() -> Iterator[Finding]:
    """Look at the machine and at what the kernel lets this process do."""
    yield from check_limits()
    yield from check_kernel()
    yield check_watches()


def check_limits() -> Iterator[Finding]:
    """Look at cores, memory, and the limits of the process."""
    cores, share = usable_cores(), Cgroups().cores()
    limited = (
        f", because its control group has {share:.3g}" if share is not None and share < (os.cpu_count() or 1) else ""
    )
    yield Finding("cores", "ok", f"this process may use {cores} of {os.cpu_count() or 1}{limited}")
    memory = usable_memory_bytes()
    if memory is None:
        yield Finding("memory", "warning", "the usable memory cannot be found out", "set max_threads to a number")
    else:
        yield Finding("memory", "ok", f"this process may use {size_text(memory)}")
    yield _check_descriptors()
    yield from _check_address_space()
    yield check_libc()


def _check_descriptors() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _FEW_DESCRIPTORS:
        return Finding("file descriptors", "ok", f"{'any number' if soft < 0 else soft} may be open")
    can = "" if hard == resource.RLIM_INFINITY or hard >= _FEW_DESCRIPTORS else f" (the hard limit is {hard}: ask root)"
    return Finding(
        "file descriptors",
        "problem" if soft < _TOO_FEW_DESCRIPTORS else "warning",
        f"only {soft} may be open; each connection needs one, and each file and database connection of a script",
        f"run `ulimit -n 65536` before the server, or set LimitNOFILE=65536 in its systemd unit{can}",
    )


def _check_address_space() -> Iterator[Finding]:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        yield Finding(
            "address space",
            "warning",
            f"limited to {size_text(limit)}; stacks of threads and OPcache reserve more than they use",
            "lift it with `ulimit -v unlimited`, and limit memory by a control group (MemoryMax= in systemd)",
        )
    stack, _ = resource.getrlimit(resource.RLIMIT_STACK)
    if stack != resource.RLIM_INFINITY and stack < _LITTLE_STACK:
        yield Finding("stack", "warning", f"limited to {size_text(stack)}", "raise it with `ulimit -s 8192`")


def check_libc() -> Finding:
    """Look which C library there is."""
    try:
        version = os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError):
        version = None
    if version:
        return Finding("C library", "ok", version)
    return Finding(
        "C library",
        "warning",
        "it is not glibc; with musl PHP threads are slower and GLOB_BRACE is missing",
        "use an image of Debian or another distribution with glibc",
    )


# -- the kernel -----------------------------------------------------------------------------------


def check_kernel() -> Iterator[Finding]:
    """Try the calls that Howdah needs beyond the usual ones."""
    yield _tried(
        "umask of threads",
        try_unshare,
        "unshare(CLONE_FS) works: each PHP thread has a umask of its own",
        "warning",
        "unshare(CLONE_FS) is refused: all requests share one umask, and a script that changes it changes all",
        "allow the call in the container's seccomp profile, or let no script call umask()",
    )
    yield _tried(
        "locks of open files",
        try_ofd_lock,
        "F_OFD_SETLK works: OPcache never wipes its memory under running scripts",
        "problem",
        "F_OFD_SETLK is refused: OPcache may wipe its memory under running scripts, which crashes",
        "use Linux 3.15 or newer without a filter on fcntl, or set opcache.enable=0",
    )
    yield _tried(
        "backtraces",
        try_process_read,
        "process_vm_readv works: the slow log shows where a blocked script is",
        "warning",
        "process_vm_readv is refused: the slow log cannot show where a blocked script is",
        "allow the call in the container's seccomp profile",
    )
    yield _tried(
        "blocked system calls",
        try_syscall_file,
        "/proc/self/task/TID/syscall is readable: a timeout reaches scripts that wait for a socket",
        "warning",
        "/proc/self/task/TID/syscall is not readable: request_timeout may not end a script that waits for a database",
        "use a kernel with CONFIG_HAVE_ARCH_TRACEHOOK, and set default_socket_timeout below request_timeout",
    )


def _tried(check: str, attempt: Callable[[], None], good: str, verdict: Verdict, bad: str, cure: str) -> Finding:
    try:
        attempt()
    except OSError as error:
        return Finding(check, verdict, f"{bad} ({error.strerror or error})", cure)
    return Finding(check, "ok", good)


def try_unshare() -> None:
    """Give a thread, which then ends, its own umask and directory; raises OSError where that is refused."""
    failed: list[int] = []

    def attempt() -> None:
        if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_FS) != 0:
            failed.append(ctypes.get_errno())

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    if failed:
        raise OSError(failed[0], os.strerror(failed[0]))


def try_ofd_lock() -> None:
    """Take a lock of an open file description; raises OSError where there are none."""
    command = getattr(fcntl, "F_OFD_SETLK", None)
    if command is None:
        raise OSError(errno.ENOSYS, "not known here")
    with tempfile.TemporaryFile() as file:
        # struct flock: type, whence, start, length, process (0 for these locks)
        fcntl.fcntl(file.fileno(), command, struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 1, 1, 0))


def try_process_read() -> None:
    """Read our own memory as though it were another process's; raises OSError where that is refused."""

    class Vector(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

    source, target = ctypes.create_string_buffer(b"howdah"), ctypes.create_string_buffer(7)
    read = ctypes.CDLL(None, use_errno=True).process_vm_readv
    read.restype = ctypes.c_ssize_t
    vectors = [Vector(ctypes.addressof(buffer), 7) for buffer in (target, source)]
    done = read(os.getpid(), ctypes.byref(vectors[0]), 1, ctypes.byref(vectors[1]), 1, 0)
    if done != len(source):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def try_syscall_file() -> None:
    """Read what a thread of ours is blocked in; raises OSError where that cannot be read."""
    with open(f"/proc/self/task/{threading.get_native_id()}/syscall", encoding="ascii") as file:  # noqa: PTH123
        if not file.read():
            raise OSError(errno.ENODATA, "it is empty")


def check_watches() -> Finding:
    """Look at the limits of file events."""
    watches, instances = read_limit("max_user_watches"), read_limit("max_user_instances")
    text = f"fs.inotify.max_user_watches is {watches}, fs.inotify.max_user_instances is {instances}"
    if not isinstance(watches, int) or not isinstance(instances, int):
        return Finding("file events", "warning", text, "without inotify watched files are polled every second")
    if watches < _FEW_WATCHES or instances < _FEW_INSTANCES:
        return Finding(
            "file events",
            "warning",
            f"{text}; a watched folder with more folders in it is polled instead",
            "run `sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512`",
        )
    return Finding("file events", "ok", text)


# -- addresses ------------------------------------------------------------------------------------


def check_addresses(addresses: Iterable[Address]) -> Iterator[Finding]:
    """Try to bind each address for a moment."""
    for address in addresses:
        try:
            bound = bind(address)
        except HowdahError as error:
            yield Finding(f"address {address}", "problem", str(error), _port_cure(address))
            continue
        bound.close()
        if address.kind == "unix":
            with contextlib.suppress(OSError):
                os.unlink(address.path)  # noqa: PTH108 - the file that binding has made
        yield Finding(f"address {address}", "ok", "it is free")


def _port_cure(address: Address) -> str:
    if address.kind == "tcp" and 0 < address.port < _FIRST_FREE_PORT:
        return (
            "if it is Howdah itself that runs, all is well; without permission: set http_port and https_port to ports "
            "from 1024 on, or run `setcap cap_net_bind_service=+ep` on the Python that runs Howdah"
        )
    return "if it is Howdah itself that runs, all is well; else stop what uses the address, or choose another"
