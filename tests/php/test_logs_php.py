"""What scripts log arrives with its request, site, worker and thread; the access log knows what PHP did."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.raw import RawConnection
from tests.php.harness.server import Server, ServerFactory
from tests.php.harness.waiting import wait_until

CADDYFILE = """
{{
	admin off
	auto_https off
	{debug}
	frankenphp {{
		num_threads 4
		php_ini log_errors 1
		php_ini display_errors 0
		worker {{
			file {root}/shop/worker.php
			num 2
			name shop-worker
		}}
	}}
	log {{
		output file {logs}/server.log
		format json
		level DEBUG
	}}
}}
http://shop.test:PORT, http://127.0.0.1:PORT {{
	root {root}/shop
	log {{
		output file {logs}/shop.log
		format json
	}}
	php_server
}}
http://blog.test:PORT {{
	root {root}/blog
	log {{
		output file {logs}/blog.log {{
			roll_size 1MiB
			roll_keep 2
		}}
		format filter {{
			wrap json
			fields {{
				request>headers>User-Agent delete
				request>remote_ip ip_mask 8 16
				uri query {{
					replace token REDACTED
					delete secret
				}}
			}}
		}}
	}}
	log errors {{
		output file {logs}/errors.log
		format console
		level ERROR
	}}
	php_server
}}
"""
SCRIPTS = {
    "log.php": """<?php
error_log("error_log {$_GET['i']}");
frankenphp_log("structured {$_GET['i']}", FRANKENPHP_LOG_LEVEL_WARN,
    ['i' => (int) $_GET['i'], 'list' => [1, 'two', null], 'nested' => ['a' => ['b' => true]], 'thread' => 'mine']);
file_put_contents('php://stderr', "stderr {$_GET['i']}\\n");
echo 'logged';
""",
    "levels.php": """<?php
frankenphp_log('debug', FRANKENPHP_LOG_LEVEL_DEBUG);
frankenphp_log('info', FRANKENPHP_LOG_LEVEL_INFO);
frankenphp_log('warn', FRANKENPHP_LOG_LEVEL_WARN);
frankenphp_log('error', FRANKENPHP_LOG_LEVEL_ERROR);
frankenphp_log('seven', 7);
trigger_error('a warning', E_USER_WARNING);
echo 'ok';
""",
    "pieces.php": """<?php
$stream = fopen('php://stderr', 'w');
fwrite($stream, 'one ');
fflush($stream);
fwrite($stream, "line\\r\\nsecond line\\n\\nno end");
fclose($stream);
$long = fopen('PHP://StdErr', 'a');
fwrite($long, str_repeat('x', 70000));
fwrite($long, "\\n");
echo json_encode([fread($long, 10), is_resource($long), stream_get_meta_data($long)['mode'], file_exists('php://stderr')]);
""",
    "others.php": """<?php
file_put_contents('php://output', 'out,');
$memory = fopen('php://memory', 'w+');
fwrite($memory, 'memory');
rewind($memory);
echo stream_get_contents($memory), ',', file_get_contents('php://input'), ',';
echo file_get_contents('php://filter/read=string.toupper/resource=data:,filtered');
""",
    "child.php": """<?php
$process = proc_open('echo from a child >&2', [2 => fopen('php://stderr', 'w')], $pipes);
echo proc_close($process), stream_isatty(fopen('php://stderr', 'w')) ? 'tty' : 'no tty';
""",
    "forge.php": """<?php
error_log("one\\n{\\"level\\":\\"error\\",\\"msg\\":\\"forged\\"}\\n\\x1b[2J\\xff\\u{2028}");
frankenphp_log("two\\nforged", FRANKENPHP_LOG_LEVEL_INFO, ["k\\ney" => "v\\n", 'msg' => 'forged', 'level' => 'forged']);
echo 'ok';
""",
    "memory.php": """<?php
$text = str_repeat('x', 8 * 1024 * 1024);
unset($text);
echo 'ok';
""",
    "fatal.php": "<?php undefined_function();",
    "finish.php": "<?php echo 'early'; frankenphp_finish_request(); $x = str_repeat('y', 32 << 20); error_log('after finish');",
    "index.php": "<?php echo 'index';",
}
WORKER = """<?php
error_log('worker boots');
$stream = fopen('php://stderr', 'w');
while (frankenphp_handle_request(function () use ($stream) {
    fwrite($stream, "kept open {$_GET['i']}\\n");
    include __DIR__ . '/log.php';
})) {}
"""


@dataclass
class Site:
    server: Server
    logs: Path

    def get(self, path: str, host: str = "shop.test", **options: Any) -> str:
        headers = {"host": host, **options.pop("headers", {})}
        return self.server.get(path, headers=headers, **options).text

    def records(self, file: str = "server.log") -> list[dict[str, Any]]:
        """Give what is in a log, but for a line that a full disk has cut."""
        lines = (self.logs / file).read_text().splitlines()
        return [json.loads(line) for line in lines if line.endswith("}")]

    def wait_for(self, message: str, file: str = "server.log") -> dict[str, Any]:
        """Wait for the record with a message."""

        def find() -> dict[str, Any] | None:
            return next((record for record in self.records(file) if record["msg"] == message), None)

        return wait_until(find, f"{message!r} in {file}")

    def wait_for_access(self, uri: str, file: str = "shop.log") -> dict[str, Any]:
        def find() -> dict[str, Any] | None:
            return next((record for record in self.records(file) if record["request"]["uri"] == uri), None)

        return wait_until(find, f"{uri!r} in {file}")


def write_site(folder: Path) -> Path:
    for name in ("shop", "blog"):
        (folder / name).mkdir()
        for script, text in SCRIPTS.items():
            (folder / name / script).write_text(text)
    (folder / "shop" / "worker.php").write_text(WORKER)
    return folder


@pytest.fixture(scope="module")
def site(module_caddyfile: ServerFactory, tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("logs")
    root = write_site(folder)
    text = CADDYFILE.format(root=root, logs=folder, debug="debug")
    return Site(module_caddyfile(text, root / "shop"), folder)


def test_every_way_to_log_says_where_it_comes_from(site: Site) -> None:
    assert site.get("/log.php?i=1", "blog.test") == "logged"
    said = site.wait_for("error_log 1")
    structured, stderr = site.wait_for("structured 1"), site.wait_for("stderr 1")
    for record in (said, structured, stderr):
        assert record["site"] == "blog.test"
        assert "worker" not in record
        assert record["request_id"] == said["request_id"] > 0
        assert record["logger"] == "howdah.php"
        assert 0 <= record["thread"] < 4
    assert (said["level"], said["syslog_level"]) == ("info", "notice")
    assert (stderr["level"], stderr["stream"]) == ("info", "stderr")
    assert structured["level"] == "warn"
    assert (structured["i"], structured["list"], structured["nested"]) == (1, [1, "two", None], {"a": {"b": True}})
    assert structured["thread_"] == "mine"  # what the server says keeps its name


def test_access_log_and_log_of_a_script_share_standard_output(own_caddyfile: ServerFactory, tmp_path: Path) -> None:
    (tmp_path / "log.php").write_text(
        WORKER.replace("include __DIR__ . '/log.php';", "frankenphp_log('said', 0, ['i' => 1]);")
    )
    (tmp_path / "index.php").write_text("<?php")
    text = (
        "{\n admin off\n log {\n output stdout\n format json\n }\n frankenphp {\n num_threads 3\n }\n}\n"
        "http://127.0.0.1:PORT {\n log {\n output stdout\n format json\n }\n"
        f" root {tmp_path}\n php_server {{\n worker {tmp_path}/log.php 2\n }}\n}}\n"
    )
    server = own_caddyfile(text, tmp_path)
    answer = server.get("/log.php?i=0")
    assert (answer.status_code, answer.text) == (200, "")
    server.wait_for_log(r'"uri": ?"/log\.php\?i=0"')
    server.wait_for_log(r'"msg": ?"said"')  # by another thread than the access log
    lines = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
    assert [line["i"] for line in lines if line["msg"] == "said"] == [1]
    handled = [line for line in lines if line["msg"] == "handled request"]
    assert [line["status"] for line in handled if line["request"]["uri"] == "/log.php?i=0"] == [200]


def test_workers_are_named(site: Site) -> None:
    assert site.get("/worker.php?i=2") == "logged"
    kept, said = site.wait_for("kept open 2"), site.wait_for("error_log 2")
    assert (said["worker"], said["site"]) == ("shop-worker", "shop.test")
    assert (kept["worker"], kept["request_id"]) == ("shop-worker", said["request_id"])
    boot = site.wait_for("worker boots")
    assert boot["worker"] == "shop-worker"


def test_requests_at_once_keep_their_records_apart(site: Site) -> None:
    def fetch(path: str, first: int) -> None:
        host = {"host": "shop.test"}
        fetch_parallel(site.server.url, lambda i: {"url": f"{path}?i={first + i}", "headers": host}, 100)
        wait_until(lambda: sum(f" {first + 99}" in record["msg"] for record in site.records()) >= 3, "the last")

    fetch("/log.php", 1000)
    fetch("/worker.php", 2000)
    by_request: dict[int, set[str]] = {}
    for record in site.records():
        if re.search(r" [12]0\d\d$", record["msg"]):
            by_request.setdefault(record["request_id"], set()).add(record["msg"].rpartition(" ")[2])
    assert len(by_request) == 200
    assert all(len(numbers) == 1 for numbers in by_request.values())


def test_levels(site: Site) -> None:
    assert site.get("/levels.php") == "ok"
    assert [site.wait_for(name)["level"] for name in ("debug", "info", "warn", "error", "seven")] == [
        "debug", "info", "warn", "error", "warn",
    ]  # fmt: skip
    warning = next(record for record in site.records() if "a warning" in record["msg"])
    assert (warning["level"], warning["syslog_level"]) == ("warn", "warning")


def test_standard_error_is_cut_into_lines(site: Site) -> None:
    assert json.loads(site.get("/pieces.php")) == ["", True, "a", False]
    for line in ("one line", "second line", "no end"):
        assert site.wait_for(line)["stream"] == "stderr"
    pieces = [record["msg"] for record in site.records() if record["msg"].startswith("xxxx")]
    assert "".join(pieces) == "x" * 70000
    assert not any(record["msg"] == "" for record in site.records())


def test_other_php_streams_are_php_s(site: Site) -> None:
    with site.server.client() as client:
        answer = client.post(f"{site.server.url}/others.php", content="body", headers={"host": "shop.test"})
    assert answer.text == "out,memory,body,FILTERED"


def test_children_may_have_the_server_s_standard_error(site: Site) -> None:
    assert site.get("/child.php") == "0no tty"
    site.server.wait_for_log("from a child")


def test_scripts_cannot_forge_records(site: Site) -> None:
    assert site.get("/forge.php") == "ok"
    first = wait_until(
        lambda: next((record for record in site.records() if record["msg"].startswith("one\n")), None), "the record"
    )
    assert first["msg"] == 'one\n{"level":"error","msg":"forged"}\n\x1b[2J\ufffd\u2028'
    second = site.wait_for("two\nforged")
    assert (second["level"], second["msg_"], second["level_"], second["k\ney"]) == ("info", "forged", "forged", "v\n")
    raw = (site.logs / "server.log").read_text()
    assert re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028]", raw) is None


# -- access logs ------------------------------------------------------------------------------------


def test_access_log_knows_what_php_did(site: Site) -> None:
    site.get("/memory.php?a=1")
    entry = site.wait_for_access("/memory.php?a=1")
    assert (entry["status"], entry["size"], entry["request"]["host"]) == (200, 2, "shop.test")
    assert 8 << 20 < entry["php"]["memory"] < 16 << 20
    assert 0 < entry["php"]["time"] <= entry["duration"]
    assert entry["php"]["worker"] == ""
    site.get("/log.php?i=3000")
    php = site.wait_for_access("/log.php?i=3000")["php"]
    assert php["memory"] < 8 << 20
    assert site.wait_for("error_log 3000")["request_id"] == php["request_id"]
    site.get("/worker.php?i=3001")
    assert site.wait_for_access("/worker.php?i=3001")["php"]["worker"] == "shop-worker"


def test_memory_after_the_response_is_not_the_response_s(site: Site) -> None:
    assert site.get("/finish.php") == "early"
    site.wait_for("after finish")
    assert site.wait_for_access("/finish.php")["php"]["memory"] < 8 << 20


def test_files_are_logged_without_php(site: Site) -> None:
    (site.logs / "shop" / "style.css").write_text("a {}")
    site.get("/style.css")
    entry = site.wait_for_access("/style.css")
    assert (entry["status"], entry["size"]) == (200, 4)
    assert "php" not in entry


def test_filters(site: Site) -> None:
    site.get("/index.php?a=1&token=abc&secret=x", "blog.test")
    entry = site.wait_for_access("/index.php?a=1&token=REDACTED", "blog.log")
    assert entry["request"]["remote_ip"] == "127.0.0.0"
    assert "User-Agent" not in entry["request"]["headers"]
    assert entry["request"]["client_ip"] == "127.0.0.1"


@pytest.mark.log_noise("undefined_function")
def test_a_log_of_errors_has_only_those(site: Site) -> None:
    site.get("/index.php?fine", "blog.test")
    site.get("/fatal.php?bad", "blog.test")
    path = site.logs / "errors.log"
    wait_until(lambda: "/fatal.php?bad" in path.read_text(), "the error")
    assert "fine" not in path.read_text()
    assert re.search(r" ERROR http\.log\.access\.errors: .* uri=/fatal\.php\?bad status=500 ", path.read_text())


def test_addresses_cannot_forge_entries(site: Site) -> None:
    head = b"GET /x%0a%22%5c?'=\\ HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: a\"\\\xff\x80\r\nX-A: b\tc\r\n"
    with RawConnection(site.server.port) as connection:
        connection.send(head + b"Connection: close\r\n\r\n")
        assert b" 200 " in connection.read_to_end()
    wait_until(lambda: "/x%0a" in (site.logs / "shop.log").read_text(), "the entry")
    raw = (site.logs / "shop.log").read_text()
    assert raw.isascii()
    for line in raw.splitlines():
        json.loads(line)


# -- disks ------------------------------------------------------------------------------------------


def test_access_logs_are_rotated_and_nothing_is_lost(own_caddyfile: ServerFactory, tmp_path: Path) -> None:
    root = write_site(tmp_path)
    logs = tmp_path / "logs"
    text = CADDYFILE.format(root=root, logs=logs, debug="").replace("roll_keep 2", "roll_keep 0")
    text = text.replace("roll_size 1MiB", "roll_size 20KiB")
    site = Site(own_caddyfile(text, root / "blog"), logs)
    fetch_parallel(site.server.url, lambda i: {"url": f"/index.php?n={i}", "headers": {"host": "blog.test"}}, 200)
    wait_until(lambda: len(list(logs.glob("blog-*.log"))) >= 3, "rotated files")
    site.server.terminate()
    files = [*logs.glob("blog-*.log"), logs / "blog.log"]
    assert all(file.stat().st_size <= 20 * 1024 for file in files)
    entries = [json.loads(line)["request"]["uri"] for file in files for line in file.read_text().splitlines()]
    assert sorted(uri for uri in entries if "?n=" in uri) == sorted(f"/index.php?n={i}" for i in range(200))


def test_a_full_disk_holds_no_request(own_caddyfile: ServerFactory, tmp_path: Path, small_disk: Path) -> None:
    root = write_site(tmp_path)
    text = CADDYFILE.format(root=root, logs=small_disk, debug="").replace("roll_size 1MiB", "roll_disabled")
    site = Site(own_caddyfile(text, root / "blog"), small_disk)
    site.get("/index.php?before", "blog.test")
    wait_until(lambda: "before" in (small_disk / "blog.log").read_text(), "the first entry")
    _fill(small_disk / "filler")
    fetch_parallel(site.server.url, lambda i: {"url": f"/index.php?n={i}", "headers": {"host": "blog.test"}}, 300)
    site.server.wait_for_log(r"howdah: the log .*blog\.log cannot be written, lines are lost: No space left on device")
    assert site.server.log().count("blog.log cannot be written") == 1
    (small_disk / "filler").unlink()
    site.get("/index.php?after", "blog.test")
    site.server.wait_for_log(r"howdah: the log .*blog\.log can be written again; \d+ lines were lost")
    assert site.wait_for_access("/index.php?after", "blog.log")["status"] == 200


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
