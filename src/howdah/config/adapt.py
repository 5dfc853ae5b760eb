"""From the structure of a Caddyfile to the model: the only place that knows how its parts belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from howdah.config import blocks, schema
from howdah.config.addresses import check_unique, read_addresses
from howdah.config.context import Context, Lines, Shared, SiteParts
from howdah.config.directives.options import Options
from howdah.config.directives.worker import check_files
from howdah.config.dispenser import Dispenser
from howdah.config.dump import parse_json
from howdah.config.http import HttpServers, HttpSite, ServerModel, Step
from howdah.config.imports import read_file
from howdah.config.lexer import Token
from howdah.config.model import Position, RuntimeConfig, WorkerConfig
from howdah.config.order import ALIASES, GROUPED, Placed, sort_directives
from howdah.config.workers import Names, check_numbers, name_site, site_workers
from howdah.errors import ConfigError

# Name of a configuration that is no file.
STANDARD_INPUT = "<stdin>"
DEFAULT_NAME = "default.caddyfile"


def load_config(path: str, environ: Mapping[str, str]) -> ServerModel:
    """Read a Caddyfile with everything that it imports, or Howdah's JSON if the name ends in ``.json``.

    Raises:
        ConfigError: with file, line and column of the mistake.
    """
    if path.endswith(".json"):
        return parse_json(read_file(path), path)
    return adapt(blocks.load_document(path, environ))


def load_default(environ: Mapping[str, str]) -> ServerModel:
    """Read the configuration for those who have none, which environment variables fill in.

    Raises:
        ConfigError: a variable holds what cannot stand there.
    """
    path = str(Path(__file__).with_name(DEFAULT_NAME))
    return parse_config(read_file(path), DEFAULT_NAME, environ)


def parse_config(text: str, file: str, environ: Mapping[str, str]) -> ServerModel:
    """Read a configuration from its text.

    Args:
        text: the main file.
        file: its name, for messages; imports start at its folder.
        environ: variables for ``{$NAME}``.

    Raises:
        ConfigError: with file, line and column of the mistake.
    """
    return adapt(blocks.read_document(text, file, environ))


def adapt(document: blocks.Document) -> ServerModel:
    """Make the model of a configuration whose structure is known.

    Raises:
        ConfigError: with file, line and column of the mistake.
    """
    try:
        return _adapt(document)
    except ConfigError as error:
        raise _with_unset(error, document) from None


def _with_unset(error: ConfigError, document: blocks.Document) -> ConfigError:
    """Add to a message which environment placeholders of its line stand for nothing."""
    names = [f"{{${one.name}}}" for one in document.unset if (one.file, one.line) == (error.file, error.line)]
    if not names:
        return error
    message = f"{error.message} (not set on this line: {', '.join(names)})"
    return ConfigError(message, file=error.file, line=error.line, column=error.column, directive=error.directive)


def _adapt(document: blocks.Document) -> ServerModel:
    warnings = list(document.warnings)
    options = Options()
    files = _files(document)
    shared = Shared(tuple(options.order), None, files, warnings, document.environ, _read_steps)
    if document.options is not None:
        _read_options(document.options, Context(shared, None, {}), options)
    check_files(options.workers, "global workers")
    names = Names()
    global_workers = names.unique([worker.config for worker in options.workers], "")
    shared = replace(shared, order=tuple(options.order), max_body_size_bytes=options.max_body_size_bytes)
    sites = tuple(name_site(_read_site(block, shared), names) for block in document.sites)
    servers = HttpServers(**options.servers)  # type: ignore[arg-type]
    keys = [block.keys for block in document.sites]
    check_unique(list(zip(keys, sites, strict=True)), servers.http_port, servers.https_port)
    return ServerModel(
        runtime=_make_runtime(options, global_workers, sites),
        sites=sites,
        servers=servers,
        admin=options.admin,
        logs=tuple(options.logs),
        warnings=tuple(warnings),
    )


def _make_runtime(options: Options, workers: tuple[WorkerConfig, ...], sites: Sequence[HttpSite]) -> RuntimeConfig:
    try:
        runtime = RuntimeConfig(workers=workers, php_ini=options.php_ini, **options.runtime)  # type: ignore[arg-type]
        check_numbers(runtime, [*workers, *(worker for site in sites for worker in site_workers(site))])
    except ConfigError as error:
        # Every value that can be wrong by itself was checked where it stands; the place of the last word is known.
        line = options.lines.get(error.directive or "")
        if line is None or error.file is not None:
            raise
        raise line.error(error.message) from None
    return runtime


def _files(document: blocks.Document) -> tuple[str, ...]:
    """Give the names of all files that the configuration is made of, as ``hide`` takes them."""
    names = dict.fromkeys([document.file])
    for block in document.sites:
        for line in block.lines:
            names.update((token.file, None) for token in line)
    return tuple(name if "/" in name else f"./{name}" for name in names if name != STANDARD_INPUT)


def _read_options(block: blocks.Block, context: Context, options: Options) -> None:
    for line in block.dispensers():
        parse = schema.OPTIONS.get(line.name)
        if parse is None:
            raise schema.unknown_directive(line, schema.OPTIONS, "global option")
        parse(line, context, options)
        line.finish()


def _read_site(block: blocks.Block, shared: Shared) -> HttpSite:
    _check_keys(block, shared)
    addresses = read_addresses(block.keys)
    site = SiteParts()
    context = Context(shared, site, {})
    steps = _read_lines(block.lines, context, is_ordered=False)
    opening = block.opening
    return HttpSite(
        addresses=addresses,
        steps=steps,
        errors=tuple(site.errors),
        bind=tuple(site.bind),
        tls=site.tls,
        logs=tuple(site.logs),
        position=Position(opening.file, opening.line, opening.column),
    )


def _check_keys(block: blocks.Block, shared: Shared) -> None:
    """Find directives that stand where an address belongs."""
    for key in block.keys:
        name = key.text
        if name not in schema.HANDLERS and name not in schema.SITE_DIRECTIVES and name not in schema.OPTIONS:
            continue
        kind = "a global option" if name in schema.OPTIONS else "a directive"
        where = "in a block { } at the top" if name in schema.OPTIONS else "in a site, below an address such as :80"
        message = f"{name} stands where the address of a site belongs; it is {kind}: put it {where}"
        # No host has such a name.
        if "_" in name or name == "frankenphp":
            raise key.error(message)
        shared.warnings.append(str(key.error(f"{name} is the address of a site here, and also the name of {kind}")))


def _read_steps(lines: Lines, context: Context, is_ordered: bool) -> tuple[Step, ...]:
    return _read_lines(lines, context, is_ordered=is_ordered)


def _read_lines(lines: Sequence[tuple[Token, ...]], context: Context, *, is_ordered: bool) -> tuple[Step, ...]:
    """Read the directives of a block, matchers first because they may stand below their use."""
    for tokens in lines:
        if tokens[0].text.startswith("@"):
            definition = Dispenser(tokens)
            if definition.name in context.named_here:
                raise definition.error(f"there is a matcher {definition.name} already; give this one another name")
            context.define(definition)
            definition.finish()
    placed = [one for tokens in lines if (one := _read_line(Dispenser(tokens), context)) is not None]
    if not is_ordered:
        placed = sort_directives(placed, context.shared.order)
    return _group(placed)


def _read_line(line: Dispenser, context: Context) -> Placed | None:
    name = line.name
    if name.startswith("@"):
        return None
    parse = schema.HANDLERS.get(name)
    if parse is not None:
        steps = parse(line, context)
        line.finish()
        return Placed(ALIASES.get(name, name), tuple(steps))
    parse_site = schema.SITE_DIRECTIVES.get(name)
    if parse_site is None:
        known = [*schema.HANDLERS, *(schema.SITE_DIRECTIVES if context.site is not None else ())]
        raise schema.unknown_directive(line, known)
    if context.site is None:
        raise line.error(f"{name} stands in a site directly, not inside another directive; move it there")
    parse_site(line, context, context.site)
    line.finish()
    return None


def _group(placed: Sequence[Placed]) -> tuple[Step, ...]:
    """Join the steps; of several ``root``, ``rewrite`` or ``handle`` only the first that matches is done."""
    counts: dict[str, int] = {}
    for one in placed:
        counts[one.directive] = counts.get(one.directive, 0) + 1
    steps: list[Step] = []
    for directive, made in placed:
        is_grouped = directive in GROUPED and counts[directive] > 1
        steps += [replace(step, group=directive) for step in made] if is_grouped else made
    return tuple(steps)
