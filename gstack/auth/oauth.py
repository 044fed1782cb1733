"""The token endpoint, under every path that clients have it at. Reads the request; the grants answer it.

Apart from the grants so that each of them is one small file. The surprising thing: clients send forms, JSON,
Basic headers and paths that Google retired years ago; what none of them sends is a secret in the URL, so
that is refused.
"""

from __future__ import annotations

import base64
import binascii
import logging
from functools import partial
from urllib.parse import unquote_plus

from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import HTTPException

from gstack.auth import audit, consent, console, inspection, resource_manager
from gstack.auth.grants import GRANTS
from gstack.auth.grants.request import OAuthError, TokenRequest
from gstack.auth.guard import Gatekeeper, request_address
from gstack.auth.limiter import TooManyFailures
from gstack.auth.wire import answer_json, read_parameters
from gstack.errors import GceError

log = logging.getLogger(__name__)

TOKEN_PATHS = ("/token", "/o/oauth2/token", "/oauth2/v4/token", "/oauth2/token")


def register(app: Flask, guard: Gatekeeper) -> None:
    """Add the token endpoint to ``app``, and what belongs around it."""
    blueprint = Blueprint("oauth", __name__)
    for path in TOKEN_PATHS:
        blueprint.add_url_rule(
            path,
            endpoint=path.strip("/").replace("/", "_"),
            view_func=partial(token, guard),
            methods=["POST"],
            provide_automatic_options=False,
        )
    app.register_blueprint(blueprint)
    app.before_request(audit.unbind)
    consent.register(app, guard)
    console.register(app, guard)
    inspection.register(app, guard)
    resource_manager.register(app, guard)


def token(guard: Gatekeeper) -> Response:
    """Answer one token request; every refusal is logged, and none holds what the client sent."""
    grant_type = "unread"
    try:
        parameters = read_parameters(request)
        grant_type = parameters.get("grant_type", "")
        if not grant_type:
            raise OAuthError("invalid_request", "The parameter grant_type is required.")
        if grant_type not in GRANTS:
            raise OAuthError("unsupported_grant_type", f"Supported grant types: {', '.join(GRANTS)}.")
        return answer_json(GRANTS[grant_type](token_request(grant_type, parameters, guard), guard))
    except OAuthError as error:
        return refuse(error, grant_type)
    except TooManyFailures as error:
        return refuse(OAuthError("invalid_client", str(error), status=429, retry_after=error.retry_after), grant_type)
    except HTTPException as error:  # a body that is too large, or a form that cannot be read
        return refuse(OAuthError("invalid_request", "The body cannot be read.", status=error.code or 400), grant_type)
    except GceError as error:
        return refuse(_upstream(error), grant_type)
    except Exception:
        log.exception("token request failed")
        internal = OAuthError("server_error", "Internal error. See the gateway's log.", status=500)
        return refuse(internal, grant_type)


def token_request(grant_type: str, parameters: dict[str, str], guard: Gatekeeper) -> TokenRequest:
    """The request under way, read."""
    roots = {f"https://{request.host}", f"http://{request.host}", guard.settings.public_url}
    return TokenRequest(
        grant_type=grant_type,
        parameters=parameters,
        basic=basic_client(request.headers.get("Authorization", "")),
        address=request_address(),
        token_uris=frozenset(root + path for root in roots for path in TOKEN_PATHS),
        issuer=guard.settings.public_url,
    )


def basic_client(header: str) -> tuple[str, str] | None:
    """Client id and secret of an HTTP Basic header, or None. Raises :class:`OAuthError`."""
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    name, colon, secret = text.partition(":")
    if not colon:
        raise OAuthError("invalid_client", "The Basic authorization header is malformed.", status=401)
    return unquote_plus(name), unquote_plus(secret)


def refuse(error: OAuthError, grant_type: str) -> Response:
    """The error as RFC 6749 (section 5.2) wants it, and a line in the audit log."""
    audit.refused(grant_type, error.description, request_address())
    response = answer_json({"error": error.error, "error_description": error.description}, error.status)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="gstack"'
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _upstream(error: GceError) -> OAuthError:
    if error.http in (429, 503):
        return OAuthError(
            "temporarily_unavailable",
            "CloudStack cannot be asked whether the credential is valid. Try again.",
            status=503,
            retry_after=error.retry_after,
        )
    return OAuthError("access_denied", error.message, status=403)
