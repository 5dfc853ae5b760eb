"""The local authority behind ``tls internal``: its root, and the certificates that it gives to listeners.

Everything is kept in one folder, made at first use, and readable for its owner alone. Several servers may share it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import hashlib
import ipaddress
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from howdah.errors import ConfigError, HowdahError

ROOT_NAME = "Howdah Local Authority"
_ROOT_LIFE = dt.timedelta(days=3650)
# Not longer, because renewing costs nothing and a stolen key is worth less.
_LEAF_LIFE = dt.timedelta(days=90)
_RENEW_BEFORE = dt.timedelta(days=30)
_CLOCK_SKEW = dt.timedelta(hours=1)
_LOCAL = ("localhost", "127.0.0.1", "::1")


class AuthorityError(HowdahError):
    """The folder of the local authority cannot be used; the message says why and what to do."""


def data_folder(environ: Mapping[str, str]) -> Path:
    """Give the folder in which Howdah keeps what must outlive it."""
    base = environ.get("XDG_DATA_HOME", "")
    if not base.startswith("/"):
        home = environ.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - gives "~" where there is no home
        base = os.path.join(home, ".local", "share") if home.startswith("/") else "/var/lib"  # noqa: PTH118
    return Path(base, "howdah")


class Authority:
    """The root and its certificates, in a folder.

    Args:
        folder: where they are kept; made when the first certificate is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.root_file = folder / "root.crt"
        self._root_key_file = folder / "root.key"

    def root(self, now: dt.datetime) -> x509.Certificate:
        """Give the root's certificate; makes it when there is none.

        Raises:
            AuthorityError: the folder cannot be used.
        """
        with self._locked():
            return self._root(now)[0]

    def certificate(self, names: Sequence[str], now: dt.datetime) -> tuple[bytes, bytes]:
        """Give chain and key, as PEM, of a certificate for names and addresses; kept until it is to be renewed.

        Args:
            names: what clients may ask for; none means this machine's own names.
            now: the present time.

        Raises:
            AuthorityError: the folder cannot be used.
        """
        wanted = tuple(sorted({name.lower().rstrip(".") for name in names})) or _own_names()
        with self._locked():
            root, root_key = self._root(now)
            stem = hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:32]
            chain_file, key_file = (self._folder / "certificates" / f"{stem}.{kind}" for kind in ("crt", "key"))
            with contextlib.suppress(OSError, ValueError, TypeError):
                chain, key = chain_file.read_bytes(), key_file.read_bytes()
                known = x509.load_pem_x509_certificate(chain)
                is_fresh = known.not_valid_after_utc - now > _RENEW_BEFORE
                if is_fresh and _is_signed_by(known, root) and _belong_together(known, key):
                    return chain, key
            chain, key = _issue(wanted, root, root_key, now)
            self._write(key_file, key)
            self._write(chain_file, chain)
            return chain, key

    def renewal_due(self, names: Sequence[str], now: dt.datetime) -> bool:
        """Tell whether `certificate` would make a new one now, hence nothing is written by asking often."""
        wanted = tuple(sorted({name.lower().rstrip(".") for name in names})) or _own_names()
        stem = hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:32]
        try:
            known = x509.load_pem_x509_certificate((self._folder / "certificates" / f"{stem}.crt").read_bytes())
        except (OSError, ValueError):
            return True
        return known.not_valid_after_utc - now <= _RENEW_BEFORE

    def _root(self, now: dt.datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        try:
            root = x509.load_pem_x509_certificate(self.root_file.read_bytes())
            key = load_pem_private_key(self._root_key_file.read_bytes(), None)
        except FileNotFoundError:
            return self._make_root(now)
        except (OSError, ValueError, TypeError) as error:
            raise AuthorityError(
                f"the local authority in {self._folder} cannot be read: {error}; give this user permission, or remove "
                "the folder to have a new one made"
            ) from None
        if root.not_valid_after_utc - now <= _LEAF_LIFE or not isinstance(key, ec.EllipticCurvePrivateKey):
            return self._make_root(now)
        return root, key

    def _make_root(self, now: dt.datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{ROOT_NAME} {now.year}")])
        builder = _builder(name, name, key, now, _ROOT_LIFE)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
        root = builder.sign(key, hashes.SHA256())
        # The key first: a certificate without it would be believed to be complete.
        self._write(self._root_key_file, _key_pem(key))
        self._write(self.root_file, root.public_bytes(Encoding.PEM), mode=0o644)
        return root, key

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes away, which may start at the same moment and make another root."""
        try:
            # Its own parents get the user's usual mode, only what holds keys is closed.
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            for folder in (self._folder, self._folder / "certificates"):
                folder.mkdir(mode=0o700, exist_ok=True)
            lock = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unusable(error) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        except OSError as error:
            raise self._unusable(error) from None
        finally:
            os.close(lock)

    def _unusable(self, error: OSError) -> AuthorityError:
        return AuthorityError(
            f"the local authority for `tls internal` cannot be kept in {self._folder}: {error.strerror}; set "
            "XDG_DATA_HOME to a folder that this user may write to, or name certificate files by `tls CERT KEY`"
        )

    @staticmethod
    def _write(file: Path, data: bytes, mode: int = 0o600) -> None:
        """Put a file in place at once, closed to others from its first moment on."""
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        try:
            os.fchmod(descriptor, mode)
            os.write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(file)


def _issue(
    names: Sequence[str], root: x509.Certificate, root_key: ec.EllipticCurvePrivateKey, now: dt.datetime
) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Howdah")])
    builder = _builder(subject, root.subject, key, now, _LEAF_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False
    )
    builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
    leaf = builder.sign(root_key, hashes.SHA256())
    # The root goes along for clients that are shown it by hand.
    return leaf.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM), _key_pem(key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: dt.datetime,
    life: dt.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _is_signed_by(certificate: x509.Certificate, root: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(root)
    except Exception:  # of several kinds
        return False
    return True


def _belong_together(certificate: x509.Certificate, key: bytes) -> bool:
    # A server that was killed while it renewed has written only one of them.
    return load_pem_private_key(key, None).public_key() == certificate.public_key()


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        # Names beyond ASCII are written as clients ask for them.
        return x509.DNSName(name if name.isascii() else name.encode("idna").decode())
    except UnicodeError:
        raise ConfigError(f"{name!r} is no name that a certificate could be for", directive="tls") from None


def _own_names() -> tuple[str, ...]:
    own = socket.gethostname().lower()
    return tuple(dict.fromkeys([*_LOCAL, own] if own.isascii() and own else _LOCAL))
