#!/usr/bin/env python3
"""Check the layers of pyproject.toml with import-linter, on the sources as they stand in src/.

An editable installation answers for the package with a finder of its own, which import-linter cannot look into.
"""

from __future__ import annotations

import os
import sys

from importlinter.cli import lint_imports

from howdah_source import SKIP_VARIABLE, skip_value


def main() -> int:
    """Print the contracts that are broken; the exit code is 1 when there is one."""
    os.environ[SKIP_VARIABLE] = skip_value()
    return int(lint_imports(no_cache=True, no_logo=True))


if __name__ == "__main__":
    sys.exit(main())
