"""Certificates of listeners: read from files, checked before the HTTP server sees them, chosen for a listener.

The HTTP server ends the whole process when it is given a certificate or key that its TLS library does not take, so
nothing reaches it that was not checked here: first by reading, and files also by a trial in another process.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from howdah.errors import ConfigError
from howdah.serve.listeners import TlsPlan, shown

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from howdah.config.http import HttpSite
    from howdah.serve.localca import Authority

_log = logging.getLogger("howdah.serve")

_WARN_BEFORE = dt.timedelta(days=14)
# What the TLS library of the HTTP server signs with; it ends the process when it gets anything else.
_CURVES = (ec.SECP256R1, ec.SECP384R1)
_RSA_BITS = (2048, 3072, 4096)
_USABLE_KEYS = "RSA with 2048, 3072 or 4096 bits, ECDSA on P-256 or P-384, or Ed25519"


@dataclass(frozen=True, slots=True)
class Material:
    """What a TLS listener needs, as PEM."""

    chain: bytes
    key: bytes
    client_ca: bytes = b""
    min_version: str = "tls1.2"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A listener's certificate, and the files that it was read from, to be watched."""

    material: Material
    files: tuple[str, ...] = ()


class Pair:
    """A certificate file and its key file, read and checked.

    Raises:
        ConfigError: a file is missing, holds something else, the two do not belong together, or the HTTP server's
            TLS library does not take them.
    """

    def __init__(self, certificate_file: str, key_file: str, site: HttpSite | None = None) -> None:
        self.files = (certificate_file, key_file)
        self._site = site
        self._certificates = self._read_certificates()
        key = self._read_key()
        self._check_usable(key)
        self._check_match(key)
        self.chain = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in self._certificates)
        # Written anew, because the HTTP server does not know every form in which keys are kept.
        self.key = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def covers(self, name: str) -> bool:
        """Tell whether the certificate is for a name or address."""
        return covers(self._certificates[0], name)

    def warnings(self, names: Sequence[str], now: dt.datetime) -> list[str]:
        """Give sentences about what clients will not accept."""
        certificate = self._certificates[0]
        found = []
        if certificate.not_valid_after_utc <= now:
            found.append(f"has expired on {certificate.not_valid_after_utc:%Y-%m-%d}; renew it")
        elif certificate.not_valid_after_utc - now < _WARN_BEFORE:
            found.append(f"expires on {certificate.not_valid_after_utc:%Y-%m-%d}; renew it")
        if certificate.not_valid_before_utc > now:
            found.append(f"is valid only from {certificate.not_valid_before_utc:%Y-%m-%d} on")
        missing = [name for name in names if not self.covers(name)]
        if missing:
            found.append(f"is not for {', '.join(missing)}: browsers will warn")
        return [f"certificate {self.files[0]} {text}" for text in found]

    def _read_certificates(self) -> list[x509.Certificate]:
        data = self._read(self.files[0], "certificate")
        try:
            return x509.load_pem_x509_certificates(data)
        except ValueError:
            raise self._error(
                f"certificate {self.files[0]} holds no certificate in PEM form; it begins with "
                "-----BEGIN CERTIFICATE-----"
            ) from None

    def _read_key(self) -> PrivateKeyTypes:
        data = self._read(self.files[1], "key")
        try:
            return load_pem_private_key(data, None)
        except TypeError:
            raise self._error(
                f"key {self.files[1]} is protected by a password; write one without it by `openssl pkey`"
            ) from None
        except Exception:  # several kinds, all of which mean the same
            raise self._error(
                f"key {self.files[1]} holds no private key in PEM form; it begins with -----BEGIN PRIVATE KEY-----"
            ) from None

    def _read(self, file: str, what: str) -> bytes:
        try:
            return Path(file).read_bytes()
        except FileNotFoundError:
            raise self._error(f"{what} {file} does not exist; name the file that holds it") from None
        except OSError as error:
            raise self._error(f"{what} {file} cannot be read: {error.strerror}") from None

    def _check_usable(self, key: PrivateKeyTypes) -> None:
        if isinstance(key, rsa.RSAPrivateKey):
            usable = key.key_size in _RSA_BITS and key.private_numbers().public_numbers.e >= 65537
        elif isinstance(key, ec.EllipticCurvePrivateKey):
            usable = isinstance(key.curve, _CURVES)
        else:
            usable = isinstance(key, ed25519.Ed25519PrivateKey)
        if not usable:
            raise self._error(f"key {self.files[1]} is of a kind that cannot be served; use {_USABLE_KEYS}")
        if self._certificates[0].version is not x509.Version.v3:
            raise self._error(
                f"certificate {self.files[0]} is of version 1, which clients refuse; make one of version 3"
            )

    def _check_match(self, key: PrivateKeyTypes) -> None:
        own = _public_bytes(key)
        for place, certificate in enumerate(self._certificates):
            if certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == own:
                if place:
                    raise self._error(
                        f"certificate {self.files[0]} begins with the wrong certificate: the one of the key must come "
                        "first, then those that sign it"
                    )
                return
        raise self._error(f"key {self.files[1]} does not match certificate {self.files[0]}; name the two of one pair")

    def _error(self, message: str) -> ConfigError:
        return _error(message, self._site)


def choose(plan: TlsPlan, authority: Authority, now: dt.datetime) -> Loaded:
    """Give the one certificate of a listener.

    The HTTP server takes one for each listener, so it must do for all sites there: a pair of files whose
    certificate is for all their names, or a certificate of the local authority that is made for them.

    Raises:
        ConfigError: no certificate does for all sites, or a file is wrong.
        AuthorityError: the local authority cannot be used.
    """
    client_ca = _read_client_ca(plan)
    if not plan.pairs:
        chain, key = authority.certificate(plan.names, now)
        return Loaded(Material(chain, key, client_ca, plan.min_version), _watched(plan))
    pairs = [Pair(*files, site) for files, site in zip(plan.pairs, plan.named_by, strict=True)]
    chosen = pairs[0] if len(pairs) == 1 and not plan.internal else _for_all(plan, pairs)
    for text in chosen.warnings(plan.names, now):
        _log.warning("%s", text)
    return Loaded(Material(chosen.chain, chosen.key, client_ca, plan.min_version), _watched(plan))


def _for_all(plan: TlsPlan, pairs: list[Pair]) -> Pair:
    for pair in pairs:
        if plan.names and all(pair.covers(name) for name in plan.names):
            return pair
    one, other = plan.named_by[0], (plan.named_by[1] if len(plan.named_by) > 1 else plan.internal[0])
    wanted = f"certificate {plan.pairs[1][0]}" if len(plan.named_by) > 1 else "a certificate of the local authority"
    raise _error(
        f"{_names(other)} wants {wanted}, {_names(one)} wants certificate {plan.pairs[0][0]}, but one listener has one "
        "certificate: name the same files for both, with a certificate that is for all their names, or give one of "
        "them another port or `bind`",
        other,
    )


def covers(certificate: x509.Certificate, name: str) -> bool:
    """Tell whether a certificate is for a name (``*`` stands for its first label) or an address."""
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    try:
        return ipaddress.ip_address(name) in alternatives.get_values_for_type(x509.IPAddress)
    except ValueError:
        pass
    wanted = name.lower().rstrip(".")
    known = {text.lower() for text in alternatives.get_values_for_type(x509.DNSName)}
    return wanted in known or f"*.{wanted.partition('.')[2]}" in known


def signature(files: Sequence[str]) -> tuple[tuple[int, int, int], ...]:
    """Give marks by which a change of files is seen; a missing file has marks of its own."""
    marks = []
    for file in files:
        try:
            status = os.stat(file)  # noqa: PTH116 - three numbers are wanted, no path
            marks.append((status.st_ino, status.st_mtime_ns, status.st_size))
        except OSError:
            marks.append((0, 0, 0))
    return tuple(marks)


def _watched(plan: TlsPlan) -> tuple[str, ...]:
    files = [file for pair in plan.pairs for file in pair]
    return tuple(dict.fromkeys([*files, plan.client_ca] if plan.client_ca else files))


def _read_client_ca(plan: TlsPlan) -> bytes:
    if not plan.client_ca:
        return b""
    site = next((site for site in (*plan.named_by, *plan.internal) if site.tls and site.tls.client_ca), None)
    try:
        certificates = x509.load_pem_x509_certificates(Path(plan.client_ca).read_bytes())
    except OSError as error:
        raise _error(f"client authority {plan.client_ca} cannot be read: {error.strerror}", site) from None
    except ValueError:
        raise _error(f"client authority {plan.client_ca} holds no certificate in PEM form", site) from None
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def _public_bytes(key: PrivateKeyTypes) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _names(site: HttpSite) -> str:
    line = f" (line {site.position.line})" if site.position.line else ""
    return shown(site.addresses[0]) + line


def _error(message: str, site: HttpSite | None) -> ConfigError:
    if site is None or not site.position.line:
        return ConfigError(message, directive="tls")
    position = site.position
    return ConfigError(message, file=position.file, line=position.line, column=position.column, directive="tls")
