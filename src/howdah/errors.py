"""Every error that Howdah raises, and what the caller can do about each.

    HowdahError                    exit code 1
    +- ConfigError                 2  the user's configuration; names file, line, column, directive
    +- EngineError                 1  PHP itself
    |  +- EngineVersionError       1  not ZTS, too old, no embed library, built with zend-signals
    |  +- EngineStartError         1  PHP refused its ini, its preload script or an extension
    |  +- EngineStateError         1  not started, started twice, or dead after a fork
    |  +- WorkerBootError          1  a worker script ended before it asked for a request; has PHP's message
    +- RequestRejected             -  an HTTP status for the client; the request was not executed
    |  +- InvalidPath              400
    |  +- InvalidRequest           400
    |  +- Forbidden                403
    |  +- BodyTimeout              408
    |  +- BodyTooLarge             413
    |  +- QueueFull                503  Retry-After
    |  +- WaitTimeout              503  Retry-After
    |  +- SpoolFull                503  Retry-After
    |  +- WorkerUnavailable        503  Retry-After
    |  +- Draining                 503  Retry-After
    +- ScriptError                 -  about one PHP script
    |  +- ScriptNotFound           404
    +- ClientDisconnected          -  nobody is left to answer
    +- InternalError               1  a defect of Howdah: please report it

This module imports nothing from the package.
"""

from __future__ import annotations

from typing import ClassVar


class HowdahError(Exception):
    """Root of all errors raised by Howdah.

    Attributes:
        exit_code: exit code of a command that ends because of this error.
    """

    exit_code: ClassVar[int] = 1


class ConfigError(HowdahError):
    """A mistake in the configuration, a command line or an argument.

    The message says what is wrong and how to mend it; the position is kept apart so that tools
    can point at it.

    Args:
        message: one sentence for the user.
        file: configuration file, if the mistake stands in one.
        line: line in the file, counted from 1.
        column: column in the line, counted from 1.
        directive: name of the option or directive.
    """

    exit_code: ClassVar[int] = 2

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
        directive: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.line = line
        self.column = column
        self.directive = directive

    def __str__(self) -> str:
        """Give ``file:line:column: message`` with as much position as is known."""
        position = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        return f"{position}: {self.message}" if position else self.message


class EngineError(HowdahError):
    """PHP could not be used."""


class EngineVersionError(EngineError):
    """The PHP build cannot be embedded: NTS, older than 8.2, without libphp, or with zend-signals."""


class EngineStartError(EngineError):
    """PHP did not start; the message carries PHP's own text."""


class EngineStateError(EngineError):
    """The call does not fit the engine's state: not started, already started, or dead after a fork."""


class WorkerBootError(EngineError):
    """A worker script ended, again and again, before it called ``frankenphp_handle_request()``; has PHP's message."""


class RequestRejected(HowdahError):
    """The request was refused before any PHP ran.

    Attributes:
        status: HTTP status for the client.
        reason: short word for logs and metrics.
        retry_after_s: value of ``Retry-After`` in whole seconds, or None.
    """

    status: ClassVar[int] = 500
    reason: ClassVar[str] = "rejected"
    retry_after_s: ClassVar[int | None] = None


class InvalidPath(RequestRejected):
    """The path holds NUL or cannot be decoded (RFC 3986, section 7.3)."""

    status: ClassVar[int] = 400
    reason: ClassVar[str] = "invalid_path"


class InvalidRequest(RequestRejected):
    """A header contradicts the message, such as a Content-Length that is no number (RFC 9110, section 8.6)."""

    status: ClassVar[int] = 400
    reason: ClassVar[str] = "invalid_request"


class Forbidden(RequestRejected):
    """The target exists but must not be served: a hidden file, a link out of the root, a foreign suffix."""

    status: ClassVar[int] = 403
    reason: ClassVar[str] = "forbidden"


class BodyTimeout(RequestRejected):
    """The client stopped sending its request body."""

    status: ClassVar[int] = 408
    reason: ClassVar[str] = "body_timeout"


class BodyTooLarge(RequestRejected):
    """The request body is larger than ``max_body_size``."""

    status: ClassVar[int] = 413
    reason: ClassVar[str] = "body_too_large"


class QueueFull(RequestRejected):
    """``max_queue`` requests wait already."""

    status: ClassVar[int] = 503
    reason: ClassVar[str] = "queue_full"
    retry_after_s: ClassVar[int | None] = 1


class WaitTimeout(RequestRejected):
    """The request waited ``max_wait_time`` for a PHP thread."""

    status: ClassVar[int] = 503
    reason: ClassVar[str] = "wait_timeout"
    retry_after_s: ClassVar[int | None] = 1


class SpoolFull(RequestRejected):
    """The disk of the spool folder cannot hold the request body."""

    status: ClassVar[int] = 503
    reason: ClassVar[str] = "spool_full"
    retry_after_s: ClassVar[int | None] = 5


class Draining(RequestRejected):
    """The runtime is stopping and takes no new request."""

    status: ClassVar[int] = 503
    reason: ClassVar[str] = "draining"
    retry_after_s: ClassVar[int | None] = 1


class WorkerUnavailable(RequestRejected):
    """No thread of the worker runs its script, because it does not boot; it is tried again all the time.

    Attributes:
        detail: what PHP said, for pages that may show it.
    """

    status: ClassVar[int] = 503
    reason: ClassVar[str] = "worker_unavailable"
    retry_after_s: ClassVar[int | None] = 1

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class ScriptError(HowdahError):
    """Something is wrong with one PHP script."""


class ScriptNotFound(ScriptError):
    """No script stands where the path points; answered with 404."""

    status: ClassVar[int] = 404


class ClientDisconnected(HowdahError):
    """The client left, so there is nobody to answer."""


class InternalError(HowdahError):
    """A defect of Howdah itself; the message asks for a report."""
