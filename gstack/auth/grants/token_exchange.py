"""``token-exchange`` (RFC 8693): what external-account files of Google's libraries do.

The subject token is a token of an identity provider that the operator trusts, one of gstack's access tokens, the
assertion of a service-account key file, or ``API_KEY:SECRET_KEY``. The surprising thing: one of gstack's own access
tokens is exchanged for itself, since whatever was made of it would have to end with it, by time and by revocation.
"""

from __future__ import annotations

from typing import Any

from gstack.auth import assertions, audit, tokens
from gstack.auth.grant import Grant
from gstack.auth.grants.base import DirectGrant, confirmed
from gstack.auth.grants.jwt_bearer import account_of, refused_assertion, verified
from gstack.auth.guard import Gatekeeper
from gstack.auth.identity import Refused
from gstack.auth.issuers import Issuer
from gstack.auth.wire import OAuthError, OAuthRequest

_TYPES = "urn:ietf:params:oauth:token-type:"
ACCESS_TOKEN = f"{_TYPES}access_token"
SUBJECT_TYPES = (ACCESS_TOKEN, f"{_TYPES}jwt", f"{_TYPES}id_token")


class ExchangeGrant(DirectGrant):
    """An access token for a subject token. Authlib has no class for this grant."""

    GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"

    def user(self) -> tuple[Grant, int | None]:
        """Whom the subject token stands for."""
        request, guard = self.request, self.server.guard
        if request.parameters.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
            raise OAuthError("invalid_request", f"The only requested_token_type is {ACCESS_TOKEN}.")
        if request.required("subject_token_type") not in SUBJECT_TYPES:
            raise OAuthError("invalid_request", f"subject_token_type must be one of {', '.join(SUBJECT_TYPES)}.")
        if "actor_token" in request.parameters:
            raise OAuthError("invalid_request", "actor_token is not supported.")
        if "accessBoundary" in request.parameters.get("options", ""):  # a lesser token is wanted, and none is served
            raise OAuthError("invalid_request", "Credential access boundaries are not supported.")
        subject = request.required("subject_token")
        if ":" in subject:
            return _key_pair(request, guard, subject), None
        if assertions.looks_like_jwt(subject):
            return _jwt(request, guard, subject), None
        grant = _access_token(guard, subject)
        return grant, grant.expires_at - guard.keyring.now

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        """The token, and of which type it is."""
        if self.seconds is not None:
            grant, given = self.request.user, self.request.parameters["subject_token"]
            token = {"access_token": given, "token_type": "Bearer", "expires_in": self.seconds}
            audit.issued(self.GRANT_TYPE, grant.credential_id, grant.identity.account)
        else:
            token = super().create_token_response()[1]
        return 200, token | {"issued_token_type": ACCESS_TOKEN}, self.TOKEN_RESPONSE_HEADER


def _jwt(request: OAuthRequest, guard: Gatekeeper, subject: str) -> Grant:
    try:
        issuer = guard.issuers.find(assertions.issuer_of(subject))
    except assertions.BadAssertion as error:
        raise refused_assertion(request, guard, error) from None
    if issuer is not None:
        return _outside(request, guard, subject, issuer)
    claims = verified(request, guard, subject)
    if claims.target_audience is not None:
        raise OAuthError("invalid_grant", "An assertion with a target_audience asks for an id_token.")
    return account_of(guard, claims)


def _outside(request: OAuthRequest, guard: Gatekeeper, subject: str, issuer: Issuer) -> Grant:
    keyring = guard.keyring
    try:
        claims = assertions.outside_claims(
            subject, lambda signature: guard.issuers.signed(signature, issuer), issuer.audiences, keyring.now
        )
    except assertions.BadAssertion as error:
        raise refused_assertion(request, guard, error) from None
    reference = issuer.credential_for(claims)
    credential = (keyring.credential(reference) or keyring.service_account(reference)) if reference else None
    if credential is None:
        raise OAuthError("invalid_grant", "No rule of this gateway lets the bearer of this token in.")
    return confirmed(guard, credential)


def _key_pair(request: OAuthRequest, guard: Gatekeeper, subject: str) -> Grant:
    api_key, _, secret_key = subject.partition(":")
    if not guard.literal_allowed():
        raise OAuthError("invalid_grant", "A key pair is no subject token here (GSTACK_LITERAL_BEARER is off).")
    try:
        return guard.keyring.admit(api_key, secret_key, request.address)
    except Refused as error:
        raise OAuthError("invalid_grant", str(error)) from None


def _access_token(guard: Gatekeeper, subject: str) -> Grant:
    found = tokens.look_up(subject, guard.keyring.now)
    if found is None:
        raise OAuthError("invalid_grant", "The subject token is wrong, expired or revoked.")
    return confirmed(guard, found[0], expires_at=found[1].expires_at)
