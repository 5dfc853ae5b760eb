"""OPcache is really on, preloading works, and ini values arrive whole and in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.php.harness.commands import python
from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.server import SCRIPTS, Server, ServerFactory
from tests.php.harness.waiting import wait_until


def test_opcache_is_on_and_hit(classic: Server) -> None:
    fetch_parallel(classic.url, lambda i: {"url": "/hello.php"}, 40)
    seen = classic.json("/opcache.php")
    assert seen["enabled"] is True
    assert seen["hits"] > 10
    assert "hello.php" in seen["scripts"]


def test_opcache_can_be_switched_off(own_server: ServerFactory) -> None:
    assert own_server(ini={"opcache.enable": "0"}).json("/opcache.php") is False


def test_a_changed_script_is_seen(own_server: ServerFactory, tmp_path: Path) -> None:
    script = tmp_path / "changing.php"
    script.write_text("<?php echo 'first';")
    server = own_server(tmp_path, "--num-threads", "2", ini={"opcache.revalidate_freq": "0"})
    assert server.get("/changing.php").text == "first"
    script.write_text("<?php echo 'second version';")
    assert server.get("/changing.php").text == "second version"


_LIBRARY = """<?php
class Library{n} {{
    const TEXT = 'constant text {n}';
    public array $list = ['x' => 1, 'y' => [1, 2, 3]];
    public function sum(int $count): int {{
        for ($sum = 0, $i = 0; $i < $count; $i++) {{ $sum += strlen(self::TEXT . $i); }}
        return $sum;
    }}
}}
"""
_WORK = """<?php
$n = $_GET['i'] % 20;
require_once __DIR__ . "/library$n.php";
$class = "Library$n";
usleep(200);
echo 'work ', $_GET['i'], ' ', (new $class())->sum(2000) > 0 ? $class::TEXT : 'wrong';
"""


def test_opcache_reset_under_load_breaks_nothing(own_server: ServerFactory, tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"library{number}.php").write_text(_LIBRARY.format(n=number))
    (tmp_path / "work.php").write_text(_WORK)
    (tmp_path / "reset.php").write_text("<?php echo opcache_reset() ? 'reset' : 'refused';")
    server = own_server(tmp_path, "--num-threads", "4")
    for _ in range(6):
        answers = fetch_parallel(server.url, lambda i: {"url": f"/work.php?i={i}" if i % 25 else "/reset.php"}, 200)
        for i, answer in enumerate(answers):
            assert answer.status_code == 200
            expected = f"work {i} constant text {i % 20}"
            assert answer.text == expected if i % 25 else answer.text in {"reset", "refused"}


def test_after_opcache_reset_a_changed_script_is_seen(own_server: ServerFactory, tmp_path: Path) -> None:
    script = tmp_path / "changing.php"
    script.write_text("<?php echo 'first';")
    (tmp_path / "reset.php").write_text("<?php var_dump(opcache_reset());")
    ini = {"opcache.validate_timestamps": "0", "opcache.file_update_protection": "0"}
    server = own_server(tmp_path, "--num-threads", "2", ini=ini)
    assert server.get("/changing.php").text == "first"
    script.write_text("<?php echo 'second version';")
    assert server.get("/changing.php").text == "first"
    assert "true" in server.get("/reset.php").text
    wait_until(lambda: server.get("/changing.php").text == "second version", "the new version")


def test_a_preloaded_function_can_be_called(own_server: ServerFactory) -> None:
    server = own_server(
        ini={"opcache.preload": str(SCRIPTS / "lib" / "preload.php"), "opcache.preload_user": "root"},
    )
    answers = fetch_parallel(server.url, lambda i: {"url": "/preload_check.php"}, 20)
    assert {answer.text for answer in answers} == {"preloaded by frankenphp"}


def test_environment_variables_in_ini_values_are_replaced(own_server: ServerFactory) -> None:
    server = own_server(ini={"opcache.enable": "${LITERAL_ZERO}"}, env={"LITERAL_ZERO": "0"})
    assert server.json("/ini.php?names=opcache.enable")["opcache.enable"] in {"0", ""}


@pytest.mark.parametrize(
    "value",
    [
        "plain", "with space", "semi;colon", 'double "quotes"', "single 'quotes'", "(parentheses)", "a=b", "[section]",
        "back\\slash", "!not", "a|b&c^d~e", "#hash", "100%", "{braces}", "dollar $HOME",
    ],
)  # fmt: skip
def test_an_ini_value_arrives_as_it_was_written(own_server: ServerFactory, value: str) -> None:
    server = own_server(ini={"user_agent": value})
    assert server.json("/ini.php?names=user_agent")["user_agent"] == value


def test_words_of_phps_ini_language_keep_their_meaning(own_server: ServerFactory) -> None:
    server = own_server(
        ini={"user_agent": "on", "precision": "9", "display_errors": "off", "arg_separator.output": "null"}
    )
    assert server.json("/ini.php?names=user_agent,display_errors") == {"user_agent": "1", "display_errors": ""}


@pytest.mark.parametrize("value", ["x\nprecision=3", "x\r\nprecision=3", "x\0y"])
def test_a_newline_in_an_ini_value_is_refused_and_injects_nothing(value: str) -> None:
    result = python(
        f"""
        import howdah
        try:
            howdah.Runtime(num_threads=1, php_ini={{"user_agent": {value!r}}}).start()
        except howdah.HowdahError as error:
            print(type(error).__name__, error)
        """
    )
    assert result.stdout.startswith("ConfigError"), result.stderr


def test_the_last_of_two_equal_ini_flags_wins(own_server: ServerFactory) -> None:
    server = own_server(SCRIPTS, "--php-ini", "precision=5", "--php-ini", "precision=6")
    assert server.json("/ini.php?names=precision")["precision"] == "6"


def test_ini_flags_win_over_php_ini_files(own_server: ServerFactory, tmp_path: Path) -> None:
    (tmp_path / "php.ini").write_text("precision=7\nserialize_precision=7\n")
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "more.ini").write_text("user_agent=scanned\n")
    env = {"PHPRC": str(tmp_path), "PHP_INI_SCAN_DIR": str(tmp_path / "conf.d")}
    server = own_server(ini={"precision": "9"}, env=env)
    seen = server.json("/ini.php?names=precision,serialize_precision,user_agent")
    assert seen == {"precision": "9", "serialize_precision": "7", "user_agent": "scanned"}


def test_errors_are_hidden_without_a_php_ini(own_server: ServerFactory) -> None:
    seen = own_server().json("/ini.php?names=display_errors,opcache.enable")
    assert seen["display_errors"] in {"0", ""}
    assert seen["opcache.enable"] == "1"
