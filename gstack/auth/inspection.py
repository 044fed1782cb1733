"""What OpenID Connect and Google offer around the token endpoint: token information, the user, and gstack's own keys.

Apart from the token endpoint because these are Google's own shapes or plain documents, for which Authlib has no
endpoint. The surprising thing: Google's three versions of the user's information are answered as one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from flask import Blueprint, Flask, Response, request

from gstack.auth import audit, signing, tokens
from gstack.auth.grant import grant_of
from gstack.auth.grants import GRANTS
from gstack.auth.guard import Gatekeeper
from gstack.auth.identity import Refused
from gstack.auth.keyfiles import client_id
from gstack.auth.wire import OAuthError, answer_json, read_parameters
from gstack.errors import GceError
from gstack.protocol import pipeline

TOKENINFO_PATHS = ("/tokeninfo", "/oauth2/v1/tokeninfo", "/oauth2/v2/tokeninfo", "/oauth2/v3/tokeninfo")
USERINFO_PATHS = ("/userinfo", "/v1/userinfo", "/oauth2/v1/userinfo", "/oauth2/v2/userinfo", "/oauth2/v3/userinfo")
KEYS_PATHS = ("/oauth2/v3/certs", "/.well-known/jwks.json")
CONFIGURATION_PATHS = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")

View = Callable[[Gatekeeper], Response]


def register(app: Flask, guard: Gatekeeper) -> None:
    """Add these endpoints to ``app``."""
    blueprint = Blueprint("oauth_inspection", __name__)
    table: tuple[tuple[tuple[str, ...], View, list[str]], ...] = (
        (TOKENINFO_PATHS, tokeninfo, ["GET", "POST"]),
        (USERINFO_PATHS, userinfo, ["GET", "POST"]),
        (KEYS_PATHS, keys, ["GET"]),
        (CONFIGURATION_PATHS, configuration, ["GET"]),
    )
    for paths, view, verbs in table:
        for path in paths:
            name = f"{view.__name__}_{path.strip('/').replace('/', '_').replace('.', '_')}"
            blueprint.add_url_rule(path, name, partial(_answered, view, guard), methods=verbs)
    app.register_blueprint(blueprint)


def tokeninfo(guard: Gatekeeper) -> Response:
    """Google's way of asking what a token is. Refresh tokens are unknown here, as they are at Google."""
    id_token, access_token = _token("id_token"), _token("access_token")
    if not id_token and not access_token:
        raise OAuthError("invalid_request", "access_token or id_token is required.")
    return _id_token(guard, id_token) if id_token else _access_token(guard, access_token)


def _id_token(guard: Gatekeeper, token: str) -> Response:
    """Every member as a string, as Google answers."""
    found = signing.read_id_token(guard.sealer, token, guard.keyring.now)
    if found is None:
        raise OAuthError("invalid_token", "Invalid Value")
    return answer_json({name: _text(value) for name, value in found.items()})


def _access_token(guard: Gatekeeper, token: str) -> Response:
    found = tokens.look_up(token, guard.keyring.now)
    if found is None:
        raise OAuthError("invalid_token", "Invalid Value")
    credential, row = found
    grant = grant_of(credential, "token", row.expires_at)
    return answer_json(
        {
            "azp": client_id(credential.id),
            "aud": client_id(credential.id),
            "sub": client_id(credential.id),
            "scope": row.scope,
            "exp": str(row.expires_at),
            "expires_in": str(row.expires_at - guard.keyring.now),
            "email": grant.user,
            "email_verified": _text(grant.email_verified),
            "access_type": "offline" if row.refresh_hash else "online",
        }
    )


def userinfo(guard: Gatekeeper) -> Response:
    """Who the bearer is, with the members of all three versions of Google's answer."""
    grant = guard.authenticate(request.headers, request.args)
    try:
        guard.keyring.confirm(grant)
    except Refused as error:
        raise guard.refused(str(error)) from None
    subject = client_id(grant.credential_id)
    audit.answered("userinfo", 200)
    return answer_json(
        {
            "sub": subject,
            "id": subject,
            "name": grant.identity.user_name,
            "email": grant.user,
            "email_verified": grant.email_verified,
            "verified_email": grant.email_verified,
        }
    )


def keys(guard: Gatekeeper) -> Response:
    """The keys that verify id_tokens, as a JSON Web Key set."""
    return answer_json({"keys": signing.public_keys(guard.sealer)})


def configuration(guard: Gatekeeper) -> Response:
    """OpenID Connect discovery and RFC 8414 in one; addresses by the host that was asked."""
    return answer_json(metadata(request.url_root.rstrip("/"), guard.settings.public_url))


def metadata(root: str, issuer: str) -> dict[str, Any]:
    """What the server offers, below ``root``."""
    return dict(
        AuthorizationServerMetadata(
            issuer=issuer,
            authorization_endpoint=f"{root}/o/oauth2/auth",
            token_endpoint=f"{root}/token",
            revocation_endpoint=f"{root}/revoke",
            introspection_endpoint=f"{root}/introspect",
            userinfo_endpoint=f"{root}/userinfo",
            jwks_uri=f"{root}/oauth2/v3/certs",
            response_types_supported=["code"],
            grant_types_supported=list(dict.fromkeys(grant.GRANT_TYPE for grant, _ in GRANTS)),
            subject_types_supported=["public"],
            id_token_signing_alg_values_supported=[signing.ALGORITHM],
            code_challenge_methods_supported=["S256"],
            token_endpoint_auth_methods_supported=["none", "client_secret_post", "client_secret_basic"],
            revocation_endpoint_auth_methods_supported=["none"],
            introspection_endpoint_auth_methods_supported=["none"],
            scopes_supported=["openid", "email", "https://www.googleapis.com/auth/cloud-platform"],
        )
    )


def _answered(view: View, guard: Gatekeeper) -> Response:
    try:
        return view(guard)
    except OAuthError as error:
        audit.refused(view.__name__, str(error.get_error_description()))
        return answer_json(
            {"error": error.error, "error_description": error.get_error_description()}, error.status_code
        )
    except GceError as error:
        audit.refused(request.path, error.message)
        return pipeline.write_error(error)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _token(name: str) -> str:
    if request.method == "POST":
        given = read_parameters(request).get(name, "")
        if given:
            return given
    return request.args.get(name, "")
