"""docs/howto/deploy.md: what its unit and its container need is what this build needs."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from howdah.config.adapt import parse_config
from tests.php.harness.server import REPOSITORY

PAGE = (REPOSITORY / "docs" / "howto" / "deploy.md").read_text(encoding="utf-8")
# In every image of Debian.
_BASE = frozenset({"libc6", "libcrypt1", "libgcc-s1", "libstdc++6", "zlib1g"})


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_systemd_waits_longer_than_the_server_takes_to_stop() -> None:
    timeout_s = float(re.search(r"^TimeoutStopSec=(\d+)$", block("ini"), re.MULTILINE)[1])  # type: ignore[index]
    assert timeout_s == parse_config(block("caddyfile"), "Caddyfile", {}).runtime.grace_s + 10


@pytest.mark.skipif(
    platform.freedesktop_os_release().get("ID") != "debian"
    or platform.freedesktop_os_release().get("VERSION_ID") != "12"
    or shutil.which("readelf") is None,
    reason="the packages of the page are Debian 12's",
)
def test_the_container_has_every_library_that_php_needs() -> None:
    from howdah._buildinfo import PHP_PREFIX

    prefix = Path(PHP_PREFIX)
    built = [*prefix.rglob("libphp.so"), *prefix.glob("lib/php/extensions/*/*.so"), prefix / "bin" / "php"]
    needed = {file for binary in built for file in libraries(binary)} - {file.resolve() for file in built}
    assert len(needed) > 10
    listed = set(re.findall(r"\blib[\w.+-]+\b", block("dockerfile")))
    assert sorted({package_of(file) for file in needed} - listed - _BASE) == []


def libraries(binary: Path) -> list[Path]:
    """Give the libraries that a file names itself, as the loader finds them."""
    wanted = re.findall(r"\(NEEDED\).*\[(.+)\]", output("readelf", "-d", binary))
    found = dict(re.findall(r"(\S+) => (/\S+)", output("ldd", binary)))
    return [Path(found[name]).resolve() for name in wanted if name in found]


def package_of(file: Path) -> str:
    """Give the package that a library came with; those of merged folders are known by their old name."""
    for name in (str(file), str(file).removeprefix("/usr")):
        found = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True, check=False)
        if found.returncode == 0:
            return found.stdout.partition(":")[0]
    return str(file)


def output(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
