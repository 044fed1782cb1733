"""The credentials page: one's own and nobody else's, and no other site's buttons."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from gstack.auth import console, credentials, forms, tokens
from gstack.errors import GceError

from .conftest import HOST, Room, assertion
from .test_consent import ask, redeem, sealed_page, sign_in

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def see(room: Room) -> Any:
    return room.client.get("/credentials", base_url=f"https://{HOST}")


def press(room: Room, action: str, *, headers: dict[str, str] | None = None, **form: str) -> Any:
    data = {"action": action, **form}
    if action == "signin" and "page" not in form:
        data["page"] = sealed_page(see(room))
    return room.client.post("/credentials", data=data, base_url=f"https://{HOST}", headers=headers or {})


def signed_in(room: Room) -> Any:
    """The cookie of the session, if there is one."""
    return room.client.get_cookie(console.COOKIE, domain=HOST.partition(":")[0], path="/credentials")


def enter(room: Room, who: str = "tenant") -> str:
    """Sign in; what forms of the session hold."""
    api_key, secret_key = room.keys(who)
    assert press(room, "signin", api_key=api_key, secret_key=secret_key).status_code == 303
    match = re.search(r'name="form" value="([^"]+)"', see(room).text)
    assert match is not None
    return html.unescape(match[1])


def token_of(room: Room, content: dict[str, Any]) -> Any:
    return room.post(grant_type=JWT_BEARER, assertion=assertion(content))


def test_nobody_sees_anything_before_signing_in(room: Room) -> None:
    room.service_account(name="mine")
    page = see(room)
    assert page.status_code == 200 and "mine@" not in page.text and "Sign in" in page.text


def test_a_person_may_sign_in_with_a_password(room: Room) -> None:
    assert press(room, "signin", username="tenant", password="wrong", domain="acme").status_code == 403
    assert press(room, "signin", username="tenant", password="secret-tenant", domain="acme").status_code == 303
    assert "account <code>tenant</code>" in see(room).text


def test_a_key_file_is_made_downloaded_and_works(room: Room) -> None:
    form = enter(room)
    answer = press(room, "create", form=form, name="build", project="web-shop")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Disposition"] == 'attachment; filename="build.json"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json["token_uri"] == f"https://{HOST}/token" and answer.json["project_id"] == "web-shop"
    assert token_of(room, answer.json).status_code == 200
    page = see(room)
    assert "build@web-shop" in page.text and "PRIVATE KEY" not in page.text


def test_a_rotated_key_file_replaces_the_older_one(room: Room) -> None:
    form = enter(room)
    old = press(room, "create", form=form, name="build").json
    row = next(row for row in credentials.listing() if row.email == old["client_email"])
    new = press(room, "rotate", form=form, credential=row.id).json
    assert token_of(room, old).status_code == 400 and token_of(room, new).status_code == 200


def test_a_revoked_service_account_is_gone(room: Room) -> None:
    form = enter(room)
    made = press(room, "create", form=form, name="build").json
    row = next(row for row in credentials.listing() if row.email == made["client_email"])
    assert press(room, "revoke", form=form, credential=row.id).status_code == 303
    assert token_of(room, made).status_code == 400 and made["client_email"] not in see(room).text


def test_logins_are_listed_and_ended_one_by_one(room: Room) -> None:
    first, second = (redeem(room, sign_in(room)).json["refresh_token"] for _ in range(2))
    form = enter(room)
    page = see(room).text
    ids = re.findall(r'name="login" value="(\w+)"', page)
    assert len(ids) == 2 and page.count("gcloud") == 2 and first not in page
    chosen = tokens.hashed(first)[:16]
    assert press(room, "end", form=form, login=chosen).status_code == 303
    assert re.findall(r'name="login" value="(\w+)"', see(room).text) == [each for each in ids if each != chosen]
    for token, status in ((first, 400), (second, 200)):
        form_of_client = {"client_id": "32555940559.apps.googleusercontent.com", "client_secret": "x"}
        assert room.post(grant_type="refresh_token", refresh_token=token, **form_of_client).status_code == status


@pytest.mark.parametrize("action", ["rotate", "revoke", "end"])
def test_what_belongs_to_others_is_neither_shown_nor_touched(room: Room, action: str) -> None:
    victim = room.service_account("other", name="theirs")
    refresh = redeem(room, sign_in(room, "other")).json["refresh_token"]
    form = enter(room, "tenant")
    assert "theirs@" not in see(room).text
    chosen = {"credential": victim.credential_id, "login": tokens.hashed(refresh)[:16]}
    assert press(room, action, form=form, **chosen).status_code == 403
    assert token_of(room, victim.content).status_code == 200
    assert tokens.look_up_refresh(refresh, room.guard.keyring.now) is not None


@pytest.mark.parametrize("form", ["", "x", "0" * 64, "é"])
def test_a_form_of_another_site_does_nothing(room: Room, form: str) -> None:
    enter(room)
    before = [row.id for row in credentials.listing()]
    answer = press(room, "create", form=form, name="evil")
    assert answer.status_code == 403 and [row.id for row in credentials.listing()] == before


def test_a_form_of_another_session_does_nothing(room: Room) -> None:
    theirs = enter(room, "other")
    press(room, "leave", form=theirs)
    enter(room, "tenant")
    assert press(room, "create", form=theirs, name="evil").status_code == 403


def test_another_site_signs_nobody_in(room: Room) -> None:
    api_key, secret_key = room.keys()
    for where in ("cross-site", "same-site"):
        answer = press(room, "signin", api_key=api_key, secret_key=secret_key, headers={"Sec-Fetch-Site": where})
        assert answer.status_code == 403 and signed_in(room) is None


@pytest.mark.parametrize("page", ["", "x", "another browser's", "a client's", "an old one"])
def test_nobody_is_signed_in_by_a_form_that_was_not_shown_to_them(room: Room, page: str) -> None:
    own = {"another browser's": lambda: sealed_page(see(room)), "a client's": lambda: sealed_page(ask(room))}
    sealed = own.get(page, lambda: sealed_page(see(room)) if page == "an old one" else page)()
    if page == "another browser's":
        room.client = room.app.test_client()
    room.clock.advance(forms.SECONDS if page == "an old one" else 0)
    answer = press(room, "signin", page=sealed, **dict(zip(("api_key", "secret_key"), room.keys(), strict=True)))
    assert answer.status_code == 403 and signed_in(room) is None
    assert credentials.listing() == [], "CloudStack was not even asked"
    assert press(room, "signin", page=sealed_page(answer), username="tenant", password="secret-tenant", domain="acme")
    assert signed_in(room) is not None, "the page that is shown instead is good"


def test_the_session_is_bound_to_the_page_ends_and_is_no_bearer(room: Room) -> None:
    enter(room)
    cookie = signed_in(room)
    assert cookie is not None and cookie.http_only and cookie.secure and cookie.same_site == "Strict"
    with pytest.raises(GceError):
        room.bearer(cookie.value)
    assert room.post("/introspect", token=cookie.value).json == {"active": False}
    room.clock.advance(console.SESSION_SECONDS)
    assert "Sign in" in see(room).text


def test_signing_out_ends_the_session_itself(room: Room) -> None:
    form = enter(room)
    cookie = signed_in(room)
    assert cookie is not None and press(room, "leave", form=form).status_code == 303
    room.client.set_cookie(console.COOKIE, cookie.value, domain=HOST.partition(":")[0], path="/credentials")
    assert "account <code>" not in see(room).text


def test_a_session_dies_with_the_key_pair(room: Room) -> None:
    enter(room)
    room.simulator.do("tenant", "registerUserKeys", id=room.user("tenant").id)
    room.clock.advance(61)
    assert "account <code>" not in see(room).text


def test_a_person_cannot_lock_their_own_key_pair_out(room: Room) -> None:
    form = enter(room)
    own = credentials.listing()[0]
    assert press(room, "revoke", form=form, credential=own.id).status_code == 403
    assert credentials.listing()[0].revoked_at is None


def test_the_page_runs_no_script_and_shows_names_as_text(room: Room) -> None:
    form = enter(room)
    answer = press(room, "create", form=form, name="<script>alert(1)</script>")
    assert "<script" not in answer.text and "&lt;script&gt;" in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy


@pytest.mark.parametrize("action", ["", "what", "signout"])
def test_an_action_that_does_not_exist_does_nothing(room: Room, action: str) -> None:
    assert press(room, action, form=enter(room)).status_code == 403
