"""Whatever is written in a configuration, the answer is a model or one sentence with a position; never a traceback."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from howdah.config import matchers, schema, units
from howdah.config.adapt import parse_config
from howdah.config.directives import frankenphp, log, php, servers, worker
from howdah.config.dump import from_json, parse_json, to_json
from howdah.config.http import ServerModel
from howdah.errors import ConfigError

GOLDEN = Path(__file__).resolve().parents[1] / "config" / "golden"
SOURCES = [
    path.read_text().partition("---------- ")[0]
    for path in sorted([*GOLDEN.glob("*/*.caddytest"), *GOLDEN.glob("*/*.caddyfile"), *GOLDEN.glob("*.caddytest")])
]
ENVIRON = {"FIXED": "/srv", "EMPTY": "", "TWO": "a b", "BLOCK": "log {\n\toutput stdout\n}", "BRACE": "{"}

DIRECTIVES = sorted({*schema.HANDLERS, *schema.SITE_DIRECTIVES, "mercure", "import", "reverse_proxy"})
OPTIONS = sorted({*schema.OPTIONS, "storage"})
KEYS = sorted(
    {
        *matchers.MATCHERS,
        *frankenphp._ALL,
        *php._PHP_KEYS,
        *php._SERVER_KEYS,
        *worker._KEYS,
        *log._SITE_OPTIONS,
        *log._GLOBAL_OPTIONS,
        *log._FILE_OPTIONS,
        *log._KINDS,
        *servers._OPTIONS,
        *("wrap", "fields", "read_header", "idle", "close", "body", "message", "policy", "root", "try_policy", "defer"),
        *("protocols", "client_auth", "trusted_ca_cert_file", "mode", "mount", "minimum_length", "ipv4", "token"),
    }
)
WORDS = st.sampled_from(
    [
        *(
            "*",
            "/a",
            "/a/*",
            "@m",
            "@n",
            "@",
            "a",
            "0",
            "1",
            "-1",
            "404",
            "4xx",
            "99999999999999999999",
            "1e9",
            "10MB",
            "5s",
        ),
        *(
            "1h30m",
            "off",
            "on",
            "auto",
            "internal",
            "{path}",
            "{re.x.1}",
            "{hots}",
            "\\{",
            '"{"',
            "`}`",
            '""',
            "{$TWO}",
        ),
        *(
            "{$EMPTY}",
            "{$NO}",
            "{$BLOCK}",
            "+A",
            "-A",
            "?A",
            ">A",
            "A",
            "permanent",
            "html",
            "gzip",
            "zstd",
            ".php",
            "x.php",
        ),
        *(
            "json",
            "filter",
            "file",
            "stderr",
            "DEBUG",
            "first",
            "before",
            "after",
            "root",
            "respond",
            "a=b",
            "10.0.0.0/8",
        ),
        *(
            "private_ranges",
            "(",
            "[a",
            "(?P<n>x)",
            "\\d{1,1000}",
            "m:app",
            "bcrypt",
            "unix/",
            "unix//s",
            ":80",
            "[::1]:2",
            "é",
        ),
        *(
            "$2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG",
            "JDJh",
            "http://a.test",
            "\x00",
            "\u202e",
            "<<E",
        ),
        *(
            "static",
            "h1",
            "h2c",
            "h3",
            "tls1.3",
            "watch",
            "forwarded",
            "replace",
            "strip_prefix",
            "path_regexp",
            "https",
        ),
    ]
)


def block(names: st.SearchStrategy[str], inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Lines that begin with a name and may have a block."""

    def line(parts: tuple[str, list[str], str | None]) -> str:
        name, words, body = parts
        return " ".join([name, *words]) + ("" if body is None else f" {{\n{body}}}") + "\n"

    one = st.tuples(names, st.lists(WORDS, max_size=4), st.none() | inner).map(line)
    return st.lists(one, max_size=5).map("".join)


LEAVES = block(st.sampled_from(KEYS) | WORDS, st.just(""))
INNER = block(st.sampled_from(KEYS), LEAVES)
SITE_LINES = st.recursive(
    block(st.sampled_from([*DIRECTIVES, "@m", "@n"]), INNER | LEAVES),
    lambda inner: block(st.sampled_from(["route", "handle", "handle_path", "handle_errors", "@m"]), inner),
    max_leaves=3,
)
DOCUMENTS = st.tuples(
    st.just("") | block(st.sampled_from(OPTIONS), INNER).map("{{\n{}}}\n".format),
    st.lists(st.tuples(WORDS, SITE_LINES).map(lambda parts: f"{parts[0]} {{\n{parts[1]}}}\n"), max_size=3).map("".join),
).map("".join)


def check(text: str) -> None:
    model, error = attempt(lambda: parse_config(text, "Caddyfile", ENVIRON))
    if model is not None:
        assert parse_json(json.dumps(to_json(model)), "x") == model
        return
    assert error is not None
    assert error.message
    assert error.file == "Caddyfile"
    rows = text.split("\n")
    assert error.line is not None
    assert error.column is not None
    assert 1 <= error.line <= len(rows)
    assert 1 <= error.column <= len(rows[error.line - 1]) + 1


def attempt(make: Callable[[], ServerModel]) -> tuple[ServerModel | None, ConfigError | None]:
    try:
        return make(), None
    except ConfigError as error:
        return None, error


@settings(deadline=None)
@given(DOCUMENTS)
def test_documents_made_of_known_words(text: str) -> None:
    check(text)


@settings(deadline=None)
@given(st.sampled_from(SOURCES), st.randoms(use_true_random=False), st.integers(1, 4))
def test_golden_files_with_words_and_lines_mixed_up(source: str, chance: random.Random, changes: int) -> None:
    for _ in range(changes):
        source = change(source, chance)
    check(source)


def change(source: str, chance: random.Random) -> str:
    rows = source.split("\n")
    row = chance.randrange(len(rows))
    words = rows[row].split(" ")
    word = chance.randrange(len(words))
    kind = chance.randrange(6)
    if kind == 0:
        del rows[row]
    elif kind == 1:
        rows.insert(chance.randrange(len(rows) + 1), rows[row])
    elif kind == 2:
        del words[word]
    elif kind == 3:
        words.insert(word, chance.choice(KEYS + DIRECTIVES))
    elif kind == 4:
        other = chance.choice(SOURCES).split()
        words[word] = chance.choice(other) if other else "x"
    else:
        at = chance.randrange(len(words[word]) + 1)
        words[word] = words[word][:at] + chance.choice('{}"`\\@*/:$\x00é') + words[word][at:]
    if kind > 1:
        rows[row] = " ".join(words)
    return "\n".join(rows)


@settings(deadline=None)
@given(st.text())
@example("\ufeff{")
@example("import import")
@example("{$A:{$B}}")
def test_any_text(text: str) -> None:
    check(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*KEYS, "type", "sites", "steps"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(JSON)
def test_any_json(document: object) -> None:
    check_json(document)


def check_json(document: object) -> None:
    model, error = attempt(lambda: from_json(document))
    assert (error is not None and error.message) or (model is not None and from_json(to_json(model)) == model)


DUMPS = [
    to_json(parse_config(path.read_text().partition("---------- ")[0], "Caddyfile", ENVIRON))
    for path in sorted(GOLDEN.glob("model/*.caddytest"))
    if path.stem != "octane"
]


@settings(deadline=None)
@given(st.sampled_from(DUMPS), st.randoms(use_true_random=False), JSON)
def test_json_of_which_a_part_is_replaced(document: dict[str, Any], chance: random.Random, part: object) -> None:
    document = json.loads(json.dumps(document))
    place: Any = document
    while True:
        keys: list[Any] = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return
        key = chance.choice(keys)
        if isinstance(place[key], dict | list) and chance.random() < 0.8:
            place = place[key]
            continue
        place[key] = part
        break
    check_json(document)


@given(st.text())
@example("[" * 100_000)
@example('{"sites": ' * 5000)
@example("1e400")
@example('{"runtime": {"num_threads": 1' + "0" * 5000 + "}}")
def test_any_text_as_json(text: str) -> None:
    model, error = attempt(lambda: parse_json(text, "x.json"))
    assert isinstance(model, ServerModel) or str(error).startswith("x.json")


@given(st.text() | st.from_regex(r"[0-9.]{1,30}(ns|us|ms|s|m|h|d|kb|MiB|G|)", fullmatch=True))
@example("9" * 5000 + "s")
@example("1" * 400 + ".5MB")
def test_durations_and_sizes(text: str) -> None:
    seconds, size_bytes = units.parse_duration(text), units.parse_size(text)
    assert seconds is None or 0 <= seconds < 1e10
    assert size_bytes is None or 0 <= size_bytes < 2**63
