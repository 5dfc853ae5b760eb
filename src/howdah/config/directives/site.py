"""Directives about a site as a whole: ``tls``, ``bind``; and who may enter: ``basic_auth``."""

from __future__ import annotations

import base64
import binascii
import re

from howdah.config.context import Context, SiteParts
from howdah.config.dispenser import Dispenser
from howdah.config.http import BasicAuth, Step, Tls
from howdah.config.lexer import Token

_TLS_VERSIONS = ("tls1.2", "tls1.3")
_TLS_OPTIONS = ("client_auth", "protocols")
_TLS_LATER = frozenset({"ca", "ca_root", "dns", "dns_ttl", "eab", "issuer", "key_type", "on_demand", "get_certificate"})
_HASHES = ("bcrypt", "argon2id")
_BCRYPT = re.compile(r"\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}", re.ASCII)
_ARGON2ID = re.compile(r"\$argon2id\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+", re.ASCII)


def parse_tls(line: Dispenser, context: Context, site: SiteParts) -> None:
    """The certificate of the site.

    Syntax::

        tls internal|<certificate> <key>|<email> {
            protocols   tls1.2|tls1.3 [tls1.3]
            client_auth {
                trusted_ca_cert_file <file>
            }
        }

    ``internal`` is a certificate of the local authority. An e-mail address is accepted with a warning: certificates of
    authorities come later. One listener has one certificate: of several ``tls`` lines with files, and of several sites
    there, the one that is for all names of the listener is served; if there is none, that is an error.
    """
    before = site.tls or Tls()
    words = line.arguments(0, 2, "tls internal, or tls <certificate> <key>")
    files, internal = before.files, before.internal
    if len(words) == 2:
        files = (*files, (context.fixed(line, words[0]), context.fixed(line, words[1])))
    elif words and words[0].text == "internal":
        internal = True
    elif words and "@" in words[0].text:
        _warn_authority(words[0], context)
    elif words:
        raise line.error(f"a key must follow the certificate {words[0].text}; write tls <certificate> <key>", words[0])
    protocols, client_ca = before.protocols, before.client_ca
    for option in line.next_block():
        if option.name == "protocols":
            protocols = _read_protocols(option)
        elif option.name == "client_auth":
            client_ca = _read_client_auth(option, context)
        elif option.name in _TLS_LATER:
            option.take_rest()
            _warn_authority(option.token, context)
        else:
            raise option.unknown("option of tls", _TLS_OPTIONS)
    if files and internal:
        raise line.error("a site has either certificate files or tls internal; remove one of them")
    site.tls = Tls(files, internal, protocols, client_ca)


def _warn_authority(token: Token, context: Context) -> None:
    context.warn(
        token,
        f"{token.text} changes nothing: certificates of authorities come later; without files the local one signs",
    )


def _read_protocols(option: Dispenser) -> tuple[str, ...]:
    words = option.arguments(1, 2, "protocols <least> [<most>]")
    for word in words:
        if word.text not in _TLS_VERSIONS:
            raise option.unknown("version of TLS", _TLS_VERSIONS, word)
    return tuple(word.text for word in words)


def _read_client_auth(option: Dispenser, context: Context) -> str:
    file = ""
    for inner in option.next_block():
        if inner.name == "trusted_ca_cert_file":
            file = context.fixed(inner, inner.argument("a file"))
        elif inner.name == "mode":
            word = inner.argument("a mode")
            if word.text != "require_and_verify":
                raise inner.error("client_auth always requires and verifies; remove mode", word)
        else:
            raise inner.unknown("option of client_auth", ("mode", "trusted_ca_cert_file"))
    if not file:
        raise option.error("client_auth needs trusted_ca_cert_file <file>")
    return file


def parse_bind(line: Dispenser, context: Context, site: SiteParts) -> None:
    """Interfaces on which the site listens; a Unix socket is written as ``unix//run/site.sock``.

    Syntax: ``bind <hosts...>``
    """
    for word in line.arguments(1, None, "bind <hosts...>"):
        text = context.fixed(line, word)
        if text.startswith("unix/"):
            if len(text) == len("unix/") or text.endswith("/"):
                raise line.error(f"{text} names no socket file; write unix//run/site.sock", word)
        elif "/" in text or re.search(r"[^:\]]:\d+$", text) or not text:
            raise line.error(f"{text} is no interface; write an address or a name without port", word)
        site.bind.append(text)


def parse_basic_auth(line: Dispenser, context: Context) -> list[Step]:
    """Asks for user and password.

    Syntax::

        basic_auth [<matcher>] [bcrypt|argon2id [<realm>]] {
            <user> <hash>
        }

    The hash is what ``caddy hash-password`` or ``htpasswd -nB`` print.
    """
    matcher = context.take_matcher(line)
    words = line.arguments(0, 2, "basic_auth [<matcher>] [<algorithm> [<realm>]]")
    if words and words[0].text not in _HASHES:
        raise line.unknown("algorithm of password hashes", _HASHES, words[0])
    accounts: dict[str, str] = {}
    for account in line.next_block():
        if account.name in accounts:
            raise account.error(f"there is a user {account.name} already; remove one of them")
        accounts[account.name] = _read_hash(account)
    if not accounts:
        raise line.error("basic_auth needs users; write a block with one user and password hash per line")
    realm = words[1].text if len(words) == 2 else BasicAuth.__dataclass_fields__["realm"].default
    return [context.step(line, BasicAuth(tuple(accounts.items()), str(realm)), matcher)]


def _read_hash(account: Dispenser) -> str:
    words = account.arguments(1, 2, "<user> <hash>")
    if len(words) == 2:
        raise account.error("a salt is not supported; make a new hash with `caddy hash-password`", words[1])
    text = words[0].text
    # Caddy 2.5 and older wrote the hash in base64.
    if text.startswith("JDJ"):
        try:
            text = base64.b64decode(text, validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError):
            text = ""
    if not _BCRYPT.fullmatch(text) and not _ARGON2ID.fullmatch(text):
        raise account.error(
            f"the password of {account.name} is no bcrypt or argon2id hash; `htpasswd -nB {account.name}` makes one",
            words[0],
        )
    return text
