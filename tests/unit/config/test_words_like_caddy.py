"""The words of a line, asked from Caddy itself: `caddy adapt` lists the arguments of a path matcher one by one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from howdah.config.blocks import read_document

CADDY = shutil.which("caddy")
ENVIRONMENT = {"ONE": "1", "TWO": "f1 f2", "QUOTED": '"q r"', "EMPTY": ""}

pytestmark = pytest.mark.skipif(
    CADDY is None, reason="compares with caddy, which is not installed (Debian: apt-get install caddy)"
)


def caddy_words(folder: Path, text: str) -> list[str]:
    assert CADDY is not None
    path = folder / "Caddyfile"
    path.write_bytes(text.encode())
    done = subprocess.run(
        [CADDY, "adapt", "--config", str(path), "--adapter", "caddyfile"],
        env={**os.environ, **ENVIRONMENT, "HOME": str(folder)},
        capture_output=True,
        check=True,
    )
    (route,) = json.loads(done.stdout)["apps"]["http"]["servers"]["srv0"]["routes"]
    words = route["match"][0]["path"]
    assert isinstance(words, list)
    return words


@pytest.mark.parametrize(
    "line",
    [
        *("a b\tc", '"a b" c', '"a \\" b" c', '"a \\n \\\\ b"', '"\\\\" c', '"b"c d', 'a"b c"', 'a\\"b', "'a b'", "a{"),
        *("`a b`", '`a "b" \\d`', "x`a b`", '"a`b" c', 'a "x\n  y" b', "a `x\n  y` b", '"a\r\nb"', '"" x', "a\r"),
        *("a \\\n b", "a\\\nb", "a #b", "a#b", '"a"#x y', '"#x" y', "a \\{ b", "\\\\ a \\\\b", "a\u00a0b\vc", "a\x00b"),
        *("{$ONE} x", "a{$ONE}b{$ONE}", "{$TWO} x", '"{$TWO}" x', "`{$TWO}` x", "{$QUOTED} x", "{$EMPTY} {$NO} x"),
        *(
            "{$NO:a b} x",
            '"{$NO:a b}" x',
            '{$NO:"a b"} x',
            "{$NO:x:y} z",
            "{$EMPTY:default} x",
            "{$ONE:{$NO:y}} z",
            "{$} x",
        ),
    ],
)
def test_are_the_same(line: str, tmp_path: Path) -> None:
    text = f":80 {{\n@m path {line}\nrespond @m x\n}}\n"
    matcher = read_document(text, "Caddyfile", ENVIRONMENT).sites[0].lines[0]
    assert [token.text for token in matcher[2:]] == caddy_words(tmp_path, text)


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("s a b", "{args.0} {args.1}"),
        ('s "a b" c', "x{args.0}y {args.1}"),
        ('s "a b"', '"<{args.0}>"'),
    ],
)
def test_arguments_of_snippets_are_put_in_likewise(call: str, body: str, tmp_path: Path) -> None:
    text = f"(s) {{\n@m path {body}\n}}\n:80 {{\nimport {call}\nrespond @m x\n}}\n"
    matcher = read_document(text, "Caddyfile", ENVIRONMENT).sites[0].lines[0]
    assert [token.text for token in matcher[2:]] == caddy_words(tmp_path, text)
