"""What a token request is once it has been read, its errors (RFC 6749, section 5.2), and how a token goes
out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gstack.auth import audit, tokens
from gstack.auth.grant import Grant, grant_of
from gstack.auth.guard import Gatekeeper
from gstack.auth.identity import Refused
from gstack.store.credentials import Credential

# Who these client ids are, for the person who is asked.
KNOWN_CLIENTS = {
    "32555940559.apps.googleusercontent.com": "gcloud",
    "764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com": "gcloud (application default)",
}


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

    def client_id(self) -> str:
        """The client's id, wherever it is given; empty where it is not."""
        return self.parameters.get("client_id") or (self.basic[0] if self.basic is not None else "")

    def required(self, name: str) -> str:
        """A parameter that must be there. Raises :class:`OAuthError`."""
        value = self.parameters.get(name, "")
        if not value:
            raise OAuthError("invalid_request", f"The parameter {name} is required.")
        return value


def confirmed(guard: Gatekeeper, credential: Credential, expires_at: int = 0) -> Grant:
    """The grant of a credential that CloudStack still accepts: asked before any token is issued. Raises
    :class:`OAuthError`, or CloudStackError when CloudStack cannot be asked."""
    grant = grant_of(credential, "token", expires_at)
    try:
        guard.keyring.confirm(grant, strict=True)
    except Refused as error:
        raise OAuthError("invalid_grant", str(error)) from None
    return grant


def token_answer(
    request: TokenRequest,
    guard: Gatekeeper,
    grant: Grant,
    *,
    scope: str | None = None,
    refresh_for: str | None = None,
    confidential: bool = False,
    refresh_hash: str | None = None,
    until: int | None = None,
) -> dict[str, Any]:
    """A new access token for ``grant``, as RFC 6749 (section 5.1) wants it; Go refuses a textual expires_in.

    With a refresh token where ``refresh_for`` names the client that gets it. ``refresh_hash`` is the refresh
    token that the access token comes from, ``until`` the second at which it ends at the latest.
    """
    now = guard.keyring.now
    seconds = guard.settings["ACCESS_TOKEN_SECONDS"]
    if until is not None:
        seconds = min(seconds, until - now)
    scope = request.parameters.get("scope", "") if scope is None else scope
    made: dict[str, Any] = {}
    if refresh_for is not None:
        made["refresh_token"] = tokens.issue_refresh(
            grant.credential_id,
            refresh_for,
            scope,
            confidential=confidential,
            now=now,
            client=KNOWN_CLIENTS.get(refresh_for) or audit.client().strip("'"),
        )
        refresh_hash = tokens.hashed(made["refresh_token"])
    token = tokens.issue(
        grant.credential_id, request.grant_type, scope, now=now, seconds=seconds, refresh_hash=refresh_hash
    )
    audit.issued(request.grant_type, grant.credential_id, grant.identity.account, request.address)
    return made | {"access_token": token, "token_type": "Bearer", "expires_in": seconds}
