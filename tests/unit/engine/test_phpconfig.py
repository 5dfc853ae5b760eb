"""Which PHP can be embedded, and what is said about the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from howdah.engine.phpconfig import read_php_build
from howdah.errors import EngineVersionError

GOOD = {"ZTS": "#define ZTS 1", "ZEND_SIGNALS": "/* #undef ZEND_SIGNALS */", "ZEND_DEBUG": "#define ZEND_DEBUG 0"}


def make_php(
    prefix: Path, *, version: str = "8.2.32", library: str = "lib/libphp.so", defines: dict[str, str] | None = None
) -> Path:
    """Lay out what a PHP installation shows to its users, without PHP."""
    major, minor, patch = (int(part) for part in version.split("."))
    header = prefix / "include" / "php" / "main" / "php_config.h"
    header.parent.mkdir(parents=True)
    header.write_text("\n".join({**GOOD, **(defines or {})}.values()) + "\n", encoding="utf-8")
    if library:
        (prefix / library).parent.mkdir(parents=True)
        (prefix / library).touch()
    binary = prefix / "bin" / "php"
    binary.parent.mkdir()
    binary.touch()
    php_config = binary.with_name("php-config")
    php_config.write_text(
        f"""#!/bin/sh
case $1 in
  --prefix) echo {prefix} ;;
  --version) echo {version} ;;
  --vernum) echo {major * 10000 + minor * 100 + patch} ;;
  --include-dir) echo {prefix}/include/php ;;
  --extension-dir) echo {prefix}/lib/php/extensions ;;
  --ldflags) echo "-L{prefix}/elsewhere -Wl,-O1" ;;
  --php-binary) echo {binary} ;;
  *) exit 1 ;;
esac
""",
        encoding="utf-8",
    )
    php_config.chmod(0o755)
    return php_config


@pytest.mark.parametrize("library", ["lib/libphp.so", "lib/php/libphp.so", "elsewhere/libphp.so", "lib64/libphp.so"])
def test_libphp_is_found_wherever_php_put_it(tmp_path: Path, library: str) -> None:
    build = read_php_build(make_php(tmp_path, library=library))
    assert build.library == tmp_path / library
    assert (build.version, build.version_id) == ("8.2.32", 80232)
    assert build.prefix == tmp_path
    assert build.binary == tmp_path / "bin" / "php"
    assert not build.is_debug


def test_features_are_read_from_the_headers(tmp_path: Path) -> None:
    defines = {"ZEND_DEBUG": "#define ZEND_DEBUG 1", "T": "#define ZEND_MAX_EXECUTION_TIMERS 1"}
    build = read_php_build(make_php(tmp_path, defines=defines))
    assert build.is_debug
    assert build.has_timers


def test_a_php_config_on_the_path_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_php(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    assert read_php_build("php-config").prefix == tmp_path


def refusal(php_config: Path | str) -> str:
    with pytest.raises(EngineVersionError) as caught:
        read_php_build(php_config)
    message = str(caught.value)
    assert message.endswith("or point HOWDAH_PHP_CONFIG at the php-config of another PHP.")
    assert "\n" not in message
    return message


def test_an_nts_php_is_refused(tmp_path: Path) -> None:
    assert "not thread-safe (NTS)" in refusal(make_php(tmp_path, defines={"ZTS": "/* #undef ZTS */"}))


def test_a_php_with_zend_signals_is_refused(tmp_path: Path) -> None:
    php_config = make_php(tmp_path, defines={"ZEND_SIGNALS": "#define ZEND_SIGNALS 1"})
    assert "--disable-zend-signals" in refusal(php_config)


def test_an_old_php_is_refused(tmp_path: Path) -> None:
    assert "PHP 8.1.30" in refusal(make_php(tmp_path, version="8.1.30"))


def test_a_php_without_libphp_is_refused(tmp_path: Path) -> None:
    assert "without --enable-embed" in refusal(make_php(tmp_path, library=""))


def test_a_php_without_headers_is_refused(tmp_path: Path) -> None:
    php_config = make_php(tmp_path)
    (tmp_path / "include" / "php" / "main" / "php_config.h").unlink()
    assert "no development headers" in refusal(php_config)


def test_a_missing_php_config_is_refused(tmp_path: Path) -> None:
    assert f"no executable php-config at {tmp_path}/none" in refusal(tmp_path / "none")


def test_another_program_is_refused() -> None:
    assert "does not answer like a php-config" in refusal("/bin/true")


def test_a_program_that_cannot_run_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "php-config"
    broken.write_bytes(b"\x7fELF nonsense")
    broken.chmod(0o755)
    assert "cannot be run" in refusal(broken)


def test_a_build_without_command_line_php_is_fine(tmp_path: Path) -> None:
    php_config = make_php(tmp_path)
    (tmp_path / "bin" / "php").unlink()
    assert read_php_build(php_config).binary is None
