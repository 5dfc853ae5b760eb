"""The admin API of a running server: what it shows, what it changes, and that it answers while everything else is busy."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from howdah.admin.client import AdminClient, AdminRefused
from tests.php.harness.commands import howdah
from tests.php.harness.control import ask
from tests.php.harness.ports import free_port
from tests.php.harness.server import Server, ServerFactory
from tests.php.harness.waiting import wait_until

CADDYFILE = """
{{
	admin {admin}
	auto_https off
	frankenphp {{
		num_threads 3
		max_wait_time 20s
		worker {{
			file {root}/worker.php
			num 1
			name shop
		}}
		worker {{
			file {root}/other.php
			num 1
			name other
		}}
	}}
}}
http://127.0.0.1:PORT {{
	root {root}
	handle /python {{
		asgi blocking:application {{
			path {root}
		}}
	}}
	handle {{
		php_server
	}}
}}
"""
WORKER = """<?php
$boots = bin2hex(random_bytes(8));
$count = 0;
while (frankenphp_handle_request(function () use (&$count, $boots) {
    if (isset($_GET['sleep'])) { usleep((int) $_GET['sleep'] * 1000); }
    echo json_encode(['boot' => $boots, 'count' => ++$count, 'version' => VERSION_HERE]);
})) {}
"""
# Says that it boots, and boots only while there is no gate.
GATED = """<?php
file_put_contents(__DIR__ . '/boots', 'x', FILE_APPEND);
while (clearstatcache() ?? is_file(__DIR__ . '/gate')) { usleep(2000); }
while (frankenphp_handle_request(function () { echo 'other'; })) {}
"""
BLOCKING = """
import time

async def application(scope, receive, send):
    time.sleep(2.0)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"slept"})
"""


def write_worker(root: Path, version: str = "1") -> None:
    """Put a worker script in place, in one step."""
    fresh = root / "worker.tmp"
    fresh.write_text(WORKER.replace("VERSION_HERE", version))
    fresh.rename(root / "worker.php")


@dataclass
class Site:
    server: Server
    admin: AdminClient
    root: Path
    text: str

    def worker(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.server.get("/worker.php").json()
        return answer

    def threads(self) -> list[dict[str, Any]]:
        states: list[dict[str, Any]] = self.admin.threads()["ThreadDebugStates"]
        return states


def blocking_calls(server: Server) -> int:
    """How many calls at once have blocked a thread of the server's so far; the loop starts one only if none is idle."""
    return sum(name.startswith("uvloop_") for name in ask(server.control_path, "thread_names"))


def make_root(root: Path) -> Path:
    write_worker(root)
    (root / "other.php").write_text("<?php while (frankenphp_handle_request(function () { echo 'other'; })) {}")
    (root / "hello.php").write_text("<?php echo 'hello';")
    (root / "index.php").write_text("<?php echo 'index';")
    (root / "sleep.php").write_text("<?php usleep((int) $_GET['ms'] * 1000); echo 'slept';")
    (root / "blocking.py").write_text(BLOCKING)
    return root


@pytest.fixture(scope="module")
def site(module_caddyfile: ServerFactory, tmp_path_factory: pytest.TempPathFactory) -> Site:
    root = make_root(tmp_path_factory.mktemp("admin"))
    address = f"127.0.0.1:{free_port()}"
    text = CADDYFILE.format(admin=address, root=root)
    return Site(module_caddyfile(text, root), AdminClient(address), root, text)


@pytest.fixture
def in_parallel() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


# -- what it shows ----------------------------------------------------------------------------------


def test_threads_know_their_requests_and_memory(site: Site) -> None:
    site.server.get("/hello.php")
    site.worker()
    threads = site.threads()
    assert sorted(thread["Name"] for thread in threads) == [
        "Regular PHP Thread",
        f"Worker PHP Thread - {site.root}/other.php",
        f"Worker PHP Thread - {site.root}/worker.php",
    ]
    for thread in threads:
        assert (thread["RequestCount"] == 0) or thread["MemoryUsage"] > 0, thread
        assert thread["State"] == "ready"
        assert thread["IsWaiting"] is not thread["IsBusy"]
        assert Path(f"/proc/{site.server.pid}/task/{thread['ThreadId']}").exists()
    assert sum(thread["RequestCount"] for thread in threads) >= 2


def test_a_busy_thread_shows_its_request(site: Site, in_parallel: ThreadPoolExecutor) -> None:
    sleeping = in_parallel.submit(site.server.get, "/sleep.php?ms=700&x=a%20b")
    busy = wait_until(lambda: [thread for thread in site.threads() if thread["CurrentURI"]], "a busy thread")
    assert len(busy) == 1
    assert (busy[0]["CurrentMethod"], busy[0]["CurrentURI"]) == ("GET", "/sleep.php?ms=700&x=a%20b")
    assert busy[0]["IsBusy"]
    assert busy[0]["RequestStartedAt"] > 1_600_000_000_000
    assert sleeping.result().text == "slept"
    wait_until(lambda: not any(thread["IsBusy"] for thread in site.threads()), "no busy thread")


def test_commands_show_the_same(site: Site) -> None:
    shown = howdah("threads", "--address", site.admin.address)
    assert shown.returncode == 0, shown.stderr
    assert f"Worker PHP Thread - {site.root}/worker.php" in shown.stdout
    as_json = howdah("threads", "--json", "--address", site.admin.address)
    assert len(json.loads(as_json.stdout)["ThreadDebugStates"]) == 3


def test_status_page_counts_the_threads(site: Site, in_parallel: ThreadPoolExecutor) -> None:
    sleeping = in_parallel.submit(site.server.get, "/sleep.php?ms=500")
    wait_until(
        lambda: json.loads(site.admin.request("GET", "/status?json").body)["active processes"] == 1, "a busy one"
    )
    page = json.loads(site.admin.request("GET", "/status?json&full").body)
    assert page["total processes"] == page["active processes"] + page["idle processes"] == 3
    assert [entry["request uri"] for entry in page["processes"] if entry["state"] == "Running"] == ["/sleep.php?ms=500"]
    assert f"{site.root}/worker.php" in [entry["script"] for entry in page["processes"]]
    sleeping.result()
    assert site.admin.request("GET", "/ping").body == b"pong"


# -- restarts ---------------------------------------------------------------------------------------


def test_restart_boots_the_worker_again(site: Site) -> None:
    before = site.worker()
    assert site.worker()["count"] == before["count"] + 1
    answer = site.admin.request("POST", "/frankenphp/workers/restart")
    assert (answer.status, answer.body) == (200, b"workers restarted successfully\n")
    after = site.worker()
    assert after["boot"] != before["boot"]
    assert after["count"] == 1


def test_restart_of_one_worker_leaves_the_others(site: Site) -> None:
    before = site.worker()
    done = howdah("restart-workers", "other", "--address", site.admin.address)
    assert (done.returncode, done.stdout) == (0, "workers restarted successfully\n")
    assert site.worker()["boot"] == before["boot"]
    wrong = howdah("restart-workers", "nobody", "--address", site.admin.address)
    assert wrong.returncode == 1
    assert "there is no worker 'nobody'" in wrong.stderr
    assert "shop" in wrong.stderr


def test_restarts_at_once_all_see_the_new_code(site: Site, in_parallel: ThreadPoolExecutor) -> None:
    for version in ("2", "3", "4"):
        write_worker(site.root, version)
        restarts = [in_parallel.submit(site.admin.restart_workers) for _ in range(6)]
        for restart in restarts:
            restart.result()
            assert site.worker()["version"] == int(version)


def test_a_restart_asked_for_during_another_returns_after_one_that_began_later_and_shares_it(
    own_caddyfile: ServerFactory, tmp_path: Path, in_parallel: ThreadPoolExecutor
) -> None:
    root, gate, boots = make_root(tmp_path), tmp_path / "gate", tmp_path / "boots"
    (root / "other.php").write_text(GATED)
    address = f"127.0.0.1:{free_port()}"
    text = CADDYFILE.format(admin=address, root=root)
    site = Site(own_caddyfile(text, root), AdminClient(address), root, text)
    gate.touch()
    boots.unlink()
    calls = [in_parallel.submit(site.admin.restart_workers)]
    wait_until(boots.exists, "the first restart to boot the last worker")  # the first one has booted by then
    write_worker(root, "2")
    calls += [in_parallel.submit(site.admin.restart_workers) for _ in range(3)]
    wait_until(lambda: blocking_calls(site.server) >= 4, "four calls to wait in the server")
    assert not any(call.done() for call in calls)
    gate.unlink()
    for call in calls:
        call.result()
    assert site.worker()["version"] == 2
    assert boots.read_text() == "xx", "one restart for the first call and one for the three others"


@pytest.mark.log_noise("boot", "parse error", "syntax error", "admin request failed")
def test_a_worker_that_does_not_boot_is_told_with_the_words_of_php(site: Site) -> None:
    write_worker(site.root, "1")
    site.admin.restart_workers()
    write_worker(site.root, "this is no PHP")
    try:
        with pytest.raises(AdminRefused, match="syntax error") as caught:
            site.admin.restart_workers()
        assert caught.value.status == 500
    finally:
        write_worker(site.root, "1")
        site.admin.restart_workers()
    assert site.worker()["version"] == 1


# -- while everything else is busy ------------------------------------------------------------------


def test_it_answers_while_every_php_thread_is_busy(site: Site, in_parallel: ThreadPoolExecutor) -> None:
    requests = [in_parallel.submit(site.server.get, "/sleep.php?ms=1500") for _ in range(3)]
    requests += [in_parallel.submit(site.server.get, "/worker.php?sleep=1500") for _ in range(2)]
    wait_until(lambda: sum(thread["IsBusy"] for thread in site.threads()) == 2, "two busy threads")
    assert site.admin.request("GET", "/healthz", timeout_s=1).body == b"ok\n"
    assert site.admin.request("GET", "/readyz", timeout_s=1).body == b"ready\n"
    wait_until(
        lambda: json.loads(site.admin.request("GET", "/status?json", timeout_s=1).body)["listen queue"] == 3,
        "three requests in the queue",
    )
    for request in requests:
        assert request.result().status_code == 200


def test_it_answers_while_the_event_loop_is_blocked(site: Site, in_parallel: ThreadPoolExecutor) -> None:
    blocked = in_parallel.submit(site.server.get, "/python", timeout=20)
    answered = 0
    while not blocked.done():
        assert site.admin.request("GET", "/healthz", timeout_s=1).status == 200
        assert b"frankenphp_total_threads" in site.admin.request("GET", "/metrics", timeout_s=1).body
        answered += 1
    assert blocked.result().text == "slept"
    assert answered > 5


# -- configuration ----------------------------------------------------------------------------------


def test_the_configuration_goes_round(site: Site) -> None:
    whole = site.admin.request("GET", "/config/").json()
    assert whole["runtime"]["num_threads"] == 3
    assert site.admin.request("GET", "/config/apps/frankenphp").json() == whole["runtime"]
    before = site.worker()["boot"]
    body = site.admin.request("GET", "/config/apps/frankenphp").body
    assert site.admin.request("PATCH", "/config/apps/frankenphp", body, "application/json").status == 200
    assert site.worker()["boot"] == before
    headers = {"Content-Type": "application/json", "Cache-Control": "must-revalidate"}
    url = f"http://{site.admin.address}/config/apps/frankenphp"
    assert httpx.patch(url, content=body, headers=headers, timeout=30).status_code == 200
    assert site.worker()["boot"] != before


def test_a_caddyfile_is_loaded_and_a_wrong_one_changes_nothing(site: Site) -> None:
    text = site.text.replace("PORT", str(site.server.port))
    changed = text.replace("\thandle {\n", '\thandle /new {\n\t\trespond "new"\n\t}\n\thandle {\n')
    assert changed != text
    site.admin.load(changed.encode(), "text/caddyfile")
    assert site.server.get("/new").text == "new"
    with pytest.raises(AdminRefused, match=r":\d+.*frobnicate") as caught:
        site.admin.load(changed.replace("php_server", "frobnicate").encode(), "text/caddyfile")
    assert caught.value.status == 400
    assert site.server.get("/new").text == "new"
    site.admin.load(text.encode(), "text/caddyfile")
    assert site.server.get("/new").text == "index"
    with pytest.raises(AdminRefused, match="this is Caddy's own JSON"):
        site.admin.load(b'{"apps": {"http": {}}}', "application/json")


def test_a_value_is_patched(site: Site) -> None:
    assert site.admin.request("PATCH", "/config/runtime/max_wait_time_s", b"7", "application/json").status == 200
    assert site.admin.request("GET", "/config/runtime/max_wait_time_s").json() == 7
    with pytest.raises(AdminRefused, match="max_wait_time"):
        site.admin.request("PATCH", "/config/runtime/max_wait_time_s", b"-1", "application/json")
    assert site.admin.request("PATCH", "/config/runtime/max_wait_time_s", b"20", "application/json").status == 200


# -- who may ask ------------------------------------------------------------------------------------


def test_pages_of_other_sites_get_nothing(site: Site) -> None:
    url = f"http://{site.admin.address}/frankenphp/workers/restart"
    boot = site.worker()["boot"]
    for headers in (
        {"Host": "evil.example"},
        {"Host": f"evil.example:{site.admin.address.rpartition(':')[2]}"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        answer = httpx.post(url, headers=headers)
        assert answer.status_code == 403, headers
        assert set(answer.json()) == {"error"}
    assert site.worker()["boot"] == boot


def test_half_a_request_holds_nobody(site: Site) -> None:
    host, _, port = site.admin.address.partition(":")
    connections = [socket.create_connection((host, int(port))) for _ in range(20)]
    for connection in connections:
        connection.sendall(b"POST /load HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nx")
    try:
        assert site.admin.request("GET", "/ping", timeout_s=2).body == b"pong"
    finally:
        for connection in connections:
            connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    root.mkdir()
    return make_root(root)


def test_a_unix_socket_is_for_its_owner_only(own_caddyfile: ServerFactory, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    server = own_caddyfile(CADDYFILE.format(admin=f"unix/{path}", root=folder), folder)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    admin = AdminClient(f"unix/{path}")
    assert admin.request("GET", "/readyz").body == b"ready\n"
    assert howdah("threads", "--address", f"unix/{path}").returncode == 0
    server.terminate()
    assert not path.exists()


def test_a_public_address_needs_a_token(own_caddyfile: ServerFactory, folder: Path, tmp_path: Path) -> None:
    port = free_port()
    text = CADDYFILE.format(admin=f":{port}", root=folder)
    file = tmp_path / "Caddyfile"
    file.write_text(text.replace("PORT", str(free_port())))
    refused = howdah("run", "--config", str(file))
    assert refused.returncode == 2
    assert "give it a token" in refused.stderr
    token = "0123456789abcdef"
    text = text.replace(f"admin :{port}", f"admin :{port} {{\n\t\ttoken {token}\n\t}}")
    own_caddyfile(text, folder)
    with pytest.raises(AdminRefused, match="a token is needed"):
        AdminClient(f"127.0.0.1:{port}", "").threads()
    assert len(AdminClient(f"127.0.0.1:{port}", token).threads()["ThreadDebugStates"]) == 3


def test_stop_drains(own_caddyfile: ServerFactory, folder: Path, in_parallel: ThreadPoolExecutor) -> None:
    address = f"127.0.0.1:{free_port()}"
    server = own_caddyfile(CADDYFILE.format(admin=address, root=folder), folder)
    admin = AdminClient(address)
    sleeping = in_parallel.submit(server.get, "/sleep.php?ms=500")
    wait_until(lambda: any(thread["CurrentURI"] for thread in admin.threads()["ThreadDebugStates"]), "a busy thread")
    admin.stop()
    assert sleeping.result().text == "slept"
    assert server.wait_ended(10) == 0


def test_without_a_server_the_commands_say_so() -> None:
    for command in ("threads", "restart-workers"):
        done = howdah(command, "--address", f"127.0.0.1:{free_port()}")
        assert done.returncode == 1
        assert "no Howdah answers at" in done.stderr
        assert "Traceback" not in done.stderr
