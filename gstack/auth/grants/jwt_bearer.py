"""``urn:ietf:params:oauth:grant-type:jwt-bearer`` (RFC 7523): the assertion of a service-account key file.

The surprising thing: gcloud first asks for an id_token (``target_audience``) and only then for an access
token, and names Google's token endpoint in ``aud`` whatever its key file says.
"""

from __future__ import annotations

from typing import Any

from gstack.auth import assertions, audit, limiter, signing
from gstack.auth.grant import Grant, grant_of
from gstack.auth.grants.request import OAuthError, TokenRequest, token_answer
from gstack.auth.guard import Gatekeeper
from gstack.auth.identity import Refused
from gstack.auth.keyfiles import client_id

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def answer(request: TokenRequest, guard: Gatekeeper) -> dict[str, Any]:
    """An access token, or an id_token where the assertion names a target audience."""
    claims = _claims(request, guard)
    credential = guard.keyring.service_account(claims.issuer)
    if credential is None:
        raise OAuthError("invalid_grant", "The service account was revoked.")
    grant = grant_of(credential, "jwt", claims.expires_at)
    try:
        guard.keyring.confirm(grant, strict=True)
    except Refused as error:
        raise OAuthError("invalid_grant", str(error)) from None
    if claims.target_audience is not None:
        return _id_token(request, guard, grant, claims.target_audience)
    return token_answer(request, guard, grant)


def _claims(request: TokenRequest, guard: Gatekeeper) -> assertions.Claims:
    """The checked claims. Only wrong ones are counted and, when there were too many, refused without a
    reason."""
    keyring = guard.keyring
    try:
        claims = assertions.verified_claims(request.required("assertion"), keyring.public_keys, keyring.now)
        assertions.check_assertion(claims, request.token_uris)
    except assertions.BadAssertion as error:
        counted = limiter.subjects(None, request.address)
        limiter.check(counted, keyring.now)
        limiter.failed(counted, keyring.now)
        raise OAuthError("invalid_grant", str(error)) from None
    return claims


def _id_token(request: TokenRequest, guard: Gatekeeper, grant: Grant, audience: str) -> dict[str, Any]:
    now = guard.keyring.now
    claims = {
        "iss": request.issuer,
        "aud": audience,
        "azp": grant.user,
        "sub": client_id(grant.credential_id),
        "email": grant.user,
        "email_verified": True,
        "iat": now,
        "exp": now + guard.settings["ACCESS_TOKEN_SECONDS"],
    }
    audit.issued("id_token", grant.credential_id, grant.identity.account, request.address)
    return {"id_token": signing.sign(guard.sealer, claims, now)}
