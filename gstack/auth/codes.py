"""Authorization codes (RFC 6749, section 4.1, with PKCE, RFC 7636): one minute, one use.

Apart because the consent page makes them and a grant redeems them. There are two kinds. A *bound* code stands for
somebody who signed in; only the client that knows its PKCE verifier can redeem it. An *open* code stands for nobody:
it is for clients that authenticate themselves with a CloudStack key pair as client id and secret (the gcutil
way), is sealed instead of stored, and is worth nothing without that pair.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from dataclasses import dataclass

from sqlalchemy import delete

from gstack.auth.tokens import hashed, new_secret
from gstack.store.credentials import AuthorizationCode
from gstack.store.db import own_session
from gstack.store.sealing import Sealer, Unsealable

LIFE_SECONDS = 60
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_OPEN = "open."


@dataclass(frozen=True)
class Asked:
    """What the client asked the authorization endpoint for; ``challenge`` is empty without PKCE."""

    client_id: str
    redirect_uri: str
    scope: str
    challenge: str


def bound(asked: Asked, credential_id: str, now: int) -> str:
    """A code for somebody who signed in."""
    code = new_secret()
    with own_session() as session:
        session.execute(delete(AuthorizationCode).where(AuthorizationCode.expires_at <= now))
        session.add(
            AuthorizationCode(
                hash=hashed(code),
                credential_id=credential_id,
                client_hash=hashed(asked.client_id),
                redirect_uri=asked.redirect_uri,
                code_challenge=asked.challenge,
                scope=asked.scope,
                expires_at=now + LIFE_SECONDS,
            )
        )
        session.commit()
    return code


def unbound(asked: Asked, sealer: Sealer, now: int) -> str:
    """A code for a client that will show a key pair."""
    content = ["code", hashed(asked.client_id), asked.redirect_uri, asked.scope, now + LIFE_SECONDS]
    return _OPEN + sealer.seal(json.dumps(content).encode())


def is_open(code: str) -> bool:
    """Whether a code is of the kind that stands for nobody."""
    return code.startswith(_OPEN)


def redeem(code: str, *, client_id: str, redirect_uri: str, verifier: str, now: int) -> AuthorizationCode | None:
    """Use up a bound code: its row, or None for a wrong client, address, verifier, or time. A code is gone after
    the first try, good or bad."""
    with own_session() as session:
        statement = delete(AuthorizationCode).where(AuthorizationCode.hash == hashed(code)).returning(AuthorizationCode)
        row = session.scalars(statement).first()
        session.commit()
    if row is None or row.expires_at <= now:
        return None
    fits = row.client_hash == hashed(client_id) and row.redirect_uri == redirect_uri
    return row if fits and _answers(row.code_challenge, verifier) else None


def redeem_open(code: str, sealer: Sealer, *, client_id: str, redirect_uri: str, now: int) -> str | None:
    """The scope of an open code, or None where anything about it is wrong."""
    try:
        kind, client, address, scope, expires_at = json.loads(sealer.open(code.removeprefix(_OPEN)))
    except (Unsealable, ValueError):
        return None
    fits = kind == "code" and client == hashed(client_id) and address == redirect_uri and expires_at > now
    return str(scope) if fits else None


def _answers(challenge: str, verifier: str) -> bool:
    if not _VERIFIER.fullmatch(verifier):
        return False
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    return hmac.compare_digest(digest, challenge.encode())
