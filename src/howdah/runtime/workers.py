"""Which worker takes a request: names, files and paths of all workers of a runtime.

The rules are FrankenPHP's: a ``match`` of the site, then a worker of the site with the script's file, then a
global worker with that file, else a regular thread. Holds no thread and starts none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from howdah.config.model import SiteConfig, WorkerConfig
from howdah.runtime.pools import WorkerPool
from howdah.runtime.script import check_worker_file
from howdah.runtime.site import Site

if TYPE_CHECKING:
    from howdah.config.model import RuntimeConfig

_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Member:
    """A worker and where it belongs.

    Attributes:
        worker: the configuration.
        name: unique in the runtime.
        site: the site that alone may use it, None = every site.
        site_name: what the site is called.
    """

    worker: WorkerConfig
    name: str
    site: SiteConfig | None = None
    site_name: str = ""

    @property
    def env(self) -> dict[str, str]:
        """Variables of the script's boot: the site's, then its own."""
        inherited: Mapping[str, str] = self.site.env if self.site is not None else {}
        return {**inherited, **self.worker.env}

    @property
    def identity(self) -> tuple[object, ...]:
        """What two members share if one may go on as the other when the configuration is loaded again."""
        worker = self.worker
        return (
            self.name,
            os.path.abspath(worker.file),  # noqa: PTH100 - links are not followed
            tuple(sorted(self.env.items())),
            worker.reset_to_baseline,
            worker.request_timeout_s,
        )


def gather(config: RuntimeConfig, sites: Sequence[tuple[str, SiteConfig]]) -> list[Member]:
    """Give every worker its name, global ones first.

    A worker without a name is called like its file. Names that collide between sites are qualified by the site, then
    by a number.

    Raises:
        ConfigError: a script is missing, a global worker has ``match``, or two workers cannot be told apart.
    """
    members: list[Member] = []
    taken: set[str] = set()
    for worker in config.workers:
        if worker.match:
            raise worker.position.error(
                f"the global worker {worker.file} has `match`, which only workers of a site may have: move it into "
                "the site",
                "match",
            )
        check_worker_file(worker)
        name = _plain_name(worker)
        if name in taken:
            raise worker.position.error(
                f"two workers are called {name!r}: workers must not have duplicate filenames or names; give one of "
                "them another name",
                "name",
            )
        taken.add(name)
        members.append(Member(worker, name))
    _check_files([member.worker for member in members], "the global workers")
    for site_name, site in sites:
        members += _of_site(site_name, site, taken)
    return members


def _of_site(site_name: str, site: SiteConfig, taken: set[str]) -> list[Member]:
    own: set[str] = set()
    members = []
    for worker in site.workers:
        check_worker_file(worker)
        name = _plain_name(worker)
        if worker.name is not None and name in own:
            raise worker.position.error(
                f"two workers of one site are called {name!r}; give one of them another name", "name"
            )
        own.add(name)
        members.append(Member(worker, _free_name(name, site_name, taken), site, site_name))
    _check_files([worker for worker in site.workers if not worker.match], "the workers of one site")
    return members


def _plain_name(worker: WorkerConfig) -> str:
    return worker.name if worker.name is not None else os.path.abspath(worker.file)  # noqa: PTH100


def _free_name(name: str, site_name: str, taken: set[str]) -> str:
    wanted = name
    if wanted in taken and site_name:
        wanted = f"{site_name}:{name}"
    base, number = wanted, 0
    while wanted in taken:
        number += 1
        wanted = f"{base}_{number}"
    taken.add(wanted)
    return wanted


def _check_files(workers: Sequence[WorkerConfig], whose: str) -> None:
    seen: set[str] = set()
    for worker in workers:
        file = os.path.realpath(worker.file)
        if file in seen:
            raise worker.position.error(
                f"{whose} must not have duplicate filenames: {worker.file} is there twice; give each its own `match`, "
                "or raise num of one",
                "worker",
            )
        seen.add(file)


class WorkerTable:
    """Finds the worker of a request. Replaced as a whole when the configuration is loaded again.

    Args:
        pools: each member with its pool.
        earlier: configurations of workers as requests know them that came before the last reload.
    """

    def __init__(
        self,
        pools: Sequence[tuple[Member, WorkerPool]] = (),
        earlier: Sequence[tuple[WorkerConfig, WorkerPool]] = (),
    ) -> None:
        self.is_empty = not pools and not earlier
        self._pools = (*((member.worker, pool) for member, pool in pools), *earlier)
        self._global = [pool for member, pool in pools if member.site is None]

    def for_script(self, site: Site, script: bytes) -> WorkerPool | None:
        """Give the worker whose file the script is; links are followed, once per name."""
        table, known = site.workers
        if table is not self:
            known = {}
            site.workers = (self, known)
        try:
            return known[script]
        except KeyError:
            pool = self._find(site, os.path.realpath(script))
            if len(known) >= _REMEMBERED:
                known.clear()
            known[script] = pool
            return pool

    def for_worker(self, worker: WorkerConfig) -> WorkerPool | None:
        """Give the pool of a worker; configurations of two sites may be equal, so the object itself counts."""
        return next((pool for known, pool in self._pools if known is worker), None)

    def _find(self, site: Site, script: bytes) -> WorkerPool | None:
        own = [self.for_worker(worker) for worker in site.config.workers if not worker.match]
        return next((pool for pool in (*own, *self._global) if pool is not None and pool.runs(script)), None)
