"""``authorization_code`` (RFC 6749, section 4.1.3): the second half of ``gcloud auth login`` and of gcutil's login.

The surprising thing: gcloud fails its login without an id_token, and takes the account's name from it.
"""

from __future__ import annotations

from typing import Any

from gstack.auth import codes, signing
from gstack.auth.grant import Grant
from gstack.auth.grants.request import OAuthError, TokenRequest, confirmed, token_answer
from gstack.auth.guard import Gatekeeper
from gstack.auth.identity import Refused

GRANT_TYPE = "authorization_code"


def answer(request: TokenRequest, guard: Gatekeeper) -> dict[str, Any]:
    """Access token, refresh token and id_token for a code. One error for whatever is wrong with the code."""
    code = request.required("code")
    if codes.is_open(code):
        grant, scope = _key_pair(request, guard, code)
    else:
        grant, scope = _signed_in(request, guard, code)
    found = token_answer(
        request, guard, grant, scope=scope, refresh_for=request.client_id(), confidential=codes.is_open(code)
    )
    return found | {"id_token": signing.id_token(guard, grant, request.client_id(), request.issuer)}


def _signed_in(request: TokenRequest, guard: Gatekeeper, code: str) -> tuple[Grant, str]:
    row = codes.redeem(
        code,
        client_id=request.client_id(),
        redirect_uri=request.parameters.get("redirect_uri", ""),
        verifier=request.parameters.get("code_verifier", ""),
        now=guard.keyring.now,
    )
    credential = guard.keyring.credential(row.credential_id) if row is not None else None
    if row is None or credential is None:
        raise _wrong_code()
    return confirmed(guard, credential), row.scope


def _key_pair(request: TokenRequest, guard: Gatekeeper, code: str) -> tuple[Grant, str]:
    api_key, secret_key = request.client()
    scope = codes.redeem_open(
        code,
        guard.sealer,
        client_id=api_key,
        redirect_uri=request.parameters.get("redirect_uri", ""),
        now=guard.keyring.now,
    )
    if scope is None:
        raise _wrong_code()
    try:
        return guard.keyring.admit(api_key, secret_key, request.address), scope
    except Refused as error:
        raise OAuthError("invalid_client", str(error), status=401) from None


def _wrong_code() -> OAuthError:
    return OAuthError("invalid_grant", "The code is wrong, used, or older than a minute.")
