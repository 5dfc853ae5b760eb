"""Sites of a Caddyfile with real PHP: what scripts see behind matchers, rewrites, proxies and error pages."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import pytest

from tests.php.harness.raw import RawConnection
from tests.php.harness.server import Server, ServerFactory
from tests.php.harness.waiting import wait_until

CADDYFILE = """
{{
	admin off
	auto_https off
	frankenphp {{
		num_threads 3
		php_ini display_errors 0
	}}
	servers {{
		trusted_proxies static 127.0.0.1/32
	}}
}}

http://plain.test:PORT {{
	root {root}/public
	encode gzip
	php_server
}}

http://routes.test:PORT {{
	root {root}/public
	@post path_regexp post ^/post/([0-9]+)$
	rewrite @post /server.php?id={{re.post.1}}
	handle_path /strip/* {{
		rewrite /server.php{{uri}}
		php_server
	}}
	handle /vars* {{
		request_header X-Added "from {{host}}"
		php_server {{
			try_files server.php
			env FIXED one
			env FROM_HOST "{{host}}-{{query.x}}"
		}}
	}}
	handle /only/* {{
		uri strip_prefix /only
		php
	}}
	handle /limited {{
		request_body {{
			max_size 10
		}}
		rewrite /server.php
		php
	}}
	handle /cut {{
		abort
	}}
	handle /private/* {{
		basic_auth {{
			ann {hash}
		}}
		rewrite /server.php
		php
	}}
	handle /download.php {{
		x_sendfile * {root}/private
		php
	}}
	handle {{
		header X-Site routes
		php_server {{
			index off
		}}
	}}
}}

http://errors.test:PORT {{
	root {root}/public
	php_server {{
		index off
	}}
	handle_errors 404 {{
		rewrite /missing.php?code={{err.status_code}}
		php
	}}
	handle_errors 5xx {{
		respond "sorry, {{err.status_code}}"
	}}
}}

http://*.many.test:PORT {{
	root {root}/many/{{labels.2}}
	php_server
}}

http://link.test:PORT {{
	root {root}/link
	php_server
}}

http://unresolved.test:PORT {{
	root {root}/link
	php_server {{
		resolve_root_symlink false
	}}
}}
"""
SERVER = "<?php header('Content-Type: application/json'); echo json_encode($_SERVER + ['GETENV' => getenv('FROM_HOST'), 'GET' => $_GET, 'BODY' => file_get_contents('php://input')]);"


FORWARDED = {
    "x-forwarded-for": "6.6.6.6, 1.2.3.4",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "www.example.com",
    "x-forwarded-port": "8443",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sites")
    files = {
        "public/index.php": "<?php echo 'index ', $_SERVER['REQUEST_URI'];",
        "public/server.php": SERVER,
        "public/style.css": "p{}" * 500,
        "public/fatal.php": "<?php header('X-Kept: 1'); throw new RuntimeException('secret of ' . __FILE__);",
        "public/missing.php": "<?php echo 'page of ', $_GET['code'], ' for ', $_SERVER['REQUEST_URI'];",
        "public/own.php": "<?php http_response_code(500); echo 'own page';",
        "public/download.php": "<?php session_start(); header('X-Sendfile: ' . $_GET['f']); header('Content-Disposition: attachment'); echo 'not this';",
        "private/data.txt": "private data",
        "many/a/index.php": "<?php echo 'site a';",
        "many/b/index.php": "<?php echo 'site b';",
        "release/index.php": "<?php echo $_SERVER['DOCUMENT_ROOT'], ' ', $_SERVER['SCRIPT_FILENAME'];",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "link").symlink_to(root / "release")
    return root


@pytest.fixture(scope="module")
def server(module_caddyfile: ServerFactory, root: Path) -> Server:
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    started: Server = module_caddyfile(CADDYFILE.format(root=root, hash=hashed), root / "public")
    # The warm-up's host is nobody's here, so what starts with the first request of its kind starts now.
    assert started.get("/server.php", headers={"host": "plain.test"}).status_code == 200
    assert started.get("/private/x", headers={"host": "routes.test"}, auth=("ann", "wrong")).status_code == 401
    wait_until(lambda: not started.connections(), "the connection to be closed")
    started.note_base()
    return started


Get = Callable[..., httpx.Response]


@pytest.fixture
def get(server: Server) -> Any:
    with server.client() as client:

        def ask(host: str, path: str, method: str = "GET", **options: Any) -> httpx.Response:
            headers = {"host": f"{host}.test", **options.pop("headers", {})}
            return client.request(method, path, headers=headers, **options)

        yield ask


class TestPlain:
    def test_scripts_files_and_front_controller(self, get: Get) -> None:
        assert get("plain", "/some/page?x=1").text == "index /some/page?x=1"
        assert get("plain", "/style.css").text == "p{}" * 500
        assert get("plain", "/server.php").json()["SERVER_NAME"] == "plain.test"

    def test_encoding(self, get: Get) -> None:
        response = get("plain", "/style.css", headers={"accept-encoding": "gzip, br"})
        assert response.headers["content-encoding"] == "gzip"
        assert response.text == "p{}" * 500

    def test_unknown_host_gets_an_empty_200(self, get: Get) -> None:
        response = get("nobody", "/server.php")
        assert (response.status_code, response.content) == (200, b"")

    def test_many_requests_at_once_find_their_sites(self, server: Server) -> None:
        async def run() -> list[str]:
            async with httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as client:
                hosts = [("a", "b")[number % 2] for number in range(100)]
                answers = await asyncio.gather(
                    *(client.get("/", headers={"host": f"{host}.many.test"}) for host in hosts)
                )
                return [answer.text for answer in answers]

        assert asyncio.run(run()) == ["site a", "site b"] * 50


class TestRoutes:
    def test_rewritten_script_sees_the_address_as_it_came(self, get: Get) -> None:
        told = get("routes", "/post/42").json()
        assert (told["REQUEST_URI"], told["SCRIPT_NAME"], told["QUERY_STRING"]) == ("/post/42", "/server.php", "id=42")
        assert told["GET"] == {"id": "42"}

    def test_stripped_prefix(self, get: Get) -> None:
        told = get("routes", "/strip/a/b?x=1").json()
        assert told["REQUEST_URI"] == "/strip/a/b?x=1"
        assert (told["SCRIPT_NAME"], told["PATH_INFO"], told["GET"]) == ("/server.php", "/a/b", {"x": "1"})

    def test_env_and_request_headers(self, get: Get) -> None:
        for value in ("1", "2"):
            told = get("routes", f"/vars?x={value}").json()
            assert (told["FIXED"], told["FROM_HOST"]) == ("one", f"routes.test-{value}")
            assert told["GETENV"] == f"routes.test-{value}"
            assert told["HTTP_X_ADDED"] == "from routes.test"
        assert "FROM_HOST" not in get("plain", "/server.php").json()

    def test_php_runs_only_scripts(self, get: Get) -> None:
        assert get("routes", "/only/server.php").json()["SCRIPT_NAME"] == "/server.php"
        assert get("routes", "/only/style.css").status_code == 404

    def test_body_has_a_bound(self, get: Get) -> None:
        assert get("routes", "/limited", "POST", content=b"x" * 11).status_code == 413
        assert get("routes", "/limited", "POST", content=b"x" * 10).json()["BODY"] == "x" * 10

    def test_abort_cuts_the_connection(self, server: Server) -> None:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(b"GET /cut HTTP/1.1\r\nHost: routes.test\r\n\r\n")
            answer = b""
            while data := connection.recv(65536):  # ends, because the server closes
                answer += data
        assert b"\r\n\r\n" not in answer or answer.endswith(b"\r\n\r\n")

    def test_password(self, get: Get) -> None:
        assert get("routes", "/private/x").status_code == 401
        told = get("routes", "/private/x", auth=("ann", "secret")).json()
        assert (told["PHP_AUTH_USER"], told["REMOTE_USER"]) == ("ann", "ann")

    def test_file_in_the_place_of_the_script_s_answer(self, get: Get) -> None:
        response = get("routes", "/download.php?f=data.txt")
        assert response.text == "private data"
        assert response.headers["content-disposition"] == "attachment"
        assert "PHPSESSID" in response.headers["set-cookie"]
        assert "x-sendfile" not in response.headers
        assert response.headers["content-type"].startswith("text/plain")
        for name in ("../public/server.php", "/etc/passwd", "none"):
            assert get("routes", f"/download.php?f={name}").status_code == 404

    def test_large_file_in_the_place_of_the_answer(self, root: Path, get: Get) -> None:
        data = bytes(range(256)) * 20_000
        (root / "private" / "large.bin").write_bytes(data)
        response = get("routes", "/download.php?f=large.bin")
        assert response.content == data
        part = get("routes", "/download.php?f=large.bin", headers={"range": "bytes=-4"})
        assert (part.status_code, part.content) == (206, data[-4:])

    def test_header_and_missing_file(self, get: Get) -> None:
        response = get("routes", "/none")
        assert (response.status_code, response.headers["x-site"]) == (404, "routes")


class TestProxies:
    def test_trusted_proxy_is_believed(self, get: Get) -> None:
        told = get("plain", "/server.php", headers=FORWARDED).json()
        assert told["REMOTE_ADDR"] == "1.2.3.4"
        assert (told["HTTPS"], told["REQUEST_SCHEME"]) == ("on", "https")
        assert (told["SERVER_NAME"], told["SERVER_PORT"]) == ("www.example.com", "8443")
        assert told["HTTP_HOST"] == "plain.test"

    def test_site_is_still_chosen_by_host(self, get: Get) -> None:
        assert get("a.many", "/", headers=FORWARDED).text == "site a"

    def test_without_its_headers_nothing_changes(self, get: Get) -> None:
        told = get("plain", "/server.php").json()
        assert (told["REMOTE_ADDR"], told["HTTPS"], told["SERVER_NAME"]) == ("127.0.0.1", "", "plain.test")


@pytest.mark.log_noise("PHP Fatal error|RuntimeException|fatal.php")
class TestErrors:
    def test_fatal_without_debug_leaks_nothing(self, get: Get) -> None:
        response = get("plain", "/fatal.php")
        assert response.status_code == 500
        assert response.headers["x-kept"] == "1"
        assert "secret" not in response.text
        assert ".php" not in response.text
        assert response.text.startswith("500 Internal Server Error")

    def test_page_of_ones_own(self, get: Get) -> None:
        response = get("errors", "/fatal.php")
        assert (response.status_code, response.text) == (500, "sorry, 500")

    def test_page_that_the_script_has_written_stays(self, get: Get) -> None:
        response = get("errors", "/own.php")
        assert (response.status_code, response.text) == (500, "own page")

    def test_php_writes_the_page_of_an_error(self, get: Get) -> None:
        response = get("errors", "/nothing/here?x=1")
        assert (response.status_code, response.text) == (404, "page of 404 for /nothing/here?x=1")

    def test_page_of_an_error_after_a_post(self, get: Get) -> None:
        response = get("errors", "/nothing", "POST", content=b"x" * 100_000)
        assert (response.status_code, response.text) == (404, "page of 404 for /nothing")


class TestRoots:
    def test_root_by_name(self, get: Get) -> None:
        assert get("a.many", "/").text == "site a"
        assert get("b.many", "/").text == "site b"
        assert get("c.many", "/").status_code == 404

    def test_root_cannot_be_left_by_a_name(self, server: Server) -> None:
        with RawConnection(server.port) as client:
            client.send(b"GET /public/server.php HTTP/1.1\r\nHost: ...many.test\r\nConnection: close\r\n\r\n")
            assert b"DOCUMENT_ROOT" not in client.read_response().body

    def test_links_in_the_root(self, root: Path, get: Get) -> None:
        assert get("link", "/").text == f"{root}/release {root}/release/index.php"
        assert get("unresolved", "/").text == f"{root}/link {root}/link/index.php"


@pytest.mark.log_noise("what went wrong")
def test_debug_shows_message_file_line_and_trace(own_caddyfile: ServerFactory, tmp_path: Path) -> None:
    (tmp_path / "index.php").write_text("<?php\nfunction inner() { throw new LogicException('what went wrong'); }\n")
    (tmp_path / "fatal.php").write_text("<?php\nrequire 'index.php';\ninner();\n")
    text = f"""
        {{
            admin off
            debug
            frankenphp {{
                num_threads 2
            }}
        }}
        http://:PORT {{
            root {tmp_path}
            php_server {{
                index off
            }}
        }}
    """
    server: Server = own_caddyfile(text, tmp_path)
    page = server.get("/fatal.php").text
    for part in ("what went wrong", "index.php", "LogicException", "#0", "inner()", "fatal.php"):
        assert part in page
    missing = server.get("/nothing")
    assert missing.status_code == 404
    assert "nothing at /nothing" in missing.text
