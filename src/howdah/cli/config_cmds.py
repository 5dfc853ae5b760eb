"""Commands about configuration files: ``fmt``, ``validate``, ``adapt``. They need neither PHP nor the extension."""

from __future__ import annotations

import contextlib
import difflib
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from howdah.cli.parser import Parser
from howdah.config.adapt import STANDARD_INPUT, load_config, parse_config
from howdah.config.dump import to_json
from howdah.config.format import format_text
from howdah.config.http import ServerModel
from howdah.config.lexer import decode
from howdah.errors import ConfigError

_STANDARD_INPUT = "-"

_FMT_DESCRIPTION = """\
Lay out a Caddyfile as `caddy fmt` does and print it: tabs, single spaces, braces where they belong.
Text in quotes, heredocs and comments stay as they are. A brace or quote without its partner is an error.
"""


def run_fmt(arguments: list[str]) -> int:
    """Format a file; gives the exit code.

    Raises:
        ConfigError: the file cannot be read or written, or a brace or quote has no partner.
    """
    parser = Parser(prog="howdah fmt", description=_FMT_DESCRIPTION)
    add = parser.add_argument
    add("-w", "--overwrite", action="store_true", help="write the result to the file (not with -)")
    add("-d", "--diff", action="store_true", help="print what would change, as a patch")
    add(
        "file",
        nargs="?",
        default="Caddyfile",
        metavar="FILE",
        help="file, or - for standard input (default: ./Caddyfile)",
    )
    options = parser.parse(arguments)
    source = _read(options.file)
    formatted = format_text(source, _label(options.file))
    if options.diff:
        _print(_diff(source, formatted, _label(options.file)))
    if options.overwrite and options.file != _STANDARD_INPUT:
        if formatted != source:
            _overwrite(Path(options.file), formatted)
    elif not options.diff:
        _print(formatted)
    return 0


_VALIDATE_DESCRIPTION = """\
Read a Caddyfile, with everything that it imports, and say what is wrong with it, with its certificates, folders and
worker scripts. Nothing is started, and PHP is not needed. The exit code is 0 if it can be used, 2 if not.
"""

_ADAPT_DESCRIPTION = """\
Print what a Caddyfile means, as Howdah's own JSON: sites with their directives in the order in which they act,
options, warnings. What has its default is left out. `howdah run -c FILE.json` takes it as it is.
"""


def run_validate(arguments: list[str]) -> int:
    """Check a configuration; gives the exit code.

    Raises:
        ConfigError: the configuration cannot be used; with the position of the mistake.
    """
    parser = _config_parser("howdah validate", _VALIDATE_DESCRIPTION)
    options = parser.parse(arguments)
    model = _load(options.config)
    from howdah.cli.check import check_model

    _warn([*model.warnings, *check_model(model)])
    print(f"{_label(options.config)}: valid")
    return 0


def run_adapt(arguments: list[str]) -> int:
    """Print a configuration as JSON; gives the exit code.

    Raises:
        ConfigError: the configuration cannot be used; with the position of the mistake.
    """
    parser = _config_parser("howdah adapt", _ADAPT_DESCRIPTION)
    parser.add_argument("-p", "--pretty", action="store_true", help="accepted for Caddy's sake: it is always pretty")
    options = parser.parse(arguments)
    model = _load(options.config)
    _warn(model.warnings)
    _print(json.dumps(to_json(model), indent=2) + "\n")
    return 0


def _config_parser(name: str, description: str) -> Parser:
    parser = Parser(prog=name, description=description)
    add = parser.add_argument
    add(
        "-c",
        "--config",
        default="Caddyfile",
        metavar="FILE",
        help="a Caddyfile, a .json file, or - for a Caddyfile on standard input (default: ./Caddyfile)",
    )
    add("-a", "--adapter", choices=("caddyfile",), help="accepted for Caddy's sake: the only one is caddyfile")
    return parser


def _load(file: str) -> ServerModel:
    if file == _STANDARD_INPUT:
        return parse_config(_read(file), _label(file), os.environ)
    if not Path(file).exists():
        raise ConfigError("there is no such file; name it with -c, or - for standard input", file=file)
    return load_config(file, os.environ)


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        sys.stderr.write(f"howdah: warning: {warning}\n")


def _print(text: str) -> None:
    # Bytes, because line ends inside quotes stay as they are, and UTF-8 whatever the terminal speaks.
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def _label(file: str) -> str:
    return STANDARD_INPUT if file == _STANDARD_INPUT else file


def _read(file: str) -> str:
    if file == _STANDARD_INPUT:
        return decode(sys.stdin.buffer.read(), _label(file))
    try:
        return decode(Path(file).read_bytes(), file)
    except OSError as error:
        cure = "; name the file, or - for standard input" if isinstance(error, FileNotFoundError) else ""
        raise ConfigError(f"cannot be read: {error.strerror}{cure}", file=file) from None


def _diff(before: str, after: str, label: str) -> str:
    # Only \\n ends a line here, unlike for splitlines.
    old, new = (io.StringIO(text, newline="\n").readlines() for text in (before, after))
    lines = difflib.unified_diff(old, new, f"{label} (now)", f"{label} (formatted)")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _overwrite(path: Path, text: str) -> None:
    """Replace a file's content at once, so that nobody reads half of it; links and permissions stay."""
    target = path.resolve()
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
        shutil.copymode(target, temporary)
        owner = target.stat()
        with contextlib.suppress(PermissionError):
            os.chown(temporary, owner.st_uid, owner.st_gid)
        os.replace(temporary, target)  # noqa: PTH105 - beside the other calls on names
        temporary = ""
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", file=str(path)) from None
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
