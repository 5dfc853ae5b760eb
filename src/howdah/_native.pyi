"""Types of the native extension; the C sources are in ``native/``. Checked by stubtest.

One engine per process. ``howdah.engine.native`` is the only importer.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, TypedDict, final

HEADERS: Final[int]
INTERIM: Final[int]
MORE: Final[int]
DONE: Final[int]
COMPLETED: Final[int]
REJECTED: Final[int]
ABORTED: Final[int]
EVENT_STOPPED: Final[int]
EVENT_RECYCLE: Final[int]
EVENT_UNHEALTHY: Final[int]
EVENT_LEFT: Final[int]
EVENT_KILLED: Final[int]
EVENT_MEMORY: Final[int]
EVENT_ENDED: Final[int]
KILL_BY_FLAG: Final[int]
KILL_BY_SIGNAL: Final[int]
KILL_BY_CUTOFF: Final[int]
PUSH_OK: Final[int]
PUSH_FULL: Final[int]
PUSH_CLOSED: Final[int]
PUSH_DEFERRED: Final[int]

class _BuildInfo(TypedDict):
    php_version: str
    php_version_id: int
    zts: bool
    debug: bool
    zend_signals: bool
    max_execution_timers: bool

class _Facts(TypedDict):
    opcache: bool
    memory_limit: str | None
    ini_file: str | None
    ini_scanned: str | None

class _Opcache(TypedDict):
    enabled: bool
    restart_pending: bool
    oom_restarts: int
    hash_restarts: int
    manual_restarts: int
    used_bytes: int
    free_bytes: int
    wasted_bytes: int
    hits: int
    misses: int

class _SlotInfo(TypedDict):
    state: str
    thread_id: int
    request_id: int
    since_s: float
    requests: int
    life_requests: int
    memory_bytes: int
    peak_bytes: int
    lives: int
    current: str

class _PoolStatistics(TypedDict):
    waiting: int
    peak: int
    idle: int
    pushed: int
    refused: int
    oldest_s: float

# -- engine: start and stop block without the GIL
def build_info() -> _BuildInfo: ...
def start(
    ini_entries: bytes,
    ini_defaults: tuple[tuple[bytes, bytes], ...],
    max_threads: int,
    max_queue: int,
    spool_dir: bytes,
    log_level: int,
    /,
) -> None: ...
def stop() -> bool: ...
def state() -> str: ...
def facts() -> _Facts: ...
def after_fork() -> None: ...

# -- threads: boot, run and free are called one after the other on the slot's own OS thread, without the GIL
def thread_boot(slot: int, /) -> None: ...
def thread_run(slot: int, pool: int, /) -> int: ...

# gives event, whether the script asked for a request, its exit status, PHP's last error, requests handled
def worker_run(slot: int, pool: int, boot: Request, reset: bool, /) -> tuple[int, bool, int, str | None, int]: ...
def thread_free(slot: int, /) -> None: ...
def thread_kill(slot: int, request_id: int, reason: str, status: int = 503, stage: int = ..., /) -> bool: ...
def thread_kills(slot: int, request_id: int, /) -> int: ...
def trace(slot: int, request_id: int, timeout_s: float, /) -> str | None: ...
def syscall_readable() -> bool: ...
def slot_state(slot: int, /) -> str: ...
def slot_change(slot: int, expected: str, to: str, /) -> bool: ...
def slot_limit(slot: int, requests: int, memory_bytes: int, /) -> None: ...
def slot_info(slot: int, /) -> _SlotInfo: ...
def new_code() -> None: ...

# -- pools: number 0 is the regular one
def pool_open(max_waiting: int, /) -> int: ...
def pool_bound(pool: int, max_waiting: int, /) -> None: ...
def pool_free(pool: int, /) -> None: ...
def pool_close(pool: int, /) -> None: ...
def pool_flush(pool: int, everything: bool, /) -> bool: ...
def pool_pause(pool: int, /) -> None: ...
def pool_resume(pool: int, /) -> None: ...
def pool_evict(pool: int, /) -> int: ...
def pool_leave(pool: int, slot: int, /) -> None: ...
def pool_stay(pool: int, slot: int, /) -> None: ...
def pool_statistics(pool: int, /) -> _PoolStatistics: ...

# -- OPcache: done by php-main, blocks without the GIL; paths to forget are each ended by NUL
def opcache_scripts() -> list[bytes] | None: ...
def opcache_forget(paths: bytes, /) -> bool: ...
def opcache(wipe: bool, /) -> _Opcache | None: ...
def opcache_pending() -> bool: ...
def statistics() -> dict[str, int]: ...

# -- files: whether a path still names the regular file with this inode, device and change time; keeps the GIL
def unchanged(path: bytes, known: tuple[int, int, int, object], /) -> bool: ...

# -- log: records are (level, request id, wall clock, message, JSON context, slot or -1, document root or nothing);
# the second value counts lost ones
def log_take(timeout_s: float, /) -> tuple[list[tuple[int, int, float, bytes, bytes, int, bytes]], int]: ...
def log_close() -> None: ...
def log_to_stderr() -> None: ...

# -- a line of an access log; the head is what stands between its time and its request
def access_line(
    head: bytes,
    scope: dict[str, Any],
    headers: Iterable[tuple[bytes, bytes]],
    status: int,
    is_complete: bool,
    size_bytes: int,
    read_bytes: int,
    user: str,
    time_s: float,
    duration_s: float,
    php: tuple[int, int, str, int, float, float] | None,
    /,
) -> bytes: ...

@final
class AccessTap:
    """Makes the entries of one access log."""

    def __new__(
        cls,
        receive: Callable[[AccessEntry], Awaitable[Any]],
        put: Callable[[Any], Any],
        head: bytes | None,
        /,
    ) -> AccessTap: ...
    def open(self, scope: Any, receive: Any, send: Any, /) -> AccessEntry: ...

@final
class AccessEntry:
    """One request of an access log; made by `AccessTap.open`, which also puts it into the scope."""

    scope: Final[dict[str, Any]]
    headers: Final[Any]
    receive_on: Final[Any]
    user: str
    php: tuple[int, int, str, int, float, float] | None
    time_s: Final[float]
    duration_s: Final[float]
    size_bytes: Final[int]
    read_bytes: int
    status: Final[int]
    is_complete: Final[bool]
    def send(self, message: Any, /) -> Any: ...
    def receive(self) -> Any: ...
    def end(self) -> None: ...

@final
class Channel:
    """Completion list and wake-up descriptor of one event loop or waiting thread."""

    def __new__(cls) -> Channel: ...
    def fileno(self) -> int: ...
    def drain(self) -> list[int]: ...
    def wait(self, timeout_s: float, /) -> list[int]: ...
    def close(self) -> None: ...

@final
class Site:
    """Constants of one site's ``$_SERVER``; immutable."""

    def __new__(
        cls, document_root: bytes, server_software: bytes, env: Sequence[tuple[bytes, bytes]], timeout_s: float = 0.0, /
    ) -> Site: ...
    def request(
        self,
        channel: Channel,
        target: tuple[bytes, bytes, bytes, bytes, bytes],
        endpoint: tuple[bytes, bytes, bytes, bytes, bytes, bytes],
        method: str,
        request_uri: bytes,
        query_string: bytes,
        remote_addr: str,
        remote_port: int | str,
        headers: Sequence[tuple[bytes, bytes]],
        env: Sequence[tuple[bytes, bytes]] | None,
        /,
    ) -> Request: ...

@final
class Request:
    """One request on its way through PHP; made by `Site.request`."""

    @property
    def id(self) -> int: ...
    @property
    def state(self) -> str: ...
    @property
    def outcome(self) -> int: ...
    @property
    def slot(self) -> int: ...
    @property
    def aborted(self) -> bool: ...
    @property
    def finished_early(self) -> bool: ...
    @property
    def complete(self) -> bool: ...
    @property
    def times_s(self) -> tuple[float, float]: ...
    @property
    def timeout_s(self) -> float: ...
    @timeout_s.setter
    def timeout_s(self, value: float, /) -> None: ...
    @property
    def label(self) -> str: ...
    @property
    def spooled_bytes(self) -> int: ...
    @property
    def peak_bytes(self) -> int: ...
    @property
    def fed_bytes(self) -> int: ...
    def set_body(self, data: bytes, /) -> None: ...
    def set_body_file(self, fd: int, size_bytes: int, /) -> None: ...
    def stream_body(self, timeout_s: float, /) -> None: ...
    def feed(self, data: bytes, /) -> bool: ...
    def feed_end(self, complete: bool, /) -> None: ...
    def submit(self, pool: int, lazy: bool, /) -> int: ...
    def cancel(self) -> bool: ...
    def abort(self) -> None: ...
    def give_up(self, status: int, /) -> None: ...
    def take(self, max_bytes: int, /) -> tuple[int, int, list[tuple[bytes, bytes]] | None, bytes]: ...
