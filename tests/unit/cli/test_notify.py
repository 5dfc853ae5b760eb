"""What systemd is told (sd_notify's protocol)."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import pytest

from howdah.cli.notify import take_notifier


@pytest.mark.parametrize("is_abstract", [False, True], ids=["file", "abstract"])
def test_readiness_is_one_datagram_and_the_variable_is_gone(tmp_path: Path, is_abstract: bool) -> None:
    name = "\0howdah-test-notify" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(name)
        systemd.settimeout(5)
        environ = {"NOTIFY_SOCKET": name.replace("\0", "@"), "HOME": "/"}
        ready = take_notifier(environ)
        assert environ == {"HOME": "/"}
        ready()
        assert systemd.recv(100) == b"READY=1"


def test_without_systemd_nothing_is_told() -> None:
    take_notifier({})()


def test_a_systemd_that_is_gone_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        take_notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})()
    assert "could not be told that the server is ready" in caplog.text
