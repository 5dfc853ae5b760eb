"""A trial start of PHP in a child process, because some mistakes end the process that makes them.

OPcache calls ``exit(-2)`` when its lock file cannot be made and when it preloads as root without
``opcache.preload_user``. So the settings are tried in a child first, and what PHP said there becomes
the text of an `EngineStartError`.

The child is ``probe_child.py`` beside this file.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from howdah.engine.native import native
from howdah.errors import EngineStartError

_TIMEOUT_S = 60.0
_ALREADY_LOADED = re.compile(r"Cannot load Zend OPcache - it was already loaded\s*")
_NO_START = re.compile(r"syntax error, unexpected|Invalid \"|^PHP Fatal error|^Fatal error", re.MULTILINE)
_HTML = re.compile(r"<[^>]+>")
# What PHP says without saying where, or what to do.
_NO_LOCK_FILE = "Unable to create lock file"
_LOCK_FILE_CURE = "; set opcache.lockfile_path (by itself /tmp) to a folder that this user may write to"

OPCACHE_LINE = "zend_extension=opcache\n"


class Trial(NamedTuple):
    """What a trial start found out.

    Attributes:
        needs_opcache_line: no php.ini loads OPcache, so it must be asked for.
        messages: what PHP had to say although it started.
    """

    needs_opcache_line: bool
    messages: tuple[str, ...]


class Probe:
    """A trial start that runs while the caller does other things.

    Args:
        ini_lines: overrides, without the line that loads OPcache.
        defaults: see `howdah.engine.ini.ini_defaults`.
    """

    def __init__(self, ini_lines: str, defaults: tuple[tuple[bytes, bytes], ...]) -> None:
        settings = {
            "ini": OPCACHE_LINE + ini_lines,
            "defaults": [[name.decode(), value.decode()] for name, value in defaults],
            "native": native.__file__,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("probe_child.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._settings = json.dumps(settings).encode()

    def wait(self) -> Trial:
        """Wait for the child; blocks at most a minute.

        Raises:
            EngineStartError: PHP did not start, or read settings that it could not understand.
        """
        try:
            output, _ = self._process.communicate(self._settings, timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise EngineStartError(
                f"PHP did not start within {_TIMEOUT_S:.0f} s; look at opcache.preload and at auto-loaded extensions"
            ) from None
        text, duplicates = _ALREADY_LOADED.subn("", output.decode(errors="replace"))
        text = _HTML.sub("", text).strip()
        if self._process.returncode != 0:
            code = self._process.returncode
            cure = _LOCK_FILE_CURE if _NO_LOCK_FILE in text else ""
            raise EngineStartError(f"PHP did not start: {text or f'it ended with code {code} and said nothing'}{cure}")
        if _NO_START.search(text):
            raise EngineStartError(f"PHP did not accept its settings: {text}")
        return Trial(
            needs_opcache_line=duplicates == 0, messages=tuple(line for line in text.splitlines() if line.strip())
        )
