from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from howdah.config.http import Respond, Rewrite, Root, Vars
from howdah.errors import ConfigError
from howdah.web.placeholders import compile_text, has_placeholders, split_at
from tests.unit.web.building import Built, site


def fill(text: str, target: str = "/a/b.tar.gz?x=1&y=%20z", **options: Any) -> str:
    headers = {"host": "www.Example.com:8080", "cookie": "a=1; b=two", "x-one": "1"}
    return str(Built(site(Respond(text))).ask(target, headers=headers, **options).text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{path}", "/a/b.tar.gz"),
        ("{http.request.uri.path}", "/a/b.tar.gz"),
        ("{path.0}-{path.1}-{path.2}", "a-b.tar.gz-"),
        ("{dir} {file} {file.base} {file.ext}", "/a/ b.tar.gz b.tar .gz"),
        ("{query} {?query}", "x=1&y=%20z ?x=1&y=%20z"),
        ("{query.y} {query.none}", " z "),
        ("{uri} {http.request.orig_uri}", "/a/b.tar.gz?x=1&y=%20z /a/b.tar.gz?x=1&y=%20z"),
        ("{host} {hostport} {port}", "www.example.com www.Example.com:8080 8080"),
        ("{labels.0} {labels.2} {labels.9}", "com www "),
        ("{http.request.host.labels.1}", "example"),
        ("{method} {scheme} {http.request.proto}", "GET http HTTP/1.1"),
        ("{remote} {remote_host} {remote_port}", "127.0.0.1:50000 127.0.0.1 50000"),
        ("{client_ip} {http.vars.client_ip}", "127.0.0.1 127.0.0.1"),
        ("{header.X-One} {http.request.header.x-one} {header.none}", "1 1 "),
        ("{cookie.b} {cookie.c}", "two "),
        ("{env.HOWDAH_TEST_NAME} {env.HOWDAH_TEST_NONE}", "value "),
        ("{http.request.local.port}", "80"),
        ("{system.slash}{system.wd}", "/" + str(Path.cwd())),
        ("{re.none.1}{file.relative}{err.status_code}{vars.none}", ""),
        # What is no placeholder stays, JSON among it.
        ('{"path": 1}', '{"path": 1}'),
        ("{ path }", "{ path }"),
        ("{}", "{}"),
        (r"\{path\} {path}", "{path} /a/b.tar.gz"),
        ("{unknown.name}", "{unknown.name}"),
        ("{{path}}", "{/a/b.tar.gz}"),
    ],
)
def test_values(text: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOWDAH_TEST_NAME", "value")
    assert fill(text) == expected


def test_times() -> None:
    year, unix, milliseconds, http = fill("{time.now.year}|{time.now.unix}|{time.now.unix_ms}|{time.now.http}").split(
        "|"
    )
    assert re.fullmatch(r"20\d\d", year)
    assert abs(int(milliseconds) // 1000 - int(unix)) <= 1
    assert http.endswith("GMT")


def test_uuid_stays_the_same_within_a_request() -> None:
    first, second = fill("{http.request.uuid} {http.request.uuid}").split()
    assert first == second
    assert fill("{http.request.uuid}") != first


def test_bytes_that_are_no_text_come_out_as_they_went_in() -> None:
    response = Built(site(Respond("{path}"))).ask("/a%FFb%C3%BC")
    assert response.body == b"/a\xffb\xc3\xbc"


def test_variables_and_root() -> None:
    built = Built(site(Root("/srv"), Vars({"a": "{method}-1"}), Respond("{vars.a} {http.vars.a} {http.vars.root}")))
    assert built.ask("/").text == "GET-1 GET-1 /srv"


def test_original_address_stays_after_a_rewrite() -> None:
    text = "{path} {query} {http.request.orig_uri.path} {http.request.orig_uri.query}"
    assert Built(site(Rewrite("/new?z=9"), Respond(text))).ask("/old?a=1").text == "/new z=9 /old a=1"


def test_content_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    assert fill(f"{{file.{tmp_path}/secret}}") == "s3cret"
    with pytest.raises(ConfigError, match="cannot be read"):
        fill(f"{{file.{tmp_path}/missing}}")


def test_ipv6_peer_has_brackets() -> None:
    assert fill("{remote}", remote=("::1", 7)) == "[::1]:7"
    assert fill("{remote_host}{remote_port}", remote=None) == ""


def test_texts_without_placeholders_are_told_apart() -> None:
    assert has_placeholders("a{path}")
    assert not has_placeholders(r"a\{path} {nothing.such} {")


def test_marks_within_placeholders_do_not_split() -> None:
    assert split_at("/a?b?c", "?") == ("/a", "b?c")
    assert split_at("/a{?query}", "?") == ("/a{?query}", None)


def test_every_fixed_name_has_a_value() -> None:
    from howdah.web import placeholders

    text = "".join("{" + name + "}" for name in [*placeholders._FIXED, *placeholders._SHORT])
    assert "{" not in fill(text)
    compile_text(text)
