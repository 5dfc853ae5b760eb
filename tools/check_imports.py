#!/usr/bin/env python3
"""Check the layers of pyproject.toml with import-linter, on the sources as they stand in src/.

An editable installation of meson-python answers for the package with a finder of its own, which import-linter cannot
look into; so that finder is taken away first.
"""

from __future__ import annotations

import sys
from pathlib import Path

from importlinter.cli import lint_imports


def main() -> int:
    """Print the contracts that are broken; the exit code is 1 when there is one."""
    source = Path(__file__).resolve().parent.parent / "src"
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != "MesonpyMetaFinder"]
    sys.path.insert(0, str(source))
    code = lint_imports(no_cache=True, no_logo=True)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
