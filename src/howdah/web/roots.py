"""Document roots: fixed ones, whose mistakes are told at the start, and those that depend on the request."""

from __future__ import annotations

import dataclasses
import os

from howdah.config.model import SiteConfig
from howdah.errors import ConfigError
from howdah.runtime.site import Site
from howdah.web.body import BodyLimits, spool_folder
from howdah.web.errorpages import HttpError
from howdah.web.placeholders import Text, compile_text, has_placeholders
from howdah.web.request import HttpRequest
from howdah.web.runner import ServedSite

# Roots with placeholders are remembered up to this number; a client that makes names up cannot fill the memory.
_REMEMBERED_ROOTS = 256


class SiteRoots:
    """Gives the site of a request.

    Args:
        config: of the sites; its root counts if it is not empty.
        template: root with placeholders, ``""`` for none.
        site_root: the root that the ``root`` directive sets for every request of the site, or None where it
            depends on the request.
        base: folder from which relative roots count.
        resolve: resolve links in the root.
        name: of the site, for workers, metrics and logs.

    Attributes:
        fixed: the one site, or None where it depends on the request.

    Raises:
        ConfigError: a root that does not depend on the request cannot be served.
    """

    def __init__(
        self,
        config: SiteConfig,
        template: str,
        site_root: str | None,
        base: str,
        *,
        resolve: bool = True,
        name: str = "",
    ) -> None:
        self._config = config
        self._name = name
        self._base = base
        self._resolve = resolve
        self._known: dict[str, ServedSite] = {}
        self._text: Text | None = None
        self.fixed: ServedSite | None = None
        if template and has_placeholders(template):
            self._text = compile_text(template)
        else:
            root = config.root or template or site_root
            if root is not None:
                self.fixed = self._make(root)

    def find(self, request: HttpRequest) -> ServedSite:
        """Give the site of a request.

        Raises:
            HttpError: its root depends on the request, and there is no such folder.
        """
        if self.fixed is not None:
            return self.fixed
        root = request.root if self._text is None else inner_folder(self._text(request))
        known = self._known.get(root)
        if known is None:
            try:
                known = self._make(root)
            except ConfigError as error:
                raise HttpError(404, str(error)) from None
            if len(self._known) >= _REMEMBERED_ROOTS:
                self._known.clear()
            self._known[root] = known
        return known

    def _make(self, root: str) -> ServedSite:
        config = dataclasses.replace(self._config, root=os.path.join(self._base, root))  # noqa: PTH118 - may end in a slash
        limits = BodyLimits(config.max_body_size_bytes, config.request_body_timeout_s, spool_folder())
        site = Site(config, resolve_root=self._resolve)
        site.name = self._name
        return ServedSite(site, limits)


def inner_folder(path: str) -> str:
    """Give a path that placeholders were put into.

    Raises:
        HttpError: what the client sent would lead out of the folder that the configuration names.
    """
    if ".." in path.split("/") or "\0" in path:
        raise HttpError(404, f"the document root {path!r} leads elsewhere")
    return path
