from __future__ import annotations

import pytest

from howdah.config.http import (
    Abort,
    Encode,
    Header,
    HeaderOperation,
    MetricsPage,
    PathMatch,
    Redir,
    Respond,
)
from howdah.errors import ConfigError
from tests.unit.web.building import Built, ask, site, step


def test_respond_says_text_and_status() -> None:
    response = ask(Respond("hello {path}", "418"), target="/x")
    assert (response.status, response.text) == (418, "hello /x")
    assert response.header("content-type") == b"text/plain; charset=utf-8"
    assert response.header("content-length") == b"8"


def test_respond_tells_json_apart() -> None:
    assert ask(Respond('{"a": [1]}')).header("content-type") == b"application/json"
    assert ask(Respond("{a")).header("content-type") == b"text/plain; charset=utf-8"


def test_respond_to_head_has_no_body() -> None:
    response = ask(Respond("hello"), method="HEAD")
    assert (response.body, response.header("content-length")) == (b"", b"5")


@pytest.mark.parametrize("status", ["204", "304"])
def test_status_without_a_body_has_none(status: str) -> None:
    response = ask(Respond("hello", status))
    assert (response.body, response.header("content-length")) == (b"", None)


def test_respond_may_close_the_connection() -> None:
    assert ask(Respond("", close=True)).header("connection") == b"close"


def test_content_type_may_be_set() -> None:
    header = Header((HeaderOperation("set", "Content-Type", "text/css"),))
    response = ask(header, Respond("p{}"))
    assert [value for name, value in response.headers if name == b"content-type"] == [b"text/css"]


@pytest.mark.parametrize("status", ["abc", "99", "600", "1000", "2 0"])
def test_wrong_status_is_an_error(status: str) -> None:
    with pytest.raises(ConfigError, match="is no status"):
        ask(Respond("", status))


def test_status_may_depend_on_the_request() -> None:
    built = Built(site(Respond("", "{query.s}")))
    assert built.ask("/?s=404").status == 404
    assert built.ask("/?s=nonsense").status == 500


@pytest.mark.parametrize(
    ("action", "status", "location"),
    [
        (Redir("/new"), 302, b"/new"),
        (Redir("https://{host}{uri}", "permanent"), 301, b"https://testserver/a%20b?x=%201"),
        (Redir("/new", "temporary"), 302, b"/new"),
        (Redir("/new", "308"), 308, b"/new"),
        (Redir("/x y\r\nX: 1", "303"), 303, b"/x%20y%0D%0AX:%201"),
        (Redir("/ü"), 302, b"/%C3%BC"),
    ],
)
def test_redir(action: Redir, status: int, location: bytes) -> None:
    response = ask(action, target="/a%20b?x=%201")
    assert (response.status, response.header("location")) == (status, location)


def test_html_redirect_cannot_be_broken_out_of() -> None:
    response = ask(Redir("{query.to}", html=True), target="/?to=%22%3E%3C%2Fscript%3E%3Cb%3E")
    assert response.status == 200
    assert response.header("content-type") == b"text/html; charset=utf-8"
    assert "<b>" not in response.text
    assert response.text.count("</script>") == 1


def test_abort_leaves_the_answer_incomplete() -> None:
    response = ask(Abort())
    assert response.complete is False
    assert response.body == b""


def test_metrics_page() -> None:
    built = Built(
        site(step(MetricsPage(), PathMatch(("/metrics",)))), metrics=lambda accept: (b"a 1\n", accept or "text/plain")
    )
    response = built.ask("/metrics")
    assert response.body == b"a 1\n"
    assert response.header("content-type") == b"text/plain"
    wanted = "application/openmetrics-text; version=1.0.0"
    assert built.ask("/metrics", headers={"accept": wanted}).header("content-type") == wanted.encode()


def test_metrics_page_without_metrics_is_an_error() -> None:
    with pytest.raises(ConfigError, match="there are no metrics"):
        ask(MetricsPage())


class TestEncode:
    text = "compressible " * 100

    def ask(self, action: Encode, accepted: str = "gzip, br, zstd", text: str = "") -> bytes | None:
        answer: bytes | None = ask(action, Respond(text or self.text), headers={"accept-encoding": accepted}).header(
            "content-encoding"
        )
        return answer

    def test_order_of_the_configuration_decides_among_equals(self) -> None:
        assert self.ask(Encode(("gzip", "br"))) == b"gzip"
        assert self.ask(Encode(("br", "gzip"))) == b"br"
        assert self.ask(Encode(("br", "gzip")), "br;q=0.5, gzip") == b"gzip"
        assert self.ask(Encode(("br",)), "gzip") is None

    def test_minimum_length(self) -> None:
        assert self.ask(Encode(minimum_bytes=50), text="x" * 49) is None
        assert self.ask(Encode(minimum_bytes=50), text="x" * 50) == b"zstd"

    def test_types(self) -> None:
        assert self.ask(Encode(types=("text/*",))) == b"zstd"
        assert self.ask(Encode(types=("application/json",))) is None
        assert self.ask(Encode(types=("text/plain",))) == b"zstd"

    def test_level_is_used(self) -> None:
        def size(level: int) -> int:
            action = Encode(("gzip",), levels={"gzip": level})
            text = "".join(str(number * number) for number in range(2000))
            return len(ask(action, Respond(text), headers={"accept-encoding": "gzip"}).body)

        assert size(9) < size(1)
