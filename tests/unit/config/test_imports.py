from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given

from howdah.config.blocks import Block, Document, load_document, read_document
from howdah.config.lexer import Token
from howdah.errors import ConfigError
from tests.unit.config.test_lexer import ENVIRONMENT, TEXTS

NOTHING: Mapping[str, str] = {}


def read(text: str, environ: Mapping[str, str] = NOTHING) -> Document:
    return read_document(text, "Caddyfile", environ)


def load(folder: Path, main: str, **files: str) -> Document:
    for name, text in {"Caddyfile": main, **files}.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return load_document(str(folder / "Caddyfile"), NOTHING)


def words(lines: tuple[tuple[Token, ...], ...]) -> list[str]:
    return [" ".join(token.text for token in line) for line in lines]


def site(document: Document) -> Block:
    assert len(document.sites) == 1
    return document.sites[0]


def mistake(text: str, environ: Mapping[str, str] = NOTHING) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text, environ)
    return str(caught.value)


class TestSites:
    def test_options_and_sites_are_told_apart(self) -> None:
        document = read(
            "{\n\tdebug\n}\na.test, b.test:80 c.test,\nd.test {\n\troot x\n\troute {\n\t\trespond y\n\t}\n}\n:81 {\n}\n"
        )
        assert document.options is not None
        assert words(document.options.lines) == ["debug"]
        assert [[key.text for key in block.keys] for block in document.sites] == [
            ["a.test", "b.test:80", "c.test", "d.test"],
            [":81"],
        ]
        assert words(document.sites[0].lines) == ["root x", "route { respond y }"]
        assert document.sites[1].lines == ()

    @pytest.mark.parametrize(
        "text", ["localhost\n\nroot x\nroute {\n\trespond y\n}\n", "localhost\n{\nroot x\nroute {\nrespond y\n}\n}"]
    )
    def test_the_only_site_needs_no_braces_and_its_brace_may_stand_below(self, text: str) -> None:
        assert words(site(read(text)).lines) == ["root x", "route { respond y }"]

    def test_options_and_snippets_may_stand_before_a_site_without_braces(self) -> None:
        document = read("{\ndebug\n}\n(s) {\nrespond {args[0]}\n}\n:80 ,\n:81\nimport s hello\n")
        assert [key.text for key in site(document).keys] == [":80", ":81"]
        assert words(site(document).lines) == ["respond hello"]

    def test_nothing_is_a_document_too(self) -> None:
        assert read("# nothing\n").sites == ()

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("a {\n}\n{\ndebug\n}\n", "Caddyfile:3:1: a block without an address holds the global options"),
            ("{\n}\n{\n}\n", "Caddyfile:3:1: a block without an address"),
            ("a,b {\n}\n", "Caddyfile:1:1: an address holds no comma: write a, b"),
            ("a, {\n}\n", "Caddyfile:1:1: an address must follow the comma"),
            ("a,\n", "Caddyfile:1:1: an address must follow the comma"),
            ("&(x) {\n}\n", "Caddyfile:1:1: named routes such as &(x) are not supported; make it a snippet (x)"),
            ("a{\nb\n}\n", "Caddyfile:1:1: braces of blocks are words of their own: put a space before a {"),
            ("a {\nb {\nc\n}}\n", "Caddyfile:4:1: braces of blocks are words of their own"),
            ("a {\nb\n", "Caddyfile:1:3: this { is never closed"),
            ("a {\n}\n}\n", "Caddyfile:3:1: this } closes nothing"),
            ("a {\nb { c\n}\n}\n", "Caddyfile:2:3: a { ends its line"),
            ("a {\nb }\n", "Caddyfile:2:3: a } stands on a line of its own"),
            ("a {\nb\n} c\n", "Caddyfile:3:1: a } stands on a line of its own"),
            ("a {\n{\nb\n}\n}\n", "Caddyfile:2:1: a { stands at the end of a directive's line"),
            ("a {\nb\n{\nc\n}\n}\n", "Caddyfile:3:1: a { stands at the end of a directive's line"),
            ("(s)\na {\n}\n", "Caddyfile:1:1: the snippet (s) needs a block"),
            ("(s) {\n}\n(s) {\n}\n", "Caddyfile:3:1: there is a snippet (s) already, at Caddyfile:1"),
            (",\n{\n}\n", "Caddyfile:1:1: a site needs an address"),
        ],
    )
    def test_mistakes_are_told_with_position_and_cure(self, text: str, expected: str) -> None:
        assert mistake(text).startswith(expected)

    def test_a_missing_address_names_the_variable_that_is_not_set(self) -> None:
        assert mistake("{\n}\n{$SITE} {\n}\n").endswith("(not set on this line: {$SITE})")

    def test_quoted_braces_are_text(self) -> None:
        assert words(site(read('a {\nrespond "{" `}`\n}\n')).lines) == ["respond { }"]

    def test_a_variable_may_bring_whole_blocks(self) -> None:
        document = read("{\n{$OPTIONS}\n}\n{$SITES}", {"OPTIONS": "log {\noutput stdout\n}", "SITES": "a {\n}\nb {\n}"})
        assert document.options is not None
        assert words(document.options.lines) == ["log { output stdout }"]
        assert len(document.sites) == 2


class TestSnippets:
    @pytest.mark.parametrize(
        ("body", "call", "expected"),
        [
            ("respond x", "s", ["respond x"]),
            ("respond {args[0]} {args[1]}", "s a b", ["respond a b"]),
            ("respond {args.0}-{args.1}{args.0}", "s a b", ["respond a-ba"]),
            ('respond "<{args[0]}>"', 's "a b"', ["respond <a b>"]),
            ("to {args[:]}", "s a b c", ["to a b c"]),
            ("to {args[1:]} {args[:1]} {args[1:2]} {args[7:9]}", "s a b c", ["to b c a b"]),
            ("{args[:]}", "s root x", ["root x"]),
            ("a\n{args[:]} b\nc", "s", ["a", "b", "c"]),
            ("respond {args[0]}", 's "{"', ["respond {"]),
            ("import t {args[0]} z", "s y", ["respond y z"]),
            ("a\n{block}\nb", "s {\nx y\nz {\nw\n}\n}", ["a", "x y", "z { w }", "b"]),
            ("a {\n{block}\n}", "s", ["a { }"]),
            ("{blocks.one}\n{blocks.two}\n{blocks.three}", "s {\none x y\ntwo {\nz\n}\n}", ["x y", "z"]),
            ("import t 1 2 {\n{block}\n}", "s {\nx\n}", ["respond 1 2"]),
        ],
    )
    def test_arguments_are_put_in(self, body: str, call: str, expected: list[str]) -> None:
        text = f"(t) {{\nrespond {{args[0]}} {{args[1]}}\n}}\n(s) {{\n{body}\n}}\n:80 {{\nimport {call}\n}}\n"
        assert words(site(read(text)).lines) == expected

    @pytest.mark.parametrize(
        ("body", "part"),
        [
            (
                "respond {args[1]}",
                "{args[1]} has no value, because the import gives 1 argument (imported at Caddyfile:5:1)",
            ),
            ("respond {args[x]}", "{args[x]} is no argument; write {args[0]}"),
            ("respond x{args[:]}", "{args[:]} gives several words, so it must stand alone"),
            ('respond "{args[0:]}"', "gives several words"),
            ("import s a", "this import goes round in a circle: Caddyfile -> (s) -> (s)"),
            ("import", "import needs the name of a snippet, a file or a pattern"),
        ],
    )
    def test_mistakes_are_told_where_they_stand_in_the_snippet(self, body: str, part: str) -> None:
        message = mistake(f"(s) {{\n{body}\n}}\n:80 {{\nimport s a\n}}\n")
        assert part in message
        assert message.startswith("Caddyfile:2:")

    def test_a_snippet_must_stand_before_its_import(self) -> None:
        message = mistake(":80 {\nimport s\n}\n(s) {\nrespond x\n}\n")
        assert message.startswith("Caddyfile:2:8: there is neither a snippet (s) above nor a file s")

    def test_words_know_where_they_stand_and_who_imported_them(self) -> None:
        line = site(read("(s) {\n  respond x {args[0]}\n}\n:80 {\n  import s abc\n}\n")).lines[0]
        assert [(token.text, token.line, token.column) for token in line] == [
            ("respond", 2, 3),
            ("x", 2, 11),
            ("abc", 5, 12),
        ]
        origin = line[0].origin
        assert origin is not None
        assert (origin.line, origin.column) == (5, 3)

    def test_import_is_an_ordinary_word_where_it_begins_no_line(self) -> None:
        assert words(site(read(':80 {\nrespond import x\n"import" y\n}\n')).lines) == ["respond import x", "import y"]

    @pytest.mark.parametrize("last", ["", "x\n"])
    def test_imports_that_multiply_end_in_an_error(self, last: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("howdah.config.imports._MOST_IMPORTS", 2000)
        levels = "".join(f"(s{n}) {{\nimport s{n + 1}\nimport s{n + 1}\n}}\n" for n in range(40))
        message = mistake(f"(s40) {{\n{last}}}\n{levels}:80 {{\nimport s0\n}}\n")
        assert "there are more than 2,000 imports; look for snippets that import each other twice" in message

    def test_too_many_words_are_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("howdah.config.imports._MOST_TOKENS", 2000)
        assert "with its imports this makes more than 2,000 words" in mistake(":80 {\n" + "x\n" * 2000 + "}\n")

    def test_imports_inside_imports_are_counted(self) -> None:
        levels = "".join(f"(s{n}) {{\nimport s{n + 1}\n}}\n" for n in range(80))
        assert "more than 50 imports stand inside each other" in mistake(f"{levels}:80 {{\nimport s0\n}}\n")


class TestFiles:
    def test_are_found_beside_the_file_that_imports_them(self, tmp_path: Path) -> None:
        document = load(
            tmp_path,
            ":80 {\nimport parts/a.conf one\n}\nimport parts/sites.conf\n",
            **{
                "parts__a.conf": "respond {args[0]}\nimport b.conf\n",
                "parts__b.conf": "header X b\n",
                "parts__sites.conf": ":81 {\n}\n",
            },
        )
        assert words(document.sites[0].lines) == ["respond one", "header X b"]
        assert [block.keys[0].text for block in document.sites] == [":80", ":81"]
        assert document.sites[0].lines[1][0].file == str(tmp_path / "parts" / "b.conf")

    def test_patterns_take_files_in_order_without_hidden_ones_and_folders(self, tmp_path: Path) -> None:
        files = {"sites__b": "b {\n}\n", "sites__a": "a {\n}\n", "sites__.c": "c {\n}\n"}
        (tmp_path / "sites" / "d").mkdir(parents=True)
        document = load(tmp_path, "import sites/*\n", **files)
        assert [block.keys[0].text for block in document.sites] == ["a", "b"]
        assert document.warnings == ()
        hidden = load(tmp_path, "import sites/.*\n", **files)
        assert [block.keys[0].text for block in hidden.sites] == ["c"]

    def test_a_pattern_that_matches_nothing_and_an_empty_file_are_warnings(self, tmp_path: Path) -> None:
        document = load(tmp_path, "import *.none\nimport empty\n", empty="# nothing\n")
        assert [warning.removeprefix(str(tmp_path)) for warning in document.warnings] == [
            f"/Caddyfile:1:8: no file matches {tmp_path}/*.none",
            f"/Caddyfile:2:8: {tmp_path}/empty is empty",
        ]

    def test_snippets_come_from_files_and_keep_their_own_arguments(self, tmp_path: Path) -> None:
        document = load(
            tmp_path, "import lib one\n:80 {\nimport s two\n}\n", lib="(s) {\nrespond {args[0]} {args[:]}\n}\n"
        )
        assert words(site(document).lines) == ["respond two two"]

    @pytest.mark.parametrize(
        ("main", "files", "part"),
        [
            ("import a\n", {"a": "import b\n", "b": "\n import a\n"}, "b:2:2: this import goes round in a circle: "),
            ("import Caddyfile\n", {}, "Caddyfile:1:1: this import goes round in a circle: "),
            ("import none\n", {}, "Caddyfile:1:8: there is neither a snippet (none) above nor a file "),
            ("import sub\n", {"sub__x": ""}, "Caddyfile:1:8: there is neither"),
            ("import a\n", {"a": "x {\n"}, "a:1:3: this { is never closed"),
            ("import a\n", {"a": '"\n'}, 'a:1:1: this " is never closed'),
        ],
    )
    def test_mistakes_name_the_file_they_stand_in(
        self, tmp_path: Path, main: str, files: dict[str, str], part: str
    ) -> None:
        with pytest.raises(ConfigError) as caught:
            load(tmp_path, main, **files)
        assert f"{tmp_path}/{part}" in str(caught.value)

    def test_unreadable_files_are_one_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="none: cannot be read: No such file or directory"):
            load_document(str(tmp_path / "none"), NOTHING)

    def test_unset_variables_of_all_files_are_known(self, tmp_path: Path) -> None:
        document = load(tmp_path, "a {\nb {$NO}\nimport x\n}\n", x="c {$NEITHER}\n")
        assert [entry.name for entry in document.unset] == ["NO", "NEITHER"]


@given(TEXTS)
def test_any_text_is_read_or_refused_with_a_position(text: str) -> None:
    try:
        document = read(text, ENVIRONMENT)
    except ConfigError as mistake:
        error = mistake
    else:
        assert all(block.keys for block in document.sites)
        return
    assert str(error).startswith(f"Caddyfile:{error.line}:{error.column}: ")
