"""Types of the native extension; the C sources are in ``native/``. Checked by stubtest.

One engine per process. ``howdah.engine.native`` is the only importer.
"""

from collections.abc import Sequence
from typing import Final, TypedDict, final

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
    ini_file: str | None
    ini_scanned: str | None

class _SlotInfo(TypedDict):
    state: str
    thread_id: int
    request_id: int
    since_s: float
    requests: int
    life_requests: int
    memory_bytes: int
    lives: int
    current: str

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
def thread_run(slot: int, /) -> int: ...
def thread_free(slot: int, /) -> None: ...
def thread_kill(slot: int, request_id: int, reason: str, /) -> bool: ...
def slot_state(slot: int, /) -> str: ...
def slot_change(slot: int, expected: str, to: str, /) -> bool: ...
def slot_info(slot: int, /) -> _SlotInfo: ...

# -- queue and counters
def queue_close() -> None: ...
def queue_flush() -> None: ...
def queue_evict() -> int: ...
def statistics() -> dict[str, int]: ...

# -- log: records are (level, request id, wall clock, message, JSON context); the second value counts lost ones
def log_take(timeout_s: float, /) -> tuple[list[tuple[int, int, float, bytes, bytes]], int]: ...
def log_close() -> None: ...

@final
class Channel:
    """Completion list and wake-up descriptor of one event loop or waiting thread."""

    def __new__(cls) -> Channel: ...
    def fileno(self) -> int: ...
    def drain(self) -> list[int]: ...
    def close(self) -> None: ...

@final
class Site:
    """Constants of one site's ``$_SERVER``; immutable."""

    def __new__(cls, document_root: bytes, server_software: bytes, env: Sequence[tuple[bytes, bytes]], /) -> Site: ...
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
    def aborted(self) -> bool: ...
    @property
    def finished_early(self) -> bool: ...
    @property
    def complete(self) -> bool: ...
    @property
    def times_s(self) -> tuple[float, float]: ...
    @property
    def spooled_bytes(self) -> int: ...
    @property
    def fed_bytes(self) -> int: ...
    def set_body(self, data: bytes, /) -> None: ...
    def set_body_file(self, fd: int, size_bytes: int, /) -> None: ...
    def stream_body(self, timeout_s: float, /) -> None: ...
    def feed(self, data: bytes, /) -> bool: ...
    def feed_end(self, complete: bool, /) -> None: ...
    def submit(self, lazy: bool, /) -> int: ...  # noqa: FBT001
    def cancel(self) -> bool: ...
    def abort(self) -> None: ...
    def take(self, max_bytes: int, /) -> tuple[int, int, list[tuple[bytes, bytes]] | None, bytes]: ...
