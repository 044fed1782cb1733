"""The token endpoint with key pairs: what is handed out, to whom, and how refusals look."""

from __future__ import annotations

import base64
import json
import logging
from typing import Any

import pytest
from sqlalchemy import func, select

from gstack.auth.oauth import TOKEN_PATHS
from gstack.errors import GceError
from gstack.store.credentials import AccessToken, Credential
from gstack.store.db import own_session

from .conftest import HOST, NOW, Room


def count(model: type) -> int:
    with own_session() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def pair(room: Room, who: str = "tenant") -> dict[str, str]:
    api_key, secret_key = room.keys(who)
    return {"grant_type": "client_credentials", "client_id": api_key, "client_secret": secret_key}


@pytest.mark.parametrize("path", TOKEN_PATHS)
def test_every_path_hands_out_a_token(room: Room, path: str) -> None:
    answer = room.post(path, **pair(room))
    assert answer.status_code == 200
    assert answer.json["token_type"] == "Bearer"
    assert answer.json["expires_in"] == 3600 and isinstance(answer.json["expires_in"], int)
    assert room.bearer(answer.json["access_token"]).identity.account == "tenant"
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_json_body_does_as_well_as_a_form(room: Room) -> None:
    answer = room.client.post("/token", json=pair(room))
    assert answer.status_code == 200


def test_a_basic_header_does_as_well_as_the_body(room: Room) -> None:
    answer = room.client.post("/token", data={"grant_type": "client_credentials"}, auth=room.keys())
    assert answer.status_code == 200


def test_the_token_knows_user_account_and_domain(room: Room) -> None:
    grant = room.bearer(room.pair_token())
    assert grant.identity.user_name == "tenant"
    assert grant.identity.user_email == "tenant@example.invalid"
    assert grant.identity.account_id == "534dafe0-3115-4f55-88b0-606f31a0c2f4"
    assert grant.identity.domain_path == "ROOT/acme"


@pytest.mark.parametrize("part", ["client_id", "client_secret"])
def test_an_unknown_key_and_a_wrong_secret_are_refused_in_the_same_words(room: Room, part: str) -> None:
    answers = []
    for name in ("client_id", "client_secret"):
        answer = room.post(**(pair(room) | {name: "wrong"}))
        assert answer.status_code == 401 and "access_token" not in answer.json
        answers.append((answer.status_code, answer.json, dict(answer.headers)))
    assert answers[0] == answers[1]
    assert answers[0][1]["error"] == "invalid_client"


def test_a_wrong_pair_leaves_nothing_behind(room: Room) -> None:
    room.post(**(pair(room) | {"client_secret": "wrong"}))
    assert count(Credential) == 0 and count(AccessToken) == 0


def test_a_wrong_secret_does_not_spoil_the_right_one(room: Room) -> None:
    token = room.pair_token()
    assert room.post(**(pair(room) | {"client_secret": "wrong"})).status_code == 401
    assert room.bearer(token).identity.account == "tenant"
    assert room.post(**pair(room)).status_code == 200


def test_a_disabled_user_gets_no_token(room: Room) -> None:
    room.user("tenant").state = "disabled"
    assert room.post(**pair(room)).status_code == 401


WRONG: list[tuple[dict[str, Any], int, str]] = [
    ({}, 400, "invalid_request"),
    ({"grant_type": ""}, 400, "invalid_request"),
    ({"grant_type": "password", "username": "a", "password": "b"}, 400, "unsupported_grant_type"),
    ({"grant_type": "CLIENT_CREDENTIALS"}, 400, "unsupported_grant_type"),
    ({"grant_type": "__class__"}, 400, "unsupported_grant_type"),
    ({"grant_type": "client_credentials"}, 401, "invalid_client"),
    ({"grant_type": "client_credentials", "client_id": "x"}, 401, "invalid_client"),
    ({"grant_type": "client_credentials", "client_id": "", "client_secret": "y"}, 401, "invalid_client"),
    ({"grant_type": "client_credentials", "client_id": "a\nb", "client_secret": "y"}, 401, "invalid_client"),
    ({"grant_type": "client_credentials", "client_id": "é", "client_secret": "y"}, 401, "invalid_client"),
    ({"grant_type": "client_credentials", "client_id": "x" * 600, "client_secret": "y"}, 401, "invalid_client"),
]


@pytest.mark.parametrize(("body", "status", "error"), WRONG)
def test_a_wrong_request_is_refused_in_oauths_shape(room: Room, body: dict[str, Any], status: int, error: str) -> None:
    answer = room.post(**body)
    assert (answer.status_code, answer.json["error"]) == (status, error)
    assert set(answer.json) == {"error", "error_description"}
    assert answer.headers["Cache-Control"] == "no-store"
    assert room.calls == []


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'"x"', b"null", b'{"grant_type": 7}', b'{"grant_type": ["a"]}', b"\xff", b"[" * 9999]
)
def test_a_json_body_of_the_wrong_type_is_refused(room: Room, data: bytes) -> None:
    answer = room.client.post("/token", data=data, content_type="application/json")
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "kind", ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_an_oversize_body_is_refused(room: Room, kind: str) -> None:
    answer = room.client.post("/token", data=b"a=" + b"x" * 70_000, content_type=kind)
    assert (answer.status_code, answer.json["error"]) == (413, "invalid_request")


@pytest.mark.parametrize("kind", ["data", "json"])
def test_a_nul_that_no_store_takes_is_refused(room: Room, kind: str) -> None:
    api_key, secret_key = room.keys()
    body = {"grant_type": "client_credentials", "client_id": api_key, "client_secret": secret_key, "scope": "a\0b"}
    answer = room.client.post("/token", **{kind: body})
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")


def test_a_parameter_given_twice_is_refused(room: Room) -> None:
    answer = room.client.post(
        "/token", data="grant_type=client_credentials&grant_type=x", content_type="application/x-www-form-urlencoded"
    )
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")


def test_secrets_in_the_url_are_refused(room: Room) -> None:
    answer = room.client.post("/token", query_string=pair(room))
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")
    assert room.client.get("/token", query_string=pair(room)).status_code == 405


@pytest.mark.parametrize(
    "header", ["Basic", "Basic !!!", "Basic " + base64.b64encode(b"nocolon").decode(), "Basic /w=="]
)
def test_a_malformed_basic_header_is_refused(room: Room, header: str) -> None:
    answer = room.client.post("/token", data={"grant_type": "client_credentials"}, headers={"Authorization": header})
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")
    assert answer.headers["WWW-Authenticate"].startswith("Basic")


def test_two_ways_of_giving_the_secret_at_once_are_refused(room: Room) -> None:
    answer = room.client.post("/token", data=pair(room), auth=room.keys("other"))
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")


def test_while_cloudstack_is_away_nobody_new_comes_in_and_nobody_is_called_wrong(room: Room) -> None:
    room.simulator.faults.add("cut", times=None)
    answer = room.post(**pair(room))
    assert (answer.status_code, answer.json["error"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    room.simulator.faults.clear()
    assert room.post(**pair(room)).status_code == 200


def test_cloudstack_is_asked_once_a_minute_not_once_a_token(room: Room) -> None:
    room.pair_token()
    asked = len(room.calls)
    room.pair_token()
    assert len(room.calls) == asked
    room.clock.advance(61)
    room.pair_token()
    assert len(room.calls) > asked


def test_only_the_hash_of_a_token_is_in_the_store(room: Room) -> None:
    token = room.pair_token()
    api_key, secret_key = room.keys()
    with own_session() as session:
        session.connection().exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    stored = b"".join(path.read_bytes() for path in room.settings.folder.glob("gstack.db*"))
    assert b"tenant@example.invalid" in stored
    for secret in (token, token.removeprefix("gst_"), api_key, secret_key):
        assert secret.encode() not in stored


def test_a_token_survives_a_restart(room: Room) -> None:
    token = room.pair_token()
    assert room.second_process().authenticate({"Authorization": f"Bearer {token}"}, {}).identity.account == "tenant"


def test_a_token_ends_after_its_hour_and_is_purged_with_the_next(room: Room) -> None:
    token = room.pair_token()
    room.clock.advance(3599)
    room.bearer(token)
    room.clock.advance(1)
    with pytest.raises(GceError) as caught:
        room.bearer(token)
    assert caught.value.kind == "authError"
    room.pair_token()
    assert count(AccessToken) == 1


@pytest.mark.parametrize("room", [{"ACCESS_TOKEN_SECONDS": 600}], indirect=True)
def test_the_life_of_a_token_is_a_setting(room: Room) -> None:
    assert room.post(**pair(room)).json["expires_in"] == 600


def test_tokens_are_long_and_never_alike(room: Room) -> None:
    tokens = {room.pair_token() for _ in range(20)}
    assert len(tokens) == 20 and all(len(token) >= 43 for token in tokens)


def test_each_token_and_each_refusal_is_a_line_in_the_audit_log_without_secrets(
    room: Room, logged: list[dict[str, Any]]
) -> None:
    token = room.pair_token()
    room.post(**(pair(room) | {"client_secret": "wrong-secret\nforged line"}))
    issued, refused = logged
    assert (issued["event"], issued["grant"], issued["account"]) == ("token.issued", "'client_credentials'", "'tenant'")
    assert (refused["event"], refused["grant"], refused["address"]) == (
        "token.refused",
        "'client_credentials'",
        "127.0.0.1",
    )
    everything = str(logged)
    for secret in (token, *room.keys(), "wrong-secret", "forged line"):
        assert secret not in everything


def test_authlib_does_not_log_what_it_hands_out(
    room: Room, caplog: pytest.LogCaptureFixture, logged: list[dict[str, Any]]
) -> None:
    caplog.set_level(logging.DEBUG)
    room.pair_token()
    assert [event["event"] for event in logged] == ["token.issued"]
    assert not [record for record in caplog.records if record.name.startswith("authlib")]


def test_an_unexpected_failure_is_a_server_error_without_its_text(
    room: Room, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(type(room.guard.keyring), "admit", lambda *_: 1 / 0)
    answer = room.post(**pair(room))
    assert (answer.status_code, answer.json["error"]) == (500, "server_error")
    assert "division" not in json.dumps(answer.json)


def test_a_pair_that_comes_in_twice_is_one_credential(room: Room) -> None:
    room.pair_token()
    room.clock.advance(100)
    room.pair_token()
    assert count(Credential) == 1


def test_the_request_may_come_by_any_host(room: Room) -> None:
    answer = room.client.post("/o/oauth2/token", data=pair(room), base_url="https://accounts.google.com")
    assert answer.status_code == 200 and HOST not in answer.text and NOW
