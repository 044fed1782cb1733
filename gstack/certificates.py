"""A private certificate authority and the server certificate it signs.

Made when the gateway is configured, so that no key ever ships in the package. The surprising thing: clients get
the authority's certificate, never the server's own, because several of them (Node, Java) refuse a leaf as root.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL

AUTHORITY_DAYS = 3650
# Apple's and Google's clients refuse server certificates that live longer than 398 days.
SERVER_DAYS = 397
RENEW_BEFORE = datetime.timedelta(days=30)
# What clients call without being told: the API under both its names, the token endpoints, and what their libraries
# ask besides (design of the transparent ways in: docs/clients/ways_in.md).
GOOGLE_NAMES = (
    "compute.googleapis.com",
    "www.googleapis.com",
    "oauth2.googleapis.com",
    "accounts.google.com",
    "cloudresourcemanager.googleapis.com",
    "iamcredentials.googleapis.com",
    "openidconnect.googleapis.com",
    "sts.googleapis.com",
)


def write_private(path: Path, data: bytes) -> None:
    """Write ``data`` so that only the owner can ever read it, in one step that a crash cannot halve."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    temporary.replace(path)


def server_names(bind_address: str, extra: Iterable[str] = ()) -> list[str]:
    """The names a server certificate needs: the bind name, localhost, 127.0.0.1 and the machine's name."""
    names = [bind_address, "localhost", "127.0.0.1", "::1", socket.gethostname(), socket.getfqdn(), *extra]
    return [name for name in dict.fromkeys(names) if name not in ("", "0.0.0.0", "::")]  # noqa: S104 - no names


def ensure_certificates(folder: Path, names: list[str]) -> bool:
    """Make ``ca.pem``, ``ca.key``, ``server.pem`` and ``server.key`` in ``folder`` where they are missing, do not
    cover ``names`` or end within 30 days. Names of an earlier certificate are kept. True when it is new."""
    authority_file, authority_key_file = folder / "ca.pem", folder / "ca.key"
    names = list(dict.fromkeys([*names, *_names(folder / "server.pem")]))
    if not (authority_file.exists() and authority_key_file.exists()):
        key = ec.generate_private_key(ec.SECP256R1())
        authority = _authority(key)
        write_private(authority_key_file, _private_bytes(key))
        authority_file.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
        (folder / "server.pem").unlink(missing_ok=True)
    elif _lasts(folder / "server.pem", names) and (folder / "server.key").exists():
        return False
    authority = x509.load_pem_x509_certificate(authority_file.read_bytes())
    signer = serialization.load_pem_private_key(authority_key_file.read_bytes(), None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{authority_key_file} holds no key of gstack's own authority.")
    server_key = ec.generate_private_key(ec.SECP256R1())
    certificate = _server(server_key, names, authority, signer)
    write_private(folder / "server.key", _private_bytes(server_key))
    (folder / "server.pem").write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM) + authority.public_bytes(serialization.Encoding.PEM)
    )
    return True


def check_pair(certificate_file: Path, key_file: Path) -> None:
    """Raise ValueError, in words, when the server could not serve TLS with these two files."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    try:
        context.use_certificate_chain_file(str(certificate_file))
        context.use_privatekey_file(str(key_file))
        context.check_privatekey()
    except SSL.Error as error:
        raise ValueError(
            f"{certificate_file} and {key_file} are not a certificate and its key. Run gstack-configure."
        ) from error


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"gstack CA on {socket.gethostname()}"[:64])])
    return (
        _builder(name, name, key, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _server(
    key: ec.EllipticCurvePrivateKey,
    names: list[str],
    authority: x509.Certificate,
    signer: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    return (
        _builder(subject, authority.subject, key, SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(issuer_key, critical=False)
        .sign(signer, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # An hour back: clients whose clock is a little behind must not refuse a fresh certificate.
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
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


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def uncovered(path: Path, names: Iterable[str]) -> list[str]:
    """Those of ``names`` for which the certificate of file ``path`` is none; a wildcard covers one label."""
    known = set(_names(path))
    return [name for name in names if not {name, f"*.{name.partition('.')[2]}"} & known]


def _names(path: Path) -> list[str]:
    """Names and addresses of the certificate of file ``path``; none where there is no such file."""
    if not path.exists():
        return []
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in found if isinstance(name, x509.DNSName | x509.IPAddress)]


def _lasts(path: Path, names: list[str]) -> bool:
    if uncovered(path, names):
        return False
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC) > RENEW_BEFORE


def _private_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
