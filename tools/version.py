#!/usr/bin/env python3
"""Print the version of the project; the one place that states it is src/howdah/_version.py."""

from __future__ import annotations

import re
from pathlib import Path

source = Path(__file__).resolve().parent.parent / "src" / "howdah" / "_version.py"
found = re.search(r'^__version__ = "([^"]+)"$', source.read_text(encoding="utf-8"), re.MULTILINE)
if found is None:
    raise SystemExit(f"{source} does not state __version__")
print(found[1])
