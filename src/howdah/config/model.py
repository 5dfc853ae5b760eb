"""The configuration as frozen dataclasses: the one model behind Caddyfile, flags, JSON and Python API.

Times are floats in seconds with the suffix ``_s``, sizes are ints in bytes with the suffix ``_bytes``.
A value is checked where it is made, so a model that exists is valid by itself; what depends on the
machine (does the root exist, is the port free) is checked by who uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from howdah.errors import ConfigError

Symlinks = Literal["follow", "inside"]

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

DEFAULT_MAX_BODY_SIZE_BYTES = GIB
DEFAULT_REQUEST_BODY_TIMEOUT_S = 60.0


def _no_map() -> Mapping[str, str]:
    return MappingProxyType({})


def _require(condition: bool, message: str, directive: str) -> None:
    if not condition:
        raise ConfigError(message, directive=directive)


@dataclass(frozen=True, slots=True)
class Position:
    """Where something stands in the configuration; line and column count from 1, 0 means nowhere."""

    file: str = ""
    line: int = 0
    column: int = 0

    def error(self, message: str, directive: str | None = None) -> ConfigError:
        """Make an error about what stands here, without a position if that is nowhere."""
        return ConfigError(
            message,
            file=self.file or None,
            line=self.line or None,
            column=self.column or None,
            directive=directive,
        )


NOWHERE = Position()


@dataclass(frozen=True, slots=True)
class RuntimeConfig:
    """PHP in this process: threads, limits, ini.

    Args:
        num_threads: PHP threads started at the beginning; None means twice the usable cores.
        max_threads: upper bound of threads, or ``auto`` (what memory allows); None means ``num_threads``.
        max_wait_time_s: longest wait for a thread before 503; 0 waits for ever.
        max_idle_time_s: idle time after which a thread beyond ``num_threads`` may go.
        max_requests: requests after which a thread is recycled; 0 never recycles.
        max_queue: requests that may wait for a regular thread, and as many for each worker that sets none of its own;
            one more gets 503.
        request_timeout_s: wall-clock limit of one request; 0 is none.
        slow_request_threshold_s: requests slower than this are logged; 0 logs none.
        grace_s: time that running requests get when the runtime stops.
        max_thread_memory_bytes: PHP memory at the end of a request from which a thread is recycled; 0 never.
        opcache_restart_grace_s: time that requests get to end before a wipe of OPcache is put off.
        thread_stack_size_bytes: stack of a PHP thread, taken from memory as it is used.
        php_ini: ini entries that win over every php.ini, in this order.
        workers: worker scripts.
        debug: show PHP errors in the response and log more.
    """

    num_threads: int | None = None
    max_threads: int | Literal["auto"] | None = None
    max_wait_time_s: float = 30.0
    max_idle_time_s: float = 5.0
    max_requests: int = 0
    max_queue: int = 1000
    request_timeout_s: float = 0.0
    slow_request_threshold_s: float = 0.0
    grace_s: float = 30.0
    max_thread_memory_bytes: int = 0
    opcache_restart_grace_s: float = 5.0
    thread_stack_size_bytes: int = 16 * MIB
    php_ini: Mapping[str, str] = field(default_factory=_no_map)
    workers: tuple[WorkerConfig, ...] = ()
    debug: bool = False

    def __post_init__(self) -> None:
        _require(
            self.num_threads is None or 1 <= self.num_threads <= 1024,
            "num_threads must be between 1 and 1024",
            "num_threads",
        )
        _require(
            self.max_threads in {None, "auto"} or int(self.max_threads or 0) >= (self.num_threads or 1),
            "max_threads must not be smaller than num_threads",
            "max_threads",
        )
        for name in ("max_wait_time_s", "max_idle_time_s", "request_timeout_s", "slow_request_threshold_s", "grace_s"):
            _require(getattr(self, name) >= 0, f"{name} must not be negative", name.removesuffix("_s"))
        _require(self.max_requests >= 0, "max_requests must not be negative (0 means no limit)", "max_requests")
        _require(
            self.thread_stack_size_bytes >= 256 * KIB,
            "thread_stack_size must be at least 256KiB",
            "thread_stack_size",
        )
        _require(self.max_queue >= 0, "max_queue must not be negative (0 means that nothing waits)", "max_queue")


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """A worker script: boots once per thread and handles many requests.

    Args:
        file: the script; relative paths count from the current directory.
        num: threads started at the beginning; None means twice the usable cores.
        name: unique name; None means the absolute path of the file.
        env: variables that the script sees while it boots, and by ``getenv()`` also in its requests.
        watch: patterns of files whose change restarts the worker.
        match: paths that go to this worker whether or not such a file exists (workers of a site only).
        max_threads: upper bound of the worker's threads; 0 means the runtime's.
        max_requests: requests after which a thread is recycled; 0 means the runtime's.
        max_queue: requests that may wait for its threads, one more gets 503; None means the runtime's.
        max_consecutive_failures: boots that may fail one after the other while the server starts; -1 any number.
        request_timeout_s: wall-clock limit of one request; 0 means the runtime's.
        reset_to_baseline: after each request, restore what the script had at its first
            ``frankenphp_handle_request()``: environment, ini entries, handlers, locale, umask, directory.
        position: where a configuration file names the script, for messages; makes no difference between workers.
    """

    file: str
    num: int | None = None
    name: str | None = None
    env: Mapping[str, str] = field(default_factory=_no_map)
    watch: tuple[str, ...] = ()
    match: tuple[str, ...] = ()
    max_threads: int = 0
    max_requests: int = 0
    max_consecutive_failures: int = 6
    request_timeout_s: float = 0.0
    reset_to_baseline: bool = True
    max_queue: int | None = None
    position: Position = field(default=NOWHERE, compare=False, repr=False)

    def __post_init__(self) -> None:
        _require(bool(self.file), "a worker needs a script file", "worker")
        _require(self.num is None or self.num >= 0, "num must not be negative (0 means the default)", "num")
        _require(self.max_threads >= 0, "max_threads must not be negative (0 means the runtime's)", "max_threads")
        _require(self.max_requests >= 0, "max_requests must not be negative (0 means the runtime's)", "max_requests")
        _require(
            self.max_queue is None or self.max_queue >= 0,
            "max_queue must not be negative (0 means that nothing waits)",
            "max_queue",
        )
        _require(
            self.max_consecutive_failures >= -1,
            "max_consecutive_failures must be -1 (for ever) or more",
            "max_consecutive_failures",
        )
        _require(self.request_timeout_s >= 0, "request_timeout must not be negative", "request_timeout")


@dataclass(frozen=True, slots=True)
class SiteConfig:
    """One PHP site.

    Args:
        root: document root; relative paths count from the current directory.
        split: suffixes of scripts, ASCII, compared without case; what follows one in the path is PATH_INFO.
        index: script tried for a folder; None tries none.
        try_files: candidates for a path; None means ``{path} {path}/<index> <index>``.
        env: variables that scripts see in ``$_SERVER`` and ``getenv()``.
        symlinks: ``follow`` serves what links point to; ``inside`` refuses targets outside the resolved root.
        request_buffering: receive the whole body before a thread is taken.
        request_body_timeout_s: longest silence of a client that sends a body; 0 is none.
        max_body_size_bytes: larger bodies are refused with 413; 0 is no limit.
        workers: worker scripts of this site.
        request_timeout_s: wall-clock limit of one request; 0 means the runtime's.
    """

    root: str = "."
    split: tuple[str, ...] = (".php",)
    index: str | None = "index.php"
    try_files: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=_no_map)
    symlinks: Symlinks = "follow"
    request_buffering: bool = True
    request_body_timeout_s: float = DEFAULT_REQUEST_BODY_TIMEOUT_S
    max_body_size_bytes: int = DEFAULT_MAX_BODY_SIZE_BYTES
    workers: tuple[WorkerConfig, ...] = ()
    request_timeout_s: float = 0.0

    def __post_init__(self) -> None:
        _require(bool(self.split), "split needs at least one suffix such as .php", "split")
        for suffix in self.split:
            _require(
                suffix.isascii() and suffix.startswith(".") and len(suffix) > 1,
                f"split suffix {suffix!r} must be ASCII and start with a dot",
                "split",
            )
        _require(self.symlinks in {"follow", "inside"}, "symlinks must be 'follow' or 'inside'", "symlinks")
        _require(self.request_body_timeout_s >= 0, "request_body_timeout must not be negative", "request_body_timeout")
        _require(self.max_body_size_bytes >= 0, "max_body_size must not be negative", "max_body_size")
        for name in self.env:
            _require(bool(name) and "=" not in name and "\0" not in name, f"env name {name!r} is not valid", "env")
