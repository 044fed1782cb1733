"""``client_credentials`` (RFC 6749, section 4.4): the client id is a CloudStack API key, the secret its
secret key.

The shortest way in for scripts. CloudStack is asked before any token is issued.
"""

from __future__ import annotations

from typing import Any

from gstack.auth.grants.request import OAuthError, TokenRequest, token_answer
from gstack.auth.guard import Gatekeeper
from gstack.auth.identity import Refused

GRANT_TYPE = "client_credentials"


def answer(request: TokenRequest, guard: Gatekeeper) -> dict[str, Any]:
    """An access token for the pair. The error is the same for an unknown key and a wrong secret."""
    api_key, secret_key = request.client()
    try:
        grant = guard.keyring.admit(api_key, secret_key, request.address)
    except Refused as error:
        raise OAuthError("invalid_client", str(error), status=401) from None
    return token_answer(request, guard, grant)
