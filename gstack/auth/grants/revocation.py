"""Revocation (RFC 7009) as Google does it: no client has to show who it is, and whoever holds a token may end it.

The surprising thing: an access token takes the refresh token it came from with it.
"""

from __future__ import annotations

from authlib.oauth2.rfc7009 import RevocationEndpoint

from gstack.auth import audit, tokens
from gstack.auth.clients import Client
from gstack.auth.wire import OAuthRequest


class Revocation(RevocationEndpoint):
    """The token is gone afterwards, whether it was there or not."""

    CLIENT_AUTH_METHODS = ["named"]

    def authenticate_token(self, request: OAuthRequest, client: Client) -> str:
        """The token, of whatever kind: hints are not needed (RFC 7009, section 2.1)."""
        return request.required("token")

    def revoke_token(self, token: str, request: OAuthRequest) -> None:
        """End it here at once, and in other processes within seconds."""
        credential_id = tokens.revoke(token)
        if credential_id is not None:
            self.server.guard.keyring.grants.clear()
            audit.killed(credential_id, "its client revoked a token")
