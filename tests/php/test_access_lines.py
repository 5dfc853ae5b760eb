"""The lines of access logs that the extension writes; it needs no PHP for that."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.engine.native import native
from howdah.observe.access import AccessEntry, fields_writer, json_writer

NAMES = st.sampled_from([b"host", b"Host", b"x-a", b"X-A", b"cookie", b"Set-Cookie", b"authorization", b""])
PAIRS = st.tuples(NAMES | st.binary(max_size=80), st.binary(max_size=80))
HEADERS: st.SearchStrategy[Any] = st.lists(PAIRS | PAIRS.map(list), max_size=60) | st.lists(PAIRS, max_size=3).map(
    tuple
)
COUNTS = st.integers(0, 2**63)
SECONDS = st.floats(0, 1e6) | st.sampled_from([0.0, 0.9999999999, 1e-9])
ENDPOINTS = st.none() | st.tuples(
    st.text(max_size=9) | st.sampled_from(["::ffff:10.0.0.1", "::ffff:"]), st.none() | st.integers(0, 65535)
)
# Lone surrogates stand for bytes that are no UTF-8.
TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)
SCOPES = st.fixed_dictionaries(
    {
        "method": TEXTS,
        "path": st.text(max_size=20) | st.binary(max_size=20).map(lambda raw: raw.decode(errors="surrogateescape")),
        "http_version": st.sampled_from(["1.0", "1.1", "2", "3"]),
        "headers": HEADERS,
    },
    optional={
        "raw_path": st.none() | st.binary(max_size=40),
        "query_string": st.binary(max_size=40),
        "client": ENDPOINTS,
        "howdah.peer": ENDPOINTS,
    },
)
PHP = st.none() | st.tuples(COUNTS, st.integers(0, 99), TEXTS, COUNTS, SECONDS, SECONDS)


@st.composite
def entries(draw: st.DrawFn) -> AccessEntry:
    entry = AccessEntry(draw(SCOPES))
    entry.headers = draw(HEADERS)
    entry.status = draw(st.integers(0, 599))
    entry.size_bytes, entry.read_bytes = draw(COUNTS), draw(COUNTS)
    entry.time_s, entry.duration_s = draw(st.floats(0, 4e9)), draw(SECONDS)
    entry.is_complete = draw(st.booleans())
    entry.user = draw(TEXTS)
    entry.php = draw(PHP)
    return entry


def seconds(fields: dict[str, Any]) -> list[float]:
    php = fields.get("php", {"queue": 0.0, "time": 0.0})
    return [fields.pop("ts"), fields.pop("duration"), php.pop("queue"), php.pop("time")]


@given(entries())
def test_lines_hold_the_fields_of_their_entries(entry: AccessEntry) -> None:
    line = json_writer("x.y")(entry)
    written, expected = json.loads(line), json.loads(fields_writer("x.y")(entry))
    assert seconds(written) == pytest.approx(seconds(expected), abs=1e-6, rel=1e-9)
    assert written == expected
    assert list(written) == list(expected)


@given(entries())
def test_a_line_is_one_line_of_readable_ascii(entry: AccessEntry) -> None:
    line = json_writer('"\n')(entry).decode("latin-1")
    assert line.endswith("}\n")
    assert line[:-1].isascii()
    assert line[:-1].isprintable()


def test_times_have_as_many_digits_as_ever() -> None:
    entry = AccessEntry({"method": "GET", "path": "/", "http_version": "1.1", "headers": []})
    entry.time_s, entry.duration_s, entry.php = 1_700_000_000.25, 0.000412345, (7, 2, "", 2048, 0.25, 1e-6)
    line = json_writer("x")(entry).decode()
    for text in ('"ts":1700000000.2500000,', '"duration":0.000412345,', '"queue":0.250000,"time":0.000001}'):
        assert text in line


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"method": None}, TypeError),
        ({"headers": [b"x"]}, TypeError),
        ({"headers": [(b"x", None)] * 60}, TypeError),
        ({"headers": 3}, TypeError),
        ({"client": "127.0.0.1"}, TypeError),
        ({"client": (1, 2)}, TypeError),
        ({"http_version": 2}, TypeError),
        ({"raw_path": "/"}, TypeError),
        ({"query_string": "x"}, TypeError),
        ({"raw_path": None, "path": b"/"}, TypeError),
    ],
)
def test_what_no_server_sends_is_refused(change: dict[str, Any], error: type[Exception]) -> None:
    scope = {"method": "GET", "raw_path": b"/", "http_version": "1.1", "headers": [], **change}
    with pytest.raises(error):
        json_writer("x")(AccessEntry(scope))


@pytest.mark.parametrize("missing", ["method", "http_version", "headers"])
def test_what_every_scope_has_is_needed(missing: str) -> None:
    scope = {"method": "GET", "raw_path": b"/", "http_version": "1.1", "headers": []}
    del scope[missing]
    with pytest.raises(KeyError, match=missing):
        json_writer("x")(AccessEntry(scope))


def test_arguments_are_checked() -> None:
    scope: dict[str, Any] = {"method": "GET", "raw_path": b"/", "http_version": "1.1", "headers": []}
    access_line: Any = native.access_line
    good: list[Any] = [b"", scope, [], 200, True, 0, 0, "", 0.0, 0.0, None]
    assert access_line(*good)
    for place, wrong in ((0, ""), (1, []), (3, "200"), (5, -1), (6, None), (7, b""), (8, ""), (9, None), (10, (1, 2))):
        with pytest.raises((TypeError, OverflowError)):
            access_line(*good[:place], wrong, *good[place + 1 :])
    with pytest.raises(TypeError, match="access_line"):
        access_line(*good, None)
