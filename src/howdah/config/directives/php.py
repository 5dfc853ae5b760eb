"""``php_server`` and ``php``: PHP scripts, and with ``php_server`` everything around them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePosixPath

from howdah.config import units
from howdah.config.context import Context
from howdah.config.directives.worker import ReadWorker, check_files, read_worker
from howdah.config.dispenser import Dispenser
from howdah.config.http import Php, Step
from howdah.config.model import SiteConfig
from howdah.config.placeholders import has_placeholder

_PHP_KEYS = (
    "env",
    "max_body_size",
    "name",
    "request_body_timeout",
    "request_buffering",
    "request_timeout",
    "resolve_root_symlink",
    "root",
    "split",
    "split_path",
    "symlinks",
    "worker",
)
_PATHS = frozenset({"{path}", "{uri.path}", "{http.request.uri.path}"})
_QUERY = re.compile(r"\?\{(?:http\.request\.uri\.)?query\}\Z")
_SERVER_KEYS = ("file_server", "index", "try_files")


class _Reader:
    """Collects what the block of one directive says."""

    def __init__(self, context: Context, *, is_server: bool) -> None:
        self._context = context
        self._is_server = is_server
        self.site: dict[str, object] = {}
        self.env: dict[str, str] = {}
        self.root = ""
        self.name = ""
        self.has_files = is_server
        self.resolves_symlink = True
        self.workers: list[ReadWorker] = []

    def read(self, option: Dispenser) -> None:
        """Read one line of the block."""
        if option.name in _SERVER_KEYS:
            if not self._is_server:
                raise option.error(f"{option.name} is for php_server; php runs every request as the script it names")
            self._read_server(option)
        elif option.name == "hot_reload":
            raise option.error("hot_reload is not supported: it needs a Mercure hub, which is not available yet")
        elif option.name in _PHP_KEYS:
            self._read_php(option)
        else:
            known = (*_PHP_KEYS, *_SERVER_KEYS) if self._is_server else _PHP_KEYS
            raise option.unknown(f"option of {'php_server' if self._is_server else 'php'}", known)

    def _read_php(self, option: Dispenser) -> None:
        match option.name:
            case "root":
                self.root = self._context.folder(option, option.argument("a folder"))
            case "split" | "split_path":
                words = option.arguments(1, None, "split .php")
                for word in words:
                    if not word.text.isascii() or not word.text.startswith(".") or len(word.text) < 2:
                        raise option.error(
                            f"{word.text} is no suffix; write ASCII that begins with a dot, as .php", word
                        )
                self.site["split"] = tuple(word.text.lower() for word in words)
            case "resolve_root_symlink":
                flag = option.next_arg()
                self.resolves_symlink = flag is None or units.boolean(option, flag)
            case "name":
                self.name = self._context.fixed(option, option.argument("a name"))
            case "env":
                name, value = option.arguments(2, 2, "env <name> <value>")
                if not name.text or "=" in name.text or "\0" in name.text:
                    raise option.error(f"{name.text!r} is no name of a variable", name)
                self.env[name.text] = self._context.text(option, value, is_free=True)
            case "request_body_timeout" | "request_timeout":
                self.site[f"{option.name}_s"] = units.duration(option, option.argument("a duration"))
            case "max_body_size":
                self.site["max_body_size_bytes"] = units.size(option, option.argument("a size"))
            case "request_buffering":
                self.site[option.name] = units.boolean(option, option.argument("true or false"))
            case "symlinks":
                word = option.argument("follow or inside")
                if word.text not in {"follow", "inside"}:
                    raise option.unknown("value of symlinks", ("follow", "inside"), word)
                self.site["symlinks"] = word.text
            case _:
                self.workers.append(read_worker(option, self._context, is_global=False))

    def _read_server(self, option: Dispenser) -> None:
        if option.name == "index":
            word = option.argument("a file name, or off")
            self.site["index"] = None if word.text == "off" else word.text
        elif option.name == "try_files":
            self.site["try_files"] = _read_try_files(option)
        else:
            word = option.argument("the word off")
            if word.text != "off":
                raise option.error("file_server of php_server can only be off; it is on by itself", word)
            self.has_files = False

    def make(self, line: Dispenser) -> Php:
        """Make the directive's part of the model."""
        if not self.has_files and self._is_server and "try_files" not in self.site:
            index = self.site.get("index", "index.php")
            if index is not None:
                self.site["try_files"] = (f"{{path}}/{index}", str(index))
        if self._context.shared.max_body_size_bytes is not None:
            self.site.setdefault("max_body_size_bytes", self._context.shared.max_body_size_bytes)
        fixed = {name: value for name, value in self.env.items() if not has_placeholder(value)}
        known = {name: self._context.filled(value) for name, value in self.env.items()}
        booting = {name: value for name, value in known.items() if not has_placeholder(value)}
        self.workers = [self._place(worker, booting) for worker in self.workers]
        check_files(self.workers, f"workers in a single {line.name} block")
        is_template = has_placeholder(self.root)
        workers = tuple(worker.config for worker in self.workers)
        root = "" if is_template else self.root
        return Php(
            site=self._context.make(line, SiteConfig, root=root, env=fixed, workers=workers, **self.site),
            is_server=self._is_server,
            file_server=self.has_files,
            name=self.name,
            root=self.root if is_template else "",
            resolve_root_symlink=self.resolves_symlink,
            env=tuple((name, value) for name, value in self.env.items() if name not in fixed),
            hide=self._context.shared.files if self.has_files else (),
        )

    def _place(self, worker: ReadWorker, env: dict[str, str]) -> ReadWorker:
        """Give a worker the environment of its site, and a path that does not depend on the block's root."""
        file = worker.config.file
        if self.root and not file.startswith("/"):
            if has_placeholder(self.root):
                raise worker.line.error(
                    "the script of a worker must not depend on the request, as the root does; write its whole path",
                    worker.file,
                )
            file = str(PurePosixPath(self.root, file))
        config = replace(worker.config, file=file, env={**env, **worker.config.env})
        return replace(worker, config=config)


def _read_try_files(option: Dispenser) -> tuple[str, ...]:
    """Read the files that are tried, without what is so anyway: the query, and the status where none exists."""
    words = option.arguments(1, None, "try_files {path} {path}/index.php index.php")
    entries = []
    for index, word in enumerate(words):
        if word.text.startswith("="):
            if word.text != "=404" or not index or index + 1 < len(words):
                raise option.error(f"{word.text} cannot be used; only =404 may stand here, as the last one", word)
            continue
        text = _QUERY.sub("", word.text)
        for name in re.findall(r"\{[^{}]*\}", text):
            if name not in _PATHS:
                raise option.error(f"write {{path}} in place of {name}; it is all that is filled in here", word)
        if not text or "?" in text:
            raise option.error(f"{word.text} names no file; scripts get the query of the request by themselves", word)
        entries.append(text)
    return tuple(entries)


def parse_php_server(line: Dispenser, context: Context) -> list[Step]:
    """Serves a PHP application: its files as they are, everything else by its scripts.

    Syntax::

        php_server [<matcher>] {
            root                 <path>
            index                <file>|off
            try_files            <files...>
            file_server          off
            split                <suffixes...>
            env                  <name> <value>
            resolve_root_symlink [true|false]
            name                 <name>
            worker               <see below>
            request_body_timeout <duration>
            request_timeout      <duration>
            max_body_size        <size>
            request_buffering    true|false
            symlinks             follow|inside
        }

    ``try_files`` is ``{path} {path}/<index> <index>`` by itself; only ``{path}`` is filled in there. ``env`` may be
    repeated; its values may hold placeholders. ``name`` is the site's name in metrics and logs;
    without it that is the first host of the site, or of a matcher around this directive, else the address.
    """
    return _parse(line, context, is_server=True)


def parse_php(line: Dispenser, context: Context) -> list[Step]:
    """Runs every request as the script that its path names; a path that names none is 404.

    Syntax: as ``php_server``, without ``index``, ``try_files`` and ``file_server``
    """
    return _parse(line, context, is_server=False)


def _parse(line: Dispenser, context: Context, *, is_server: bool) -> list[Step]:
    matcher = context.take_matcher(line)
    reader = _Reader(context, is_server=is_server)
    for option in line.next_block():
        reader.read(option)
    return [context.step(line, reader.make(line), matcher)]
