"""Path rules, with the attack vectors that have hit servers of this kind."""

from __future__ import annotations

from urllib.parse import quote_from_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from howdah.cgi.paths import (
    clean_path,
    conceals_script,
    decode_path,
    hidden_prefix,
    normalize_path,
    script_end,
    split_position,
)
from howdah.errors import InvalidPath

PHP = (b".php",)
# Text made of what path handling trips over.
PATHS = st.lists(
    st.sampled_from(
        [b"/", b"//", b".", b"..", b"a", b"%", b"\\", b"\n", b" ", b".php", b".PhP", b".ph", b"\xc8\xba", b"\xff", b":"]
    )
    | st.binary(min_size=1, max_size=3),
    max_size=12,
).map(b"".join)


@pytest.mark.parametrize(
    ("raw", "decoded"),
    [
        (b"/a.php", b"/a.php"),
        (b"/a%20b", b"/a b"),
        (b"/a+b", b"/a+b"),
        (b"/%2e%2E/x", b"/../x"),
        (b"/a%2Fb", b"/a/b"),
        (b"/%252e%252e/x", b"/%2e%2e/x"),
        (b"/%2500", b"/%00"),
        (b"/100%", b"/100%"),
        (b"/%zz%4", b"/%zz%4"),
        (b"/%u002e", b"/%u002e"),
        (b"/a.php%0Ab", b"/a.php\nb"),
        (b"/%c0%ae%c0%ae/x", b"/\xc0\xae\xc0\xae/x"),
        (b"/\xff", b"/\xff"),
        (b"", b""),
    ],
)
def test_a_path_is_decoded_once(raw: bytes, decoded: bytes) -> None:
    assert decode_path(raw) == decoded


@pytest.mark.parametrize("raw", [b"/a\0b", b"/a%00.php", b"/%00", b"/x.php%00/..", b"\0"])
def test_nul_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidPath):
        decode_path(raw)


@given(st.binary().filter(lambda raw: b"\0" not in raw))
def test_decoding_undoes_encoding(path: bytes) -> None:
    assert decode_path(quote_from_bytes(path, safe="/").encode()) == path
    assert decode_path(b"".join(b"%%%02x" % byte for byte in path)) == path


@pytest.mark.parametrize(
    ("path", "suffixes", "position"),
    [
        (b"/index.php", PHP, 10),
        (b"/index.php/info", PHP, 10),
        (b"/a.php.bak", PHP, 6),
        (b"/a.PhP/x.php", PHP, 6),
        (b"/plain", PHP, -1),
        (b"", PHP, -1),
        (b"/a.php", (), -1),
        (b"/a.php/b.phtml", (b".phtml", b".php"), 14),
        (b"/a.inc/b.php", (b".php", b".inc"), 12),
        ("/ȺȺȺȺshell.php.txt.php".encode(), PHP, 18),
        (b"/a.php\n/b", PHP, 6),
        (b"/\xff\xfe.php", PHP, 7),
        (b"/%2ephp", PHP, -1),
        (b"/a.ph\0p", PHP, -1),
    ],
)
def test_split_position_counts_original_bytes(path: bytes, suffixes: tuple[bytes, ...], position: int) -> None:
    assert split_position(path, suffixes) == position


LOOK_ALIKES = [
    "/shell.ⓟⓗⓟ",
    "/shell.ⓅⒽⓅ",
    "/shell．php",
    "/shell.ｐｈｐ",
    "/shell.ｐhp",
    "/shell.PHP".replace("P", "Ｐ"),
    "/shell﹒php",
    "/shell․php",
    "/shell。php",
    "/shell.𝐩𝐡𝐩",
    "/shell.𝓅𝒽𝓅",
    "/shell.𝗉𝗁𝗉",
    "/shell.𝚙𝚑𝚙",
    "/shell.ᵖʰᵖ",
    "/shell.рhр",  # Cyrillic er
    "/shell.pһp",  # Cyrillic shha
    "/shell.ph\u0440",
    "/shell.p\u200bhp",
    "/shell.p\u0301hp",
    "/shell.\u202ephp",
    "/shell.ℙℍℙ",
    "/name.¡.txt",
]


@pytest.mark.parametrize("path", LOOK_ALIKES, ids=ascii)
def test_unicode_look_alikes_are_no_suffix(path: str) -> None:
    assert split_position(path.encode(), PHP) == -1
    assert script_end(path.encode(), PHP) == -1


@pytest.mark.parametrize(
    "path",
    [
        b"/x.\xc1\xb0hp",  # overlong p
        b"/x\xc0\xaephp",  # overlong dot
        b"/x\xe0\x80\xaephp",
        b"/x.p\xe8p",  # p | 0x80
        b"/x.\xf0hp",
        b"/x\xaephp",
    ],
)
def test_overlong_and_high_bytes_are_no_suffix(path: bytes) -> None:
    assert split_position(path, PHP) == -1


def test_a_suffix_with_high_bytes_never_matches() -> None:
    assert split_position("/a.phü".encode(), (".phü".encode(),)) == -1


def _naive_split(path: bytes, suffixes: tuple[bytes, ...]) -> int:
    for suffix in suffixes:
        for start in range(len(path) - len(suffix) + 1):
            window = path[start : start + len(suffix)]
            if all(a == b or (65 <= a <= 90 and a + 32 == b) for a, b in zip(window, suffix, strict=True)):
                return start + len(suffix)
    return -1


@given(PATHS, st.permutations([b".php", b".ph", b".inc"]))
@example(b"/\xc4\xb0.php", [b".php"])
@example(b"/\xe2\x84\xaa.php", [b".php"])
def test_split_position_agrees_with_a_naive_search(path: bytes, suffixes: list[bytes]) -> None:
    assert split_position(path, tuple(suffixes)) == _naive_split(path, tuple(suffixes))


@pytest.mark.parametrize(
    ("path", "end"),
    [
        (b"/index.php", 10),
        (b"/index.php/", 10),
        (b"/a.php.bak", -1),
        (b"/a.php.bak/b.PHP", 16),
        (b"/v1.phpx/index.php/info", 18),
        (b"/a.php/b.php", 6),
        ("/ȺȺȺȺshell.php.txt.php".encode(), 26),
        (b"/a.php.", -1),
        (b"/a.php ", -1),
        (b"/a.php\n", -1),
        (b"/a.php::$DATA", -1),
        (b"/a.php\\", -1),
        (b"/a.php\\..\\b", -1),
        (b"/a.php%2f", -1),
        (b"/upload.jpg/x.php", 17),
    ],
)
def test_scripts_end_at_the_end_of_a_name(path: bytes, end: int) -> None:
    assert script_end(path, PHP) == end


@given(PATHS)
def test_what_follows_a_script_is_empty_or_starts_with_a_slash(path: bytes) -> None:
    end = script_end(path, PHP)
    if end >= 0:
        assert path[end - 4 : end].lower() == b".php"
        assert path[end : end + 1] in {b"", b"/"}


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        (b"", b"/"),
        (b"/", b"/"),
        (b"a", b"/a"),
        (b"//a///b", b"/a/b"),
        (b"/a/./b/.", b"/a/b/"),
        (b"/a/../b", b"/b"),
        (b"/../../etc/passwd", b"/etc/passwd"),
        (b"/a/..", b"/"),
        (b"/a/b/..", b"/a/"),
        (b"/a/b/", b"/a/b/"),
        (b"/...", b"/..."),
        (b"/.. /x", b"/.. /x"),
        (b"/..\\..\\x", b"/..\\..\\x"),
        (b"/%2e%2e/x", b"/%2e%2e/x"),
        (b"/\xc0\xae\xc0\xae/x", b"/\xc0\xae\xc0\xae/x"),
        (b"/..\n/x", b"/..\n/x"),
        (b"..", b"/"),
    ],
)
def test_paths_are_cleaned_by_text_alone(path: bytes, clean: bytes) -> None:
    assert clean_path(path) == clean


@given(PATHS)
def test_a_clean_path_never_leaves_the_root(path: bytes) -> None:
    clean = clean_path(path)
    segments = clean.split(b"/")
    assert clean.startswith(b"/")
    assert b".." not in segments
    assert b"." not in segments
    assert b"" not in segments[1:-1]
    assert clean_path(clean) == clean
    if path.endswith(b"/"):
        assert clean.endswith(b"/")


@given(PATHS)
def test_normalizing_leaves_no_dot_segment_and_nothing_else_changed(path: bytes) -> None:
    normal = normalize_path(path)
    assert not {b".", b".."} & set(normal.split(b"/"))
    assert clean_path(normal) == clean_path(path)


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        (b"/a/b", b""),
        (b"/.env", b"/.env"),
        (b"/a/.git/config", b"/a/.git"),
        (b"/.well-known/acme", b""),
        (b"/.well-known/.env", b"/.well-known/.env"),
        (b"/.well-known2", b"/.well-known2"),
        (b"/a.b/c.d", b""),
        (b"/.htaccess/", b"/.htaccess"),
    ],
)
def test_hidden_names_are_found(path: bytes, prefix: bytes) -> None:
    assert hidden_prefix(path) == prefix


@pytest.mark.parametrize(
    "name",
    [
        b"/a.php",
        b"/a.PHP",
        b"/a.php.",
        b"/a.php...",
        b"/a.php ",
        b"/a.php . .",
        b"/a.php\t",
        b"/a.php::$DATA",
        b"/a.php:stream",
        b"/a.php~",
        b"/a.php.bak",
        b"/a.php.SAVE",
        b"/a.php.swp",
        b"/a.php.bak~",
    ],
)
def test_names_that_conceal_a_script_are_known(name: bytes) -> None:
    assert conceals_script(name, PHP)


@pytest.mark.parametrize(
    "name", [b"/a.txt", b"/a.phps", b"/a.php.txt", b"/php", b"/a.php/readme.txt", b"/a.html~", b"/"]
)
def test_ordinary_names_conceal_nothing(name: bytes) -> None:
    assert not conceals_script(name, PHP)
