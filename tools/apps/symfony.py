"""The Symfony application of ``examples/symfony`` on Debian's packages of Symfony 5.4."""

from __future__ import annotations

import shutil
from pathlib import Path

from apps.debian import place, unpacked

PACKAGES = (
    "php-psr-cache",
    "php-psr-container",
    "php-psr-event-dispatcher",
    "php-psr-log",
    "php-symfony-cache",
    "php-symfony-cache-contracts",
    "php-symfony-config",
    "php-symfony-console",
    "php-symfony-dependency-injection",
    "php-symfony-deprecation-contracts",
    "php-symfony-error-handler",
    "php-symfony-event-dispatcher",
    "php-symfony-event-dispatcher-contracts",
    "php-symfony-filesystem",
    "php-symfony-finder",
    "php-symfony-framework-bundle",
    "php-symfony-http-foundation",
    "php-symfony-http-kernel",
    "php-symfony-routing",
    "php-symfony-service-contracts",
    "php-symfony-string",
    "php-symfony-translation-contracts",
    "php-symfony-twig-bridge",
    "php-symfony-twig-bundle",
    "php-symfony-var-dumper",
    "php-symfony-var-exporter",
    "php-twig",
)
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "symfony"
LIBRARIES = "usr/share/php"


def install(folder: Path) -> Path:
    """Put libraries and application into the folder and return the document root.

    Raises:
        FetchError: see `apps.debian`.
    """
    folder = folder.resolve()
    place(unpacked("symfony", PACKAGES), folder, (f"/{LIBRARIES}",))
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True)
    return folder / "public"


def php_ini(root: Path) -> dict[str, str]:
    """Settings that the application needs; Symfony 5.4 is older than some deprecations of PHP 8."""
    return {
        "include_path": f".:{root.parent / LIBRARIES}",
        "error_reporting": "E_ALL & ~E_DEPRECATED",
    }


def worker(root: Path) -> Path:
    """The script that can be run as a worker."""
    return root / "index.php"
