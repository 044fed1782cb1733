"""The OAuth endpoints that programs call, under every path that clients have them at; the server's grants answer.

Apart from the grants so that each of them is one small file. The surprising thing: clients send forms, JSON,
Basic headers and paths that Google retired years ago; what none of them sends is a secret in the URL, so
that is refused, but for a token that is to be revoked or looked at, where gcloud puts it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import HTTPException

from gstack.auth import audit, consent, console, inspection, resource_manager
from gstack.auth.guard import Gatekeeper, request_address
from gstack.auth.limiter import TooManyFailures
from gstack.auth.server import TokenServer
from gstack.auth.wire import OAuthError, OAuthRequest, basic_client, read_parameters, refuse, upstream
from gstack.errors import GceError
from gstack.protocol import pipeline, transport

# The last one is sts.googleapis.com's.
TOKEN_PATHS = ("/token", "/o/oauth2/token", "/oauth2/v4/token", "/oauth2/token", "/v1/token")
REVOKE_PATHS = ("/revoke", "/o/oauth2/revoke", "/oauth2/revoke")
INTROSPECT_PATHS = ("/introspect", "/v1/introspect", "/oauth2/introspect")

Answer = Callable[[TokenServer, OAuthRequest], Response]


def register(app: Flask, guard: Gatekeeper) -> None:
    """Add the token endpoint to ``app``, and what belongs around it."""
    server = TokenServer(guard)
    blueprint = Blueprint("oauth", __name__)
    table: tuple[tuple[tuple[str, ...], Answer, list[str]], ...] = (
        (TOKEN_PATHS, token, ["POST"]),
        (REVOKE_PATHS, revoke, ["GET", "POST"]),
        (INTROSPECT_PATHS, introspect, ["POST"]),
    )
    for paths, answer, verbs in table:
        for path in paths:
            name = path.strip("/").replace("/", "_")
            view = partial(_answered, answer, server)
            blueprint.add_url_rule(path, name, view, methods=verbs, provide_automatic_options=False)
    app.register_blueprint(blueprint)
    app.before_request(audit.begin)
    consent.register(app, guard, server)
    console.register(app, guard)
    inspection.register(app, guard)
    resource_manager.register(app, guard)


def token(server: TokenServer, asked: OAuthRequest) -> Response:
    """RFC 6749, section 3.2."""
    asked.required("grant_type")
    return _response(server.create_token_response(asked))


def revoke(server: TokenServer, asked: OAuthRequest) -> Response:
    """RFC 7009."""
    return _response(server.create_endpoint_response("revocation", asked))


def introspect(server: TokenServer, asked: OAuthRequest) -> Response:
    """RFC 7662."""
    return _response(server.create_endpoint_response("introspection", asked))


def _answered(answer: Answer, server: TokenServer) -> Response:
    """One request; every refusal is logged, and none holds what the client sent."""
    what = answer.__name__
    try:
        asked = _read(server.guard)
        what = asked.grant_type or what
        return answer(server, asked)
    except OAuthError as error:
        return refuse(error, what)
    except TooManyFailures as error:
        return refuse(OAuthError("invalid_client", str(error), status=429, retry_after=error.retry_after), what)
    except HTTPException as error:  # a body that is too large, or a form that cannot be read
        return refuse(OAuthError("invalid_request", "The body cannot be read.", status=error.code or 400), what)
    except GceError as error:
        return refuse(upstream(error), what)
    except Exception as error:
        found = pipeline.unexpected(error, request=transport.request_id(), method=answer.__name__)
        code = "temporarily_unavailable" if found.http == 503 else "server_error"
        return refuse(OAuthError(code, found.message, status=found.http), what)


def _read(guard: Gatekeeper) -> OAuthRequest:
    parameters = read_parameters(request) if request.method == "POST" else {}
    if "token" in request.args:
        parameters.setdefault("token", request.args["token"])
    roots = {f"https://{request.host}", f"http://{request.host}", guard.settings.public_url}
    return OAuthRequest(
        request.method,
        parameters,
        basic=basic_client(request.headers.get("Authorization", "")),
        address=request_address(),
        token_uris=frozenset(root + path for root in roots for path in TOKEN_PATHS),
        issuer=guard.settings.public_url,
    )


def _response(made: Response | None) -> Response:
    if made is None:  # Authlib allows endpoints that give nothing; none of ours does
        raise RuntimeError("the endpoint gave no answer")
    return made
