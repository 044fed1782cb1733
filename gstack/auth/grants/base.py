"""What the grants share: a credential confirmed by CloudStack, and the way a token goes out where Authlib has none.

A token request has a client, which may be anybody, and a user, who is a :class:`~gstack.auth.grant.Grant`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from authlib.oauth2.rfc6749 import BaseGrant, TokenEndpointMixin

from gstack.auth import signing
from gstack.auth.grant import Grant, grant_of
from gstack.auth.guard import Gatekeeper
from gstack.auth.identity import Refused
from gstack.auth.wire import OAuthError
from gstack.store.credentials import Credential


class DirectGrant(BaseGrant, TokenEndpointMixin, ABC):
    """A grant that shows at once who the user is; without a refresh token, as it can be repeated."""

    @abstractmethod
    def user(self) -> tuple[Grant, int | None]:
        """Whose token it will be, and in how many seconds it ends where that is sooner than usual."""

    def validate_token_request(self) -> None:
        """Find the user. Raises :class:`OAuthError`."""
        self.request.user, self.seconds = self.user()

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        """The token."""
        token = self.generate_token(
            user=self.request.user,
            scope=self.request.payload.scope,
            expires_in=self.seconds,
            include_refresh_token=False,
        )
        self.save_token(token)
        return 200, token, self.TOKEN_RESPONSE_HEADER


class IdToken:
    """An extension of a grant: its answer says who the user is. With ``asked_for``, only where the scope has
    ``openid``."""

    def __init__(self, *, asked_for: bool) -> None:
        self._asked_for = asked_for

    def __call__(self, grant: Any) -> None:
        """Authlib's way of adding to a grant."""
        grant.register_hook("after_create_token_response", self.add)

    def add(self, grant: Any, response: tuple[int, dict[str, Any], Any]) -> None:
        """``id_token`` into the answer that goes out."""
        request = grant.request
        if not self._asked_for or "openid" in request.refresh_token.get_scope().split():
            guard = grant.server.guard
            response[1]["id_token"] = signing.id_token(guard, request.user, request.client_name(), request.issuer)


def confirmed(guard: Gatekeeper, credential: Credential, expires_at: int = 0) -> Grant:
    """The grant of a credential that CloudStack still accepts: asked before any token is issued. Raises
    :class:`OAuthError`, or CloudStackError when CloudStack cannot be asked."""
    grant = grant_of(credential, "token", expires_at)
    try:
        guard.keyring.confirm(grant, strict=True)
    except Refused as error:
        raise OAuthError("invalid_grant", str(error)) from None
    return grant
