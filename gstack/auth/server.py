"""Authlib's authorization server as gstack uses it: which grants there are, who a client is, and how tokens are kept.

Apart from ``oauth``, which has the addresses. The surprising thing: Authlib writes the tokens it issues, and the ids of
clients (API keys here), into its debug log, so that log is off.
"""

from __future__ import annotations

import logging
from typing import Any

from authlib.oauth2 import AuthorizationServer, OAuth2Error
from authlib.oauth2.rfc6749 import UnsupportedGrantTypeError
from flask import Response

from gstack.auth import audit, tokens
from gstack.auth.clients import KNOWN_CLIENTS, Client
from gstack.auth.grant import Grant
from gstack.auth.grants import ENDPOINTS, GRANTS
from gstack.auth.guard import Gatekeeper
from gstack.auth.identity import Refused
from gstack.auth.wire import OAuthError, OAuthRequest, answer_json, refuse

logging.getLogger("authlib").setLevel(logging.INFO)


class TokenServer(AuthorizationServer):
    """The server of one process; ``create_token_response`` and the other entries take an :class:`OAuthRequest`."""

    def __init__(self, guard: Gatekeeper) -> None:
        super().__init__()
        self.guard = guard
        self.register_client_auth_method("named", _named)
        self.register_client_auth_method("key_pair", self._key_pair)
        self.register_token_generator("default", self._generate)
        for grant, extensions in GRANTS:
            self.register_grant(grant, extensions)
        for endpoint in ENDPOINTS:
            self.register_endpoint(endpoint)

    def query_client(self, client_id: str) -> Client:
        """Every id is a client's; see :mod:`gstack.auth.clients`."""
        return Client(client_id)

    def create_oauth2_request(self, request: OAuthRequest) -> OAuthRequest:
        """The request as it was read."""
        return request

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def handle_response(self, status: int, body: dict[str, Any] | str, headers: list[tuple[str, str]]) -> Response:
        """JSON, or a redirect without a body."""
        return answer_json(body, status) if isinstance(body, dict) else Response(body, status, headers)

    def handle_error_response(self, request: OAuthRequest, error: OAuth2Error) -> Response:
        """The error as JSON, and in the audit log; or, at the consent page, sent back to the client."""
        if error.redirect_uri:
            return self.handle_response(*error())
        if isinstance(error, UnsupportedGrantTypeError):  # Authlib's words repeat the client's
            served = dict.fromkeys(grant.GRANT_TYPE for grant, _ in GRANTS)
            error = OAuthError("unsupported_grant_type", f"Supported grant types: {', '.join(served)}.")
        return refuse(error, request.grant_type)

    def save_token(self, token: dict[str, Any], request: OAuthRequest) -> None:
        """Keep the hashes of a token that goes out, and a line in the audit log.

        ``scope`` is kept and not answered: gcloud does not want one that lacks its own.
        """
        grant: Grant = request.user or request.client.grant
        now, scope = self.guard.keyring.now, token.pop("scope")
        refresh_hash = request.refresh_token.row.hash if request.refresh_token is not None else None
        try:
            if "refresh_token" in token:
                name = request.client_name()
                refresh_hash = tokens.keep_refresh(
                    token["refresh_token"],
                    grant.credential_id,
                    name,
                    scope,
                    confidential=request.authorization_code.is_open,
                    now=now,
                    client=KNOWN_CLIENTS.get(name) or audit.client().strip("'"),
                )
            tokens.keep(
                token["access_token"],
                grant.credential_id,
                request.grant_type,
                scope,
                now=now,
                seconds=token["expires_in"],
                refresh_hash=refresh_hash,
            )
        except tokens.Ended as error:
            raise OAuthError("invalid_grant", str(error)) from None
        audit.issued(request.grant_type, grant.credential_id, grant.identity.account)

    def _generate(
        self,
        grant_type: str,
        client: Client,
        user: Grant | None,
        scope: str | None,
        expires_in: int | None,
        include_refresh_token: bool,
    ) -> dict[str, Any]:
        made = {
            "access_token": tokens.new_secret(),
            "token_type": "Bearer",
            "expires_in": expires_in or self.guard.settings["ACCESS_TOKEN_SECONDS"],  # Go refuses a text
            "scope": scope or "",
        }
        return made | ({"refresh_token": tokens.new_secret()} if include_refresh_token else {})

    def _key_pair(self, _query: Any, request: OAuthRequest) -> Client:
        api_key, secret_key = request.key_pair()
        try:
            return Client(api_key, self.guard.keyring.admit(api_key, secret_key, request.address))
        except Refused as error:
            raise OAuthError("invalid_client", str(error), status=401) from None


def _named(_query: Any, request: OAuthRequest) -> Client:
    return Client(request.client_name())
