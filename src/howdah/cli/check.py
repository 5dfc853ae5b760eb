"""What ``howdah validate`` looks at beyond the text: addresses, certificates, folders, scripts. Starts nothing.

Needs neither PHP nor the extension. Python applications are not imported, because that would run their code, and
ports are not opened.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from howdah.cli.quiet import quiet
from howdah.config.http import Abort, HttpSite, PythonApp, Routes, ServerModel, Step
from howdah.config.workers import site_workers
from howdah.errors import ConfigError
from howdah.runtime.script import check_worker_file
from howdah.serve.adminport import refuse_clash
from howdah.serve.listeners import ListenerPlan, plan, warnings
from howdah.serve.tls import Pair, choose
from howdah.web.chain import BuildContext, build_site

if TYPE_CHECKING:
    from howdah.runtime.runtime import Runtime
    from howdah.serve.localca import Authority


def check_model(model: ServerModel) -> list[str]:
    """Check what a server would find out at its start; gives warnings.

    Raises:
        ConfigError: two sites want the same address with and without TLS, or with two certificates; a certificate is
            missing or does not fit its key, a root cannot be served, a worker has no script, or there is no site.
    """
    found = list(warnings(model))
    plans = plan(model)
    refuse_clash(model.admin, plans)
    for one in plans:
        found += _check_certificates(one)
    _check_scripts(model)
    # Building a site asks PHP nothing but its settings.
    php = cast("Runtime", SimpleNamespace(config=model.runtime))
    context = BuildContext(php, model.servers, debug=model.runtime.debug, metrics=lambda accept: (b"", accept))
    for site in model.sites:
        build_site(_without_python(site), context)
    if not plans:
        raise ConfigError("the configuration has no site; begin one with its address, such as localhost")
    return found


def _check_certificates(listener: ListenerPlan) -> Iterator[str]:
    if listener.tls is None:
        return
    now = dt.datetime.now(dt.UTC)
    for files, site in zip(listener.tls.pairs, listener.tls.named_by, strict=True):
        names = [address.host for address in site.addresses if address.host]
        yield from Pair(*files, site).warnings(names, now)
    # The same choice as at the start, but that nothing is signed or written. Its own warnings are those above.
    nobody = cast("Authority", SimpleNamespace(certificate=lambda names, now: (b"", b"")))
    with quiet("howdah.serve"):
        choose(listener.tls, nobody, now)


def _check_scripts(model: ServerModel) -> None:
    for worker in [*model.runtime.workers, *(worker for site in model.sites for worker in site_workers(site))]:
        check_worker_file(worker)


def _without_python(site: HttpSite) -> HttpSite:
    errors = tuple(replace(routes, steps=_replaced(routes.steps)) for routes in site.errors)
    return replace(site, steps=_replaced(site.steps), errors=errors)


def _replaced(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    changed = []
    for step in steps:
        action = step.action
        if isinstance(action, PythonApp):
            changed.append(replace(step, action=Abort()))
        elif isinstance(action, Routes):
            changed.append(replace(step, action=replace(action, steps=_replaced(action.steps))))
        else:
            changed.append(step)
    return tuple(changed)
