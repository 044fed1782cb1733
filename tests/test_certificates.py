"""The private authority and the server certificate."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509

from gstack import certificates


def _alternatives(folder: Path) -> x509.SubjectAlternativeName:
    certificate = x509.load_pem_x509_certificate((folder / "server.pem").read_bytes())
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def test_the_certificate_covers_the_bind_name_localhost_the_loopback_and_the_machine(tmp_path: Path) -> None:
    names = certificates.server_names("gateway.example")
    certificates.ensure_certificates(tmp_path, names)
    found = _alternatives(tmp_path)
    assert {"gateway.example", "localhost"} <= set(found.get_values_for_type(x509.DNSName))
    assert "127.0.0.1" in {str(ip) for ip in found.get_values_for_type(x509.IPAddress)}


def test_keys_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    certificates.ensure_certificates(tmp_path, ["localhost"])
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ca.key", "server.key")}
    assert modes == {"ca.key": 0o600, "server.key": 0o600}


def test_openssl_accepts_the_chain_under_the_authority(tmp_path: Path) -> None:
    certificates.ensure_certificates(tmp_path, ["localhost"])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    client = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    out, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(back, out, server_hostname="localhost")
    far = server.wrap_bio(out, back, server_side=True)
    done = set()
    while len(done) < 2:
        for side in (near, far):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                continue
    assert near.getpeercert()


def test_running_again_keeps_everything_and_a_new_name_renews_only_the_server(tmp_path: Path) -> None:
    certificates.ensure_certificates(tmp_path, ["localhost"])
    before = {name: (tmp_path / name).read_bytes() for name in ("ca.pem", "ca.key", "server.pem")}
    assert certificates.ensure_certificates(tmp_path, ["localhost"]) is False
    assert certificates.ensure_certificates(tmp_path, ["localhost", "other"]) is True
    assert (tmp_path / "ca.pem").read_bytes() == before["ca.pem"]
    assert (tmp_path / "ca.key").read_bytes() == before["ca.key"]
    assert (tmp_path / "server.pem").read_bytes() != before["server.pem"]


def test_names_once_given_stay_when_the_certificate_is_made_again(tmp_path: Path) -> None:
    certificates.ensure_certificates(tmp_path, ["localhost", "gce.example", "10.0.0.1"])
    certificates.ensure_certificates(tmp_path, ["localhost", "other"])
    assert certificates.uncovered(tmp_path / "server.pem", ["gce.example", "10.0.0.1", "other"]) == []


def test_a_wildcard_covers_one_label_and_no_more(tmp_path: Path) -> None:
    certificates.ensure_certificates(tmp_path, ["*.googleapis.com"])
    asked = ["compute.googleapis.com", "googleapis.com", "a.b.googleapis.com", "accounts.google.com"]
    assert certificates.uncovered(tmp_path / "server.pem", asked) == asked[1:]


def test_a_key_that_is_not_the_certificates_is_refused_in_words(tmp_path: Path) -> None:
    certificates.ensure_certificates(tmp_path, ["localhost"])
    with pytest.raises(ValueError, match="not a certificate and its key"):
        certificates.check_pair(tmp_path / "server.pem", tmp_path / "ca.key")
