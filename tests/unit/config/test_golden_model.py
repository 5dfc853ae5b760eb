"""Golden files of the model: tests/config/golden/model/NAME.caddytest holds input, a line that begins with dashes, JSON.

That line says which part of the model the JSON is: ``model`` (all of it), one of its fields, ``steps`` or ``errors`` of
the first site, or ``conditions`` of all steps in the first step's block.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from howdah.config import matchers, schema
from howdah.config.adapt import parse_config
from howdah.config.directives.worker import read_worker
from howdah.config.dump import ACTIONS, CONDITIONS, from_json, parse_json, to_json

GOLDEN = Path(__file__).resolve().parents[2] / "config" / "golden" / "model"
FILES = sorted(GOLDEN.glob("*.caddytest"))
SEPARATOR = "---------- "
ENVIRON = {
    "APP_PUBLIC_PATH": "/srv/app/public",
    "CADDY_SERVER_ADMIN_HOST": "localhost",
    "CADDY_SERVER_ADMIN_PORT": "2019",
    "CADDY_SERVER_LOGGER": "json",
    "CADDY_SERVER_LOG_LEVEL": "WARN",
    "CADDY_SERVER_SERVER_NAME": "http://localhost:8000",
    "CADDY_SERVER_WATCH_DIRECTIVES": "watch /srv/app/app/**/*.php\n\t\t\twatch /srv/app/routes",
    "FIXED": "/srv/fixed",
    "CADDY_SERVER_WORKER_DIRECTIVE": "num 4",
}


def read(path: Path) -> tuple[str, str, Any]:
    source, _, rest = path.read_text().partition(SEPARATOR)
    part, _, expected = rest.partition("\n")
    return source, part, json.loads(expected)


def part_of(document: dict[str, Any], part: str) -> Any:
    if part == "model":
        return {name: one for name, one in document.items() if one}
    if part in {"steps", "errors"}:
        return document["sites"][0].get(part, [])
    if part == "conditions":
        return [step["matcher"]["conditions"] for step in document["sites"][0]["steps"][0]["action"]["steps"]]
    return document.get(part)


def without_positions(document: Any) -> Any:
    if isinstance(document, dict):
        return {name: without_positions(one) for name, one in document.items() if name != "position"}
    return [without_positions(one) for one in document] if isinstance(document, list) else document


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_model_is_what_the_golden_file_expects(path: Path) -> None:
    source, part, expected = read(path)
    model = parse_config(source, "Caddyfile", ENVIRON)
    assert part_of(to_json(model, positions=False), part) == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_json_gives_the_same_model_back(path: Path) -> None:
    model = parse_config(read(path)[0], "Caddyfile", ENVIRON)
    text = json.dumps(to_json(model))
    assert parse_json(text, "x.json") == model
    assert from_json(json.loads(text)) == model
    assert without_positions(to_json(model)) == to_json(model, positions=False)


class Noting(dict[str, Any]):
    """A table that notes what is taken out of it."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        super().__init__(table)
        self.taken: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        if name in self:
            self.taken.add(name)
        return super().get(name, default)


@pytest.mark.parametrize(
    ("module", "table"),
    [(schema, "HANDLERS"), (schema, "SITE_DIRECTIVES"), (schema, "OPTIONS"), (matchers, "MATCHERS")],
    ids=["directives", "directives of sites", "global options", "matchers"],
)
def test_every_name_is_read_in_a_golden_file(module: ModuleType, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    noting = Noting(getattr(module, table))
    monkeypatch.setattr(module, table, noting)
    for path in FILES:
        parse_config(read(path)[0], "Caddyfile", ENVIRON)
    assert set(noting) - noting.taken == set()


def syntax_words(parse: Callable[..., Any]) -> set[str]:
    """Give the words of a parse function's syntax that are to be written as they are."""
    text = inspect.cleandoc(parse.__doc__ or "") + "\n"
    found = re.search(r"^Syntax::\n\n((?:    .*\n|\n)*)|^Syntax: ``([^`]*)``", text, re.MULTILINE)
    if found is None:  # it is written as another one
        return set()
    return set(re.findall(r"(?<![\w-])[a-z][a-z0-9_.]*[a-z0-9]", re.sub(r"<[^>]*>", " ", found[1] or found[2])))


def test_every_word_of_the_syntax_stands_in_a_golden_file() -> None:
    tables = (schema.HANDLERS, schema.SITE_DIRECTIVES, schema.OPTIONS, matchers.MATCHERS)
    parsers = {parse for table in tables for parse in table.values()} | {read_worker}
    words = set().union(*(syntax_words(parse) for parse in parsers))
    written = {word.strip('"') for path in FILES for word in read(path)[0].split()}
    assert len(words) > 150
    assert words - written == set()


def test_every_part_of_the_model_stands_in_a_golden_file() -> None:
    found = set()

    def note(document: Any) -> None:
        for one in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
            note(one)
        if isinstance(document, dict) and "type" in document:
            found.add(document["type"])

    for path in FILES:
        note(to_json(parse_config(read(path)[0], "Caddyfile", ENVIRON)))
    assert found == set(ACTIONS) | set(CONDITIONS)
