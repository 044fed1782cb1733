"""Service-account key files in Google's form: what every client calls "the JSON key".

Apart because it is pure. gstack keeps the public half only: whoever loses the file makes a new one. The
surprising thing: clients judge a file by its address (libcloud by ``iam.gserviceaccount.com``) and by
``universe_domain`` (gcloud refuses any but ``googleapis.com``), so both are Google's although nothing here
is. Another universe is for libraries that are to find ``compute.<universe>`` by themselves.
"""

from __future__ import annotations

import json
import os
import secrets
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

UNIVERSE = "googleapis.com"
EMAIL_DOMAIN = ".iam.gserviceaccount.com"
KEY_BITS = 2048  # gcloud and libcloud sign with RSA only; an EC key makes gcloud crash


@dataclass(frozen=True)
class KeyPair:
    """A new RSA key: its id (40 hexadecimal digits), the private half (PKCS#8 PEM) and the public half
    (PEM)."""

    id: str
    private_key: str = field(repr=False)
    public_key: str


def new_key_pair() -> KeyPair:
    """An RSA key that did not exist before."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return KeyPair(secrets.token_hex(20), private.decode(), public.decode())


def service_account_email(name: str, project: str) -> str:
    """The address of a service account, which is also the issuer of its assertions."""
    return f"{name}@{project}{EMAIL_DOMAIN}"


def project_of(email: str) -> str:
    """The project id inside a service account's address."""
    return email.partition("@")[2].removesuffix(EMAIL_DOMAIN)


def client_id(credential_id: str) -> str:
    """A service account's numeric id: 21 digits, always the same for one credential."""
    return str(uuid.UUID(credential_id).int % 10**21).zfill(21)


def key_file(pair: KeyPair, *, email: str, credential_id: str, url: str, universe: str = UNIVERSE) -> dict[str, Any]:
    """The members of the file; ``url`` is the gateway's root as clients reach it, without a trailing
    slash. In any ``universe`` but Google's, libraries sign their tokens themselves."""
    return {
        "type": "service_account",
        "project_id": project_of(email),
        "private_key_id": pair.id,
        "private_key": pair.private_key,
        "client_email": email,
        "client_id": client_id(credential_id),
        "auth_uri": f"{url}/o/oauth2/auth",
        "token_uri": f"{url}/token",
        "universe_domain": universe,
    }


@contextmanager
def writing(path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """What writes a key file, for its owner's eyes only; an older file of the name is replaced whole, at the end, or
    not at all. Raises OSError before anything is done for a file that has no place."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            yield lambda content: print(json.dumps(content, indent=2), file=file)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
