"""An application on Slim and Twig: the libraries from Debian's packages, the application from ``examples/slim``."""

from __future__ import annotations

import shutil
from pathlib import Path

from apps.debian import place, unpacked

PACKAGES = (
    "php-slim",
    "php-twig",
    "php-pimple",
    "php-nikic-fast-route",
    "php-psr-container",
    "php-psr-http-message",
    "php-symfony-polyfill-php80",
)
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "slim"
_LIBRARIES = "usr/share/php"


def install(folder: Path) -> Path:
    """Put libraries and application into the folder and return the document root.

    Raises:
        FetchError: see `apps.debian`.
    """
    folder = folder.resolve()
    place(unpacked("slim", PACKAGES), folder, (f"/{_LIBRARIES}",))
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True)
    return folder / "public"


def libraries(root: Path) -> str:
    """The folder of the libraries, for ``PHP_LIBRARIES`` of the example's Caddyfile."""
    return str(root.parent / _LIBRARIES)


def php_ini(root: Path) -> dict[str, str]:
    """Settings that the application needs; Slim 3 and its libraries are older than some deprecations of PHP 8."""
    return {
        "include_path": f".:{libraries(root)}",
        "error_reporting": "E_ALL & ~E_DEPRECATED",
    }


def worker(root: Path) -> Path:
    """The script that can be run as a worker."""
    return root / "index.php"
