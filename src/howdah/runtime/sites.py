"""The sites of a runtime: one `Site` for each root or configuration, and what PHP threads know of it."""

from __future__ import annotations

import os
import threading
import weakref

from howdah.config.model import SiteConfig
from howdah.engine import native as engine
from howdah.engine.native import native
from howdah.runtime.site import Site

_MOST_NAMES = 4096


class SiteTable:
    """Finds and makes sites. Callable from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._served: weakref.WeakSet[Site] = weakref.WeakSet()  # under the lock
        self._names: dict[bytes, str] = {}  # by document root, for the log; each entry is one assignment
        self._sites: dict[SiteConfig | str, Site] = {}  # each entry is one assignment

    def find(self, site: str | SiteConfig | Site) -> Site:
        """Give the `Site` of a root or configuration; made once each.

        Raises:
            ConfigError: the root cannot be used.
        """
        if isinstance(site, Site):
            return site
        key = site if isinstance(site, str) else _site_key(site)
        known = self._sites.get(key)
        if known is None:
            known = self._sites[key] = Site(SiteConfig(root=site) if isinstance(site, str) else site)
        return known

    def native(self, site: Site) -> engine.Site:
        """Give the constants of a site's ``$_SERVER`` as PHP threads use them; made once per site."""
        known = site.native
        if known is None:
            env = tuple((os.fsencode(name), os.fsencode(value)) for name, value in site.config.env.items())
            site.unchanged = native.unchanged
            with self._lock:
                self._served.add(site)
            if site.name and len(self._names) < _MOST_NAMES:
                self._names[site.root] = site.name
            known = site.native = engine.Site(site.root, b"Howdah", env, site.config.request_timeout_s)
        return known

    def name_of(self, root: bytes) -> str:
        """Give the name of the site at a document root, empty for none."""
        return self._names.get(root, "")

    def look_again(self) -> None:
        """Forget what was found out about files, because code has changed."""
        with self._lock:
            sites = list(self._served)
        for site in sites:
            site.look_again()


def _site_key(config: SiteConfig) -> SiteConfig | str:
    try:
        hash(config)
    except TypeError:
        return repr(config)
    return config
