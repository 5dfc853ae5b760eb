"""The certificates of a running server: loaded for its listeners, and looked after while it runs."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Callable, Mapping

from howdah.errors import HowdahError
from howdah.serve.address import Address
from howdah.serve.listeners import ListenerPlan, TlsPlan
from howdah.serve.localca import Authority
from howdah.serve.tls import Loaded, Material, choose, signature
from howdah.serve.trial import try_out

_log = logging.getLogger("howdah.serve")

LOOK_S = 1.0
_LOOK_AT_EXPIRY_S = 3600.0
# A pair is written file by file: what does not fit together is read again before anybody hears of it.
_SETTLED_AFTER_LOOKS = 3


class Certificates:
    """Loads certificates, and tries each out once before the HTTP server gets it.

    Args:
        authority: for sites without files.
    """

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._tried: set[Material] = set()

    def load(self, plan: TlsPlan) -> Loaded:
        """Give a listener's certificate; blocks, for a third of a second where files are new.

        Raises:
            ConfigError: no certificate does for all sites of the listener, or a file is wrong.
            AuthorityError: the local authority cannot be used.
        """
        loaded = choose(plan, self._authority, dt.datetime.now(dt.UTC))
        if loaded.files and loaded.material not in self._tried:
            try_out(loaded)
            self._tried.add(loaded.material)
        return loaded

    def load_all(self, plans: Mapping[Address, ListenerPlan]) -> dict[Address, Loaded]:
        """Give the certificates of all listeners that have TLS.

        Raises:
            ConfigError: as `load`.
            AuthorityError: as `load`.
        """
        return {address: self.load(plan.tls) for address, plan in plans.items() if plan.tls is not None}

    def renewal_due(self, plan: TlsPlan, loaded: Loaded) -> bool:
        """Tell whether the local authority would give another certificate by now."""
        return not loaded.files and self._authority.renewal_due(plan.names, dt.datetime.now(dt.UTC))


class CertificateWatch:
    """Loads the certificates of one listener again when their files change, or before the local one expires.

    Args:
        certificates: loads them.
        plan: what is wanted.
        loaded: what is served now.
        replace: called on the loop with what is to be served from now on.
    """

    def __init__(
        self, certificates: Certificates, plan: TlsPlan, loaded: Loaded, replace: Callable[[Loaded], None]
    ) -> None:
        self._certificates = certificates
        self._plan = plan
        self._loaded = loaded
        self._replace = replace
        self._marks = signature(loaded.files)
        self._failures = 0
        self._next_expiry_look = 0.0

    async def run(self) -> None:
        """Look again and again; runs until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Look once."""
        if not self._loaded.files:
            await self._look_at_expiry()
            return
        marks = signature(self._loaded.files)
        if marks != self._marks:
            self._marks, self._failures = marks, 1
        elif not 0 < self._failures <= _SETTLED_AFTER_LOOKS:
            return
        await self._load()

    async def _look_at_expiry(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._next_expiry_look:
            self._next_expiry_look = now + _LOOK_AT_EXPIRY_S
            if self._certificates.renewal_due(self._plan, self._loaded):
                await self._load()

    async def _load(self) -> None:
        try:
            loaded = await asyncio.to_thread(self._certificates.load, self._plan)
        except HowdahError as error:
            if self._failures == _SETTLED_AFTER_LOOKS or not self._loaded.files:
                _log.error("the new certificate is not used, the old one stays: %s", error)
            self._failures += 1
            return
        self._failures = 0
        if loaded.material != self._loaded.material:
            self._replace(loaded)
            names = ", ".join(self._plan.names) or "any name"
            _log.info("new certificate for %s%s", names, f" from {loaded.files[0]}" if loaded.files else "")
        self._loaded = loaded
