"""A grant: somebody who has shown who they are, before it is known what they want.

Apart because tokens, assertions and key pairs all become one. The surprising thing: it carries the key pair
only sealed, so that neither a trace nor a cache holds a secret.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gstack.auth.identity import Identity
from gstack.store.credentials import Credential


@dataclass(frozen=True)
class Grant:
    """``how`` is ``token``, ``jwt`` or ``literal``; ``user`` is what operations are signed with (an address
    where there is one); ``verified_at`` is when CloudStack last accepted the pair, ``expires_at`` when the
    grant ends, both in seconds since 1970."""

    credential_id: str
    user: str
    identity: Identity
    sealed_keys: str = field(repr=False)
    verified_at: int
    expires_at: int
    how: str

    @property
    def email_verified(self) -> bool:
        """Whether ``user`` is an address that this gateway gave. CloudStack's users write theirs themselves."""
        return self.user not in (self.identity.user_email, self.identity.user_name)


def grant_of(credential: Credential, how: str, expires_at: int) -> Grant:
    """The grant that a credential's row gives."""
    return Grant(
        credential_id=credential.id,
        user=email_of(credential),
        identity=Identity(
            account=credential.account,
            account_id=credential.account_id,
            domain_id=credential.domain_id,
            domain_path=credential.domain_path,
            user_id=credential.user_id,
            user_name=credential.user_name,
            user_email=credential.user_email,
        ),
        sealed_keys=credential.sealed_keys,
        verified_at=credential.verified_at,
        expires_at=expires_at,
        how=how,
    )


def email_of(credential: Credential) -> str:
    """What the user of a credential is called: an address where there is one."""
    return credential.email or credential.user_email or credential.user_name
