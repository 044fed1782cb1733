"""The page a browser opens to let a client in (RFC 6749, section 4.1), for ``gcloud auth login`` and its like.

Apart from the codes because it speaks HTML. Codes go to loopback addresses only, or are shown to be copied. The
surprising thing: a client without PKCE is not asked to sign in at all; it gets a code that is worth nothing unless
it then shows a CloudStack key pair of its own, which is how gcutil logs in.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from authlib.oauth2 import OAuth2Error
from flask import Blueprint, Flask, Response, request

from gstack.auth import audit, codes, forms, pages
from gstack.auth.clients import KNOWN_CLIENTS, SHOWN, Client
from gstack.auth.codes import Asked
from gstack.auth.forms import Form, Unusable
from gstack.auth.grant import Grant
from gstack.auth.grants.authorization_code import ANYBODY
from gstack.auth.guard import Gatekeeper, request_address
from gstack.auth.identity import Refused
from gstack.auth.limiter import TooManyFailures
from gstack.auth.server import TokenServer
from gstack.auth.tokens import Ended
from gstack.auth.wire import OAuthError, OAuthRequest, read_parameters
from gstack.errors import GceError

AUTH_PATHS = ("/o/oauth2/auth", "/o/oauth2/v2/auth", "/oauth2/auth")
View = Callable[[Gatekeeper, TokenServer], Response]
LONGEST = 2048
READ = ("response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method")
_NOT_PLAIN = re.compile(r"[^a-z_ ]")


class Wrong(Exception):
    """A request that cannot even be answered by a redirect; the text is for the person in front of the page."""


def register(app: Flask, guard: Gatekeeper, server: TokenServer) -> None:
    """Add the authorization endpoint to ``app``."""
    blueprint = Blueprint("oauth_consent", __name__)
    for path in AUTH_PATHS:
        name = path.strip("/").replace("/", "_")
        blueprint.add_url_rule(path, f"{name}_ask", partial(_guarded, ask, guard, server), methods=["GET"])
        blueprint.add_url_rule(path, f"{name}_answer", partial(_guarded, answer, guard, server), methods=["POST"])
    app.register_blueprint(blueprint)


def ask(guard: Gatekeeper, server: TokenServer) -> Response:
    """The page, or at once an open code for a client that will show a key pair."""
    query = {name: _short(name) for name in READ if name in request.args}
    asked = _asked(query)
    try:
        grant = _grant(server, query)
        grant.validate_no_multiple_request_parameter(grant.request)
        grant.validate_consent_request()
    except OAuth2Error as error:
        return _back(asked, _error_at(asked, query, error))
    if not asked.challenge:
        return _finish(server, asked, query, ANYBODY)
    form = forms.new(guard, query)
    return form.bind(_signin(asked, form.sealed(guard)))


def answer(guard: Gatekeeper, server: TokenServer) -> Response:
    """What the person chose: back to the client with a code or a refusal, or the page again with the problem."""
    given = read_parameters(request)
    sealed = given.get("page", "")
    form, asked = _opened(sealed, guard)
    if given.get("choice") != "allow":
        return form.release(_finish(server, asked, form.content, None))
    try:
        grant = guard.keyring.admit(*pages.key_pair(guard, given), request_address())
    except (Refused, TooManyFailures, GceError) as error:
        problem = error.message if isinstance(error, GceError) else str(error)
        audit.refused("consent", problem)
        return _signin(asked, sealed, problem)
    audit.issued("code", grant.credential_id, grant.identity.account)
    return form.release(_finish(server, asked, form.content, grant))


def _grant(server: TokenServer, query: dict[str, str]) -> Any:
    return server.get_authorization_grant(OAuthRequest("GET", query, lists=request.args.to_dict(flat=False)))


def _finish(server: TokenServer, asked: Asked, query: dict[str, str], user: Grant | str | None) -> Response:
    """The end of an authorization request, as Authlib answers it: a code, or without a user a refusal."""
    grant = _grant(server, query)
    return _back(asked, server.create_authorization_response(grant.request, user, grant).headers["Location"])


def _error_at(asked: Asked, query: dict[str, str], error: OAuth2Error) -> str:
    error.redirect_uri, error.state = asked.redirect_uri, query.get("state")
    return str(dict(error()[2])["Location"])


def _asked(query: dict[str, str]) -> Asked:
    """Checked here before Authlib sees it, which repeats wrong values in its errors and fails over some of them."""
    asked = codes.asked(query)
    if not asked.client_id:
        raise Wrong("The client did not say who it is (client_id).")
    if not Client(asked.client_id).check_redirect_uri(asked.redirect_uri):
        raise Wrong("The client wants the code sent elsewhere than to this computer (redirect_uri). Refused.")
    if _NOT_PLAIN.search(query.get("response_type", "")):
        raise Wrong("The client asks for something that is no answer (response_type). Refused.")
    return asked


def _short(name: str) -> str:
    value = request.args[name]
    if len(value) > LONGEST or any(ord(character) < 32 for character in value):
        raise Wrong(f"The parameter {name} is too long or holds control characters.")
    return value


def _back(asked: Asked, address: str) -> Response:
    """To the client at ``address``, which holds a code or an error: by redirect, or shown on a page."""
    if asked.redirect_uri in SHOWN:
        found = dict(parse_qsl(urlsplit(address).query))
        status = 200 if "code" in found else 400
        return pages.page("code", status=status, code=found.get("code", ""), error=found.get("error", ""))
    response = pages.protected(Response(status=303))
    response.headers["Location"] = address
    return response


def _opened(sealed: str, guard: Gatekeeper) -> tuple[Form, Asked]:
    try:
        form = forms.opened(sealed, guard)
    except Unusable as error:
        raise Wrong(f"{error} Start again from your client.") from None
    return form, _asked(form.content)


def _guarded(view: View, guard: Gatekeeper, server: TokenServer) -> Response:
    try:
        return view(guard, server)
    except (Wrong, OAuthError, Ended) as error:
        words = error.get_error_description() if isinstance(error, OAuthError) else str(error)
        audit.refused("consent", words)
        return pages.page("code", status=getattr(error, "status_code", 400), code="", error=words)


def _signin(asked: Asked, sealed: str, problem: str = "") -> Response:
    shown = asked.redirect_uri in SHOWN
    return pages.page(
        "signin",
        status=403 if problem else 200,
        then="" if shown else asked.redirect_uri,
        shown=shown,
        asked=asked,
        known=KNOWN_CLIENTS.get(asked.client_id, ""),
        scopes=asked.scope.split(),
        sealed=sealed,
        problem=problem,
        path=request.path,
    )
