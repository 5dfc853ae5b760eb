"""`howdah validate` and `howdah adapt`."""

from __future__ import annotations

import datetime as dt
import io
import json
from pathlib import Path

import pytest

from howdah.cli.main import main
from howdah.config.adapt import load_config
from howdah.config.dump import parse_json
from tests.unit.serve.certificates import write_pair

SITE = "localhost {\n\troot public/\n\tphp_server\n}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str, name: str = "Caddyfile") -> None:
    Path(name).write_text(text)


class TestValidate:
    def test_says_that_a_file_can_be_used(self, capsys: pytest.CaptureFixture[str]) -> None:
        write(SITE)
        assert main(["validate"]) == 0
        assert capsys.readouterr() == ("Caddyfile: valid\n", "")

    @pytest.fixture(autouse=True)
    def public(self) -> None:
        Path("public").mkdir()

    def test_names_the_mistake_with_its_position_and_exits_with_2(self, capsys: pytest.CaptureFixture[str]) -> None:
        write(SITE.replace("php_server", "php_sever"), "other")
        assert main(["validate", "-c", "other"]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("howdah: other:3:2: there is no directive php_sever; did you mean php_server?")

    def test_prints_warnings(self, capsys: pytest.CaptureFixture[str]) -> None:
        write("{\n\temail a@b.test\n}\nhttp://a.test {\n}\n")
        assert main(["validate"]) == 0
        out, err = capsys.readouterr()
        assert out == "Caddyfile: valid\n"
        assert err.startswith("howdah: warning: Caddyfile:2:2: email changes nothing")

    def test_reads_standard_input(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"localhost {\n\tx\n}\n")))
        assert main(["validate", "-c", "-"]) == 2
        assert "<stdin>:2:2: there is no directive x" in capsys.readouterr().err

    def test_a_missing_file_is_told(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["validate", "-c", "nowhere"]) == 2
        assert capsys.readouterr().err == (
            "howdah: nowhere: there is no such file; name it with -c, or - for standard input\n"
        )

    def test_an_adapter_other_than_caddys_own_is_refused(self, capsys: pytest.CaptureFixture[str]) -> None:
        write(SITE)
        assert main(["validate", "--adapter", "caddyfile"]) == 0
        with pytest.raises(SystemExit) as caught:
            main(["validate", "--adapter", "yaml"])
        assert caught.value.code == 2
        assert "yaml" in capsys.readouterr().err

    def test_the_environment_is_the_processes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("EXTRA", "nonsense")
        write(":80 {\n\t{$EXTRA}\n}\n")
        assert main(["validate"]) == 2
        monkeypatch.setenv("EXTRA", "respond hello")
        assert main(["validate"]) == 0


class TestWhatValidateLooksAt:
    """Beyond the text: what a server would find out at its start."""

    def test_folders_of_sites(self, capsys: pytest.CaptureFixture[str]) -> None:
        write(SITE)
        assert main(["validate"]) == 2
        message = capsys.readouterr().err
        assert message.startswith("howdah: Caddyfile:3:2: ")
        assert "public" in message

    @pytest.mark.parametrize(
        "block", ["{\n\tfrankenphp {\n\t\t%s\n\t}\n}\n", ":80 {\n\tphp_server {\n\t\t%s\n\t}\n}\n"]
    )
    @pytest.mark.parametrize(
        ("worker", "position"),
        [
            ("worker /no/such.php", "3:10"),
            ("worker /no/such.php 2 {\n\t\t\tname a\n\t\t}", "3:10"),
            ("worker {\n\t\t\tnum 2\n\t\t\tfile /no/such.php\n\t\t}", "5:9"),
        ],
    )
    def test_scripts_of_workers(
        self, capsys: pytest.CaptureFixture[str], block: str, worker: str, position: str
    ) -> None:
        write(block % worker)
        assert main(["validate"]) == 2
        missing = f"{position}: worker script /no/such.php does not exist; create it or correct the path\n"
        assert capsys.readouterr().err == f"howdah: Caddyfile:{missing}"
        assert main(["adapt"]) == 0
        write(capsys.readouterr().out, "config.json")
        assert main(["validate", "-c", "config.json"]) == 2
        assert capsys.readouterr().err == f"howdah: Caddyfile:{missing}", (
            "JSON keeps the position, as that of directives"
        )

    def test_a_script_of_a_worker_that_is_no_file_or_cannot_be_read(self, capsys: pytest.CaptureFixture[str]) -> None:
        Path("folder").mkdir()
        write("{\n\tfrankenphp {\n\t\tworker folder\n\t}\n}\n")
        assert main(["validate"]) == 2
        assert "Caddyfile:3:10: worker script" in (said := capsys.readouterr().err)
        assert "is no file; name the PHP script itself" in said

    def test_certificates(self, capsys: pytest.CaptureFixture[str]) -> None:
        write("a.test {\n\ttls missing.pem missing.key\n\trespond ok\n}\n")
        assert main(["validate"]) == 2
        assert "missing.pem" in capsys.readouterr().err

    def test_two_certificates_at_one_address(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        now = dt.datetime.now(dt.UTC)
        for name in ("a.test", "b.test"):
            write_pair(tmp_path, name, name, begin=now)
        sites = "".join(f"{name} {{\n\ttls {name}.crt {name}.key\n}}\n" for name in ("a.test", "b.test"))
        write(sites)
        assert main(["validate"]) == 2
        assert "one listener has one certificate" in capsys.readouterr().err
        write(sites.replace("b.test {", "b.test:8443 {"))
        assert main(["validate"]) == 0
        assert capsys.readouterr().err == ""

    def test_the_authority_of_clients(self, capsys: pytest.CaptureFixture[str]) -> None:
        write("localhost {\n\ttls {\n\t\tclient_auth {\n\t\t\ttrusted_ca_cert_file no.pem\n\t\t}\n\t}\n}\n")
        assert main(["validate"]) == 2
        assert "client authority no.pem cannot be read" in capsys.readouterr().err

    def test_a_file_without_a_site(self, capsys: pytest.CaptureFixture[str]) -> None:
        write("{\n\tdebug\n}\n")
        assert main(["validate"]) == 2
        assert capsys.readouterr().err == (
            "howdah: the configuration has no site; begin one with its address, such as localhost\n"
        )

    def test_addresses_with_and_without_tls(self, capsys: pytest.CaptureFixture[str]) -> None:
        write("https://a.test:8080 {\n\trespond a\n}\nhttp://b.test:8080 {\n\trespond b\n}\n")
        assert main(["validate"]) == 2
        assert "TLS" in capsys.readouterr().err

    def test_python_applications_are_not_run(self) -> None:
        write("http://a.test {\n\thandle /a/* {\n\t\tasgi nowhere:app\n\t}\n\tasgi nowhere:app\n}\n")
        assert main(["validate"]) == 0

    def test_public_names_get_a_warning(self, capsys: pytest.CaptureFixture[str]) -> None:
        write("shop.example.com {\n\trespond ok\n}\n")
        assert main(["validate"]) == 0
        assert "certificates from a public authority are not supported yet" in capsys.readouterr().err


class TestAdapt:
    def test_prints_json_that_means_the_same(self, capsys: pytest.CaptureFixture[str]) -> None:
        write(SITE)
        assert main(["adapt", "--pretty"]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        assert out.startswith('{\n  "runtime": {},\n  "sites": [')
        assert parse_json(out, "x") == load_config("Caddyfile", {})

    def test_json_may_be_the_input_too(self, capsys: pytest.CaptureFixture[str]) -> None:
        write(SITE)
        assert main(["adapt"]) == 0
        first = capsys.readouterr().out
        write(first, "config.json")
        assert main(["adapt", "-c", "config.json"]) == 0
        assert capsys.readouterr().out == first

    def test_text_that_no_terminal_can_show_is_escaped(self, capsys: pytest.CaptureFixture[str]) -> None:
        write(":80 {\n\trespond é\n}\n")
        assert main(["adapt"]) == 0
        assert json.loads(capsys.readouterr().out)["sites"][0]["steps"][0]["action"]["body"] == "é"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", "howdah: x.json:1:2: this is no JSON: Expecting property name enclosed in double quotes"),
            ('{"apps": {}}', "howdah: x.json: this is Caddy's own JSON, which Howdah does not read"),
            ("[]", "howdah: x.json: the configuration is a list and must be an object"),
            ('{"site": []}', "howdah: x.json: the configuration has no site; supported: admin, logs, runtime, "),
            ('{"sites": {}}', "howdah: x.json: the configuration.sites is an object and must be a list"),
            ('{"sites": [{}]}', "howdah: x.json: the configuration.sites[0] needs addresses"),
            (
                '{"servers": {"http_port": "80"}}',
                "howdah: x.json: the configuration.servers.http_port is '80' and must be a whole number",
            ),
            (
                '{"sites": [{"addresses": [], "steps": [{"action": {"type": "fly"}}]}]}',
                "howdah: x.json: the configuration.sites[0].steps[0].action has the type 'fly'; supported: abort, ",
            ),
            (
                '{"runtime": {"num_threads": 5000}}',
                "howdah: x.json: the configuration.runtime: num_threads must be between 1 and 1024",
            ),
            (
                '{"runtime": {"max_threads": "all"}}',
                "howdah: x.json: the configuration.runtime.max_threads is 'all' and must be ",
            ),
            (
                '{"servers": {"auto_https": "no"}}',
                "howdah: x.json: the configuration.servers.auto_https is 'no' and must be one of on, ",
            ),
            (
                '{"sites": [{"addresses": [], "position": "here"}]}',
                "howdah: x.json: the configuration.sites[0].position is 'here' and must be a position such as",
            ),
            (
                '{"sites": [{"addresses": [], "tls": {"files": [["a"]]}}]}',
                "howdah: x.json: the configuration.sites[0].tls.files[0] has 1 values where 2 belong",
            ),
        ],
    )
    def test_mistakes_in_json_name_the_place(self, text: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
        write(text, "x.json")
        assert main(["adapt", "-c", "x.json"]) == 2
        assert capsys.readouterr().err.startswith(message)
