from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from howdah.admin.client import AdminClient, AdminRefused, AdminUnreachable, split_address
from howdah.cli.main import main
from howdah.errors import ConfigError

THREAD = {
    "Index": 0,
    "Name": "Worker PHP Thread - /srv/worker.php",
    "State": "ready",
    "IsWaiting": False,
    "IsBusy": True,
    "SinceMilliseconds": 12_345,
    "CurrentURI": "/a?b=\x1b[2J",
    "CurrentMethod": "GET",
    "RequestCount": 7,
    "MemoryUsage": 2 * 1024 * 1024,
}
THREADS = {"ThreadDebugStates": [THREAD], "ReservedThreadCount": 1}


class Peer:
    """An HTTP server that notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.status = 200
        self.body: Any = THREADS

    def handler(self) -> type[BaseHTTPRequestHandler]:
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                peer.asked.append((self.command, self.path, dict(self.headers), body))
                data = peer.body if isinstance(peer.body, bytes) else json.dumps(peer.body).encode()
                self.send_response(peer.status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = answer  # noqa: N815 - names of the library

            def log_message(self, *arguments: Any) -> None: ...

            def address_string(self) -> str:
                return ""

        return Handler


@contextmanager
def serve(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def peer() -> Peer:
    return Peer()


@pytest.fixture
def address(peer: Peer) -> Iterator[str]:
    server = socketserver.TCPServer(("127.0.0.1", 0), peer.handler())
    with serve(server):
        yield f"127.0.0.1:{server.server_address[1]}"


def test_threads_are_a_table_without_control_characters(
    peer: Peer, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["threads", "--address", address]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["THREAD", "STATE", "FOR", "REQUESTS", "MEMORY", "ROLE", "NOW"]
    assert lines[1].split()[:6] == ["0", "busy", "12", "s", "7", "2.0M"]
    assert lines[1].endswith(r"GET /a?b=\x1b[2J")
    assert lines[2] == "1 more thread can be started"


def test_threads_as_json(peer: Peer, address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["threads", "--json", "--address", address]) == 0
    assert json.loads(capsys.readouterr().out) == THREADS


def test_restart_names_workers(peer: Peer, address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restart-workers", "a b&c", "m#x", "--address", address]) == 0
    assert main(["restart-workers", "--address", address]) == 0
    assert [(method, path) for method, path, _, _ in peer.asked] == [
        ("POST", "/frankenphp/workers/restart?worker=a%20b%26c&worker=m%23x"),
        ("POST", "/frankenphp/workers/restart"),
    ]
    assert capsys.readouterr().out == "workers restarted successfully\n" * 2


def test_error_of_the_server_is_shown(peer: Peer, address: str, capsys: pytest.CaptureFixture[str]) -> None:
    peer.status, peer.body = 500, {"error": "worker a did not boot: boom"}
    assert main(["restart-workers", "--address", address]) == 1
    assert capsys.readouterr().err == "howdah: worker a did not boot: boom\n"


@pytest.mark.parametrize("body", [b"<html>", [1], {"ThreadDebugStates": [{}], "ReservedThreadCount": 0}])
def test_another_server_is_told_apart(peer: Peer, address: str, body: Any, capsys: pytest.CaptureFixture[str]) -> None:
    peer.body = body
    assert main(["threads", "--address", address]) == 1
    assert "not Howdah's admin API" in capsys.readouterr().err


def test_no_server_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as free:
        port = free.server_address[1]
    assert main(["threads", "--address", f"127.0.0.1:{port}"]) == 1
    assert f"no Howdah answers at 127.0.0.1:{port}: start one with `howdah run`" in capsys.readouterr().err


def test_unix_socket_and_token(peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "admin.sock")
    monkeypatch.setenv("HOWDAH_ADMIN_TOKEN", "secret")
    with serve(socketserver.UnixStreamServer(path, peer.handler())):
        AdminClient(f"unix/{path}").load(b"localhost", "text/caddyfile")
    method, target, headers, body = peer.asked[0]
    assert (method, target, body) == ("POST", "/load", b"localhost")
    assert headers["Authorization"] == "Bearer secret"
    assert headers["Content-Type"] == "text/caddyfile"
    assert headers["Host"] == "localhost"
    Path(path).unlink()
    with pytest.raises(AdminUnreachable, match="no Howdah answers at unix/"):
        AdminClient(f"unix/{path}").stop()


def test_refusals_without_json_are_shown_too(peer: Peer, address: str) -> None:
    peer.status, peer.body = 403, b"go away"
    with pytest.raises(AdminRefused, match=r"^go away$") as caught:
        AdminClient(address).stop()
    assert caught.value.status == 403


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("localhost:2019", "localhost", 2019),
        (":2020", "localhost", 2020),
        ("http://127.0.0.1:5/", "127.0.0.1", 5),
        ("[::1]:5", "::1", 5),
        ("[::1]", "::1", 2019),
        ("example", "example", 2019),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    assert split_address(text) == (host, port)


@pytest.mark.parametrize("text", ["localhost:", "a:b", "a:0", "a:99999", "a:²"])
def test_bad_addresses(text: str) -> None:
    with pytest.raises(ConfigError, match="is no address of an admin API"):
        split_address(text)
