from __future__ import annotations

import datetime as dt
import logging
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, PrivateFormat

from howdah.config.http import HttpSite, SiteAddress, Tls
from howdah.config.model import Position
from howdah.errors import ConfigError
from howdah.serve.listeners import TlsPlan
from howdah.serve.localca import Authority, AuthorityError, data_folder
from howdah.serve.tls import Loaded, Pair, choose, signature
from tests.unit.serve.certificates import NOW, key_pem, new_key, self_signed, write_pair


def named(host: str, line: int, tls: Tls | None = None) -> HttpSite:
    return HttpSite(addresses=(SiteAddress(host=host),), tls=tls, position=Position("Caddyfile", line, 1))


class TestPair:
    def test_is_read_whatever_form_the_key_has(self, tmp_path: Path) -> None:
        chain, key = write_pair(tmp_path, "a", "a.test", "*.b.test")
        made = Pair(chain, key)
        assert made.covers("a.test")
        assert made.covers("A.test.")
        assert made.covers("x.b.test")
        assert not made.covers("b.test")
        assert not made.covers("x.y.b.test")
        assert made.key.startswith(b"-----BEGIN PRIVATE KEY-----")

    def test_old_key_form_is_rewritten(self, tmp_path: Path) -> None:
        key = new_key()
        chain_file, key_file = write_pair(tmp_path, "a", "a.test", key=key)
        Path(key_file).write_bytes(key_pem(key, PrivateFormat.TraditionalOpenSSL))
        assert Pair(chain_file, key_file).key == key_pem(key)

    def test_missing_file_is_a_sentence_with_the_sites_place(self, tmp_path: Path) -> None:
        chain, _ = write_pair(tmp_path, "a", "a.test")
        with pytest.raises(ConfigError, match=r"Caddyfile:3:1: key /no/key does not exist"):
            Pair(chain, "/no/key", named("a.test", 3))

    def test_unreadable_file_is_a_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
            Pair(str(tmp_path), str(tmp_path))

    @pytest.mark.parametrize(("chain", "key"), [(b"", None), (b"rubbish", None), (None, b""), (None, b"rubbish")])
    def test_rubbish_is_a_sentence(self, tmp_path: Path, chain: bytes | None, key: bytes | None) -> None:
        files = write_pair(tmp_path, "a", "a.test")
        for file, data in zip(files, (chain, key), strict=True):
            if data is not None:
                Path(file).write_bytes(data)
        with pytest.raises(ConfigError, match="in PEM form"):
            Pair(*files)

    def test_protected_key_is_a_sentence(self, tmp_path: Path) -> None:
        key = new_key()
        chain, key_file = write_pair(tmp_path, "a", "a.test", key=key)
        Path(key_file).write_bytes(key_pem(key, encryption=BestAvailableEncryption(b"x")))
        with pytest.raises(ConfigError, match="protected by a password"):
            Pair(chain, key_file)

    def test_key_of_another_certificate_is_refused(self, tmp_path: Path) -> None:
        chain, _ = write_pair(tmp_path, "a", "a.test")
        _, key = write_pair(tmp_path, "b", "a.test")
        with pytest.raises(ConfigError, match=r"key .*b\.key does not match certificate .*a\.crt"):
            Pair(chain, key)

    def test_chain_in_the_wrong_order_is_refused(self, tmp_path: Path) -> None:
        chain, key = write_pair(tmp_path, "a", "a.test")
        Path(chain).write_bytes(self_signed(new_key(), ["root"]) + Path(chain).read_bytes())
        with pytest.raises(ConfigError, match="begins with the wrong certificate"):
            Pair(chain, key)

    @pytest.mark.parametrize(
        "make",
        [
            lambda: ec.generate_private_key(ec.SECP521R1()),
            lambda: ec.generate_private_key(ec.SECP256K1()),
            lambda: rsa.generate_private_key(65537, 1024),
            lambda: rsa.generate_private_key(3, 2048),
        ],
    )
    def test_keys_that_would_end_the_process_are_refused(self, tmp_path: Path, make: Any) -> None:
        with pytest.raises(ConfigError, match="of a kind that cannot be served"):
            Pair(*write_pair(tmp_path, "a", "a.test", key=make()))

    @pytest.mark.parametrize(
        "make", [ed25519.Ed25519PrivateKey.generate, lambda: rsa.generate_private_key(65537, 2048)]
    )
    def test_usual_keys_are_taken(self, tmp_path: Path, make: Any) -> None:
        assert Pair(*write_pair(tmp_path, "a", "a.test", key=make())).covers("a.test")

    def test_warnings(self, tmp_path: Path) -> None:
        made = Pair(*write_pair(tmp_path, "a", "a.test", days=30))
        assert made.warnings(["a.test"], NOW + dt.timedelta(days=10)) == []
        assert "expires on 2026-07-01" in made.warnings(["a.test"], NOW + dt.timedelta(days=17))[0]
        assert "has expired on" in made.warnings(["a.test"], NOW + dt.timedelta(days=31))[0]
        assert "valid only from" in made.warnings(["a.test"], NOW - dt.timedelta(days=1))[0]
        assert "is not for c.test" in made.warnings(["a.test", "c.test"], NOW)[0]


class TestChoose:
    def choose(self, tmp_path: Path, plan: TlsPlan) -> Loaded:
        return choose(plan, Authority(tmp_path / "pki"), NOW)

    def test_internal_makes_one_certificate_for_all_names(self, tmp_path: Path) -> None:
        made = self.choose(tmp_path, TlsPlan(names=("localhost", "a.test"), internal=(named("localhost", 1),)))
        certificate = x509.load_pem_x509_certificate(made.material.chain)
        assert _names(certificate) == {"localhost", "a.test"}
        assert made.files == ()

    def test_one_pair_is_taken_also_if_it_is_for_other_names(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        pair = write_pair(tmp_path, "a", "a.test")
        with caplog.at_level(logging.WARNING):
            made = self.choose(tmp_path, TlsPlan(("b.test",), (pair,), (named("b.test", 1),)))
        assert made.files == pair
        assert "is not for b.test" in caplog.text

    def test_pair_for_all_names_serves_also_sites_without_files(self, tmp_path: Path) -> None:
        pair = write_pair(tmp_path, "a", "*.a.test")
        plan = TlsPlan(("x.a.test", "y.a.test"), (pair,), (named("x.a.test", 1),), (named("y.a.test", 2),))
        assert self.choose(tmp_path, plan).material.chain == Path(pair[0]).read_bytes()

    def test_of_several_pairs_the_one_for_all_names_is_taken(self, tmp_path: Path) -> None:
        one, both = write_pair(tmp_path, "a", "a.test"), write_pair(tmp_path, "b", "a.test", "b.test")
        plan = TlsPlan(("a.test", "b.test"), (one, both), (named("a.test", 1), named("b.test", 2)))
        made = self.choose(tmp_path, plan)
        assert made.material.chain == Path(both[0]).read_bytes()
        assert set(made.files) == {*one, *both}

    def test_two_certificates_for_one_listener_are_refused_with_both_sites(self, tmp_path: Path) -> None:
        pairs = write_pair(tmp_path, "a", "a.test"), write_pair(tmp_path, "b", "b.test")
        plan = TlsPlan(("a.test", "b.test"), pairs, (named("a.test", 1), named("b.test", 5)))
        with pytest.raises(ConfigError, match=r"Caddyfile:5:1: b.test \(line 5\) wants .*a.test \(line 1\) wants"):
            self.choose(tmp_path, plan)

    def test_file_and_local_authority_on_one_listener_are_refused_with_both_sites(self, tmp_path: Path) -> None:
        pair = write_pair(tmp_path, "a", "a.test")
        plan = TlsPlan(("a.test", "localhost"), (pair,), (named("a.test", 1),), (named("localhost", 8),))
        with pytest.raises(
            ConfigError, match=r"localhost \(line 8\) wants a certificate of the local authority, a.test"
        ):
            self.choose(tmp_path, plan)

    def test_client_authority(self, tmp_path: Path) -> None:
        pair = write_pair(tmp_path, "a", "a.test")
        asking = named("a.test", 4, Tls(files=(pair,), client_ca=pair[0]))
        plan = TlsPlan(("a.test",), (pair,), (asking,), client_ca=pair[0])
        assert self.choose(tmp_path, plan).material.client_ca == Path(pair[0]).read_bytes()
        for broken in ("/no/file", pair[1]):
            asking = named("a.test", 4, Tls(files=(pair,), client_ca=broken))
            with pytest.raises(ConfigError, match="Caddyfile:4:1: client authority"):
                self.choose(tmp_path, TlsPlan(("a.test",), (pair,), (asking,), client_ca=broken))


def _names(certificate: x509.Certificate) -> set[str]:
    alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {
        *alternatives.get_values_for_type(x509.DNSName),
        *map(str, alternatives.get_values_for_type(x509.IPAddress)),
    }


class TestAuthority:
    def test_root_is_made_once_and_keys_are_closed_to_others(self, tmp_path: Path) -> None:
        folder = tmp_path / "data" / "pki"
        first = Authority(folder).root(NOW)
        chain, key = Authority(folder).certificate(["localhost", "::1"], NOW)
        assert Authority(folder).root(NOW) == first
        assert Authority(folder).certificate(["::1", "LOCALHOST"], NOW) == (chain, key)
        leaf = x509.load_pem_x509_certificate(chain)
        leaf.verify_directly_issued_by(first)
        assert _names(leaf) == {"localhost", "::1"}
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.suffix == ".key"}
        assert set(modes.values()) == {0o600}
        assert len(modes) == 2
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    def test_certificate_is_renewed_before_it_expires(self, tmp_path: Path) -> None:
        authority = Authority(tmp_path / "pki")
        first, _ = authority.certificate(["localhost"], NOW)
        assert authority.certificate(["localhost"], NOW + dt.timedelta(days=59))[0] == first
        assert not authority.renewal_due(["localhost"], NOW + dt.timedelta(days=59))
        assert authority.renewal_due(["localhost"], NOW + dt.timedelta(days=61))
        second, _ = authority.certificate(["localhost"], NOW + dt.timedelta(days=61))
        assert second != first
        assert authority.renewal_due(["other"], NOW)

    def test_certificate_and_key_that_do_not_match_are_replaced(self, tmp_path: Path) -> None:
        authority = Authority(tmp_path / "pki")
        chain, _ = authority.certificate(["localhost"], NOW)
        next((tmp_path / "pki" / "certificates").glob("*.key")).write_bytes(key_pem(new_key()))
        assert authority.certificate(["localhost"], NOW)[0] != chain

    def test_certificate_of_another_root_is_replaced(self, tmp_path: Path) -> None:
        authority = Authority(tmp_path / "pki")
        chain, _ = authority.certificate(["localhost"], NOW)
        authority.root_file.unlink()
        made, _ = authority.certificate(["localhost"], NOW)
        assert made != chain
        x509.load_pem_x509_certificate(made).verify_directly_issued_by(authority.root(NOW))

    def test_no_names_means_this_machine(self, tmp_path: Path) -> None:
        chain, _ = Authority(tmp_path / "pki").certificate([], NOW)
        assert {"localhost", "127.0.0.1", "::1"} <= _names(x509.load_pem_x509_certificate(chain))

    def test_names_beyond_ascii(self, tmp_path: Path) -> None:
        authority = Authority(tmp_path / "pki")
        chain, _ = authority.certificate(["bücher.test"], NOW)
        assert _names(x509.load_pem_x509_certificate(chain)) == {"xn--bcher-kva.test"}
        with pytest.raises(ConfigError, match="no name that a certificate"):
            authority.certificate(["ü" * 80], NOW)

    def test_folder_that_cannot_be_made_is_a_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(AuthorityError, match="set XDG_DATA_HOME"):
            Authority(tmp_path / "file" / "pki").root(NOW)

    def test_broken_root_is_a_sentence_and_stays(self, tmp_path: Path) -> None:
        authority = Authority(tmp_path / "pki")
        authority.root(NOW)
        authority.root_file.write_text("rubbish")
        with pytest.raises(AuthorityError, match="remove the folder"):
            authority.root(NOW)
        assert authority.root_file.read_text() == "rubbish"

    def test_servers_that_start_together_share_one_root(self, tmp_path: Path) -> None:
        roots: list[x509.Certificate] = []
        threads = [
            threading.Thread(target=lambda: roots.append(Authority(tmp_path / "pki").root(NOW))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(roots) == 8
        assert len(set(roots)) == 1

    @pytest.mark.parametrize(
        ("environ", "folder"),
        [
            ({"XDG_DATA_HOME": "/x", "HOME": "/h"}, "/x/howdah"),
            ({"HOME": "/h"}, "/h/.local/share/howdah"),
            ({"XDG_DATA_HOME": "relative", "HOME": "/h"}, "/h/.local/share/howdah"),
        ],
    )
    def test_data_folder(self, environ: dict[str, str], folder: str) -> None:
        assert data_folder(environ) == Path(folder)


def test_signature_sees_replaced_and_removed_files(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("1")
    first = signature([str(file)])
    assert signature([str(file)]) == first
    other = tmp_path / "b"
    other.write_text("2")
    other.replace(file)
    second = signature([str(file)])
    assert second != first
    file.unlink()
    assert signature([str(file)]) not in {first, second}
