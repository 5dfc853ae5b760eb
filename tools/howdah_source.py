"""The modules of the package that the build itself needs, taken from src/ without building anything.

An editable installation answers the import of ``howdah`` by rebuilding the extension first. A tool that prepares
or belongs to that very build must not start it, so the installation is told to look away meanwhile.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
# The variable by which meson-python's editable installation avoids calling itself.
SKIP_VARIABLE = "MESONPY_EDITABLE_SKIP"


def skip_value() -> str:
    """Name every build folder of this checkout, as the variable wants it."""
    return os.pathsep.join(str(PROJECT / "build" / name) for name in ("release", "asan"))


_before = os.environ.get(SKIP_VARIABLE)
os.environ[SKIP_VARIABLE] = skip_value()
sys.path.insert(0, str(PROJECT / "src"))
try:
    from howdah.engine.phpconfig import PHP_CONFIG_VARIABLE, read_php_build
    from howdah.errors import EngineVersionError
finally:
    if _before is None:
        del os.environ[SKIP_VARIABLE]
    else:
        os.environ[SKIP_VARIABLE] = _before

__all__ = ["PHP_CONFIG_VARIABLE", "PROJECT", "SKIP_VARIABLE", "EngineVersionError", "read_php_build", "skip_value"]
