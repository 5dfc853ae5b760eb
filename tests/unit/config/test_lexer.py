from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from howdah.config.lexer import Kind, Token, decode, scan, tokenize
from howdah.errors import ConfigError

ENVIRONMENT = {
    "ONE": "1",
    "TWO": "a b",
    "EMPTY": "",
    "QUOTED": '"q r"',
    "LINES": "x\ny",
    "BLOCK": "log {\n\toutput stdout\n}",
    "NESTED": "{$ONE}",
}

# Texts in which everything that means something is frequent.
PIECES = st.sampled_from(
    [
        *(
            "a",
            "b.test",
            "é",
            " ",
            "  ",
            "\t",
            "\n",
            "\n\n",
            "\r\n",
            "\r",
            "\\\n",
            "\\",
            '"',
            "`",
            '\\"',
            "{",
            "}",
            "{}",
            "#",
        ),
        *(
            "# c",
            "<<",
            "<<X\n",
            "\nX",
            "  X ",
            "<<Y Z",
            "{$ONE}",
            "{$TWO}",
            "{$LINES}",
            "{$NO:d e}",
            "{$NO}",
            "{$",
            "{path}",
        ),
        *("\ufeff", "\u00a0", "\x00", "\x1c", "import", "(s)", "{args[0]}", ","),
    ]
)
TEXTS = st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=60)


def tokens(text: str, environ: dict[str, str] | None = None) -> list[Token]:
    return tokenize(text, "Caddyfile", ENVIRONMENT if environ is None else environ)[0]


def words(text: str) -> list[str]:
    return [token.text for token in tokens(text)]


def lines(text: str) -> list[list[str]]:
    result: list[list[str]] = []
    for token in tokens(text):
        if token.first:
            result.append([])
        result[-1].append(token.text)
    return result


def mistake(text: str) -> tuple[int | None, int | None, str]:
    with pytest.raises(ConfigError) as caught:
        tokens(text)
    assert caught.value.file == "Caddyfile"
    return caught.value.line, caught.value.column, caught.value.message


def is_gap(text: str) -> bool:
    return not text.replace("\\\r\n", "").replace("\\\n", "").removesuffix("\\").replace("\ufeff", "").strip()


class TestWords:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", []),
            (" \n\t\n", []),
            ("a b\tc", ["a", "b", "c"]),
            ('"a b" c', ["a b", "c"]),
            ('"a \\" b" c', ['a " b', "c"]),
            ('"a \\n \\\\ \\d b"', ["a \\n \\\\ \\d b"]),
            ('"\\\\" c', ["\\\\", "c"]),
            ('"" ``', ["", ""]),
            ('"b"c d', ["b", "c", "d"]),
            ('a"b c"', ['a"b', 'c"']),
            ('a\\"b', ['a\\"b']),
            ("'a b'", ["'a", "b'"]),
            ("`a b`", ["a b"]),
            ('`a "b" \\d`', ['a "b" \\d']),
            ("x`a b`", ["x`a", "b`"]),
            ('"a`b" c', ["a`b", "c"]),
            ('a "x\n  y" b', ["a", "x\n  y", "b"]),
            ('"a\r\nb"', ["a\r\nb"]),
            ("a # b c", ["a"]),
            ("a#b #", ["a#b"]),
            ('"a"#x y', ["a"]),
            ('"#x" y', ["#x", "y"]),
            ("a \\{ b", ["a", "\\{", "b"]),
            ("a{", ["a{"]),
            ("a\u00a0b\vc\u2003d", ["a", "b", "c", "d"]),
            ("a\x1cb", ["a\x1cb"]),
            ("a\x00b", ["a\x00b"]),
            ("\ufeffa", ["a"]),
            ("a\n\ufeffb", ["a", "b"]),
            ("a\rb\r\n", ["a", "b"]),
        ],
    )
    def test_are_found_as_caddy_finds_them(self, text: str, expected: list[str]) -> None:
        assert words(text) == expected

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("a b\nc", [["a", "b"], ["c"]]),
            ("a \\\n b\nc", [["a", "b"], ["c"]]),
            ("a\\\nb", [["a", "b"]]),
            ("a \\\r\n b", [["a", "b"]]),
            ("a \\\n\n b", [["a"], ["b"]]),
            ("a # x \\\nb", [["a"], ["b"]]),
            ('a "x\ny" b\nc', [["a", "x\ny", "b"], ["c"]]),
            ("# x\n\na", [["a"]]),
            ("a {\n}\n", [["a", "{"], ["}"]]),
        ],
    )
    def test_know_which_of_them_begin_lines(self, text: str, expected: list[list[str]]) -> None:
        assert lines(text) == expected

    def test_know_how_they_are_quoted(self) -> None:
        kinds = [token.kind for token in tokens('{ "{" `{` <<X\n{\nX\n')]
        assert kinds == [Kind.WORD, Kind.DOUBLE_QUOTED, Kind.BACKTICKED, Kind.HEREDOC]
        assert [token.is_word("{") for token in tokens('{ "{" `{` <<X\n{\nX\n')] == [True, False, False, False]

    @pytest.mark.parametrize(("text", "column"), [('a "b', 3), ("é `b\n", 3), ('\ufeff"a', 1), ('x\n"a" "\n\n', None)])
    def test_unclosed_quotes_are_told_where_they_open(self, text: str, column: int | None) -> None:
        line, found, message = mistake(text)
        assert "is never closed; add the closing" in message
        assert (line, found) == ((1, column) if column else (2, 5))


class TestHeredocs:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("r <<X\nx\nX", ["r", "x"]),
            ("r <<HTML\n\t<p>\n\t  hi {$ONE}\n\t</p>\n\tHTML 200\nb", ["r", "<p>\n  hi 1\n</p>", "200", "b"]),
            ("r <<X\n\t\ta\n\n\t\t\tb\n\t\tX", ["r", "a\n\n\tb"]),
            ("r <<X\na\n\nX", ["r", "a\n"]),
            ("r <<X\nX", ["r", ""]),
            ("r <<X\r\n  a\r\n  b\r\n  X\r\n", ["r", "a\nb"]),
            ('r <<X\nnot X\nXY\n "`#\nX', ["r", 'not X\nXY\n "`#']),
            ("r <<A-1_b  \nx\nA-1_b", ["r", "x"]),
            ("r <<A\na\nA <<B\nb\nB", ["r", "a", "b"]),
            ("r <<   >>", ["r", "<<", ">>"]),
            ("r <<X 200", ["r", "<<X", "200"]),
            ("r \\<<X\nb", ["r", "<<X", "b"]),
            ('r "<<X"\nb', ["r", "<<X", "b"]),
            ("r a<<X\nb", ["r", "a<<X", "b"]),
        ],
    )
    def test_give_their_text(self, text: str, expected: list[str]) -> None:
        assert words(text) == expected

    @pytest.mark.parametrize(
        ("text", "line", "column", "part"),
        [
            ("a\nr <<X\nb", 2, 3, "never ends; put X alone"),
            ("r <<X", 1, 3, "never ends"),
            ("r <<\nb", 1, 3, "needs a marker"),
            ("r <<<X\nb", 1, 3, "needs a marker"),
            ("r <<A+B\nb", 1, 3, "write \\<< for the characters themselves"),
            ("r <<X\n\ta\n  b\n\tX", 3, 1, "indented less than the X that ends the text on line 4"),
        ],
    )
    def test_say_what_is_wrong_and_where(self, text: str, line: int, column: int, part: str) -> None:
        found = mistake(text)
        assert found[:2] == (line, column)
        assert part in found[2]


class TestEnvironment:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("{$ONE} x", ["1", "x"]),
            ("a{$ONE}b{$ONE}", ["a1b1"]),
            ("{$TWO} x", ["a", "b", "x"]),
            ('"{$TWO}" `{$TWO}`', ["a b", "a b"]),
            ("{$QUOTED} x", ["q r", "x"]),
            ("{$NO:a b} x", ["a", "b", "x"]),
            ('"{$NO:a b}" x', ["a b", "x"]),
            ('{$NO:"a b"} x', ["a b", "x"]),
            ("{$NO:x:y} z", ["x:y", "z"]),
            ("{$NO} {$NO:} {$EMPTY} {$EMPTY:default} x", ["x"]),
            ("{$ONE:default}", ["1"]),
            ("{$} {env.ONE} {path}", ["{$}", "{env.ONE}", "{path}"]),
            ("a # {$LINES}\nb", ["a", "b"]),
        ],
    )
    def test_placeholders_are_replaced_before_words_are_found(self, text: str, expected: list[str]) -> None:
        assert words(text) == expected

    def test_values_may_bring_lines(self) -> None:
        assert lines("a {$LINES} z\n{$BLOCK}") == [["a", "x"], ["y", "z"], ["log", "{"], ["output", "stdout"], ["}"]]

    def test_what_a_value_brings_stands_at_its_placeholder_and_the_rest_where_it_was(self) -> None:
        found = [(token.text, token.line, token.column) for token in tokens("a {$LINES} z\n  {$NO}{$TWO} c\nd")]
        assert found == [
            ("a", 1, 1),
            ("x", 1, 3),
            ("y", 1, 3),
            ("z", 1, 12),
            ("a", 2, 8),
            ("b", 2, 8),
            ("c", 2, 15),
            ("d", 3, 1),
        ]

    def test_unset_variables_are_reported(self) -> None:
        unset = tokenize("a {$NO}\n# {$COMMENT}\n{$NO:x}{$EMPTY} {$OTHER}", "f", ENVIRONMENT)[1]
        assert [(entry.name, entry.file, entry.line, entry.column) for entry in unset] == [
            ("NO", "f", 1, 3),
            ("OTHER", "f", 3, 17),
        ]

    @pytest.mark.parametrize("text", ["a {$ONE", "a {$ ONE}", "a {$ONE:{$NO:x}", "a {$NESTED}", "a {$:x}"])
    def test_broken_placeholders_are_errors(self, text: str) -> None:
        if text == "a {$ONE:{$NO:x}":  # the first } ends it, as in Caddy
            assert words(text) == ["a", "1"]
            return
        line, column, message = mistake(text)
        assert (line, column) == (1, 3)
        assert "write each as {$NAME} or {$NAME:default}" in message


class TestDecoding:
    def test_tells_where_a_byte_is_wrong(self) -> None:
        with pytest.raises(ConfigError, match="0xff is not UTF-8; save the file as UTF-8") as caught:
            decode("é\nab".encode() + b"\xff", "f")
        assert (caught.value.line, caught.value.column) == (2, 3)


class TestProperties:
    @given(TEXTS)
    @example("{$")
    @example('"\\')
    def test_reading_gives_tokens_or_an_error_with_a_position(self, text: str) -> None:
        try:
            found = tokens(text)
        except ConfigError as mistake:
            error = mistake
        else:
            assert all(token.first for token in found[:1])
            return
        rows = text.split("\n")
        assert error.line is not None
        assert error.column is not None
        assert 1 <= error.line <= len(rows)
        assert 1 <= error.column <= len(rows[error.line - 1]) + 1

    @given(TEXTS)
    def test_the_text_of_a_token_stands_at_its_position(self, text: str) -> None:
        text = text.replace("{$", "")
        try:
            found = tokens(text)
        except ConfigError:
            return
        rows = text.removeprefix("\ufeff").split("\n")
        for token in found:
            rest = rows[token.line - 1][token.column - 1 :]
            if token.kind is not Kind.WORD:
                assert rest.startswith(token.kind.value)
            elif rest.startswith("\\<<"):
                assert rest[1:].startswith(token.text)
            else:
                assert rest.startswith(token.text)

    @given(TEXTS)
    def test_positions_ascend(self, text: str) -> None:
        try:
            found = tokens(text, {})
        except ConfigError:
            return
        positions = [(token.line, token.column) for token in found]
        assert positions == sorted(positions)

    @given(TEXTS)
    def test_scanning_leaves_nothing_out_but_space_and_joins(self, text: str) -> None:
        end = 0
        for lexeme in scan(text):
            assert lexeme.start < lexeme.end
            assert is_gap(text[end : lexeme.start])
            end = lexeme.end
        assert is_gap(text[end:])

    @given(st.lists(st.text(min_size=1, max_size=8), max_size=6))
    def test_quoting_carries_any_text(self, values: list[str]) -> None:
        plain = [value for value in values if not set(value) & {"`"} and "{$" not in value]
        assert words(" ".join(f"`{value}`" for value in plain)) == plain
        plain = [value for value in values if "\\" not in value and "{$" not in value]
        escaped = [value.replace('"', '\\"') for value in plain]
        assert words(" ".join(f'"{value}"' for value in escaped)) == plain
