"""From the structure of a Caddyfile to the model: the only place that knows how its parts belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from howdah.config import blocks, schema
from howdah.config.addresses import check_unique, read_addresses
from howdah.config.context import Context, Lines, Shared, SiteParts
from howdah.config.directives.options import Options
from howdah.config.directives.worker import check_files
from howdah.config.dispenser import Dispenser
from howdah.config.http import HttpServers, HttpSite, Position, ServerModel, Step
from howdah.config.lexer import Token
from howdah.config.model import RuntimeConfig
from howdah.config.order import ALIASES, GROUPED, Placed, sort_directives
from howdah.errors import ConfigError


def load_config(path: str, environ: Mapping[str, str]) -> ServerModel:
    """Read a Caddyfile with everything that it imports.

    Raises:
        ConfigError: with file, line and column of the mistake.
    """
    return adapt(blocks.load_document(path, environ))


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
    shared = Shared(tuple(options.order), None, files, warnings, _read_steps)
    if document.options is not None:
        _read_options(document.options, Context(shared, None, {}), options)
    check_files(options.workers, "global workers")
    shared = replace(shared, order=tuple(options.order), max_body_size_bytes=options.max_body_size_bytes)
    sites = tuple(_read_site(block, shared) for block in document.sites)
    opening = Dispenser([document.options.opening]) if document.options is not None else None
    servers = HttpServers(**options.servers)  # type: ignore[arg-type]
    check_unique(
        [(block.keys, site.addresses) for block, site in zip(document.sites, sites, strict=True)],
        servers.http_port,
        servers.https_port,
    )
    return ServerModel(
        runtime=_make_runtime(options, opening),
        sites=sites,
        servers=servers,
        admin=options.admin,
        logs=tuple(options.logs),
        warnings=tuple(warnings),
    )


def _make_runtime(options: Options, opening: Dispenser | None) -> RuntimeConfig:
    workers = tuple(worker.config for worker in options.workers)
    try:
        return RuntimeConfig(workers=workers, php_ini=options.php_ini, **options.runtime)  # type: ignore[arg-type]
    except ConfigError as error:
        if opening is None:
            raise
        raise opening.error(error.message) from None


def _files(document: blocks.Document) -> tuple[str, ...]:
    """Give the names of all files that the configuration is made of."""
    names = {document.file: None}
    for block in document.sites:
        for line in block.lines:
            names.update((token.file, None) for token in line)
    return tuple(names)


def _read_options(block: blocks.Block, context: Context, options: Options) -> None:
    for line in block.dispensers():
        parse = schema.OPTIONS.get(line.name)
        if parse is None:
            raise schema.unknown_directive(line, schema.OPTIONS, "global option")
        parse(line, context, options)
        line.finish()


def _read_site(block: blocks.Block, shared: Shared) -> HttpSite:
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
