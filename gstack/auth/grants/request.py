"""What a token request is once it has been read, its errors (RFC 6749, section 5.2), and how a token goes
out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gstack.auth import audit, tokens
from gstack.auth.grant import Grant
from gstack.auth.guard import Gatekeeper


class OAuthError(Exception):
    """``error`` is a code of RFC 6749 (section 5.2); ``description`` a sentence for the client, without
    secrets."""

    def __init__(self, error: str, description: str, *, status: int = 400, retry_after: int | None = None) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status
        self.retry_after = retry_after


@dataclass(frozen=True)
class TokenRequest:
    """``parameters`` come from the body, each once; ``basic`` is the client id and secret of a Basic header.
    ``token_uris`` are the addresses by which this very endpoint may be meant, ``issuer`` the gateway's
    root."""

    grant_type: str
    parameters: dict[str, str] = field(repr=False)
    basic: tuple[str, str] | None = field(repr=False)
    address: str
    token_uris: frozenset[str]
    issuer: str

    def client(self) -> tuple[str, str]:
        """Client id and secret, from the body or the Basic header. Raises :class:`OAuthError`."""
        given = self.parameters.get("client_id", ""), self.parameters.get("client_secret", "")
        if self.basic is not None:
            if given[1] or given[0] not in ("", self.basic[0]):
                raise OAuthError("invalid_request", "Give the client's id and secret once, not twice.")
            given = self.basic
        if not given[0] or not given[1]:
            raise OAuthError("invalid_client", "client_id and client_secret are required.", status=401)
        return given

    def required(self, name: str) -> str:
        """A parameter that must be there. Raises :class:`OAuthError`."""
        value = self.parameters.get(name, "")
        if not value:
            raise OAuthError("invalid_request", f"The parameter {name} is required.")
        return value


def token_answer(request: TokenRequest, guard: Gatekeeper, grant: Grant) -> dict[str, Any]:
    """A new access token for ``grant``, as RFC 6749 (section 5.1) wants it. Go refuses a textual
    expires_in."""
    seconds = guard.settings["ACCESS_TOKEN_SECONDS"]
    scope = request.parameters.get("scope", "")
    token = tokens.issue(grant.credential_id, request.grant_type, scope, now=guard.keyring.now, seconds=seconds)
    audit.issued(request.grant_type, grant.credential_id, grant.identity.account, request.address)
    return {"access_token": token, "token_type": "Bearer", "expires_in": seconds}
