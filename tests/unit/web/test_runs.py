"""What is remembered for a path must do what the steps do one by one."""

from __future__ import annotations

import gc
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.config.http import (
    Encode,
    ErrorResponse,
    ErrorRoutes,
    Header,
    HeaderMatch,
    HeaderOperation,
    HttpSite,
    Log,
    Matcher,
    MethodMatch,
    NotMatch,
    PathMatch,
    RegexpMatch,
    RequestHeader,
    Respond,
    Rewrite,
    Root,
    Routes,
    Step,
    Vars,
)
from howdah.observe.access import json_writer
from howdah.observe.logs import AccessSink
from howdah.testing.client import Client
from howdah.web.accesslog import AccessLog
from tests.unit.web.building import Built, site, step

PATHS = ["/", "/a", "/A", "/a/b", "/b.css", "/x%00y", "//a", "/%61", "/r/7", "/r/8", "/" + "a" * 300]
OPERATIONS = st.builds(
    HeaderOperation,
    st.sampled_from(["set", "add", "delete", "default"]),
    st.sampled_from(["X-A", "X-B", "Content-Type", "ETag", "Server"]),
    st.sampled_from(["1", "2", "{path}", "{re.1}", "{vars.v}"]),
)
PATTERNS = st.lists(st.sampled_from(["/", "/a", "/a*", "*.css", "*a*", "/r/*", "/{vars.v}"]), min_size=1, max_size=2)
BY_PATH = st.one_of(
    st.builds(PathMatch, PATTERNS.map(tuple)),
    st.builds(RegexpMatch, st.sampled_from(["^/r/(\\d)", "(a)", "(.)$"]), st.sampled_from(["", "n"])),
)
CONDITIONS = st.one_of(
    BY_PATH,
    BY_PATH,
    st.builds(NotMatch, BY_PATH.map(lambda condition: (Matcher((condition,)),))),
    st.just(HeaderMatch("X-H")),
    st.just(MethodMatch(("HEAD",))),
)
ACTIONS = st.one_of(
    st.builds(Header, st.lists(OPERATIONS, min_size=1, max_size=2).map(tuple), st.booleans()),
    st.builds(RequestHeader, OPERATIONS.map(lambda operation: (operation,))),
    st.builds(Vars, st.sampled_from([{"v": "a"}, {"v": "{path}"}, {"w": "{re.1}"}, {"root": "/{path}"}])),
    st.builds(Root, st.sampled_from(["/x", "/{host}"])),
    st.just(Encode(minimum_bytes=1)),
    st.builds(Rewrite, st.sampled_from(["/a", "/r/{re.1}", "/b.css?{query}"])),
    st.builds(Respond, st.sampled_from(["one", "{path} {re.1}"])),
)
MATCHERS = st.none() | st.lists(CONDITIONS, min_size=1, max_size=2).map(lambda found: Matcher(tuple(found)))


def steps(actions: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Step, ...]]:
    one = st.builds(Step, actions, MATCHERS, group=st.sampled_from(["", "", "", "g"]))
    return st.lists(one, max_size=8).map(tuple)


BLOCKS = st.builds(Routes, steps(ACTIONS), st.booleans(), st.sampled_from(["", "/a"]))
END = Respond("{path} {uri} {re.1} {re.n.1} {vars.v} {vars.w} {header.X-A} {header.Content-Type}")
REQUESTS = st.lists(st.tuples(st.sampled_from(PATHS), st.sampled_from(["GET", "HEAD"]), st.booleans()), max_size=8)


@given(steps(ACTIONS | ACTIONS | BLOCKS), REQUESTS)
def test_remembered_steps_do_what_they_do_one_by_one(made: tuple[Step, ...], requests: list[Any]) -> None:
    model = site(*made, END, errors=(ErrorRoutes((step(Respond("{err.status_code} {path}")),)),))
    remembering = Built(model)
    with mock.patch("howdah.web.steps.compile_run", lambda make, one_by_one: one_by_one):
        plain = Built(model)
    for target, method, has_header in requests:
        headers = {"accept-encoding": "gzip", "x-a": "sent"} | ({"x-h": "1"} if has_header else {})
        first, second = (built.ask(target + "?q=1", method=method, headers=headers) for built in (remembering, plain))
        assert (first.status, first.headers, first.body) == (second.status, second.headers, second.body)


def test_groups_of_a_pattern_are_those_of_each_request() -> None:
    built = Built(
        site(
            step(Header((HeaderOperation("set", "X-N", "{re.1}"),)), RegexpMatch("^/r/(\\d)")),
            Respond("{re.1}"),
        )
    )
    for target, number in (("/r/1", b"1"), ("/r/2", b"2"), ("/r/1", b"1"), ("/x", b"")):
        response = built.ask(target)
        assert (response.header("x-n") or b"", response.body) == (number, number)


def test_more_paths_than_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("howdah.web.runs._REMEMBERED_PATHS", 3)
    built = Built(site(step(Respond("even"), PathMatch(("*0", "*2", "*4"))), Respond("odd")))
    for number in (*range(5), *range(5)):
        assert built.ask(f"/{number}").text == ("odd" if number % 2 else "even")


# -- what stands around an answer -------------------------------------------------------------------

LONG = "long enough to be encoded " * 100
SECURE = Header((HeaderOperation("set", "X-A", "1"),))
UNVARIED = Header((HeaderOperation("delete", "Vary"), HeaderOperation("add", "X-B", "2")), deferred=True)


@pytest.mark.parametrize("order", [(SECURE, UNVARIED, Encode()), (SECURE, Encode(), UNVARIED)])
def test_fields_are_changed_after_the_body_was_encoded(order: tuple[Any, ...]) -> None:
    response = Built(site(*order, Respond(LONG))).ask("/", headers={"accept-encoding": "gzip"})
    assert response.header("content-encoding") == b"gzip"
    assert (response.header("vary"), response.header("x-a"), response.header("x-b")) == (None, b"1", b"2")


def test_fields_of_a_step_behind_encode_are_seen_by_it() -> None:
    untouched = Header((HeaderOperation("set", "Cache-Control", "no-transform"),))
    response = Built(site(Encode(), untouched, Respond(LONG))).ask("/", headers={"accept-encoding": "gzip"})
    assert response.header("content-encoding") is None
    response = Built(site(untouched, Encode(), Respond(LONG))).ask("/", headers={"accept-encoding": "gzip"})
    assert response.header("content-encoding") == b"gzip"


def test_encode_for_a_page_that_nobody_writes_changes_nothing() -> None:
    errors = (ErrorRoutes((step(Encode(minimum_bytes=1)),)),)
    built = Built(site(SECURE, step(ErrorResponse("", "404"), PathMatch(("/e",))), Respond("x"), errors=errors))
    response = built.ask("/e", headers={"accept-encoding": "gzip"})
    assert (response.status, response.header("x-a"), response.header("content-encoding")) == (404, b"1", None)


def test_what_a_client_takes_is_what_it_said_when_the_step_came_by() -> None:
    forget = RequestHeader((HeaderOperation("delete", "Accept-Encoding"),))
    for order, coding in (((Encode(), forget), b"gzip"), ((forget, Encode()), None)):
        response = Built(site(*order, Respond(LONG))).ask("/", headers={"accept-encoding": "gzip"})
        assert response.header("content-encoding") == coding


@pytest.mark.parametrize("text", ["short", LONG])
def test_nothing_is_left_for_the_garbage_collector(text: str) -> None:
    model: HttpSite = site(SECURE, UNVARIED, Encode(), step(Respond("x"), PathMatch(("/x",))), Respond(text))
    lines: list[bytes] = []
    app = AccessLog(Built(model).app, [AccessSink(lines.append, json_writer("x"), Log())])
    accept = [(b"accept-encoding", b"gzip")]

    async def send(message: Any) -> None: ...

    def serve() -> None:
        running: Any = app(Client(app)._scope("GET", b"/", accept), None, send)  # type: ignore[arg-type]
        with pytest.raises(StopIteration):
            running.send(None)

    serve()
    gc.collect()
    gc.disable()
    try:
        serve()
        assert gc.collect() == 0
    finally:
        gc.enable()
    assert len(lines) == 2
