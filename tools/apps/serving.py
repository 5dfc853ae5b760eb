"""A web server as a child process: start it on a free port, wait until it answers, stop it and keep what it said."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# A command line with {root} and {listen} to run the tests of an application against another server,
# e.g. "php -S {listen} -t {root}": tells whether a failure is ours or the application's.
COMMAND_VARIABLE = "HOWDAH_TEST_SERVER"


class ServingError(Exception):
    """The server did not start, ended by itself, or did not end well; the message has the end of its log."""


@dataclass(frozen=True)
class Served:
    """A running server.

    Attributes:
        url: its address, without a slash at the end.
        log: file with its standard output and standard error.
    """

    url: str
    log: Path


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    root: Path,
    log: Path,
    *,
    threads: int = 4,
    php_ini: Mapping[str, str] | None = None,
    flags: Sequence[str] = (),
    start_s: float = 20.0,
) -> Iterator[Served]:
    """Serve a document root with `howdah php-server` and further flags while the block runs.

    Raises:
        ServingError: the server did not start, ended by itself, or did not end with code 0 when asked to.
    """
    listen = f"127.0.0.1:{free_port()}"
    other = os.environ.get(COMMAND_VARIABLE)
    if other:
        command = [part.format(root=root, listen=listen) for part in shlex.split(other)]
    else:
        command = [str(_howdah()), "php-server", "--root", str(root), "--listen", listen, "--num-threads", str(threads)]
        command += flags
        for name, value in (php_ini or {}).items():
            command += ["--php-ini", f"{name}={value}"]
    with _process(command, listen, log, start_s, may_fail=bool(other)) as served:
        yield served


@contextmanager
def configured(
    config: Path, log: Path, *, environ: Mapping[str, str] | None = None, start_s: float = 40.0
) -> Iterator[Served]:
    """Serve a Caddyfile with `howdah run` from its folder while the block runs.

    The file must take its site from ``{$SERVER_NAME}``, or the port of it from ``{$SERVER_PORT}``, and its options
    from ``{$CADDY_GLOBAL_OPTIONS}``.

    Raises:
        ServingError: the server did not start, ended by itself, or did not end with code 0 when asked to.
    """
    listen = f"127.0.0.1:{free_port()}"
    command = [str(_howdah()), "run", "--config", str(config)]
    own = {"SERVER_NAME": f"http://{listen}", "SERVER_PORT": listen.rpartition(":")[2]}
    environment = {**own, "CADDY_GLOBAL_OPTIONS": "admin off", **(environ or {})}
    with _process(command, listen, log, start_s, environ=environment, cwd=config.parent) as served:
        yield served


def _howdah() -> Path:
    howdah = Path(sys.executable).with_name("howdah")
    if not howdah.is_file():
        raise ServingError(f"{howdah} is missing: run `make setup`")
    return howdah


@contextmanager
def _process(
    command: Sequence[str],
    listen: str,
    log: Path,
    start_s: float,
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    may_fail: bool = False,
) -> Iterator[Served]:
    with (
        log.open("wb") as out,
        subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=cwd,
            env={**os.environ, **(environ or {})},
        ) as server,
    ):
        try:
            _wait_listening(server, listen, log, start_s)
            yield Served(f"http://{listen}", log)
            if server.poll() is not None:
                raise ServingError(f"the server ended by itself:\n{_tail(log)}")
        finally:
            code = _stop(server, command)
    if code and not may_fail:
        raise ServingError(f"the server ended with code {code}:\n{_tail(log)}")


def _wait_listening(server: subprocess.Popen[bytes], listen: str, log: Path, start_s: float) -> None:
    host, _, port = listen.partition(":")
    until = time.monotonic() + start_s
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError:
            if server.poll() is not None:
                raise ServingError(f"the server did not start, code {server.returncode}:\n{_tail(log)}") from None
            if time.monotonic() > until:
                raise ServingError(f"the server does not listen after {start_s} s:\n{_tail(log)}") from None
        time.sleep(0.02)


def _stop(server: subprocess.Popen[bytes], command: Sequence[str]) -> int:
    server.send_signal(signal.SIGTERM)
    try:
        return server.wait(timeout=40)
    except subprocess.TimeoutExpired:
        raise ServingError(f"{shlex.join(command)} did not end within 40 s of SIGTERM") from None
    finally:
        with suppress(ProcessLookupError):  # whatever it started and left behind
            os.killpg(server.pid, signal.SIGKILL)


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-4000:]
