"""DokuWiki from Debian's packages: a wiki that keeps its pages in files, hence needs no database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.debian import place, replace_in, unpacked

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = (
    "dokuwiki",
    "php-geshi",
    "libphp-simplepie",
    "php-phpseclib",
    "php-random-compat",
    "libjs-jquery",
    "libjs-jquery-ui",
    "libjs-jquery-cookie",
    "javascript-common",
)
_PREFIXES = (
    "/etc/dokuwiki",
    "/var/lib/dokuwiki",
    "/usr/share/dokuwiki",
    "/usr/share/javascript",
    "/usr/share/php",
    "/usr/share/php-geshi",
)


def install(folder: Path) -> Path:
    """Put a fresh wiki into the folder and return its document root; `install.php` is still to be called.

    Configuration and pages stay outside the document root, as Debian has them.

    Raises:
        FetchError: see `apps.debian`.
    """
    folder = folder.resolve()
    place(unpacked("dokuwiki", PACKAGES), folder, _PREFIXES)
    root = folder / "usr" / "share" / "dokuwiki"
    # Debian configures the wiki when the package is installed and leaves upstream's installer looking for
    # folders in the document root; here nothing is installed, so the installer has to find the real ones.
    replace_in(
        root / "install.php",
        [
            ("DOKU_INC . 'conf/'", f"'{folder}/etc/dokuwiki/'"),
            ("DOKU_INC . 'data", f"'{folder}/var/lib/dokuwiki/data"),
        ],
    )
    return root
