"""The Symfony application of docs/howto/symfony.md, in classic mode and as a worker script: both must answer the same."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING

import httpx
import pytest

from apps import symfony
from apps.pages import checked
from apps.serving import Served, configured, serving
from tests.php.harness.parallel import fetch_parallel, run_parallel
from tests.php.harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return symfony.install(tmp_path_factory.mktemp("symfony") / "app")


@pytest.fixture(scope="module", params=["classic", "worker", "recycled worker"])
def site(request: pytest.FixtureRequest, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("serving")
    flags = [] if request.param == "classic" else ["--worker", f"{symfony.worker(root)},2"]
    if request.param == "recycled worker":
        flags += ["--max-requests", "5"]
    php_ini = {**symfony.php_ini(root), "display_errors": "1", "session.save_path": str(folder)}
    with serving(root, folder / "server.log", php_ini=php_ini, flags=flags) as served:
        yield served
    log = served.log.read_text(encoding="utf-8", errors="replace")
    assert not re.search(r"PHP (Warning|Notice|Deprecated|Fatal error|Parse error)|Traceback|ERROR", log), log[-4000:]


@pytest.fixture
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.params["site"])


@pytest.fixture
def visitor(site: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.url, trust_env=False, timeout=30) as client:
        yield client


def test_page_is_rendered_and_escaped(visitor: httpx.Client) -> None:
    page = checked(visitor.get("/", params={"name": "<Ada>"})).text
    assert "<h1>Hello, &lt;Ada&gt;!</h1>" in page
    assert '<a href="/article/7">' in page


def test_session_belongs_to_its_visitor(site: Served) -> None:
    with (
        httpx.Client(base_url=site.url, trust_env=False) as ada,
        httpx.Client(base_url=site.url, trust_env=False) as bob,
    ):
        for number in range(1, 8):
            times = "1 time." if number == 1 else f"{number} times."
            assert f"been here {times}" in checked(ada.get("/")).text
        assert "been here 1 time." in checked(bob.get("/")).text


def test_routes_and_generated_addresses(visitor: httpx.Client, site: Served) -> None:
    answer = checked(visitor.get("/article/42?a=1&b[]=x")).json()
    assert answer == {
        "number": 42,
        "path": "/article/42",
        "url": f"{site.url}/article/42",
        "query": {"a": "1", "b": ["x"]},
    }
    with_script = checked(visitor.get("/index.php/article/42")).json()
    assert with_script["path"] == "/index.php/article/42"


def test_form_and_file_arrive(visitor: httpx.Client) -> None:
    content = os.urandom(300_000)
    answer = checked(visitor.post("/form", data={"a": "ä", "b": "2"}, files={"file": ("x.bin", content)})).json()
    assert answer == {
        "fields": {"a": "ä", "b": "2"},
        "file": {"name": "x.bin", "sha256": hashlib.sha256(content).hexdigest()},
    }


def test_stream_arrives_whole(visitor: httpx.Client) -> None:
    assert checked(visitor.get("/stream")).text == "part 1\npart 2\npart 3\n"


@pytest.mark.parametrize(("path", "status"), [("/none", 404), ("/article/x", 404), ("/form", 405), ("/broken", 500)])
def test_errors_are_symfonys_pages_without_secrets(visitor: httpx.Client, path: str, status: int) -> None:
    page = checked(visitor.get(path), status).text
    assert "An Error Occurred" in page
    assert "broken on purpose" not in page
    assert checked(visitor.get("/article/1")).json()["number"] == 1  # and the next request is fine


def test_kernel_lives_on_as_a_worker_and_services_are_reset(visitor: httpx.Client, mode: str) -> None:
    states = [checked(visitor.get("/state")).json() for _ in range(12)]
    assert {state["request"] for state in states} == {1}
    counts = [state["kernel"] for state in states]
    if mode == "classic":
        assert set(counts) == {1}
    elif mode == "worker":
        assert max(counts) >= 6  # two threads share twelve requests
    else:
        assert max(counts) <= 5


def test_parallel_requests_do_not_mix(site: Served) -> None:
    answers = fetch_parallel(site.url, lambda number: {"url": f"/article/{number}?n={number}"}, 200)
    assert [answer.json()["number"] for answer in answers] == list(range(200))
    assert [answer.json()["query"] for answer in answers] == [{"n": str(number)} for number in range(200)]


def test_parallel_sessions_do_not_mix(site: Served) -> None:
    def visit(number: int) -> bool:
        with httpx.Client(base_url=site.url, trust_env=False, timeout=30) as visitor:
            pages = [checked(visitor.get("/", params={"name": f"v{number}"})).text for _ in range(3)]
        return all(f"Hello, v{number}!" in page for page in pages) and "been here 3 times." in pages[2]

    assert all(run_parallel(visit, 16))


def test_caddyfile_of_the_example_serves_it_and_follows_changes(tmp_path: Path) -> None:
    root = symfony.install(tmp_path / "app")
    (tmp_path / "tests.ini").write_text(f"session.save_path={tmp_path}\n")
    environ = {
        "PHP_LIBRARIES": str(root.parent / symfony.LIBRARIES),
        "PHP_INI_SCAN_DIR": f":{tmp_path}",
        "WORKERS": "2",
    }
    with (
        configured(root.parent / "Caddyfile", tmp_path / "server.log", environ=environ) as served,
        httpx.Client(base_url=served.url, trust_env=False, timeout=30) as visitor,
    ):
        assert "<h1>Hello, visitor!</h1>" in checked(visitor.get("/")).text
        assert max(checked(visitor.get("/state")).json()["kernel"] for _ in range(8)) > 1
        controller = root.parent / "src" / "Controller.php"
        negated = controller.read_text().replace(
            "'number' => $number,\n            'path'", "'number' => -$number,\n            'path'"
        )
        controller.write_text(negated)
        wait_until(lambda: visitor.get("/article/7").json()["number"] == -7, "the changed controller")
