"""``refresh_token`` (RFC 6749, section 6). Refresh tokens do not rotate: clients that share one would lock each other
out.

The surprising thing: ``API_KEY:SECRET_KEY`` is a refresh token too, so that ``gcloud auth activate-refresh-token``
signs somebody in without a browser and without a key file; only where GSTACK_LITERAL_BEARER allows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749 import InvalidGrantError, RefreshTokenGrant

from gstack.auth import tokens
from gstack.auth.grant import Grant
from gstack.auth.grants.base import DirectGrant, confirmed
from gstack.auth.identity import Refused
from gstack.auth.wire import OAuthError
from gstack.store.credentials import Credential, RefreshToken


@dataclass(frozen=True)
class Login:
    """A refresh token as Authlib asks about it: its row, and whose it is."""

    credential: Credential
    row: RefreshToken

    def check_client(self, client: Any) -> bool:
        """Whether it was made for this client."""
        return self.row.client_hash == tokens.hashed(client.client_id)

    def get_scope(self) -> str:
        """What its client once asked for."""
        return self.row.scope


class RefreshGrant(RefreshTokenGrant):
    """A further access token; one error for a token that is unknown, revoked, idle too long or another client's."""

    TOKEN_ENDPOINT_AUTH_METHODS = ["named"]

    def validate_token_request(self) -> None:
        """Authlib's checks, in one sentence. A scope is not looked at: it makes no token reach more or less, and
        libraries name another one here than at the login. Raises :class:`OAuthError`."""
        self.request.required("refresh_token")
        self.request.parameters.pop("scope", None)
        try:
            super().validate_token_request()
        except InvalidGrantError:
            raise _wrong_token() from None

    def authenticate_refresh_token(self, refresh_token: str) -> Login | None:
        """The live row."""
        found = tokens.look_up_refresh(refresh_token, self.server.guard.keyring.now)
        return Login(*found) if found is not None else None

    def authenticate_user(self, login: Login) -> Grant:
        """Whose token it is; a client that came with a key pair must show it again."""
        guard = self.server.guard
        if login.row.confidential:
            try:
                shown = guard.keyring.admit(*self.request.key_pair(), self.request.address)
            except Refused as error:
                raise OAuthError("invalid_client", str(error), status=401) from None
            if shown.credential_id != login.row.credential_id:
                raise _wrong_token()
        return confirmed(guard, login.credential)

    def revoke_old_credential(self, login: Login) -> None:
        """It stays, for another ninety days."""
        tokens.note_use(login.row, self.server.guard.keyring.now)


class LiteralGrant(DirectGrant):
    """A key pair in place of a refresh token."""

    GRANT_TYPE = RefreshGrant.GRANT_TYPE

    @classmethod
    def check_token_endpoint(cls, request: Any) -> bool:
        """Of refresh tokens, those that are a key pair."""
        return bool(super().check_token_endpoint(request)) and ":" in request.parameters.get("refresh_token", "")

    def user(self) -> tuple[Grant, int | None]:
        """Whose pair it is."""
        guard = self.server.guard
        if not guard.literal_allowed():
            raise _wrong_token()
        api_key, _, secret_key = self.request.required("refresh_token").partition(":")
        try:
            return guard.keyring.admit(api_key, secret_key, self.request.address), None
        except Refused:
            raise _wrong_token() from None


def _wrong_token() -> OAuthError:
    return OAuthError("invalid_grant", "The refresh token is wrong, revoked, or was not used for ninety days.")
