"""What OAuth offers around the token endpoint: revocation, token information, the user, and gstack's own keys.

Apart from the token endpoint because nothing here hands out a token. The surprising thing: introspection asks for no
client authentication. Clients send whatever id they were born with, and whoever holds a token may know what it says.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from flask import Blueprint, Flask, Response, request

from gstack.auth import audit, signing, tokens
from gstack.auth.grants.request import OAuthError
from gstack.auth.guard import Gatekeeper, request_address
from gstack.auth.identity import Refused
from gstack.auth.keyfiles import client_id
from gstack.auth.wire import answer_json, read_parameters
from gstack.errors import GceError
from gstack.protocol import pipeline
from gstack.store.credentials import AccessToken, Credential, RefreshToken

REVOKE_PATHS = ("/revoke", "/o/oauth2/revoke", "/oauth2/revoke")
TOKENINFO_PATHS = ("/tokeninfo", "/oauth2/v1/tokeninfo", "/oauth2/v2/tokeninfo", "/oauth2/v3/tokeninfo")
INTROSPECT_PATHS = ("/introspect", "/v1/introspect", "/oauth2/introspect")
USERINFO_PATHS = ("/userinfo", "/v1/userinfo", "/oauth2/v1/userinfo", "/oauth2/v2/userinfo", "/oauth2/v3/userinfo")
KEYS_PATHS = ("/oauth2/v3/certs", "/.well-known/jwks.json")
CONFIGURATION_PATHS = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")

View = Callable[[Gatekeeper], Response]


def register(app: Flask, guard: Gatekeeper) -> None:
    """Add these endpoints to ``app``."""
    blueprint = Blueprint("oauth_inspection", __name__)
    table: tuple[tuple[tuple[str, ...], View, list[str]], ...] = (
        (REVOKE_PATHS, revoke, ["GET", "POST"]),
        (TOKENINFO_PATHS, tokeninfo, ["GET", "POST"]),
        (INTROSPECT_PATHS, introspect, ["POST"]),
        (USERINFO_PATHS, userinfo, ["GET", "POST"]),
        (KEYS_PATHS, keys, ["GET"]),
        (CONFIGURATION_PATHS, configuration, ["GET"]),
    )
    for paths, view, verbs in table:
        for path in paths:
            name = f"{view.__name__}_{path.strip('/').replace('/', '_').replace('.', '_')}"
            blueprint.add_url_rule(path, name, partial(_answered, view, guard), methods=verbs)
    app.register_blueprint(blueprint)


def revoke(guard: Gatekeeper) -> Response:
    """RFC 7009: the token is gone afterwards, whether it was there or not. The token may be in the URL, where
    gcloud puts it."""
    token = _token("token")
    credential_id = tokens.revoke(token) if token else None
    if credential_id is not None:
        guard.keyring.grants.clear()
        audit.killed(credential_id, "its client revoked a token")
    return answer_json({})


def tokeninfo(guard: Gatekeeper) -> Response:
    """Google's way of asking what an access token is."""
    found = tokens.look_up(_token("access_token"), guard.keyring.now)
    if found is None:
        raise OAuthError("invalid_token", "Invalid Value")
    credential, row = found
    return answer_json(
        {
            "azp": client_id(credential.id),
            "aud": client_id(credential.id),
            "sub": client_id(credential.id),
            "scope": row.scope,
            "exp": str(row.expires_at),
            "expires_in": str(row.expires_at - guard.keyring.now),
            "email": _email(credential),
            "email_verified": "true",
            "access_type": "offline" if row.refresh_hash else "online",
        }
    )


def introspect(guard: Gatekeeper) -> Response:
    """RFC 7662, for access and refresh tokens."""
    token, now = _token("token"), guard.keyring.now
    found = tokens.look_up(token, now) or tokens.look_up_refresh(token, now)
    if found is None:
        return answer_json({"active": False})
    credential, row = found
    return answer_json(
        {
            "active": True,
            "username": _email(credential),
            "sub": client_id(credential.id),
            "scope": row.scope,
            "iat": row.issued_at,
            "exp": row.expires_at if isinstance(row, AccessToken) else row.used_at + tokens.IDLE_SECONDS,
            "token_type": "refresh_token" if isinstance(row, RefreshToken) else "Bearer",
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
            "email_verified": True,
            "verified_email": True,
        }
    )


def keys(guard: Gatekeeper) -> Response:
    """The keys that verify id_tokens, as a JSON Web Key set."""
    return answer_json({"keys": signing.public_keys(guard.sealer)})


def configuration(guard: Gatekeeper) -> Response:
    """OpenID Connect discovery; addresses by the host that was asked."""
    root = request.url_root.rstrip("/")
    return answer_json(
        {
            "issuer": guard.settings.public_url,
            "authorization_endpoint": f"{root}/o/oauth2/auth",
            "token_endpoint": f"{root}/token",
            "revocation_endpoint": f"{root}/revoke",
            "introspection_endpoint": f"{root}/introspect",
            "userinfo_endpoint": f"{root}/userinfo",
            "jwks_uri": f"{root}/oauth2/v3/certs",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [signing.ALGORITHM],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_post", "client_secret_basic"],
            "scopes_supported": ["openid", "email", "https://www.googleapis.com/auth/cloud-platform"],
        }
    )


def _answered(view: View, guard: Gatekeeper) -> Response:
    try:
        return view(guard)
    except OAuthError as error:
        return answer_json({"error": error.error, "error_description": error.description}, error.status)
    except GceError as error:
        audit.refused(request.path, error.message, request_address())
        return pipeline.write_error(error)


def _token(name: str) -> str:
    if request.method == "POST":
        given = read_parameters(request).get(name, "")
        if given:
            return given
    return request.args.get(name, "")


def _email(credential: Credential) -> str:
    return credential.email or credential.user_email or credential.user_name
