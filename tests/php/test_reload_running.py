"""Reload: another configuration takes the place of the one that runs, and no request notices."""

from __future__ import annotations

import datetime as dt
import json
import re
import signal
import socket
import ssl
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.php.harness.commands import howdah
from tests.php.harness.ports import free_port
from tests.php.harness.server import SCRIPTS, Server, ServerFactory
from tests.php.harness.waiting import wait_until
from tests.unit.serve.certificates import write_pair

TAKEN: socket.socket = socket.create_server(("127.0.0.1", 0))
_OPTIONS = "{\n\tadmin localhost:ADMIN\n\tfrankenphp {\n\t\tnum_threads 2\n\t\tmax_threads 6\n\t}\n}\n"
_SITE = "http://127.0.0.1:PORT {\n\troot SCRIPTS\n\theader X-Turn first\n\tphp_server\n}\n"


@dataclass
class Running:
    """A server whose configuration can be changed."""

    server: Server
    admin: int
    text: str

    @property
    def file(self) -> Path:
        arguments = self.server.process.args
        assert isinstance(arguments, list)
        return Path(arguments[-1])

    def write(self, text: str) -> None:
        self.file.write_text(text.replace("PORT", str(self.server.port)))

    def hang_up(self, pattern: str) -> None:
        """Send SIGHUP and wait for a line of the log."""
        mark = self.server.log_mark()
        self.server.process.send_signal(signal.SIGHUP)
        self.server.wait_for_log(pattern, since=mark, timeout_s=20)

    def reload(self) -> None:
        self.hang_up("configuration in force")

    def turn(self) -> str:
        return str(self.server.get("/hello.php").headers.get("x-turn", "none"))

    def load(self, text: str) -> httpx.Response:
        return httpx.post(
            f"http://localhost:{self.admin}/load",
            content=text.replace("PORT", str(self.server.port)),
            headers={"content-type": "text/caddyfile"},
            trust_env=False,
            timeout=30,
        )


@pytest.fixture
def running(own_caddyfile: ServerFactory, tmp_path: Path) -> Callable[..., Running]:
    def make(text: str = _OPTIONS + _SITE) -> Running:
        admin = free_port()
        text = text.replace("ADMIN", str(admin)).replace("SCRIPTS", str(SCRIPTS))
        server = own_caddyfile(text, SCRIPTS, env={"XDG_DATA_HOME": str(tmp_path)})
        return Running(server, admin, text)

    return make


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class TestByFile:
    def test_sites_and_listeners_change_in_place(self, running: Callable[..., Running]) -> None:
        one = running()
        assert one.turn() == "first"
        added = free_port()
        second = one.text.replace("first", "second") + f"http://127.0.0.1:{added} {{\n\trespond added\n}}\n"
        with one.server.client() as client:
            assert client.get("/hello.php").headers["x-turn"] == "first"
            one.write(second)
            one.reload()
            assert client.get("/hello.php").headers["x-turn"] == "second", "also on a connection that was open"
        assert httpx.get(f"http://127.0.0.1:{added}/", trust_env=False).text == "added"
        one.write(one.text)
        one.reload()
        assert one.turn() == "first"
        assert not is_open(added)

    def test_limits_of_listeners_change_in_place(self, running: Callable[..., Running]) -> None:
        one = running()
        one.write(one.text.replace("{\n\tadmin", "{\n\tservers {\n\t\tmax_header_size 8kb\n\t}\n\tadmin", 1))
        with one.server.client() as client:
            client.get("/hello.php")
            assert client.get("/hello.php", headers={"x": "f" * 10_000}).status_code == 200
            one.reload()
            assert "connection" not in client.get("/hello.php").headers, "the connection stays"
            assert client.get("/hello.php", headers={"x": "f" * 10_000}).status_code == 431

    @pytest.mark.log_noise("SIGHUP: nothing is changed")
    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda text: text + "http://x.test {\n", r"Caddyfile:\d+:\d+: .*never closed"),
            (lambda text: text.replace("php_server", "php_sever"), "php_sever"),
            (lambda text: text.replace(str(SCRIPTS), "/no/such/root"), "/no/such/root"),
            (lambda text: text + "x.test:18449 {\n\ttls /no/crt /no/key\n}\n", "/no/crt does not exist"),
            (
                lambda text: text.replace("num_threads 2", "num_threads 2\n\t\tphp_ini memory_limit 1G"),
                "php_ini.*restart",
            ),
            (
                lambda text: text.replace("num_threads 2", "num_threads 2\n\t\tworker /no/such.php"),
                r"Caddyfile:5:10: worker script /no/such.php does not exist; create it",
            ),
            (lambda text: text + f"http://127.0.0.1:{TAKEN.getsockname()[1]} {{\n}}\n", "in use"),
        ],
        ids=["brace", "directive", "root", "certificate", "php.ini", "worker", "port"],
    )
    def test_a_mistake_is_told_and_changes_nothing(
        self, running: Callable[..., Running], change: Callable[[str], str], said: str
    ) -> None:
        one = running()
        added = free_port()
        one.write(change(one.text.replace("first", "second")) + f"\nhttp://127.0.0.1:{added} {{\n}}\n")
        one.hang_up(f"nothing is changed: .*{said}")
        assert one.turn() == "first"
        assert not is_open(added)
        one.write(one.text.replace("first", "third"))
        one.reload()
        assert one.turn() == "third"


@pytest.mark.log_noise("admin")
class TestByAdmin:
    def test_load_takes_a_caddyfile_and_our_json(self, running: Callable[..., Running]) -> None:
        one = running()
        assert one.load(one.text.replace("first", "loaded")).status_code == 200
        assert one.turn() == "loaded"
        current = httpx.get(f"http://localhost:{one.admin}/config/", trust_env=False).text
        changed = current.replace("loaded", "json")
        answer = httpx.post(
            f"http://localhost:{one.admin}/load",
            content=changed,
            headers={"content-type": "application/json"},
            trust_env=False,
        )
        assert answer.status_code == 200
        assert one.turn() == "json"

    def test_a_mistake_is_answered(self, running: Callable[..., Running]) -> None:
        one = running()
        answer = one.load(one.text.replace("php_server", "php_sever"))
        assert answer.status_code == 400
        assert "php_sever" in json.loads(answer.text)["error"]
        assert one.turn() == "first"

    def test_commands_reload_and_stop(self, running: Callable[..., Running]) -> None:
        one = running()
        one.write(one.text.replace("first", "command"))
        result = howdah("reload", "--force", "-c", str(one.file))
        assert (result.returncode, result.stderr) == (0, "")
        assert one.turn() == "command"
        one.write("nonsense {")
        assert howdah("reload", "-c", str(one.file)).returncode == 2
        one.write(one.text.replace("php_server", "php_server {\n\t\tworker /no/such.php\n\t}"))
        refused = howdah("reload", "-c", str(one.file))
        assert refused.returncode == 1
        assert f"{one.file}:12:10: worker script /no/such.php does not exist" in refused.stderr
        assert one.turn() == "command"
        assert howdah("stop", "--address", f"localhost:{one.admin}").returncode == 0
        assert one.server.wait_ended(10) == 0

    def test_the_admin_api_moves(self, running: Callable[..., Running]) -> None:
        one = running()
        elsewhere = free_port()
        assert one.load(one.text.replace(str(one.admin), str(elsewhere))).status_code == 200
        ready = f"http://localhost:{elsewhere}/readyz"
        assert httpx.get(ready, trust_env=False).status_code == 200
        wait_until(lambda: not is_open(one.admin), "the old address to be given up")
        one.admin = elsewhere
        assert one.load(one.text.replace(f"admin localhost:{one.admin}", "admin off")).status_code in {200, 400}


class TestWorkers:
    @pytest.mark.may_leak  # workers that came keep their threads, ready for others
    def test_workers_come_change_and_go(self, running: Callable[..., Running], tmp_path: Path) -> None:
        one = running(
            (_OPTIONS + _SITE).replace("num_threads 2", "num_threads 4").replace("max_threads 6", "max_threads 8")
        )
        script = tmp_path / "counter.php"
        script.write_text("<?php while (frankenphp_handle_request(fn() => print('worker ' . getenv('W')))) {}")

        def with_worker(value: str, num: int) -> str:
            block = f"worker {{\n file {script}\n num {num}\n match /counter\n env W {value}\n}}\n"
            return one.text.replace("php_server", f"php_server {{\n{block}}}")

        for value, num in (("a", 1), ("b", 1), ("b", 2)):
            one.write(with_worker(value, num))
            one.reload()
            assert one.server.get("/counter").text == f"worker {value}"
            wait_until(lambda num=num: one.server.worker()["threads"] == num, f"{num} threads")  # type: ignore[misc]
        one.write(one.text)
        one.reload()
        assert one.server.statistics()["workers"] == []
        assert one.server.get("/counter").status_code == 404

    @pytest.mark.may_leak  # see above
    def test_bounds_of_queues_change_in_place(self, running: Callable[..., Running], tmp_path: Path) -> None:
        options = _OPTIONS.replace("max_threads 6", "max_threads 2\n\t\tmax_queue 100")
        script, entered, gate = tmp_path / "held.php", tmp_path / "entered", tmp_path / "gate"
        code = f"touch('{entered}'); while (!file_exists('{gate}')) {{ usleep(1000); clearstatcache(); }} echo 'held';"
        script.write_text(f"<?php while (frankenphp_handle_request(function () {{ {code} }})) {{}}")
        (tmp_path / "classic.php").write_text(f"<?php {code}")
        worker = f"worker {{\n file {script}\n num 1\n match /worker\n}}"
        site = f"http://held.test:PORT {{\n root {tmp_path}\n php_server {{\n {worker}\n }}\n}}\n"
        one = running(options + _SITE + site)

        def ask(path: str) -> int:
            return one.server.get(path, headers={"host": "held.test"}).status_code

        one.write(one.text.replace("max_queue 100", "max_queue 0").replace("num 1\n", "num 1\n max_queue 1\n"))
        one.reload()
        with ThreadPoolExecutor(3) as clients:
            for path in ("/worker", "/classic.php"):
                held = [clients.submit(ask, path)]
                wait_until(entered.exists, "the script to run")
                if path == "/worker":
                    held.append(clients.submit(ask, path))
                    wait_until(lambda: one.server.worker()["queue_waiting"] == 1, "one request to wait")
                assert ask(path) == 503
                gate.touch()
                assert [answer.result() for answer in held] == [200] * len(held)
                gate.unlink()
                entered.unlink()
        assert one.server.worker()["boot_failures"] == one.server.worker()["restarts"] == 0

    @pytest.mark.may_leak  # threads that the new workers had stay, ready for others
    @pytest.mark.log_noise(
        "nothing is changed", "PHP Fatal|failed on restart|no_such_function|Stack trace|^#|thrown in"
    )
    def test_a_worker_that_does_not_boot_leaves_the_others_as_they_were(
        self, running: Callable[..., Running], tmp_path: Path
    ) -> None:
        one = running(
            (_OPTIONS + _SITE).replace("num_threads 2", "num_threads 6").replace("max_threads 6", "max_threads 8")
        )
        good, broken = tmp_path / "good.php", tmp_path / "broken.php"
        good.write_text("<?php while (frankenphp_handle_request(fn() => print('good'))) {}")
        broken.write_text("<?php no_such_function();")

        def with_workers(num: int, more: str = "") -> str:
            block = f"worker {{\n file {good}\n num {num}\n match /good\n}}\n{more}"
            return one.text.replace("php_server", f"php_server {{\n{block}}}")

        def threads() -> tuple[int, int]:
            numbers = one.server.statistics()
            return numbers["workers"][0]["threads"], numbers["num_threads"]

        one.write(with_workers(1))
        one.reload()
        wait_until(lambda: threads() == (1, 6), "the threads of the first configuration")
        one.write(with_workers(3, f"worker {{\n file {broken}\n max_consecutive_failures 0\n num 1\n}}\n"))
        one.hang_up("nothing is changed: .*no_such_function")
        assert one.server.get("/good").text == "good"
        wait_until(lambda: threads() == (1, 6), "the threads that were there before")


class TestCode:
    def test_reload_compiles_changed_scripts_and_follows_links_anew(
        self, running: Callable[..., Running], tmp_path: Path
    ) -> None:
        for release in ("one", "two"):
            (tmp_path / release).mkdir()
            (tmp_path / release / "release.php").write_text(f"<?php echo '{release} ', $_SERVER['DOCUMENT_ROOT'];")
        current = tmp_path / "current"
        current.symlink_to(tmp_path / "one")
        site = f"http://code.test:PORT {{\n\troot {current}\n\tphp_server\n}}\n"
        options = _OPTIONS.replace(
            "num_threads 2",
            "num_threads 2\n\t\tphp_ini {\n\t\t\topcache.validate_timestamps 0\n\t\t\topcache.file_update_protection 0\n\t\t}",
        )
        one = running(options + _SITE + site)

        def seen() -> str:
            return one.server.get("/release.php", headers={"host": "code.test"}).text

        assert seen() == f"one {tmp_path}/one"
        (tmp_path / "one" / "release.php").write_text("<?php echo 'changed ', $_SERVER['DOCUMENT_ROOT'];")
        assert seen() == f"one {tmp_path}/one", "OPcache does not look"
        one.reload()
        assert seen() == f"changed {tmp_path}/one"
        switched = tmp_path / "next"
        switched.symlink_to(tmp_path / "two")
        switched.replace(current)
        assert howdah("restart-workers", "--address", f"localhost:{one.admin}").returncode == 0
        assert seen() == f"two {tmp_path}/two"


class TestCertificates:
    # A thread of Granian's was seen to panic once when a listener was replaced; connections were not affected.
    @pytest.mark.log_noise("panicked at")
    def test_files_are_read_again_when_they_change(self, running: Callable[..., Running], tmp_path: Path) -> None:
        port = free_port()
        files = write_pair(tmp_path, "site", "localhost", begin=dt.datetime.now(dt.UTC))
        text = f"localhost:{port} {{\n\ttls {files[0]} {files[1]}\n\trespond tls\n}}\n"
        one = running(_OPTIONS + _SITE + text)
        first = served_certificate(port)
        with httpx.Client(verify=False, trust_env=False) as client:
            assert client.get(f"https://localhost:{port}/").text == "tls"
            mark = one.server.log_mark()
            write_pair(tmp_path, "site", "localhost", begin=dt.datetime.now(dt.UTC))
            one.server.wait_for_log("new certificate for localhost", since=mark, timeout_s=15)
            assert client.get(f"https://localhost:{port}/").text == "tls", "the connection stays"
        assert served_certificate(port) != first


def served_certificate(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port))


@dataclass
class Load:
    """Clients that ask without a break, over connections that they keep; counts what goes wrong."""

    urls: list[str]
    answers: int = 0
    failures: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self, clients: int) -> None:
        for number in range(clients):
            thread = threading.Thread(target=self._run, args=(self.urls[number % len(self.urls)],))
            thread.start()
            self.threads.append(thread)

    def stop(self) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)

    def _run(self, url: str) -> None:
        with httpx.Client(verify=False, trust_env=False, timeout=20) as client:
            while not self.stopping.is_set():
                try:
                    answer = client.get(url)
                except httpx.HTTPError as error:
                    self.failures.append(f"{url}: {error!r}")
                    continue
                if answer.status_code != 200 or not re.fullmatch(r"request 7", answer.text):
                    self.failures.append(f"{url}: {answer.status_code} {answer.text[:100]}")
                self.answers += 1


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.may_leak  # listeners that were replaced linger for their last connections
def test_a_hundred_reloads_under_load_lose_no_request(running: Callable[..., Running], tmp_path: Path) -> None:
    tls = free_port()
    one = running(_OPTIONS + _SITE + f"localhost:{tls} {{\n\troot {SCRIPTS}\n\tphp_server\n}}\n")
    urls = [
        f"{one.server.url}/hello.php?i=7",
        f"{one.server.url}/hello.php?i=7",
        f"https://localhost:{tls}/hello.php?i=7",
    ]
    load = Load(urls)
    load.start(6)
    took_s = []
    try:
        for turn in range(100):
            text = one.text.replace("first", f"turn-{turn}").replace("num_threads 2", f"num_threads {2 + turn % 3}")
            if turn % 10 == 5:  # another limit is another listener on the same socket
                text = text.replace(
                    "{\n\tadmin", f"{{\n\tservers {{\n\t\tmax_header_size {20 + turn}kb\n\t}}\n\tadmin", 1
                )
            start = time.monotonic()
            answer = one.load(text)
            took_s.append(time.monotonic() - start)
            assert answer.status_code == 200, answer.text
            assert one.turn() == f"turn-{turn}"
    finally:
        load.stop()
    assert load.failures == []
    assert load.answers > 300
    assert statistics.median(took_s) < 0.3
