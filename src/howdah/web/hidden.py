"""Files that ``hide`` takes out of what is served."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatchcase

from howdah.web.placeholders import compile_text, has_placeholders
from howdah.web.request import HttpRequest, bytes_of


class Hidden:
    """Tells whether a file is hidden.

    Args:
        patterns: one with a slash names a file or folder (relative to ``base``), one without stands for any part
            of a path; both may hold wildcards.
        base: folder of relative patterns.
    """

    def __init__(self, patterns: Sequence[str], base: str) -> None:
        self._base = os.fsencode(base)
        fixed = [bytes_of(pattern) for pattern in patterns if not has_placeholders(pattern)]
        self._names = [pattern for pattern in fixed if b"/" not in pattern]
        self._paths = [path for pattern in fixed if b"/" in pattern for path in self._whole(pattern)]
        self._texts = [compile_text(pattern) for pattern in patterns if has_placeholders(pattern)]

    def __bool__(self) -> bool:
        return bool(self._names or self._paths or self._texts)

    def is_hidden(self, path: bytes, request: HttpRequest) -> bool:
        """Tell whether an absolute path, or a folder above it, is hidden."""
        names, paths = self._names, self._paths
        if self._texts:
            patterns = [bytes_of(text(request)) for text in self._texts]
            names = names + [pattern for pattern in patterns if b"/" not in pattern]
            paths = paths + [path for pattern in patterns if b"/" in pattern for path in self._whole(pattern)]
        if any(path == hidden or path.startswith(hidden + b"/") or fnmatchcase(path, hidden) for hidden in paths):
            return True
        return any(fnmatchcase(part, name) for part in path.split(b"/") for name in names)

    def _whole(self, pattern: bytes) -> set[bytes]:
        """Give the absolute path of a pattern, as it is written and with links resolved as roots are."""
        path = os.path.join(self._base, pattern)  # noqa: PTH118 - bytes
        return {os.path.normpath(path), os.path.realpath(path)}
