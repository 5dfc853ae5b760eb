"""What `php_server` means in a Caddyfile: the reference's end-to-end cases of routing, workers by match, env and roots."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.server import Server, ServerFactory
from tests.php.harness.waiting import wait_until

GLOBALS = (
    "<?php echo json_encode(array_intersect_key($_SERVER, array_flip(['REQUEST_URI', 'PATH_INFO', 'PATH_TRANSLATED', "
    "'SCRIPT_NAME', 'SCRIPT_FILENAME', 'PHP_SELF', 'DOCUMENT_URI', 'DOCUMENT_ROOT'])));"
)
COUNTER = "<?php $n = 0; do { $ok = frankenphp_handle_request(function () use (&$n) { echo 'requests:', ++$n; }); } while ($ok);"
WORKER_GLOBALS = (
    "<?php do { $ok = frankenphp_handle_request(function () { " + GLOBALS.removeprefix("<?php ") + " }); } while ($ok);"
)
ENV = "<?php do { $ok = frankenphp_handle_request(function () { echo ($_SERVER['APP_ENV'] ?? 'none'), '|', getenv('APP_ENV') ?: 'none'; }); } while ($ok);"

CADDYFILE = """
{{
	admin off
	auto_https off
	frankenphp {{
		num_threads 12
		worker {root}/global/globals.php 1
	}}
}}

http://plain.test:PORT {{
	root * {root}/site
	php_server
}}

http://nofiles.test:PORT {{
	root * {root}/site
	php_server {{
		file_server off
	}}
}}

http://inside.test:PORT {{
	php_server {{
		root {root}/site
	}}
}}

http://globals.test:PORT {{
	root {root}/globals
	php_server {{
		index index.php
	}}
}}

http://global.test:PORT {{
	root {root}/global
	php_server {{
		index globals.php
	}}
}}

http://own.test:PORT {{
	php_server {{
		root {root}/global
		index globals.php
		worker {{
			file globals.php
			num 1
		}}
	}}
}}

http://outside.test:PORT {{
	php_server {{
		root {root}/site
		index globals.php
		worker {{
			file {root}/outside/globals.php
			num 1
			match *
		}}
	}}
}}

http://match.test:PORT {{
	php_server {{
		root {root}/site
		index off
		worker {{
			file {root}/outside/counter.php
			match /matched-path*
			num 1
		}}
	}}
}}

http://matches.test:PORT {{
	root {root}/site
	php_server {{
		worker {{
			file {root}/outside/counter.php
			match /counter/*
			num 1
		}}
		worker {{
			file {root}/outside/globals.php
			match /globals/* /files/*
			num 1
		}}
	}}
}}

http://several.test:PORT {{
	php_server {{
		root {root}/site
		worker {{
			file counter.php
			match /counter/*
			num 1
		}}
		worker {{
			file worker.php
			match /index/*
			num 1
		}}
	}}
}}

http://through.test:PORT {{
	route {{
		php_server {{
			root {root}/site
			index off
			file_server off
			worker {{
				file {root}/outside/counter.php
				match /matched/*
				num 1
			}}
		}}
		respond "fell through" 418
	}}
}}

http://custom.test:PORT {{
	root {root}/site
	php_server {{
		try_files {{path}} {{path}}.html app.php
	}}
}}

http://suffix.test:PORT {{
	root {root}/site
	php_server {{
		split .phtml
		index page.phtml
	}}
}}

http://env.test:PORT {{
	root {root}/outside
	php_server {{
		env APP_ENV "{{host}}:{{header.X-Env}}"
		worker env.php 1
	}}
}}
"""

FILES = {
    "site/index.php": "<?php echo 'index (', $_GET['i'] ?? '', ')';",
    "site/hello.txt": "Hello",
    "site/hello.php": "<?php echo 'Hello from PHP';",
    "site/counter.php": COUNTER,
    "site/worker.php": "<?php while (frankenphp_handle_request(function () { echo 'worker'; }));",
    "site/app.php": "<?php echo 'app ', $_SERVER['REQUEST_URI'];",
    "site/about.html": "about",
    "site/files/static.txt": "static",
    "site/dirindex/index.php": "<?php echo 'index of the folder';",
    "site/page.phtml": "<?php echo 'phtml ', $_SERVER['SCRIPT_NAME'];",
    "globals/index.php": GLOBALS,
    "globals/x.php": GLOBALS,
    "global/globals.php": WORKER_GLOBALS,
    "outside/counter.php": COUNTER,
    "outside/globals.php": WORKER_GLOBALS,
    "outside/env.php": ENV,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("php_server")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def server(module_caddyfile: ServerFactory, root: Path) -> Server:
    started: Server = module_caddyfile(CADDYFILE.format(root=root), root / "site", cwd=root / "outside")
    # The warm-up's host is nobody's here, so what starts with PHP's first request starts now.
    assert started.get("/index.php", headers={"host": "plain.test"}).status_code == 200
    wait_until(lambda: not started.connections(), "the connection to be closed")
    started.note_base()
    return started


Get = Callable[..., httpx.Response]


@pytest.fixture
def get(server: Server) -> Any:
    with server.client() as client:

        def ask(site: str, path: str, **headers: str) -> httpx.Response:
            return client.get(path, headers={"host": f"{site}.test", **headers})

        yield ask


def parallel(server: Server, site: str, path: str) -> list[httpx.Response]:
    return fetch_parallel(server.url, lambda number: {"url": path.format(number), "headers": {"host": f"{site}.test"}})


def test_index_static_file_and_front_controller(server: Server, get: Get) -> None:
    answers = parallel(server, "plain", "/?i={}")
    assert [answer.text for answer in answers] == [f"index ({number})" for number in range(100)]
    assert get("plain", "/hello.txt").text == "Hello"
    assert get("plain", "/not-found.txt?i=7").text == "index (7)"


def test_without_file_server_everything_is_the_index(get: Get) -> None:
    assert get("nofiles", "/?i=1").text == "index (1)"
    assert get("nofiles", "/hello.txt?i=2").text == "index (2)"
    assert get("nofiles", "/not-found.txt?i=3").text == "index (3)"


def test_root_behaves_the_same_outside_and_inside(get: Get) -> None:
    for path in ("/hello.txt", "/files/static.txt", "/index.php?i=1", "/dirindex/", "/none"):
        outside, inside = get("plain", path), get("inside", path)
        assert (outside.status_code, outside.text) == (inside.status_code, inside.text)
    redirect = get("plain", "/dirindex?x=1")
    assert (redirect.status_code, redirect.headers["location"]) == (308, "/dirindex/?x=1")
    assert get("inside", "/dirindex/").text == "index of the folder"


def described(folder: str, script: str, uri: str, info: str = "") -> dict[str, str]:
    """Give the variables of a request that ended at a script below the root."""
    of_info = {"PATH_TRANSLATED": folder + info} if info else {}
    return of_info | {
        "REQUEST_URI": uri,
        "PATH_INFO": info,
        "SCRIPT_NAME": script,
        "SCRIPT_FILENAME": folder + script,
        "PHP_SELF": script + info,
        "DOCUMENT_URI": script,
        "DOCUMENT_ROOT": folder,
    }


def test_variables_of_paths(root: Path, get: Get) -> None:
    folder = f"{root}/globals"
    assert get("globals", "/en").json() == described(folder, "/index.php", "/en")
    assert get("globals", "/x.php/en").json() == described(folder, "/x.php", "/x.php/en", "/en")


@pytest.mark.parametrize("site", ["global", "own"])
def test_variables_of_paths_with_a_worker(root: Path, get: Get, site: str) -> None:
    folder = f"{root}/global"
    assert get(site, "/en").json() == described(folder, "/globals.php", "/en")
    assert get(site, "/globals.php/en").json() == described(folder, "/globals.php", "/globals.php/en", "/en")


@pytest.mark.parametrize("path", ["/en", "/globals.php/en"])
def test_variables_of_a_worker_outside_of_the_root_are_empty(root: Path, get: Get, path: str) -> None:
    nothing = dict.fromkeys(("PATH_INFO", "SCRIPT_NAME", "PHP_SELF", "DOCUMENT_URI"), "")
    assert get("outside", path).json() == nothing | {
        "REQUEST_URI": path,
        "SCRIPT_FILENAME": f"{root}/outside/globals.php",
        "DOCUMENT_ROOT": f"{root}/site",
    }


def test_worker_outside_of_the_root_is_found_by_match(server: Server, get: Get) -> None:
    before = int(get("match", "/matched-path").text.removeprefix("requests:"))
    numbers = sorted(
        int(answer.text.removeprefix("requests:")) for answer in parallel(server, "match", "/matched-path/{}")
    )
    assert numbers == list(range(before + 1, before + 101))
    assert get("match", "/not-matched").status_code == 404
    assert get("match", "/files/static.txt").text == "static"


def test_two_workers_with_match_have_files_scripts_and_index_as_fallbacks(get: Get) -> None:
    assert get("several", "/counter/sub-path").text == "requests:1"
    assert get("several", "/index/sub-path").text == "worker"
    assert get("several", "/files/static.txt").text == "static"
    assert get("several", "/hello.php").text == "Hello from PHP"
    assert get("several", "/index.php?i=1").text == "index (1)"
    assert get("several", "/not-matched?i=2").text == "index (2)"


def test_static_files_come_before_match_and_the_rest_falls_back(get: Get) -> None:
    assert get("matches", "/counter/1").text.startswith("requests:")
    assert get("matches", "/files/static.txt").text == "static"
    assert json.loads(get("matches", "/files/none.txt").text)["REQUEST_URI"] == "/files/none.txt"
    assert get("matches", "/elsewhere?i=5").text == "index (5)"


def test_without_index_and_files_what_does_not_match_goes_on(get: Get) -> None:
    assert get("through", "/matched/x").text.startswith("requests:")
    for path in ("/hello.txt", "/", "/none"):
        response = get("through", path)
        assert (response.status_code, response.text) == (418, "fell through")
    assert get("through", "/index.php?i=1").text == "index (1)"


def test_try_files_of_ones_own(get: Get) -> None:
    assert get("custom", "/about").text == "about"
    assert get("custom", "/hello.txt").text == "Hello"
    assert get("custom", "/any/thing?x").text == "app /any/thing?x"


def test_suffix_and_index_of_ones_own(get: Get) -> None:
    assert get("suffix", "/").text == "phtml /page.phtml"
    assert get("suffix", "/page.phtml/info").text == "phtml /page.phtml"


def test_other_scripts_of_the_server_are_not_sent_as_text(get: Get) -> None:
    response = get("suffix", "/index.php")
    assert response.status_code == 403
    assert "<?php" not in response.text


def test_placeholders_in_env_are_filled_in_for_each_request_of_a_worker(get: Get) -> None:
    for value in ("one", "two"):
        assert get("env", "/env.php", **{"x-env": value}).text == f"env.test:{value}|env.test:{value}"
