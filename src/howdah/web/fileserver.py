"""``file_server``: static files of a folder, its indexes, and a plain listing if that is wanted.

What is never served is the same as beside PHP: hidden names, sources of scripts, and what links to them.
"""

from __future__ import annotations

import html
import os
import stat
from collections.abc import Awaitable
from http import HTTPStatus
from urllib.parse import quote

from howdah.cgi.paths import clean_path, decode_path, is_script_name, join_root, normalize_path
from howdah.config.http import FileServer
from howdah.config.model import SiteConfig
from howdah.errors import ConfigError, Forbidden, ScriptNotFound
from howdah.runtime.site import Site
from howdah.web.asgi import send_redirect
from howdah.web.conditional import http_date
from howdah.web.filecache import FileCache
from howdah.web.hidden import Hidden
from howdah.web.placeholders import compile_text
from howdah.web.request import Handler, HttpRequest, bytes_of, text_of
from howdah.web.response import SERVER, send_body, with_status
from howdah.web.roots import SiteRoots
from howdah.web.routing import FileRoute, folder_redirect
from howdah.web.static import send_file

_SUFFIX = {"zstd": (b"zstd", b".zst"), "br": (b"br", b".br"), "gzip": (b"gzip", b".gz")}
# Headers that ask for less than the whole file, which a page with another status must not follow.
_CONDITIONAL = frozenset(
    {b"range", b"if-range", b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since"}
)


def compile_file_server(
    action: FileServer,
    suffixes: tuple[str, ...],
    site_root: str | None,
    base: str,
    following: Handler,
    cache: FileCache | None = None,
) -> Handler:
    """Compile ``file_server``.

    Args:
        action: the model's.
        suffixes: of scripts, which are not sent.
        site_root: see `SiteRoots`.
        base: folder of relative names.
        following: answers what is no file, with ``pass_thru``.
        cache: where small files are kept.

    Raises:
        ConfigError: the root cannot be served, or the status is none.
    """
    server = _Files(action, suffixes, site_root, base)
    server.cache = cache

    def handle(request: HttpRequest) -> Awaitable[None]:
        try:
            return server.answer(request)
        except ScriptNotFound:
            if action.pass_through:
                return following(request)
            raise

    return handle


class _Files:
    cache: FileCache | None = None

    def __init__(self, action: FileServer, suffixes: tuple[str, ...], site_root: str | None, base: str) -> None:
        self._action = action
        self._roots = SiteRoots(SiteConfig(root="", split=suffixes), action.root or "", site_root, base)
        self._hidden = Hidden(action.hide, base)
        self._index = [compile_text(name) for name in action.index]
        self._siblings = tuple(_SUFFIX[name] for name in action.precompressed)
        self._status = compile_text(action.status)
        if action.status.isdigit() and not 200 <= int(action.status) <= 599:
            raise ConfigError(
                f"{action.status!r} is no status; write a number from 200 to 599", directive="file_server"
            )

    def answer(self, request: HttpRequest) -> Awaitable[None]:
        """Answer a request, or raise what says that there is nothing.

        Raises:
            ScriptNotFound: nothing that may be served stands there.
            Forbidden: it must not be served.
        """
        site = self._roots.find(request).site
        path = clean_path(normalize_path(decode_path(request.raw_path)))
        status = self._look(site, path, request)
        if status is None:
            if path.endswith(b"/") and self._may_redirect(request) and self._is_file(site, path[:-1], request):
                return self._redirect(request, path[:-1])
            raise ScriptNotFound(f"no file at {path.decode('ascii', 'backslashreplace')}")
        if stat.S_ISDIR(status.st_mode):
            return self._folder(site, path, request)
        return self._send(FileRoute(join_root(site.root, path), status), request)

    def _look(self, site: Site, path: bytes, request: HttpRequest) -> os.stat_result | None:
        status = site.file(path)
        if status is not None and self._hidden and self._hidden.is_hidden(join_root(site.root, path), request):
            return None
        return status

    def _is_file(self, site: Site, path: bytes, request: HttpRequest) -> bool:
        status = self._look(site, path, request)
        return status is not None and stat.S_ISREG(status.st_mode)

    def _may_redirect(self, request: HttpRequest) -> bool:
        return self._action.canonical_uris and not request.is_rewritten and request.error is None

    def _folder(self, site: Site, path: bytes, request: HttpRequest) -> Awaitable[None]:
        below = path.rstrip(b"/") + b"/"
        found: FileRoute | None = None
        for name in self._index:
            candidate = below + bytes_of(name(request)).lstrip(b"/")
            if is_script_name(candidate, site.suffixes):
                continue
            status = self._look(site, clean_path(candidate), request)
            if status is not None and stat.S_ISREG(status.st_mode):
                found = FileRoute(join_root(site.root, candidate), status)
                break
        if found is None and not self._action.browse:
            raise ScriptNotFound("the folder has no index")
        if not path.endswith(b"/") and self._may_redirect(request):
            return send_redirect(folder_redirect(path, request.query, b""), request.send)
        if found is not None:
            return self._send(found, request)
        return self._list(site, below, request)

    def _redirect(self, request: HttpRequest, path: bytes) -> Awaitable[None]:
        """Send the client to the file without the slash behind it."""
        with_slash = folder_redirect(path, request.query, b"")
        head, mark, query = with_slash.location.partition(b"?")
        return send_redirect(with_slash._replace(location=head.rstrip(b"/") + mark + query), request.send)

    def _send(self, found: FileRoute, request: HttpRequest) -> Awaitable[None]:
        send = request.send
        text = self._status(request) if self._action.status else ""
        status = int(text) if text.isdigit() else (request.error.status if request.error is not None else 0)
        if not status:
            return send_file(
                found, request.scope, request.receive, send, self._siblings, cache=self.cache, extra=[SERVER]
            )
        headers = [header for header in request.scope["headers"] if header[0] not in _CONDITIONAL]
        scope = {**request.scope, "headers": headers, "method": "HEAD" if request.method == "HEAD" else "GET"}
        send = with_status(send, status)
        return send_file(found, scope, request.receive, send, self._siblings, cache=self.cache, extra=[SERVER])

    def _list(self, site: Site, path: bytes, request: HttpRequest) -> Awaitable[None]:
        folder = join_root(site.root, path)
        try:
            names = sorted(os.listdir(folder))  # noqa: PTH208 - bytes
        except OSError:
            raise Forbidden("the folder is not readable for the user that the server runs as") from None
        rows = []
        for name in names:
            try:
                status = self._look(site, path + name, request)
            except Forbidden:  # hidden, or a source
                continue
            if status is not None:
                rows.append(_row(text_of(name), status))
        page = _page(text_of(path), rows, is_top=path == b"/").encode("utf-8", "replace")
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        return send_body(HTTPStatus.OK, page, headers, request.scope, request.send)


def _row(name: str, status: os.stat_result) -> str:
    is_folder = stat.S_ISDIR(status.st_mode)
    shown = name + "/" if is_folder else name
    target = "./" + quote(name.encode("utf-8", "surrogateescape")) + ("/" if is_folder else "")
    size = "" if is_folder else str(status.st_size)
    changed = http_date(int(status.st_mtime)).decode()
    return (
        f'<tr><td><a href="{html.escape(target)}">{html.escape(shown)}</a></td>'
        f"<td>{size}</td><td>{html.escape(changed)}</td></tr>"
    )


def _page(path: str, rows: list[str], *, is_top: bool) -> str:
    title = f"Index of {html.escape(path)}"
    if not is_top:
        rows.insert(0, '<tr><td><a href="../">../</a></td><td></td><td></td></tr>')
    return (
        f'<!doctype html>\n<html><head><meta charset="utf-8"><title>{title}</title></head>\n<body><h1>{title}</h1>\n'
        "<table><tr><th>Name</th><th>Size</th><th>Changed</th></tr>\n" + "\n".join(rows) + "\n</table></body></html>\n"
    )
