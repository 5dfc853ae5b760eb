"""A server in a process of its own, with its log, its numbers and its health."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.php.harness.control import ask
from tests.php.harness.parallel import IDENTITY, fetch_parallel
from tests.php.harness.ports import free_port
from tests.php.harness.waiting import wait_until

REPOSITORY = Path(__file__).resolve().parents[3]
SCRIPTS = REPOSITORY / "tests" / "scripts"
HOWDAH = [sys.executable, "-m", "howdah"]
_MAIN = Path(__file__).with_name("server_main.py")
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 15.0

# A line with one of these is never expected.
_ALWAYS_BAD = re.compile(
    r"Traceback \(most recent call last\)|panicked|Fatal Python error|AddressSanitizer|LeakSanitizer"
    r"|ThreadSanitizer|runtime error:|Segmentation fault|double free|malloc\(\)|exception in callback",
    re.IGNORECASE,
)
_ERROR = re.compile(r"\bERROR\b|\bCRITICAL\b|\"level\": ?\"(?:error|critical)\"|\blevel=error\b")


@dataclass
class Server:
    """A running server; see `start_server`."""

    port: int
    process: subprocess.Popen[bytes]
    log_path: Path
    control_path: str
    folder: Path
    checked_up_to: int = 0
    base_descriptors: int = 0
    base_threads: int = 0
    stopped: bool = False
    exit_codes: tuple[int, ...] = (0,)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self) -> str:
        """Give the whole log, standard output and error together."""
        return self.log_path.read_text(errors="replace")

    def log_mark(self) -> int:
        """Give a position; pass it to `log_since`."""
        return self.log_path.stat().st_size

    def log_since(self, mark: int) -> str:
        with self.log_path.open("rb") as file:
            file.seek(mark)
            return file.read().decode(errors="replace")

    def wait_for_log(self, pattern: str, *, since: int = 0, timeout_s: float = 5.0) -> re.Match[str]:
        """Wait until the log has a match."""
        return wait_until(
            lambda: re.search(pattern, self.log_since(since)), f"{pattern!r} in the log", timeout_s=timeout_s
        )

    def statistics(self) -> dict[str, Any]:
        answer: dict[str, Any] = ask(self.control_path, "statistics") or {}
        return answer

    def worker(self, name: str = "") -> dict[str, Any]:
        """Give the numbers of one worker, by the end of its name; without a name there must be one only."""
        found = [worker for worker in self.statistics()["workers"] if str(worker["name"]).endswith(name)]
        assert len(found) == 1, found
        return dict(found[0])

    def restart_workers(self, timeout_s: float = 30.0) -> str:
        """Restart all worker scripts; gives nothing, or the name and text of the error."""
        return str(ask(self.control_path, "restart workers", timeout_s=timeout_s))

    def ready(self) -> tuple[bool, str | None]:
        """Whether the runtime is ready, and why not."""
        is_ready, reason = ask(self.control_path, "ready")
        return is_ready, reason

    def queued(self) -> int:
        """Requests that wait for a PHP thread."""
        return int(self.statistics()["queue_waiting"])

    def running(self) -> int:
        """PHP threads that run a request."""
        numbers = self.statistics()
        return int(numbers["num_threads"]) - int(numbers["idle_threads"])

    def rejected(self) -> int:
        """Requests refused before they ran."""
        return sum(self.statistics()["rejected"].values())

    def descriptors(self) -> list[str]:
        """Give what the server's descriptors point to."""
        folder = Path(f"/proc/{self.pid}/fd")
        targets = []
        for entry in folder.iterdir():
            try:
                targets.append(str(entry.readlink()))
            except FileNotFoundError:  # closed between listing and reading
                continue
        return sorted(targets)

    def threads(self) -> int:
        """Count the threads, without those of pools that grow on demand and are bounded: asyncio's and tokio's."""
        pool = int(ask(self.control_path, "pool_threads"))
        return sum(not name.startswith("tokio") for name in self._task_names()) - pool

    def _task_names(self) -> list[str]:
        names = []
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            try:
                names.append((task / "comm").read_text().strip())
            except OSError:  # ended between listing and reading
                continue
        return names

    def connections(self) -> int:
        """Count the TCP connections that the server still holds."""
        lines = Path(f"/proc/{self.pid}/net/tcp").read_text().splitlines()[1:]
        fields = [line.split() for line in lines]
        # Columns: local address, remote address, state (0A listens, 06 is over), ..., inode (0 when closed).
        return sum(
            entry[1].endswith(f":{self.port:04X}") and entry[3] not in {"0A", "06"} and entry[9] != "0"
            for entry in fields
        )

    def _thread_names(self) -> list[str]:
        return [*sorted(self._task_names()), *ask(self.control_path, "thread_names")]

    def client(self, **options: Any) -> httpx.Client:
        """Give a client; close it. It asks for no compression unless told."""
        headers = {**IDENTITY, **options.pop("headers", {})}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        with self.client() as client:
            return client.get(path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        with self.client() as client:
            return client.post(path, **options)

    def json(self, path: str, **options: Any) -> Any:
        """Get a script that answers with JSON."""
        response = self.get(path, **options)
        assert response.status_code == 200, response.text
        return response.json()

    def terminate(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Send SIGTERM and give the exit code.

        Raises:
            AssertionError: the server did not end within the bound; it is killed.
        """
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait_ended(timeout_s)

    def wait_ended(self, timeout_s: float) -> int:
        self.stopped = True
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"server still ran {timeout_s:g} s after it was asked to stop\n{self.log()}") from None

    def kill(self) -> None:
        self.stopped = True
        self.process.kill()
        self.process.wait()

    # -- health ---------------------------------------------------------------------------------
    def note_base(self) -> None:
        """Take the present numbers as those of an idle server."""
        self.base_descriptors = len(self.descriptors())
        self.base_threads = self.threads()

    def problems(self, noise: Sequence[str], *, may_leak: bool = False) -> list[str]:
        """Give what is wrong with the server after a test.

        Args:
            noise: patterns of log lines that the test expects.
            may_leak: do not compare descriptors, threads and requests with those of an idle server.
        """
        found = self._log_problems(noise)
        if self.stopped:
            return found
        if self.process.poll() is not None:
            return [*found, f"the server ended by itself with {self.process.returncode}:\n{self.log()[-3000:]}"]
        if may_leak:
            return found
        return found + self._leaks() + self._imbalance()

    def _log_problems(self, noise: Sequence[str]) -> list[str]:
        mark, self.checked_up_to = self.checked_up_to, self.log_mark()
        bad = []
        for line in self.log_since(mark).splitlines():
            expected = any(re.search(pattern, line) for pattern in noise)
            if not expected and (_ALWAYS_BAD.search(line) or _ERROR.search(line)):
                bad.append(line)
        return [f"log: {line}" for line in bad[:10]]

    def _leaks(self) -> list[str]:
        try:
            wait_until(
                lambda: len(self.descriptors()) <= self.base_descriptors and self.threads() <= self.base_threads,
                "idle",
                timeout_s=4,
            )
        except AssertionError:
            descriptors = self.descriptors()
            before = self.base_descriptors, self.base_threads
            self.note_base()  # one leak is one failure, not one in each test that follows
            counts = f"{len(descriptors)} descriptors, {before[0]} before; "
            return [f"{counts}{self.threads()} threads, {before[1]} before: {descriptors}, {self._thread_names()}"]
        return []

    def _imbalance(self) -> list[str]:
        try:
            wait_until(self._is_balanced, "balance", timeout_s=4)
        except AssertionError:
            return [f"requests do not add up: {self.statistics()}"]
        return []

    def _is_balanced(self) -> bool:
        numbers = self.statistics()
        if not numbers:  # no PHP was needed yet
            return True
        ended = int(numbers["completed"]) + sum(numbers["rejected"].values()) + int(numbers["aborted"])
        return bool(int(numbers["accepted"]) == ended)


ServerFactory = Callable[..., Server]

ALIVE: list[Server] = []
"""Servers whose health is still to be checked after the running test."""


def start_server(
    root: Path = SCRIPTS,
    *flags: str,
    ini: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Server:
    """Start ``howdah php-server`` and wait until it accepts connections.

    Args:
        root: document root.
        flags: further flags of the command.
        ini: ini entries, passed as ``--php-ini``.
        env: environment variables beside the present ones.
        cwd: working directory of the server.
    """
    port = free_port()
    arguments = ["howdah", "php-server", "--root", str(root), "--listen", f"127.0.0.1:{port}", *flags]
    for name, value in (ini or {}).items():
        arguments += ["--php-ini", f"{name}={value}"]
    return _start(port, arguments, env, cwd, root)


def start_asgi(kind: str, description: Mapping[str, Any], env: Mapping[str, str] | None = None) -> Server:
    """Start an ASGI server with an application of `tests.php.harness.applications`."""
    port = free_port()
    root = Path(description["root"])
    server = _start(port, [kind, str(port), json.dumps(description)], env, None, root, description.get("mount", ""))
    server.exit_codes = (0, -signal.SIGTERM)  # Uvicorn ends by the signal that it has handled
    return server


def start_configured(root: Path, **server_fields: Any) -> Server:
    """Start Howdah's own server with fields of `HttpServers` that have no flag."""
    port = free_port()
    return _start(port, ["configured", str(port), str(root), json.dumps(server_fields)], None, None, root)


def start_sites(
    sites: Mapping[str, Mapping[str, Any]],
    *,
    workers: Sequence[Mapping[str, Any]] = (),
    runtime: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
) -> Server:
    """Start Howdah's own server with sites and worker scripts that have no flag.

    Args:
        sites: fields of `SiteConfig` by host name; the first one answers for every other name.
        workers: fields of `WorkerConfig` of global workers.
        runtime: further fields of `RuntimeConfig`.
        env: environment variables beside the present ones.
    """
    port = free_port()
    described = {"sites": dict(sites), "runtime": {**(runtime or {}), "workers": list(workers)}}
    root = Path(next(iter(sites.values()))["root"])
    return _start(port, ["sites", str(port), json.dumps(described)], env, None, root)


def start_caddyfile(
    text: str,
    root: Path,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    before: Sequence[str] = (),
) -> Server:
    """Start ``howdah run`` with a Caddyfile.

    Args:
        text: its text; ``PORT`` in it is the port that the server gets.
        root: folder with a script that answers at the first of its sites.
        env: environment variables beside the present ones.
        cwd: working directory of the server.
        before: a command that ends by running, in its own place, the command that follows it.
    """
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="hw-caddyfile-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = folder / "Caddyfile"
    file.write_text(text.replace("PORT", str(port)))
    return _start(port, ["howdah", "run", "--config", str(file)], env, cwd, root, before=before)


def _start(
    port: int,
    arguments: list[str],
    env: Mapping[str, str] | None,
    cwd: Path | None,
    root: Path,
    prefix: str = "",
    before: Sequence[str] = (),
) -> Server:
    folder = Path(tempfile.mkdtemp(prefix="hw-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    log_path = folder / "server.log"
    control_path = str(folder / "control")
    with log_path.open("wb") as log:
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            [*before, sys.executable, str(_MAIN), control_path, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=clean_environment(env),
            cwd=cwd,
        )
    server = Server(port, process, log_path, control_path, folder)
    ALIVE.append(server)
    try:
        _wait_accepting(server)
        _warm_up(server, root, prefix)
    except AssertionError:
        server.kill()
        raise
    server.note_base()
    return server


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the present environment without what would change a server's behaviour."""
    dropped = {"PHPRC", "PHP_INI_SCAN_DIR", "HOWDAH_SPOOL_DIR", "HTTP_PROXY", "http_proxy"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**kept, "PYTHONUNBUFFERED": "1", **(extra or {})}


def _wait_accepting(server: Server) -> None:
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end:
        if server.process.poll() is not None:
            raise AssertionError(f"server ended with {server.process.returncode} at start:\n{server.log()}")
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", server.port)) == 0:
                break
        time.sleep(0.02)
    else:
        raise AssertionError(f"server did not accept connections within {START_TIMEOUT_S:g} s:\n{server.log()}")


def _warm_up(server: Server, root: Path, prefix: str) -> None:
    """Let everything start that starts with the first request: helper threads, the loop's channel."""
    names = ["hello.php", "index.php", "good.php", "inside.php", *(path.name for path in root.glob("*.php"))]
    script = next((name for name in names if (root / name).is_file()), "none.php")
    responses = fetch_parallel(server.url, lambda i: {"url": f"{prefix}/{script if i % 2 else 'no-such.txt'}"}, 20)
    assert not any(response.status_code == 500 for response in responses), server.log()
    wait_until(lambda: not server.connections(), "the connections of the warm-up to be closed")
