"""The grant types of the token endpoint, one small file each. A grant takes a request apart and answers JSON.

A file is added here and nowhere else: :data:`GRANTS` is the table. Errors are :class:`OAuthError`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gstack.auth.grants import authorization_code, client_credentials, jwt_bearer, refresh_token, token_exchange
from gstack.auth.grants.request import TokenRequest
from gstack.auth.guard import Gatekeeper

GrantType = Callable[[TokenRequest, Gatekeeper], dict[str, Any]]

GRANTS: dict[str, GrantType] = {
    authorization_code.GRANT_TYPE: authorization_code.answer,
    client_credentials.GRANT_TYPE: client_credentials.answer,
    jwt_bearer.GRANT_TYPE: jwt_bearer.answer,
    refresh_token.GRANT_TYPE: refresh_token.answer,
    token_exchange.GRANT_TYPE: token_exchange.answer,
}
