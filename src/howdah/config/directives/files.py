"""``file_server``, ``encode`` and ``x_sendfile``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

from howdah.config import units
from howdah.config.context import Context
from howdah.config.dispenser import Dispenser
from howdah.config.http import Algorithm, Encode, FileServer, Step, XSendfile
from howdah.config.lexer import Token

ALGORITHMS: tuple[Algorithm, ...] = ("zstd", "br", "gzip")
_LEVELS = {"gzip": (1, 9), "br": (0, 11), "zstd": (1, 22)}
# The names that Caddy gives to levels of zstd.
_ZSTD_NAMES = {"fastest": 1, "default": 3, "better": 7, "best": 11}
_FILE_OPTIONS = (
    "browse",
    "disable_canonical_uris",
    "hide",
    "index",
    "pass_thru",
    "precompressed",
    "root",
    "status",
)


def parse_file_server(line: Dispenser, context: Context) -> list[Step]:
    """Answers with files.

    Syntax::

        file_server [<matcher>] [browse] {
            root          <path>
            hide          <patterns...>
            index         <names...>
            precompressed [zstd|br|gzip...]
            status        <status>
            browse
            pass_thru
            disable_canonical_uris
        }

    ``precompressed`` sends ``file.zst``, ``file.br`` or ``file.gz`` in place of ``file`` to clients that take it.
    ``pass_thru`` hands what is no file to the next directive. The files of the configuration are never sent.
    """
    matcher = context.take_matcher(line)
    fields: dict[str, object] = {"hide": list(context.shared.files), "status": context.status}
    if (word := line.next_arg()) is not None:
        if word.text != "browse":
            raise line.error(
                f"{word.text} is one too many for file_server; write file_server [<matcher>] [browse]", word
            )
        fields["browse"] = True
    for option in line.next_block():
        _read_file_option(option, context, fields)
    hide = cast("list[str]", fields.pop("hide"))
    return [context.step(line, context.make(line, FileServer, hide=tuple(hide), **fields), matcher)]


def _read_file_option(option: Dispenser, context: Context, fields: dict[str, object]) -> None:
    match option.name:
        case "root":
            fields["root"] = context.text(option, option.argument("a folder"))
        case "hide":
            hidden = [context.text(option, word) for word in option.arguments(1, None, "hide <patterns...>")]
            cast("list[str]", fields["hide"]).extend(hidden)
        case "index":
            words = option.arguments(1, None, "index <names...>")
            fields["index"] = tuple(context.text(option, word) for word in words)
        case "precompressed":
            words = option.arguments(0, None, "precompressed zstd br gzip")
            fields["precompressed"] = algorithms(option, words) if words else ("br", "zstd", "gzip")
        case "status":
            word = option.argument("a status")
            if not re.fullmatch(r"[1-9]\d\d|\{.*\}", word.text, re.ASCII):
                raise option.error(f"{word.text} is no status; write a number such as 404", word)
            fields["status"] = context.text(option, word)
        case "browse":
            fields["browse"] = True
        case "pass_thru":
            fields["pass_through"] = True
        case "disable_canonical_uris":
            fields["canonical_uris"] = False
        case _:
            raise option.unknown("option of file_server", _FILE_OPTIONS)


def parse_encode(line: Dispenser, context: Context) -> list[Step]:
    """Compresses responses for clients that take it.

    Syntax::

        encode [<matcher>] [zstd|br|gzip...] {
            zstd           [<level>]
            br             [<level>]
            gzip           [<level>]
            minimum_length <size>
            match header Content-Type <patterns...>
        }

    The algorithms are tried in the order in which they are written; none at all means ``zstd br gzip``.
    """
    matcher = context.take_matcher(line)
    words: list[Token] = []
    while (word := line.next_arg()) is not None:
        words.append(word)
    chosen = list(algorithms(line, words))
    minimum_bytes = Encode().minimum_bytes
    types: list[str] = []
    levels: dict[str, int] = {}
    for option in line.next_block():
        if option.name in ALGORITHMS:
            if option.name not in chosen:
                chosen.append(option.name)
            _read_level(option, levels)
        elif option.name == "minimum_length":
            minimum_bytes = units.size(option, option.argument("a size"))
        elif option.name == "match":
            types += _content_types(option)
        else:
            raise option.unknown("option of encode", (*ALGORITHMS, "match", "minimum_length"))
    action = Encode(tuple(chosen) or ALGORITHMS, minimum_bytes, tuple(types), levels)
    return [context.step(line, action, matcher)]


def _read_level(option: Dispenser, levels: dict[str, int]) -> None:
    word = option.next_arg()
    if word is None:
        return
    if option.name == "zstd" and word.text in _ZSTD_NAMES:
        levels[option.name] = _ZSTD_NAMES[word.text]
        return
    levels[option.name] = units.count(option, word, *_LEVELS[option.name])


def _content_types(option: Dispenser) -> list[str]:
    """Read ``match header Content-Type <patterns...>``, also with the header in a block."""
    inner = [Dispenser(tokens) for tokens in option.take_lines()]
    if option.peek_arg() is not None:
        inner.insert(0, Dispenser(option.take_rest()))
    types: list[str] = []
    for one in inner:
        name = one.peek_arg()
        if one.name != "header" or name is None or name.text.lower() != "content-type":
            raise one.error("encode can match by header Content-Type only; use a matcher of the request for the rest")
        types += [word.text for word in one.arguments(2, None, "header Content-Type <patterns...>")[1:]]
    return types


def parse_x_sendfile(line: Dispenser, context: Context) -> list[Step]:
    """Answers with the file that a script names in ``X-Sendfile`` or ``X-Accel-Redirect``.

    Syntax: ``x_sendfile [<matcher>] [<root>]``

    Only files below the root are sent, by default the site's. One argument alone is the root, but for ``@name``.
    """
    words = line.arguments(0, 2, "x_sendfile [<matcher>] [<root>]")
    is_root = len(words) == 1 and not words[0].text.startswith(("@", "*"))
    scope = Dispenser((line.token, *words))
    matcher = None if is_root else context.take_matcher(scope)
    word = scope.next_arg()
    scope.finish()
    return [context.step(line, XSendfile(None if word is None else context.text(line, word)), matcher)]


def algorithms(line: Dispenser, words: Sequence[Token]) -> tuple[Algorithm, ...]:
    """Read names of compression algorithms.

    Raises:
        ConfigError: one is not known.
    """
    for word in words:
        if word.text not in ALGORITHMS:
            raise line.unknown("compression", ALGORITHMS, word)
    return tuple(dict.fromkeys(cast("Algorithm", word.text) for word in words))
