"""getenv, putenv, `$_ENV`, the site's variables, and what programs started by PHP see."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.php.harness.commands import php_binary
from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.server import SCRIPTS, Server, ServerFactory

_SYSTEM = {"CUSTOM_OS_ENV_VARIABLE": "custom_env_variable_value", "LITERAL_ZERO": "0"}
_PREPARED = {"PREPARED": "prepared value", "CUSTOM_OS_ENV_VARIABLE": "of the site"}


def test_putenv_and_getenv_answer_like_the_command_line_binary(served: Server) -> None:
    expected = subprocess.run(
        [php_binary(), "-n", "-d", "variables_order=EGPCS", SCRIPTS / "env_functions.php"],
        env=_SYSTEM,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    # The second parameter of getenv() asks for the SAPI's own list; ours has one list only.
    for answer in fetch_parallel(served.url, lambda i: {"url": "/env_functions.php"}):
        assert answer.text.splitlines()[:-1] == expected.splitlines()[:-1]


def test_putenv_is_gone_in_the_next_request(served: Server) -> None:
    for i, answer in enumerate(fetch_parallel(served.url, lambda i: {"url": f"/env_put.php?i={i}"})):
        assert json.loads(answer.text) == {"before": False, "set": True, "after": str(i)}


def test_putenv_never_reaches_the_process_environment(served: Server) -> None:
    fetch_parallel(served.url, lambda i: {"url": f"/env_put.php?i={i}"}, 20)
    probe = served.json("/env_children.php?i=1")
    assert probe["process"] is False


def test_programs_started_by_php_see_the_requests_environment(served: Server) -> None:
    for i, answer in enumerate(fetch_parallel(served.url, lambda i: {"url": f"/env_children.php?i={i}"}, 20)):
        seen = answer.json()
        expected = f'it\'s "quoted" $HOME {i}'
        ways = ["exec", "shell_exec", "backtick", "system", "passthru", "popen", "proc_open string", "proc_open array"]
        assert {way: seen[way] for way in ways} == dict.fromkeys(ways, expected)
        assert seen["own environment"] == "ONLY=this"


@pytest.fixture(scope="module")
def prepared(module_asgi: ServerFactory) -> Server:
    """A site with variables of its own."""
    runtime = {"num_threads": 2, "php_ini": {"variables_order": "EGPCS"}}
    description = {"root": str(SCRIPTS), "options": {"env": _PREPARED}, "runtime": runtime}
    return module_asgi("uvicorn", description, env=_SYSTEM)


def test_variables_of_the_site_are_visible_everywhere(prepared: Server) -> None:
    value = "prepared value"
    for answer in fetch_parallel(prepared.url, lambda i: {"url": "/env_prepared.php"}):
        assert json.loads(answer.text) == {
            "getenv": value,
            "after_putenv": value,
            "all": value,
            "server": value,
            "env": value,
            "child": value,
        }


def test_variables_of_the_site_win_over_those_of_the_system(prepared: Server) -> None:
    seen = json.loads(prepared.get("/env_prepared.php?name=CUSTOM_OS_ENV_VARIABLE").text)
    assert set(seen.values()) == {"of the site"}


def test_variables_of_the_site_survive_the_first_putenv(prepared: Server) -> None:
    for _ in range(3):
        assert json.loads(prepared.get("/env_prepared.php").text)["after_putenv"] == "prepared value"


def test_without_e_in_variables_order_env_lacks_the_sites_variables(own_asgi: ServerFactory) -> None:
    runtime = {"num_threads": 1, "php_ini": {"variables_order": "GPCS"}}
    server = own_asgi("uvicorn", {"root": str(SCRIPTS), "options": {"env": _PREPARED}, "runtime": runtime})
    seen = json.loads(server.get("/env_prepared.php").text)
    assert seen["env"] is None
    assert seen["getenv"] == seen["server"] == "prepared value"


def test_a_proxy_header_never_becomes_a_variable(classic: Server) -> None:
    seen = classic.json("/server.php", headers={"proxy": "http://evil.example"})
    assert "HTTP_PROXY" not in seen


def test_mail_does_not_take_the_server_down(classic: Server) -> None:
    assert classic.get("/mail.php?i=1").status_code == 200
