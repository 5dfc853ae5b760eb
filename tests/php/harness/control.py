"""The test server's back door: a unix socket that answers with the runtime's statistics.

Runs as a thread inside the server process (`serve_control`); tests ask it through `ask`.
"""

from __future__ import annotations

import dataclasses
import json
import socket
import threading
import traceback
from collections.abc import Callable
from typing import Any


def serve_control(
    path: str, answers: dict[str, Callable[[], Any]], *, slow: dict[str, Callable[[], Any]] | None = None
) -> None:
    """Answer one-line questions on a unix socket from a daemon thread; slow ones from a thread of their own."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(8)

    def loop() -> None:
        while True:
            connection, _ = listener.accept()
            with connection.makefile("r") as lines:
                question = lines.readline().strip()
            if slow is not None and question in slow:
                arguments = (connection, slow, question)
                threading.Thread(target=_answer, args=arguments, name="test-slow", daemon=True).start()
            else:
                _answer(connection, answers, question)

    threading.Thread(target=loop, name="test-control", daemon=True).start()


def _answer(connection: socket.socket, answers: dict[str, Callable[[], Any]], question: str) -> None:
    with connection:
        try:
            answer = {"ok": _plain(answers[question]())}
        except Exception:
            answer = {"error": traceback.format_exc()}
        connection.sendall(json.dumps(answer, default=str).encode())


def ask(path: str, question: str, *, timeout_s: float = 10.0) -> Any:
    """Ask a server's control socket and give the answer.

    Raises:
        RuntimeError: the server could not answer; the message holds its traceback.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        connection.connect(path)
        connection.sendall(question.encode() + b"\n")
        parts = []
        while data := connection.recv(65536):
            parts.append(data)
    answer = json.loads(b"".join(parts))
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer["ok"]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value
