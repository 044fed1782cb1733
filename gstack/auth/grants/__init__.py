"""The grant types of the token endpoint and the endpoints for tokens, one small file each, on Authlib's classes.

A file is added here and nowhere else: :data:`GRANTS` and :data:`ENDPOINTS` are what the server registers, the grants
with their extensions. Errors are :class:`~gstack.auth.wire.OAuthError`.
"""

from __future__ import annotations

from typing import Any

from gstack.auth.grants.authorization_code import CodeGrant, Pkce
from gstack.auth.grants.base import IdToken
from gstack.auth.grants.client_credentials import KeyPairGrant
from gstack.auth.grants.introspection import Introspection
from gstack.auth.grants.jwt_bearer import AssertionGrant
from gstack.auth.grants.refresh_token import LiteralGrant, RefreshGrant
from gstack.auth.grants.revocation import Revocation
from gstack.auth.grants.token_exchange import ExchangeGrant

GRANTS: tuple[tuple[Any, list[Any]], ...] = (
    (CodeGrant, [Pkce(), IdToken(asked_for=False)]),
    (KeyPairGrant, []),
    (AssertionGrant, []),
    (LiteralGrant, []),
    (RefreshGrant, [IdToken(asked_for=True)]),
    (ExchangeGrant, []),
)
ENDPOINTS = (Revocation, Introspection)
