"""Tokens: opaque, random, kept as hashes. Access tokens last an hour, refresh tokens ninety days without use.

Apart because every grant type ends here. The surprising thing: a token outlives a restart, since gcloud
repeats a refused request with the old token and its user would lose a command each time the gateway starts.
"""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from gstack.auth.grant import Grant, grant_of
from gstack.store.credentials import REFRESH_IDLE_SECONDS, AccessToken, AuthorizationCode, Credential, RefreshToken
from gstack.store.db import own_session

SESSION = "page"  # the grant type of a session of the credentials page, which is no bearer
PREFIX = "gst_"  # lets scanners of leaked secrets recognise a token


class Ended(Exception):
    """The login that a token or code was to come from was ended meanwhile, or is not in the store any more."""

    def __init__(self) -> None:
        super().__init__("The login was ended meanwhile. Sign in again.")


def new_secret() -> str:
    """256 random bits as text."""
    return PREFIX + secrets.token_urlsafe(32)


def hashed(token: str) -> str:
    """What is kept of a token. No salt: 256 random bits cannot be guessed from a hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def keep(
    token: str,
    credential_id: str,
    grant_type: str,
    scope: str,
    *,
    now: int,
    seconds: int,
    refresh_hash: str | None = None,
) -> None:
    """Keep a new access token of a credential, as its hash; expired ones are thrown away on the way. Raises
    :class:`Ended` where the credential or the refresh token it comes from is gone."""
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
                refresh_hash=refresh_hash,
            )
        )
        commit(session)


def commit(session: Session) -> None:
    """Keep what is new. The store holds that whatever it comes from is there: raises :class:`Ended`."""
    try:
        session.commit()
    except IntegrityError:
        raise Ended from None


def look_up(token: str, now: int, grant_type: str = "") -> tuple[Credential, AccessToken] | None:
    """The row of a token that is neither unknown nor expired nor revoked, and whose it is: one query, by
    primary key. A session of the credentials page is found only by whoever asks for that ``grant_type``."""
    kind = AccessToken.grant_type == grant_type if grant_type else AccessToken.grant_type != SESSION
    query = (
        select(Credential, AccessToken)
        .join(AccessToken, AccessToken.credential_id == Credential.id)
        .where(AccessToken.hash == hashed(token), AccessToken.expires_at > now, kind)
        .where(Credential.revoked_at.is_(None))
    )
    with own_session() as session:
        row = session.execute(query).first()
    return (row[0], row[1]) if row is not None else None


def find(token: str, now: int) -> Grant | None:
    """The grant behind an access token, as :func:`look_up`."""
    found = look_up(token, now)
    return grant_of(found[0], "token", found[1].expires_at) if found is not None else None


def keep_refresh(
    token: str, credential_id: str, client_id: str, scope: str, *, confidential: bool, now: int, client: str = ""
) -> str:
    """Keep a new refresh token for one client, which calls itself ``client``; those unused for ninety days are thrown
    away on the way. Returns its hash. Raises as :func:`keep`."""
    with own_session() as session:
        session.execute(delete(RefreshToken).where(RefreshToken.used_at <= now - REFRESH_IDLE_SECONDS))
        session.add(
            RefreshToken(
                hash=hashed(token),
                credential_id=credential_id,
                client_hash=hashed(client_id),
                confidential=confidential,
                scope=scope,
                issued_at=now,
                used_at=now,
                client=client[:80] or None,
            )
        )
        commit(session)
    return hashed(token)


def look_up_refresh(token: str, now: int) -> tuple[Credential, RefreshToken] | None:
    """The row of a refresh token that is neither unknown nor idle for too long nor revoked, and whose it is."""
    query = (
        select(Credential, RefreshToken)
        .join(RefreshToken, RefreshToken.credential_id == Credential.id)
        .where(RefreshToken.hash == hashed(token), RefreshToken.used_at > now - REFRESH_IDLE_SECONDS)
        .where(Credential.revoked_at.is_(None))
    )
    with own_session() as session:
        row = session.execute(query).first()
    return (row[0], row[1]) if row is not None else None


def note_use(row: RefreshToken, now: int) -> None:
    """A refresh token lives on for another ninety days."""
    with own_session() as session:
        session.execute(update(RefreshToken).where(RefreshToken.hash == row.hash).values(used_at=now))
        session.commit()


def refresh_tokens(credential_ids: list[str], now: int) -> list[RefreshToken]:
    """The live refresh tokens of some credentials, the one used last first."""
    query = (
        select(RefreshToken)
        .where(RefreshToken.credential_id.in_(credential_ids), RefreshToken.used_at > now - REFRESH_IDLE_SECONDS)
        .order_by(RefreshToken.used_at.desc(), RefreshToken.hash)
    )
    with own_session() as session:
        return list(session.scalars(query))


def login_id(row: RefreshToken) -> str:
    """What a refresh token is called in lists: the beginning of its hash."""
    return row.hash[:16]


def end_refresh(login: str, credential_ids: set[str]) -> RefreshToken | None:
    """End the refresh token that lists call ``login``, and what came from it, if it belongs to one of the
    credentials."""
    found = RefreshToken.hash.startswith(login, autoescape=True) & RefreshToken.credential_id.in_(credential_ids)
    with own_session() as session:
        row = session.scalars(select(RefreshToken).where(found)).first() if len(login) >= 16 else None
        if row is not None:
            session.execute(delete(AccessToken).where(AccessToken.refresh_hash == row.hash))
            session.delete(row)
            session.commit()
    return row


def revoke(token: str) -> str | None:
    """End an access or refresh token; a refresh token takes its access tokens with it, and an access token the
    refresh token it came from, as Google's do. Returns the credential's id, or None for a token nobody knows."""
    digest = hashed(token)
    with own_session() as session:
        access = session.get(AccessToken, digest)
        root = session.get(RefreshToken, (access.refresh_hash if access is not None else None) or digest)
        owner = access or root
        if access is not None:
            session.delete(access)
        if root is not None:
            session.execute(delete(AccessToken).where(AccessToken.refresh_hash == root.hash))
            session.delete(root)
        session.commit()
    return owner.credential_id if owner is not None else None


def forget(session: Session, credential_id: str) -> None:
    """Take back every token and code of a credential."""
    for table in (AccessToken, RefreshToken, AuthorizationCode):
        session.execute(delete(table).where(table.credential_id == credential_id))
