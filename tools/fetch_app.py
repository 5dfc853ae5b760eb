#!/usr/bin/env python3
"""Fetch a PHP application from Debian's packages into a folder, without installing anything.

The application runs from that folder alone. Downloads are kept in ``$HOWDAH_CACHE/apps`` (default
``~/.cache/howdah/apps``); each call makes a fresh, writable copy. Standard output is the document root.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from apps import dokuwiki
from apps.debian import FetchError

RECIPES = {"dokuwiki": dokuwiki.install}


def main() -> int:
    """Parse the command line, place the application and print its document root."""
    parser = argparse.ArgumentParser(description="Fetch a PHP application into a folder, ready to be served.")
    parser.add_argument("app", choices=sorted(RECIPES))
    parser.add_argument("--into", metavar="FOLDER", type=Path, help="a new or empty folder (default: ./APP)")
    options = parser.parse_args()
    folder: Path = options.into or Path(options.app)
    try:
        root = RECIPES[options.app](folder)
    except (FetchError, OSError) as error:
        print(f"fetch_app: {error}", file=sys.stderr)
        return 1
    print(root)
    print(f"Serve it with:  howdah php-server --root {root}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
