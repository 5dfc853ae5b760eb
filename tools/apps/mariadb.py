"""A MariaDB of one's own from Debian's packages: nothing is installed, it listens on a socket file only."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from apps.debian import FetchError, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = ("mariadb-server-core", "mariadb-client-core", "libaio1", "libnuma1", "liburing2")
_LIBRARIES = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "lib/aarch64-linux-gnu")
_START_S = 60.0
_STOP_S = 30.0


class DatabaseError(Exception):
    """The database could not be made or did not start; the message has the end of its log."""


@dataclass(frozen=True)
class Database:
    """A running server with one database.

    Attributes:
        socket: its socket file.
        name: of the database.
        user: who may do anything in it.
        password: of the user.
        log: what the server says.
    """

    socket: Path
    name: str
    user: str
    password: str
    log: Path


@contextmanager
def running(name: str, log: Path) -> Iterator[Database]:
    """Run a fresh server with an empty database while the block runs.

    Args:
        name: of the database and of its user.
        log: file for what the server says.

    Raises:
        FetchError: see `apps.debian`.
        DatabaseError: it was not made or did not start.
    """
    tree = unpacked("mariadb", PACKAGES)
    password = os.urandom(12).hex()
    # A socket file's path may have 107 bytes, which a folder of tests can exceed.
    with tempfile.TemporaryDirectory(prefix="hw-db-", dir="/tmp") as work:
        folder = Path(work)
        database = Database(folder / "socket", name, name, password, log)
        (folder / "init.sql").write_text(
            f"CREATE DATABASE {name} CHARACTER SET utf8mb4;\n"
            f"CREATE USER '{name}'@'localhost' IDENTIFIED BY '{password}';\n"
            f"GRANT ALL ON {name}.* TO '{name}'@'localhost';\n",
            encoding="utf-8",
        )
        with log.open("wb") as out:
            _create(tree, folder, out.fileno(), log)
            with subprocess.Popen(
                _command(tree, folder), stdout=out, stderr=subprocess.STDOUT, env=_environment(tree)
            ) as server:
                try:
                    _wait_ready(server, database)
                    yield database
                finally:
                    _stop(server)


def _create(tree: Path, folder: Path, out: int, log: Path) -> None:
    """Make the data folder with the system tables."""
    command = [
        str(tree / "usr" / "bin" / "mariadb-install-db"),
        "--no-defaults",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        f"--basedir={tree / 'usr'}",
        f"--datadir={folder / 'data'}",
        *_as_root(),
    ]
    done = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, env=_environment(tree), check=False)
    if done.returncode:
        raise DatabaseError(f"mariadb-install-db ended with code {done.returncode}:\n{_tail(log)}")


def _command(tree: Path, folder: Path) -> list[str]:
    return [
        str(tree / "usr" / "sbin" / "mariadbd"),
        "--no-defaults",
        f"--basedir={tree / 'usr'}",
        f"--lc-messages-dir={tree / 'usr' / 'share' / 'mysql'}",
        f"--datadir={folder / 'data'}",
        f"--socket={folder / 'socket'}",
        f"--init-file={folder / 'init.sql'}",
        "--skip-networking",
        "--innodb-buffer-pool-size=32M",
        "--innodb-flush-log-at-trx-commit=0",  # the data live as long as the process
        *_as_root(),
    ]


def _as_root() -> list[str]:
    return ["--user=root"] if os.geteuid() == 0 else []


def _environment(tree: Path) -> dict[str, str]:
    folders = [str(tree / folder) for folder in _LIBRARIES]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(folders)}


def _wait_ready(server: subprocess.Popen[bytes], database: Database) -> None:
    until = time.monotonic() + _START_S
    while not _greets(database.socket):
        if server.poll() is not None:
            raise DatabaseError(f"mariadbd ended with code {server.returncode}:\n{_tail(database.log)}")
        if time.monotonic() > until:
            raise DatabaseError(f"mariadbd does not answer after {_START_S:g} s:\n{_tail(database.log)}")
        time.sleep(0.05)


def _greets(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
            return bool(probe.recv(4))
        except OSError:
            return False


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(timeout=_STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-4000:]


__all__ = ["PACKAGES", "Database", "DatabaseError", "FetchError", "running"]
