"""Python applications beside PHP in one Caddyfile: the example with Django, and small ones for what it does not show."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.php.harness.commands import howdah
from tests.php.harness.server import REPOSITORY, Server, ServerFactory

EXAMPLE = REPOSITORY / "examples" / "django-and-php"


@pytest.fixture(scope="module")
def django(module_caddyfile: ServerFactory) -> Server:
    text = (EXAMPLE / "Caddyfile").read_text().replace("{$HTTP_PORT:8000}", "PORT").replace("localhost", ":PORT")
    env = {"CADDY_GLOBAL_OPTIONS": "admin off", "PYTHONDONTWRITEBYTECODE": "1"}
    server: Server = module_caddyfile(text, EXAMPLE / "public", env=env, cwd=EXAMPLE)
    assert server.get("/notes/whoami").status_code == 200  # its thread starts with the first plain view
    server.note_base()
    return server


class TestDjango:
    def test_php_and_django_answer_side_by_side(self, django: Server) -> None:
        page = django.get("/some/where?x=1")
        assert "Hello from PHP" in page.text
        assert "/some/where?x=1" in page.text
        told = django.json("/notes/")
        assert told["notes"][0] == "Django and PHP share this process."
        assert told["at"] == "/notes/"
        assert django.get("/style.css").headers["content-type"].startswith("text/css")

    def test_form_reaches_django(self, django: Server) -> None:
        assert django.post("/notes/", data={"text": "grüße"}).json()["notes"][-1] == "grüße"
        assert django.post("/notes/", data={}).status_code == 400

    def test_django_knows_the_client(self, django: Server) -> None:
        told = django.json("/notes/whoami", headers={"host": "example.test"})
        assert told == {"address": "127.0.0.1", "host": "example.test", "secure": False}

    def test_what_django_does_not_know_is_its_404(self, django: Server) -> None:
        assert django.get("/notes/none").status_code == 404

    def test_both_at_once(self, django: Server) -> None:
        def ask(number: int) -> bool:
            response = httpx.get(
                django.url + ("/", "/notes/", "/notes/whoami")[number % 3], timeout=30, trust_env=False
            )
            return response.status_code == 200 and (b"Hello from PHP" in response.content) == (number % 3 == 0)

        with ThreadPoolExecutor(12) as pool:
            assert all(pool.map(ask, range(120)))


def test_wsgi_and_asgi_with_lifespan(own_caddyfile: ServerFactory, tmp_path: Path) -> None:
    (tmp_path / "index.php").write_text("<?php echo 'php';")
    (tmp_path / "flasklike.py").write_text(
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [environ['SCRIPT_NAME'].encode(), b' ', environ['PATH_INFO'].encode(), b' ', environ['wsgi.input'].read()]\n"
    )
    (tmp_path / "living.py").write_text(
        "import gc\n"
        "async def app(scope, receive, send):\n"
        "    if scope['type'] == 'lifespan':\n"
        "        while True:\n"
        "            kind = (await receive())['type']\n"
        "            print('living:', kind, gc.get_threshold()[0], flush=True)\n"
        "            await send({'type': kind + '.complete'})\n"
        "            if kind.endswith('shutdown'):\n"
        "                return\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
        "    await send({'type': 'http.response.body', 'body': b'living'})\n"
    )
    server: Server = own_caddyfile(
        f"""
        {{
            admin off
            frankenphp {{
                num_threads 2
            }}
        }}
        http://:PORT {{
            root {tmp_path}
            wsgi /w/* flasklike:app {{
                path {tmp_path}
                mount /w
            }}
            asgi /living living:app {{
                path {tmp_path}
            }}
            php_server
        }}
        """,
        tmp_path,
    )
    assert server.post("/w/x%20y", content=b"body").text == "/w /x y body"
    assert server.get("/living").text == "living"
    assert server.get("/").text == "php"
    server.note_base()  # the threads of the WSGI application stay
    assert "living: lifespan.startup 10000" in server.log()  # the collector is to come rarely
    assert "shutdown" not in server.log()
    assert server.terminate() == 0
    assert "living: lifespan.shutdown" in server.log()


def test_application_that_cannot_be_imported_is_named_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nothing_of_that_name\n")
    file = tmp_path / "Caddyfile"
    file.write_text(f":18429 {{\n\tasgi broken:app {{\n\t\tpath {tmp_path}\n\t}}\n}}\n")
    ended = howdah("run", "--config", str(file))
    assert ended.returncode == 2
    assert f"{file}:2" in ended.stderr
    assert "nothing_of_that_name" in ended.stderr
    assert "broken.py, line 1" in ended.stderr
    assert "Traceback" not in ended.stderr
