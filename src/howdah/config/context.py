"""What parse functions share while a configuration is adapted: matchers in scope, what the site collects, warnings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from howdah.config import matchers
from howdah.config.dispenser import DEEPEST, Dispenser
from howdah.config.http import Action, ErrorRoutes, Log, Matcher, PathMatch, Step, Template, Tls
from howdah.config.lexer import Token
from howdah.config.model import Position
from howdah.config.placeholders import check_placeholders, fill_environment, has_placeholder
from howdah.errors import ConfigError

_Made = TypeVar("_Made")
Lines = Sequence[tuple[Token, ...]]


@dataclass(slots=True)
class SiteParts:
    """What directives say about their site as a whole."""

    bind: list[str] = field(default_factory=list)
    tls: Tls | None = None
    logs: list[Log] = field(default_factory=list)
    errors: list[ErrorRoutes] = field(default_factory=list)
    is_log_skipped: bool = False


@dataclass(frozen=True, slots=True)
class Shared:
    """What is the same for all sites.

    Args:
        order: names of directives in the order in which they act.
        max_body_size_bytes: bound of request bodies where a site sets none; None is the model's own.
        files: the files of the configuration, which no site may serve.
        warnings: one sentence each, with its position.
        environ: variables of the server's environment.
        read_steps: reads the directives of a block.
    """

    order: tuple[str, ...]
    max_body_size_bytes: int | None
    files: tuple[str, ...]
    warnings: list[str]
    environ: Mapping[str, str]
    read_steps: Callable[[Lines, Context, bool], tuple[Step, ...]]


class Context:
    """The scope in which a directive stands.

    Args:
        shared: what is the same for all sites.
        site: collects what directives say about the site; None where such directives may not stand.
        named: named matchers in scope.
        for_errors: it answers in place of an error page, with the error's status if it names none.
        depth: number of blocks around it.
    """

    def __init__(
        self,
        shared: Shared,
        site: SiteParts | None,
        named: Mapping[str, Matcher],
        *,
        for_errors: bool = False,
        depth: int = 0,
    ) -> None:
        self.shared = shared
        self.site = site
        self.named = dict(named)
        self.for_errors = for_errors
        self.depth = depth
        self.named_here: set[str] = set()

    def inner(self, *, for_errors: bool = False) -> Context:
        """Give a scope inside this one: what is defined there is not known here."""
        for_errors = for_errors or self.for_errors
        return Context(self.shared, None, self.named, for_errors=for_errors, depth=self.depth + 1)

    def steps(self, line: Dispenser, *, is_ordered: bool) -> tuple[Step, ...]:
        """Read the directives in the block of a directive, in an inner scope.

        Raises:
            ConfigError: a mistake in the block, or too many blocks stand inside each other.
        """
        if self.depth >= DEEPEST:
            raise line.error(f"more than {DEEPEST} blocks stand inside each other")
        return self.shared.read_steps(line.take_lines(), self.inner(), is_ordered)

    @property
    def status(self) -> str:
        """Status of answers that name none; empty is 200."""
        return "{err.status_code}" if self.for_errors else ""

    def step(self, line: Dispenser, action: Action, matcher: Matcher | None) -> Step:
        """Make the step of a directive."""
        token = line.token
        return Step(action, matcher, Position(token.file, token.line, token.column))

    def take_matcher(self, line: Dispenser) -> Matcher | None:
        """Take the matcher that may stand before the arguments: ``*``, ``/path`` or ``@name``.

        Raises:
            ConfigError: no matcher has this name.
        """
        token = line.peek_arg()
        if token is None or not is_matcher(token):
            return None
        line.next_arg()
        if token.text == "*":
            return None
        if token.text.startswith("/"):
            self.text(line, token)
            return Matcher((PathMatch((token.text,)),))
        matcher = self.named.get(token.text)
        if matcher is None:
            raise line.unknown("matcher", self.named, token)
        return matcher

    def define(self, line: Dispenser) -> None:
        """Read the definition of a named matcher.

        Raises:
            ConfigError: with the position of the mistake.
        """
        self.named[line.name] = matchers.read_definition(line, self.warn)
        self.named_here.add(line.name)

    def text(self, line: Dispenser, token: Token, *, is_free: bool = False) -> Template:
        """Give a text in which placeholders are filled in for each request.

        Args:
            line: the directive.
            token: the text.
            is_free: text for people or programs, in which braces may be just braces.

        Raises:
            ConfigError: a placeholder is not known.
        """
        if "{" in token.text:
            check_placeholders(line, token, self.warn if is_free else None)
        return token.text

    def fixed(self, line: Dispenser, token: Token) -> str:
        """Give a text that cannot depend on the request; ``{env.NAME}`` is filled in now.

        Raises:
            ConfigError: another placeholder stands in it, or the variable is not set.
        """
        if not has_placeholder(token.text):
            return token.text
        text, missing = fill_environment(token.text, self.shared.environ)
        if missing:
            raise line.error(f"the environment variable {missing} is not set", token)
        if has_placeholder(text):
            raise line.error(
                f"{token.text} must not depend on the request; only {{env.NAME}} and {{$NAME}} can stand here", token
            )
        return text

    def folder(self, line: Dispenser, token: Token) -> Template:
        """Give a folder, which does not depend on the request if only variables of the environment stand in it.

        Raises:
            ConfigError: a placeholder is not known.
        """
        text = self.text(line, token)
        filled = self.filled(text)
        return text if has_placeholder(filled) else filled

    def filled(self, text: str) -> str:
        """Put variables of the environment into a text; those that are not set stay placeholders."""
        return fill_environment(text, self.shared.environ)[0]

    def warn(self, token: Token, message: str) -> None:
        """Tell the user something that is no mistake by itself."""
        self.shared.warnings.append(str(token.error(message)))

    def make(self, line: Dispenser, factory: Callable[..., _Made], **fields: object) -> _Made:
        """Make a part of the model; what it refuses gets the position of the directive.

        Raises:
            ConfigError: the model refuses a value.
        """
        try:
            return factory(**fields)
        except ConfigError as error:
            raise line.error(error.message) from None


def is_matcher(token: Token) -> bool:
    """Tell whether a word can only be a matcher."""
    return token.text == "*" or token.text.startswith(("/", "@"))
