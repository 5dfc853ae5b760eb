"""The flavours of PHP that Howdah builds, and where each stands in the cache.

Pure decisions: nothing here runs a program or writes a file.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

COMPLETE_MARKER = ".complete"

_BASE = (
    "--enable-zts",
    "--enable-embed=shared",
    # zend-signals installs process-wide signal handlers at each request: not in someone else's process.
    "--disable-zend-signals",
    "--enable-zend-max-execution-timers",
    "--disable-cgi",
    "--disable-phpdbg",
    "--enable-cli",
    "--disable-rpath",
    "--enable-rtld-now",
    "--with-config-file-path=/etc/howdah",
    "--without-pear",
    # Found only by chance on the machine that builds, and of no use outside of valgrind.
    "--without-valgrind",
)
_COMMON_EXTENSIONS = (
    "--enable-opcache",
    "--enable-mbstring",
    "--enable-intl",
    "--with-curl",
    "--with-openssl",
    "--enable-gd",
    "--with-jpeg",
    "--with-webp",
    "--with-freetype",
    "--with-zlib",
    "--enable-exif",
    "--enable-pcntl",
    "--enable-sockets",
    "--with-sodium",
    "--with-password-argon2",
)
_RELEASE_EXTENSIONS = (
    "--with-pdo-mysql=mysqlnd",
    "--with-mysqli=mysqlnd",
    "--with-pgsql",
    "--with-pdo-pgsql",
    "--with-zip",
    "--enable-bcmath",
    "--enable-ftp",
    "--with-gettext",
    "--with-iconv",
    "--enable-soap",
    "--with-readline",
)


@dataclass(frozen=True, slots=True)
class Flavour:
    """One way to build PHP.

    Args:
        name: ``release`` or ``asan``.
        options: arguments of PHP's configure, without those that name the installation folder.
        environment: variables for configure and make.
        shared_extensions: extensions that are built afterwards from Debian's sources.
    """

    name: str
    options: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    shared_extensions: tuple[str, ...] = ()

    @property
    def options_hash(self) -> str:
        """Ten hexadecimal digits that change with everything that changes the result."""
        text = "\n".join((*self.options, *(f"{name}={value}" for name, value in self.environment), SCAN_DIRS))
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    @property
    def label(self) -> str:
        """Name of the flavour and its options in file names."""
        return f"{self.name}-{self.options_hash}"

    def prefix(self, version: str) -> Path:
        """Folder that PHP of this version and flavour is installed to."""
        return cache_dir() / "php" / f"{version}-{self.label}"

    def configure_arguments(self, prefix: Path) -> list[str]:
        """All arguments of PHP's configure for an installation to ``prefix``."""
        return [f"--prefix={prefix}", f"--with-config-file-scan-dir={SCAN_DIRS.format(prefix=prefix)}", *self.options]


# The folder in the installation enables the extensions that stand there (apcu, redis); the one in
# /etc belongs to the administrator and is read last, so it wins.
SCAN_DIRS = "{prefix}/etc/conf.d:/etc/howdah/conf.d"

FLAVOURS = {
    "release": Flavour(
        "release",
        _BASE + _COMMON_EXTENSIONS + _RELEASE_EXTENSIONS,
        (("CFLAGS", "-O2 -g1 -fno-plt"), ("CXXFLAGS", "-O2 -g1")),
        shared_extensions=("apcu", "redis"),
    ),
    "asan": Flavour(
        "asan",
        (*_BASE, "--enable-debug", *_COMMON_EXTENSIONS),
        (
            ("CFLAGS", "-O1 -g -fsanitize=address -fno-omit-frame-pointer"),
            ("CXXFLAGS", "-O1 -g -fsanitize=address -fno-omit-frame-pointer"),
            ("LDFLAGS", "-fsanitize=address"),
            # Programs that the build itself runs leak on purpose; that is not what we look for.
            ("ASAN_OPTIONS", "detect_leaks=0"),
        ),
    ),
}


def cache_dir() -> Path:
    """Folder for everything that outlives a checkout: ``$HOWDAH_CACHE``, or ``~/.cache/howdah``."""
    chosen = os.environ.get("HOWDAH_CACHE")
    return Path(chosen).absolute() if chosen else Path.home() / ".cache" / "howdah"


def find_cached(flavour: Flavour, version: str | None = None) -> Path | None:
    """Find a complete build of this flavour.

    Args:
        flavour: the flavour; builds with other options do not count.
        version: only this version; None takes the newest.

    Returns:
        Its php-config, or None.
    """
    found = [
        marker.parent
        for marker in (cache_dir() / "php").glob(f"{version or '*'}-{flavour.label}/{COMPLETE_MARKER}")
        if (marker.parent / "bin" / "php-config").is_file()
    ]
    newest = max(found, key=lambda prefix: version_key(prefix.name), default=None)
    return newest / "bin" / "php-config" if newest else None


def version_key(text: str) -> tuple[int, ...]:
    """Turn the leading ``8.2.32`` of a text into numbers that sort."""
    leading = re.match(r"[\d.]+", text)
    return tuple(int(part) for part in leading[0].split(".") if part) if leading else ()
