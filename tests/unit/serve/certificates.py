"""Certificates of every kind, made for tests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: Any, form: PrivateFormat = PrivateFormat.PKCS8, encryption: Any = None) -> bytes:
    pem: bytes = key.private_bytes(Encoding.PEM, form, encryption or NoEncryption())
    return pem


def self_signed(
    key: Any, names: Sequence[str], begin: dt.datetime = NOW, days: int = 60, extra: x509.ExtensionType | None = None
) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    )
    if extra is not None:
        builder = builder.add_extension(extra, critical=True)
    is_modern = hasattr(key, "sign") and type(key).__module__.endswith("ed25519")
    return builder.sign(key, None if is_modern else hashes.SHA256()).public_bytes(Encoding.PEM)


def write_pair(folder: Path, stem: str, *names: str, key: Any = None, **fields: Any) -> tuple[str, str]:
    """Write a certificate and its key; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    made = key or new_key()
    chain_file, key_file = folder / f"{stem}.crt", folder / f"{stem}.key"
    chain_file.write_bytes(self_signed(made, names, **fields))
    key_file.write_bytes(key_pem(made))
    return str(chain_file), str(key_file)
