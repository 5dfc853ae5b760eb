"""One PHP site on disk: its document root, and which file a path means.

Knows the file system and the configuration, but neither HTTP nor an event loop. `Site.script` is on
the path of every request: what follows from the path alone is cached, and one ``stat`` is the only
system call while nothing changed.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from howdah.cgi.paths import (
    clean_path,
    conceals_script,
    hidden_prefix,
    is_script_name,
    join_root,
    normalize_path,
    script_end,
)
from howdah.cgi.tryfiles import Candidate, compile_patterns, expand
from howdah.config.model import SiteConfig
from howdah.errors import ConfigError, Forbidden, InvalidPath, ScriptNotFound

if TYPE_CHECKING:
    from howdah.engine.native import Site as NativeSite
    from howdah.runtime.pools import WorkerPool

_log = logging.getLogger("howdah.runtime")

_CACHED_PATHS = 2048
# Longer paths are served but not remembered: clients choose paths, so the caches need a bound in bytes too.
_LONGEST_CACHED_PATH = 512
_REMEMBERED_FILES = 4096

_Verdict = Literal["script", "static", "source", "outside", "unreadable"]
_REFUSALS: dict[_Verdict, str] = {
    "outside": "links out of the document root, which symlinks=inside refuses",
    "unreadable": "is not readable for the user that the server runs as",
}


class Target(NamedTuple):
    """A script and the CGI variables that come from its path (RFC 3875), all bytes.

    ``path_translated`` is ``b""`` when there is no path info.
    """

    script_filename: bytes
    script_name: bytes
    path_info: bytes
    path_translated: bytes
    document_uri: bytes


class _Plan(NamedTuple):
    """What a path means before anybody looks at the disk."""

    target: Target
    file: bytes
    hidden: bytes


class _Known(NamedTuple):
    """What was found out about a file, and the marks by which the file is recognised.

    The change time is among them because a deleted file's inode number is soon used again.
    """

    inode: int
    device: int
    changed_ns: int
    verdict: _Verdict


def _unchanged(file: bytes, known: _Known) -> bool:
    try:
        status = os.stat(file)  # noqa: PTH116 - bytes, and a Path costs more than the call
    except OSError:
        return False
    return known[:3] == (status.st_ino, status.st_dev, status.st_ctime_ns) and stat.S_ISREG(status.st_mode)


class Site:
    """Document root and path rules of one site.

    Safe to use from several threads: the caches are replaced entry by entry. A link that is switched after
    a check and before PHP opens the file is not seen; ``symlinks=inside`` guards against mistakes and
    planted links, not against somebody who may rename files in the root at will.

    Args:
        config: the site's configuration.
        resolve_root: resolve links in the root once; otherwise scripts see the root as it is written.

    Attributes:
        config: as given.
        name: what it is called in metrics and logs; may be empty.
        root: absolute document root with links resolved if asked for, as bytes.
        suffixes: lower-case script suffixes.
        unchanged: tells whether a path still names a known regular file; the runtime puts a faster one in place.
        workers: the runtime's table of workers, and what it knows of scripts of this site.
        native: the constants of ``$_SERVER`` as PHP threads use them, once a request needed them.

    Raises:
        ConfigError: the root is missing, no folder or not readable, or ``try_files`` is wrong.
    """

    def __init__(self, config: SiteConfig, *, resolve_root: bool = True) -> None:
        self.config = config
        self.name = ""
        # Relative paths count from the directory of now, also when the root is resolved again.
        self._given_root = os.path.abspath(os.fsencode(config.root or "."))  # noqa: PTH100 - bytes
        self._resolves_root = resolve_root
        resolved = _resolve_root(config.root)
        self.root = resolved if resolve_root else self._given_root
        self.suffixes = tuple(suffix.lower().encode("ascii") for suffix in config.split)
        # Whatever runs as a script here, the text of PHP's own files is nobody's.
        self._sources = (*self.suffixes, b".php")
        self._prefix = join_root(resolved, b"/")
        self._inside_only = config.symlinks == "inside"
        self._patterns = compile_patterns(config)
        self._resolved = resolved
        self._plan = lru_cache(_CACHED_PATHS)(self._make_plan)
        self._expand = lru_cache(_CACHED_PATHS)(self._make_candidates)
        self._known: dict[bytes, _Known] = {}
        self.unchanged: Callable[[bytes, _Known], bool] = _unchanged
        self.native: NativeSite | None = None
        self.workers: tuple[object, dict[bytes, WorkerPool | None]] = (None, {})

    def look_again(self) -> bool:
        """Follow the document root to where it leads now: a release that is switched by a link.

        Any thread may call it; a request that is being routed meanwhile is served from the one or the other.

        Returns:
            True when it leads elsewhere. A root that cannot be served any more is left as it was, and logged.
        """
        try:
            resolved = _resolve_root(os.fsdecode(self._given_root))
        except ConfigError as error:
            _log.warning("%s; the site goes on with %s", error, os.fsdecode(self._resolved))
            return False
        if resolved == self._resolved:
            return False
        self._resolved = resolved
        if self._resolves_root:
            self.root = resolved
        self._prefix = join_root(resolved, b"/")
        self._known = {}
        self._plan = lru_cache(_CACHED_PATHS)(self._make_plan)
        self.workers = (None, {})
        self.native = None
        return True

    def script(self, path: bytes, mount: bytes = b"") -> Target:
        """Find the script that a decoded path names.

        Dot segments are resolved, the path is split behind the first name that ends in a script suffix,
        and what is left of the split must be a regular file that has such a suffix also after links
        are resolved.

        Args:
            path: decoded path below the site.
            mount: where the site is mounted (ASGI ``root_path``), part of the variables but not of files.

        Raises:
            InvalidPath: the path holds NUL.
            ScriptNotFound: no name has a script suffix, or no such regular file exists.
            Forbidden: a hidden or unreadable file, or a link out of the root with ``symlinks=inside``.
        """
        plan = self._plan(path, mount) if len(path) <= _LONGEST_CACHED_PATH else self._make_plan(path, mount)
        target, file, hidden = plan
        if hidden:
            _refuse_hidden(hidden, path)
            raise ScriptNotFound(f"no script at {_shown(path)}")
        known = self._known.get(file)
        if known is not None and known[3] == "script" and self.unchanged(file, known):
            return target
        try:
            status = os.stat(file)  # noqa: PTH116 - bytes, and a Path costs more than the call
        except OSError as error:
            raise _not_usable(error, path) from None
        if not stat.S_ISREG(status.st_mode):
            raise ScriptNotFound(f"{_shown(path)} is no regular file")
        known = self._known.get(file)
        if known is None or known[0] != status.st_ino or known[2] != status.st_ctime_ns or known[1] != status.st_dev:
            known = self._learn(file, status)
        verdict = known[3]
        if verdict == "script":
            return target
        if verdict in _REFUSALS:
            raise Forbidden(f"{_shown(path)} {_REFUSALS[verdict]}")
        raise ScriptNotFound(f"{_shown(path)} links to a file that is no script")

    def worker_target(self, worker_file: str, path: bytes, mount: bytes = b"") -> Target:
        """Give the variables of a request that a worker's ``match`` took, whatever file its path names.

        A script outside the document root has no address, so SCRIPT_NAME and its kin are empty then.

        Args:
            worker_file: the worker's script.
            path: decoded path below the site.
            mount: where the site is mounted.
        """
        script = os.path.realpath(os.fsencode(worker_file))
        if not script.startswith(self._prefix):
            return Target(script, b"", b"", b"", b"")
        path = normalize_path(path)
        end = script_end(path, self.suffixes)
        info = path[end:] if end >= 0 else b""
        return Target(
            script_filename=script,
            script_name=mount + b"/" + script[len(self._prefix) :],
            path_info=info,
            path_translated=join_root(self.root, clean_path(info)) if info else b"",
            document_uri=mount + clean_path(path[:end]) if end >= 0 else b"",
        )

    def candidates(self, path: bytes) -> tuple[Candidate, ...]:
        """Give the places that ``try_files`` names for a decoded path; looks at no file."""
        return self._expand(path) if len(path) <= _LONGEST_CACHED_PATH else self._make_candidates(path)

    def file(self, path: bytes) -> os.stat_result | None:
        """Find the regular file or folder that a clean path names.

        Returns:
            Its status, links followed, or None when there is nothing that could be served.

        Raises:
            Forbidden: a hidden or unreadable file, the source of a script, or a link that leads to a
                script or, with ``symlinks=inside``, out of the root.
        """
        hidden = hidden_prefix(path)
        if hidden:
            _refuse_hidden(join_root(self.root, hidden), path)
            return None
        file = join_root(self.root, path)
        try:
            status = os.stat(file)  # noqa: PTH116 - bytes, and a Path costs more than the call
        except OSError as error:
            if isinstance(error, PermissionError):
                raise _not_usable(error, path) from None
            return None
        if stat.S_ISDIR(status.st_mode):
            return status
        if not stat.S_ISREG(status.st_mode):
            return None
        known = self._known.get(file)
        if known is None or known[:3] != (status.st_ino, status.st_dev, status.st_ctime_ns):
            known = self._learn(file, status)
        if known.verdict == "static":
            return status
        raise Forbidden(f"{_shown(path)} {_REFUSALS.get(known.verdict, 'holds the source of a script')}")

    def _make_plan(self, path: bytes, mount: bytes) -> _Plan:
        if b"\0" in path:
            raise InvalidPath("the path holds a NUL byte; remove it from the address")
        path = normalize_path(path)
        end = script_end(path, self.suffixes)
        if end < 0:
            raise ScriptNotFound(f"no script at {_shown(path)}")
        name = clean_path(path[:end])
        info = path[end:]
        file = join_root(self.root, name)
        hidden = hidden_prefix(name)
        target = Target(
            script_filename=file,
            script_name=mount + name,
            path_info=info,
            path_translated=join_root(self.root, clean_path(info)) if info else b"",
            document_uri=mount + name,
        )
        return _Plan(target, file, join_root(self.root, hidden) if hidden else b"")

    def _make_candidates(self, path: bytes) -> tuple[Candidate, ...]:
        return expand(self._patterns, path, self.suffixes)

    def _learn(self, file: bytes, status: os.stat_result) -> _Known:
        known = _Known(status.st_ino, status.st_dev, status.st_ctime_ns, self._judge(file))
        if len(self._known) >= _REMEMBERED_FILES:
            self._known.clear()
        self._known[file] = known
        return known

    def _judge(self, file: bytes) -> _Verdict:
        real = os.path.realpath(file)
        if self._inside_only and not real.startswith(self._prefix):
            return "outside"
        if not os.access(real, os.R_OK):
            return "unreadable"
        if is_script_name(file, self.suffixes) and is_script_name(real, self.suffixes):
            return "script"
        if conceals_script(file, self._sources) or conceals_script(real, self._sources):
            return "source"
        return "static"


def _resolve_root(root: str) -> bytes:
    def refuse(reason: str) -> ConfigError:
        return ConfigError(f"document root {root!r} {reason}", directive="root")

    try:
        resolved = os.path.realpath(os.fsencode(root or "."), strict=True)
    except PermissionError:
        raise refuse("cannot be reached; give this user permission to enter the folders above it") from None
    except (OSError, ValueError):
        raise refuse("does not exist; create it or name another folder") from None
    if not os.path.isdir(resolved):  # noqa: PTH112 - bytes
        raise refuse("is not a folder; name the folder that holds the scripts")
    if not os.access(resolved, os.R_OK | os.X_OK):
        raise refuse("is not readable; give this user permission to read and enter it")
    return resolved


def _refuse_hidden(hidden: bytes, path: bytes) -> None:
    # Everything below an existing hidden folder gets one answer, so that nobody can list it by asking.
    if os.path.lexists(hidden):
        raise Forbidden(f"{_shown(path)} is hidden: names with a leading dot are not served, except .well-known")


def _not_usable(error: OSError, path: bytes) -> Forbidden | ScriptNotFound:
    if isinstance(error, PermissionError):
        return Forbidden(f"{_shown(path)} stands in a folder that this user may not enter")
    return ScriptNotFound(f"no script at {_shown(path)}")


def _shown(path: bytes) -> str:
    return path.decode("ascii", "backslashreplace")
