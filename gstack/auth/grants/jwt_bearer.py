"""``urn:ietf:params:oauth:grant-type:jwt-bearer`` (RFC 7523): the assertion of a service-account key file.

The surprising thing: gcloud first asks for an id_token (``target_audience``) and only then for an access
token, and names Google's token endpoint in ``aud`` whatever its key file says.
"""

from __future__ import annotations

from typing import Any

from gstack.auth import assertions, audit, limiter, signing
from gstack.auth.grant import Grant
from gstack.auth.grants.request import OAuthError, TokenRequest, confirmed, token_answer
from gstack.auth.guard import Gatekeeper

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def answer(request: TokenRequest, guard: Gatekeeper) -> dict[str, Any]:
    """An access token, or an id_token where the assertion names a target audience."""
    grant, target = asserted(request, guard, request.required("assertion"))
    if target is None:
        return token_answer(request, guard, grant)
    audit.issued("id_token", grant.credential_id, grant.identity.account, request.address)
    return {"id_token": signing.id_token(guard, grant, target, request.issuer)}


def asserted(request: TokenRequest, guard: Gatekeeper, assertion: str) -> tuple[Grant, str | None]:
    """Who signed an assertion, and the target audience it names."""
    claims = _claims(request, guard, assertion)
    credential = guard.keyring.service_account(claims.issuer)
    if credential is None:
        raise OAuthError("invalid_grant", "The service account was revoked.")
    return confirmed(guard, credential, expires_at=claims.expires_at), claims.target_audience


def _claims(request: TokenRequest, guard: Gatekeeper, assertion: str) -> assertions.Claims:
    """The checked claims. Only wrong ones are counted and, when there were too many, refused without a
    reason."""
    keyring = guard.keyring
    try:
        claims = assertions.verified_claims(assertion, keyring.public_keys, keyring.now)
        assertions.check_assertion(claims, request.token_uris)
    except assertions.BadAssertion as error:
        raise refused_assertion(request, guard, error) from None
    return claims


def refused_assertion(request: TokenRequest, guard: Gatekeeper, error: assertions.BadAssertion) -> OAuthError:
    """The error for a JWT that was not accepted, which is counted. Raises :class:`limiter.TooManyFailures`."""
    counted = limiter.subjects(None, request.address)
    limiter.check(counted, guard.keyring.now)
    limiter.failed(counted, guard.keyring.now)
    return OAuthError("invalid_grant", str(error))
