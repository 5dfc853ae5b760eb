"""The order of directives is Caddy's: tests/config/golden/order holds Caddyfiles and what `caddy adapt` made of them.

`tools/caddy_order.py` writes those answers; where caddy is installed they are asked for again.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from caddy_order import ORDERED, Tree, caddy_order, plain
from howdah.config import http
from howdah.config.adapt import parse_config
from howdah.config.order import ALIASES, DIRECTIVE_ORDER, UNORDERED
from howdah.config.schema import _MISSING, HANDLERS
from howdah.errors import ConfigError

CADDY = shutil.which("caddy")
FILES = sorted(ORDERED.glob("*.caddyfile"))
NAMES: dict[type, str] = {
    http.Abort: "abort",
    http.BasicAuth: "basic_auth",
    http.Encode: "encode",
    http.ErrorResponse: "error",
    http.FileServer: "file_server",
    http.Header: "header",
    http.MetricsPage: "metrics",
    http.Redir: "redir",
    http.RequestBody: "request_body",
    http.RequestHeader: "request_header",
    http.Respond: "respond",
    http.Root: "root",
    http.TryFiles: "try_files",
    http.Vars: "vars",
}


def our_order(steps: tuple[http.Step, ...]) -> Tree:
    tree = []
    for step in steps:
        conditions = step.matcher.conditions if step.matcher is not None else ()
        paths = sorted(p for one in conditions if isinstance(one, http.PathMatch) for p in one.patterns)
        if isinstance(step.action, http.Routes):
            tree.append(["routes", paths, "", our_order(step.action.steps)])
        else:
            tree.append([*name_of(step.action)[:1], paths, name_of(step.action)[1], []])
    return tree


def name_of(action: Any) -> tuple[str, str]:
    if isinstance(action, http.Rewrite):
        if action.strip_prefix:
            return "uri prefix", action.strip_prefix
        return ("rewrite", action.to) if action.to else ("method", action.method) if action.method else ("uri", "")
    if isinstance(action, http.Header | http.RequestHeader):
        return NAMES[type(action)], " ".join(sorted(one.name.lower() for one in action.operations))
    if isinstance(action, http.Vars):
        return "vars", " ".join(sorted(action.values))
    detail = {http.Redir: "to", http.Respond: "body", http.Root: "path", http.ErrorResponse: "message"}.get(
        type(action)
    )
    return NAMES[type(action)], getattr(action, detail) if detail else ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_directives_act_in_the_order_that_caddy_gave(path: Path) -> None:
    (site,) = parse_config(path.read_text(), "Caddyfile", {}).sites
    assert our_order(site.steps) == json.loads(path.with_suffix(".json").read_text())


@pytest.mark.skipif(CADDY is None, reason="compares with caddy, which is not installed (Debian: apt-get install caddy)")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_caddy_still_gives_that_order(path: Path) -> None:
    assert caddy_order(path.read_text()) == json.loads(path.with_suffix(".json").read_text())


GOLDEN = ORDERED.parent
PLAIN = [
    path
    for path in sorted([*GOLDEN.glob("*.caddytest"), *GOLDEN.glob("model/*.caddytest")])
    if "php" not in path.read_text()
]


@pytest.mark.skipif(CADDY is None, reason="compares with caddy, which is not installed (Debian: apt-get install caddy)")
def test_so_it_is_for_every_other_golden_file_that_both_understand() -> None:
    compared = []
    for path in PLAIN:
        source = path.read_text().partition("---------- ")[0]
        try:
            sites = parse_config(source, "Caddyfile", {}).sites
        except ConfigError:
            continue
        is_plain = len(sites) == 1 and not any(address.host or address.path for address in sites[0].addresses)
        theirs = caddy_order(source) if is_plain else None
        if theirs is not None:
            compared.append(path.stem)
            assert plain(our_order(sites[0].steps)) == theirs, path.stem
    assert len(compared) >= 8, compared


def test_every_directive_that_does_something_has_its_place() -> None:
    missing = {name for name in DIRECTIVE_ORDER if name not in HANDLERS}
    assert {ALIASES.get(name, name) for name in HANDLERS} == set(DIRECTIVE_ORDER) - missing
    assert missing | UNORDERED == set(_MISSING)
    assert len(set(DIRECTIVE_ORDER)) == len(DIRECTIVE_ORDER)


def test_a_path_comes_before_the_same_path_with_a_star() -> None:
    # Newer versions of Caddy than the judge: the exact path is the more specific one.
    (site,) = parse_config(":80 {\nrespond /a* star\nrespond /a exact\nrespond /ab* longer\n}\n", "Caddyfile", {}).sites
    assert [step.action.body for step in site.steps if isinstance(step.action, http.Respond)] == [
        "longer",
        "exact",
        "star",
    ]
