"""gstack's own RSA key, which signs id_tokens. Made when first needed, kept sealed in the store.

Apart from the key files: those keys are the clients' and only their public halves are here.
"""

from __future__ import annotations

import secrets
from functools import lru_cache
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey
from sqlalchemy import select

from gstack.auth.grant import Grant
from gstack.auth.guard import Gatekeeper
from gstack.auth.keyfiles import client_id, new_key_pair
from gstack.store.credentials import SigningKey
from gstack.store.db import own_session
from gstack.store.sealing import Sealer

ALGORITHM = "RS256"


def sign(sealer: Sealer, claims: dict[str, Any], now: int) -> str:
    """``claims`` as a JWT under the newest signing key."""
    row = _newest(sealer, now)
    key = RSAKey.import_key(sealer.open(row.sealed_key))
    return jwt.encode({"alg": ALGORITHM, "kid": row.id, "typ": "JWT"}, claims, key)


def id_token(guard: Gatekeeper, grant: Grant, audience: str, issuer: str) -> str:
    """Who the grant's user is, for ``audience``; gcloud reads ``email`` out of it and nothing else."""
    now = guard.keyring.now
    claims = {
        "iss": issuer,
        "aud": audience,
        "azp": audience,
        "sub": client_id(grant.credential_id),
        "email": grant.user,
        "email_verified": grant.email_verified,
        "iat": now,
        "exp": now + guard.settings["ACCESS_TOKEN_SECONDS"],
    }
    return sign(guard.sealer, claims, now)


def read_id_token(sealer: Sealer, text: str, now: int) -> dict[str, Any] | None:
    """Header and claims of an id_token that gstack signed and that has not expired, in one; None for any other."""
    try:
        keys = KeySet.import_key_set({"keys": public_keys(sealer)})
        found = jwt.decode(text, keys, algorithms=[ALGORITHM])
    except (JoseError, ValueError, TypeError):
        return None
    return found.claims | found.header if found.claims["exp"] > now else None


def public_keys(sealer: Sealer) -> list[dict[str, Any]]:
    """The public halves as JSON Web Keys, newest first, for whoever wants to check an id_token."""
    with own_session() as session:
        rows = session.scalars(select(SigningKey).order_by(SigningKey.created_at.desc())).all()
    return [dict(_public_half(sealer, row.id, row.sealed_key)) for row in rows]


@lru_cache(maxsize=16)
def _public_half(sealer: Sealer, key_id: str, sealed: str) -> dict[str, Any]:
    """Kept, because anybody may ask for it, and to read a private key takes 30 ms of CPU."""
    key = RSAKey.import_key(sealer.open(sealed), {"kid": key_id, "use": "sig", "alg": ALGORITHM})
    return dict(key.as_dict(private=False))


def _newest(sealer: Sealer, now: int) -> SigningKey:
    query = select(SigningKey).order_by(SigningKey.created_at.desc(), SigningKey.id).limit(1)
    with own_session() as session:
        row = session.scalars(query).first()
        if row is None:
            sealed = sealer.seal(new_key_pair().private_key.encode())
            row = SigningKey(id=secrets.token_hex(20), sealed_key=sealed, created_at=now)
            session.add(row)
            session.commit()
    return row
