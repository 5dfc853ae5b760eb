"""``python -m howdah`` is the command ``howdah``."""

from __future__ import annotations

import sys

from howdah.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
