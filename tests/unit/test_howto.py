"""The pages: their Caddyfiles are valid, and the commands, flags, metrics and tests that they name exist.

Their links are checked by tests/unit/tools/test_links.py.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from functools import lru_cache
from pathlib import Path

import pytest

from howdah.cli import frankenphp
from howdah.cli import main as cli
from howdah.config.adapt import parse_config
from howdah.config.http import ServerModel

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "howto").glob("*.md"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
SOURCES = ROOT / "src" / "howdah"
EXAMPLES = sorted((ROOT / "examples").glob("*/Caddyfile"))

# Every option of PHP-FPM 8.2's www.conf and php-fpm.conf, without those that only log to other places.
FPM_POOL = """
listen listen.owner listen.group listen.mode listen.backlog listen.allowed_clients user group process.priority
process.dumpable pm.max_children pm.start_servers pm.min_spare_servers pm.max_spare_servers pm.process_idle_timeout
pm.max_spawn_rate pm.max_requests pm.status_path pm.status_listen ping.path ping.response access.log access.format
access.suppress_path slowlog request_slowlog_timeout request_slowlog_trace_depth request_terminate_timeout
request_terminate_timeout_track_finished rlimit_files rlimit_core chroot chdir catch_workers_output
decorate_workers_output clear_env security.limit_extensions php_value php_flag php_admin_value php_admin_flag
pid error_log log_level log_limit log_buffering syslog.facility syslog.ident emergency_restart_threshold
emergency_restart_interval process_control_timeout process.max daemonize events.mechanism systemd_interval include
"""


def blocks(page: Path, language: str) -> Iterator[str]:
    for found in re.finditer(
        rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    ):
        yield found[1]


CADDYFILES = [
    pytest.param(text, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, text in enumerate(blocks(page, "caddyfile"), 1)
]


@pytest.fixture(autouse=True)
def in_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers and roots are relative to the folder of an application."""
    monkeypatch.chdir(ROOT / "examples" / "symfony")


def parse(text: str) -> ServerModel:
    environ = {
        "APP_PUBLIC_PATH": str(ROOT / "examples" / "symfony" / "public"),
        "CADDY_SERVER_SERVER_NAME": "http://127.0.0.1:8000",
        "DATABASE_URL": "sqlite:memory",
    }
    return parse_config(text, "Caddyfile", environ)


@pytest.mark.parametrize("text", CADDYFILES)
def test_caddyfiles_of_the_pages_are_valid(text: str) -> None:
    parse(text)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.parent.name)
def test_caddyfiles_of_the_examples_are_valid(file: Path) -> None:
    assert parse(file.read_text(encoding="utf-8")).sites


def test_wordpress_page_shows_the_example_that_is_tested() -> None:
    (page,) = [page for page in PAGES if page.stem == "wordpress"]
    shown = next(blocks(page, "caddyfile")).replace("blog.example.com", "{$SERVER_NAME:localhost}")
    example = (ROOT / "examples" / "wordpress" / "Caddyfile").read_text(encoding="utf-8")
    kept = [line for line in example.splitlines() if "CADDY_GLOBAL_OPTIONS" not in line]
    assert shown.splitlines() == kept[1:]  # the first line is a comment


def test_symfony_page_shows_the_front_controller_that_is_tested() -> None:
    (page,) = [page for page in PAGES if page.stem == "symfony"]
    script = (ROOT / "examples" / "symfony" / "public" / "index.php").read_text(encoding="utf-8")
    assert next(blocks(page, "php")) in script


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@lru_cache(maxsize=32)
def _flags(command: str) -> frozenset[str]:
    """Give the flags of a command, as its help has them."""
    out = io.StringIO()
    with redirect_stdout(out), suppress(SystemExit):
        cli.main([command, "--help"])
    return frozenset(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", out.getvalue()))


@pytest.mark.parametrize("page", DOCUMENTS, ids=_name)
def test_commands_of_the_pages_exist_and_have_their_flags(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    lines = [line for block in blocks(page, "console") for line in re.findall(r"^[$#] (.*)$", block, re.MULTILINE)]
    lines += re.findall(r"`((?:howdah|frankenphp) [^`]+)`", text)
    for line in lines:
        for command, rest in re.findall(r"(?:^|(?<!-u) |/)howdah ([a-z][a-z-]+)(?![\w:])([^|&;]*)", line):
            assert command in cli._COMMANDS, line
            if command != "php-cli":  # its arguments are PHP's
                named = re.findall(r"(?<= )--?[a-z][a-z-]*", rest)
                assert [flag for flag in named if flag not in _flags(command)] == [], line
        for command in re.findall(r"^frankenphp ([a-z-]+)", line):
            assert command in {*frankenphp._PASSED_ON, "build-info", "version"}, line


@pytest.mark.parametrize("page", DOCUMENTS, ids=_name)
def test_metrics_of_the_pages_exist(page: Path) -> None:
    known = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    prefix = (
        r"(?:howdah|frankenphp|process)_\w+_(?:total|threads|workers|count|seconds|bytes|fds|depth|pending|crashes)"
    )
    named = set(re.findall(rf"`({prefix})\b", page.read_text(encoding="utf-8")))
    assert [name for name in sorted(named) if f"`{name}`" not in known] == []


@pytest.mark.parametrize("page", DOCUMENTS, ids=_name)
def test_tests_of_the_pages_exist(page: Path) -> None:
    for test in re.findall(r"`(tests/[\w/]+\.py)", page.read_text(encoding="utf-8")):
        assert (ROOT / test).exists(), test


def _rows(page: Path) -> list[list[str]]:
    lines = page.read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")]


class TestFromPhpFpm:
    PAGE = ROOT / "docs" / "howto" / "from-php-fpm.md"

    def test_every_option_of_a_pool_is_answered(self) -> None:
        named = {word for row in _rows(self.PAGE) for word in re.findall(r"`([\w.]+)", row[0])}
        assert [option for option in FPM_POOL.split() if option not in named] == []

    def test_every_option_that_is_offered_exists(self) -> None:
        directives = "\n".join(path.read_text(encoding="utf-8") for path in sorted((SOURCES / "config").rglob("*.py")))
        offered = {word for row in _rows(self.PAGE) for word in re.findall(r"`([a-z_]+)[` ]", row[1])}
        missing = {word for word in offered if f'"{word}"' not in directives and f"{word} " not in directives}
        assert len(offered) > 20
        assert not missing
