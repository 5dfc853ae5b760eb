"""``x_sendfile``: a script names a file in a header, and the server sends it in the script's place.

So a script checks who may have a file and is done, instead of keeping a PHP thread until the last byte is out.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from howdah.cgi.paths import clean_path, join_root, normalize_path
from howdah.config.http import XSendfile
from howdah.config.model import SiteConfig
from howdah.errors import Forbidden, ScriptNotFound
from howdah.runtime.site import Site
from howdah.web.mime import guess_type
from howdah.web.request import HttpRequest
from howdah.web.response import SERVER, send_text
from howdah.web.roots import SiteRoots
from howdah.web.routing import FileRoute
from howdah.web.static import send_file

if TYPE_CHECKING:
    from howdah.web.static import Headers, Message, Send

_log = logging.getLogger("howdah.web")

_SENDFILE, _ACCEL = b"x-sendfile", b"x-accel-redirect"
_NAMES = frozenset({_SENDFILE, _ACCEL})
# Of the script's headers these would describe the body that it did not send.
_DROPPED = _NAMES | {b"content-length", b"content-encoding", b"accept-ranges", b"x-accel-buffering", b"server"}
_DEFAULT_TYPE = b"text/html"


def compile_x_sendfile(
    action: XSendfile, suffixes: tuple[str, ...], site_root: str | None, base: str
) -> Callable[[HttpRequest], None]:
    """Compile ``x_sendfile`` to a step that puts itself around the answer.

    Raises:
        ConfigError: the root cannot be served.
    """
    config = SiteConfig(root="", split=suffixes, symlinks="inside")
    roots = SiteRoots(config, action.root or "", site_root, base)

    def wrap(request: HttpRequest) -> None:
        # Frameworks wait for the server's word that it will send files; a client's own word does not count.
        headers = [header for header in request.scope["headers"] if header[0] not in _TOLD]
        request.set_headers([*headers, (b"x-sendfile-type", b"X-Sendfile")])
        request.send = _Replacing(request, roots)

    return wrap


_TOLD = frozenset({b"x-sendfile-type", b"x-accel-mapping"})


class _Replacing:
    """``send`` that replaces an answer with such a header by the file."""

    __slots__ = ("_replaced", "_request", "_roots", "_send")

    def __init__(self, request: HttpRequest, roots: SiteRoots) -> None:
        self._request = request
        self._roots = roots
        self._send = request.send
        self._replaced = False

    async def __call__(self, message: Message) -> None:
        if self._replaced:
            return  # the script's own body
        if message["type"] == "http.response.start":
            headers: Headers = list(message["headers"])
            name = next((key for key, _ in headers if key in _NAMES), b"")
            if name:
                self._replaced = True
                value = next(value for key, value in headers if key == name)
                await self._answer(name, value, headers, message["status"])
                return
        await self._send(message)

    async def _answer(self, name: bytes, value: bytes, headers: Headers, status: int) -> None:
        request = self._request
        kept = [header for header in headers if header[0] not in _DROPPED]
        try:
            found = self._find(name, value)
            send = _with_headers(self._send, kept, found, status)
            method = "HEAD" if request.method == "HEAD" else "GET"
            await send_file(found, {**request.scope, "method": method}, request.receive, send, extra=[SERVER])
        except (ScriptNotFound, Forbidden) as error:
            _log.warning("%s of the script for %a: %s", name.decode(), request.scope["path"], error)
            await send_text(404, "nothing answers at this address", [], request.scope, self._send)

    def _find(self, name: bytes, value: bytes) -> FileRoute:
        site: Site = self._roots.find(self._request).site
        path = value
        if name == _ACCEL:
            path = unquote_to_bytes(value.partition(b"?")[0])
        elif path.startswith(join_root(site.root, b"/")) and site.root != b"/":
            path = path[len(site.root) :]
        if 0 in path:
            raise ScriptNotFound("the name holds NUL")
        path = clean_path(normalize_path(path))
        status = site.file(path)
        if status is None or path.endswith(b"/"):
            raise ScriptNotFound(f"no file at {path.decode('ascii', 'backslashreplace')} below the root")
        return FileRoute(join_root(site.root, path), status)


def _with_headers(send: Send, kept: Headers, found: FileRoute, status: int) -> Send:
    """Give a ``send`` that joins the script's headers and the file's; the script's word counts, but for the body."""
    own_type = next((value for key, value in kept if key == b"content-type"), b"")
    guessed = guess_type(found.path)
    if own_type.startswith(_DEFAULT_TYPE) and not guessed.startswith(_DEFAULT_TYPE):
        # PHP says this of every answer for which the script said nothing.
        kept = [header for header in kept if header[0] != b"content-type"]
    names = {key for key, _ in kept}

    def joined(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            is_part = message["status"] == 206
            file_headers = [
                header
                for header in message["headers"]
                if header[0] not in names or (is_part and header[0] == b"content-type")
            ]
            own = [header for header in kept if not (is_part and header[0] == b"content-type")]
            code = status if message["status"] == 200 else message["status"]
            message = {**message, "status": code, "headers": [*own, *file_headers]}
        return send(message)

    return joined
