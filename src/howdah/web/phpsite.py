"""``php`` and ``php_server``: the step that hands a request to PHP, to a static file, or on."""

from __future__ import annotations

import dataclasses
import os
import stat
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from howdah.cgi.paths import clean_path, decode_path, is_script_name, join_root, normalize_path, script_end
from howdah.config.http import Php
from howdah.config.model import SiteConfig, WorkerConfig
from howdah.errors import ScriptNotFound
from howdah.runtime.site import Site, Target
from howdah.web.asgi import send_redirect
from howdah.web.hidden import Hidden
from howdah.web.matchers import path_test
from howdah.web.placeholders import compile_text
from howdah.web.request import Handler, HttpRequest, bytes_of
from howdah.web.response import name_server, with_status
from howdah.web.roots import SiteRoots
from howdah.web.routing import FileRoute, RedirectRoute, Route, ScriptRoute, folder_redirect, route
from howdah.web.static import send_file

if TYPE_CHECKING:
    from howdah.web.runner import PhpRunner, ServedSite


def compile_php(php: Php, runner: PhpRunner, site_root: str | None, base: str, following: Handler) -> Handler:
    """Compile ``php`` or ``php_server``.

    Args:
        php: the model's.
        runner: runs the scripts.
        site_root: see `SiteRoots`.
        base: folder of relative roots.
        following: answers what is not answered here.

    Raises:
        ConfigError: the root cannot be served, or ``try_files`` is wrong.
    """
    roots = SiteRoots(_site_config(php), php.root, site_root, base, resolve=php.resolve_root_symlink)
    env = [(bytes_of(name), compile_text(value)) for name, value in php.env]
    find = _compile_find(php, base)

    def handle(request: HttpRequest) -> Awaitable[None]:
        served = roots.fixed or roots.find(request)
        try:
            found = find(served.site, request)
        except ScriptNotFound:
            if php.is_server and not php.file_server:
                return following(request)
            raise
        if type(found) is ScriptRoute:
            if env:
                request.change("howdah.env", [(name, bytes_of(value(request))) for name, value in env])
            if request.max_body_bytes is not None:
                served = _limited(served, request.max_body_bytes)
            # A page that a script writes for an error keeps the error's status, unless it sets another.
            send = request.send if request.error is None else with_status(request.send, request.error.status)
            return runner.run(served, found, request.original_uri, request.scope, request.receive, send)
        if type(found) is FileRoute:
            return send_file(found, request.scope, request.receive, name_server(request.send))
        assert isinstance(found, RedirectRoute)  # noqa: S101 - there is no other kind
        if request.is_rewritten:
            found = folder_redirect(
                decode_path(request.original_raw_path), request.original.get("query_string", b""), b""
            )
        return send_redirect(found, request.send)

    return handle


def _site_config(php: Php) -> SiteConfig:
    config = php.site
    entries = config.try_files
    if not php.is_server:
        return config
    if entries is None and not php.file_server:
        # Files are not looked for, so that the index answers also where one stands.
        entries = (f"{{path}}/{config.index}", config.index) if config.index else ()
    elif entries is not None and entries[-1:] == ("=404",):
        entries = entries[:-1]  # where no entry exists the answer is 404 in any case
    return dataclasses.replace(config, try_files=entries)


def _limited(served: ServedSite, max_bytes: int) -> ServedSite:
    return served._replace(limits=served.limits._replace(max_size_bytes=max_bytes))


def _compile_find(php: Php, base: str) -> Callable[[Site, HttpRequest], Route]:
    """Compile the choice of what answers a path."""
    if not php.is_server:
        return lambda site, request: ScriptRoute(site.script(decode_path(request.raw_path)))
    files = php.file_server
    matched = _MatchWorkers(php.site.workers, base, files=files)
    hidden = Hidden(php.hide, base)
    if not matched and not hidden:
        if files:
            return lambda site, request: route(site, request.raw_path, request.query)
        return lambda site, request: route(site, request.raw_path, request.query, files=False)

    def find(site: Site, request: HttpRequest) -> Route:
        found = matched.find(site, request) if matched else None
        if found is None:
            found = route(site, request.raw_path, request.query, files=files)
        if type(found) is FileRoute and hidden.is_hidden(found.path, request):
            raise ScriptNotFound("the file is hidden by the configuration")
        return found

    return find


class _MatchWorkers:
    """Workers that take paths whether or not such a file exists; static files come before them."""

    def __init__(self, workers: tuple[WorkerConfig, ...], base: str, *, files: bool) -> None:
        self._files = files
        self._workers = [
            (path_test(worker.match), worker, os.path.realpath(os.path.join(base, worker.file)))  # noqa: PTH118
            for worker in workers
            if worker.match
        ]

    def __bool__(self) -> bool:
        return bool(self._workers)

    def find(self, site: Site, request: HttpRequest) -> Route | None:
        """Give the static file or the worker's script, or None when no ``match`` is for the path.

        Raises:
            Forbidden: the path names a file that must not be served.
        """
        folded = request.folded or request.fold_path()
        path = decode_path(request.raw_path)
        if self._files and not is_script_name(path, site.suffixes):
            clean = clean_path(normalize_path(path))
            status = site.file(clean)
            if status is not None and stat.S_ISREG(status.st_mode):
                return FileRoute(join_root(site.root, clean), status)
        for matches, worker, file in self._workers:
            if matches(folded):
                return ScriptRoute(_worker_target(site, os.fsencode(file), normalize_path(path)), worker)
        return None


def _worker_target(site: Site, file: bytes, path: bytes) -> Target:
    """Give the variables of a request to a worker that was chosen by its ``match``."""
    prefix = join_root(site.root, b"/")
    if not file.startswith(prefix):  # nothing in the site has a name that would lead there
        return Target(file, b"", b"", b"", b"")
    end = script_end(path, site.suffixes)
    info = path[end:] if end >= 0 else b""
    return Target(
        script_filename=file,
        script_name=b"/" + file[len(prefix) :],
        path_info=info,
        path_translated=join_root(site.root, clean_path(info)) if info else b"",
        document_uri=clean_path(path[:end]) if end >= 0 else b"",
    )
