"""Authorization codes (RFC 6749, section 4.1, with PKCE, RFC 7636): one minute, one use.

Apart from the grant that makes and redeems them because this is what is kept of one. There are two kinds. A *bound*
code stands for somebody who signed in; only the client that knows its PKCE verifier can redeem it. An *open* code
stands for nobody: it is for clients that authenticate themselves with a CloudStack key pair as client id and secret
(the gcutil way), is sealed, and is worth nothing without that pair; only those that were used are stored.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError

from gstack.auth.tokens import commit, hashed, new_secret
from gstack.store.credentials import AuthorizationCode
from gstack.store.db import own_session
from gstack.store.sealing import Sealer, Unsealable

LIFE_SECONDS = 60
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_OPEN = "open."


@dataclass(frozen=True)
class Asked:
    """What the client asked the authorization endpoint for; ``challenge`` is empty without PKCE."""

    client_id: str
    redirect_uri: str
    scope: str
    challenge: str


@dataclass(frozen=True)
class Code:
    """A code that was redeemed, as Authlib asks about it. Of an open one ``credential_id`` is empty, and ``id`` and
    ``expires_at`` are what :func:`use_up` needs."""

    redirect_uri: str
    scope: str
    code_challenge: str
    credential_id: str
    id: str = ""
    expires_at: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it stands for nobody."""
        return not self.credential_id

    def get_redirect_uri(self) -> str:
        """Where it was sent."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """What its client asked for."""
        return self.scope


def asked(parameters: Mapping[str, str]) -> Asked:
    """What the parameters of an authorization request ask for."""
    names = ("client_id", "redirect_uri", "scope", "code_challenge")
    return Asked(*(parameters.get(name, "") for name in names))


def bound(asked: Asked, credential_id: str, now: int) -> str:
    """A code for somebody who signed in. Raises :class:`gstack.auth.tokens.Ended`."""
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
        commit(session)
    return code


def unbound(asked: Asked, sealer: Sealer, now: int) -> str:
    """A code for a client that will show a key pair."""
    content = [
        "code",
        hashed(asked.client_id),
        asked.redirect_uri,
        asked.scope,
        now + LIFE_SECONDS,
        secrets.token_hex(),
    ]
    return _OPEN + sealer.seal(json.dumps(content).encode())


def redeem(code: str, sealer: Sealer, client_id: str, now: int) -> Code | None:
    """Use up a code of this client: None for one that is unknown, another client's, or too old. A bound code is gone
    after the first try, good or bad."""
    if code.startswith(_OPEN):
        return _redeem_open(code, sealer, client_id, now)
    with own_session() as session:
        statement = delete(AuthorizationCode).where(AuthorizationCode.hash == hashed(code)).returning(AuthorizationCode)
        row = session.scalars(statement).first()
        session.commit()
    if row is None or row.expires_at <= now or row.client_hash != hashed(client_id):
        return None
    return Code(row.redirect_uri, row.scope, row.code_challenge, row.credential_id)


def use_up(code: Code, client_id: str, credential_id: str) -> bool:
    """Note that an open code was used, until it ends by itself. False where it was used before: a seal cannot be
    taken back, and its text can be written in more than one way."""
    used = AuthorizationCode(
        hash=hashed(code.id),
        credential_id=credential_id,
        client_hash=hashed(client_id),
        redirect_uri=code.redirect_uri,
        code_challenge="",
        scope=code.scope,
        expires_at=code.expires_at,
    )
    with own_session() as session:
        session.execute(delete(AuthorizationCode).where(AuthorizationCode.expires_at <= code.expires_at - LIFE_SECONDS))
        session.add(used)
        try:
            session.commit()
        except IntegrityError:
            return False
    return True


def _redeem_open(code: str, sealer: Sealer, client_id: str, now: int) -> Code | None:
    try:
        kind, client, address, scope, expires_at, code_id = json.loads(sealer.open(code.removeprefix(_OPEN)))
    except (Unsealable, ValueError):
        return None
    fits = kind == "code" and client == hashed(client_id) and expires_at > now
    return Code(address, str(scope), "", "", str(code_id), expires_at) if fits else None
