"""A PHP that does not fit, broken ini files, and what the start says about them."""

from __future__ import annotations

import signal
import stat
from pathlib import Path

import pytest

from tests.php.harness.commands import howdah, python
from tests.php.harness.ports import free_port
from tests.php.harness.raw import RawConnection
from tests.php.harness.server import SCRIPTS, ServerFactory
from tests.php.harness.waiting import wait_until


def _fake_php(folder: Path, *, zts: bool = True, embed: bool = True, version: str = "8.2.1") -> Path:
    """Make a php-config and headers that describe another PHP."""
    include = folder / "include" / "php" / "main"
    include.mkdir(parents=True)
    (folder / "lib").mkdir()
    if embed:
        (folder / "lib" / "libphp.so").write_bytes(b"")
    major, minor, patch = version.split(".")
    number = int(major) * 10000 + int(minor) * 100 + int(patch)
    (include / "php_version.h").write_text(f'#define PHP_VERSION "{version}"\n#define PHP_VERSION_ID {number}\n')
    (include / "php_config.h").write_text("#define ZTS 1\n" if zts else "/* #undef ZTS */\n")
    answers = {
        "--version": version, "--vernum": str(number), "--prefix": str(folder), "--include-dir": str(include.parent),
        "--includes": f"-I{include.parent} -I{include}", "--php-sapis": "cli embed" if embed else "cli fpm",
        "--php-binary": str(folder / "bin" / "php"), "--configure-options": "", "--extension-dir": str(folder / "lib"),
        "--ini-path": "/etc", "--ini-dir": "/etc/conf.d", "--ldflags": "", "--libs": "", "--lib-dir": str(folder / "lib"),
    }  # fmt: skip
    cases = "".join(f"{flag}) echo '{answer}';;\n" for flag, answer in answers.items())
    script = folder / "php-config"
    script.write_text(f'#!/bin/sh\nfor flag in "$@"; do case "$flag" in\n{cases}esac; done\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


@pytest.mark.parametrize(
    ("options", "word"),
    [({"zts": False}, "--enable-zts"), ({"version": "8.1.30"}, "8.2"), ({"embed": False}, "embed")],
    ids=["not ZTS", "too old", "without embed"],
)
def test_a_php_that_cannot_be_embedded_is_refused_with_one_sentence(
    tmp_path: Path, options: dict[str, object], word: str
) -> None:
    config = _fake_php(tmp_path, **options)  # type: ignore[arg-type]
    result = python(
        """
        import os
        from pathlib import Path
        from howdah.engine import phpconfig
        from howdah.errors import EngineVersionError
        try:
            phpconfig.read_php_build(Path(os.environ["HOWDAH_PHP_CONFIG"]))
            print("accepted")
        except EngineVersionError as error:
            print(error)
        """,
        env={"HOWDAH_PHP_CONFIG": str(config)},
    )
    assert word in result.stdout, result.stdout + result.stderr
    assert "accepted" not in result.stdout


def test_a_php_config_that_does_not_exist_is_named() -> None:
    result = howdah("php-cli", "-v", env={"HOWDAH_PHP_CONFIG": "/no/such/php-config"})
    assert "Traceback" not in result.stderr
    if result.returncode != 0:  # the build's own PHP may be used when it is known
        assert "/no/such/php-config" in result.stderr


def test_a_missing_libphp_is_one_sentence() -> None:
    result = python(
        """
        import sys
        class Refuse:
            def find_spec(self, name, path=None, target=None):
                if name == "howdah._native":
                    raise ImportError("libphp.so: cannot open shared object file: No such file or directory")
        sys.meta_path.insert(0, Refuse())
        from howdah.cli.main import main
        sys.exit(main(["php-server", "-l", "127.0.0.1:1"]))
        """
    )
    assert result.returncode in {1, 2}
    assert "libphp" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("text", ['a = "unclosed', "= no name", "a = (b", "[section"])
def test_a_broken_php_ini_file_is_refused_with_its_name_and_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "php.ini").write_text(f"precision = 7\n{text}\n")
    result = howdah("php-server", "-r", str(SCRIPTS), "-l", f"127.0.0.1:{free_port()}", env={"PHPRC": str(tmp_path)})
    assert result.returncode == 1
    assert f"{tmp_path}/php.ini on line" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("text", ["display_errors = [broken", "\0\0\0", "x" * 100_000, "no equals sign", "; comment"])
def test_odd_lines_that_php_accepts_in_php_ini_keep_nothing_from_starting(
    own_server: ServerFactory, tmp_path: Path, text: str
) -> None:
    (tmp_path / "php.ini").write_text(f"precision = 7\n{text}\n")
    server = own_server(SCRIPTS, "--num-threads", "1", env={"PHPRC": str(tmp_path)})
    assert server.json("/ini.php?names=precision") == {"precision": "7"}


def test_an_ini_value_that_php_cannot_take_is_refused_with_phps_words() -> None:
    arguments = ["-r", str(SCRIPTS), "-l", f"127.0.0.1:{free_port()}"]
    result = howdah("php-server", *arguments, "--php-ini", "memory_limit=lots")
    assert result.returncode == 1
    assert "memory_limit" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "entry", ["max_execution_time=abc", "error_log=/no/such/folder/log", "session.save_path=/no/such"]
)
@pytest.mark.log_noise(".")
def test_an_ini_value_that_makes_no_sense_hurts_nobody_else(own_server: ServerFactory, entry: str) -> None:
    server = own_server(SCRIPTS, "--num-threads", "1", "--php-ini", entry)
    assert server.get("/hello.php?i=1").text == "request 1"


def test_a_drain_says_what_it_waits_for(own_server: ServerFactory, tmp_path: Path) -> None:
    server = own_server(SCRIPTS, "--num-threads", "1", "--debug")
    trace, gate = tmp_path / "trace", tmp_path / "gate"
    with RawConnection(server.port) as connection:
        connection.send(f"GET /sleep.php?trace={trace}&gate={gate} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        wait_until(trace.exists, "the script to run")
        server.process.send_signal(signal.SIGTERM)
        server.wait_for_log("SIGTERM.*second signal")
        gate.touch()
        assert connection.read_response().status == 200
    assert server.wait_ended(10) == 0
