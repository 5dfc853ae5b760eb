#!/usr/bin/env python3
"""Fetch a PHP application from Debian's packages into a folder, without installing anything.

The application runs from that folder alone. Downloads are kept in ``$HOWDAH_CACHE/apps`` (default
``~/.cache/howdah/apps``); each call makes a fresh, writable copy. Standard output is the document root.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from apps import dokuwiki, slim, symfony, wordpress
from apps.debian import FetchError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Recipe:
    """How an application is placed and served.

    Attributes:
        install: puts it into a folder and gives the document root.
        php_ini: gives the settings of PHP that it needs, for a document root.
        worker: gives its worker script, for a document root.
    """

    install: Callable[[Path], Path]
    php_ini: Callable[[Path], Mapping[str, str]] = lambda _: {}
    worker: Callable[[Path], Path] | None = None


RECIPES = {
    "dokuwiki": Recipe(dokuwiki.install),
    "slim": Recipe(slim.install, slim.php_ini, slim.worker),
    "symfony": Recipe(symfony.install, symfony.php_ini, symfony.worker),
    "wordpress": Recipe(wordpress.install),
}


def main() -> int:
    """Parse the command line, place the application and print its document root."""
    parser = argparse.ArgumentParser(description="Fetch a PHP application into a folder, ready to be served.")
    parser.add_argument("app", choices=sorted(RECIPES))
    parser.add_argument("--into", metavar="FOLDER", type=Path, help="a new or empty folder (default: ./APP)")
    options = parser.parse_args()
    folder: Path = options.into or Path(options.app)
    recipe = RECIPES[options.app]
    try:
        root = recipe.install(folder)
    except (FetchError, OSError) as error:
        print(f"fetch_app: {error}", file=sys.stderr)
        return 1
    print(root)
    command = ["howdah", "php-server", "--root", str(root)]
    for name, value in recipe.php_ini(root).items():
        command += ["--php-ini", f"{name}={value}"]
    print(f"Serve it with:  {shlex.join(command)}", file=sys.stderr)
    if recipe.worker is not None:
        script = str(recipe.worker(root))
        print(f"In worker mode: {shlex.join([*command, '--worker', script])}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
