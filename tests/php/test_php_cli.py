"""howdah php-cli: the command line binary of the same build with the same ini."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.php.harness.commands import howdah
from tests.php.harness.server import HOWDAH, SCRIPTS, clean_environment
from tests.php.harness.waiting import wait_until


def test_arguments_output_and_exit_code_are_those_of_the_script() -> None:
    result = howdah("php-cli", str(SCRIPTS / "cli_arguments.php"), "foo", "bar", "--flag", "-x")
    assert result.returncode == 3
    assert result.stdout == "foo,bar,--flag,-x 5 cli_arguments.php\n"
    assert "to standard error" in result.stderr


def test_code_from_the_command_line_runs() -> None:
    result = howdah("php-cli", "-r", 'echo PHP_SAPI, " ", PHP_ZTS, " ", "hello";')
    assert (result.returncode, result.stdout) == (0, "cli 1 hello")


def test_ini_values_from_the_command_line_are_applied() -> None:
    result = howdah(
        "php-cli",
        "-d",
        "precision=5",
        "-d",
        "user_agent=a b",
        "-r",
        'echo ini_get("precision"), ini_get("user_agent");',
    )
    assert result.stdout == "5a b"


def test_a_script_from_standard_input_runs() -> None:
    result = howdah("php-cli", input="<?php echo 'from stdin ', PHP_SAPI;")
    assert result.stdout == "from stdin cli"


def test_standard_input_reaches_the_script() -> None:
    result = howdah("php-cli", "-r", "echo strtoupper(stream_get_contents(STDIN));", input="piped")
    assert result.stdout == "PIPED"


def test_phpinfo_version_and_modules_are_those_of_the_binary() -> None:
    assert "phpinfo()" in howdah("php-cli", "-i").stdout
    assert "(ZTS" in howdah("php-cli", "-v").stdout.replace("( ZTS", "(ZTS") or "ZTS" in howdah("php-cli", "-v").stdout
    modules = howdah("php-cli", "-m").stdout
    assert "mbstring" in modules
    assert "pcntl" in modules


def test_php_binary_names_the_same_build() -> None:
    path = Path(howdah("php-cli", "-r", "echo PHP_BINARY;").stdout)
    assert path.is_file()
    assert os.access(path, os.X_OK)


def test_a_script_gets_its_own_signals() -> None:
    result = howdah("php-cli", str(SCRIPTS / "cli_signals.php"))
    assert (result.returncode, result.stdout) == (0, "true\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_from_outside_reaches_php(number: signal.Signals) -> None:
    code = f"pcntl_async_signals(true); pcntl_signal({int(number)}, function () {{ echo 'caught'; exit(9); }}); "
    code += "echo 'ready'; for (;;) usleep(10000);"
    with subprocess.Popen(
        [*HOWDAH, "php-cli", "-r", code], stdout=subprocess.PIPE, env=clean_environment(), bufsize=0
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(5) == b"ready"
        process.send_signal(number)
        assert process.stdout.read(6) == b"caught"
        assert process.wait(10) == 9


def test_an_unhandled_signal_ends_the_command_as_it_ends_php() -> None:
    with subprocess.Popen(
        [*HOWDAH, "php-cli", "-r", "echo 'ready'; sleep(30);"],
        stdout=subprocess.PIPE,
        env=clean_environment(),
        bufsize=0,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(5) == b"ready"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) in {-signal.SIGTERM, 128 + signal.SIGTERM}


def test_a_fatal_error_is_exit_code_255() -> None:
    assert howdah("php-cli", "-r", "undefined_function();").returncode == 255


def test_a_missing_script_is_an_error_of_php() -> None:
    result = howdah("php-cli", "/no/such/script.php")
    assert result.returncode == 1
    assert "Could not open input file" in result.stdout + result.stderr


def test_the_scan_folder_for_ini_files_is_honoured(tmp_path: Path) -> None:
    (tmp_path / "a.ini").write_text("precision=4\n")
    result = howdah("php-cli", "-r", 'echo ini_get("precision");', env={"PHP_INI_SCAN_DIR": str(tmp_path)})
    assert result.stdout == "4"


def test_the_command_works_from_a_wrapper_named_by_composer() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "howdah", "php-cli", "-d", "allow_url_fopen=1", "-d", "memory_limit=-1", SCRIPTS / "cli_arguments.php", "install"],
        capture_output=True, text=True, check=False, env=clean_environment(),
    )  # fmt: skip
    assert result.stdout.startswith("install 2")


def test_standard_output_that_closes_early_ends_the_command() -> None:
    with subprocess.Popen(
        [*HOWDAH, "php-cli", "-r", "for (;;) { echo str_repeat('x', 8192); }"],
        stdout=subprocess.PIPE,
        env=clean_environment(),
    ) as process:
        assert process.stdout is not None
        process.stdout.read(10)
        process.stdout.close()
        wait_until(lambda: process.poll() is not None, "the command to end")
