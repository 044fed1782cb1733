"""The credentials page: what a person sees and may end of what acts in their name, and the key files they make.

Apart from the consent page, which lets one client in. A person signs in as there and gets a session of fifteen
minutes in a cookie; it shows the credentials and refresh tokens of their own CloudStack user and of nobody else. The
surprising thing: a new key file is the answer to the form itself, as a download, since it exists nowhere else.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from flask import Blueprint, Flask, Response, request

from gstack.auth import audit, credentials, forms, pages, tokens
from gstack.auth.forms import Unusable
from gstack.auth.grant import Grant, grant_of
from gstack.auth.guard import Gatekeeper, request_address
from gstack.auth.identity import Refused
from gstack.auth.limiter import TooManyFailures
from gstack.auth.wire import OAuthError, read_parameters
from gstack.errors import GceError
from gstack.store.credentials import SERVICE_ACCOUNT, Credential

PATH = "/credentials"
COOKIE = "gstack_session"
SESSION_SECONDS = 900
SIGNIN = {"for": PATH}  # what the form to sign in is for; those of clients name a client
Action = Callable[[Gatekeeper, Grant, Mapping[str, str]], Response]


def register(app: Flask, guard: Gatekeeper) -> None:
    """Add the page to ``app``."""
    blueprint = Blueprint("credentials_page", __name__)
    blueprint.add_url_rule(PATH, "show", partial(_answered, show, guard), methods=["GET"])
    blueprint.add_url_rule(PATH, "act", partial(_answered, act, guard), methods=["POST"])
    app.register_blueprint(blueprint)


def show(guard: Gatekeeper) -> Response:
    """Everything that acts for the person, or the form to sign in."""
    grant = _session(guard)
    return _overview(guard, grant) if grant is not None else _signin(guard)


def act(guard: Gatekeeper) -> Response:
    """Sign in, or do what a button says. Every other action needs the session's own form."""
    form = read_parameters(request)
    if form.get("action") == "signin":
        return _enter(guard, form)
    grant = _session(guard)
    if grant is None:
        return _signin(guard, "Your session has ended. Sign in again.")
    if not hmac.compare_digest(form.get("form", "").encode(), _form_key().encode()):
        audit.refused("page", "a form of another session or site")
        return _overview(guard, grant, "This form is not from this session. Nothing was done.")
    action = ACTIONS.get(form.get("action", ""))
    if action is None:
        return _overview(guard, grant, "There is no such action.")
    try:
        return action(guard, grant, form)
    except GceError as error:
        audit.refused("page", error.message)
        return _overview(guard, grant, error.message)


def _enter(guard: Gatekeeper, form: Mapping[str, str]) -> Response:
    sealed = form.get("page", "")
    try:
        shown = forms.opened(sealed, guard)
        if shown.content != SIGNIN:
            raise Unusable("This page is for something else.")
    except Unusable as error:
        audit.refused("page", str(error))
        return _signin(guard, f"{error} Sign in here.")
    try:
        grant = guard.keyring.admit(*pages.key_pair(guard, form), request_address())
        session, now = tokens.new_secret(), guard.keyring.now
        tokens.keep(session, grant.credential_id, tokens.SESSION, "", now=now, seconds=SESSION_SECONDS)
    except (Refused, TooManyFailures, GceError, tokens.Ended) as error:
        problem = error.message if isinstance(error, GceError) else str(error)
        audit.refused("page", problem)
        return _signin_page(sealed, problem)
    audit.issued("page", grant.credential_id, grant.identity.account)
    response = _again()
    response.set_cookie(
        COOKIE,
        session,
        path=PATH,
        max_age=SESSION_SECONDS,
        secure=request.is_secure,
        httponly=True,
        samesite="Strict",
    )
    return shown.release(response)


def _leave(guard: Gatekeeper, grant: Grant, form: Mapping[str, str]) -> Response:
    del guard, grant, form
    tokens.revoke(request.cookies.get(COOKIE, ""))
    response = _again()
    response.delete_cookie(COOKIE, path=PATH)
    return response


def _create(guard: Gatekeeper, grant: Grant, form: Mapping[str, str]) -> Response:
    made = credentials.create(
        guard.keyring,
        *guard.keyring.keys(grant.credential_id, grant.sealed_keys),
        name=form.get("name", "").strip() or None,
        project=form.get("project", "").strip() or None,
        url=request.url_root,
    )
    audit.changed("service account made", made.credential_id, grant.user)
    return _download(made)


def _rotate(guard: Gatekeeper, grant: Grant, form: Mapping[str, str]) -> Response:
    row = _own(guard, grant, form)
    made = credentials.rotate(guard.keyring, row.id, url=request.url_root)
    audit.changed("service account rotated", row.id, grant.user)
    return _download(made)


def _revoke(guard: Gatekeeper, grant: Grant, form: Mapping[str, str]) -> Response:
    row = _own(guard, grant, form)
    if row.kind != SERVICE_ACCOUNT:  # a person who revokes their own key pair could never sign in again to restore it
        raise GceError("failedPrecondition", "Only an operator ends a key pair. End its logins here instead.")
    credentials.revoke(guard.keyring, row.id, by="its user")
    audit.changed("service account revoked", row.id, grant.user)
    return _again()


def _end(guard: Gatekeeper, grant: Grant, form: Mapping[str, str]) -> Response:
    owners = {row.id for row in _rows(grant)}
    if tokens.end_refresh(form.get("login", ""), owners) is None:
        raise GceError("notFound", "There is no such login.")
    guard.keyring.grants.clear()
    audit.changed("login ended", grant.credential_id, grant.user)
    return _again()


ACTIONS: dict[str, Action] = {
    "create": _create,
    "rotate": _rotate,
    "revoke": _revoke,
    "end": _end,
    "leave": _leave,
}


def _session(guard: Gatekeeper) -> Grant | None:
    cookie = request.cookies.get(COOKIE, "")
    found = tokens.look_up(cookie, guard.keyring.now, grant_type=tokens.SESSION) if cookie else None
    if found is None:
        return None
    grant = grant_of(found[0], "page", found[1].expires_at)
    try:
        guard.keyring.confirm(grant)
    except Refused:
        return None
    audit.bind(grant)
    return grant


def _form_key() -> str:
    """What a form of this session holds and no other site can know: made of the session itself, of which the store
    has another hash."""
    return tokens.hashed(f"form\0{request.cookies.get(COOKIE, '')}")


def _rows(grant: Grant) -> list[Credential]:
    """The live credentials of the same CloudStack user."""
    return [row for row in credentials.listing() if row.revoked_at is None and _is_same_user(row, grant)]


def _is_same_user(row: Credential, grant: Grant) -> bool:
    mine = grant.identity
    if not mine.user_id:  # a role that may not list users: only what this very session stands for
        return row.id == grant.credential_id
    return row.user_id == mine.user_id and row.account_id == mine.account_id


def _own(guard: Gatekeeper, grant: Grant, form: Mapping[str, str]) -> Credential:
    del guard
    for row in _rows(grant):
        if row.id == form.get("credential"):
            return row
    raise GceError("notFound", "There is no such credential.")


def _overview(guard: Gatekeeper, grant: Grant, problem: str = "") -> Response:
    rows = _rows(grant)
    accounts = [row for row in rows if row.kind == SERVICE_ACCOUNT]
    logins = tokens.refresh_tokens([row.id for row in rows], guard.keyring.now)
    return pages.page(
        "credentials",
        status=403 if problem else 200,
        path=PATH,
        form=_form_key(),
        grant=grant,
        projects=[project.id for project in guard.reachable(grant)],
        accounts=[{"id": row.id, "email": row.email, "made": _day(row.created_at)} for row in accounts],
        logins=[
            {
                "id": tokens.login_id(row),
                "client": row.client or "a client",
                "made": _day(row.issued_at),
                "used": _day(row.used_at),
            }
            for row in logins
        ],
        problem=problem,
    )


def _signin(guard: Gatekeeper, problem: str = "") -> Response:
    form = forms.new(guard, SIGNIN)
    return form.bind(_signin_page(form.sealed(guard), problem))


def _signin_page(sealed: str, problem: str) -> Response:
    return pages.page("enter", status=403 if problem else 200, path=PATH, sealed=sealed, problem=problem)


def _again() -> Response:
    return pages.protected(Response(status=303, headers={"Location": PATH}))


def _download(made: credentials.Made) -> Response:
    content: dict[str, Any] = made.content
    response = pages.protected(Response(json.dumps(content, indent=2) + "\n", content_type="application/json"))
    response.headers["Content-Disposition"] = f'attachment; filename="{made.email.partition("@")[0]}.json"'
    return response


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _answered(view: Callable[[Gatekeeper], Response], guard: Gatekeeper) -> Response:
    try:
        return view(guard)
    except OAuthError as error:
        return pages.page("code", status=error.status_code, code="", error=error.description)
    except GceError as error:  # CloudStack cannot be asked
        return pages.page("code", status=error.http, code="", error=error.message)
