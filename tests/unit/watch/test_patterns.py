"""The matrix of the reference's pattern tests (named in each class), and what Howdah does better."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from howdah.errors import ConfigError
from howdah.watch.patterns import parse_pattern


def here(path: str) -> str:
    return f"{Path.cwd()}/{path}"


def matches(pattern: str, path: str) -> bool:
    return parse_pattern(pattern).matches(path)


class TestWatchesCorrectDir:
    @pytest.mark.parametrize(
        "pattern",
        [
            "/path",
            "/path/",
            "/path/**/*.php",
            "/path/*.php",
            "/path/*/*.php",
            "/path/?path/*.php",
            "/path/{dir1,dir2}/**/*.php",
            "/path/[ab]/x",
            "/path/file.php",
            "/path/**",
            "/path/./x/../*.php",
        ],
    )
    def test_absolute(self, pattern: str) -> None:
        assert parse_pattern(pattern).folder == "/path"

    @pytest.mark.parametrize("pattern", [".", "./", "./**", "**", "*.php", "./*.php"])
    def test_the_current_folder(self, pattern: str) -> None:
        assert parse_pattern(pattern).folder == str(Path.cwd())

    @pytest.mark.parametrize("pattern", ["..", "../", "../**/*.php"])
    def test_the_parent_folder(self, pattern: str) -> None:
        assert parse_pattern(pattern).folder == str(Path.cwd().parent)

    def test_relative_to_a_given_folder(self) -> None:
        assert parse_pattern("src/*.php", "/srv").folder == "/srv/src"

    def test_the_folder_is_resolved(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to("real")
        pattern = parse_pattern(f"{tmp_path}/link/**/*.php")
        assert pattern.folder == os.path.realpath(tmp_path / "real")


class TestRecursiveDirectories:
    @pytest.mark.parametrize(
        ("pattern", "path"),
        [
            ("/path", "/path/file.php"),
            ("/path", "/path/subpath/file.php"),
            ("/path/", "/path/subpath/file.php"),
            ("/path**", "/path/subpath/file.php"),
            ("/path/**", "/path/file.php"),
            ("/path/**", "/path/subpath/file.php"),
            ("/path/**/", "/path/subpath/file.php"),
            (".", here("file.php")),
            (".", here("subpath/file.php")),
            ("./**", here("subpath/file.php")),
            ("..", str(Path.cwd().parent / "subpath" / "file.php")),
            ("..", here("subpath/file.php")),
            ("/path", "/path/.hidden/file"),
            ("/path/**", "/path/.hidden/.file"),
        ],
    )
    def test_valid(self, pattern: str, path: str) -> None:
        assert matches(pattern, path)

    @pytest.mark.parametrize(
        ("pattern", "path"),
        [
            ("/path", "/other/file.php"),
            ("/path", "/path2/file.php"),
            ("/path/**", "/other/file.php"),
            ("/path/**", "/path2/file.php"),
            (".", "/other/file.php"),
            ("./**", str(Path.cwd().parent / "file.php")),
            ("/path", ""),
        ],
    )
    def test_invalid(self, pattern: str, path: str) -> None:
        assert not matches(pattern, path)


class TestNonRecursiveFilePatterns:
    @pytest.mark.parametrize(
        ("pattern", "path"),
        [
            ("/*.php", "/file.php"),
            ("/path/*.php", "/path/file.php"),
            ("/path/?ile.php", "/path/file.php"),
            ("/path/file.php", "/path/file.php"),
            ("*.php", here("file.php")),
            ("./*.php", here("file.php")),
            ("file.php", here("file.php")),
        ],
    )
    def test_valid(self, pattern: str, path: str) -> None:
        assert matches(pattern, path)

    @pytest.mark.parametrize(
        ("pattern", "path"),
        [
            ("/path/*.txt", "/path/file.php"),
            ("*.txt", here("file.php")),
            ("/path/*.php", "/path/subpath/file.php"),
            ("/*.php", "/path/file.php"),
            ("*.php", "/path/file.php"),
            ("./*.php", here("subpath/file.php")),
            ("/path/?ile.php", "/path/xfile.php"),
            ("/path/file.php", "/path/file2.php"),
            ("/path/file.php", "/path/file_php"),
        ],
    )
    def test_invalid(self, pattern: str, path: str) -> None:
        assert not matches(pattern, path)


class TestRecursiveFilePatterns:
    @pytest.mark.parametrize(
        ("pattern", "path"),
        [
            ("/path/**/*.php", "/path/file.php"),
            ("/path/**/*.php", "/path/subpath/file.php"),
            ("/path/**/*.php", "/path/a/b/c/d/file.php"),
            ("/path/**/?ile.php", "/path/subpath/file.php"),
            ("/path/**/file.php", "/path/subpath/file.php"),
            ("**/*.php", here("file.php")),
            ("/**/*.php", "/path/file.php"),
            ("./**/*.php", here("file.php")),
            ("./**/*.php", here("a/b/file.php")),
            ("**/*.php", here("a/b/file.php")),
            ("/a/**/b/**/e.php", "/a/x/b/y/z/e.php"),
        ],
    )
    def test_valid(self, pattern: str, path: str) -> None:
        assert matches(pattern, path)

    @pytest.mark.parametrize(
        ("pattern", "path"),
        [
            ("/path/**/*.txt", "/path/file.php"),
            ("/path/**/*.txt", "/path/subpath/file.php"),
            ("/path/**/*.php", "/other/file.php"),
            ("./**/*.php", "/other/file.php"),
            (".**/*.php", "/path/file.php"),
            (".**/*.php", here("file.php")),
            (".**/*.php", here("subpath/file.php")),
            ("**/*.php", "/other/file.php"),
            ("/path/**/?ilm.php", "/path/subpath/file.php"),
            ("/a/**/very/long/path.php", "/a/short.php"),
            ("/a/**/b/c/d/**/e.php", "/a/x/e.php"),
            ("/path/**/*.php", ""),
        ],
    )
    def test_invalid(self, pattern: str, path: str) -> None:
        assert not matches(pattern, path)

    def test_empty_pattern_is_a_mistake(self) -> None:
        with pytest.raises(ConfigError, match="empty"):
            parse_pattern("")


class TestDirectoryPatterns:
    @pytest.mark.parametrize(
        ("pattern", "path"),
        [
            ("/path/*/*.php", "/path/subpath/file.php"),
            ("/path/*/*/*.php", "/path/a/b/file.php"),
            ("/path/?/*.php", "/path/1/file.php"),
            ("/path/*/*", "/path/a/b"),
            ("/path/**/vendor/*.php", "/path/vendor/file.php"),
            ("/path/**/vendor/*.php", "/path/a/b/vendor/file.php"),
            ("/path/**/vendor/**/*.php", "/path/vendor/file.php"),
            ("/path/**/vendor/**/*.php", "/path/a/vendor/b/c/file.php"),
            ("/path/**/vendor/*/*.php", "/path/a/vendor/b/file.php"),
            ("/path*/path*/*", "/path1/path2/file.php"),
        ],
    )
    def test_valid(self, pattern: str, path: str) -> None:
        assert matches(pattern, path)

    @pytest.mark.parametrize(
        ("pattern", "path"),
        [
            ("/path/*/*.php", "/path/file.php"),
            ("/path/*/*.php", "/path/a/b/file.php"),
            ("/path/?/*.php", "/path/12/file.php"),
            ("/path/?/*.php", "/path/file.php"),
            ("/path/*/*", "/path/a/b/c"),
            ("/path/**/vendor/*.php", "/path/vendor/a/file.php"),
            ("/path/**/vendor/*.php", "/path/file.php"),
            ("/path/**/vendor/**/*.php", "/path/a/b/file.php"),
            ("/path/**/vendor/*/*.php", "/path/vendor/file.php"),
            ("/path/**/vendor/*/*.php", "/path/a/vendor/b/c/file.php"),
            ("/path*/path*/*", "/path1/other/file.php"),
            ("/path*/path*/*", "/path1/path2/path3/file.php"),
            ("/path*/path*", "/path1/path2/file.php"),
            ("/path/subpath/*.php", "/path/other/file.php"),
            ("/path/*/*/*.php", "/path/a/file.php"),
            ("/path/*/*/*.php", "/path/a/b/c/file.php"),
            ("/path/**/vendor/**/*.txt", "/path/a/vendor/b/file.php"),
        ],
    )
    def test_invalid(self, pattern: str, path: str) -> None:
        assert not matches(pattern, path)


class TestCurlyBracePatterns:
    @pytest.mark.parametrize(
        ("pattern", "path"),
        [
            ("/path/*.{php}", "/path/file.php"),
            ("/path/*.{php,twig}", "/path/file.php"),
            ("/path/*.{php,twig}", "/path/file.twig"),
            ("/path/{file.php,file.twig}", "/path/file.twig"),
            ("/path/{dir1,dir2}/file.php", "/path/dir1/file.php"),
            ("/path/{dir1,dir2}/file.php", "/path/dir2/file.php"),
            ("/app/{app,config,resources}/**/*.php", "/app/config/a/b/file.php"),
            ("/path/{a,b}{c,d}.{php,twig}", "/path/bd.twig"),
            ("/path/**/{file.php,file.twig}", "/path/subpath/file.twig"),
            ("/path/{dir1,dir2}/{a,b}{a,b}.php", "/path/dir2/bb.php"),
            ("/path/{dir1/test.php,dir2/test.php}", "/path/dir1/test.php"),
            ("/path/{dir1/sub,dir2}/*.php", "/path/dir1/sub/file.php"),
            ("/path/{dir1/sub,dir2}/*.php", "/path/dir2/file.php"),
            ("/path/{,a}b.php", "/path/b.php"),
        ],
    )
    def test_valid(self, pattern: str, path: str) -> None:
        assert matches(pattern, path)

    @pytest.mark.parametrize(
        ("pattern", "path"),
        [
            ("/path/*.{php}", "/path/file.txt"),
            ("/path/*.{php,twig}", "/path/file.txt"),
            ("/path/{file.php,file.twig}", "/path/file.txt"),
            ("/path/{dir1,dir2}/file.php", "/path/dir3/file.php"),
            ("/path/{dir1,dir2}/**/*.php", "/path/dir1/subpath/file.txt"),
            ("/path/{a,b}{c,d}.php", "/path/ab.php"),
            ("/path/{dir1/sub,dir2}/*.php", "/path/dir2/sub/file.php"),
            ("/path/{}", "/path/file.php"),
            ("/path/{}/{a,b}{a,b}.php", "/path/dir1/ab.php"),
            ("/path/}dir1{/{a,b}{a,b}.php", "/path/dir1/aa.php"),
            ("/path/}file.php,other.php{", "/path/file.php"),
            ("/path/}{", "/path/file.php"),
        ],
    )
    def test_invalid(self, pattern: str, path: str) -> None:
        assert not matches(pattern, path)

    def test_a_brace_without_partner_is_itself(self) -> None:
        assert matches("/path/{a.php", "/path/{a.php")
        assert matches("/path/a}.php", "/path/a}.php")


class TestBetterThanTheReference:
    def test_a_leading_double_star_begins_at_the_watched_folder(self) -> None:
        pattern = parse_pattern("/srv/{app,lib}/**/*.php")
        assert pattern.matches("/srv/app/x/file.php")
        assert not pattern.matches("/srv/other/app/file.php")

    def test_braces_may_stand_in_braces(self) -> None:
        assert matches("/path/*.{php,{twig,html}}", "/path/a.html")
        assert matches("/path/{a,b{1,2}}/{x,y}.php", "/path/b2/y.php")
        assert not matches("/path/{a,b{1,2}}/{x,y}.php", "/path/b/y.php")

    def test_a_dotted_folder_that_exists_is_a_folder(self, tmp_path: Path) -> None:
        folder = tmp_path / "my.app"
        folder.mkdir()
        pattern = parse_pattern(str(folder))
        assert pattern.folder == str(folder)
        assert pattern.matches(f"{folder}/sub/file.php")

    def test_a_file_without_dot_that_exists_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "console").write_text("")
        pattern = parse_pattern(f"{tmp_path}/console")
        assert pattern.folder == str(tmp_path)
        assert pattern.matches(f"{tmp_path}/console")
        assert not pattern.matches(f"{tmp_path}/console2")

    @pytest.mark.parametrize(
        ("pattern", "path", "expected"),
        [
            ("/path/**.php", "/path/a.php", True),
            ("/path/**.php", "/path/x/y/a.php", True),
            ("/path/**.php", "/path/x/a.txt", False),
            ("/path/[a-c].php", "/path/b.php", True),
            ("/path/[a-c].php", "/path/d.php", False),
            ("/path/[!a].php", "/path/b.php", True),
            ("/path/[^a].php", "/path/a.php", False),
            (r"/path/\*.php", "/path/*.php", True),
            (r"/path/\*.php", "/path/a.php", False),
            (r"/path/\{a,b\}.php", "/path/{a,b}.php", True),
            ("/path/{1..3}.php", "/path/2.php", False),
            ("/path/!a.php", "/path/!a.php", True),
            ("/path/*.PHP", "/path/a.php", False),
            ("/path/é*.php", "/path/éa.php", True),
        ],
    )
    def test_globs(self, pattern: str, path: str, expected: bool) -> None:
        assert matches(pattern, path) is expected

    def test_too_many_alternatives_are_a_mistake(self) -> None:
        with pytest.raises(ConfigError, match="alternatives"):
            parse_pattern("/path/" + "{a,b}" * 12)

    def test_nul_is_a_mistake(self) -> None:
        with pytest.raises(ConfigError, match="NUL"):
            parse_pattern("/path/\0")
