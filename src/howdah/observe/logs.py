"""The logs of a process: what is logged where, in which form and from which level on.

Records of Python's ``logging`` and entries of access logs become lines where they are made, and are written by the
log thread.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from howdah.config.http import Log
from howdah.errors import ConfigError
from howdah.observe import access, records
from howdah.observe.filters import Filter
from howdah.observe.outputs import FileOutput, Output, StreamOutput
from howdah.observe.writer import LogWriter

if TYPE_CHECKING:
    from howdah.observe.access import AccessEntry

_LEVELS = {"DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARN": logging.WARNING, "ERROR": logging.ERROR}
_STREAMS = {"stdout": 1, "stderr": 2}
_NOWHERE = "discard"
_ACCESS = "http.log.access"
_OURS = "howdah"
# Text that is no Unicode is shown.
_ODD = "backslashreplace"


class AccessSink:
    """Where entries of one access log go.

    Args:
        put: takes a finished line; None drops everything.
        write: turns an entry into a line.
        log: level and hosts.
        head: of lines that the extension may write by itself, in the place of ``write``; None leaves it to that.

    Attributes:
        direct: the head and ``put``, where all entries become such lines.
        hostnames: hosts whose requests it wants; none means all.
        is_wanted: anything is ever written.
        put: logs an entry; does not block.
    """

    __slots__ = ("direct", "hostnames", "is_wanted", "put")

    def __init__(
        self,
        put: Callable[[bytes], None] | None,
        write: Callable[[AccessEntry], bytes],
        log: Log,
        head: bytes | None = None,
    ) -> None:
        only_errors = _LEVELS[log.level] > logging.INFO
        self.direct = (head, put) if head is not None and put is not None and not only_errors else None
        self.hostnames = frozenset(name.lower() for name in log.hostnames)
        self.is_wanted = put is not None
        # Made for what the log wants, because every request asks.
        self.put = _compile_put(put, write, only_errors=only_errors)


def _compile_put(
    put: Callable[[bytes], None] | None, write: Callable[[AccessEntry], bytes], *, only_errors: bool
) -> Callable[[AccessEntry], None]:
    if put is None:
        return lambda entry: None
    if not only_errors:
        return lambda entry: put(write(entry))

    def put_error(entry: AccessEntry) -> None:
        if access.is_error(entry):
            put(write(entry))

    return put_error


class Logs:
    """The logs of a process; `configure` puts them in force, also again for a new configuration.

    Callable from any thread, but `configure` and `close`.
    """

    def __init__(self) -> None:
        self._writer = LogWriter()
        self._outputs: dict[str, Output] = {}
        self._handlers: list[logging.Handler] = []
        self._sinks: dict[Log, AccessSink] = {}

    @property
    def lost_lines(self) -> int:
        """Lines that were not written: they came too fast, or the disk was full."""
        return self._writer.dropped + sum(output.lost for output in list(self._outputs.values()))

    def configure(self, logs: Sequence[Log] = (), *, debug: bool = False) -> None:
        """Log the server's records as a configuration says; without one to standard error.

        Args:
            logs: the server's, not the access logs of sites.
            debug: log at DEBUG where a log says nothing else.

        Raises:
            ConfigError: a file cannot be opened, or a filter is wrong; nothing has changed.
        """
        wanted = list(logs) or [Log()]
        handlers = [self._handler(log, debug=debug) for log in wanted]
        self._writer.start()
        root = logging.getLogger()
        for handler in self._handlers:
            root.removeHandler(handler)
        self._handlers = handlers
        self._sinks.clear()
        for handler in handlers:
            root.addHandler(handler)
        # Other libraries are heard from WARNING on.
        root.setLevel(logging.WARNING)
        logging.getLogger(_OURS).setLevel(min((handler.level for handler in handlers), default=logging.WARNING))

    def access(self, log: Log) -> AccessSink:
        """Give the sink of an access log; the same one for the same log.

        Raises:
            ConfigError: a file cannot be opened, or a filter is wrong.
        """
        known = self._sinks.get(log)
        if known is None:
            output = self._output(log)
            put = self._writer.channel(output) if output is not None else None
            write, head = _access_writer(log)
            known = self._sinks[log] = AccessSink(put, write, log, head)
        return known

    def flush(self) -> bool:
        """Wait until everything is written; False when it takes longer than two seconds."""
        return self._writer.flush()

    def close(self) -> None:
        """Write what is left and log nothing more; bounded."""
        root = logging.getLogger()
        for handler in self._handlers:
            root.removeHandler(handler)
        self._handlers = []
        self._writer.close()
        for output in self._outputs.values():
            output.close()

    def _handler(self, log: Log, *, debug: bool) -> logging.Handler:
        output = self._output(log)
        handler = _Handler(self._writer, output, log)
        level = _LEVELS[log.level]
        handler.setLevel(min(level, logging.DEBUG) if debug and log.level == "INFO" else level)
        return handler

    def _output(self, log: Log) -> Output | None:
        if log.output == _NOWHERE:
            return None
        known = self._outputs.get(log.output)
        if known is None:
            known = self._outputs[log.output] = _open(log)
        return known


def _open(log: Log) -> Output:
    if log.output in _STREAMS:
        return StreamOutput(log.output, _STREAMS[log.output])
    size_bytes = log.roll_size_bytes if log.roll else 0
    output = FileOutput(log.output, size_bytes, log.roll_keep, log.roll_keep_s)
    try:
        output.open()
    except OSError as error:
        raise ConfigError(
            f"the log file {log.output} cannot be written: {error.strerror or error}", directive="log"
        ) from None
    return output


def _access_writer(log: Log) -> tuple[Callable[[AccessEntry], bytes], bytes | None]:
    logger = _ACCESS if log.name == Log().name else f"{_ACCESS}.{log.name}"
    if not log.fields and log.format == "json":
        return access.json_writer(logger), access.json_head(logger)
    change = Filter(log.fields).apply
    line = records.json_line if log.format == "json" else access.console_line

    def write(entry: AccessEntry) -> bytes:
        return line(change(access.as_fields(entry, logger))).encode(errors=_ODD)

    return write, None


class _Handler(logging.Handler):
    """Turns records into lines of one log."""

    def __init__(self, writer: LogWriter, output: Output | None, log: Log) -> None:
        super().__init__()
        self._flush = writer.flush
        self._put = writer.channel(output, soon=True) if output is not None else None
        self._include = log.include
        self._exclude = log.exclude
        self._change = Filter(log.fields).apply if log.fields else None
        self._line = records.json_line if log.format == "json" else records.console_line

    def emit(self, record: logging.LogRecord) -> None:
        if self._put is None or not self._wants(record.name):
            return
        try:
            fields = records.fields_of(record)
            if self._change is not None:
                fields = self._change(fields)
            self._put(self._line(fields).encode(errors=_ODD))
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Write what was logged; bounded. Called by ``logging.shutdown()``."""
        with contextlib.suppress(Exception):
            self._flush()

    def _wants(self, name: str) -> bool:
        if self._include and not any(_is_below(name, prefix) for prefix in self._include):
            return False
        return not any(_is_below(name, prefix) for prefix in self._exclude)


def _is_below(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")
