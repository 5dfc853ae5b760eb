from __future__ import annotations

from collections.abc import Callable

import pytest

from howdah.config.blocks import read_document
from howdah.config.dispenser import Dispenser
from howdah.errors import ConfigError


def directive(text: str) -> Dispenser:
    document = read_document(f":80 {{\n{text}\n}}\n", "Caddyfile", {})
    (line,) = document.sites[0].dispensers()
    return line


def mistake(act: Callable[[], object]) -> str:
    with pytest.raises(ConfigError) as caught:
        act()
    return str(caught.value)


def read_log(cursor: Dispenser) -> dict[str, list[str]]:
    """A parse function as directives have them."""
    cursor.arguments(0, 0, "log { ... }")
    found: dict[str, list[str]] = {}
    for line in cursor.next_block():
        if line.name == "level":
            found["level"] = [line.argument("a level").text]
        elif line.name == "fields":
            found["fields"] = [field.name for field in line.next_block()]
        else:
            raise line.unknown("option of log", ["level", "fields"])
    cursor.finish()
    return found


class TestArguments:
    def test_are_taken_one_by_one(self) -> None:
        cursor = directive('root * "/a b"')
        assert cursor.name == "root"
        first = cursor.peek_arg()
        assert first is not None
        assert first.text == "*"
        taken = [cursor.next_arg(), cursor.next_arg(), cursor.next_arg()]
        assert [token and token.text for token in taken] == ["*", "/a b", None]
        cursor.finish()

    def test_are_taken_together(self) -> None:
        cursor = directive("to a b c")
        assert cursor.argument("a first").text == "a"
        assert [token.text for token in cursor.arguments(1, None, "to A...")] == ["b", "c"]
        cursor.finish()

    @pytest.mark.parametrize(
        ("text", "act", "expected"),
        [
            ("root", lambda cursor: cursor.argument("a folder"), "Caddyfile:2:1: root needs a folder"),
            (
                "root a",
                lambda cursor: cursor.arguments(2, 2, "root MATCHER DIR"),
                "Caddyfile:2:6: root needs more; write it as root MATCHER DIR",
            ),
            (
                "root a b c",
                lambda cursor: cursor.arguments(1, 2, "root [MATCHER] DIR"),
                "Caddyfile:2:10: c is one too many for root; write it as root [MATCHER] DIR",
            ),
            ("root  x", lambda cursor: cursor.finish(), "Caddyfile:2:7: x is one too many for root; remove it"),
            (
                "root {\n}",
                lambda cursor: cursor.finish(),
                "Caddyfile:2:6: root takes no block; remove it with its braces",
            ),
            (
                "root x {\n}",
                lambda cursor: list(cursor.next_block()),
                "Caddyfile:2:6: x is one too many for root; remove it",
            ),
            ("rot", lambda cursor: cursor.unknown("directive", ["root", "respond"]).args[0], None),
        ],
    )
    def test_mistakes_are_told_with_position_and_cure(
        self, text: str, act: Callable[[Dispenser], object], expected: str | None
    ) -> None:
        cursor = directive(text)
        if expected is None:
            assert act(cursor) == "there is no directive rot; did you mean root? (supported: respond, root)"
            return
        assert mistake(lambda: act(cursor)) == expected

    def test_errors_know_their_directive(self) -> None:
        error = directive("root x").error("wrong")
        assert (error.directive, error.file, error.line, error.column) == ("root", "Caddyfile", 2, 1)


class TestBlocks:
    def test_are_read_line_by_line(self) -> None:
        assert read_log(directive("log {\nlevel INFO\nfields {\na\nb\n}\n}")) == {
            "level": ["INFO"],
            "fields": ["a", "b"],
        }
        assert read_log(directive("log")) == {}
        assert read_log(directive("log {\n}")) == {}

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("log {\n  level INFO x\n}", "Caddyfile:3:14: x is one too many for log level; remove it"),
            ("log {\n  level\n}", "Caddyfile:3:3: log level needs a level"),
            ("log {\n  fields {\n a b\n}\n}", "Caddyfile:4:4: b is one too many for log fields a; remove it"),
            ("log {\n  level INFO {\n }\n}", "Caddyfile:3:14: log level takes no block; remove it with its braces"),
            (
                "log {\n  levl INFO\n}",
                "Caddyfile:3:3: there is no option of log levl; did you mean level? (supported: fields, level)",
            ),
            ("log {\n  xyzzy\n}", "Caddyfile:3:3: there is no option of log xyzzy (supported: fields, level)"),
            ("log x", "Caddyfile:2:5: x is one too many for log; write it as log { ... }"),
        ],
    )
    def test_ignore_no_word(self, text: str, expected: str) -> None:
        assert mistake(lambda: read_log(directive(text))) == expected

    def test_can_be_taken_as_they_are(self) -> None:
        cursor = directive("route {\nrespond a\nhandle {\nrespond b\n}\n}")
        assert [[token.text for token in line] for line in cursor.take_lines()] == [
            ["respond", "a"],
            ["handle", "{", "respond", "b", "}"],
        ]
        assert not cursor.has_block
        cursor.finish()

    def test_errors_in_imported_lines_say_where_the_import_stands(self) -> None:
        document = read_document("(s) {\nroot x y\n}\n:80 {\n  import s\n}\n", "Caddyfile", {})
        (cursor,) = document.sites[0].dispensers()
        message = mistake(lambda: cursor.arguments(1, 1, "root DIR"))
        assert message == "Caddyfile:2:8: y is one too many for root; write it as root DIR (imported at Caddyfile:5:3)"
