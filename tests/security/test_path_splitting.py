"""Nothing but a script of the root runs, whatever the path looks like: all published vectors."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.php.harness.raw import get
from tests.php.harness.server import Server, ServerFactory

_RUN = "<?php echo 'EXECUTED ', basename(__FILE__);"

# A suffix that only looks like .php, or does so after case folding or normalisation.
_LOOK_ALIKES = [
    ".ⓟⓗⓟ", ".ⓅⒽⓅ", "．php", ".ｐhp", ".pｈp", ".phｐ", ".ＰＨＰ", "﹒php", "․php", "。php", ".𝐩𝐡𝐩", ".𝓅𝒽𝓅", ".𝕡𝕙𝕡", ".𝗽𝗵𝗽", ".𝚙𝚑𝚙",
    ".рhр", ".ρhρ", ".ᵖʰᵖ", ".phꝑ", ".p\u0127p", ".ph\u00fe", ".p\u200dhp", ".php\u200b", ".\u00adphp", ".p\u0068\u0301p", ".¡",
]  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    (folder / "good.php").write_text(_RUN)
    (folder / "sub").mkdir()
    (folder / "sub" / "deep.php").write_text(_RUN)
    for number, suffix in enumerate(_LOOK_ALIKES):
        (folder / f"name{number}{suffix}").write_text(_RUN)
        (folder / f"name{number}{suffix}.txt").write_text(_RUN)
    # The published vector: letters whose lower case is longer than they are.
    (folder / "ȺȺȺȺshell.php.txt").write_text("must not be the script")
    (folder / "ȺȺȺȺshell.php").write_text(_RUN)
    (folder / "ȺȺȺȺshell.php.txt.php").write_text(_RUN)
    (folder / "image.jpg").write_text(_RUN)
    (folder / "text.php.bak").write_text(_RUN)
    (folder / "text.php.jpg").write_text(_RUN)
    (folder / "İ.php").write_text(_RUN)
    return folder


@pytest.fixture(scope="module")
def server(root: Path, module_server: ServerFactory) -> Server:
    return module_server(root, "--num-threads", "2", "--no-compress")


def _is_executed(body: bytes) -> bool:
    return body.startswith(b"EXECUTED")


@pytest.mark.parametrize("number", range(len(_LOOK_ALIKES)))
def test_a_suffix_that_only_looks_like_a_scripts_never_runs(server: Server, number: int) -> None:
    for tail in ("", "/info", ".txt", ".txt/x"):
        target = quote(f"/name{number}{_LOOK_ALIKES[number]}{tail}")
        assert not _is_executed(get(server.port, target).body), target


def test_letters_that_grow_when_lowered_do_not_move_the_split(server: Server) -> None:
    head = quote("/ȺȺȺȺshell")
    assert get(server.port, head + ".php.txt").body != b"EXECUTED \xc8\xba\xc8\xba\xc8\xba\xc8\xbashell.php.txt.php"
    assert not _is_executed(get(server.port, head + ".php.txt").body)
    assert get(server.port, head + ".php/x").body == "EXECUTED ȺȺȺȺshell.php".encode()
    answer = get(server.port, head + ".php.txt.php")
    assert answer.body == "EXECUTED ȺȺȺȺshell.php.txt.php".encode() or answer.status in {403, 404}


def test_a_capital_i_with_dot_is_an_ordinary_name(server: Server) -> None:
    assert get(server.port, quote("/İ.php")).body == "EXECUTED İ.php".encode()


@pytest.mark.parametrize("byte", range(0x80, 0x100))
def test_a_byte_above_ascii_never_matches_a_letter_of_the_suffix(server: Server, byte: int) -> None:
    for target in (f"/good.p%{byte:02x}p", f"/good%{byte:02x}php", f"/image.jpg/.%{byte:02x}"):
        assert not _is_executed(get(server.port, target).body), target


@pytest.mark.parametrize(
    "target",
    [
        "/image.jpg/x.php", "/image.jpg/.php", "/image.jpg%00.php", "/image.jpg%00/x.php", "/image.jpg%0a.php", "/image.jpg%0a/x.php",
        "/image.jpg;.php", "/image.jpg?.php", "/image.jpg%3f.php", "/image.jpg%23.php", "/image.jpg\\x.php", "/image.jpg/%2e%2e/image.jpg",
        "/image.jpg.php", "/image.jpg/good.php", "/image.jpg//.php", "/image.jpg%2f.php", "/image.jpg%252f.php", "/image.jpg/..%2f.php",
        "/text.php.bak", "/text.php.jpg", "/text.php.jpg/x.php", "/text.php%20.jpg",
    ],
)  # fmt: skip
def test_an_uploaded_file_is_never_run_as_a_script(server: Server, target: str) -> None:
    assert not _is_executed(get(server.port, target).body)


@pytest.mark.parametrize(
    "target",
    [
        "/good.php%0a",
        "/good.php%0d",
        "/good.php%20",
        "/good.php.",
        "/good.php%2e",
        "/good.php..",
        "/good.php::$DATA",
        "/good.php%09",
    ],
)
def test_trailing_characters_neither_run_nor_show_a_script(server: Server, target: str) -> None:
    body = get(server.port, target).body
    assert b"<?php" not in body


@pytest.mark.parametrize(
    "target", ["/good.php%00", "/good.php%00.jpg", "/%00", "/sub%00/deep.php", "/image.jpg%00.php"]
)
def test_nul_is_400(server: Server, target: str) -> None:
    assert get(server.port, target).status == 400


@pytest.mark.parametrize(
    "target",
    [
        "/..%c0%afgood.php", "/%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd", "/%e0%80%ae%e0%80%ae/etc/passwd", "/%252e%252e%252fetc/passwd",
        "/sub/..%5c..%5cetc/passwd", "/..%255c..%255cetc/passwd", "/%uff0e%uff0e/etc/passwd", "//etc/passwd", "///etc/passwd",
        "/./../etc/passwd", "/sub/../../../../etc/passwd", "/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/.%00./etc/passwd",
    ],
)  # fmt: skip
def test_overlong_and_doubly_encoded_dots_stay_inside_the_root(server: Server, target: str) -> None:
    answer = get(server.port, target)
    assert answer.status in {200, 400, 403, 404}
    assert b"root:" not in answer.body


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/good.php", "good.php"), ("/./good.php", "good.php"), ("/sub/../good.php", "good.php"), ("/good.php/", "good.php"),
        ("/sub/deep.php/a/../b", "deep.php"), ("/%67ood.php", "good.php"), ("/sub%2fdeep.php", "deep.php"),
        ("/good.php/../sub/deep.php", "deep.php"),
    ],
)  # fmt: skip
def test_legal_spellings_of_a_path_run_the_script_that_they_name(server: Server, target: str, name: str) -> None:
    assert get(server.port, target).body == f"EXECUTED {name}".encode()


def test_the_suffix_matches_without_case_but_the_file_name_does_not(server: Server) -> None:
    assert get(server.port, "/GOOD.PHP").status == 404
    assert b"<?php" not in get(server.port, "/good.PHP").body


@pytest.mark.parametrize(
    "query",
    [
        "?-s",
        "?-d+allow_url_include%3d1",
        "?%ADd+allow_url_include%3D1+%ADd+auto_prepend_file%3Dphp://input",
        "?-n+-r+phpinfo();",
    ],
)
def test_a_query_is_never_taken_for_options_of_php(server: Server, query: str) -> None:
    answer = get(server.port, "/good.php" + query, method="POST", body=b"<?php echo 'INJECTED';")
    assert answer.body == b"EXECUTED good.php"


@pytest.mark.parametrize(
    "name", ["PHP_VALUE", "PHP-VALUE", "PHP-ADMIN-VALUE", "SCRIPT-FILENAME", "DOCUMENT-ROOT", "REDIRECT-STATUS"]
)
def test_headers_named_like_fastcgi_parameters_have_no_power(server: Server, name: str) -> None:
    answer = get(server.port, "/good.php", headers=(f"{name}: auto_prepend_file=/etc/passwd",))
    assert answer.body == b"EXECUTED good.php"


def test_path_info_with_a_newline_is_harmless(server: Server) -> None:
    for length in range(1, 60, 7):
        assert _is_executed(get(server.port, f"/good.php/PATH%0AINFO{'a' * length}?{'Q' * 1500}").body)


def test_a_folder_without_index_shows_nothing(server: Server) -> None:
    answer = get(server.port, "/sub/")
    assert answer.status in {403, 404}
    assert b"deep.php" not in answer.body
