"""Who may come in: CloudStack key pairs, the keys and tokens made for them, and failed attempts.

Tables only; what may be done with them is in ``gstack/auth``. Times are whole seconds since 1970. The
surprising thing: no column here is worth stealing. Key pairs and private keys are sealed, tokens are hashes,
and of a service account's key only the public half was ever stored.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Delete, ForeignKey, Index, String, Text, delete, text
from sqlalchemy.orm import Mapped, mapped_column

from gstack.store.db import Model

DIRECT = "direct"
SERVICE_ACCOUNT = "service-account"
REFRESH_IDLE_SECONDS = 90 * 86_400
FAILURE_WINDOW_SECONDS = 300

_LIVE = text("revoked_at IS NULL")
_DIRECT = text(f"kind = '{DIRECT}'")


class Credential(Model):
    """A CloudStack key pair that CloudStack accepted, and whose it is.

    ``kind`` is ``direct`` for a pair that a client presents itself (one row a pair), or ``service-account``
    for one behind a key file (any number a pair). ``key_hash`` finds a pair by its API key; ``sealed_keys``
    is sealed JSON ``[id, API key, secret key]``; the id in it keeps a row from opening with another row's
    seal. ``email`` is the service account's address, unique among the live ones. ``user_*``, ``account*``
    and ``domain_*`` are CloudStack's.
    """

    __tablename__ = "credential"
    __table_args__ = (
        Index("ix_credential_key_hash", "key_hash", "kind"),
        Index("uq_credential_direct", "key_hash", unique=True, sqlite_where=_DIRECT, postgresql_where=_DIRECT),
        Index("uq_credential_email", "email", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
        Index("ix_credential_account_id", "account_id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(255))
    key_hash: Mapped[str] = mapped_column(String(64), repr=False)
    sealed_keys: Mapped[str] = mapped_column(Text, repr=False)
    account: Mapped[str] = mapped_column(String(255))
    account_id: Mapped[str] = mapped_column(String(40))
    domain_id: Mapped[str] = mapped_column(String(40))
    domain_path: Mapped[str] = mapped_column(String(1024))
    user_id: Mapped[str] = mapped_column(String(40))
    user_name: Mapped[str] = mapped_column(String(255))
    user_email: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[int] = mapped_column(BigInteger)
    email: Mapped[str | None] = mapped_column(String(255), default=None)
    verified_at: Mapped[int] = mapped_column(BigInteger, default=0)
    used_at: Mapped[int | None] = mapped_column(BigInteger, default=None)
    revoked_at: Mapped[int | None] = mapped_column(BigInteger, default=None)


class ServiceAccountKey(Model):
    """The public half of a service account's RSA key. ``id`` is what the key file calls
    ``private_key_id``."""

    __tablename__ = "service_account_key"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    credential_id: Mapped[str] = mapped_column(ForeignKey("credential.id", ondelete="CASCADE"), index=True)
    public_key: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)
    revoked_at: Mapped[int | None] = mapped_column(BigInteger, default=None)


class AccessToken(Model):
    """One token handed out. ``hash`` is the SHA-256 of the token in hexadecimal; the token itself is
    nowhere."""

    __tablename__ = "access_token"

    hash: Mapped[str] = mapped_column(String(64), primary_key=True, repr=False)
    credential_id: Mapped[str] = mapped_column(ForeignKey("credential.id", ondelete="CASCADE"), index=True)
    grant_type: Mapped[str] = mapped_column(String(64))
    scope: Mapped[str] = mapped_column(Text)
    issued_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int] = mapped_column(BigInteger, index=True)
    refresh_hash: Mapped[str | None] = mapped_column(
        ForeignKey("refresh_token.hash", ondelete="CASCADE"), default=None, index=True, repr=False
    )


class RefreshToken(Model):
    """What gets further access tokens for one client. ``hash`` and ``client_hash`` are SHA-256 in hexadecimal;
    ``confidential`` says that the client must also show its secret, which then is the CloudStack secret key.
    ``client`` is what the client calls itself, for the person who looks through a list; never its id, which may be
    an API key."""

    __tablename__ = "refresh_token"

    hash: Mapped[str] = mapped_column(String(64), primary_key=True, repr=False)
    credential_id: Mapped[str] = mapped_column(ForeignKey("credential.id", ondelete="CASCADE"), index=True)
    client_hash: Mapped[str] = mapped_column(String(64), repr=False)
    confidential: Mapped[bool]
    scope: Mapped[str] = mapped_column(Text)
    issued_at: Mapped[int] = mapped_column(BigInteger)
    used_at: Mapped[int] = mapped_column(BigInteger, index=True)
    client: Mapped[str | None] = mapped_column(String(80), default=None)


class AuthorizationCode(Model):
    """What a browser carries from the consent page to its client, for one minute and one use."""

    __tablename__ = "authorization_code"

    hash: Mapped[str] = mapped_column(String(64), primary_key=True, repr=False)
    credential_id: Mapped[str] = mapped_column(ForeignKey("credential.id", ondelete="CASCADE"), index=True)
    client_hash: Mapped[str] = mapped_column(String(64), repr=False)
    redirect_uri: Mapped[str] = mapped_column(Text)
    code_challenge: Mapped[str] = mapped_column(String(43))
    scope: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[int] = mapped_column(BigInteger, index=True)


class SigningKey(Model):
    """An RSA key of gstack's own that signs id_tokens; the newest signs. ``sealed_key`` is sealed PEM."""

    __tablename__ = "signing_key"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    sealed_key: Mapped[str] = mapped_column(Text, repr=False)
    created_at: Mapped[int] = mapped_column(BigInteger)


class FailedAttempt(Model):
    """How often one subject (``key:<keyed hash>`` or ``address:<network>``) failed since ``window_start``."""

    __tablename__ = "failed_attempt"

    subject: Mapped[str] = mapped_column(String(128), primary_key=True)
    window_start: Mapped[int] = mapped_column(BigInteger, index=True)
    count: Mapped[int]


class ProjectId(Model):
    """A GCE project id and the CloudStack account or project (UUID) that has it, once and for all.

    Everything gstack keeps is kept by project id, so no two owners may ever share one, although CloudStack
    lets accounts of different domains have the same name.
    """

    __tablename__ = "project_id"

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    owner: Mapped[str] = mapped_column(String(40), unique=True)


def expired(now: int) -> tuple[Delete, ...]:
    """What takes away every row that has had its time by ``now``."""
    return (
        delete(AccessToken).where(AccessToken.expires_at <= now),
        delete(RefreshToken).where(RefreshToken.used_at <= now - REFRESH_IDLE_SECONDS),
        delete(AuthorizationCode).where(AuthorizationCode.expires_at <= now),
        delete(FailedAttempt).where(FailedAttempt.window_start <= now - FAILURE_WINDOW_SECONDS),
    )
