"""Clients: wrk for many small requests, a bare socket for one large body."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from servers import BenchError

MIB = 1024 * 1024
_PIECE = 65536
_SCRIPT = Path(__file__).resolve().with_name("wrk.lua")


@dataclass(frozen=True)
class Load:
    """Outcome of one run of wrk."""

    requests: int
    per_s: float
    p50_ms: float
    p99_ms: float
    failed: int = 0


def fetch(port: int, path: str) -> bytes:
    """Body of one answer."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
        return bytes(answer.read())


def press(port: int, path: str, seconds: float, connections: int = 32) -> Load:
    """Load a page with one wrk thread.

    Raises:
        BenchError: wrk failed, or an answer was not a success: then the numbers would mean nothing.
    """
    outcome = press_counting(port, path, seconds, connections)
    if outcome.failed:
        raise BenchError(f"{path}: {outcome.failed} error answers and lost connections")
    return outcome


def press_counting(port: int, path: str, seconds: float, connections: int = 32) -> Load:
    """Load a page with one wrk thread and count what fails.

    Raises:
        BenchError: wrk failed.
    """
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "10s", "--latency", "-s", str(_SCRIPT)]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=False, timeout=seconds + 60
    )
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if done.returncode or line is None:
        raise BenchError(f"wrk failed: {done.stdout}{done.stderr}")
    result = json.loads(line.removeprefix("RESULT "))
    return Load(
        requests=result["requests"],
        per_s=result["requests"] / result["duration_us"] * 1e6,
        p50_ms=result["p50_us"] / 1000,
        p99_ms=result["p99_us"] / 1000,
        failed=result["status_errors"] + result["socket_errors"],
    )


def download(port: int, size_bytes: int, path: str = "") -> float:
    """Seconds from connecting to the last byte of a download.

    Args:
        port: of the server.
        size_bytes: expected.
        path: of a file; by default a script that prints so many bytes.

    Raises:
        BenchError: a byte too few or too many.
    """
    begin = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as server:
        target = path or f"/download.php?pieces={size_bytes // _PIECE}"
        server.sendall(f"GET {target} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
        head, body = _read_head(server)
        received = len(body)
        buffer = bytearray(MIB)
        while count := server.recv_into(buffer):
            received += count
    took_s = time.perf_counter() - begin
    if b" 200 " not in head.split(b"\r\n")[0] or received != size_bytes:
        raise BenchError(f"download: {head.decode('latin-1')}, {received} bytes")
    return took_s


def upload(port: int, size_bytes: int, *, form: bool) -> float:
    """Seconds from connecting to the answer that tells how many bytes PHP saw.

    Raises:
        BenchError: PHP saw another number of bytes.
    """
    edge = b"----------------bench"
    before, after, kind = b"", b"", b"application/octet-stream"
    if form:
        before = b'--%s\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' % edge
        after = b"\r\n--%s--\r\n" % edge
        kind = b"multipart/form-data; boundary=" + edge
    piece = b"x" * MIB
    begin = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as server:
        server.sendall(
            b"POST /%s.php HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n" % (b"upload" if form else b"body")
            + b"Content-Type: %s\r\nContent-Length: %d\r\n\r\n" % (kind, len(before) + size_bytes + len(after))
        )
        server.sendall(before)
        for _ in range(size_bytes // MIB):
            server.sendall(piece)
        server.sendall(after)
        head, body = _read_head(server)
        while data := server.recv(65536):
            body += data
    took_s = time.perf_counter() - begin
    if str(size_bytes).encode() not in body:  # chunked or not
        raise BenchError(f"upload: {head.decode('latin-1')} {body[:200]!r}")
    return took_s


def _read_head(server: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        more = server.recv(65536)
        if not more:
            raise BenchError(f"the server closed the connection: {data!r}")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    return head, body
