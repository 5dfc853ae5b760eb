"""howdah doctor, its checks without PHP: each on a machine, a PHP and a configuration made for the test."""

from __future__ import annotations

import json
import os
import resource
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from howdah.cli import doctor, doctor_php, doctor_system
from howdah.cli.doctor_finding import Finding, size_text
from howdah.cli.doctor_php import PhpReport
from howdah.cli.main import main
from howdah.config.http import HttpSite, Php, Routes, ServerModel, Step
from howdah.config.model import RuntimeConfig, SiteConfig, WorkerConfig
from howdah.errors import EngineStartError
from howdah.serve.address import parse_address

GOOD_INI = {
    "opcache.enable": "1",
    "opcache.memory_consumption": "128",
    "opcache.max_accelerated_files": "10000",
    "opcache.validate_timestamps": "1",
    "opcache.revalidate_freq": "2",
    "opcache.save_comments": "1",
    "memory_limit": "128M",
    "max_execution_time": "30",
    "display_errors": "0",
}
BUILD = {"php_version": "8.2.32", "debug": False, "max_execution_timers": True}


def php(*extensions: str, ini: Mapping[str, str] | None = None, build: Mapping[str, Any] | None = None) -> PhpReport:
    return PhpReport(
        {**BUILD, **(build or {})},
        ("/etc/howdah/php.ini",),
        frozenset({"core", "zend opcache", *extensions}),
        {**GOOD_INI, **(ini or {})},
    )


def bad(findings: Iterable[Finding]) -> dict[str, tuple[str, str]]:
    """Give what is not ok: the check, its verdict and its cure, which must be there."""
    found: dict[str, tuple[str, str]] = {
        finding.check: (finding.verdict, finding.cure) for finding in findings if finding.verdict != "ok"
    }
    assert all(cure for _, cure in found.values())
    return found


class TestBuild:
    def test_a_good_one(self) -> None:
        assert bad(doctor_php.check_build(php())) == {}

    def test_debug_builds_and_missing_timers_are_told(self) -> None:
        findings = list(doctor_php.check_build(php(build={"debug": True, "max_execution_timers": False})))
        texts = [finding.text for finding in findings if finding.verdict == "warning"]
        assert "debug build" in texts[0]
        assert "max_execution_time has no effect" in texts[1]


class TestExtensions:
    def test_none_is_unsafe(self) -> None:
        (finding,) = doctor_php.check_extensions(php("mbstring"), {})
        assert finding.verdict == "ok"
        assert "none of the 3 loaded ones" in finding.text

    @pytest.mark.parametrize(
        ("name", "verdict"),
        [
            ("imap", "problem"),
            ("newrelic", "problem"),
            ("pcov", "problem"),
            ("blackfire", "warning"),
            ("ddtrace", "warning"),
            ("datadog-profiling", "warning"),
            ("xdebug", "warning"),
            ("imagick", "warning"),
        ],
    )
    def test_known_ones(self, name: str, verdict: str) -> None:
        found = bad(doctor_php.check_extensions(php(name), {}))
        assert found.keys() == {f"extension {name}"}
        assert found[f"extension {name}"][0] == verdict

    def test_imagick_with_one_thread_is_fine(self) -> None:
        assert bad(doctor_php.check_extensions(php("imagick"), {"MAGICK_THREAD_LIMIT": "1"})) == {}
        assert bad(doctor_php.check_extensions(php("imagick", ini={"imagick.set_single_thread": "1"}), {})) == {}


class TestOpcache:
    def test_a_good_one(self) -> None:
        assert bad(doctor_php.check_opcache(php())) == {}

    @pytest.mark.parametrize(
        ("ini", "check"),
        [
            ({"opcache.enable": "0"}, "OPcache"),
            ({"opcache.enable": "Off"}, "OPcache"),
            ({"opcache.memory_consumption": "8"}, "OPcache memory"),
            ({"opcache.save_comments": "0"}, "OPcache comments"),
        ],
    )
    def test_settings_that_surprise(self, ini: dict[str, str], check: str) -> None:
        assert bad(doctor_php.check_opcache(php(ini=ini))).keys() == {check}

    def test_timestamps_are_explained_both_ways(self) -> None:
        texts = {finding.check: finding.text for finding in doctor_php.check_opcache(php())}
        assert "seen after 2 s" in texts["OPcache timestamps"]
        off = php(ini={"opcache.validate_timestamps": "0"})
        texts = {finding.check: finding.text for finding in doctor_php.check_opcache(off)}
        assert "after `howdah reload`" in texts["OPcache timestamps"]


class TestSettings:
    def test_good_ones(self) -> None:
        assert bad(doctor_php.check_settings(php(), RuntimeConfig())) == {}

    def test_errors_shown_to_visitors(self) -> None:
        report = php(ini={"display_errors": "1"})
        assert bad(doctor_php.check_settings(report, RuntimeConfig())).keys() == {"display_errors"}
        assert bad(doctor_php.check_settings(report, RuntimeConfig(debug=True))) == {}

    def test_no_limit_of_time(self) -> None:
        report = php(ini={"max_execution_time": "0"})
        assert bad(doctor_php.check_settings(report, RuntimeConfig())).keys() == {"time limit"}
        assert bad(doctor_php.check_settings(report, RuntimeConfig(request_timeout_s=5))) == {}


class TestMemory:
    def test_it_is_enough(self) -> None:
        finding = doctor_php.check_memory(php(), RuntimeConfig(num_threads=4), (), 1 << 30)
        assert finding.verdict == "ok"
        assert "4 PHP threads with a memory_limit of 128 MiB may take 768 MiB" in finding.text

    def test_it_is_too_little(self) -> None:
        finding = doctor_php.check_memory(php(), RuntimeConfig(num_threads=4, max_threads=16), (), 1 << 30)
        assert finding.verdict == "warning"
        assert "4 to 16 PHP threads" in finding.text
        assert "2.25 GiB in the worst case, more than the 1 GiB" in finding.text

    def test_threads_of_workers_count(self) -> None:
        finding = doctor_php.check_memory(php(), RuntimeConfig(), (WorkerConfig("a.php", num=40),), 1 << 30)
        assert finding.verdict == "warning"
        assert finding.text.startswith("41 PHP threads")

    def test_without_memory_limit(self) -> None:
        finding = doctor_php.check_memory(php(ini={"memory_limit": "-1"}), RuntimeConfig(num_threads=1), (), 1 << 40)
        assert finding.verdict == "warning"
        assert "without a memory_limit" in finding.text

    def test_numbers_that_contradict_each_other(self) -> None:
        finding = doctor_php.check_memory(php(), RuntimeConfig(num_threads=2), (WorkerConfig("a.php", num=4),), None)
        assert finding.verdict == "problem"
        assert "num_threads 2 must be greater than the 4 threads of the workers" in finding.text


class TestLimits:
    @pytest.mark.parametrize(
        ("limits", "verdict", "text"),
        [
            ((65536, 65536), "ok", "65536 may be open"),
            ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), "ok", "any number"),
            ((1024, 65536), "warning", "only 1024"),
            ((64, 64), "problem", "only 64"),
        ],
    )
    def test_descriptors(
        self, monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], verdict: str, text: str
    ) -> None:
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        monkeypatch.setattr(resource, "getrlimit", lambda kind: limits if kind == resource.RLIMIT_NOFILE else unlimited)
        (finding,) = [found for found in doctor_system.check_limits() if found.check == "file descriptors"]
        assert finding.verdict == verdict
        assert text in finding.text
        assert ("hard limit is 64" in finding.cure) == (limits == (64, 64))

    def test_a_limited_address_space_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (1 << 30, 1 << 30))
        assert "address space" in bad(doctor_system.check_limits())

    def test_another_c_library_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(name: str) -> str:
            raise ValueError(name)

        monkeypatch.setattr(os, "confstr", unknown)
        assert doctor_system.check_libc().verdict == "warning"

    @pytest.mark.parametrize(
        ("limits", "verdict"),
        [
            ({"max_user_watches": 192536, "max_user_instances": 128}, "ok"),
            ({"max_user_watches": 100, "max_user_instances": 128}, "warning"),
            ({"max_user_watches": 192536, "max_user_instances": 4}, "warning"),
            ({"max_user_watches": "unknown", "max_user_instances": "unknown"}, "warning"),
        ],
    )
    def test_file_events(self, monkeypatch: pytest.MonkeyPatch, limits: dict[str, Any], verdict: str) -> None:
        monkeypatch.setattr(doctor_system, "read_limit", limits.__getitem__)
        assert doctor_system.check_watches().verdict == verdict


class TestKernel:
    def test_what_this_kernel_allows_is_tried_for_real(self) -> None:
        checks = {finding.check: finding.verdict for finding in doctor_system.check_kernel()}
        assert checks.keys() == {"umask of threads", "locks of open files", "backtraces", "blocked system calls"}
        assert checks["locks of open files"] == "ok"

    def test_umask_of_this_process_is_untouched(self) -> None:
        before = os.umask(0o077)
        try:
            list(doctor_system.check_kernel())
            assert os.umask(0o077) == 0o077
        finally:
            os.umask(before)

    @pytest.mark.parametrize(
        ("name", "check", "verdict"),
        [
            ("try_unshare", "umask of threads", "warning"),
            ("try_ofd_lock", "locks of open files", "problem"),
            ("try_process_read", "backtraces", "warning"),
            ("try_syscall_file", "blocked system calls", "warning"),
        ],
    )
    def test_what_is_refused_is_told(
        self, monkeypatch: pytest.MonkeyPatch, name: str, check: str, verdict: str
    ) -> None:
        def refuse() -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(doctor_system, name, refuse)
        (finding,) = [found for found in doctor_system.check_kernel() if found.check == check]
        assert finding.verdict == verdict
        assert "Operation not permitted" in finding.text
        assert finding.cure


class TestAddresses:
    def test_a_free_port_and_a_used_one(self) -> None:
        with socket.socket() as used:
            used.bind(("127.0.0.1", 0))
            used.listen()
            taken = parse_address(f"127.0.0.1:{used.getsockname()[1]}")
            free, busy = doctor_system.check_addresses([parse_address("127.0.0.1:0"), taken])
        assert free.verdict == "ok"
        assert busy.verdict == "problem"
        assert "the port is in use" in busy.text
        assert "if it is Howdah itself" in busy.cure

    def test_a_port_without_permission_names_the_cures(self) -> None:
        cure = doctor_system._port_cure(parse_address(":80"))
        for word in ("http_port", "https_port", "setcap"):
            assert word in cure

    def test_a_socket_file_is_tried_and_removed(self, tmp_path: Path) -> None:
        path = tmp_path / "s"
        (finding,) = doctor_system.check_addresses([parse_address(f"unix/{path}")])
        assert finding.verdict == "ok"
        assert not path.exists()


class TestConfiguration:
    def test_a_good_file_gives_its_addresses(self, tmp_path: Path) -> None:
        file = tmp_path / "Caddyfile"
        file.write_text(f"http://:18470 {{\n\troot {tmp_path}\n\tphp_server\n}}\n")
        model, addresses, findings = doctor.check_config(str(file))
        assert model is not None
        assert [str(address) for address in addresses] == [":18470"]
        assert [finding.verdict for finding in findings] == ["ok"]
        assert "is valid and has 1 site" in findings[0].text

    @pytest.mark.parametrize("text", ["localhost {\n", "localhost {\n\tphp_servr\n}\n"])
    def test_a_mistake_is_a_problem_with_its_place(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "Caddyfile"
        file.write_text(text)
        model, addresses, (finding,) = doctor.check_config(str(file))
        assert (model, addresses) == (None, [])
        assert finding.verdict == "problem"
        assert f"{file}:" in finding.text

    def test_what_validate_finds_the_doctor_finds_too(self, tmp_path: Path) -> None:
        file = tmp_path / "Caddyfile"
        file.write_text(f"http://:18470 {{\n\troot {tmp_path}/nowhere\n\tphp_server\n}}\n")
        _, _, (finding,) = doctor.check_config(str(file))
        assert finding.verdict == "problem"
        assert f"document root '{tmp_path}/nowhere' does not exist" in finding.text

    def test_a_file_that_is_not_there(self) -> None:
        _, _, (finding,) = doctor.check_config("/nowhere/Caddyfile")
        assert finding.verdict == "problem"

    def test_workers_are_found_wherever_they_stand(self) -> None:
        def worker(name: str) -> WorkerConfig:
            return WorkerConfig(f"{name}.php")

        def php_step(name: str) -> Step:
            return Step(Php(SiteConfig(workers=(worker(name),))))

        model = ServerModel(
            runtime=RuntimeConfig(workers=(worker("global"),)),
            sites=(HttpSite((), steps=(php_step("one"), Step(Routes((php_step("two"),))))),),
        )
        assert [found.file for found in doctor.all_workers(model)] == ["global.php", "one.php", "two.php"]


class TestCommand:
    @pytest.fixture(autouse=True)
    def no_php(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doctor_php, "ask_php", lambda _: php())

    def test_findings_are_printed_with_cures_and_a_summary(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["doctor", "-l", "127.0.0.1:0"]) == 0
        out = capsys.readouterr().out
        assert "ok      PHP: 8.2.32, thread-safe, embedded\n" in out
        assert out.splitlines()[-1].startswith("no problems, ")

    def test_a_problem_is_exit_code_1(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def broken(_: Mapping[str, str]) -> PhpReport:
            raise EngineStartError("PHP did not start: Unable to load x.so")

        monkeypatch.setattr(doctor_php, "ask_php", broken)
        assert main(["doctor", "-l", "127.0.0.1:0"]) == 1
        out = capsys.readouterr().out
        assert "PROBLEM PHP: PHP did not start: Unable to load x.so\n        -> mend what it says" in out
        assert "1 problem," in out

    def test_json(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        assert main(["doctor", "--json", "-c", str(tmp_path / "none"), "-l", "127.0.0.1:0"]) == 1
        answer = json.loads(capsys.readouterr().out)
        assert answer["ok"] is False
        assert answer["findings"][0]["check"] == "configuration"
        assert {"check", "verdict", "text", "cure"} == answer["findings"][0].keys()

    def test_the_configuration_decides_about_php_and_ports(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        asked: list[dict[str, str]] = []

        def note(php_ini: Mapping[str, str]) -> PhpReport:
            asked.append(dict(php_ini))
            return php()

        monkeypatch.setattr(doctor_php, "ask_php", note)
        file = tmp_path / "Caddyfile"
        file.write_text(
            "{\n\tfrankenphp {\n\t\tnum_threads 3\n\t\tphp_ini precision 5\n\t}\n}\n"
            f"http://127.0.0.1:18471 {{\n\troot {tmp_path}\n\tphp_server\n}}\n"
        )
        assert main(["doctor", "-c", str(file)]) == 0
        out = capsys.readouterr().out
        assert asked == [{"precision": "5"}]
        assert "3 PHP threads" in out
        assert ":18471: it is free" in out


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (1024, "1 KiB"), (128 << 20, "128 MiB"), (int(2.25 * (1 << 30)), "2.25 GiB")]
)
def test_sizes_are_readable(size: int, text: str) -> None:
    assert size_text(size) == text
