"""howdah doctor with the PHP that is there."""

from __future__ import annotations

import json
from pathlib import Path

from tests.php.harness.commands import howdah
from tests.php.harness.ports import free_port


def test_it_asks_the_real_php() -> None:
    port = free_port()
    result = howdah("doctor", "--json", "-l", f"127.0.0.1:{port}")
    answer = json.loads(result.stdout)
    assert result.returncode == (0 if answer["ok"] else 1)
    found = {finding["check"]: finding for finding in answer["findings"]}
    assert found["PHP"]["verdict"] == "ok"
    assert found["OPcache memory"]["verdict"] == "ok"
    assert found["locks of open files"]["verdict"] == "ok"
    assert found[f"address 127.0.0.1:{port}"]["text"] == "it is free"


def test_settings_of_the_configuration_reach_php(tmp_path: Path) -> None:
    file = tmp_path / "Caddyfile"
    file.write_text(
        "{\n\tfrankenphp {\n\t\tphp_ini opcache.memory_consumption 16\n\t\tphp_ini memory_limit -1\n\t}\n}\n"
        f"http://127.0.0.1:{free_port()} {{\n\troot {tmp_path}\n\tphp_server\n}}\n"
    )
    result = howdah("doctor", "-c", str(file))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "WARNING OPcache memory: 16 MiB" in result.stdout
    assert "without a memory_limit" in result.stdout
    assert result.stderr == ""


def test_a_php_that_does_not_start_is_a_problem_in_phps_words(tmp_path: Path) -> None:
    file = tmp_path / "Caddyfile"
    file.write_text(
        "{\n\tfrankenphp {\n\t\tphp_ini opcache.preload /nowhere/preload.php\n\t}\n}\n"
        f"http://127.0.0.1:{free_port()} {{\n\troot {tmp_path}\n\tphp_server\n}}\n"
    )
    result = howdah("doctor", "-c", str(file))
    assert result.returncode == 1
    assert "PROBLEM PHP: PHP did not start" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
