"""The build of PHP from source to cache, with a source that pretends: nothing is compiled."""

from __future__ import annotations

import fcntl
import io
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from build_php import main
from php_flavours import COMPLETE_MARKER, FLAVOURS

TOOL = Path(__file__).resolve().parents[3] / "tools" / "build_php.py"
VERSION_H = '#define PHP_VERSION "8.2.32"\n#define PHP_VERSION_ID 80232\n'
# Stands in for PHP's configure: the makefile it writes installs what an embedder looks at.
CONFIGURE = """#!/bin/sh
set -e
for argument; do case $argument in --prefix=*) prefix=${argument#--prefix=} ;; esac; done
echo "configured with $CFLAGS"
cat > Makefile <<END
all:
	@echo libtool --mode=compile cc -c a.c
install:
	mkdir -p $prefix/bin $prefix/lib $prefix/include/php/main
	touch $prefix/lib/libphp.so
	echo '#define ZTS 1' > $prefix/include/php/main/php_config.h
	cp php-config $prefix/bin/php-config
END
cat > php-config <<END
#!/bin/sh
case \\$1 in
  --prefix) echo $prefix ;;
  --version) echo 8.2.32 ;;
  --vernum) echo 80232 ;;
  --include-dir) echo $prefix/include/php ;;
esac
END
chmod +x php-config
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOWDAH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HOWDAH_PHP_CONFIG", raising=False)
    return tmp_path / "cache"


def make_source(folder: Path, configure: str = CONFIGURE) -> Path:
    tarball = folder / "php-8.2.32.tar.gz"
    with tarfile.open(tarball, "w:gz") as archive:
        for name, text in {"configure": configure, "main/php_version.h": VERSION_H}.items():
            member = tarfile.TarInfo(f"php-8.2.32/{name}")
            member.size = len(text)
            member.mode = 0o755
            archive.addfile(member, io.BytesIO(text.encode()))
    return tarball


def build(tarball: Path, *more: str) -> int:
    return main(["--flavour", "asan", "--tarball", str(tarball), *more])


def test_a_build_goes_into_the_cache_and_is_found_again(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flavour = FLAVOURS["asan"]
    php_config = cache / "php" / f"8.2.32-{flavour.label}" / "bin" / "php-config"
    assert build(make_source(tmp_path)) == 0
    output = capsys.readouterr()
    assert output.out == f"{php_config}\n"
    assert "configuring PHP (asan)" in output.err
    assert (php_config.parent.parent / COMPLETE_MARKER).exists()
    assert "configured with -O1 -g -fsanitize=address" in (cache / "logs" / f"php-{flavour.label}.log").read_text()

    started = time.monotonic()
    assert main(["--flavour", "asan"]) == 0
    assert time.monotonic() - started < 1
    assert capsys.readouterr().out == f"{php_config}\n"

    assert main(["--flavour", "asan", "--print-config"]) == 0
    assert capsys.readouterr().out == f"{php_config}\n"


def test_scratch_folders_do_not_stay(cache: Path, tmp_path: Path) -> None:
    assert build(make_source(tmp_path)) == 0
    assert {entry.name.split("-")[0] for entry in cache.iterdir()} == {"php", "logs"}


def test_a_failed_build_is_no_build(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure = "#!/bin/sh\necho \"configure: error: No package 'oniguruma' found\"\nexit 1\n"
    assert build(make_source(tmp_path, configure)) == 1
    message = capsys.readouterr().err
    assert "`configuring PHP (asan)` failed with exit code 1" in message
    assert "apt-get install libonig-dev" in message
    assert "Traceback" not in message
    assert main(["--flavour", "asan", "--print-config"]) == 1
    assert build(make_source(tmp_path)) == 0


def test_what_an_aborted_build_left_is_replaced(cache: Path, tmp_path: Path) -> None:
    prefix = FLAVOURS["asan"].prefix("8.2.32")
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "leftover").touch()
    assert build(make_source(tmp_path)) == 0
    assert not (prefix / "bin" / "leftover").exists()


def test_an_installation_that_cannot_be_embedded_is_not_accepted(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(make_source(tmp_path, CONFIGURE.replace("#define ZTS 1", "#define ZTS 0"))) == 1
    assert "not thread-safe" in capsys.readouterr().err
    assert main(["--flavour", "asan", "--print-config"]) == 1


def test_two_builds_do_not_collide(cache: Path, tmp_path: Path) -> None:
    cache.mkdir()
    lock = cache / f"php-{FLAVOURS['asan'].label}.lock"
    command = [sys.executable, str(TOOL), "--flavour", "asan", "--tarball", str(make_source(tmp_path))]
    with lock.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            assert "another build of this PHP is running" in process.stderr.readline()
            assert not (cache / "php").exists()
            fcntl.flock(file, fcntl.LOCK_UN)
            output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert output.strip().endswith("/bin/php-config")


def test_a_missing_tarball_is_a_usage_error(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--tarball", "/nowhere.tar.xz"])
    assert caught.value.code == 2
    assert "there is no file /nowhere.tar.xz" in capsys.readouterr().err


def test_nothing_is_built_when_only_asked(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--print-config"]) == 1
    assert "No release PHP is built yet" in capsys.readouterr().err
    assert not cache.exists()


def test_a_php_of_the_user_is_checked(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOWDAH_PHP_CONFIG", "/nowhere/php-config")
    assert main([]) == 1
    assert "There is no executable php-config at /nowhere/php-config" in capsys.readouterr().err


def test_a_php_of_the_user_is_used(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(make_source(tmp_path)) == 0
    php_config = capsys.readouterr().out.strip()
    monkeypatch.setenv("HOWDAH_PHP_CONFIG", php_config)
    assert main([]) == 0
    assert capsys.readouterr().out.strip() == php_config
