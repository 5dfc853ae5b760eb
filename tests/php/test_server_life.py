"""The php-server command: start, addresses, drain, second signal, mistakes of its user."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.php.harness.commands import howdah
from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.ports import free_port
from tests.php.harness.raw import RawConnection
from tests.php.harness.server import HOWDAH, SCRIPTS, Server, ServerFactory, clean_environment
from tests.php.harness.waiting import wait_until

# Root may read everything, so it gives up the capabilities that say so.
_AS_NOBODY = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _is_listening_at(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def test_sigterm_drains_the_running_request_and_ends_with_0(own_server: ServerFactory, tmp_path: Path) -> None:
    server: Server = own_server(SCRIPTS, "--num-threads", "2")
    gate, trace = tmp_path / "gate", tmp_path / "trace"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(server.get, f"/sleep.php?i=5&gate={gate}&trace={trace}")
        wait_until(trace.exists, "the script to run")
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not _is_listening(server.port), "the server to take no new connections")
        assert server.process.poll() is None
        gate.touch()
        assert running.result().text == "slept 5"
    assert server.wait_ended(10) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_at_once(own_server: ServerFactory, number: signal.Signals) -> None:
    server = own_server()
    server.get("/hello.php")
    start = time.monotonic()
    server.process.send_signal(number)
    assert server.wait_ended(10) == 0
    assert time.monotonic() - start < 4


def test_idle_keep_alive_connections_do_not_hold_up_the_end(own_server: ServerFactory) -> None:
    server = own_server()
    with server.client() as client:
        client.get("/hello.php")
        start = time.monotonic()
        assert server.terminate() == 0
        assert time.monotonic() - start < 5


def test_a_second_signal_ends_at_once_with_130(own_server: ServerFactory, tmp_path: Path) -> None:
    server = own_server(SCRIPTS, "--num-threads", "1", "--grace", "60s")
    trace = tmp_path / "trace"
    with RawConnection(server.port) as connection:
        connection.send(f"GET /sleep.php?ms=20000&trace={trace} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        wait_until(trace.exists, "the script to run")
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not _is_listening(server.port), "the server to drain")
        server.process.send_signal(signal.SIGINT)
        assert server.wait_ended(5) == 130


@pytest.mark.log_noise(".")
@pytest.mark.parametrize("query", ["ms=30000", "gate=/no/such/gate"], ids=["one long sleep", "many short ones"])
def test_the_grace_time_bounds_the_drain(own_server: ServerFactory, tmp_path: Path, query: str) -> None:
    server = own_server(SCRIPTS, "--num-threads", "1", "--grace", "1s")
    trace = tmp_path / "trace"
    with RawConnection(server.port) as connection:
        connection.send(f"GET /sleep.php?{query}&trace={trace} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        wait_until(trace.exists, "the script to run")
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        server.wait_ended(12)
        assert 0.5 < time.monotonic() - start < 9


def test_what_waits_in_the_queue_is_answered_when_the_server_drains(own_server: ServerFactory, tmp_path: Path) -> None:
    server = own_server(SCRIPTS, "--num-threads", "1")
    gate, trace = tmp_path / "gate", tmp_path / "trace"
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(server.get, f"/sleep.php?gate={gate}&trace={trace}")
        wait_until(trace.exists, "the script to run")
        queued = [pool.submit(server.get, f"/hello.php?i={i}") for i in range(3)]
        wait_until(lambda: server.queued() == 3, "three to wait")
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not _is_listening(server.port), "the server to drain")
        gate.touch()
        assert first.result().status_code == 200
        assert {future.result().status_code for future in queued} <= {200, 503}
    assert server.wait_ended(10) == 0


def test_a_port_in_use_is_one_sentence_and_exit_code_1() -> None:
    with socket.socket() as taken:
        port = free_port()
        taken.bind(("127.0.0.1", port))
        taken.listen()
        result = howdah("php-server", "-r", str(SCRIPTS), "-l", f"127.0.0.1:{port}")
    assert result.returncode == 1
    assert str(port) in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--no-such-flag"],
        ["-r", "/no/such/folder"],
        ["-r", str(SCRIPTS / "hello.php")],
        ["-l", "not an address"],
        ["-l", "127.0.0.1:99999"],
        ["--num-threads", "0"],
        ["--num-threads", "many"],
        ["--max-wait-time", "5 parsecs"],
        ["--max-body-size", "big"],
        ["--php-ini", "no-equals-sign"],
        ["--symlinks", "sometimes"],
        ["--max-queue", "-1"],
    ],
)
def test_a_mistake_on_the_command_line_is_exit_code_2_and_no_traceback(arguments: list[str]) -> None:
    result = howdah("php-server", "-l", f"127.0.0.1:{free_port()}", *arguments)
    assert result.returncode == 2, result.stderr
    assert result.stderr.strip()
    assert "Traceback" not in result.stderr


def test_an_unreadable_root_is_exit_code_2(tmp_path: Path) -> None:
    root = tmp_path / "closed"
    root.mkdir(mode=0o000)
    result = subprocess.run(
        [*_AS_NOBODY, *HOWDAH, "php-server", "-r", root, "-l", f"127.0.0.1:{free_port()}"],
        capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    assert result.returncode == 2, result.stderr
    assert str(root) in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("ini", ["opcache.preload=/no/such/preload.php", "opcache.lockfile_path=/no/such/folder"])
def test_an_ini_that_php_refuses_is_exit_code_1_with_phps_text(ini: str) -> None:
    arguments = ["-r", str(SCRIPTS), "-l", f"127.0.0.1:{free_port()}", "--php-ini", "opcache.preload_user=root"]
    result = howdah("php-server", *arguments, "--php-ini", ini)
    assert result.returncode == 1
    assert "/no/such" in result.stderr or "lock file" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_current_folder_is_the_default_root(tmp_path: Path) -> None:
    (tmp_path / "here.php").write_text("<?php echo 'here ', getcwd();")
    port = free_port()
    with subprocess.Popen(
        [*HOWDAH, "php-server", "-l", f":{port}"],
        cwd=tmp_path, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            wait_until(lambda: _is_listening(port), "the server to listen")
            assert httpx.get(f"http://127.0.0.1:{port}/here.php", trust_env=False).text == f"here {tmp_path}"
        finally:
            process.terminate()
            output = process.communicate(timeout=10)[0].decode()
    assert process.returncode == 0, output
    assert str(port) in output, "the start message names the address"


def test_a_unix_socket_can_be_listened_on(tmp_path: Path) -> None:
    path = tmp_path / "howdah.sock"
    with subprocess.Popen(
        [*HOWDAH, "php-server", "-r", SCRIPTS, "-l", f"unix/{path}"],
        env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            wait_until(lambda: _is_listening_at(path), "the server to listen")
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
                assert client.get("http://host.example/hello.php?i=4").text == "request 4"
        finally:
            process.terminate()
            output = process.communicate(timeout=10)[0].decode()
    assert process.returncode == 0, output


@pytest.mark.log_noise("http.log.access")
def test_the_access_log_has_one_line_per_request(own_server: ServerFactory) -> None:
    server = own_server(SCRIPTS, "--access-log")
    server.get("/hello.php?i=1")
    server.wait_for_log(r"GET.*/hello\.php\?i=1.*200")


def test_without_access_log_requests_are_not_logged(classic: Server) -> None:
    mark = classic.log_mark()
    classic.get("/hello.php?quiet=1")
    assert "quiet=1" not in classic.log_since(mark)


def test_max_requests_recycles_threads_and_loses_no_request(own_server: ServerFactory) -> None:
    server = own_server(SCRIPTS, "--num-threads", "2", "--max-requests", "10")
    for _ in range(3):
        answers = fetch_parallel(server.url, lambda i: {"url": f"/hello.php?i={i}"})
        assert [answer.text for answer in answers] == [f"request {i}" for i in range(100)]


@pytest.mark.log_noise("(?i)timeout|exceeded|PHP Fatal")
def test_request_timeout_ends_a_request_and_its_thread_lives_on(own_server: ServerFactory) -> None:
    server = own_server(SCRIPTS, "--num-threads", "1", "--request-timeout", "500ms")
    answer = server.get("/timeout.php?seconds=20")
    assert answer.status_code == 504
    assert answer.elapsed.total_seconds() < 3
    assert server.get("/hello.php?i=1").text == "request 1"


def test_help_and_version_name_everything() -> None:
    assert "php-server" in howdah("--help").stdout
    assert "--num-threads" in howdah("php-server", "--help").stdout
    version = howdah("version")
    assert version.returncode == 0
    for word in ("Howdah", "PHP 8", "ZTS", "OPcache", "Python", "Granian"):
        assert re.search(re.escape(word), version.stdout, re.IGNORECASE), (word, version.stdout)


def test_an_unknown_command_is_exit_code_2() -> None:
    result = howdah("no-such-command")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_help_works_without_the_native_extension() -> None:
    program = (
        "import sys; sys.modules['howdah._native'] = None; from howdah.cli.main import main; "
        "sys.argv = ['howdah', 'php-server', '--help']; sys.exit(main())"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "--root" in result.stdout


def test_several_addresses_can_be_listened_on(own_server: ServerFactory) -> None:
    second = free_port()
    server = own_server(SCRIPTS, "--listen", f"127.0.0.1:{second}")
    for port in (server.port, second):
        assert httpx.get(f"http://127.0.0.1:{port}/hello.php?i=6", trust_env=False).text == "request 6"


def test_an_address_of_ipv6_can_be_listened_on(own_server: ServerFactory) -> None:
    port = free_port()
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", port))
    except OSError:
        pytest.skip("this machine has no IPv6")
    own_server(SCRIPTS, "--listen", f"[::1]:{port}")
    seen = httpx.get(f"http://[::1]:{port}/server.php", trust_env=False).json()
    assert (seen["REMOTE_ADDR"], seen["SERVER_NAME"]) == ("::1", "[::1]")
