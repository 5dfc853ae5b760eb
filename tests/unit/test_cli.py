from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from howdah import _version
from howdah.cli import main as cli
from howdah.cli.php_server import DEFAULT_WATCH, make_model, make_parser, parse_ini_entry, parse_worker
from howdah.config.http import Admin, Encode, HttpServers, HttpSite, Log, Php, ServerModel, SiteAddress, Step
from howdah.config.model import RuntimeConfig, SiteConfig, WorkerConfig
from howdah.errors import ConfigError

SOURCES = Path(__file__).resolve().parents[2] / "src"


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    try:
        code = cli.main(words)
    except SystemExit as end:
        code = int(end.code or 0)
    output = capsys.readouterr()
    return code, output.out, output.err


def model(*words: str) -> ServerModel:
    return make_model(make_parser().parse(list(words)))


class TestMain:
    def test_help_lists_the_commands(self, capsys: pytest.CaptureFixture[str]) -> None:
        for words in (["--help"], ["-h"], ["help"]):
            code, out, _ = run(capsys, *words)
            assert code == 0
            assert "php-server" in out
            assert "php-cli" in out

    def test_nothing_is_a_usage_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        code, out, err = run(capsys)
        assert (code, out) == (2, "")
        assert "usage:" in err

    def test_misspelt_command_gets_a_suggestion(self, capsys: pytest.CaptureFixture[str]) -> None:
        code, _, err = run(capsys, "php-servr")
        assert code == 2
        assert "did you mean php-server?" in err

    @pytest.mark.parametrize(
        ("words", "text"),
        [
            (["--rot", "x"], "unknown flag --rot; did you mean --root?"),
            (["--num-thread=3"], "unknown flag --num-thread=3; did you mean --num-threads?"),
            (["--max-wait", "1s"], "unknown flag --max-wait; did you mean --max-wait-time?"),
            (["--xyzzy"], "unknown flag --xyzzy\n"),
            (["extra"], "unknown argument extra"),
            (["--max-wait-time", "soon"], "'soon' is no duration"),
            (["--max-body-size", "big"], "'big' is no size"),
            (["--php-ini", "x"], "'x' is no ini entry"),
            (["--num-threads", "x"], "'x' is no whole number"),
            (["--num-threads", "0"], "num_threads must be between 1 and 1024"),
            (["--symlinks", "never"], "--symlinks"),
            (["-l", "8000"], "has no port"),
            (["-r", "/nowhere"], "does not exist"),
            (["-l"], "expected one argument"),
            (["--watch"], "--watch restarts workers, and there is none"),
            (["--max-threads", "many"], "'many' is no whole number"),
            (["-w", "a.php,many"], "'a.php,many' is no worker"),
        ],
    )
    def test_mistakes_are_one_sentence_and_exit_with_2(
        self, capsys: pytest.CaptureFixture[str], words: list[str], text: str
    ) -> None:
        code, out, err = run(capsys, "php-server", *words)
        assert (code, out) == (2, "")
        assert text in err
        assert "Traceback" not in err
        assert len(err.splitlines()) <= 2

    @pytest.mark.parametrize("command", ["run", "php-server", "validate", "doctor"])
    def test_a_folder_that_has_been_removed_is_a_sentence(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
    ) -> None:
        folder = tmp_path / "release"
        folder.mkdir()
        monkeypatch.chdir(folder)
        folder.rmdir()
        code, _, err = run(capsys, command)
        assert (code, err) == (1, "howdah: the current folder does not exist any more; change to another one\n")

    def test_interrupt_is_130(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupt(words: list[str]) -> int:
            raise KeyboardInterrupt

        monkeypatch.setattr(cli, "_run", interrupt)
        assert cli.main([]) == 130


class TestFlags:
    def test_defaults_are_those_of_the_model(self) -> None:
        site = HttpSite(
            (SiteAddress("http", port=8000),), (Step(Encode()), Step(Php(SiteConfig()))), bind=("127.0.0.1",)
        )
        servers = HttpServers(https_port=0, auto_https="off")
        assert model() == ServerModel(RuntimeConfig(), (site,), servers, Admin(enabled=False))

    def test_every_flag_reaches_the_model(self) -> None:
        words = (
            "-r site -l :8080 --listen unix//run/h.sock --num-threads 3 --max-threads auto --max-idle-time 9s "
            "--max-wait-time 500ms --max-queue 7 --max-requests 9 --request-timeout 1m "
            "--max-body-size 20MiB --php-ini a=1 --php-ini b.c=x=y --no-request-buffering --no-compress "
            "--symlinks inside -a -v --grace 2m -w a.php -w b,c.php,4 --watch --watch=*.php"
        )
        made = model(*words.split())
        watch = (DEFAULT_WATCH, "*.php")
        assert made.runtime == RuntimeConfig(
            num_threads=3,
            max_threads="auto",
            max_idle_time_s=9.0,
            max_requests=9,
            request_timeout_s=60.0,
            max_wait_time_s=0.5,
            max_queue=7,
            grace_s=120.0,
            php_ini={"a": "1", "b.c": "x=y"},
            workers=(WorkerConfig("a.php", watch=watch), WorkerConfig("b,c.php", 4, watch=watch)),
            debug=True,
        )
        site = SiteConfig(root="site", symlinks="inside", request_buffering=False, max_body_size_bytes=20 << 20)
        assert [one.addresses for one in made.sites] == [
            (SiteAddress("http", port=8080),),
            (SiteAddress(unix="/run/h.sock"),),
        ]
        assert all(one.steps == (Step(Php(site)),) and one.logs == (Log(),) for one in made.sites)

    def test_domain_gets_tls_and_redirects(self) -> None:
        made = model("-d", "example.com")
        assert [(one.addresses, one.bind) for one in made.sites] == [((SiteAddress(host="example.com"),), ())]
        assert made.servers.auto_https == "on"

    def test_domain_at_an_address_gets_tls_there_alone(self) -> None:
        made = model("-d", "example.com", "-l", "127.0.0.1:8443")
        assert [(one.addresses, one.bind) for one in made.sites] == [
            ((SiteAddress(host="example.com", port=8443),), ("127.0.0.1",))
        ]
        assert made.servers.auto_https == "disable_redirects"

    def test_later_ini_entries_win(self) -> None:
        assert dict(model("--php-ini", "a=1", "--php-ini", "a=2").runtime.php_ini) == {"a": "2"}

    @pytest.mark.parametrize("text", ["a.php,x", "a.php,-1", "", ",3"])
    def test_what_is_no_worker(self, text: str) -> None:
        with pytest.raises(ConfigError):
            parse_worker(text)

    @pytest.mark.parametrize(("text", "entry"), [("a=", ("a", "")), (" a = b ", ("a", "b")), ("a=b=c", ("a", "b=c"))])
    def test_ini_entries(self, text: str, entry: tuple[str, str]) -> None:
        assert parse_ini_entry(text) == entry

    @pytest.mark.parametrize("text", ["a", "=b", " =b"])
    def test_what_is_no_ini_entry(self, text: str) -> None:
        with pytest.raises(ConfigError):
            parse_ini_entry(text)


def python(code: str) -> str:
    """Run code in a fresh interpreter in which the native extension cannot be imported."""
    blocked = "import sys; sys.modules['howdah._native'] = None; sys.modules['howdah._buildinfo'] = None\n"
    answer = subprocess.run(
        [sys.executable, "-c", blocked + code],
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return f"{answer.stdout}{answer.stderr}"


class TestWithoutExtension:
    @pytest.mark.parametrize("words", [["--help"], ["php-server", "--help"], ["version", "--help"]])
    def test_help_works(self, words: list[str]) -> None:
        output = python(f"from howdah.cli.main import main\nmain({words!r})")
        assert "usage: howdah" in output
        assert "Traceback" not in output

    @pytest.mark.parametrize("words", [["php-server"], ["php-cli", "-v"], ["version"]])
    def test_commands_say_what_is_missing(self, words: list[str]) -> None:
        output = python(f"from howdah.cli.main import main\nprint('code', main({words!r}))")
        assert "make setup" in output
        assert "code 1" in output
        assert "Traceback" not in output

    def test_import_of_the_package_is_light(self) -> None:
        code = (
            "import howdah\n"
            "heavy = {'asyncio', 'granian', 'uvloop', 'howdah.engine.native', 'howdah.web.asgi'} & set(sys.modules)\n"
            "print(heavy or 'light', howdah.__version__, sorted(set(howdah.__all__) - set(dir(howdah))))\n"
            "howdah.RuntimeConfig(); howdah.PHPServer; howdah.HowdahError\n"
            "try: howdah.nothing\n"
            "except AttributeError as error: print(error)"
        )
        output = python(code)
        assert f"light {_version.__version__} []" in output
        assert "no attribute 'nothing'" in output
        assert "Traceback" not in output
