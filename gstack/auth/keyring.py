"""The key ring: CloudStack key pairs that CloudStack has accepted, found, kept, and checked again.

Apart from the guard, which knows requests, and from ``identity``, which knows only CloudStack. The
surprising thing: a pair is believed for a minute after CloudStack last accepted it; while CloudStack cannot
be asked, for a quarter of an hour, so that a client may watch its operation through a restart of the
management server.
"""

from __future__ import annotations

import hmac
import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from gstack.auth import audit, limiter, tokens
from gstack.auth.expiring import Expiring
from gstack.auth.grant import Grant, grant_of
from gstack.auth.identity import Identity, Refused, identify
from gstack.cloudstack.client import Cloud, Endpoint
from gstack.cloudstack.errors import Throttled, Unavailable
from gstack.store.credentials import DIRECT, Credential, ServiceAccountKey
from gstack.store.db import own_session
from gstack.store.sealing import Sealer, Unsealable

BELIEVED_SECONDS = 60
GRACE_SECONDS = 900
CACHE_SECONDS = 5
# While CloudStack is away, not every request is to wait for a timeout.
AWAY_SECONDS = 10
LOCKS = 16


class Keyring:
    """Every credential of the gateway. ``clock`` gives seconds since 1970."""

    def __init__(self, endpoint: Endpoint, sealer: Sealer, clock: Callable[[], float] = time.time) -> None:
        self.endpoint = endpoint
        self._sealer = sealer
        self._clock = clock
        self._locks = tuple(threading.Lock() for _ in range(LOCKS))
        self._verified: Expiring[int] = Expiring(BELIEVED_SECONDS, clock)
        self._away: Expiring[bool] = Expiring(AWAY_SECONDS, clock)
        self.grants: Expiring[Grant] = Expiring(CACHE_SECONDS, clock)

    @property
    def now(self) -> int:
        """Whole seconds since 1970."""
        return int(self._clock())

    def identify(self, api_key: str, secret_key: str) -> Identity:
        """Whose pair it is, asked of CloudStack now. Raises as :func:`gstack.auth.identity.identify`."""
        return identify(self.endpoint, api_key, secret_key)

    def admit(self, api_key: str, secret_key: str, address: str) -> Grant:
        """A pair that a client presents. Raises :class:`Refused`, :class:`limiter.TooManyFailures`, or
        CloudStackError when CloudStack cannot be asked and gstack did not ask it within the last minute."""
        hashes = self._indexes(api_key)
        row = self._direct(hashes)
        known = row is not None and self._holds(row, api_key, secret_key)
        if row is not None and known and row.revoked_at is None and self._fresh(row.id, row.verified_at):
            return self._grant(row)
        counted = limiter.subjects(hashes[0], address)
        if not known:
            limiter.check(counted, self.now)
        try:
            identity = self.identify(api_key, secret_key)
            if row is not None and row.revoked_at is not None:  # only now, or a wrong secret would be refused sooner
                raise Refused
        except Refused:
            if row is not None and known and row.revoked_at is None:
                self.kill(row.id, "CloudStack refused the key pair")
            limiter.failed(counted, self.now)
            raise
        if not known:
            limiter.check(counted, self.now)  # many may have been tried side by side
        return self._grant(self._keep(row, hashes[0], identity, api_key, secret_key))

    def confirm(self, grant: Grant, *, strict: bool = False) -> None:
        """CloudStack still accepts the pair behind ``grant``: asked at most once a minute, and not while it
        cannot be reached unless ``strict``. Raises :class:`Refused` (its tokens are gone then) or
        CloudStackError."""
        if self._fresh(grant.credential_id, grant.verified_at) or (not strict and self._tolerated(grant)):
            return
        with self._locks[hash(grant.credential_id) % LOCKS]:
            if self._fresh(grant.credential_id, grant.verified_at):
                return
            try:
                identity = self.identify(*self.keys(grant.credential_id, grant.sealed_keys))
            except (Unavailable, Throttled):
                self._away.put(grant.credential_id, True)
                if strict or not self._tolerated(grant):
                    raise
                return
            except Refused:
                self.kill(grant.credential_id, "CloudStack refused the key pair")
                raise
            self._note(grant.credential_id, identity)
            if identity.account_id != grant.identity.account_id:
                self.kill(grant.credential_id, "the user now belongs to another account")
                raise Refused

    def keys(self, credential_id: str, sealed_keys: str) -> tuple[str, str]:
        """API key and secret key of a row. Raises :class:`Refused` when they cannot be opened."""
        try:
            owner, api_key, secret_key = json.loads(self._sealer.open(sealed_keys))
        except Unsealable:
            audit.killed(credential_id, "its key pair cannot be unsealed with the keys of this installation")
            raise Refused from None
        if owner != credential_id:
            raise Refused
        return api_key, secret_key

    def cloud(self, grant: Grant, projectid: str | None = None) -> Cloud:
        """CloudStack as the grant's user sees it, inside a CloudStack project where one is given."""
        api_key, secret_key = self.keys(grant.credential_id, grant.sealed_keys)
        return self.endpoint.cloud(api_key, secret_key, key=grant.identity.account_id, projectid=projectid)

    def credential(self, credential_id: str) -> Credential | None:
        """The live credential with that id."""
        query = select(Credential).where(Credential.id == credential_id, Credential.revoked_at.is_(None))
        with own_session() as session:
            return session.scalar(query)

    def service_account(self, email: str) -> Credential | None:
        """The live service account with that address."""
        query = select(Credential).where(Credential.email == email, Credential.revoked_at.is_(None))
        with own_session() as session:
            return session.scalar(query)

    def public_keys(self, email: str) -> dict[str, str]:
        """Key id to public key (PEM) of a live service account; empty for an address that is unknown."""
        query = (
            select(ServiceAccountKey.id, ServiceAccountKey.public_key)
            .join(Credential, Credential.id == ServiceAccountKey.credential_id)
            .where(Credential.email == email, Credential.revoked_at.is_(None))
            .where(ServiceAccountKey.revoked_at.is_(None))
        )
        with own_session() as session:
            return {row.id: row.public_key for row in session.execute(query)}

    def kill(self, credential_id: str, reason: str) -> None:
        """Take back every token of a credential, here at once and in other processes within seconds."""
        with own_session() as session:
            tokens.forget(session, credential_id)
            session.execute(update(Credential).where(Credential.id == credential_id).values(verified_at=0))
            session.commit()
        self._verified.clear()
        self.grants.clear()
        audit.killed(credential_id, reason)

    def seal_keys(self, credential_id: str, api_key: str, secret_key: str) -> tuple[str, str]:
        """What a row keeps of a pair: the hash to find it by, and the pair itself, sealed for that row
        alone."""
        sealed = self._sealer.seal(json.dumps([credential_id, api_key, secret_key]).encode())
        return self._indexes(api_key)[0], sealed

    def _indexes(self, api_key: str) -> tuple[str, ...]:
        """CloudStack's database finds a key in capitals as well; here it is the same key, and as much revoked."""
        return self._sealer.indexes("api key", api_key.lower())

    def _direct(self, hashes: tuple[str, ...]) -> Credential | None:
        query = select(Credential).where(Credential.key_hash.in_(hashes), Credential.kind == DIRECT)
        with own_session() as session:
            return session.scalars(query).first()

    def _holds(self, row: Credential, api_key: str, secret_key: str) -> bool:
        try:
            kept = self.keys(row.id, row.sealed_keys)
        except Refused:
            return False
        given = (api_key, secret_key)
        return all(hmac.compare_digest(a.encode(), b.encode()) for a, b in zip(kept, given, strict=True))

    def _fresh(self, credential_id: str, verified_at: int) -> bool:
        verified_at = max(verified_at, self._verified.get(credential_id) or 0)
        return self.now - verified_at < BELIEVED_SECONDS

    def _tolerated(self, grant: Grant) -> bool:
        """CloudStack could not be asked just now, and the pair was good not long ago."""
        away = self._away.get(grant.credential_id) is not None
        return away and self.now - grant.verified_at <= GRACE_SECONDS

    def _note(self, credential_id: str, identity: Identity) -> None:
        now = self.now
        with own_session() as session:
            session.execute(
                update(Credential)
                .where(Credential.id == credential_id)
                .values(verified_at=now, used_at=now, **owner_columns(identity))
            )
            session.commit()
        self._verified.put(credential_id, now)

    def _keep(
        self, row: Credential | None, key_hash: str, identity: Identity, api_key: str, secret_key: str
    ) -> Credential:
        credential_id = row.id if row is not None else str(uuid.uuid4())
        sealed = self.seal_keys(credential_id, api_key, secret_key)[1]
        made = Credential(
            id=credential_id,
            kind=DIRECT,
            name=identity.user_name,
            key_hash=key_hash,
            sealed_keys=sealed,
            created_at=row.created_at if row is not None else self.now,
            verified_at=self.now,
            used_at=self.now,
            **owner_columns(identity),
        )
        with own_session() as session:
            made = session.merge(made)
            try:
                session.commit()
            except IntegrityError:  # the same pair came in twice at once: the other row stands
                session.rollback()
                return self._direct((key_hash,)) or made
        self._verified.put(made.id, self.now)
        return made

    def _grant(self, row: Credential) -> Grant:
        return grant_of(row, "literal", self.now + CACHE_SECONDS)


def owner_columns(identity: Identity) -> dict[str, Any]:
    """The columns of a credential's row that say whose it is."""
    return asdict(identity)
