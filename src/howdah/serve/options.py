"""What a listener is started with, whichever HTTP server stands behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from howdah.serve.tls import Material

Mode = Literal["h1", "both", "h2"]


@dataclass(frozen=True, slots=True)
class ListenerOptions:
    """What a listener is started with; another value needs another start, but for ``max_connections``.

    Args:
        max_connections: connections served at a time; more wait in the kernel's backlog.
        mode: HTTP/1.1, HTTP/2 (with TLS by agreement, without by prior knowledge) or both.
        header_timeout_s: time that the head of a request may take; with HTTP/1.1 alone also between requests.
        idle_timeout_s: time between requests.
        max_header_size_bytes: larger heads get 431.
        material: certificate and key; None serves without TLS.
    """

    max_connections: int = field(compare=False)
    mode: Mode = "h1"
    header_timeout_s: float = 30.0
    idle_timeout_s: float = 300.0
    max_header_size_bytes: int = 64 * 1024
    material: Material | None = None
