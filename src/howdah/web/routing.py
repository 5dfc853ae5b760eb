"""Where a request to a whole site goes: to a script, to a static file, or to a folder's slash.

These are the rules of ``php_server``: ``try_files``, then scripts by suffix, then files. Holds no
state; what can be remembered is remembered by the `Site`.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import quote_from_bytes

from howdah.cgi.paths import clean_path, decode_path, is_script_name, join_root, normalize_path, script_end
from howdah.config.model import WorkerConfig
from howdah.errors import ScriptNotFound
from howdah.runtime.site import Site, Target

# Keeps the method and the body, unlike 301.
_PERMANENT_REDIRECT = 308
_STATIC_INDEX = b"index.html"
_PATH_SAFE = "/~!$&'()*+,;=:@"
_NOT_IN_QUERY = re.compile(rb"[^\x21-\x7e]")


class ScriptRoute(NamedTuple):
    """Run this script; ``worker`` is the one whose ``match`` chose it, which then takes the request."""

    target: Target
    worker: WorkerConfig | None = None


class FileRoute(NamedTuple):
    """Send this regular file; ``path`` is absolute."""

    path: bytes
    stat: os.stat_result


class RedirectRoute(NamedTuple):
    """Send the client to ``location``, a path with query, escaped for the header."""

    location: bytes
    status: int


Route = ScriptRoute | FileRoute | RedirectRoute


def route(
    site: Site, raw_path: bytes, query: bytes, mount: bytes = b"", method: str = "GET", *, files: bool = True
) -> Route:
    """Decide who answers a request.

    The candidates of ``try_files`` are tried in order. A folder without its trailing slash is redirected
    when its index exists. When no candidate exists, a script named by the path itself runs, a file named
    by it is sent, and a folder shows its ``index.html``.

    Args:
        site: the site.
        raw_path: path as the client sent it, below the mount, without query.
        query: raw query string, kept by redirects.
        mount: decoded ASGI ``root_path``.
        method: not looked at: files answer 405 to methods they do not know, redirects keep the method.
        files: static files are served; otherwise they count as nothing that answers.

    Raises:
        InvalidPath: the path holds NUL.
        Forbidden: the path names something that must not be served.
        ScriptNotFound: nothing answers the path.
    """
    path = decode_path(raw_path)
    if mount and not path:
        return folder_redirect(b"/", query, mount)
    is_folder: bool | None = None
    for candidate in site.candidates(path):
        if is_folder is False and candidate.is_below_path:
            continue
        if candidate.is_script:
            try:
                target = site.script(candidate.path, mount)
            except ScriptNotFound:
                continue
            return folder_redirect(path, query, mount) if candidate.redirects else ScriptRoute(target)
        status = site.file(candidate.path)
        found_folder = status is not None and stat.S_ISDIR(status.st_mode)
        if candidate.is_path:
            is_folder = found_folder
        if status is None or found_folder != candidate.is_folder:
            continue
        if not found_folder:
            if not files:
                break
            return FileRoute(join_root(site.root, candidate.path), status)
        found = _index(site, path, query, mount, scripts=True, files=files)
        if found is not None:
            return found
    return _by_path(site, path, query, mount, files=files)


def _index(site: Site, path: bytes, query: bytes, mount: bytes, *, scripts: bool, files: bool) -> Route | None:
    """Find what shows a folder: its index script if asked for, or its ``index.html``."""
    below = clean_path(normalize_path(path)).rstrip(b"/") + b"/"
    found: Route | None = None
    index = (site.config.index or "").encode("utf-8", "surrogateescape")
    if scripts and is_script_name(index, site.suffixes):
        with suppress(ScriptNotFound):
            found = ScriptRoute(site.script(below + index, mount))
    if found is None and files and not is_script_name(_STATIC_INDEX, site.suffixes):
        status = site.file(below + _STATIC_INDEX)
        if status is not None and stat.S_ISREG(status.st_mode):
            found = FileRoute(join_root(site.root, below + _STATIC_INDEX), status)
    if found is not None and not path.endswith(b"/"):
        return folder_redirect(path, query, mount)
    return found


def _by_path(site: Site, path: bytes, query: bytes, mount: bytes, *, files: bool) -> Route:
    path = normalize_path(path)
    if script_end(path, site.suffixes) >= 0:
        return ScriptRoute(site.script(path, mount))
    path = clean_path(path)
    status = site.file(path) if files else None
    if status is not None and stat.S_ISDIR(status.st_mode):
        found = _index(site, path, query, mount, scripts=False, files=True)
        if found is not None:
            return found
    elif status is not None:
        return FileRoute(join_root(site.root, path), status)
    raise ScriptNotFound(f"nothing at {path.decode('ascii', 'backslashreplace')}")


def folder_redirect(path: bytes, query: bytes, mount: bytes) -> RedirectRoute:
    """Give the redirect from a folder to itself with a slash."""
    # Made from the clean path and escaped anew: //host/.. or /\host would send the client to another host.
    folder = clean_path(normalize_path(path)).rstrip(b"/") + b"/"
    prefix = mount.strip(b"/")
    if prefix:
        folder = b"/" + prefix + folder
    location = quote_from_bytes(folder, safe=_PATH_SAFE).encode("ascii")
    if query:
        location += b"?" + _NOT_IN_QUERY.sub(lambda found: b"%%%02X" % found[0][0], query)
    return RedirectRoute(location, _PERMANENT_REDIRECT)
