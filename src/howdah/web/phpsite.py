"""``php`` and ``php_server``: the step that hands a request to PHP, to a static file, or on."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from howdah.cgi.paths import decode_path
from howdah.config.http import Php
from howdah.config.model import SiteConfig
from howdah.errors import ScriptNotFound
from howdah.runtime.site import Site
from howdah.web.asgi import send_redirect
from howdah.web.filecache import FileCache
from howdah.web.hidden import Hidden
from howdah.web.matchworkers import MatchWorkers
from howdah.web.placeholders import compile_text
from howdah.web.request import Handler, HttpRequest, bytes_of
from howdah.web.response import SERVER, with_status
from howdah.web.roots import SiteRoots
from howdah.web.routing import FileRoute, RedirectRoute, Route, ScriptRoute, folder_redirect, route
from howdah.web.static import send_file

if TYPE_CHECKING:
    from howdah.web.runner import PhpRunner, ServedSite


def compile_php(
    php: Php, runner: PhpRunner, site_root: str | None, base: str, following: Handler, cache: FileCache | None = None
) -> Handler:
    """Compile ``php`` or ``php_server``.

    Args:
        php: the model's.
        runner: runs the scripts.
        site_root: see `SiteRoots`.
        base: folder of relative roots.
        following: answers what is not answered here.
        cache: where small files are kept.

    Raises:
        ConfigError: the root cannot be served, or ``try_files`` is wrong.
    """
    roots = SiteRoots(_site_config(php), php.root, site_root, base, resolve=php.resolve_root_symlink, name=php.name)
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
            if request.is_changed:
                uri = request.original_uri
            else:  # the same for most requests, without a call
                uri = request.raw_path + b"?" + request.query if request.query else request.raw_path
            return runner.run(served, found, uri, request.scope, request.receive, send)
        if type(found) is FileRoute:
            return send_file(found, request.scope, request.receive, request.send, cache=cache, extra=[SERVER])
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
    files = php.is_server and php.file_server
    matched = MatchWorkers(php.site.workers, base, files=files)
    if not php.is_server:
        return _compile_script(matched)
    hidden = Hidden(php.hide, base)
    if not matched and not hidden:
        if files:
            return lambda site, request: route(site, request.raw_path, request.query)
        return lambda site, request: route(site, request.raw_path, request.query, files=False)

    def find(site: Site, request: HttpRequest) -> Route:
        found = (
            matched.find(site, decode_path(request.raw_path), request.folded or request.fold_path())
            if matched
            else None
        )
        if found is None:
            found = route(site, request.raw_path, request.query, files=files)
        if type(found) is FileRoute and hidden.is_hidden(found.path, request):
            raise ScriptNotFound("the file is hidden by the configuration")
        return found

    return find


def _compile_script(matched: MatchWorkers) -> Callable[[Site, HttpRequest], Route]:
    """Compile the choice of ``php``: a worker's script where its ``match`` says so, else the script of the path."""

    def find(site: Site, request: HttpRequest) -> Route:
        path = decode_path(request.raw_path)
        found = matched.find(site, path, request.folded or request.fold_path()) if matched else None
        return found or ScriptRoute(site.script(path))

    return find
