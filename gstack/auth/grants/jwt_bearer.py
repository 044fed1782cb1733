"""``urn:ietf:params:oauth:grant-type:jwt-bearer`` (RFC 7523): the assertion of a service-account key file.

The assertion is read by ``assertions``, as bearers are, and not by Authlib, which takes no padding, no second key and
no set of audiences for it. The surprising thing: gcloud first asks for an id_token (``target_audience``) and only then
for an access token, and names Google's token endpoint in ``aud`` whatever its key file says.
"""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc7523 import JWTBearerGrant

from gstack.auth import assertions, audit, limiter, signing
from gstack.auth.clients import Client
from gstack.auth.grant import Grant
from gstack.auth.grants.base import confirmed
from gstack.auth.guard import Gatekeeper
from gstack.auth.wire import OAuthError, OAuthRequest


class AssertionGrant(JWTBearerGrant):
    """An access token, or an id_token where the assertion names a target audience. Client and user are the service
    account: a ``sub`` of somebody else is refused."""

    def process_assertion_claims(self, assertion: str) -> dict[str, Any]:
        """``iss`` of a checked assertion. Raises :class:`OAuthError`."""
        self.claims = verified(self.request, self.server.guard, assertion)
        return {"iss": self.claims.issuer}

    def resolve_issuer_client(self, issuer: str) -> Client:
        """The service account."""
        return Client(issuer, account_of(self.server.guard, self.claims))

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        """The token that was asked for; the scope is the assertion's."""
        request, guard = self.request, self.server.guard
        grant, target = request.client.grant, self.claims.target_audience
        if target is not None:
            audit.issued("id_token", grant.credential_id, grant.identity.account)
            return 200, {"id_token": signing.id_token(guard, grant, target, request.issuer)}, self.TOKEN_RESPONSE_HEADER
        token = self.generate_token(scope=self.claims.scope, include_refresh_token=False)
        self.save_token(token)
        return 200, token, self.TOKEN_RESPONSE_HEADER


def verified(request: OAuthRequest, guard: Gatekeeper, assertion: str) -> assertions.Claims:
    """The checked claims. Only wrong ones are counted and, when there were too many, refused without a
    reason."""
    keyring = guard.keyring
    try:
        claims = assertions.verified_claims(assertion, keyring.public_keys, keyring.now)
        assertions.check_assertion(claims, request.token_uris)
    except assertions.BadAssertion as error:
        raise refused_assertion(request, guard, error) from None
    return claims


def account_of(guard: Gatekeeper, claims: assertions.Claims) -> Grant:
    """The service account that signed. Raises :class:`OAuthError`."""
    credential = guard.keyring.service_account(claims.issuer)
    if credential is None:
        raise OAuthError("invalid_grant", "The service account was revoked.")
    return confirmed(guard, credential, expires_at=claims.expires_at)


def refused_assertion(request: OAuthRequest, guard: Gatekeeper, error: assertions.BadAssertion) -> OAuthError:
    """The error for a JWT that was not accepted, which is counted. Raises :class:`limiter.TooManyFailures`."""
    counted = limiter.subjects(None, request.address)
    limiter.check(counted, guard.keyring.now)
    limiter.failed(counted, guard.keyring.now)
    return OAuthError("invalid_grant", str(error))
