"""``worker``: scripts that stay in memory, in the global options and in ``php_server``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from howdah.config import units
from howdah.config.context import Context
from howdah.config.dispenser import Dispenser
from howdah.config.lexer import Token
from howdah.config.model import Position, WorkerConfig

DEFAULT_WATCH = "./**/*.{env,php,twig,yaml,yml}"
_KEYS = (
    "env",
    "file",
    "match",
    "max_consecutive_failures",
    "max_queue",
    "max_requests",
    "max_threads",
    "name",
    "num",
    "request_timeout",
    "reset_to_baseline",
    "watch",
)


@dataclass(frozen=True, slots=True)
class ReadWorker:
    """A worker and where its parts stand, for checks that need several workers."""

    config: WorkerConfig
    file: Token
    line: Dispenser


def read_worker(line: Dispenser, context: Context, *, is_global: bool) -> ReadWorker:
    """A script that stays in memory and handles many requests.

    Syntax::

        worker <file> [<num>|watch]
        worker {
            file                     <path>
            num                      <threads>
            name                     <name>
            env                      <name> <value>
            watch                    [<patterns...>]
            match                    <paths...>
            max_threads              <threads>
            max_requests             <requests>
            max_queue                <requests>
            max_consecutive_failures <number>|-1
            request_timeout          <duration>
            reset_to_baseline        true|false
        }

    A bare ``watch`` looks at ``./**/*.{env,php,twig,yaml,yml}``. ``match`` is for workers of a site only.

    Raises:
        ConfigError: with the position of the mistake.
    """
    fields: dict[str, object] = {"env": {}, "watch": (), "match": ()}
    file = _read_short(line, fields)
    for option in line.next_block():
        if option.name == "file":
            if file is not None:
                raise option.error("there is a file already; write it once")
            file = option.argument("the path of a script")
        elif option.name == "match" and is_global:
            raise option.error(
                "match is for workers of a site: move this worker into the php_server block whose requests it takes"
            )
        else:
            _read_option(option, context, fields)
    if file is None or not file.text:
        raise line.error("a worker needs a script; write worker <file>, or file <path> in its block", file)
    num, most = fields.get("num"), fields.get("max_threads")
    if isinstance(num, int) and isinstance(most, int) and 0 < most < num:
        raise line.error(f"max_threads ({most}) of a worker must not be smaller than its num ({num})")
    script, position = context.fixed(line, file), Position(file.file, file.line, file.column)
    return ReadWorker(context.make(line, WorkerConfig, file=script, position=position, **fields), file, line)


def _read_short(line: Dispenser, fields: dict[str, object]) -> Token | None:
    words = line.arguments(0, 2, "worker <file> [<num>|watch]")
    if len(words) == 2:
        if words[1].text == "watch":
            fields["watch"] = (DEFAULT_WATCH,)
        elif words[1].text:
            fields["num"] = units.count(line, words[1])
    return words[0] if words else None


def _read_option(option: Dispenser, context: Context, fields: dict[str, object]) -> None:
    match option.name:
        case "num" | "max_threads" | "max_requests" | "max_queue":
            fields[option.name] = units.count(option, option.argument("a number"))
        case "name":
            fields["name"] = context.fixed(option, option.argument("a name"))
        case "env":
            name, value = option.arguments(2, 2, "env <name> <value>")
            fields["env"] = {**_map(fields["env"]), name.text: context.fixed(option, value)}
        case "watch":
            words = option.arguments(0, None, "watch [<patterns...>]")
            fields["watch"] = (*_words(fields["watch"]), *([word.text for word in words] or [DEFAULT_WATCH]))
        case "match":
            words = option.arguments(1, None, "match <paths...>")
            fields["match"] = (*_words(fields["match"]), *(context.text(option, word) for word in words))
        case "max_consecutive_failures":
            fields[option.name] = units.count(option, option.argument("a number"), least=-1)
        case "request_timeout":
            fields["request_timeout_s"] = units.duration(option, option.argument("a duration"))
        case "reset_to_baseline":
            fields[option.name] = units.boolean(option, option.argument("true or false"))
        case _:
            raise option.unknown("option of worker", _KEYS)


def _words(value: object) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()


def _map(value: object) -> dict[str, str]:
    return value if isinstance(value, dict) else {}


def check_files(workers: Sequence[ReadWorker], where: str) -> None:
    """Check that no two workers have the same script, but for those that are told apart by ``match``.

    Raises:
        ConfigError: with the position of the second one.
    """
    seen: set[str] = set()
    for worker in workers:
        file = worker.config.file
        if file in seen:
            raise worker.line.error(
                f"{where} must not have duplicate filenames: {file}; give them match paths", worker.file
            )
        if not worker.config.match:
            seen.add(file)
