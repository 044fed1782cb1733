"""Access tokens: opaque, random, kept as hashes, gone after an hour.

Apart because every grant type ends here. The surprising thing: a token outlives a restart, since gcloud
repeats a refused request with the old token and its user would lose a command each time the gateway starts.
"""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from gstack.auth.grant import Grant, grant_of
from gstack.store.credentials import AccessToken, Credential
from gstack.store.db import own_session

PREFIX = "gst_"  # lets scanners of leaked secrets recognise a token


def new_secret() -> str:
    """256 random bits as text."""
    return PREFIX + secrets.token_urlsafe(32)


def hashed(token: str) -> str:
    """What is kept of a token. No salt: 256 random bits cannot be guessed from a hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def issue(credential_id: str, grant_type: str, scope: str, *, now: int, seconds: int) -> str:
    """A new token for a credential; expired ones are thrown away on the way."""
    token = new_secret()
    with own_session() as session:
        session.execute(delete(AccessToken).where(AccessToken.expires_at <= now))
        session.add(
            AccessToken(
                hash=hashed(token),
                credential_id=credential_id,
                grant_type=grant_type,
                scope=scope,
                issued_at=now,
                expires_at=now + seconds,
            )
        )
        session.commit()
    return token


def find(token: str, now: int) -> Grant | None:
    """The grant behind a token that is neither unknown nor expired nor revoked: one query, by primary key."""
    query = (
        select(Credential, AccessToken.expires_at)
        .join(AccessToken, AccessToken.credential_id == Credential.id)
        .where(AccessToken.hash == hashed(token), AccessToken.expires_at > now, Credential.revoked_at.is_(None))
    )
    with own_session() as session:
        row = session.execute(query).first()
    return grant_of(row[0], "token", row[1]) if row is not None else None


def forget(session: Session, credential_id: str) -> None:
    """Take back every token of a credential."""
    session.execute(delete(AccessToken).where(AccessToken.credential_id == credential_id))
