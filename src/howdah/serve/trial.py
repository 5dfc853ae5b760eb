"""A trial of certificates in a child process, because the HTTP server ends its process on one that it cannot use.

Reading finds the usual mistakes, but not everything that the HTTP server's TLS library refuses, such as an unknown
critical extension. The child serves with the certificate and speaks TLS with itself once.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import socket
import ssl
import subprocess
import sys
from typing import NoReturn

from howdah.errors import ConfigError
from howdah.serve.life import leave_now
from howdah.serve.tls import Loaded, Material

_TIMEOUT_S = 20.0
_REASON = re.compile(r"Err` value: (.*)")


def try_out(loaded: Loaded) -> None:
    """Let a child serve with a certificate; takes about a third of a second.

    Raises:
        ConfigError: the HTTP server could not use it.
    """
    material = loaded.material
    fields = {
        "chain": base64.b64encode(material.chain).decode(),
        "key": base64.b64encode(material.key).decode(),
        "client_ca": base64.b64encode(material.client_ca).decode(),
    }
    try:
        result = subprocess.run(
            [sys.executable, "-m", __name__],
            input=json.dumps(fields),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(f"certificate {loaded.files[0]} was not served within {_TIMEOUT_S:g} s by a trial") from None
    if result.returncode != 0:
        found = _REASON.search(result.stderr)
        last = result.stderr.strip().splitlines()[-1:] or [f"it ended with code {result.returncode}"]
        raise ConfigError(
            f"certificate {' and key '.join(loaded.files[:2])} cannot be served: {found[1] if found else last[0]}",
            directive="tls",
        )


async def _serve_once(material: Material) -> None:
    from howdah.serve.granian import Listener
    from howdah.serve.options import ListenerOptions

    async def app(scope: object, receive: object, send: object) -> None:
        """Nothing is asked."""

    opened = socket.socket()
    opened.bind(("127.0.0.1", 0))
    port = opened.getsockname()[1]
    listener = Listener(app, opened, ListenerOptions(16, material=material))
    listener.start()
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # whoever signed it, it is our own
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.transport.abort()
    listener.stop_accepting()
    await listener.wait_stopped(1.0)


def main() -> NoReturn:
    """Read a certificate from standard input and serve with it; ends with 0 when that works."""
    fields = json.load(sys.stdin)
    chain, key, client_ca = (base64.b64decode(fields[name]) for name in ("chain", "key", "client_ca"))
    material = Material(chain, key, client_ca)
    asyncio.run(_serve_once(material))
    # At once: a thread of the HTTP server that is still ending must not meet an interpreter that ends, too, because
    # that aborts the process, and a good certificate would be refused.
    leave_now(0)


if __name__ == "__main__":
    main()
