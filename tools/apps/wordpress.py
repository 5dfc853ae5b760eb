"""WordPress from Debian's packages; it needs a database, which `apps.mariadb` can be."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apps.debian import place, unpacked

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = (
    "wordpress",
    "wordpress-theme-twentytwentythree",
    "php-getid3",
    "libjs-cropper",
    "libjs-underscore",
)
_PREFIXES = ("/etc/wordpress", "/var/lib/wordpress", "/usr/share/wordpress")

_CONFIG = """<?php
define('DB_NAME', {name!r});
define('DB_USER', {user!r});
define('DB_PASSWORD', {password!r});
define('DB_HOST', {host!r});
{keys}
// Updates come with Debian's packages; and nothing is fetched from other hosts behind the visitors' backs.
define('AUTOMATIC_UPDATER_DISABLED', true);
define('WP_HTTP_BLOCK_EXTERNAL', true);
"""
_KEYS = ("AUTH", "SECURE_AUTH", "LOGGED_IN", "NONCE")


@dataclass(frozen=True)
class Access:
    """How WordPress reaches its database: ``host`` is ``localhost``, ``HOST:PORT`` or ``localhost:/path/of/socket``."""

    name: str = "wordpress"
    user: str = "wordpress"
    password: str = ""
    host: str = "localhost"


def install(folder: Path, access: Access | None = None) -> Path:
    """Put a fresh WordPress into the folder and return its document root.

    ``/wp-admin/install.php`` is still to be visited. The configuration is ``etc/wordpress/config-default.php`` in the
    folder; themes, plugins and uploads are in ``var/lib/wordpress/wp-content``, outside the document root, as Debian
    has them.

    Raises:
        FetchError: see `apps.debian`.
    """
    folder = folder.resolve()
    place(unpacked("wordpress", PACKAGES), folder, _PREFIXES)
    access = access or Access()
    keys = "\n".join(
        f"define('{name}_{kind}', '{os.urandom(32).hex()}');" for name in _KEYS for kind in ("KEY", "SALT")
    )
    config = folder / "etc" / "wordpress" / "config-default.php"
    config.write_text(
        _CONFIG.format(name=access.name, user=access.user, password=access.password, host=access.host, keys=keys),
        encoding="utf-8",
    )
    config.chmod(0o640)
    return folder / "usr" / "share" / "wordpress"
