"""Refresh tokens and token exchange: bound to their client, ended by revocation and by idleness."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select

from gstack.auth import credentials, tokens
from gstack.errors import GceError
from gstack.store.credentials import AccessToken, RefreshToken
from gstack.store.db import own_session

from .conftest import HOST, NOW, Room, assertion
from .test_consent import GCLOUD, LOOPBACK, SCOPE, ask, redeem, sign_in

DAY = 86_400
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
KIND = "urn:ietf:params:oauth:token-type:"


def refresh(room: Room, token: str, client_id: str = GCLOUD, **more: str) -> Any:
    return room.post(grant_type="refresh_token", refresh_token=token, client_id=client_id, **more)


def count(table: type) -> int:
    with own_session() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_refresh_token_gets_further_access_tokens_and_stays_the_same(room: Room) -> None:
    first = redeem(room, sign_in(room)).json
    for _ in range(2):
        answer = refresh(room, first["refresh_token"], client_secret="whatever")
        assert answer.status_code == 200, answer.json
        assert room.bearer(answer.json["access_token"]).identity.account == "tenant"
        assert "refresh_token" not in answer.json


def test_the_scope_of_a_refresh_changes_nothing(room: Room) -> None:
    token = redeem(room, sign_in(room)).json["refresh_token"]
    answer = refresh(room, token, scope="https://www.googleapis.com/auth/devstorage.read_only")
    assert answer.status_code == 200 and "id_token" in answer.json
    told = room.client.get("/tokeninfo", query_string={"access_token": answer.json["access_token"]}).json
    assert told["scope"] == SCOPE


def test_an_id_token_comes_only_with_the_scope_openid(room: Room) -> None:
    with_openid = redeem(room, sign_in(room)).json["refresh_token"]
    without = redeem(room, sign_in(room, scope="https://www.googleapis.com/auth/compute")).json["refresh_token"]
    assert "id_token" in refresh(room, with_openid).json
    assert "id_token" not in refresh(room, without).json


@pytest.mark.parametrize("client_id", ["another", "", GCLOUD.upper()])
def test_another_client_cannot_use_it(room: Room, client_id: str) -> None:
    token = redeem(room, sign_in(room)).json["refresh_token"]
    answer = refresh(room, token, client_id)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")
    assert "error_subtype" not in answer.json


def test_it_dies_after_ninety_days_without_use(room: Room) -> None:
    token = redeem(room, sign_in(room)).json["refresh_token"]
    for _ in range(3):
        room.clock.advance(89 * DAY)
        assert refresh(room, token).status_code == 200
    room.clock.advance(90 * DAY)
    assert refresh(room, token).status_code == 400
    redeem(room, sign_in(room))
    assert count(RefreshToken) == 1


def test_it_dies_with_its_credential_and_with_the_key_pair(room: Room) -> None:
    token = redeem(room, sign_in(room)).json["refresh_token"]
    room.clock.advance(61)
    room.user("tenant").state = "disabled"
    assert refresh(room, token).status_code == 400
    room.user("tenant").state = "enabled"
    assert refresh(room, token).status_code == 400
    other = redeem(room, sign_in(room)).json["refresh_token"]
    credentials.revoke(room.guard.keyring, credentials.listing()[0].id)
    assert refresh(room, other).status_code == 400


@pytest.mark.parametrize("token", ["", "x", "gst_" + "A" * 43, "a:b", ":"])
def test_an_invented_refresh_token_is_refused(room: Room, token: str) -> None:
    answer = refresh(room, token)
    assert answer.status_code == 400 and answer.json["error"] in ("invalid_grant", "invalid_request")


def test_an_access_token_is_no_refresh_token_and_the_other_way_round(room: Room) -> None:
    made = redeem(room, sign_in(room)).json
    assert refresh(room, made["access_token"]).status_code == 400
    with pytest.raises(GceError):
        room.bearer(made["refresh_token"])


def test_a_key_pair_is_a_refresh_token_too(room: Room) -> None:
    api_key, secret_key = room.keys()
    answer = refresh(room, f"{api_key}:{secret_key}", client_secret="whatever")
    assert answer.status_code == 200
    assert room.bearer(answer.json["access_token"]).identity.account == "tenant"


@pytest.mark.parametrize("room", [{"GSTACK_LITERAL_BEARER": "off"}], indirect=True)
def test_a_key_pair_is_neither_refresh_nor_subject_token_where_the_setting_is_off(room: Room) -> None:
    literal = ":".join(room.keys())
    for answer in (refresh(room, literal), exchange(room, literal)):
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")
    assert room.calls == [], "nor is CloudStack asked about it"


def test_a_client_with_a_key_pair_must_show_it_to_refresh(room: Room) -> None:
    api_key, secret_key = room.keys()
    location = ask(room, client_id=api_key, code_challenge=None, code_challenge_method=None).headers["Location"]
    code = location.partition("code=")[2].partition("&")[0].replace("%3D", "=")
    token = redeem(room, code, client_id=api_key, client_secret=secret_key, code_verifier=None).json["refresh_token"]
    assert refresh(room, token, api_key).status_code == 401
    assert refresh(room, token, api_key, client_secret="wrong").status_code == 401
    assert refresh(room, token, api_key, client_secret=secret_key).status_code == 200


def test_neither_tokens_nor_client_keys_are_in_the_store(room: Room) -> None:
    made = redeem(room, sign_in(room)).json
    with own_session() as session:
        session.connection().exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    stored = b"".join(path.read_bytes() for path in room.settings.folder.glob("gstack.db*"))
    for secret in (made["refresh_token"], made["access_token"], *room.keys()):
        assert secret.encode() not in stored


def test_revoking_a_refresh_token_ends_what_came_from_it_and_nothing_else(room: Room) -> None:
    first, second = redeem(room, sign_in(room)).json, redeem(room, sign_in(room)).json
    derived = refresh(room, first["refresh_token"]).json["access_token"]
    room.bearer(derived)
    assert room.post("/revoke", token=first["refresh_token"]).status_code == 200
    assert refresh(room, first["refresh_token"]).status_code == 400
    for token in (derived, first["access_token"]):
        with pytest.raises(GceError):
            room.bearer(token)
    room.bearer(second["access_token"])
    assert refresh(room, second["refresh_token"]).status_code == 200


def test_revoking_an_access_token_ends_its_refresh_token(room: Room) -> None:
    made = redeem(room, sign_in(room)).json
    tokens.revoke(made["access_token"])
    assert refresh(room, made["refresh_token"]).status_code == 400
    assert (count(AccessToken), count(RefreshToken)) == (0, 0)


def exchange(room: Room, token: str, kind: str = "access_token", **more: str) -> Any:
    return room.post(grant_type=EXCHANGE, subject_token=token, subject_token_type=KIND + kind, audience="//x", **more)


def test_an_access_token_is_exchanged_for_one_that_ends_with_it(room: Room) -> None:
    token = room.pair_token()
    room.clock.advance(3000)
    answer = exchange(room, token, requested_token_type=f"{KIND}access_token")
    assert answer.status_code == 200, answer.json
    assert answer.json["issued_token_type"] == f"{KIND}access_token"
    assert answer.json["expires_in"] == 600
    room.bearer(answer.json["access_token"])


def test_what_an_access_token_was_exchanged_for_ends_when_its_login_is_ended(room: Room) -> None:
    login = redeem(room, sign_in(room)).json
    exchanged = exchange(room, login["access_token"]).json["access_token"]
    room.post("/revoke", token=login["refresh_token"])
    with pytest.raises(GceError):
        room.bearer(exchanged)


def test_an_assertion_is_exchanged(room: Room) -> None:
    made = room.service_account()
    assert exchange(room, assertion(made.content), "jwt").status_code == 200
    assert exchange(room, assertion(made.content, target_audience="x"), "jwt").status_code == 400
    assert exchange(room, assertion(made.content, exp=NOW - 100, iat=NOW - 200), "jwt").status_code == 400


def test_a_key_pair_is_exchanged(room: Room) -> None:
    assert exchange(room, ":".join(room.keys())).status_code == 200
    assert exchange(room, "a:b").status_code == 400


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("saml2", {}),
        ("access_token", {"requested_token_type": f"{KIND}id_token"}),
        ("access_token", {"actor_token": "x"}),
        ("access_token", {"options": '{"accessBoundary": {"accessBoundaryRules": []}}'}),
    ],
)
def test_an_exchange_that_is_not_supported_is_refused(room: Room, kind: str, more: dict[str, str]) -> None:
    answer = exchange(room, room.pair_token(), kind, **more)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("token", ["x", "gst_" + "A" * 43, "a.b.c"])
def test_an_invented_subject_token_is_refused(room: Room, token: str) -> None:
    answer = exchange(room, token)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")


def test_redirects_of_the_login_do_not_carry_tokens(room: Room) -> None:
    assert "access_token" not in ask(room, response_type="token").headers["Location"]
    assert ask(room).headers.get("Location") is None and LOOPBACK


def test_a_refresh_token_that_is_revoked_while_it_is_used_gets_nothing(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = redeem(room, sign_in(room)).json["refresh_token"]
    keep = tokens.keep

    def revoke_first(*args: Any, **options: Any) -> None:
        tokens.revoke(token)
        keep(*args, **options)

    monkeypatch.setattr(tokens, "keep", revoke_first)
    answer = refresh(room, token)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")
    assert count(AccessToken) == 0


def test_refreshes_side_by_side_all_get_a_token_and_none_after_the_revocation(room: Room) -> None:
    token = redeem(room, sign_in(room)).json["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": GCLOUD}

    def ask_or_revoke(number: int) -> Any:
        client = room.app.test_client()
        if number == 4:
            return client.post("/revoke", data={"token": token})
        return client.post("/token", data=form, base_url=f"https://{HOST}")

    with ThreadPoolExecutor(8) as threads:
        assert {answer.status_code for answer in threads.map(ask_or_revoke, range(4))} == {200}
        answers = list(threads.map(ask_or_revoke, range(12)))
    assert {answer.status_code for answer in answers} <= {200, 400}
    assert count(AccessToken) == 0 and refresh(room, token).status_code == 400
