"""Compiling and expanding try_files."""

from __future__ import annotations

import pytest

from howdah.cgi.tryfiles import compile_patterns, expand
from howdah.config.model import SiteConfig
from howdah.errors import ConfigError

PHP = (b".php",)


def paths(config: SiteConfig, path: bytes) -> list[bytes]:
    return [candidate.path for candidate in expand(compile_patterns(config), path, PHP)]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/", [b"/index.php"]),
        (b"/a/b", [b"/a/b", b"/a/b/index.php", b"/index.php"]),
        (b"/a/", [b"/a/index.php", b"/index.php"]),
        (b"//a//", [b"//a/index.php", b"/index.php"]),
        (b"/a/../b", [b"/b", b"/b/index.php", b"/index.php"]),
        (b"/x.php/i//j/", [b"/x.php/i//j/", b"/index.php"]),
        (b"", [b"/index.php"]),
    ],
)
def test_the_default_tries_path_then_its_index_then_the_front_controller(path: bytes, expected: list[bytes]) -> None:
    assert paths(SiteConfig(), path) == expected


def test_only_a_folder_without_slash_is_redirected() -> None:
    patterns = compile_patterns(SiteConfig())
    assert [candidate.redirects for candidate in expand(patterns, b"/a", PHP)] == [False, True, False]
    assert not any(candidate.redirects for candidate in expand(patterns, b"/a/", PHP))
    assert not any(candidate.redirects for candidate in expand(patterns, b"/a.php", PHP))
    other = compile_patterns(SiteConfig(try_files=("{path}/other.php",)))
    assert not any(candidate.redirects for candidate in expand(other, b"/a", PHP))


def test_without_an_index_only_the_path_is_tried() -> None:
    assert paths(SiteConfig(index=None), b"/a") == [b"/a"]


def test_a_list_of_its_own_is_kept_in_order() -> None:
    config = SiteConfig(try_files=("/static{path}", "{path}/", "{http.request.uri.path}", "app.php{path}"))
    assert paths(config, b"/a/b") == [b"/static/a/b", b"/a/b/", b"/a/b", b"/app.php/a/b"]


@pytest.mark.parametrize(
    ("entry", "cure"),
    [
        ("{query}", "{path}"),
        ("$uri", "{path}"),
        ("/index.php?{path}", "query"),
        ("=404", "404"),
        ("", "name a file"),
        ("a\0b", "NUL"),
    ],
)
def test_an_entry_that_cannot_work_is_an_error_with_the_cure(entry: str, cure: str) -> None:
    with pytest.raises(ConfigError, match="try_files entry") as caught:
        compile_patterns(SiteConfig(try_files=(entry,)))
    assert cure in str(caught.value)
    assert caught.value.directive == "try_files"
