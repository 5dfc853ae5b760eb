"""Where a request goes: ``root``, ``vars``, ``rewrite``, ``uri``, ``method``, ``try_files``, ``redir``."""

from __future__ import annotations

import re

from howdah.config import matchers
from howdah.config.context import Context
from howdah.config.dispenser import Dispenser
from howdah.config.http import Matcher, Redir, Rewrite, Root, Step, TryFiles, Vars
from howdah.config.lexer import Token

_POLICIES = ("first_exist", "first_exist_fallback", "smallest_size", "largest_size", "most_recently_modified")
_REDIRECT_WORDS = {"permanent": "301", "temporary": "302"}
_URI_OPERATIONS = ("strip_prefix", "strip_suffix", "replace", "path_regexp")


def parse_root(line: Dispenser, context: Context) -> list[Step]:
    """Folder of the site's files.

    Syntax: ``root [<matcher>] <path>``

    With one argument that argument is the path.
    """
    matcher, path = _take_optional(line, context, "root [<matcher>] <path>")
    if not path.text:
        raise line.error("the folder of root is empty; write . for the current one", path)
    return [context.step(line, Root(context.folder(line, path)), matcher)]


def _take_optional(line: Dispenser, context: Context, usage: str) -> tuple[Matcher | None, Token]:
    """Take a matcher and a value; one word alone is the value, even if it begins with a slash."""
    words = line.arguments(1, 2, usage)
    if len(words) == 1:
        if words[0].text == "*" or words[0].text.startswith("@"):
            raise line.error(f"{words[0].text} is a matcher, and nothing follows; write {usage}", words[0])
        return None, words[0]
    scope = Dispenser((line.token, *words))
    matcher = context.take_matcher(scope)
    value = scope.argument("a value")
    scope.finish()
    return matcher, value


def parse_vars(line: Dispenser, context: Context) -> list[Step]:
    """Values that later directives use as ``{vars.<name>}``.

    Syntax: ``vars [<matcher>] <name> <value>``, or a block with one such pair per line
    """
    matcher = context.take_matcher(line)
    values: dict[str, str] = {}
    if line.peek_arg() is not None:
        name, value = line.arguments(2, 2, "vars [<matcher>] <name> <value>")
        values[name.text] = context.text(line, value)
    for pair in line.next_block():
        values[pair.name] = context.text(pair, pair.argument("a value"))
    if not values:
        raise line.error("vars needs a name and a value; write vars <name> <value>")
    return [context.step(line, Vars(values), matcher)]


def parse_rewrite(line: Dispenser, context: Context) -> list[Step]:
    """Another path, query or both for what follows, unseen by the client.

    Syntax: ``rewrite [<matcher>] <to>``

    ``/path`` replaces the path and keeps the query, ``?a=b`` replaces the query, ``/path?a=b`` both. ``path`` is
    ``/path``. With one argument that argument is the target.
    """
    matcher, target = _take_optional(line, context, "rewrite [<matcher>] <to>")
    to = context.text(line, target)
    # Files for PHP in the wild say `rewrite @route index.php`.
    to = to if to.startswith(("/", "?", "{")) else f"/{to}"
    return [context.step(line, Rewrite(to), matcher)]


def parse_uri(line: Dispenser, context: Context) -> list[Step]:
    """Changes of a part of the path, unseen by the client.

    Syntax::

        uri [<matcher>] strip_prefix <text>
        uri [<matcher>] strip_suffix <text>
        uri [<matcher>] replace <text> <by>
        uri [<matcher>] path_regexp <pattern> <by>

    ``$1`` and ``${name}`` in what replaces a pattern are groups of it.
    """
    matcher = context.take_matcher(line)
    operation = line.argument(f"an operation ({', '.join(_URI_OPERATIONS)})")
    if operation.text not in _URI_OPERATIONS:
        raise line.unknown("operation of uri", _URI_OPERATIONS, operation)
    usage = f"uri [<matcher>] {operation.text} <text>"
    if operation.text == "strip_prefix":
        (word,) = line.arguments(1, 1, usage)
        action = Rewrite(strip_prefix=context.text(line, word))
    elif operation.text == "strip_suffix":
        (word,) = line.arguments(1, 1, usage)
        action = Rewrite(strip_suffix=context.text(line, word))
    else:
        find, by = line.arguments(2, 2, f"{usage} <by>")
        if not find.text:
            raise line.error("the text to be replaced is empty", find)
        if operation.text == "replace":
            action = Rewrite(replace=((find.text, context.text(line, by)),))
        else:
            action = Rewrite(path_regexp=((matchers.regexp(line, find), context.text(line, by)),))
    return [context.step(line, action, matcher)]


def parse_method(line: Dispenser, context: Context) -> list[Step]:
    """Another method for what follows.

    Syntax: ``method [<matcher>] <method>``
    """
    matcher = context.take_matcher(line)
    (word,) = line.arguments(1, 1, "method [<matcher>] <method>")
    return [context.step(line, Rewrite(method=context.text(line, word).upper()), matcher)]


def parse_try_files(line: Dispenser, context: Context) -> list[Step]:
    """The first of the files that exists becomes the path; ``=404`` as the last one is an error of this status.

    Syntax::

        try_files <files...> {
            policy first_exist|first_exist_fallback|smallest_size|largest_size|most_recently_modified
        }
    """
    files = []
    while (token := line.next_arg()) is not None:
        files.append(_tried(line, token, context))
    if not files:
        raise line.error("try_files needs files; write try_files {path} /index.php")
    policy = "first_exist"
    for option in line.next_block():
        if option.name != "policy":
            raise option.unknown("option of try_files", ("policy",))
        word = option.argument("a policy")
        if word.text not in _POLICIES:
            raise option.unknown("policy", _POLICIES, word)
        policy = word.text
    return [context.step(line, TryFiles(tuple(files), policy), None)]


def _tried(line: Dispenser, token: Token, context: Context) -> str:
    if token.text.startswith("=") and not re.fullmatch(r"=[1-9]\d\d", token.text, re.ASCII):
        raise line.error(f"{token.text} is no status; write =404", token)
    return context.text(line, token)


def parse_redir(line: Dispenser, context: Context) -> list[Step]:
    """Sends the client to another address.

    Syntax: ``redir [<matcher>] <to> [<code>]``

    The code is ``temporary`` (302, the default), ``permanent`` (301), another number from 300 to 399, or ``html``: a
    page that sends browsers there.
    """
    matcher = context.take_matcher(line)
    if line.peek_arg() is None:
        raise line.error(
            "redir needs an address; a first word that begins with / is a matcher, so write redir * /path to send all "
            "requests there"
        )
    words = line.arguments(1, 2, "redir [<matcher>] <to> [<code>]")
    target = context.text(line, words[0])
    if len(words) == 1:
        return [context.step(line, Redir(target), matcher)]
    if words[1].text == "html":
        return [context.step(line, Redir(target, "200", html=True), matcher)]
    return [context.step(line, Redir(target, _redirect_status(line, words[1], context)), matcher)]


def _redirect_status(line: Dispenser, token: Token, context: Context) -> str:
    if "{" in token.text:
        return context.text(line, token)
    status = _REDIRECT_WORDS.get(token.text, token.text)
    if not re.fullmatch(r"3\d\d|401", status, re.ASCII):
        raise line.error(
            f"{token.text} is no code of a redirect; write permanent, temporary, html or 300 to 399", token
        )
    return status
