"""Fixtures that all suites share, and the health check after every test that used a server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # so that `tests.php.harness` can be imported
    sys.path.insert(0, str(ROOT))

from tests.php.harness.server import (  # noqa: E402
    ALIVE,
    SCRIPTS,
    Server,
    ServerFactory,
    start_asgi,
    start_caddyfile,
    start_configured,
    start_server,
    start_sites,
)

_NEEDS_PHP = tuple(str(ROOT / "tests" / name) for name in ("php", "security", "stress"))
_MARKERS = (
    "php: runs real PHP; needs the built extension",
    "log_noise(pattern, ...): error lines that this test makes the server log",
    "may_leak: descriptors and threads need not be back after this test (its requests still run)",
)


def pytest_configure(config: pytest.Config) -> None:
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if str(item.path).startswith(_NEEDS_PHP):
            item.add_marker(pytest.mark.php)


@pytest.fixture(autouse=True)
def server_is_healthy(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test: a clean log, nothing left open, and accepted = completed + rejected + aborted.

    Servers of the one test are stopped here, after the check and not by their fixture before it.
    """
    yield
    noise = [pattern for marker in request.node.iter_markers("log_noise") for pattern in marker.args]
    may_leak = request.node.get_closest_marker("may_leak") is not None
    problems = []
    for server in list(ALIVE):
        problems += server.problems(noise, may_leak=may_leak)
        if server in _own and not server.stopped:
            code = server.terminate()
            problems += (
                [] if code in server.exit_codes else [f"exit code {code} after SIGTERM:\n{server.log()[-3000:]}"]
            )
            problems += server.problems(noise)
        if server.stopped or server.process.poll() is not None:
            ALIVE.remove(server)
    _own.clear()
    if problems:
        pytest.fail("the server is not well after this test:\n" + "\n".join(problems))


_own: list[Server] = []


def _keep(start: ServerFactory) -> Iterator[ServerFactory]:
    started: list[Server] = []

    def make(*args: Any, **kwargs: Any) -> Server:
        server = start(*args, **kwargs)
        started.append(server)
        return server

    yield make
    for server in started:
        if not server.stopped:
            assert server.terminate() in server.exit_codes, server.log()[-3000:]
            ALIVE.remove(server)


def _lend(start: ServerFactory) -> ServerFactory:
    def make(*args: Any, **kwargs: Any) -> Server:
        server = start(*args, **kwargs)
        _own.append(server)
        return server

    return make


@pytest.fixture(scope="module")
def module_server() -> Iterator[ServerFactory]:
    """Start servers that live as long as a test module."""
    yield from _keep(start_server)


@pytest.fixture
def own_server() -> ServerFactory:
    """Start servers that live as long as one test."""
    return _lend(start_server)


@pytest.fixture(scope="module")
def module_configured() -> Iterator[ServerFactory]:
    """Start servers with settings that have no flag; they live as long as a test module."""
    yield from _keep(start_configured)


@pytest.fixture(scope="module")
def module_caddyfile() -> Iterator[ServerFactory]:
    """Start servers with a Caddyfile; they live as long as a test module."""
    yield from _keep(start_caddyfile)


@pytest.fixture
def own_caddyfile() -> ServerFactory:
    """Start servers with a Caddyfile; they live as long as one test."""
    return _lend(start_caddyfile)


@pytest.fixture(scope="module")
def module_asgi() -> Iterator[ServerFactory]:
    """Start ASGI servers that live as long as a test module."""
    yield from _keep(start_asgi)


@pytest.fixture
def own_asgi() -> ServerFactory:
    """Start ASGI servers that live as long as one test."""
    return _lend(start_asgi)


@pytest.fixture(scope="module")
def module_sites() -> Iterator[ServerFactory]:
    """Start servers with worker scripts or several sites; they live as long as a test module."""
    yield from _keep(start_sites)


@pytest.fixture
def own_sites() -> ServerFactory:
    """Start servers with worker scripts or several sites; they live as long as one test."""
    return _lend(start_sites)


_ENVIRONMENT = {"CUSTOM_OS_ENV_VARIABLE": "custom_env_variable_value", "LITERAL_ZERO": "0"}


def _common_ini(folder: Path) -> dict[str, str]:
    (folder / "sessions").mkdir()
    (folder / "uploads").mkdir()
    return {
        "variables_order": "EGPCS",
        "session.save_path": str(folder / "sessions"),
        "upload_tmp_dir": str(folder / "uploads"),
        "post_max_size": "16M",
        "log_errors": "1",
        "html_errors": "0",
        "display_errors": "1",
    }


@pytest.fixture(scope="session")
def classic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server that most tests share: four threads, the folder of test scripts, plain settings."""
    ini = _common_ini(tmp_path_factory.mktemp("classic"))
    make = _keep(start_server)
    yield next(make)(SCRIPTS, "--num-threads", "4", ini=ini, env=_ENVIRONMENT)
    next(make, None)


@pytest.fixture(scope="session")
def all_in_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The same folder, settings and number of threads, but a worker script runs every script of the folder."""
    ini = _common_ini(tmp_path_factory.mktemp("worker"))
    worker = {"file": str(SCRIPTS / "worker" / "any.php"), "num": 4, "match": ["/*"]}
    make = _keep(start_sites)
    yield next(make)(
        {"any": {"root": str(SCRIPTS), "workers": [worker]}},
        runtime={"num_threads": 5, "php_ini": ini},
        env=_ENVIRONMENT,
    )
    next(make, None)


@pytest.fixture(params=["classic", "worker"])
def served(request: pytest.FixtureRequest) -> Server:
    """The folder of test scripts in classic mode and, for the same test again, in worker mode."""
    server: Server = request.getfixturevalue("classic" if request.param == "classic" else "all_in_worker")
    return server


@pytest.fixture
def client(classic: Server) -> Iterator[httpx.Client]:
    """A client of the shared server; its connections are gone when the health is checked."""
    with classic.client() as open_client:
        yield open_client
