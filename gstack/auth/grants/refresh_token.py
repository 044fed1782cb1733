"""``refresh_token`` (RFC 6749, section 6). Refresh tokens do not rotate: clients that share one would lock each other
out.

The surprising thing: ``API_KEY:SECRET_KEY`` is a refresh token too, so that ``gcloud auth activate-refresh-token``
signs somebody in without a browser and without a key file; only where GSTACK_LITERAL_BEARER allows it.
"""

from __future__ import annotations

from typing import Any

from gstack.auth import signing, tokens
from gstack.auth.grants.request import OAuthError, TokenRequest, confirmed, token_answer
from gstack.auth.guard import Gatekeeper
from gstack.auth.identity import Refused
from gstack.store.credentials import RefreshToken

GRANT_TYPE = "refresh_token"


def answer(request: TokenRequest, guard: Gatekeeper) -> dict[str, Any]:
    """A further access token; one error for a token that is unknown, revoked, idle too long or another client's."""
    token = request.required("refresh_token")
    if ":" in token:
        return _literal(request, guard, token)
    found = tokens.look_up_refresh(token, guard.keyring.now)
    if found is None or found[1].client_hash != tokens.hashed(request.client_id()):
        raise _wrong_token()
    credential, row = found
    _check_client(request, guard, row)
    grant = confirmed(guard, credential)
    tokens.note_use(row, guard.keyring.now)
    made = token_answer(request, guard, grant, scope=row.scope, refresh_hash=row.hash)
    if "openid" in row.scope.split():
        made["id_token"] = signing.id_token(guard, grant, request.client_id(), request.issuer)
    return made


def _literal(request: TokenRequest, guard: Gatekeeper, token: str) -> dict[str, Any]:
    if not guard.literal_allowed():
        raise _wrong_token()
    api_key, _, secret_key = token.partition(":")
    try:
        grant = guard.keyring.admit(api_key, secret_key, request.address)
    except Refused:
        raise _wrong_token() from None
    return token_answer(request, guard, grant)


def _check_client(request: TokenRequest, guard: Gatekeeper, row: RefreshToken) -> None:
    if not row.confidential:
        return
    try:
        grant = guard.keyring.admit(*request.client(), request.address)
    except Refused as error:
        raise OAuthError("invalid_client", str(error), status=401) from None
    if grant.credential_id != row.credential_id:
        raise _wrong_token()


def _wrong_token() -> OAuthError:
    return OAuthError("invalid_grant", "The refresh token is wrong, revoked, or was not used for ninety days.")
