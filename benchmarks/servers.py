"""The two sides that are compared, each started by us, alone, with the same PHP settings."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import string
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import processes

if TYPE_CHECKING:
    from types import TracebackType

HERE = Path(__file__).resolve().parent
HOWDAH = Path(sys.executable).with_name("howdah")
PEER_PACKAGES = ("nginx-light", "php8.2-fpm", "php8.2-mbstring", "php8.2-xml", "php8.2-gd", "php8.2-intl", "wrk")
_PEER_EXTENSIONS = ("mbstring", "xml", "dom", "simplexml", "gd", "intl", "ctype", "iconv", "fileinfo", "tokenizer")
_TUNING = {"buffering": "on", "workers": "2"}
_NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
_FPM = shutil.which("php-fpm8.2", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class BenchError(Exception):
    """The measurement cannot be made; the message says what to do."""


def php_settings(folder: Path) -> dict[str, str]:
    """Settings of PHP on both sides: limits away, no session clean-up at random times, OPcache as it comes."""
    return {
        "output_buffering": "4096",
        "post_max_size": "0",
        "upload_max_filesize": "1G",
        "session.gc_probability": "0",
        "session.save_path": str(folder),
        "opcache.enable": "1",
        "opcache.memory_consumption": "128",
        "opcache.validate_timestamps": "1",
        "opcache.revalidate_freq": "2",
    }


@dataclass(frozen=True)
class More:
    """What a measurement needs beside root and threads.

    Attributes:
        flags: further flags of Howdah's command.
        php_ini: further settings of PHP, on both sides.
        watch: file for the notes of `watched.py`, and seconds between two restarts (0 = none); None = not watched.
    """

    flags: tuple[str, ...] = ()
    php_ini: Mapping[str, str] = field(default_factory=dict)
    watch: tuple[Path, float] | None = None


PLAIN = More()


class Server(Protocol):
    """A server under measurement; as a context manager it runs inside the block."""

    name: str
    port: int

    def pids(self) -> list[int]:
        """All processes that serve."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class _Base:
    name = ""

    def __init__(self, root: Path, folder: Path, port: int) -> None:
        self.port = port
        self._root = root
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []

    def pids(self) -> list[int]:
        """All processes that serve."""
        return processes.tree(*(server.pid for server in self._running))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._running:
            server.send_signal(signal.SIGTERM)
        for server in self._running:
            try:
                server.wait(timeout=40)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        self._running.clear()

    def _start(self, command: list[str], **environment: str) -> None:
        with (self._folder / f"{self.name}.log").open("ab") as log:
            self._running.append(
                subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **environment})
            )

    def _wait(self, limit_s: float = 20.0) -> None:
        until = time.monotonic() + limit_s
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                ended = [server for server in self._running if server.poll() is not None]
                if ended or time.monotonic() > until:
                    tails = "\n".join(_tail(log) for log in sorted(self._folder.glob("*.log")))
                    raise BenchError(f"{self.name} did not start:\n{tails}") from None
            time.sleep(0.002)


class Howdah(_Base):
    """`howdah php-server` of the environment that runs this program."""

    name = "howdah"

    def __init__(self, root: Path, folder: Path, port: int, threads: int, more: More = PLAIN) -> None:
        super().__init__(root, folder, port)
        self._threads = threads
        self._more = more

    def __enter__(self) -> Self:
        require_howdah()
        command = [str(HOWDAH)]
        if self._more.watch is not None:
            file, every_s = self._more.watch
            command = [sys.executable, str(HERE / "watched.py"), str(file), str(every_s)]
        command += ["php-server", "-r", str(self._root), "-l", f"127.0.0.1:{self.port}"]
        command += ["--num-threads", str(self._threads), *self._more.flags]
        for name, value in {**php_settings(self._folder), **self._more.php_ini}.items():
            command += ["--php-ini", f"{name}={value}"]
        self._start(command)
        self._wait_or_stop()
        return self

    def _wait_or_stop(self) -> None:
        try:
            self._wait()
        except BenchError:
            self.__exit__(None, None, None)
            raise


class Peer(_Base):
    """Debian's nginx and PHP-FPM with our own configuration on a port of our own.

    Args:
        root: document root.
        folder: where configuration, socket and logs go.
        port: port of nginx.
        children: PHP-FPM's processes.
        tuning: values for nginx's configuration that differ from `_TUNING`.
        php_ini: further settings of PHP.
    """

    name = "nginx+fpm"

    def __init__(
        self,
        root: Path,
        folder: Path,
        port: int,
        children: int,
        tuning: Mapping[str, str],
        php_ini: Mapping[str, str],
    ) -> None:
        super().__init__(root, folder, port)
        self._php_ini = php_ini
        self._children = children
        self._tuning = {**_TUNING, **tuning}

    def __enter__(self) -> Self:
        require_peer()
        is_root = os.geteuid() == 0
        values = {"folder": str(self._folder), "root": str(self._root), "port": str(self.port)}
        nginx = self._fill("nginx.conf", user="user root;" if is_root else "", **self._tuning, **values)
        fpm = self._fill(
            "php-fpm.conf", user="user = root\ngroup = root" if is_root else "", children=str(self._children), **values
        )
        ini = self._fill(
            "php.ini",
            extensions="\n".join(["zend_extension=opcache", *(f"extension={name}" for name in _PEER_EXTENSIONS)]),
            settings="\n".join(
                f'{name} = "{value}"' for name, value in {**php_settings(self._folder), **self._php_ini}.items()
            ),
        )
        allow_root = ["-R"] if is_root else []
        # an empty scan folder keeps the system's extensions and settings out
        self._start([str(_FPM), "-F", *allow_root, "-c", str(ini), "-y", str(fpm)], PHP_INI_SCAN_DIR="")
        self._start([str(_NGINX), "-p", str(self._folder), "-c", str(nginx)])
        try:
            self._wait()
            self._wait_children()
        except BenchError:
            self.__exit__(None, None, None)
            raise
        return self

    def _fill(self, name: str, **values: str) -> Path:
        template = string.Template((HERE / "peer" / f"{name}.in").read_text(encoding="utf-8"))
        path = self._folder / name
        path.write_text(template.substitute(values), encoding="utf-8")
        return path

    def _wait_children(self) -> None:
        until = time.monotonic() + 20
        while not (self._folder / "fpm.sock").exists():
            if time.monotonic() > until:
                raise BenchError(f"PHP-FPM did not start:\n{_tail(self._folder / 'fpm-error.log')}")
            time.sleep(0.002)


def require_howdah() -> None:
    """Fail early where there is nothing to measure."""
    if not HOWDAH.is_file():
        raise BenchError(f"{HOWDAH} is missing: run `make setup` and then `make bench`")


def require_peer() -> None:
    """Fail early where there is nothing to compare with."""
    missing = [
        name for name, path in (("nginx", _NGINX), ("php-fpm8.2", _FPM), ("wrk", shutil.which("wrk"))) if path is None
    ]
    if missing:
        packages = " ".join(PEER_PACKAGES)
        raise BenchError(
            f"{', '.join(missing)} is missing: apt-get install --no-install-recommends -y {packages}\n"
            "(nginx and PHP-FPM are started by the benchmark itself; stop the services that Debian may have started)"
        )


def peer_versions() -> str:
    """Versions of the peer for the report."""
    nginx = subprocess.run([str(_NGINX), "-v"], capture_output=True, text=True, check=True).stderr.strip()
    fpm = subprocess.run([str(_FPM), "-v"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    return f"{nginx.removeprefix('nginx version: ')}, {fpm.partition(' (built')[0]}"


def howdah_version() -> str:
    """What `howdah version` says about programs and libraries, as one line."""
    said = subprocess.run([str(HOWDAH), "version"], capture_output=True, text=True, check=False)
    return ", ".join(
        line for line in said.stdout.splitlines() if line.startswith(("Howdah", "PHP", "granian", "uvloop"))
    )


def _tail(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")[-2000:] if path.exists() else ""
