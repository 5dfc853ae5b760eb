"""The ``try_files`` rule: which files may answer a path, in which order.

Pure: patterns are compiled once and expanded per path; whoever asks looks at the disk.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from howdah.cgi.paths import clean_path, normalize_path, script_end
from howdah.config.model import SiteConfig
from howdah.errors import ConfigError

_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_PATH_NAMES = frozenset({"{path}", "{uri.path}", "{http.request.uri.path}"})
_MARK = "\0"  # occurs neither in a decoded path nor in a valid entry
_PATH = _MARK.encode()


class Pattern(NamedTuple):
    """One entry of ``try_files``.

    Attributes:
        text: the entry, with NUL for the requested path.
        is_index: ``{path}/<index>``, which sends folders without a trailing slash to their slash.
    """

    text: bytes
    is_index: bool


class Candidate(NamedTuple):
    """One place to look at for one requested path.

    Attributes:
        path: for a script the path with its path info, otherwise the clean path of a file or folder.
        is_script: a name in the path ends in a script suffix.
        is_folder: it counts only if it is a folder.
        is_path: it is the requested path itself.
        is_below_path: it can exist only if the requested path is a folder.
        redirects: when it exists, the client is sent to the requested path plus a slash.
    """

    path: bytes
    is_script: bool
    is_folder: bool = False
    is_path: bool = False
    is_below_path: bool = False
    redirects: bool = False


def compile_patterns(config: SiteConfig) -> tuple[Pattern, ...]:
    """Compile the site's ``try_files``, or the default made from its index.

    Raises:
        ConfigError: an entry holds something that cannot work here; the message says what to write.
    """
    index = config.index
    entries = config.try_files
    if entries is None:
        entries = ("{path}", f"{{path}}/{index}", index) if index else ("{path}",)
    return tuple(_pattern(entry, index) for entry in entries)


def expand(patterns: tuple[Pattern, ...], path: bytes, suffixes: tuple[bytes, ...]) -> tuple[Candidate, ...]:
    """Put a decoded path into the patterns, in their order and without repetitions.

    A path that ends with a slash can be no file, so it is not a candidate itself.
    """
    path = normalize_path(path)
    names_script = script_end(path, suffixes) >= 0
    found: list[Candidate] = []
    for pattern in patterns:
        candidate = _candidate(pattern, path, suffixes, names_script)
        useless = candidate.is_path and candidate.path.endswith(b"/")
        if not useless and all(candidate.path != earlier.path for earlier in found):
            found.append(candidate)
    return tuple(found)


def _candidate(pattern: Pattern, path: bytes, suffixes: tuple[bytes, ...], names_script: bool) -> Candidate:
    text = pattern.text
    is_path = text == _PATH
    is_below_path = text.startswith(_PATH + b"/") and len(text) > 2
    # /x.php/info/<index> is no folder's index: the script /x.php answers with its own path info.
    if is_path or (is_below_path and names_script):
        if names_script:
            return Candidate(path, is_script=True)
        return Candidate(clean_path(path), is_script=False, is_path=True)
    text = normalize_path(text.replace(_PATH, path.rstrip(b"/")))
    is_folder = text.endswith(b"/")
    if not is_folder and script_end(text, suffixes) >= 0:
        redirects = pattern.is_index and not path.endswith(b"/")
        return Candidate(text, is_script=True, is_below_path=is_below_path, redirects=redirects)
    return Candidate(clean_path(text), is_script=False, is_folder=is_folder, is_below_path=is_below_path)


def _pattern(entry: str, index: str | None) -> Pattern:
    def refuse(cure: str) -> ConfigError:
        return ConfigError(f"try_files entry {entry!r} cannot be used: {cure}", directive="try_files")

    if _MARK in entry:
        raise refuse("remove the NUL character")
    text = entry
    for placeholder in _PLACEHOLDER.findall(entry):
        if placeholder not in _PATH_NAMES:
            raise refuse(f"write {{path}} instead of {placeholder}, other placeholders are not known here")
        text = text.replace(placeholder, _MARK)
    if "$" in text:
        raise refuse("write {path} for nginx's $uri and leave its query variables out")
    if "?" in text:
        raise refuse("leave the query out, scripts get the query of the request")
    if not text or text.startswith("="):
        raise refuse("name a file; when none exists the answer is 404 anyway")
    is_index = index is not None and text == f"{_MARK}/{index}"
    return Pattern(text.encode("utf-8", "surrogateescape"), is_index)
