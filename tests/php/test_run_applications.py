"""The reference's end-to-end cases of scripts, workers, their environment and php.ini, through ``howdah run``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.ports import free_port
from tests.php.harness.raw import RawConnection
from tests.php.harness.scripts import either, write_files
from tests.php.harness.server import Server, ServerFactory
from tests.php.harness.waiting import wait_until

_OF_APP = "echo 'Worker has APP_ENV=', $boot;"
_VARIABLES = (
    "CONTENT_LENGTH HTTP_CONTENT_LENGTH CONTENT_TYPE HTTP_CONTENT_TYPE HTTP_SPECIAL_CHARS DOCUMENT_ROOT DOCUMENT_URI "
    "GATEWAY_INTERFACE HTTP_HOST HTTPS PATH_INFO REMOTE_ADDR PHP_SELF REMOTE_HOST REQUEST_SCHEME SCRIPT_FILENAME "
    "SCRIPT_NAME SERVER_NAME SERVER_PORT SERVER_PROTOCOL SERVER_SOFTWARE SSL_PROTOCOL AUTH_TYPE REMOTE_IDENT "
    "PATH_TRANSLATED QUERY_STRING REMOTE_USER REQUEST_METHOD REQUEST_URI HTTP_X_EMPTY_HEADER"
)
FILES = {
    "classic/index.php": either("echo 'index (', $_GET['i'] ?? 'not set', ')';"),
    "classic/large.php": "<?php echo 'Request body size: ', strlen(file_get_contents('php://input'));",
    "worker/index.php": either(
        "echo 'index (', $_GET['i'] ?? 'not set', ') ', isset($boot) ? 'worker' : 'classic';", "1"
    ),
    "app/app.php": either(_OF_APP, "$_SERVER['APP_ENV'] ?? 'none'"),
    "app/foo.php": either("echo $_SERVER['FOO'], $boot;", "$_SERVER['FOO'] ?? 'none'"),
    "app/env.php": either("foreach ($_GET['keys'] as $key) { echo $key, '=', $_ENV[$key], ','; }"),
    "app/ini.php": either("echo $_GET['key'], ':', ini_get($_GET['key']);"),
    "app/classic_ini.php": either("echo $_GET['key'], ':', ini_get($_GET['key']);"),
    "app/dd.php": """<?php
        class Dumped { public function __construct(public string $text) {} public function __destruct() { echo $this->text; } }
        while (frankenphp_handle_request(function () {
            $dumped = new Dumped($_GET['output']);
            http_response_code(500);
            exit(1);
        }));""",
    "app/variables.php": f"<?php foreach (explode(' ', '{_VARIABLES}') as $name) {{ echo $name, ':', $_SERVER[$name], PHP_EOL; }}",
}
CADDYFILE = """
{
	admin off
	auto_https off
	frankenphp {
		num_threads 14
		php_ini variables_order "EGPCS"
		php_ini {
			upload_max_filesize 100M
			memory_limit 10000000
		}
		worker ROOT/worker/index.php 2
		worker {
			file ROOT/app/app.php
			num 1
			env APP_ENV global
		}
		worker {
			file ROOT/app/foo.php
			num 1
			env FOO bar
		}
		worker ROOT/app/env.php 1
		worker ROOT/app/ini.php 1
	}
}

http://classic.test:PORT {
	route {
		php {
			root ROOT/classic
		}
	}
}

http://worker.test:PORT {
	route {
		php {
			root ROOT/worker
		}
	}
}

http://app.test:PORT {
	route {
		php {
			root ROOT/app
			worker {
				file app.php
				num 2
				env APP_ENV module
			}
		}
	}
}

http://app.test:OTHER {
	route {
		php {
			root ROOT/app
		}
	}
}

http://inherit.test:PORT {
	php {
		root ROOT/app
		env APP_ENV inherit_this
		worker app.php 1
	}
}

http://one.test:PORT {
	php {
		root ROOT/app
		worker {
			file app.php
			num 1
			env APP_ENV one
			name module1
		}
	}
}

http://two.test:PORT {
	php {
		root ROOT/app
		worker {
			file app.php
			num 1
			env APP_ENV two
			name module2
		}
	}
}

http://foo.test:PORT {
	route {
		php {
			root ROOT/app
			env FOO baz
		}
	}
}

http://placeholder.test:PORT {
	route {
		vars greeting "hello {query.to} "
		php {
			root ROOT/app
			env FOO {vars.greeting}
		}
	}
}

http://dd.test:PORT {
	php {
		worker ROOT/app/dd.php 1 {
			match *
		}
	}
}

http://variables.test:PORT {
	route {
		root ROOT/app
		rewrite /variables.php/path
		php
	}
}
"""


@dataclass
class World:
    """The server of this module."""

    server: Server
    other: int
    root: Path

    def ask(self, site: str, path: str) -> str:
        """Give the text of an answer that must be a 200."""
        answer = self.server.get(path, headers={"host": f"{site}.test"})
        assert answer.status_code == 200, answer.text
        return answer.text


@pytest.fixture(scope="module")
def world(module_caddyfile: ServerFactory, tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("applications")
    write_files(root, FILES)
    other = free_port()
    text = CADDYFILE.replace("ROOT", str(root)).replace("OTHER", str(other))
    server: Server = module_caddyfile(text, root / "classic", env={"ENV1": "value1", "ENV2": "value2"})
    # The warm-up's host is nobody's here, so what starts with PHP's first request starts now.
    assert server.get("/index.php", headers={"host": "classic.test"}).status_code == 200
    wait_until(lambda: not server.connections(), "the connection to be closed")
    server.note_base()
    return World(server, other, root)


def parallel(world: World, site: str, path: str) -> list[str]:
    answers = fetch_parallel(world.server.url, lambda i: {"url": path.format(i), "headers": {"host": f"{site}.test"}})
    assert {answer.status_code for answer in answers} == {200}
    return [answer.text for answer in answers]


def test_a_hundred_requests_of_php_in_a_route_get_their_own_answers(world: World) -> None:
    assert parallel(world, "classic", "/index.php?i={}") == [f"index ({i})" for i in range(100)]


def test_a_hundred_requests_of_a_global_worker_get_their_own_answers(world: World) -> None:
    assert parallel(world, "worker", "/index.php?i={}") == [f"index ({i}) worker" for i in range(100)]


def test_a_megabyte_is_posted(world: World) -> None:
    answer = world.server.post("/large.php", content=b"f" * 1_048_576, headers={"host": "classic.test"})
    assert (answer.status_code, answer.text) == (200, "Request body size: 1048576")


def test_the_same_file_as_global_and_as_site_worker_has_two_environments(world: World) -> None:
    def request(i: int) -> dict[str, Any]:
        port = (world.server.port, world.other)[i % 2]
        return {"url": f"http://127.0.0.1:{port}/app.php", "headers": {"host": "app.test"}}

    for i, answer in enumerate(fetch_parallel(world.server.url, request, 20)):
        assert answer.text == f"Worker has APP_ENV={('module', 'global')[i % 2]}"


def test_a_worker_inherits_the_environment_of_its_site(world: World) -> None:
    assert world.ask("inherit", "/app.php") == "Worker has APP_ENV=inherit_this"


def test_named_workers_of_two_sites_with_one_file_have_their_own_environments(world: World) -> None:
    for _ in range(10):
        assert world.ask("one", "/app.php") == "Worker has APP_ENV=one"
        assert world.ask("two", "/app.php") == "Worker has APP_ENV=two"
    names = [worker["name"] for worker in world.server.statistics()["workers"]]
    assert {"module1", "module2"} <= set(names)
    assert len(set(names)) == len(names)


def test_a_request_sees_the_site_s_variable_and_the_boot_saw_the_worker_s(world: World) -> None:
    assert world.ask("foo", "/foo.php") == "bazbar"


def test_a_variable_of_the_site_s_own_is_filled_in_for_each_request(world: World) -> None:
    for name in ("you", "me"):
        assert world.ask("placeholder", f"/foo.php?to={name}") == f"hello {name} bar"


def test_variables_of_the_system_are_in_env_of_a_worker(world: World) -> None:
    assert world.ask("foo", "/env.php?keys[]=ENV1&keys[]=ENV2") == "ENV1=value1,ENV2=value2,"


@pytest.mark.parametrize("script", ["ini.php", "classic_ini.php"], ids=["worker", "classic"])
@pytest.mark.parametrize(("key", "value"), [("upload_max_filesize", "100M"), ("memory_limit", "10000000")])
def test_ini_values_hold_for_every_request(world: World, script: str, key: str, value: str) -> None:
    for _ in range(2):
        assert world.ask("foo", f"/{script}?key={key}") == f"{key}:{value}"


@pytest.mark.log_noise("dd.php")
def test_what_destructors_print_after_exit_belongs_to_the_answer(world: World) -> None:
    for number in range(3):
        answer = world.server.get(f"/some-path?output=dump{number}", headers={"host": "dd.test"})
        assert (answer.status_code, answer.text) == (500, f"dump{number}")


def test_every_variable_of_a_post_after_a_rewrite_is_exact(world: World) -> None:
    port, folder = world.server.port, f"{world.root}/app"
    with RawConnection(port) as connection:
        connection.send(
            b"POST /original-path?specialChars=%3E\\x00%00</> HTTP/1.1\r\n"
            b"Host: variables.test:" + str(port).encode() + b"\r\n"
            b"Authorization: Basic dXNlcjo=\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            b"Special-Chars: <%00>\r\nX-Empty-Header:\r\nContent-Length: 7\r\n\r\nfoo=bar"
        )
        answer = connection.read_response()
    assert answer.status == 200
    expected = {
        "CONTENT_LENGTH": "7",
        "HTTP_CONTENT_LENGTH": "7",
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "HTTP_CONTENT_TYPE": "application/x-www-form-urlencoded",
        "HTTP_SPECIAL_CHARS": "<%00>",
        "DOCUMENT_ROOT": folder,
        "DOCUMENT_URI": "/variables.php",
        "GATEWAY_INTERFACE": "CGI/1.1",
        "HTTP_HOST": f"variables.test:{port}",
        "HTTPS": "",
        "PATH_INFO": "/path",
        "REMOTE_ADDR": "127.0.0.1",
        "PHP_SELF": "/variables.php/path",
        "REMOTE_HOST": "127.0.0.1",
        "REQUEST_SCHEME": "http",
        "SCRIPT_FILENAME": f"{folder}/variables.php",
        "SCRIPT_NAME": "/variables.php",
        "SERVER_NAME": "variables.test",
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "Howdah",
        "SSL_PROTOCOL": "",
        "AUTH_TYPE": "",
        "REMOTE_IDENT": "",
        "PATH_TRANSLATED": f"{folder}/path",
        "QUERY_STRING": "specialChars=%3E\\x00%00</>",
        "REMOTE_USER": "user",
        "REQUEST_METHOD": "POST",
        "REQUEST_URI": "/original-path?specialChars=%3E\\x00%00</>",
        "HTTP_X_EMPTY_HEADER": "",
    }
    assert answer.body.decode().splitlines() == [f"{name}:{expected[name]}" for name in _VARIABLES.split()]
