"""The page a browser opens to let a client in (RFC 6749, section 4.1), for ``gcloud auth login`` and its like.

Apart from the codes because it speaks HTML. Codes go to loopback addresses only, or are shown to be copied. The
surprising thing: a client without PKCE is not asked to sign in at all; it gets a code that is worth nothing unless
it then shows a CloudStack key pair of its own, which is how gcutil logs in.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from urllib.parse import urlencode, urlsplit, urlunsplit

from flask import Blueprint, Flask, Response, request

from gstack.auth import audit, codes, pages
from gstack.auth.codes import Asked
from gstack.auth.grants.request import KNOWN_CLIENTS, OAuthError
from gstack.auth.guard import Gatekeeper, request_address
from gstack.auth.identity import Refused
from gstack.auth.limiter import TooManyFailures
from gstack.auth.wire import read_parameters
from gstack.errors import GceError
from gstack.store.sealing import Unsealable

AUTH_PATHS = ("/o/oauth2/auth", "/o/oauth2/v2/auth", "/oauth2/auth")
View = Callable[[Gatekeeper], Response]
# Addresses that stand for "show the code, the user will copy it".
SHOWN = frozenset(
    {
        "urn:ietf:wg:oauth:2.0:oob",
        "https://sdk.cloud.google.com/authcode.html",  # gcloud auth login --no-launch-browser
        "https://sdk.cloud.google/authcode.html",  # the same with --login-config
    }
)
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
LONGEST = 2048
PAGE_SECONDS = 600
COOKIE = "gstack_consent"


@dataclass(frozen=True)
class Page:
    """One authorization request on its way through the browser: sealed inside the form."""

    asked: Asked
    state: str
    nonce: str
    expires_at: int


class Wrong(Exception):
    """A request that cannot even be answered by a redirect; the text is for the person in front of the page."""


def register(app: Flask, guard: Gatekeeper) -> None:
    """Add the authorization endpoint to ``app``."""
    blueprint = Blueprint("oauth_consent", __name__)
    for path in AUTH_PATHS:
        name = path.strip("/").replace("/", "_")
        blueprint.add_url_rule(path, f"{name}_ask", partial(_guarded, ask, guard), methods=["GET"])
        blueprint.add_url_rule(path, f"{name}_answer", partial(_guarded, answer, guard), methods=["POST"])
    app.register_blueprint(blueprint)


def ask(guard: Gatekeeper) -> Response:
    """The page, or at once an open code for a client that will show a key pair."""
    query = request.args
    asked = _asked(query)
    state = _short(query, "state")
    if query.get("response_type") != "code":
        return _back(asked, state, error="unsupported_response_type")
    if query.get("code_challenge") is None:
        return _back(asked, state, code=codes.unbound(asked, guard.sealer, guard.keyring.now))
    if query.get("code_challenge_method") != "S256" or not codes.CHALLENGE.fullmatch(asked.challenge):
        return _back(asked, state, error="invalid_request")
    page = Page(asked, state, secrets.token_urlsafe(24), guard.keyring.now + PAGE_SECONDS)
    response = _signin(page, _seal(page, guard))
    response.set_cookie(
        COOKIE, page.nonce, max_age=PAGE_SECONDS, secure=request.is_secure, httponly=True, samesite="Strict"
    )
    return response


def answer(guard: Gatekeeper) -> Response:
    """What the person chose: back to the client with a code or a refusal, or the page again with the problem."""
    form = read_parameters(request)
    sealed = form.get("page", "")
    page = _open(sealed, guard)
    if not hmac.compare_digest(page.nonce.encode(), request.cookies.get(COOKIE, "").encode()):
        raise Wrong("This page was not opened in this browser. Start again from your client.")
    if form.get("choice") != "allow":
        return _back(page.asked, page.state, error="access_denied")
    try:
        grant = guard.keyring.admit(*pages.key_pair(guard, form), request_address())
    except (Refused, TooManyFailures, GceError) as error:
        problem = error.message if isinstance(error, GceError) else str(error)
        audit.refused("consent", problem, request_address())
        return _signin(page, sealed, problem)
    audit.issued("code", grant.credential_id, grant.identity.account, request_address())
    return _back(page.asked, page.state, code=codes.bound(page.asked, grant.credential_id, guard.keyring.now))


def _asked(query: Mapping[str, str]) -> Asked:
    address = _short(query, "redirect_uri")
    client = _short(query, "client_id")
    if not client:
        raise Wrong("The client did not say who it is (client_id).")
    if address not in SHOWN and not _is_loopback(address):
        raise Wrong("The client wants the code sent elsewhere than to this computer (redirect_uri). Refused.")
    return Asked(client, address, _short(query, "scope"), _short(query, "code_challenge"))


def _short(query: Mapping[str, str], name: str) -> str:
    value = query.get(name, "")
    if len(value) > LONGEST or any(ord(character) < 32 for character in value):
        raise Wrong(f"The parameter {name} is too long or holds control characters.")
    return value


def _is_loopback(address: str) -> bool:
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return False
    plain = parts.scheme == "http" and parts.hostname in LOOPBACK and not parts.fragment
    return plain and parts.username is None and port != 0 and "\\" not in address


def _back(asked: Asked, state: str, **answered: str) -> Response:
    """To the client: by redirect, or shown on a page."""
    if asked.redirect_uri in SHOWN:
        status = 200 if "code" in answered else 400
        return pages.page("code", status=status, code=answered.get("code", ""), error=answered.get("error", ""))
    parts = urlsplit(asked.redirect_uri)
    added = urlencode(answered | ({"state": state} if state else {}))
    target = urlunsplit(parts._replace(query=f"{parts.query}&{added}" if parts.query else added))
    response = pages.protected(Response(status=303))
    response.headers["Location"] = target
    response.delete_cookie(COOKIE)
    return response


def _seal(page: Page, guard: Gatekeeper) -> str:
    return guard.sealer.seal(json.dumps(asdict(page)).encode())


def _open(sealed: str, guard: Gatekeeper) -> Page:
    try:
        content = json.loads(guard.sealer.open(sealed))
        page = Page(Asked(**content.pop("asked")), **content)
    except (Unsealable, ValueError, TypeError, KeyError, AttributeError):
        raise Wrong("This page cannot be read. Start again from your client.") from None
    if page.expires_at <= guard.keyring.now:
        raise Wrong("This page has expired. Start again from your client.")
    return page


def _guarded(view: View, guard: Gatekeeper) -> Response:
    try:
        return view(guard)
    except (Wrong, OAuthError) as error:
        audit.refused("consent", str(error), request_address())
        return pages.page("code", status=getattr(error, "status", 400), code="", error=str(error))


def _signin(page: Page, sealed: str, problem: str = "") -> Response:
    asked = page.asked
    shown = asked.redirect_uri in SHOWN
    return pages.page(
        "signin",
        status=403 if problem else 200,
        then="" if shown else asked.redirect_uri,
        shown=shown,
        page=page,
        known=KNOWN_CLIENTS.get(asked.client_id, ""),
        scopes=asked.scope.split(),
        sealed=sealed,
        problem=problem,
        path=request.path,
    )
