"""Browser logins: the consent page, its codes, and everything that must not get one."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from gstack.auth import credentials, forms, password, signing
from gstack.auth.identity import Refused
from gstack.auth.limiter import MOST_FAILURES
from gstack.errors import GceError

from .conftest import HOST, Room

GCLOUD = "32555940559.apps.googleusercontent.com"
LOOPBACK = "http://localhost:8085/"
OOB = "urn:ietf:wg:oauth:2.0:oob"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
SCOPE = "openid https://www.googleapis.com/auth/cloud-platform"


def ask(room: Room, path: str = "/o/oauth2/auth", **changes: Any) -> Any:
    """What ``gcloud auth login`` opens in the browser, with changes."""
    query = {
        "response_type": "code",
        "client_id": GCLOUD,
        "redirect_uri": LOOPBACK,
        "scope": SCOPE,
        "state": "s&t=1",
        "access_type": "offline",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    } | changes
    query = {name: value for name, value in query.items() if value is not None}
    return room.client.get(path, query_string=query, base_url=f"https://{HOST}")


def sealed_page(answer: Any) -> str:
    match = re.search(r'name="page" value="([^"]+)"', answer.text)
    assert match is not None, answer.text
    return html.unescape(match[1])


def choose(room: Room, page: str, choice: str = "allow", *, path: str = "/o/oauth2/auth", **form: str) -> Any:
    return room.client.post(path, data={"page": page, "choice": choice, **form}, base_url=f"https://{HOST}")


def sign_in(room: Room, who: str = "tenant", **changes: Any) -> str:
    """The code that a person who signs in with a key pair sends back to the client."""
    api_key, secret_key = room.keys(who)
    answer = choose(room, sealed_page(ask(room, **changes)), api_key=api_key, secret_key=secret_key)
    assert answer.status_code == 303, answer.text
    return parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]


def redeem(room: Room, code: str, **changes: Any) -> Any:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": LOOPBACK,
        "client_id": GCLOUD,
        "client_secret": "not a secret",
        "code_verifier": VERIFIER,
    } | changes
    return room.post(**{name: value for name, value in form.items() if value is not None})


@pytest.mark.parametrize("path", ["/o/oauth2/auth", "/o/oauth2/v2/auth", "/oauth2/auth"])
def test_a_person_who_signs_in_lets_the_client_in(room: Room, path: str) -> None:
    page = ask(room, path)
    assert page.status_code == 200 and GCLOUD in page.text
    api_key, secret_key = room.keys()
    answer = choose(room, sealed_page(page), path=path, api_key=api_key, secret_key=secret_key)
    target = urlsplit(answer.headers["Location"])
    found = parse_qs(target.query)
    assert (target.netloc, found["state"]) == ("localhost:8085", ["s&t=1"])
    tokens = redeem(room, found["code"][0])
    assert tokens.status_code == 200, tokens.json
    assert set(tokens.json) == {"access_token", "token_type", "expires_in", "refresh_token", "id_token"}
    assert room.bearer(tokens.json["access_token"]).identity.account == "tenant"


def test_the_id_token_of_a_login_names_the_account(room: Room) -> None:
    id_token = redeem(room, sign_in(room)).json["id_token"]
    key = RSAKey.import_key(signing.public_keys(room.guard.sealer)[0])
    claims = jwt.decode(id_token, key, algorithms=["RS256"]).claims
    assert (claims["email"], claims["aud"]) == ("tenant@example.invalid", GCLOUD)


def test_a_code_is_good_once(room: Room) -> None:
    code = sign_in(room)
    assert redeem(room, code).status_code == 200
    again = redeem(room, code)
    assert (again.status_code, again.json["error"]) == (400, "invalid_grant")


def test_of_many_who_redeem_a_code_at_once_one_gets_a_token(room: Room) -> None:
    code = sign_in(room)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": LOOPBACK, "client_id": GCLOUD}

    def redeem_it(_: int) -> int:
        return room.app.test_client().post("/token", data=form | {"code_verifier": VERIFIER}).status_code

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(redeem_it, range(8))) == [200] + [400] * 7


def test_a_code_is_good_for_a_minute(room: Room) -> None:
    code = sign_in(room)
    room.clock.advance(60)
    assert redeem(room, code).status_code == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "another"},
        {"client_id": None},
        {"redirect_uri": "http://localhost:8086/"},
        {"redirect_uri": None},
        {"code_verifier": None},
        {"code_verifier": CHALLENGE},
        {"code_verifier": "w" * 43},
        {"code_verifier": ""},
        {"code_verifier": "é" * 43},
    ],
)
def test_a_code_is_good_for_its_client_its_address_and_its_verifier_only(room: Room, changes: dict[str, Any]) -> None:
    code = sign_in(room)
    assert redeem(room, code, **changes).status_code == 400
    assert redeem(room, code).status_code == 400, "a failed try uses the code up"


@pytest.mark.parametrize("code", ["", "x", "open.", "open.x", "é"])
def test_an_invented_code_is_refused(room: Room, code: str) -> None:
    assert redeem(room, code).status_code in (400, 401)


def test_a_code_of_a_credential_that_was_revoked_meanwhile_is_refused(room: Room) -> None:
    code = sign_in(room)
    credentials.revoke(room.guard.keyring, credentials.listing()[0].id)
    assert redeem(room, code).status_code == 400


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost:8085/",
        "http://127.0.0.1:1/",
        "http://[::1]:8080/x",
        "http://localhost/",
        "http://localhost:9/?a=b",
    ],
)
def test_loopback_addresses_get_their_code(room: Room, address: str) -> None:
    code = sign_in(room, redirect_uri=address)
    assert redeem(room, code, redirect_uri=address).status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "http://localho\u017ft:8085/",
        " http://localhost:8085/",
        "http://localhost:8085/ a",
        "http://localhost:8085/\x7f",
        "https://evil.test/",
        "http://evil.test/",
        "https://localhost/",
        "http://localhost.evil.test/",
        "http://localhost@evil.test/",
        "http://evil.test@localhost/",
        "http://localhost\\@evil.test/",
        "http://localhost:8085\\.evil.test/",
        "http://localhost:99999/",
        "http://localhost:0/",
        "http://[::1].evil.test/",
        "http://[::1]:80.evil.test/",
        "http://[::1]evil.test:80/",
        "http://localhost/#x",
        "//localhost/",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://127.0.0.2.evil.test/",
        "http://0.0.0.0/",
        "http://localhost/\r\nSet-Cookie: a=b",
        "http://localhost/?%zz",
        "http://localhost/?a=é",
        "http://localhost/" + "x" * 3000,
        "",
        None,
    ],
)
def test_no_other_address_ever_gets_a_redirect(room: Room, address: str | None) -> None:
    for changes in ({}, {"code_challenge": None}, {"response_type": "token"}):
        answer = ask(room, redirect_uri=address, **changes)
        assert answer.status_code == 400 and "Location" not in answer.headers


@pytest.mark.parametrize(
    "address", [OOB, "https://sdk.cloud.google.com/authcode.html", "https://sdk.cloud.google/authcode.html"]
)
def test_a_code_to_be_copied_is_shown_and_not_sent(room: Room, address: str) -> None:
    api_key, secret_key = room.keys()
    answer = choose(room, sealed_page(ask(room, redirect_uri=address)), api_key=api_key, secret_key=secret_key)
    assert answer.status_code == 200 and "Location" not in answer.headers
    match = re.search(r"<code>(gst_[^<]+)</code>", answer.text)
    assert match is not None
    assert redeem(room, match[1], redirect_uri=address).status_code == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"state": ["a", "b"]}, "invalid_request"),
        ({"scope": ["a", "b"]}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
    ],
)
def test_a_wrong_request_goes_back_to_the_client_as_an_error(room: Room, changes: dict[str, Any], error: str) -> None:
    answer = ask(room, **changes)
    assert answer.status_code == 303
    assert parse_qs(urlsplit(answer.headers["Location"]).query)["error"] == [error]


@pytest.mark.parametrize("kind", ['a"b', "é", "<b>", "x" * 3000])
def test_what_no_error_may_repeat_is_said_on_the_page(room: Room, kind: str) -> None:
    answer = ask(room, response_type=kind)
    assert answer.status_code == 400 and "Location" not in answer.headers and kind not in answer.text


def test_denying_sends_no_code(room: Room) -> None:
    answer = choose(room, sealed_page(ask(room)), "deny")
    found = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert found["error"] == ["access_denied"] and "code" not in found
    assert room.calls == []


def test_a_wrong_key_pair_shows_the_page_again(room: Room) -> None:
    answer = choose(room, sealed_page(ask(room)), api_key=room.keys()[0], secret_key="wrong-secret")
    assert answer.status_code == 403 and "API key or the secret key is wrong" in answer.text
    assert "wrong-secret" not in answer.text and credentials.listing() == []
    assert sealed_page(answer)


def test_another_browsers_page_is_not_accepted(room: Room) -> None:
    page = sealed_page(ask(room))
    room.client = room.app.test_client()
    ask(room)
    api_key, secret_key = room.keys()
    answer = choose(room, page, api_key=api_key, secret_key=secret_key)
    assert answer.status_code == 400 and "Location" not in answer.headers


def test_logins_side_by_side_end_in_any_order(room: Room) -> None:
    api_key, secret_key = room.keys()
    pages = [sealed_page(ask(room, state=str(number))) for number in range(3)]
    for number in (0, 2, 1):
        answer = choose(room, pages[number], api_key=api_key, secret_key=secret_key)
        assert answer.status_code == 303, answer.text
        assert parse_qs(urlsplit(answer.headers["Location"]).query)["state"] == [str(number)]
    assert choose(room, pages[0], api_key=api_key, secret_key=secret_key).status_code == 400, "and each ends once"


def test_a_page_is_answered_from_where_the_browser_says_it_is_itself(room: Room) -> None:
    form = {"page": sealed_page(ask(room)), "choice": "deny"}
    for where, status in (("cross-site", 400), ("same-site", 400), ("same-origin", 303)):
        headers = {"Sec-Fetch-Site": where}
        answer = room.client.post("/o/oauth2/auth", data=form, base_url=f"https://{HOST}", headers=headers)
        assert answer.status_code == status


def test_pages_that_nobody_answers_do_not_fill_up_a_browser(room: Room) -> None:
    for _ in range(3 * forms.MOST):
        page = sealed_page(ask(room))
    assert len(room.client._cookies) <= forms.MOST
    assert choose(room, page, "deny").status_code == 303


@pytest.mark.parametrize("page", ["", "x", "gAAAA", "é"])
def test_a_forged_page_is_not_accepted(room: Room, page: str) -> None:
    ask(room)
    assert choose(room, page).status_code == 400


def test_a_page_of_another_kind_of_seal_is_not_accepted(room: Room) -> None:
    ask(room)
    for content in (b"{}", b"[]", b'{"asked": {}}', b'{"asked": 1, "state": 2}', b"x"):
        assert choose(room, room.guard.sealer.seal(content)).status_code == 400


def test_a_page_expires(room: Room) -> None:
    page = sealed_page(ask(room))
    room.clock.advance(601)
    assert choose(room, page, "deny").status_code == 400


def test_the_page_cannot_be_framed_or_scripted_and_shows_what_the_client_says_as_text(room: Room) -> None:
    answer = ask(room, client_id="<script>alert(1)</script>")
    assert "<script" not in answer.text and "&lt;script&gt;" in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Frame-Options"] == "DENY" and answer.headers["Cache-Control"] == "no-store"
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Secure" in cookie


def test_the_gcutil_way_needs_no_page_but_a_key_pair(room: Room) -> None:
    api_key, secret_key = room.keys()
    answer = ask(room, client_id=api_key, code_challenge=None, code_challenge_method=None)
    assert answer.status_code == 303
    code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
    assert redeem(room, code, client_id=api_key, client_secret="wrong", code_verifier=None).status_code == 401
    assert redeem(room, code, client_id=GCLOUD).status_code == 400
    tokens = redeem(room, code, client_id=api_key, client_secret=secret_key, code_verifier=None)
    assert tokens.status_code == 200 and "refresh_token" in tokens.json


def open_code(room: Room) -> str:
    answer = ask(room, client_id=room.keys()[0], code_challenge=None, code_challenge_method=None)
    return parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]


@pytest.mark.parametrize("respelled", ["", "\n", "!"])
def test_a_code_that_nobody_signed_in_for_is_good_once_however_it_is_written(room: Room, respelled: str) -> None:
    api_key, secret_key = room.keys()
    code, other = open_code(room), open_code(room)
    changes = {"client_id": api_key, "client_secret": secret_key, "code_verifier": None}
    assert redeem(room, code, **changes).status_code == 200
    again = redeem(room, code + respelled, **changes)
    assert (again.status_code, again.json["error"]) == (400, "invalid_grant")
    assert redeem(room, other, **changes).status_code == 200


def test_of_many_who_redeem_such_a_code_at_once_one_gets_a_token(room: Room) -> None:
    api_key, secret_key = room.keys()
    form = {"client_id": api_key, "client_secret": secret_key, "grant_type": "authorization_code"}
    form |= {"code": open_code(room), "redirect_uri": LOOPBACK}

    def post(_: int) -> int:
        return room.app.test_client().post("/token", data=form, base_url=f"https://{HOST}").status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(post, range(8))) == [200] + [400] * 7


def test_a_code_that_nobody_signed_in_for_is_good_for_a_minute(room: Room) -> None:
    api_key, secret_key = room.keys()
    code = open_code(room)
    room.clock.advance(60)
    again = redeem(room, code, client_id=api_key, client_secret=secret_key, code_verifier=None)
    assert (again.status_code, again.json["error"]) == (400, "invalid_grant")


def test_a_verifier_does_not_fit_a_code_without_a_challenge(room: Room) -> None:
    api_key, secret_key = room.keys()
    answer = ask(room, client_id=api_key, code_challenge=None, code_challenge_method=None)
    code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
    assert redeem(room, code, client_id=api_key, client_secret=secret_key).status_code == 400


def test_gcutils_code_is_shown_where_it_asks_for_that(room: Room) -> None:
    answer = ask(room, client_id=room.keys()[0], redirect_uri=OOB, code_challenge=None, code_challenge_method=None)
    assert answer.status_code == 200 and "<code>open." in answer.text


def test_user_name_and_password_do_as_well_as_a_key_pair(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def key_pair(endpoint: Any, *given: str, may_make: bool, code: str) -> tuple[str, str]:
        seen.append((*given, may_make, code))
        return room.keys()

    monkeypatch.setattr(password, "key_pair", key_pair)
    page = sealed_page(ask(room))
    answer = choose(room, page, username="tenant", password="pw", domain="acme")
    assert answer.status_code == 303 and seen == [("tenant", "pw", "acme", False, "")]
    choose(
        room,
        sealed_page(ask(room)),
        username="tenant",
        password="pw",
        domain="acme",
        make_keys="yes",
        second_factor="1",
    )
    assert seen[1] == ("tenant", "pw", "acme", True, "1")


@pytest.mark.parametrize("who", ["tenant", "other"])
def test_a_password_is_asked_of_cloudstack_itself(room: Room, who: str) -> None:
    page = sealed_page(ask(room))
    wrong = choose(room, page, username=who, password="no", domain="acme")
    assert wrong.status_code == 403 and credentials.listing() == []
    answer = choose(room, page, username=who, password=f"secret-{who}", domain="acme")
    code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
    assert room.bearer(redeem(room, code).json["access_token"]).identity.account == who
    assert room.simulator.sessions.open == {}, "signed out again"


def test_the_person_sees_which_client_asks_for_what(room: Room) -> None:
    text = ask(room).text
    assert "Let gcloud act for you?" in text and GCLOUD in text and LOOPBACK in text
    assert all(f"<code>{scope}</code>" in text for scope in SCOPE.split())


@pytest.mark.parametrize(
    ("address", "allowed"),
    [(LOOPBACK, "'self' http://localhost:8085"), ("http://[::1]:9/x", "'self' http:"), (OOB, "'self'")],
)
def test_the_form_leads_to_the_clients_address_and_nowhere_else(room: Room, address: str, allowed: str) -> None:
    policy = ask(room, redirect_uri=address).headers["Content-Security-Policy"]
    assert f"; form-action {allowed};" in policy and "unsafe" not in policy


def test_wrong_passwords_are_counted(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def key_pair(*given: Any, **_: Any) -> tuple[str, str]:
        tries.append(given)
        raise Refused

    monkeypatch.setattr(password, "key_pair", key_pair)
    page = sealed_page(ask(room))
    for _ in range(MOST_FAILURES["key"] + 3):
        answer = choose(room, page, username="tenant", password="guess", domain="acme")
        assert answer.status_code == 403
    assert len(tries) == MOST_FAILURES["key"] and "Too many failed attempts" in answer.text


def test_wrong_passwords_are_counted_for_a_user_and_not_for_a_spelling(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def key_pair(*given: Any, **_: Any) -> tuple[str, str]:
        tries.append(given)
        raise Refused

    monkeypatch.setattr(password, "key_pair", key_pair)
    page = sealed_page(ask(room))
    spellings = [(name, domain) for name in ("jos\u00e9", "JOSE", "jose ") for domain in ("", "/", "ROOT", " /ROOT/ ")]
    assert len(spellings) > MOST_FAILURES["key"]
    for name, domain in spellings:
        choose(room, page, username=name, password="guess", domain=domain)
    assert len(tries) == MOST_FAILURES["key"]


def test_when_cloudstack_is_away_the_page_says_so(room: Room) -> None:
    room.simulator.faults.add("cut", times=None)
    api_key, secret_key = room.keys()
    answer = choose(room, sealed_page(ask(room)), api_key=api_key, secret_key=secret_key)
    assert answer.status_code == 403 and 'role="alert"' in answer.text


def test_a_code_is_no_bearer(room: Room) -> None:
    with pytest.raises(GceError):
        room.bearer(sign_in(room))
