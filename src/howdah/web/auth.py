"""``basic_auth``: user names and passwords (RFC 7617), checked against bcrypt or argon2id hashes.

A hash takes some hundred milliseconds by design, so it is computed in a few threads of its own, and a password
that was right is remembered, as a keyed digest, until the configuration changes.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import argon2
import bcrypt

from howdah.config.http import BasicAuth
from howdah.errors import ConfigError
from howdah.web.accesslog import ENTRY
from howdah.web.errorpages import HttpError
from howdah.web.headers import header_value
from howdah.web.placeholders import compile_text
from howdah.web.request import Handler, HttpRequest

_REMEMBERED = 1000
_THREADS = 2
# Longer ones are nobody's password; bcrypt looks at 72 bytes, and argon2 would hash them all.
_LONGEST_PASSWORD_BYTES = 1024
_BCRYPT_BYTES = 72


class _Accounts:
    def __init__(self, accounts: tuple[tuple[str, str], ...]) -> None:
        self._hashes = {user: _checked(user, text) for user, text in accounts}
        # Asked for unknown users, so that the time tells nobody which users there are.
        self._decoy = next(iter(self._hashes.values()))
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="howdah-auth")

    async def is_right(self, user: str, password: bytes) -> bool:
        if len(password) > _LONGEST_PASSWORD_BYTES:
            return False
        digest = hmac.digest(self._key, user.encode("utf-8", "surrogateescape") + b"\0" + password, hashlib.sha256)
        if digest in self._right:
            self._right.move_to_end(digest)
            return True
        known = self._hashes.get(user)
        loop = asyncio.get_running_loop()
        matches = await loop.run_in_executor(self._threads, _verify, known or self._decoy, password)
        if known is None or not matches:
            return False
        self._right[digest] = None
        if len(self._right) > _REMEMBERED:
            self._right.popitem(last=False)
        return True


def compile_basic_auth(action: BasicAuth, following: Handler) -> Handler:
    """Compile ``basic_auth``.

    Raises:
        ConfigError: there is no account, or a hash that is not known.
    """
    if not action.accounts:
        raise ConfigError("basic_auth needs an account: a name and the hash of its password", directive="basic_auth")
    accounts = _Accounts(action.accounts)
    realm = compile_text(action.realm or "restricted")

    async def check(request: HttpRequest) -> None:
        user, password = _credentials(request)
        if not user or not await accounts.is_right(user, password):
            name = realm(request).replace("\\", "").replace('"', "")
            challenge = header_value(f'Basic realm="{name}", charset="UTF-8"'.encode("ascii", "ignore").decode())
            raise HttpError(401, "the name or the password is not right", ((b"www-authenticate", challenge),))
        request.user = user
        if ENTRY in request.scope:
            request.scope[ENTRY].user = user
        await following(request)

    return check


def _credentials(request: HttpRequest) -> tuple[str, bytes]:
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", b""
    try:
        decoded = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return "", b""
    user, colon, password = decoded.partition(b":")
    return (user.decode("utf-8", "surrogateescape"), password) if colon else ("", b"")


def _checked(user: str, text: str) -> bytes:
    if text.startswith(("$2a$", "$2b$", "$2y$")):
        try:
            bcrypt.checkpw(b"", text.encode())
        except ValueError:
            raise ConfigError(f"the bcrypt hash of {user!r} is damaged", directive="basic_auth") from None
        return text.encode()
    if text.startswith("$argon2"):
        try:
            argon2.extract_parameters(text)
        except argon2.exceptions.InvalidHashError:
            raise ConfigError(f"the argon2 hash of {user!r} is damaged", directive="basic_auth") from None
        return text.encode()
    raise ConfigError(
        f"the password of {user!r} must be a bcrypt or argon2id hash; `htpasswd -nB {user}` makes one",
        directive="basic_auth",
    )


def _verify(known: bytes, password: bytes) -> bool:
    if known.startswith(b"$argon2"):
        try:
            return argon2.PasswordHasher().verify(known, password)
        except argon2.exceptions.VerificationError:
            return False
    try:
        return bcrypt.checkpw(password[:_BCRYPT_BYTES], known)
    except ValueError:  # NUL in the password
        return False
