"""What a unit of systemd relies on: the server says when it is ready, and scripts cannot say it in its place."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import httpx

from tests.php.harness.ports import free_port
from tests.php.harness.server import HOWDAH, clean_environment


def test_systemd_is_told_when_the_server_answers(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "index.php").write_text("<?php var_dump(getenv('NOTIFY_SOCKET'), isset($_SERVER['NOTIFY_SOCKET']));")
    (tmp_path / "Caddyfile").write_text(f"{{\n\tadmin off\n}}\nhttp://127.0.0.1:{port} {{\n\tphp_server\n}}\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        process = subprocess.Popen(
            [*HOWDAH, "run"], cwd=tmp_path, env=clean_environment({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        )
        try:
            assert systemd.recv(100) == b"READY=1"
            shown = httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).text
            assert shown == "bool(false)\nbool(false)\n"
        finally:
            process.terminate()
            assert process.wait(20) == 0
