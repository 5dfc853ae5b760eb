"""Looks for files on behalf of the ``file`` matcher and of ``try_files``.

Only tells what exists; whether something may be served is decided by who serves it.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Callable, Sequence
from typing import NamedTuple

from howdah.cgi.paths import clean_path, join_root, script_end
from howdah.errors import ConfigError
from howdah.web.errorpages import HttpError
from howdah.web.placeholders import compile_text, split_at, split_text
from howdah.web.request import HttpRequest, bytes_of, text_of

_POLICIES = frozenset(
    {"first_exist", "first_exist_fallback", "smallest_size", "largest_size", "most_recently_modified"}
)
_WILDCARDS = frozenset("*[")


class Found(NamedTuple):
    """A candidate that exists, or that is taken although it does not.

    Attributes:
        relative: path below the root, with a leading slash and a trailing one for folders.
        remainder: what stood behind a script's name: its path info.
        query: query that goes with the candidate, or None.
        status: of the file; None for a fallback that does not exist.
    """

    relative: bytes
    remainder: bytes
    query: str | None
    status: os.stat_result | None


class _Candidate(NamedTuple):
    text: Callable[[HttpRequest], str]
    query: Callable[[HttpRequest], str] | None
    has_wildcard: bool


class FileFinder:
    """Finds one of several candidates below a root.

    Args:
        files: candidates; one that ends in a slash must be a folder, the last may be ``=`` and a status.
        root: where to look; None is the site's root.
        policy: which of those that exist is taken.
        split: suffixes behind which a candidate's path info begins.
        base: folder of relative roots, and the root where the site has none.

    Raises:
        ConfigError: the policy is not known, or the status is none.
    """

    def __init__(self, files: Sequence[str], root: str | None, policy: str, split: Sequence[str], base: str) -> None:
        if policy not in _POLICIES:
            raise ConfigError(f"policy {policy!r} is not known; there are: {', '.join(sorted(_POLICIES))}")
        self._status = 0
        if files and files[-1].startswith("="):
            self._status = _status(files[-1])
            files = files[:-1]
        self._candidates = [_candidate(entry) for entry in files]
        self._root = compile_text(root) if root else None
        self._policy = policy
        self._suffixes = tuple(suffix.lower().encode() for suffix in split)
        self._base = os.fsencode(base)

    def find_for(self, request: HttpRequest) -> bool:
        """Find one and note it in the request's placeholders."""
        found = self.find(request)
        if found is None:
            return False
        note(request, found, self.root_of(request))
        return True

    def root_of(self, request: HttpRequest) -> bytes:
        """Give the folder to look in."""
        root = self._root(request) if self._root is not None else request.root
        return os.path.normpath(os.path.join(self._base, bytes_of(root))) if root else self._base  # noqa: PTH118 - bytes

    def find(self, request: HttpRequest) -> Found | None:
        """Find the candidate that the policy takes.

        Raises:
            HttpError: there is none, and the list says which status that is.
        """
        root = self.root_of(request)
        best: Found | None = None
        last: Found | None = None
        for candidate in self._candidates:
            query = candidate.query(request) if candidate.query is not None else None
            for path in _paths(candidate, request, root):
                last = self._look(root, path, query)
                if last.status is None:
                    continue
                if self._policy.startswith("first_exist"):
                    return last
                best = self._better(best, last)
        if best is None and self._status:
            raise HttpError(self._status)
        if best is None and self._policy == "first_exist_fallback":
            return last
        return best

    def _look(self, root: bytes, path: bytes, query: str | None) -> Found:
        path = clean_path(path if path.startswith(b"/") else b"/" + path)
        remainder = b""
        if self._suffixes:
            end = script_end(path, self._suffixes)
            if end >= 0:
                path, remainder = path[:end], path[end:]
        wants_folder = path.endswith(b"/")
        try:
            status: os.stat_result | None = os.stat(join_root(root, path))  # noqa: PTH116 - bytes
        except (OSError, ValueError):
            status = None
        if status is not None and stat.S_ISDIR(status.st_mode) != wants_folder:
            status = None
        return Found(path, remainder, query, status)

    def _better(self, best: Found | None, other: Found) -> Found:
        if best is None or best.status is None or other.status is None:
            return other
        if self._policy == "smallest_size":
            return other if other.status.st_size < best.status.st_size else best
        if self._policy == "largest_size":
            return other if other.status.st_size > best.status.st_size else best
        return other if other.status.st_mtime > best.status.st_mtime else best


def note(request: HttpRequest, found: Found, root: bytes) -> None:
    """Write what was found into ``{file.*}``."""
    is_folder = found.relative.endswith(b"/")
    request.values.update(
        {
            "file.relative": text_of(found.relative),
            "file.absolute": text_of(join_root(root, found.relative)),
            "file.type": "directory" if is_folder else "file",
            "file.remainder": text_of(found.remainder),
            "file.size": str(found.status.st_size if found.status is not None else 0),
        }
    )


def _candidate(entry: str) -> _Candidate:
    path, query = split_at(entry, "?")
    parts = split_text(path)
    if _WILDCARDS.isdisjoint("".join(part for is_name, part in parts if not is_name)):
        return _Candidate(compile_text(path), None if query is None else compile_text(query), has_wildcard=False)
    # What a client sends must not become a pattern.
    texts = [(is_name, compile_text("{" + part + "}" if is_name else part)) for is_name, part in parts]

    def pattern(request: HttpRequest) -> str:
        return "".join(glob.escape(text(request)) if is_name else text(request) for is_name, text in texts)

    return _Candidate(pattern, None if query is None else compile_text(query), has_wildcard=True)


def _paths(candidate: _Candidate, request: HttpRequest, root: bytes) -> list[bytes]:
    text = bytes_of(candidate.text(request))
    if not candidate.has_wildcard:
        return [text]
    return [b"/" + path for path in sorted(glob.glob(text.lstrip(b"/"), root_dir=root))]  # noqa: PTH207 - bytes


def _status(text: str) -> int:
    number = text[1:]
    if not (number.isdigit() and 400 <= int(number) <= 599):
        raise ConfigError(f"{text!r} is no status of an error; write =404", directive="try_files")
    return int(number)
