#!/usr/bin/env python3
"""Write docs/reference/directives.md and options.md from the parse functions' docstrings and the model's fields.

With --check nothing is written, and the exit code is 1 if a page is not what would be written.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "src"))

from howdah.config import matchers, placeholders, schema  # noqa: E402 - found only now
from howdah.config.directives import frankenphp  # noqa: E402
from howdah.config.directives.worker import read_worker  # noqa: E402
from howdah.config.model import RuntimeConfig, SiteConfig, WorkerConfig  # noqa: E402
from howdah.config.order import ALIASES, DIRECTIVE_ORDER  # noqa: E402

REFERENCE = PROJECT / "docs" / "reference"
_MADE = "<!-- Written by tools/generate_reference.py from the docstrings of the parse functions; edit those. -->\n"
_ARGUMENT = re.compile(r"^ {4}(\w+): (.*(?:\n {6,}.*)*)", re.MULTILINE)


def directives_page() -> str:
    """Make the page about what stands in a site."""
    parts = [
        "# Directives",
        _MADE,
        _DIRECTIVES,
        _order(),
        *_sections(schema.HANDLERS, _alias_names()),
        "## Directives about the whole site",
        "They stand in the site directly and take no matcher.",
        *_sections(schema.SITE_DIRECTIVES, {}, level=3),
        "## `worker`",
        *_body(read_worker),
        _worker_table(),
        "## Options of `php_server` and `php`",
        _table(SiteConfig, _SITE_KEYS),
        *_matchers(),
        *_placeholders(),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def options_page() -> str:
    """Make the page about the global options."""
    authority = sorted(name for name, parse in schema.OPTIONS.items() if parse is schema.OPTIONS["email"])
    others = {name: parse for name, parse in schema.OPTIONS.items() if name not in authority}
    parts = [
        "# Global options",
        _MADE,
        "They stand in a block without address before all sites:",
        "```caddyfile\n{\n\thttp_port 8080\n\tfrankenphp {\n\t\tmax_requests 500\n\t}\n}\n```",
        *_sections(others, {}, tables={"frankenphp": _table(RuntimeConfig, _runtime_keys())}),
        "## " + ", ".join(f"`{name}`" for name in authority),
        *_body(schema.OPTIONS["email"]),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


_DIRECTIVES = """\
What may stand in a site of a Caddyfile.
[The syntax](../caddyfile-syntax.md) of words and blocks has its own page, and so have [the global options](options.md).

A directive acts on the requests that its matcher matches; without one on all.
The order of the lines does not count: directives act in the order below, the more specific path first.
Only `route` keeps its lines in their order.
The option `order` changes it for all sites."""

_MATCHERS = """\
Before the arguments of a directive may stand `*` (all requests), a path that begins with `/` (with `*` at an end or \
inside), or `@name`, which is defined anywhere in the same block or one around it:

```caddyfile
@images path *.png *.jpg
@api {
	path /api/*
	method POST PUT
	not remote_ip 10.0.0.0/8
}
header @images Cache-Control max-age=3600
respond @api 403
```

All matchers of a definition must hold.
Several lines of one kind are alternatives, but for `not`."""

# Option of php_server -> field of SiteConfig.
_SITE_KEYS = {
    "root": "root",
    "split": "split",
    "index": "index",
    "try_files": "try_files",
    "env": "env",
    "symlinks": "symlinks",
    "request_buffering": "request_buffering",
    "request_body_timeout": "request_body_timeout_s",
    "request_timeout": "request_timeout_s",
    "max_body_size": "max_body_size_bytes",
}
# What counts in place of the model's defaults.
_INHERITED = {"root": "the site's `root`", "max_body_size": "that of `frankenphp`, or `1GiB`"}


def _runtime_keys() -> dict[str, str]:
    keys = {name: field for name, (field, _) in frankenphp._KEYS.items()}  # noqa: SLF001 - it is the table
    return dict(sorted({**keys, "max_threads": "max_threads", "php_ini": "php_ini", "worker": "workers"}.items()))


def _worker_table() -> str:
    names = [one.name for one in fields(WorkerConfig) if one.compare]  # the position is no option
    return _table(WorkerConfig, {name.removesuffix("_s"): name for name in names})


def _alias_names() -> dict[str, str]:
    return {name: other for name, other in ALIASES.items() if schema.HANDLERS[name] is schema.HANDLERS[other]}


def _order() -> str:
    names = [
        " and ".join([name, *(old for old, new in ALIASES.items() if new == name)])
        for name in DIRECTIVE_ORDER
        if name in schema.HANDLERS
    ]
    return "Order: " + ", ".join(f"`{name}`" for name in names).replace(" and ", "` and `") + "."


def _sections(
    table: Mapping[str, Callable[..., Any]],
    aliases: Mapping[str, str],
    *,
    level: int = 2,
    tables: Mapping[str, str] | None = None,
) -> Iterator[str]:
    for name, parse in sorted(table.items()):
        if name in aliases:
            continue
        others = "".join(f", `{old}`" for old, new in aliases.items() if new == name)
        yield f"{'#' * level} `{name}`{others}"
        yield from _body(parse)
        if tables and name in tables:
            yield tables[name]


def _body(parse: Callable[..., Any]) -> Iterator[str]:
    """Give the docstring of a parse function as Markdown, without what is for its caller."""
    text = inspect.getdoc(parse) or ""
    text = re.split(r"\n\n(?:Args|Raises|Returns):\n", text)[0]
    code: list[str] = []
    for block in text.split("\n\n"):
        if block.startswith("    "):
            code.append(inspect.cleandoc(block.replace("\n    ", "\n").removeprefix("    ")))
            continue
        if code:
            yield _fenced(code)
            code = []
        yield _markdown(block.removesuffix("::").rstrip() + (":" if block.endswith("::") else ""))
    if code:
        yield _fenced(code)


def _fenced(code: list[str]) -> str:
    return "```text\n" + "\n\n".join(code) + "\n```"


def _markdown(text: str) -> str:
    text = " ".join(line.strip() for line in text.split("\n"))
    # One sentence per line, as in the other pages.
    text = re.sub(r"(?<=[.!?]) (?=[A-Z`])", "\n", text)
    return text.replace("``", "`")


def _table(kind: type, keys: Mapping[str, str]) -> str:
    """Make the table of options that are fields of a dataclass."""
    described = dict(_ARGUMENT.findall(inspect.getdoc(kind) or ""))
    defaults = {one.name: one for one in fields(kind)}
    rows = ["| Option | Default | Meaning |", "|---|---|---|"]
    for key, field in keys.items():
        meaning = _markdown(described[field]).replace("\n", " ").replace("|", "\\|")
        meaning = meaning.replace("None tries none", "`off` tries none")
        implied = re.search(r"; None means (.*?)\.?$", meaning)
        default = implied[1] if implied else _default(key, defaults[field])
        if kind is SiteConfig and key in _INHERITED:
            default = _INHERITED[key]
        rows.append(f"| `{key}` | {default} | {meaning[: implied.start()] + '.' if implied else meaning} |")
    return "\n".join(rows)


def _default(key: str, field: Any) -> str:
    value = field.default if field.default_factory is MISSING else field.default_factory()
    if value is MISSING:
        return "needed"
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    if value is None or (isinstance(value, Mapping | tuple | str) and not value):
        return ""
    if field.name.endswith("_s"):
        return f"`{value:g}s`" if value else "`0`"
    if field.name.endswith("_bytes"):
        return _size(value)
    return f"`{' '.join(value) if isinstance(value, tuple) else value}`"


def _size(value: int) -> str:
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value and value % factor == 0:
            return f"`{value // factor}{unit}`"
    return f"`{value}`"


def _matchers() -> Iterator[str]:
    yield "## Matchers"
    yield _MATCHERS
    yield from _sections(matchers.MATCHERS, {}, level=3)


def _placeholders() -> Iterator[str]:
    yield "## Placeholders"
    yield (
        "They are filled in for each request. An unknown one is an error; in texts for people (`respond`, `error`, "
        "values of headers) a warning, and stays as it is. `\\{` is the brace itself. What is needed at the start "
        "(files of certificates and logs, scripts of workers and their variables, `php_ini`) takes only `{env.NAME}`."
    )
    short = sorted([*placeholders.SHORT, *(f"{family}<name>" for family in placeholders.SHORT_FAMILIES)])
    full = sorted([*placeholders.FULL, *(f"{family}<name>" for family in placeholders.FAMILIES)])
    yield "Short: " + ", ".join(f"`{{{name}}}`" for name in short) + "."
    yield "Full: " + ", ".join(f"`{{{name}}}`" for name in full) + "."
    yield "`{file./path}` is the content of a file, `{env.NAME}` a variable of the server's environment."


def main() -> int:
    """Write or check the pages; gives the exit code."""
    pages = {"directives.md": directives_page(), "options.md": options_page()}
    if "--check" in sys.argv[1:]:
        stale = [name for name, text in pages.items() if not _is_written(REFERENCE / name, text)]
        for name in stale:
            print(f"docs/reference/{name} is not up to date: run tools/generate_reference.py")
        return int(bool(stale))
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages.items():
        (REFERENCE / name).write_text(text, encoding="utf-8")
    return 0


def _is_written(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
