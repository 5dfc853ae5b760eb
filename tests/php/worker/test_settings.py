"""Worker scripts in flags, in Python and in sites: what is accepted, what is refused, and under which names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.php.harness.commands import howdah
from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.ports import free_port
from tests.php.harness.programs import run_program
from tests.php.harness.server import SCRIPTS, Server, ServerFactory
from tests.php.harness.workers import WORKERS

_COUNTER = f"{WORKERS}/counter.php"
_LOOP = "<?php while (frankenphp_handle_request(function () { echo 'served ', $_GET['i'] ?? ''; }));"


# -- flags ------------------------------------------------------------------------------------------


def test_the_flag_can_be_repeated_and_names_a_number_of_threads(own_server: ServerFactory) -> None:
    flags = ["--worker", f"{_COUNTER},2", "-w", f"{WORKERS}/nested.php,1", "--num-threads", "5"]
    server = own_server(SCRIPTS, *flags)
    workers = {Path(worker["file"]).name: worker for worker in server.statistics()["workers"]}
    assert {name: worker["threads"] for name, worker in workers.items()} == {"counter.php": 2, "nested.php": 1}
    assert server.json("/worker/counter.php")["count"] == 0
    assert server.get("/worker/nested.php?i=1").text.startswith("outer 1;")
    assert server.get("/hello.php?i=1").text == "request 1"


def test_without_a_number_a_worker_gets_twice_the_cores_and_classic_mode_a_thread(own_server: ServerFactory) -> None:
    server = own_server(SCRIPTS, "--worker", _COUNTER)
    threads = server.worker()["threads"]
    assert threads >= 2
    assert server.statistics()["num_threads"] >= threads + 1
    assert server.get("/hello.php?i=1").text == "request 1"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--worker", "/no/such/app.php"], ["/no/such/app.php"]),
        (["--worker", f"{_COUNTER},many"], ["many"]),
        (["--worker", f"{_COUNTER},-1"], ["-1"]),
        (["--worker", ""], ["worker"]),
        (["--worker", str(SCRIPTS)], [str(SCRIPTS)]),
        (["--worker", f"{_COUNTER},2", "--worker", f"{_COUNTER},1"], [_COUNTER]),
        (["--worker", f"{_COUNTER},2", "--num-threads", "2"], ["num", "threads"]),
    ],
    ids=["missing file", "no number", "negative number", "empty", "folder", "twice", "no thread for the rest"],
)
def test_a_mistake_in_the_flag_is_one_sentence_and_exit_code_2(flags: list[str], words: list[str]) -> None:
    result = howdah("php-server", "-r", str(SCRIPTS), "-l", f"127.0.0.1:{free_port()}", *flags)
    assert result.returncode == 2, result.stderr
    for word in words:
        assert word in result.stderr
    assert "Traceback" not in result.stderr


# -- Python -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("Runtime(num_threads=4, workers=(worker(), worker()))", "app.php"),
        ("Runtime(num_threads=4, workers=(worker(name='one'), worker('other.php', name='one')))", "one"),
        ("Runtime(num_threads=2, workers=(worker(match=('/x',)),))", "match"),
        ("Runtime(num_threads=2, workers=(worker('missing.php'),))", "missing.php"),
        ("Runtime(num_threads=2, workers=(worker(num=2),))", "num_threads"),
        ("Runtime(num_threads=4, workers=(worker(num=3, max_threads=2),))", "max_threads"),
        ("Runtime(num_threads=4, max_threads=5, workers=(worker(num=1, max_threads=6),))", "max_threads"),
        ("Worker('')", "file"),
        ("worker(num=-1)", "num"),
        ("worker(max_consecutive_failures=-2)", "max_consecutive_failures"),
        ("worker(max_requests=-1)", "max_requests"),
        ("site_of(worker(), worker())", "app.php"),
        ("site_of(worker(name='x'), worker('other.php', name='x'))", "x"),
    ],
)  # fmt: skip
def test_a_mistake_in_python_is_a_configuration_error_that_names_it(tmp_path: Path, what: str, words: str) -> None:
    for name in ("app.php", "other.php"):
        (tmp_path / name).write_text(_LOOP)
    seen = run_program(
        tmp_path,
        f"""
from howdah import PHPServer
def site_of(*workers):
    runtime = Runtime(num_threads=8)
    PHPServer(str(folder), runtime=runtime, workers=workers)
    return runtime
try:
    made = {what}
    if hasattr(made, "start"):
        made.start()
    print(json.dumps(["accepted", ""]))
except ConfigError as error:
    print(json.dumps(["refused", str(error)]))
sys.stdout.flush()
os._exit(0)
""",
    )
    assert seen[0] == "refused", seen
    assert words in seen[1]


def test_match_workers_of_a_site_may_share_a_file(own_sites: ServerFactory) -> None:
    workers = [{"file": _COUNTER, "num": 1, "match": [f"/{name}/*"], "name": name} for name in ("a", "b")]
    server = own_sites({"any": {"root": str(SCRIPTS), "workers": workers}}, runtime={"num_threads": 3})
    boots = {server.json(f"/{name}/x")["boot"] for name in "ababab"}
    assert len(boots) == 2
    assert {worker["name"] for worker in server.statistics()["workers"]} == {"a", "b"}


def test_a_request_handled_in_python_runs_in_the_worker_of_its_script(tmp_path: Path) -> None:
    (tmp_path / "app.php").write_text(_LOOP)
    (tmp_path / "classic.php").write_text("<?php echo 'classic ', $_GET['i'];")
    seen = run_program(
        tmp_path,
        """
import asyncio, howdah
from howdah.config.model import WorkerConfig
assert howdah.Worker is WorkerConfig
runtime = Runtime(num_threads=4, workers=(worker(num=2),))
runtime.start()
with ThreadPoolExecutor(20) as pool:
    blocking = list(pool.map(lambda i: get(runtime, f"/app.php?i={i}"), range(100)))
classic = get(runtime, "/classic.php?i=1")
async def ask():
    requests = [Request(target=b"/app.php?i=%d" % i, site=site) for i in range(100)]
    return [answer.body.decode() for answer in await asyncio.gather(*map(runtime.handle_async, requests))]
waiting = asyncio.run(ask())
statistics = runtime.statistics()
print(json.dumps([blocking, waiting, classic, statistics.workers[0].requests, statistics.open]))
assert runtime.stop()
""",
    )
    blocking, waiting, classic, requests, still_open = seen
    assert blocking == [[200, f"served {i}"] for i in range(100)]
    assert waiting == [f"served {i}" for i in range(100)]
    assert classic == [200, "classic 1"]
    assert (requests, still_open) == (200, 0)


def test_a_runtime_with_workers_can_be_started_again_after_its_stop(tmp_path: Path) -> None:
    (tmp_path / "app.php").write_text(_LOOP)
    seen = run_program(
        tmp_path,
        """
bodies = []
runtime = Runtime(num_threads=3, workers=(worker(num=2),))
for number in range(3):
    runtime.start()
    bodies.append(get(runtime, f"/app.php?i={number}"))
    bodies.append(runtime.ready)
    assert runtime.stop()
    bodies.append(runtime.ready)
print(json.dumps(bodies))
""",
    )
    assert seen == [item for number in range(3) for item in ([200, f"served {number}"], True, False)]


# -- several sites ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_sites(module_sites: ServerFactory, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Two sites with roots, variables, suffixes and workers of their own; the workers' scripts are the same file."""
    second = tmp_path_factory.mktemp("second")
    for name in ("hello.php", "server.php", "environment.php"):
        (second / name).write_text((SCRIPTS / name).read_text())
    (second / "split.custom").write_text("<?php echo 'custom suffix ', $_SERVER['PATH_INFO'] ?? '';")
    worker = {"file": _COUNTER, "num": 1, "match": ["/count"]}
    sites = {
        "first.example": {"root": str(SCRIPTS), "env": {"OF_SITE": "first"}, "workers": [worker]},
        "second.example": {
            "root": str(second),
            "env": {"OF_SITE": "second", "OF_OTHER": "of second"},
            "split": [".php", ".custom"],
            "workers": [worker],
        },
    }
    return module_sites(sites, runtime={"num_threads": 5})


def _at(host: str, url: str) -> dict[str, Any]:
    return {"url": url, "headers": {"host": f"{host}.example"}}


def test_each_site_has_its_own_root_and_variables(two_sites: Server) -> None:
    answers = fetch_parallel(two_sites.url, lambda i: _at(["first", "second"][i % 2], f"/server.php?i={i}"))
    for i, answer in enumerate(answers):
        seen = answer.json()
        assert seen["OF_SITE"] == ["first", "second"][i % 2]
        assert ("OF_OTHER" in seen) == bool(i % 2)
        assert (seen["DOCUMENT_ROOT"] == str(SCRIPTS)) == (not i % 2)
        assert seen["QUERY_STRING"] == f"i={i}"


def test_each_site_has_its_own_suffixes(two_sites: Server) -> None:
    assert two_sites.get(**_flat("second", "/split.custom/info")).text == "custom suffix /info"
    assert two_sites.get(**_flat("first", "/split.custom/info")).status_code == 404


def _flat(host: str, path: str) -> dict[str, Any]:
    described = _at(host, path)
    return {"path": described["url"], "headers": described["headers"]}


def test_each_site_has_its_own_workers_though_they_share_a_file(two_sites: Server) -> None:
    answers = fetch_parallel(two_sites.url, lambda i: _at(["first", "second"][i % 2], f"/count?i={i}"))
    boots = [{answer.json()["boot"] for answer in answers[which::2]} for which in (0, 1)]
    assert [len(seen) for seen in boots] == [1, 1]
    assert boots[0] != boots[1]


def test_workers_of_several_sites_have_unique_names_and_tell_their_site(two_sites: Server) -> None:
    workers = two_sites.statistics()["workers"]
    assert len({worker["name"] for worker in workers}) == 2
    assert len({worker["site"] for worker in workers}) == 2


# -- numbers ----------------------------------------------------------------------------------------


def test_the_numbers_of_a_worker_follow_what_it_does(own_server: ServerFactory, tmp_path: Path) -> None:
    server = own_server(SCRIPTS, "--worker", f"{_COUNTER},2", "--num-threads", "3")
    numbers = server.worker()
    assert numbers["name"] == numbers["file"] == _COUNTER
    expected = {"threads": 2, "ready": 2, "busy": 0, "queue_waiting": 0, "requests": 0, "crashes": 0, "restarts": 0}
    assert {name: numbers[name] for name in expected} == expected
    assert numbers["boot_failures"] == 0
    assert not numbers["last_error"]
    fetch_parallel(server.url, lambda i: {"url": "/worker/counter.php?ms=10"}, 40)
    numbers = server.worker()
    assert numbers["requests"] == 40
    assert 0.4 <= numbers["request_time_s"] < 40
    roles = sorted(thread["role"] for thread in server.statistics()["threads"])
    assert roles == ["regular", "worker", "worker"]
    names = {thread["worker"] for thread in server.statistics()["threads"]}
    assert names == {"", _COUNTER}
    for thread in server.statistics()["threads"]:
        assert not thread["is_busy"]
        assert thread["is_waiting"]
    assert sum(t["requests"] for t in server.statistics()["threads"] if t["role"] == "worker") == 40
    assert all(t["memory_bytes"] > 0 for t in server.statistics()["threads"] if t["role"] == "worker")
