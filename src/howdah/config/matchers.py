"""Matchers: ``@name path /a``, ``@name { ... }`` and everything that may stand inside, to the model's conditions."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, cast
from urllib.parse import parse_qsl

from howdah.config.dispenser import DEEPEST, Dispenser
from howdah.config.http import (
    Condition,
    FileMatch,
    HeaderMatch,
    HostMatch,
    Matcher,
    MethodMatch,
    NotMatch,
    PathMatch,
    ProtocolMatch,
    QueryMatch,
    RegexpMatch,
    RemoteIpMatch,
)
from howdah.config.lexer import Token
from howdah.config.placeholders import check_placeholders

Warn = Callable[[Token, str], None]
Policy = Literal["first_exist", "first_exist_fallback", "smallest_size", "largest_size", "most_recently_modified"]

PRIVATE_RANGES = (
    "192.168.0.0/16",
    "172.16.0.0/12",
    "10.0.0.0/8",
    "127.0.0.1/8",
    "fd00::/8",
    "::1",
)

_POLICIES = ("first_exist", "first_exist_fallback", "smallest_size", "largest_size", "most_recently_modified")
_UNSUPPORTED = {
    "expression": "it needs Google's CEL language; write handle_errors 404 for codes of errors, else combine matchers",
    "map": "there is no map directive",
    "tls": "client certificates are not looked at yet",
    "vars": "match what the variable was made from",
    "vars_regexp": "match what the variable was made from",
}


def read_definition(line: Dispenser, warn: Warn) -> Matcher:
    """Read ``@name <matcher...>`` or ``@name { ... }``.

    Raises:
        ConfigError: with the position of the mistake.
    """
    if len(line.name) < 2:
        raise line.error("a matcher needs a name after the @, such as @static")
    lines = _inner_lines(line)
    if not lines:
        raise line.error(f"the matcher {line.name} is empty; write {line.name} path /a/* or a block of matchers")
    return _read_set(lines, warn)


def _inner_lines(line: Dispenser) -> list[Dispenser]:
    """Give the matchers of a definition or of ``not``: the rest of the line, or the lines of the block."""
    if line.peek_arg() is not None:
        return [Dispenser(line.take_rest(), line.name, depth=line.depth + 1)]
    return [Dispenser(tokens, line.name, depth=line.depth + 1) for tokens in line.take_lines()]


def _read_set(lines: Sequence[Dispenser], warn: Warn) -> Matcher:
    """Read matchers that must all hold; several lines of one kind belong together."""
    by_kind: dict[str, list[Dispenser]] = {}
    for line in lines:
        by_kind.setdefault(line.name, []).append(line)
    conditions: list[Condition] = []
    for kind, same in by_kind.items():
        read = MATCHERS.get(kind)
        if read is None:
            if kind in _UNSUPPORTED:
                raise same[0].error(f"the matcher {kind} is not supported: {_UNSUPPORTED[kind]}")
            raise same[0].unknown("matcher", MATCHERS)
        conditions += read(same, warn)
        for line in same:
            line.finish()
    return Matcher(tuple(conditions))


def _words(lines: Sequence[Dispenser], usage: str) -> list[tuple[Dispenser, Token]]:
    return [(line, token) for line in lines for token in line.arguments(1, None, usage)]


def _only(lines: Sequence[Dispenser]) -> Dispenser:
    if len(lines) > 1:
        raise lines[1].error(f"there is a {lines[1].name} in this matcher already; use a second matcher, or `not`")
    return lines[0]


def path(lines: Sequence[Dispenser], warn: Warn) -> list[Condition]:
    """Any of the paths, compared without case; ``*`` stands for any text at an end or inside.

    Syntax: ``path <patterns...>``
    """
    patterns = []
    for line, token in _words(lines, "path /a /b/* *.php"):
        check_placeholders(line, token, None)
        text = token.text
        if not text.startswith(("/", "*", "{")):
            warn(token, f"{text} is read as /{text}, because paths begin with /")
            text = f"/{text}"
        patterns.append(text)
    return [PathMatch(tuple(patterns))]


def path_regexp(lines: Sequence[Dispenser], warn: Warn) -> list[Condition]:
    """A regular expression that is looked for in the path; its groups are ``{re.<name>.1}`` and ``{re.1}``.

    Syntax: ``path_regexp [<name>] <pattern>``
    """
    line = _only(lines)
    words = line.arguments(1, 2, "path_regexp [<name>] <pattern>")
    pattern = regexp(line, words[-1])
    return [RegexpMatch(pattern, words[0].text if len(words) == 2 else "")]


def host(lines: Sequence[Dispenser], warn: Warn) -> list[Condition]:
    """Any of the host names, compared without case and without port; ``*`` stands for one label.

    Syntax: ``host <names...>``
    """
    names = []
    for line, token in _words(lines, "host a.example *.b.example"):
        check_placeholders(line, token, None)
        text = token.text
        if "/" in text or re.search(r"[^]:]:\d+$", text):
            raise line.error(f"{text} is no host name; write it without scheme, port and path", token)
        names.append(text if "{" in text else text.lower())
    return [HostMatch(tuple(names))]


def method(lines: Sequence[Dispenser], warn: Warn) -> list[Condition]:
    """Any of the methods.

    Syntax: ``method <methods...>``
    """
    return [MethodMatch(tuple(token.text.upper() for _, token in _words(lines, "method GET HEAD")))]


def header(lines: Sequence[Dispenser], warn: Warn) -> list[Condition]:
    """A field of the request's head; lines of one field are alternatives, lines of several must all hold.

    ``*`` at the ends of a value stands for any text; ``*`` alone, or no value, asks only whether the field is there;
    ``!`` before the field asks that it is not.

    Syntax: ``header [!]<field> [<value>]``
    """
    found: dict[tuple[str, bool], list[str]] = {}
    for line in lines:
        words = line.arguments(1, 2, "header [!]<field> [<value>]")
        is_absent = words[0].text.startswith("!")
        name = words[0].text.removeprefix("!")
        if not name:
            raise line.error("the name of a field follows the !", words[0])
        if is_absent and len(words) == 2:
            raise line.error(f"!{name} takes no value, because the field is not there", words[1])
        values = found.setdefault((name, is_absent), [])
        for token in words[1:]:
            check_placeholders(line, token, None)
            values.append(token.text)
        if len(words) == 1 and not is_absent:
            values.append("*")
    return [
        HeaderMatch(name, () if is_absent or "*" in values else tuple(values), is_absent)
        for (name, is_absent), values in found.items()
    ]


def header_regexp(lines: Sequence[Dispenser], warn: Warn) -> list[Condition]:
    """A regular expression on a field of the request's head; its groups are ``{re.<name>.1}``.

    Syntax: ``header_regexp [<name>] <field> <pattern>``
    """
    conditions: list[Condition] = []
    for line in lines:
        words = line.arguments(2, 3, "header_regexp [<name>] <field> <pattern>")
        name = words[0].text if len(words) == 3 else ""
        conditions.append(RegexpMatch(regexp(line, words[-1]), name, words[-2].text))
    return conditions


def query(lines: Sequence[Dispenser], warn: Warn) -> list[Condition]:
    """Parameters of the query; several values of one are alternatives, several parameters must all hold.

    ``*`` is any value; ``""`` asks for an empty query.

    Syntax: ``query <name>=<value>...``
    """
    found: dict[str, list[str]] = {}
    for line, token in _words(lines, "query name=value"):
        check_placeholders(line, token, None)
        if not token.text:
            found[""] = []
            continue
        name, sign, value = token.text.partition("=")
        if not sign or not name:
            raise line.error(
                f"{token.text} is no parameter; write {name or 'name'}=value, or {name or 'name'}=*", token
            )
        # Words are written as in an address, so that a value may hold a space as + or %20.
        pairs = parse_qsl(token.text, keep_blank_values=True) if "%" in token.text or "+" in token.text else []
        name, value = pairs[0] if len(pairs) == 1 else (name, value)
        found.setdefault(name, []).append(value)
    return [QueryMatch(name, tuple(values)) for name, values in found.items()]


def remote_ip(lines: Sequence[Dispenser], warn: Warn) -> list[Condition]:
    """The address of the peer lies in one of the networks.

    Syntax: ``remote_ip <networks...>``, where ``private_ranges`` stands for all private networks
    """
    words = _words(lines, "remote_ip 10.0.0.0/8 2001:db8::/32")
    line, first = words[0]
    if first.text == "forwarded":
        if len(words) == 1:
            raise line.error("networks must follow the word forwarded", first)
        warn(first, "remote_ip forwarded is called client_ip now; it looks at trusted_proxies")
        return [RemoteIpMatch(_networks(words[1:]), client_ip=True)]
    return [RemoteIpMatch(_networks(words))]


def client_ip(lines: Sequence[Dispenser], warn: Warn) -> list[Condition]:
    """The address of the client, behind ``trusted_proxies``, lies in one of the networks.

    Syntax: ``client_ip <networks...>``, where ``private_ranges`` stands for all private networks
    """
    return [RemoteIpMatch(_networks(_words(lines, "client_ip 10.0.0.0/8")), client_ip=True)]


def protocol(lines: Sequence[Dispenser], warn: Warn) -> list[Condition]:
    """The protocol of the request.

    Syntax: ``protocol http|https|grpc|http/<version>[+]``
    """
    line = _only(lines)
    (token,) = line.arguments(1, 1, "protocol http|https|grpc|http/<version>[+]")
    text = token.text.lower()
    if text not in {"http", "https", "grpc"} and not re.fullmatch(r"http/[123](\.[01])?\+?", text):
        raise line.error(f"{token.text} is no protocol; write http, https, grpc, http/1.1, http/2 or http/2+", token)
    return [ProtocolMatch(text)]


def file(lines: Sequence[Dispenser], warn: Warn) -> list[Condition]:
    """One of the files exists; sets ``{file.relative}``, ``{file.absolute}`` and ``{file.type}``.

    Without files it is the path of the request. Policies: ``first_exist``, ``first_exist_fallback`` (the last one
    without looking), ``smallest_size``, ``largest_size``, ``most_recently_modified``.

    Syntax: ``file <files...>``, or a block with ``root <path>``, ``try_files <files...>``, ``try_policy <policy>``,
    ``split_path <suffixes...>``
    """
    line = _only(lines)
    files: list[str] = []
    root: str | None = None
    policy = "first_exist"
    split: list[str] = []
    while (token := line.next_arg()) is not None:
        files.append(_template(line, token))
    for option in line.next_block():
        if option.name == "root":
            root = _template(option, option.argument("a folder"))
        elif option.name == "try_files":
            files += [_template(option, token) for token in option.arguments(1, None, "try_files <files...>")]
        elif option.name == "try_policy":
            word = option.argument("a policy")
            if word.text not in _POLICIES:
                raise option.unknown("policy", _POLICIES, word)
            policy = word.text
        elif option.name == "split_path":
            split += [token.text for token in option.arguments(1, None, "split_path .php")]
        else:
            raise option.unknown("option of file", ("root", "try_files", "try_policy", "split_path"))
    return [FileMatch(tuple(files or ["{path}"]), root, cast("Policy", policy), tuple(split))]


def not_(lines: Sequence[Dispenser], warn: Warn) -> list[Condition]:
    """The matchers inside do not all hold; several ``not`` must all be true.

    Syntax: ``not <matcher> <arguments...>``, or ``not { <matchers> }``
    """
    sets = []
    for line in lines:
        inner = _inner_lines(line)
        if not inner:
            raise line.error("not needs a matcher; write not path /a, or a block of matchers")
        if line.depth > DEEPEST:
            raise line.error(f"more than {DEEPEST} matchers stand inside each other")
        sets.append(_read_set(inner, warn))
    return [NotMatch(tuple(sets))]


MATCHERS: Mapping[str, Callable[[Sequence[Dispenser], Warn], list[Condition]]] = {
    "client_ip": client_ip,
    "file": file,
    "header": header,
    "header_regexp": header_regexp,
    "host": host,
    "method": method,
    "not": not_,
    "path": path,
    "path_regexp": path_regexp,
    "protocol": protocol,
    "query": query,
    "remote_ip": remote_ip,
}


def regexp(line: Dispenser, token: Token) -> str:
    """Check a regular expression, whose syntax is RE2's.

    Raises:
        ConfigError: it cannot be compiled.
    """
    import re2  # type: ignore[import-untyped] # here, because most configurations have no regular expression

    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(token.text, options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        shown = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
        raise line.error(f"{token.text} is no regular expression: {shown}", token) from None
    except UnicodeEncodeError:
        raise line.error("this regular expression holds bytes that are no UTF-8", token) from None
    return token.text


def _template(line: Dispenser, token: Token) -> str:
    check_placeholders(line, token, None)
    return token.text


def _networks(words: Sequence[tuple[Dispenser, Token]]) -> tuple[str, ...]:
    networks: list[str] = []
    for line, token in words:
        networks += network(line, token)
    return tuple(networks)


def network(line: Dispenser, token: Token) -> tuple[str, ...]:
    """Read an address or a network; ``private_ranges`` is several.

    Raises:
        ConfigError: it is none.
    """
    if token.text == "private_ranges":
        return PRIVATE_RANGES
    try:
        ipaddress.ip_network(token.text.partition("%")[0], strict=False)
    except ValueError:
        raise line.error(
            f"{token.text} is no address and no network; write 10.0.0.0/8, 2001:db8::/32 or private_ranges", token
        ) from None
    return (token.text,)
