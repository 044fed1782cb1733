"""What an operator does with credentials: make a service account with its key file, list, rotate, revoke,
restore.

Apart from the key ring, which serves requests. Everything here runs inside an application context and asks
CloudStack before it stores anything. The surprising thing: a key file is written once and cannot be written
again, since only its public half is kept; ``rotate`` makes another one.
"""

from __future__ import annotations

import re
import secrets
import uuid
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.exc import IntegrityError

from gstack.auth import keyfiles, tokens
from gstack.auth.grant import grant_of
from gstack.auth.identity import Identity
from gstack.auth.keyring import Keyring, owner_columns
from gstack.auth.projects import Projects
from gstack.cloudstack.client import Endpoint
from gstack.errors import GceError, invalid
from gstack.settings import Settings
from gstack.store import overlay
from gstack.store.credentials import SERVICE_ACCOUNT, Credential, ServiceAccountKey, SigningKey
from gstack.store.db import own_session, rewrite_each
from gstack.store.sealing import Sealer

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")

_UNIVERSE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+(:[1-9][0-9]{1,4})?")


@dataclass(frozen=True)
class Made:
    """A service account and the content of its key file, which exists nowhere else."""

    credential_id: str
    key_id: str
    email: str
    project: str
    identity: Identity
    content: dict[str, Any]


def create_key_file(
    settings: Settings,
    api_key: str,
    secret_key: str,
    path: Path,
    *,
    name: str | None = None,
    project: str | None = None,
    url: str | None = None,
    universe: str = keyfiles.UNIVERSE,
) -> Made:
    """Make a service account for a CloudStack key pair and write its key file to ``path`` (0600).

    ``project`` is any spelling of a project the pair reaches (default: its account); ``url`` the gateway's
    root as clients reach it. Raises :class:`gstack.auth.identity.Refused`, or GceError for a name or
    project.
    """
    root = url or settings.public_url
    with keyfiles.writing(path) as write, closing(Endpoint(settings)) as endpoint:
        keyring = Keyring(endpoint, Sealer(settings))
        made = create(keyring, api_key, secret_key, name=name, project=project, url=root, universe=universe)
        write(made.content)
    return made


def create(
    keyring: Keyring,
    api_key: str,
    secret_key: str,
    *,
    name: str | None,
    project: str | None,
    url: str,
    universe: str = keyfiles.UNIVERSE,
) -> Made:
    """Make a service account for a CloudStack key pair that CloudStack accepts now."""
    _check_universe(universe)
    name = name or f"gstack-{secrets.token_hex(3)}"
    if not _NAME.fullmatch(name):
        raise invalid("name", name, "Must be a match of regex '[a-z]([-a-z0-9]{0,61}[a-z0-9])?'")
    identity = keyring.identify(api_key, secret_key)
    credential_id = str(uuid.uuid4())
    key_hash, sealed = keyring.seal_keys(credential_id, api_key, secret_key)
    row = Credential(
        id=credential_id,
        kind=SERVICE_ACCOUNT,
        name=name,
        key_hash=key_hash,
        sealed_keys=sealed,
        created_at=keyring.now,
        verified_at=keyring.now,
        **owner_columns(identity),
    )
    chosen = _project(keyring, row, project)
    row.email = keyfiles.service_account_email(name, chosen)
    pair = keyfiles.new_key_pair()
    with own_session() as session:
        session.add_all([row, _public_half(pair, row, keyring.now)])
        try:
            session.commit()
        except IntegrityError:
            raise GceError("alreadyExists", f"A service account {row.email} exists. Choose another name.") from None
    return _made(row, pair, url, universe)


def _check_universe(universe: str) -> None:
    if not _UNIVERSE.fullmatch(universe):
        raise invalid("universe", universe, "Must be a domain name, and a port where it is not 443.")


def listing() -> list[Credential]:
    """Every credential, revoked ones too, oldest first."""
    with own_session() as session:
        return list(session.scalars(select(Credential).order_by(Credential.created_at, Credential.id)))


def find(reference: str) -> Credential:
    """The credential with that id, or the live one with that e-mail address. Raises GceError notFound."""
    by_email = (Credential.email == reference) & Credential.revoked_at.is_(None)
    with own_session() as session:
        row = session.scalar(select(Credential).where((Credential.id == reference) | by_email))
    if row is None:
        raise GceError("notFound", f"There is no credential '{reference}'.")
    return row


def revoke(keyring: Keyring, reference: str, by: str = "an operator") -> Credential:
    """End a credential: its tokens and key files stop working here at once, in other processes within
    seconds. A key pair that was presented directly stays refused until :func:`restore`."""
    row = find(reference)
    with own_session() as session:
        session.execute(
            update(Credential)
            .where(Credential.id == row.id, Credential.revoked_at.is_(None))
            .values(revoked_at=keyring.now)
        )
        session.commit()
    keyring.kill(row.id, f"{by} revoked the credential")
    return row


def restore(reference: str) -> Credential:
    """Undo :func:`revoke`; tokens issued before stay dead. Raises GceError alreadyExists if the e-mail
    address was given to another service account meanwhile."""
    row = find(reference)
    with own_session() as session:
        try:
            session.execute(update(Credential).where(Credential.id == row.id).values(revoked_at=None))
            session.commit()
        except IntegrityError:
            raise GceError("alreadyExists", f"Another service account is now called {row.email}.") from None
    return row


def rotate(keyring: Keyring, reference: str, *, url: str, universe: str = keyfiles.UNIVERSE) -> Made:
    """A new key file for a service account; its older ones stop working, and so do the tokens they got."""
    _check_universe(universe)
    row, gone = find(reference), f"The credential '{reference}' is no live service account."
    if row.kind != SERVICE_ACCOUNT or row.revoked_at is not None:
        raise GceError("failedPrecondition", gone)
    keyring.confirm(grant_of(row, "operator", 0), strict=True)
    pair = keyfiles.new_key_pair()
    older = update(ServiceAccountKey).where(ServiceAccountKey.credential_id == row.id)
    with own_session() as session:
        session.execute(older.where(ServiceAccountKey.revoked_at.is_(None)).values(revoked_at=keyring.now))
        session.add(_public_half(pair, row, keyring.now))
        tokens.forget(session, row.id)
        try:
            tokens.commit(session)
        except tokens.Ended:  # it is not in the store any more
            raise GceError("failedPrecondition", gone) from None
    keyring.grants.clear()
    return _made(row, pair, url, universe)


def reseal(keyring: Keyring, sealer: Sealer) -> int:
    """Seal everything that is sealed in the store under the first key of the key file; returns how many rows.
    The gateway may go on writing meanwhile."""

    def pair(key: Row[Any], old: str) -> dict[str, Any]:
        key_hash, sealed = keyring.seal_keys(key.id, *keyring.keys(key.id, old))
        return {"key_hash": key_hash, "sealed_keys": sealed}

    def signing_key(_key: Row[Any], old: str) -> dict[str, Any]:
        return {"sealed_key": sealer.rotate(old)}

    with own_session() as session:
        return (
            rewrite_each(session, Credential, Credential.sealed_keys.expression, pair)
            + rewrite_each(session, SigningKey, SigningKey.sealed_key.expression, signing_key)
            + overlay.reseal(session, sealer)
        )


def _project(keyring: Keyring, row: Credential, wanted: str | None) -> str:
    reached = Projects(keyring).all(grant_of(row, "operator", 0))
    found = reached.find(wanted if wanted is not None else row.account_id)
    if found is None:
        names = ", ".join(sorted(reached.projects))
        raise GceError("notFound", f"The key pair does not reach a project '{wanted}'. It reaches: {names}.")
    return found.id


def _public_half(pair: keyfiles.KeyPair, row: Credential, now: int) -> ServiceAccountKey:
    return ServiceAccountKey(id=pair.id, credential_id=row.id, public_key=pair.public_key, created_at=now)


def _made(row: Credential, pair: keyfiles.KeyPair, url: str, universe: str = keyfiles.UNIVERSE) -> Made:
    email = row.email or ""
    return Made(
        credential_id=row.id,
        key_id=pair.id,
        email=email,
        project=keyfiles.project_of(email),
        identity=grant_of(row, "operator", 0).identity,
        content=keyfiles.key_file(pair, email=email, credential_id=row.id, url=url.rstrip("/"), universe=universe),
    )
