from __future__ import annotations

import io
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from howdah.cli import main as cli

SOURCES = Path(__file__).resolve().parents[3] / "src"
UNTIDY = 'localhost{\n  root   *   "a  b"\r\n}'
TIDY = 'localhost {\n\troot * "a  b"\n}\n'


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    try:
        code = cli.main(["fmt", *words])
    except SystemExit as end:
        code = int(end.code or 0)
    output = capsys.readouterr()
    return code, output.out, output.err


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "Caddyfile"
    path.write_bytes(UNTIDY.encode())
    return path


def test_prints_the_file_of_this_folder(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys) == (0, TIDY, "")
    assert run(capsys, "Caddyfile") == (0, TIDY, "")
    assert file.read_bytes() == UNTIDY.encode()


def test_reads_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for flags in ([], ["--overwrite"]):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(UNTIDY.encode())))
        assert run(capsys, *flags, "-") == (0, TIDY, "")


def test_keeps_line_ends_in_quotes(file: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    file.write_bytes(b'a "x\r\ny" \xc3\xa9\r\n')
    assert cli.main(["fmt"]) == 0
    assert capsysbinary.readouterr().out == b'a "x\r\ny" \xc3\xa9\n'


@pytest.mark.parametrize("flag", ["-w", "--overwrite"])
def test_overwrites_and_keeps_permissions_and_links(file: Path, capsys: pytest.CaptureFixture[str], flag: str) -> None:
    file.chmod(0o640)
    link = file.with_name("link")
    link.symlink_to(file)
    assert run(capsys, flag, "link") == (0, "", "")
    assert file.read_bytes() == TIDY.encode()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert link.is_symlink()
    assert sorted(path.name for path in file.parent.iterdir()) == ["Caddyfile", "link"]


def test_a_tidy_file_is_not_written(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(TIDY.encode())
    before = file.stat()
    assert run(capsys, "-w") == (0, "", "")
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


@pytest.mark.parametrize("flag", ["-d", "--diff"])
def test_shows_the_difference_as_a_patch(file: Path, capsys: pytest.CaptureFixture[str], flag: str) -> None:
    file.write_bytes(UNTIDY.replace("\r", "").encode())
    code, out, _ = run(capsys, flag)
    assert code == 0
    assert out == (
        "--- Caddyfile (now)\n+++ Caddyfile (formatted)\n@@ -1,3 +1,3 @@\n-localhost{\n"
        '-  root   *   "a  b"\n-}\n\\ No newline at end of file\n+localhost {\n+\troot * "a  b"\n+}\n'
    )
    file.write_bytes(TIDY.encode())
    assert run(capsys, flag) == (0, "", "")


@pytest.mark.parametrize(
    ("content", "words", "expected"),
    [
        (b"a {\n", [], "howdah: Caddyfile:1:3: this { is never closed; add a }"),
        (b"a\n}\n", ["-w"], "howdah: Caddyfile:2:1: this } closes nothing; remove it"),
        (b'a\n "', ["-d"], 'howdah: Caddyfile:2:2: this " is never closed; add the closing "'),
        (b"a\n \xff", [], "howdah: Caddyfile:2:2: the byte 0xff is not UTF-8"),
        (
            b"a",
            ["none"],
            "howdah: none: cannot be read: No such file or directory; name the file, or - for standard input",
        ),
        (b"a", ["."], "howdah: .: cannot be read: Is a directory"),
        (b"a", ["--overwrit"], "howdah fmt: unknown flag --overwrit; did you mean --overwrite?"),
    ],
)
def test_mistakes_are_one_sentence_and_change_nothing(
    file: Path, capsys: pytest.CaptureFixture[str], content: bytes, words: list[str], expected: str
) -> None:
    file.write_bytes(content)
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert err.startswith(expected)
    assert "Traceback" not in err
    assert file.read_bytes() == content


def test_a_folder_that_cannot_be_written_is_one_sentence(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    assert run(capsys, "-w") == (2, "", "howdah: Caddyfile: cannot be written: Permission denied\n")
    assert file.read_bytes() == UNTIDY.encode()


def test_the_parser_loads_nothing_but_the_model_and_the_errors() -> None:
    code = (
        "import sys; import howdah.config.blocks, howdah.config.format; "
        "print(*sorted(name for name in sys.modules if name.startswith('howdah')))"
    )
    environment = {"PYTHONPATH": str(SOURCES), "PATH": "/usr/bin"}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    names = set(done.stdout.split())
    parts = {f"howdah.config.{name}" for name in ("blocks", "dispenser", "format", "imports", "lexer", "model")}
    assert names <= {"howdah", "howdah._version", "howdah.config", "howdah.errors", *parts}
