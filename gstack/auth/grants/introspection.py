"""Introspection (RFC 7662), for access and refresh tokens.

The surprising thing: it asks for no client authentication. Clients send whatever id they were born with, and whoever
holds a token may know what it says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from gstack.auth import tokens
from gstack.auth.clients import Client
from gstack.auth.grant import email_of
from gstack.auth.keyfiles import client_id
from gstack.auth.wire import OAuthRequest
from gstack.store.credentials import REFRESH_IDLE_SECONDS, AccessToken, Credential, RefreshToken


@dataclass(frozen=True)
class Known:
    """A live token as Authlib asks about it."""

    credential: Credential
    row: AccessToken | RefreshToken

    def is_expired(self) -> bool:
        """Never: only live ones are found."""
        return False

    def is_revoked(self) -> bool:
        """Never: a revoked token is gone."""
        return False


class Introspection(IntrospectionEndpoint):
    """What a token says; of one that is not live only that."""

    CLIENT_AUTH_METHODS = ["named"]

    def authenticate_token(self, request: OAuthRequest, client: Client) -> Known | None:
        """The live token, of whatever kind."""
        token, now = request.required("token"), self.server.guard.keyring.now
        found = tokens.look_up(token, now) or tokens.look_up_refresh(token, now)
        return Known(*found) if found is not None else None

    def introspect_token(self, token: Known) -> dict[str, Any]:
        """The members of RFC 7662 (section 2.2); gcloud takes ``username`` for the account's name."""
        row, access = token.row, isinstance(token.row, AccessToken)
        return {
            "username": email_of(token.credential),
            "sub": client_id(token.credential.id),
            "scope": row.scope,
            "iat": row.issued_at,
            "exp": row.expires_at if isinstance(row, AccessToken) else row.used_at + REFRESH_IDLE_SECONDS,
            "token_type": "Bearer" if access else "refresh_token",
        }
