"""``howdah run``: sites by name, port and socket, TLS, redirects, protocols, and what is wrong with a configuration."""

from __future__ import annotations

import socket
import ssl
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.php.harness.commands import howdah
from tests.php.harness.http2 import Http2Connection
from tests.php.harness.ports import free_port
from tests.php.harness.raw import RawConnection
from tests.php.harness.server import HOWDAH, SCRIPTS, Server, ServerFactory, clean_environment
from tests.php.harness.waiting import wait_until
from tests.unit.serve.certificates import write_pair

_CADDYFILE = """
{
	http_port HTTP
	https_port TLS
	admin off
	servers {
		protocols h1 h2 h2c
		max_header_size 16kb
	}
	frankenphp {
		num_threads 3
	}
}
http://127.0.0.1:PORT {
	root SCRIPTS
	php_server
}
http://two.test:PORT {
	respond "two {host}"
}
http://*.wild.test:PORT {
	respond "wild"
}
http://two.test:PORT/below/* {
	respond "below"
}
localhost, inside.test {
	root SCRIPTS
	encode zstd br gzip
	php_server
}
files.test:OTHER {
	tls CRT KEY
	respond "files {scheme}"
}
http://:81 {
	bind unix/SOCKET
	respond "socket"
}
"""


@dataclass
class World:
    """A server with many sites, and where they are."""

    server: Server
    http: int
    tls: int
    other: int
    socket: Path
    data: Path
    pair: tuple[str, str]

    def client(self, *, http2: bool = False) -> httpx.Client:
        """Give a client that trusts the local authority and the certificate of files.test."""
        context = ssl.create_default_context(cafile=str(self.data / "howdah" / "pki" / "root.crt"))
        context.load_verify_locations(self.pair[0])
        return httpx.Client(verify=context, http2=http2, trust_env=False, timeout=20)


@pytest.fixture(scope="module")
def world(module_caddyfile: ServerFactory, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    http, tls, other = free_port(), free_port(), free_port()
    import datetime as dt

    pair = write_pair(folder, "files", "files.test", "localhost", begin=dt.datetime.now(dt.UTC))
    path = folder / "howdah.sock"
    text = _CADDYFILE
    for word, value in {
        "HTTP": http, "TLS": tls, "OTHER": other, "SCRIPTS": SCRIPTS, "SOCKET": path, "CRT": pair[0], "KEY": pair[1],
    }.items():  # fmt: skip
        text = text.replace(word, str(value))
    server = module_caddyfile(text, SCRIPTS, env={"XDG_DATA_HOME": str(folder)})
    return World(server, http, tls, other, path, folder, pair)


def ask(world: World, host: str, path: str = "/") -> httpx.Response:
    return world.server.get(path, headers={"host": host})


class TestSites:
    def test_host_chooses_the_site(self, world: World) -> None:
        assert ask(world, f"127.0.0.1:{world.server.port}", "/hello.php?i=3").text == "request 3"
        assert ask(world, f"two.test:{world.server.port}").text == "two two.test"
        assert ask(world, "TWO.test").text == "two two.test"
        assert ask(world, "x.wild.test").text == "wild"

    def test_path_of_an_address_chooses_the_closer_site(self, world: World) -> None:
        assert ask(world, "two.test", "/below/x").text == "below"
        assert ask(world, "two.test", "/belowx").text == "two two.test"

    def test_host_that_nobody_serves_gets_an_empty_200(self, world: World) -> None:
        answer = ask(world, "nobody.test", "/hello.php")
        assert (answer.status_code, answer.text) == (200, "")

    def test_site_of_another_port_is_not_served(self, world: World) -> None:
        assert ask(world, "inside.test", "/hello.php").text == ""

    def test_socket_file(self, world: World) -> None:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(world.socket))) as client:
            assert client.get("http://any.test/").text == "socket"

    def test_announcement_says_what_is_where(self, world: World) -> None:
        log = world.server.log()
        assert f"https://localhost:{world.tls}/ https://inside.test:{world.tls}/" in log
        assert f"http://localhost:{world.http}/ redirects to HTTPS" in log
        assert str(world.socket) in log

    def test_head_that_is_too_large_is_431(self, world: World) -> None:
        with RawConnection(world.server.port) as connection:
            connection.send(b"GET /hello.php HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"f" * 30_000 + b"\r\n\r\n")
            assert connection.read_response().status == 431


class TestTls:
    @pytest.mark.parametrize(("http2", "version"), [(False, "HTTP/1.1"), (True, "HTTP/2")])
    def test_localhost_has_a_certificate_of_the_local_authority(self, world: World, http2: bool, version: str) -> None:
        with world.client(http2=http2) as client:
            answer = client.get(f"https://localhost:{world.tls}/server.php/info?a=b")
        seen = answer.json()
        assert answer.http_version == version
        assert (seen["HTTPS"], seen["REQUEST_SCHEME"]) == ("on", "https")
        assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == ("localhost", str(world.tls))
        assert seen["SERVER_PROTOCOL"] == ("HTTP/2.0" if http2 else "HTTP/1.1")
        assert (seen["PATH_INFO"], seen["QUERY_STRING"]) == ("/info", "a=b")

    def test_one_certificate_is_for_all_names_of_the_address(self, world: World) -> None:
        for name in ("localhost", "inside.test"):
            context = ssl.create_default_context(cafile=str(world.data / "howdah" / "pki" / "root.crt"))
            with (
                socket.create_connection(("127.0.0.1", world.tls)) as plain,
                context.wrap_socket(plain, server_hostname=name) as tls,
            ):
                assert tls.version() == "TLSv1.3"

    def test_posts_over_http_2(self, world: World) -> None:
        with world.client(http2=True) as client:
            answer = client.post(f"https://localhost:{world.tls}/large_request.php", content=b"x" * 300_000)
        assert answer.http_version == "HTTP/2"
        assert answer.status_code == 200
        assert "300000" in answer.text

    def test_certificate_of_files(self, world: World) -> None:
        with world.client() as client:
            answer = client.get(f"https://localhost:{world.other}/", headers={"host": f"files.test:{world.other}"})
        assert answer.text == "files https"

    def test_keys_are_closed_to_others(self, world: World) -> None:
        keys = list((world.data / "howdah" / "pki").rglob("*.key"))
        assert len(keys) == 2
        assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}

    def test_plain_request_to_a_tls_port_hurts_nobody(self, world: World) -> None:
        with RawConnection(world.tls) as connection:
            connection.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.is_closed_within(5.0)
        with world.client() as client:
            assert client.get(f"https://localhost:{world.tls}/hello.php?i=1").text == "request 1"


class TestRedirects:
    def test_names_with_tls_are_redirected_with_host_and_path(self, world: World) -> None:
        answer = httpx.get(f"http://localhost:{world.http}/a%2Fb/c?d=e&f", trust_env=False)
        assert answer.status_code == 308
        assert answer.headers["location"] == f"https://localhost:{world.tls}/a%2Fb/c?d=e&f"
        with world.client() as client:
            url = f"http://localhost:{world.http}/hello.php?i=5"
            assert client.get(url, follow_redirects=True).text == "request 5"

    def test_gateway_that_maps_the_ports_is_not_told_ours(self, world: World) -> None:
        answer = httpx.get(f"http://127.0.0.1:{world.http}/x", headers={"host": "inside.test"}, trust_env=False)
        assert answer.headers["location"] == "https://inside.test/x"

    def test_port_of_its_own_is_named(self, world: World) -> None:
        answer = httpx.get(f"http://127.0.0.1:{world.http}/x", headers={"host": "files.test"}, trust_env=False)
        assert answer.headers["location"] == f"https://files.test:{world.other}/x"

    def test_unknown_names_are_not_redirected(self, world: World) -> None:
        answer = httpx.get(f"http://127.0.0.1:{world.http}/x", headers={"host": "evil.test"}, trust_env=False)
        assert (answer.status_code, answer.text) == (200, "")


def test_http_2_without_tls(world: World) -> None:
    with Http2Connection(world.server.port) as connection:
        answer = connection.response(connection.request("GET", "/server.php?i=1"))
    assert answer.status == 200
    assert b'"SERVER_PROTOCOL":"HTTP/2.0"' in answer.body
    assert b'"SERVER_NAME":"127.0.0.1"' in answer.body


def run_with(text: str, folder: Path, **options: object) -> subprocess.CompletedProcess[str]:
    file = folder / "Caddyfile"
    file.write_text(text)
    env = {"XDG_DATA_HOME": str(folder / "data")}
    return howdah("run", "-c", str(file), env=env, **options)  # type: ignore[arg-type]


def refused(result: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


class TestMistakes:
    """Those beside the list of `test_mistakes.py`."""

    def test_missing_file(self, tmp_path: Path) -> None:
        refused(howdah("run", "-c", str(tmp_path / "none")), 2, "there is no such file")

    def test_neither_a_file_nor_the_folder_that_stands_in_for_it(self, tmp_path: Path) -> None:
        result = howdah(
            "run", cwd=tmp_path, env={"CADDY_GLOBAL_OPTIONS": "admin off", "SERVER_NAME": f"http://:{free_port()}"}
        )
        refused(result, 2, "there is no Caddyfile here; name one with -c", f"document root '{tmp_path}/public/'")
        assert "default.caddyfile" not in result.stderr

    def test_no_site(self, tmp_path: Path) -> None:
        refused(run_with("{\n\tadmin off\n}\n", tmp_path), 2, "has no site")

    @pytest.mark.parametrize(
        ("worker", "position"), [("worker /no/such.php", "3:8"), ("worker {\nfile /no/such.php\n}", "4:6")]
    )
    def test_missing_script_of_a_worker(self, tmp_path: Path, worker: str, position: str) -> None:
        text = f":{free_port()} {{\nphp_server {{\n{worker}\n}}\n}}\n"
        said = f"Caddyfile:{position}: worker script /no/such.php does not exist; create it"
        refused(run_with(text, tmp_path), 2, said)

    def test_certificate_that_the_http_server_would_end_by(self, tmp_path: Path) -> None:
        from cryptography import x509

        extra = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
        pair = write_pair(tmp_path, "odd", "localhost", extra=extra)
        text = f"{{\n\tadmin off\n}}\nlocalhost:{free_port()} {{\n\ttls {pair[0]} {pair[1]}\n}}\n"
        refused(run_with(text, tmp_path), 2, "cannot be served", "UnsupportedCriticalExtension")

    def test_two_certificates_at_one_address(self, tmp_path: Path) -> None:
        one, other = write_pair(tmp_path, "one", "a.test"), write_pair(tmp_path, "other", "b.test")
        port = free_port()
        text = "".join(
            f"{name}:{port} {{\n\ttls {pair[0]} {pair[1]}\n}}\n" for name, pair in (("a.test", one), ("b.test", other))
        )
        refused(run_with(text, tmp_path), 2, f"a.test:{port} (line 1)", f"b.test:{port} (line 4)")

    def test_port_in_use(self, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            text = f"{{\n\tadmin off\n}}\nhttp://127.0.0.1:{port} {{\n\tbind 127.0.0.1\n}}\n"
            refused(run_with(text, tmp_path), 1, str(port), "in use")

    def test_admin_port_in_use(self, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            text = f"{{\n\tadmin localhost:{port}\n}}\nhttp://127.0.0.1:{free_port()} {{\n}}\n"
            refused(run_with(text, tmp_path), 1, "admin API", str(port), "admin off")

    def test_worker_that_does_not_boot_is_told_with_phps_message(self, tmp_path: Path) -> None:
        (tmp_path / "broken.php").write_text("<?php throw new Exception('no database');")
        text = (
            f"{{\n\tadmin off\n\tfrankenphp {{\n\t\tworker {tmp_path}/broken.php 1\n\t}}\n}}\n"
            f"http://127.0.0.1:{free_port()} {{\n\troot {tmp_path}\n\tphp_server\n}}\n"
        )
        refused(run_with(text, tmp_path, timeout_s=60.0), 1, "broken.php", "no database")


def test_the_file_of_the_folder_is_the_default_and_without_one_there_is_a_default_site(tmp_path: Path) -> None:
    port = free_port()
    public = tmp_path / "public"
    public.mkdir()
    (public / "index.php").write_text("<?php echo 'default site';")
    env = {"SERVER_NAME": f"http://127.0.0.1:{port}", "CADDY_GLOBAL_OPTIONS": "admin off"}
    assert _answer_of(tmp_path, port, env) == "default site"
    (tmp_path / "Caddyfile").write_text(f"{{\n\tadmin off\n}}\nhttp://127.0.0.1:{port} {{\n\trespond own\n}}\n")
    assert _answer_of(tmp_path, port, env) == "own"


def _answer_of(folder: Path, port: int, env: dict[str, str]) -> str:
    with subprocess.Popen(
        [*HOWDAH, "run"],
        cwd=folder, env=clean_environment(env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            wait_until(lambda: _listens(port) or process.poll() is not None, "the server to listen")
            return httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).text
        finally:
            process.terminate()
            output = process.communicate(timeout=10)[0].decode()
            assert process.returncode == 0, output


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class TestTrust:
    def test_says_where_the_certificate_is(self, tmp_path: Path) -> None:
        result = howdah("trust", env={"XDG_DATA_HOME": str(tmp_path)})
        assert result.returncode == 0
        root = tmp_path / "howdah" / "pki" / "root.crt"
        assert str(root) in result.stdout
        assert root.exists()

    def test_folder_that_cannot_be_used_is_a_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "howdah").write_text("a file")
        refused(howdah("trust", env={"XDG_DATA_HOME": str(tmp_path)}), 1, "XDG_DATA_HOME")


@pytest.mark.parametrize("command", ["stop", "reload"])
def test_commands_say_when_no_server_answers(command: str, tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "Caddyfile").write_text(f"{{\n\tadmin localhost:{port}\n}}\n:8000 {{\n}}\n")
    result = howdah(command, "--address", f"localhost:{port}", cwd=tmp_path)
    refused(result, 1, f"no Howdah answers at localhost:{port}")
