"""The entries of access logs that the extension makes; it needs no PHP for that."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import weakref
from collections import UserDict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.engine.native import native
from howdah.observe.access import json_head
from howdah.web.accesslog import ENTRY, _Exchange, receive_counted

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]}
END: dict[str, Any] = {"type": "http.response.body", "body": b"abc"}


def new_scope() -> dict[str, Any]:
    return {"type": "http", "method": "GET", "raw_path": b"/a", "http_version": "1.1", "headers": [(b"host", b"x")]}


class Opened:
    """An entry, and everything that it has given away."""

    def __init__(self, head: bytes | None = None) -> None:
        self.sent: list[Any] = []
        self.put: list[Any] = []
        self.scope = new_scope()
        tap = native.AccessTap(receive_counted, self.put.append, head)
        self.entry: Any = tap.open(self.scope, self.receive, self.send)

    def send(self, message: Any) -> Any:
        self.sent.append(message)
        return "what send gave"

    async def receive(self) -> dict[str, Any]:
        return {"type": "http.request", "body": b"12345", "more_body": False}


def facts(entry: Any) -> tuple[Any, ...]:
    return entry.status, entry.headers, entry.size_bytes, entry.is_complete, entry.user, entry.php, entry.read_bytes


HEADERS = st.lists(
    st.tuples(st.sampled_from([b"content-length", b"x"]), st.sampled_from([b"7", b"x7", b"", b"12345678"])), max_size=3
)
MESSAGES = st.one_of(
    st.builds(lambda status: {"type": "http.response.start", "status": status}, st.integers(100, 599)),
    st.builds(lambda headers: {**START, "headers": headers}, HEADERS),
    st.builds(
        lambda fields: {"type": "http.response.body", **fields},
        st.fixed_dictionaries(
            {}, optional={"body": st.binary(max_size=9) | st.just(memoryview(b"abc")), "more_body": st.booleans()}
        ),
    ),
    st.just({"type": "http.response.pathsend", "path": "/x"}),
    st.just({"type": "http.response.early_hint", "links": []}),
)


@given(st.lists(MESSAGES | MESSAGES.map(UserDict), max_size=6))
def test_an_entry_notes_what_the_one_in_python_notes(messages: list[Any]) -> None:
    opened = Opened()
    other: Any = _Exchange(new_scope(), opened.receive, opened.send, opened.put.append)
    for message in messages:
        assert opened.entry.send(message) == other.send(message) == "what send gave"
        assert facts(opened.entry) == facts(other)
    assert opened.sent[::2] == messages


def test_an_entry_stands_in_its_scope_until_its_end() -> None:
    opened = Opened()
    assert opened.scope[ENTRY] is opened.entry
    assert opened.entry.scope is opened.scope
    opened.entry.end()
    assert ENTRY not in opened.scope
    assert opened.put == [opened.entry]
    assert 0 <= opened.entry.duration_s < 10
    assert opened.entry.time_s > 1_600_000_000
    with pytest.raises(KeyError):
        opened.entry.end()


def test_with_a_head_the_line_is_written_at_the_end() -> None:
    opened = Opened(json_head("a.b"))
    opened.entry.user = "ann"
    opened.entry.php = (7, 2, "api", 2048, 0.25, 0.5)
    for message in (START, END):
        opened.entry.send(message)
    opened.entry.end()
    (line,) = opened.put
    fields = json.loads(line)
    assert (fields["logger"], fields["user_id"], fields["status"], fields["size"]) == ("a.b", "ann", 200, 3)
    assert fields["php"]["worker"] == "api"
    assert fields["request"]["uri"] == "/a"


def test_bodies_of_requests_are_counted() -> None:
    opened = Opened()
    message = asyncio.run(opened.entry.receive())
    assert (message["body"], opened.entry.read_bytes) == (b"12345", 5)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({}, TypeError),
        ({"type": 3}, TypeError),
        ({"type": "http.response.start"}, KeyError),
        ({"type": "http.response.start", "status": "200"}, TypeError),
        ({"type": "http.response.body", "body": 3}, TypeError),
        (3, AttributeError),
    ],
)
def test_what_is_no_message_is_not_passed_on(message: Any, error: type[Exception]) -> None:
    opened = Opened()
    with pytest.raises(error):
        opened.entry.send(message)
    assert opened.sent == []


def test_arguments_are_checked() -> None:
    tap: Any = native.AccessTap
    for arguments in ((), (None, None, "head"), (None, None)):
        with pytest.raises(TypeError):
            tap(*arguments)
    wrong: tuple[Any, ...]
    for wrong in ((), ([], None, None)):
        with pytest.raises(TypeError):
            tap(None, None, None).open(*wrong)
    with pytest.raises(TypeError):
        native.AccessEntry()


@pytest.mark.parametrize("name", ["user", "php"])
def test_an_entry_without_an_attribute_has_no_end(name: str) -> None:
    opened = Opened(b"")
    delattr(opened.entry, name)
    with pytest.raises(AttributeError):
        getattr(opened.entry, name)
    with pytest.raises(RuntimeError):
        opened.entry.end()


def test_an_error_of_send_or_put_is_the_caller_s() -> None:
    def fail(argument: Any) -> None:
        raise ValueError("boom")

    entry: Any = native.AccessTap(receive_counted, fail, None).open(new_scope(), None, fail)
    for call in (lambda: entry.send(START), entry.end):
        with pytest.raises(ValueError, match="boom"):
            call()


class Marked:
    pass


def test_what_was_never_ended_is_collected() -> None:
    opened = Opened()
    opened.scope["marked"] = marked = Marked()
    alive = weakref.ref(marked)
    del opened, marked
    gc.collect()
    assert alive() is None


def test_nothing_is_held_by_what_has_ended() -> None:
    lines: list[bytes] = []
    scope, headers, put = new_scope(), [(b"a", b"b")], lines.append
    tap = native.AccessTap(receive_counted, put, b"")

    def held() -> list[int]:
        return [sys.getrefcount(thing) for thing in (scope, headers, put, tap, ENTRY, None)]

    def serve() -> None:
        entry: Any = tap.open(scope, None, lambda message: None)
        entry.send({**START, "headers": headers})
        entry.php = (1, 2, "", 3, 0.1, 0.2)
        entry.end()

    serve()
    before = held()
    for _ in range(100):
        serve()
    assert [after - count for after, count in zip(held(), before, strict=True)] == pytest.approx([0] * 6, abs=5)
