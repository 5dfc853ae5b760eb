"""A real application on Slim and Twig, in classic mode and as a worker script: both must answer the same.

Every page is looked at for PHP's error texts, and the server's log must be clean but for the page that fails on purpose.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import pytest

from apps import slim
from apps.serving import Served, serving
from tests.php.harness.parallel import fetch_parallel, run_parallel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(120)]

_PHP_ERROR = re.compile(r"<b>(Warning|Notice|Deprecated|Fatal error)</b>")
_HANDLED = re.compile(r"has handled</dt>\s*<dd>(\d+)")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return slim.install(tmp_path_factory.mktemp("slim") / "app")


@pytest.fixture(scope="module", params=["classic", "worker", "recycled worker"])
def site(request: pytest.FixtureRequest, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("serving")
    flags = [] if request.param == "classic" else ["--worker", f"{slim.worker(root)},2"]
    if request.param == "recycled worker":
        flags += ["--max-requests", "5"]
    php_ini = {**slim.php_ini(root), "display_errors": "1", "session.save_path": str(folder)}
    with serving(root, folder / "server.log", php_ini=php_ini, flags=flags) as served:
        yield served
    log = served.log.read_text(encoding="utf-8", errors="replace")
    assert not re.search(r"PHP (Warning|Notice|Deprecated|Fatal error|Parse error)|Traceback|ERROR", log), log[-4000:]


@pytest.fixture
def is_worker(request: pytest.FixtureRequest) -> bool:
    return "worker" in request.node.callspec.params["site"]


@pytest.fixture
def visitor(site: Served) -> Iterator[httpx.Client]:
    def check(answer: httpx.Response) -> None:
        answer.read()
        assert not _PHP_ERROR.search(answer.text), answer.text

    with httpx.Client(base_url=site.url, trust_env=False, timeout=30, event_hooks={"response": [check]}) as client:
        yield client


def test_first_page_says_how_it_runs(visitor: httpx.Client, is_worker: bool) -> None:
    page = visitor.get("/").text
    assert "<h1>Slim and Twig on Howdah</h1>" in page
    assert f"<dd>{'worker' if is_worker else 'classic'}</dd>" in page
    assert "<p>None yet.</p>" in page


def test_application_lives_on_in_worker_mode_only(visitor: httpx.Client, is_worker: bool) -> None:
    counts = [int(found[1]) for _ in range(6) if (found := _HANDLED.search(visitor.get("/").text))]
    assert len(counts) == 6
    assert (max(counts) > 1) == is_worker


def test_template_escapes_what_the_path_says(visitor: httpx.Client) -> None:
    page = visitor.get("/hello/%3Cb%3Ew%C3%B6rld%20%26%20co").text
    assert "<h1>Hello &lt;b&gt;wörld &amp; co!</h1>" in page


def test_note_is_kept_for_its_visitor_alone(visitor: httpx.Client, site: Served) -> None:
    answer = visitor.post("/notes", data={"text": "mine & only mine"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "<li>mine &amp; only mine</li>" in visitor.get("/").text
    assert "only mine" not in httpx.get(f"{site.url}/", trust_env=False).text


@pytest.mark.parametrize("text", ["", "   ", "x" * 201])
def test_note_of_a_wrong_length_is_refused(visitor: httpx.Client, text: str) -> None:
    assert visitor.post("/notes", data={"text": text}).status_code == 422


def test_json_comes_and_goes(visitor: httpx.Client) -> None:
    assert visitor.get("/api/squares/3").json() == {"count": 3, "squares": [0, 1, 4, 9]}
    sent = {"list": [1, 2, {"deep": "ü"}], "nothing": None}
    for method in ("PUT", "PATCH"):
        assert visitor.request(method, "/api/echo", json=sent).json() == {"method": method, "body": sent}


def test_head_has_the_length_and_no_body(visitor: httpx.Client) -> None:
    answer = visitor.head("/api/squares/3")
    assert answer.headers["content-length"] == str(len(visitor.get("/api/squares/3").content))
    assert answer.content == b""


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nope", 404), ("DELETE", "/api/squares/3", 405), ("GET", "/fail", 500), ("GET", "/api/squares/x", 404)],
)
def test_errors_have_their_status_and_hide_details(visitor: httpx.Client, method: str, path: str, status: int) -> None:
    answer = visitor.request(method, path)
    assert answer.status_code == status
    assert "on purpose" not in answer.text
    assert visitor.get("/hello/again").status_code == 200


def test_templates_and_code_cannot_be_fetched(visitor: httpx.Client) -> None:
    assert visitor.get("/../app.php").status_code == 404
    assert visitor.get("/templates/layout.html.twig").status_code == 404


def test_hundred_parallel_visitors_get_their_own_pages(site: Served) -> None:
    answers = fetch_parallel(site.url, lambda i: {"url": f"/hello/visitor-{i}"})
    assert [f"<h1>Hello visitor-{i}!</h1>" in answer.text for i, answer in enumerate(answers)] == [True] * 100


def test_parallel_sessions_never_mix(site: Served) -> None:
    def visit(number: int) -> list[str]:
        with httpx.Client(base_url=site.url, trust_env=False, timeout=30) as client:
            for note in range(3):
                client.post("/notes", data={"text": f"note {note} of {number}"})
            return re.findall(r"<li>(.*?)</li>", client.get("/").text)

    for number, notes in enumerate(run_parallel(visit, 20)):
        assert notes == [f"note {note} of {number}" for note in range(3)]
