"""``howdah doctor``: look at PHP, the machine and the configuration, and say what to do."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Sequence

from howdah.cli.doctor_finding import Finding
from howdah.cli.parser import Parser
from howdah.cli.php_server import DEFAULT_LISTEN
from howdah.config.http import Php, Routes, ServerModel, Step
from howdah.config.model import WorkerConfig
from howdah.errors import HowdahError
from howdah.serve.address import Address, parse_address

_DESCRIPTION = """\
Look at PHP, at this machine and, if one is given, at a configuration; say what is wrong and what to do about it.
Nothing is changed. The exit code is 0 unless there is a problem.
"""
_MARKS = {"ok": "ok      ", "warning": "WARNING ", "problem": "PROBLEM "}


def run(arguments: list[str]) -> int:
    """Print the findings; gives 1 when there is a problem, else 0."""
    parser = Parser(prog="howdah doctor", description=_DESCRIPTION)
    add = parser.add_argument
    add("-c", "--config", metavar="FILE", help="Caddyfile that the server is to run")
    add("-l", "--listen", action="append", metavar="ADDR", help="address to try beside those of the configuration")
    add("--json", action="store_true", help="print a JSON object")
    options = parser.parse(arguments)
    findings = list(_look(options.config, [parse_address(text) for text in options.listen or ()]))
    has_problem = any(finding.verdict == "problem" for finding in findings)
    if options.json:
        entries = [dataclasses.asdict(finding) for finding in findings]
        print(json.dumps({"ok": not has_problem, "findings": entries}, indent=4, ensure_ascii=False))
    else:
        print(render(findings), end="")
    return 1 if has_problem else 0


def _look(config_file: str | None, addresses: Sequence[Address]) -> Iterator[Finding]:
    from howdah.cli.doctor_php import check_php
    from howdah.cli.doctor_system import check_addresses, check_system

    model = ServerModel()
    asked = list(addresses)
    if config_file is not None:
        found, planned, findings = check_config(config_file)
        yield from findings
        model = found or model
        asked += planned
    elif not asked:
        asked = [parse_address(text) for text in (DEFAULT_LISTEN,)]
    yield from check_php(model.runtime, all_workers(model))
    yield from check_system()
    yield from check_addresses(asked)


def check_config(file: str) -> tuple[ServerModel | None, list[Address], list[Finding]]:
    """Read a configuration.

    Returns:
        Its model, None when it has a mistake; the addresses at which it listens; and the findings.
    """
    from howdah.cli.check import check_model
    from howdah.config.adapt import load_config
    from howdah.serve.listeners import plan

    label = "configuration"
    try:
        model = load_config(file, os.environ)
        addresses = [listener.address for listener in plan(model)]
        found = [Finding(label, "warning", text) for text in (*model.warnings, *check_model(model))]
    except HowdahError as error:
        return None, [], [Finding(label, "problem", str(error), "mend it; `howdah validate` says whether it is right")]
    sites = f"{len(model.sites)} site{'' if len(model.sites) == 1 else 's'}"
    return model, addresses, [Finding(label, "ok", f"{file} is valid and has {sites}"), *found]


def all_workers(model: ServerModel) -> tuple[WorkerConfig, ...]:
    """Give the workers of the whole configuration: the global ones, then those of sites."""
    workers = list(model.runtime.workers)
    for site in model.sites:
        routes = [site.steps, *(errors.steps for errors in site.errors)]
        workers += [worker for steps in routes for worker in _workers_of(steps)]
    return tuple(workers)


def _workers_of(steps: Iterable[Step]) -> Iterator[WorkerConfig]:
    for step in steps:
        if isinstance(step.action, Php):
            yield from step.action.site.workers
        elif isinstance(step.action, Routes):
            yield from _workers_of(step.action.steps)


def render(findings: Sequence[Finding]) -> str:
    """Lay the findings out: a line each, what to do below, and a summary."""
    lines = []
    for finding in findings:
        lines.append(f"{_MARKS[finding.verdict]}{finding.check}: {finding.text}")
        if finding.cure:
            lines.append(f"        -> {finding.cure}")
    problems = sum(finding.verdict == "problem" for finding in findings)
    warnings = sum(finding.verdict == "warning" for finding in findings)
    lines += ["", f"{_count(problems, 'problem')}, {_count(warnings, 'warning')}"]
    return "\n".join(lines) + "\n"


def _count(number: int, word: str) -> str:
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"
