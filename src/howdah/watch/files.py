"""What the watched files look like, so that a hint can be told from a change.

The kernel reports more than changes of content (permissions, owners, links), and less than all of them (files in a
folder that was moved in, everything while nothing watched). So what it reports are hints, and a change is what differs
from the last look.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence

from howdah.watch.patterns import Pattern

# After so many hints at once the kernel may have dropped some.
_MANY_HINTS = 1000

# Beyond so many paths that were seen, those that are gone are forgotten.
_MOST_REMEMBERED = 200_000

_State = tuple[int, int, int]


class WatchedFiles:
    """The regular files that match some pattern, with inode, size and time of their content.

    Symbolic links are neither followed nor files: what they point to is watched where it is.

    Args:
        patterns: what counts.
    """

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._patterns = patterns
        self._known: dict[str, _State] = {}
        self._matching: dict[str, bool] = {}

    def look(self) -> set[str]:
        """Look at everything; blocks while all watched folders are read.

        Returns:
            The files that are new, changed or gone since the last look.
        """
        present: dict[str, _State] = {}
        for folder in _outermost({pattern.folder for pattern in self._patterns if pattern.is_recursive}):
            present.update(self._below(folder))
        for folder in {pattern.folder for pattern in self._patterns if not pattern.is_recursive}:
            present.update(self._directly_in(folder))
        changed = {path for path, state in present.items() if self._known.get(path) != state}
        changed |= self._known.keys() - present.keys()
        self._known = present
        if len(self._matching) > _MOST_REMEMBERED:
            self._matching.clear()
        return changed

    def follow(self, hints: Iterable[str]) -> set[str]:
        """Look at what was hinted at.

        Returns:
            The files that are new, changed or gone.
        """
        paths = set(hints)
        if len(paths) > _MANY_HINTS:
            return self.look()
        changed = set()
        gone = []
        for path in paths:
            try:
                found = os.lstat(path)
            except OSError:
                gone.append(path)
                continue
            if stat.S_ISDIR(found.st_mode):
                if self._is_deep(path):
                    changed |= self._note(self._below(path))
            elif stat.S_ISREG(found.st_mode) and self._counts(path):
                changed |= self._note([(path, _state(found))])
            elif self._known.pop(path, None):  # a link or something else took its place
                changed.add(path)
        return changed | self._forget(gone)

    def _note(self, present: Iterable[tuple[str, _State]]) -> set[str]:
        changed = set()
        for path, state in present:
            if self._known.get(path) != state:
                self._known[path] = state
                changed.add(path)
        return changed

    def _forget(self, gone: list[str]) -> set[str]:
        """Drop files, and those of folders, that are gone."""
        changed = {path for path in gone if self._known.pop(path, None)}
        folders = tuple(f"{path}/" for path in gone if path not in changed)
        if folders:
            inside = {path for path in self._known if path.startswith(folders)}
            for path in inside:
                del self._known[path]
            changed |= inside
        return changed

    def _counts(self, path: str) -> bool:
        # Remembered because matching is most of a look at many files.
        known = self._matching.get(path)
        if known is None:
            known = self._matching[path] = any(pattern.matches(path) for pattern in self._patterns)
        return known

    def _is_deep(self, folder: str) -> bool:
        """Tell whether what lies in a folder below the watched ones may count."""
        return any(f"{folder}/".startswith(pattern.folder) for pattern in self._patterns if pattern.is_recursive)

    def _below(self, folder: str) -> Iterator[tuple[str, _State]]:
        """Give the files that count at any depth; what cannot be read is left out."""
        waiting = [folder]
        while waiting:
            current = waiting.pop()
            try:
                entries = list(os.scandir(current))
            except OSError:
                continue
            waiting += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
            yield from self._files(entries)

    def _directly_in(self, folder: str) -> Iterator[tuple[str, _State]]:
        try:
            yield from self._files(list(os.scandir(folder)))
        except OSError:
            return

    def _files(self, entries: list[os.DirEntry[str]]) -> Iterator[tuple[str, _State]]:
        for entry in entries:
            if entry.is_file(follow_symlinks=False) and self._counts(entry.path):
                try:
                    yield entry.path, _state(entry.stat(follow_symlinks=False))
                except OSError:  # gone since the folder was read
                    continue


def _state(found: os.stat_result) -> _State:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _outermost(folders: set[str]) -> list[str]:
    """Leave out folders that lie in others."""
    kept: list[str] = []
    for folder in sorted(folders):
        if not kept or not f"{folder}/".startswith(f"{kept[-1].rstrip('/')}/"):
            kept.append(folder)
    return kept
