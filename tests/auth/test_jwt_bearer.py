"""The assertions of service-account key files, at the token endpoint."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from sqlalchemy import func, select

from gstack.auth import credentials, signing
from gstack.errors import GceError
from gstack.store.credentials import AccessToken
from gstack.store.db import own_session

from .conftest import HOST, NOW, Room, assertion, signed

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def exchange(room: Room, text: str, **more: str) -> Any:
    return room.post(grant_type=GRANT_TYPE, assertion=text, **more)


def tokens() -> int:
    with own_session() as session:
        return session.scalar(select(func.count()).select_from(AccessToken)) or 0


AUDIENCES = [
    "https://oauth2.googleapis.com/token",
    "https://www.googleapis.com/oauth2/v4/token",
    "https://accounts.google.com/o/oauth2/token",
    "https://accounts.google.com/o/oauth2/auth",
    f"https://{HOST}/token",
    f"https://{HOST}/o/oauth2/token",
    "https://localhost:5000/token",
]


@pytest.mark.parametrize("audience", AUDIENCES)
def test_an_assertion_for_a_token_endpoint_gets_a_token(room: Room, audience: str) -> None:
    made = room.service_account()
    answer = exchange(room, assertion(made.content, aud=audience))
    assert answer.status_code == 200, answer.json
    assert answer.json["expires_in"] == 3600
    grant = room.bearer(answer.json["access_token"])
    assert (grant.user, grant.identity.account) == (made.email, "tenant")


@pytest.mark.parametrize(
    "audience",
    ["https://compute.googleapis.com/", f"https://{HOST}/", "https://elsewhere.test/token", "", None],
)
def test_an_assertion_for_anything_else_gets_nothing(room: Room, audience: str | None) -> None:
    answer = exchange(room, assertion(room.service_account().content, aud=audience))
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")
    assert "aud" in answer.json["error_description"] and tokens() == 0


def test_an_assertion_without_a_key_id_is_found_by_its_issuer(room: Room) -> None:
    content = room.service_account().content
    claims = {"iss": content["client_email"], "aud": AUDIENCES[0], "iat": NOW, "exp": NOW + 3600}
    assert exchange(room, signed(content, claims, {"kid": None})).status_code == 200


def test_gclouds_first_call_gets_an_id_token_that_the_published_key_verifies(room: Room) -> None:
    made = room.service_account()
    answer = exchange(
        room, assertion(made.content, target_audience="32555940559.apps.googleusercontent.com", scope=None)
    )
    assert answer.status_code == 200 and set(answer.json) == {"id_token"}
    public = signing.public_keys(room.guard.sealer)
    assert ["d" in key for key in public] == [False]
    claims = jwt.decode(answer.json["id_token"], RSAKey.import_key(public[0]), algorithms=["RS256"]).claims
    assert claims["aud"] == "32555940559.apps.googleusercontent.com"
    assert (claims["email"], claims["exp"] - claims["iat"]) == (made.email, 3600)
    assert tokens() == 0


def test_an_id_token_is_no_bearer_and_no_assertion(room: Room) -> None:
    made = room.service_account()
    id_token = exchange(room, assertion(made.content, target_audience="x", scope=None)).json["id_token"]
    with pytest.raises(GceError):
        room.bearer(id_token)
    assert exchange(room, id_token).status_code == 400


def test_the_signing_key_is_made_once_and_kept_sealed(room: Room) -> None:
    made = room.service_account()
    for _ in range(2):
        exchange(room, assertion(made.content, target_audience="x"))
    assert len(signing.public_keys(room.guard.sealer)) == 1
    with own_session() as session:
        session.connection().exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    stored = b"".join(path.read_bytes() for path in room.settings.folder.glob("gstack.db*"))
    assert b"BEGIN PUBLIC KEY" in stored and b"PRIVATE KEY" not in stored


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW - 61, "iat": NOW - 3600},
        {"iat": NOW + 61},
        {"exp": NOW + 86_400},
        {"sub": "admin@acme.iam.gserviceaccount.com"},
        {"iss": "nobody@acme.iam.gserviceaccount.com"},
    ],
)
def test_a_wrong_assertion_is_an_invalid_grant(room: Room, changes: dict[str, Any]) -> None:
    answer = exchange(room, assertion(room.service_account().content, **changes))
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")
    assert tokens() == 0


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "é.é.é", "." * 20_000])
def test_an_assertion_that_is_none_is_refused(room: Room, text: str) -> None:
    answer = exchange(room, text)
    assert answer.status_code == 400 and answer.json["error"] in ("invalid_grant", "invalid_request")


def test_one_service_accounts_key_does_not_sign_for_another(room: Room) -> None:
    mine, victim = room.service_account("other", name="mine"), room.service_account("tenant", name="victim")
    for header in (None, {"kid": victim.key_id}, {"kid": None}):
        claims = {"iss": victim.email, "aud": AUDIENCES[0], "iat": NOW, "exp": NOW + 3600}
        assert exchange(room, signed(mine.content, claims, header)).status_code == 400


def test_cloudstack_is_asked_before_a_token_is_issued(room: Room) -> None:
    made = room.service_account()
    room.clock.advance(61)
    room.user("tenant").state = "disabled"
    answer = exchange(room, assertion(made.content, iat=NOW + 61, exp=NOW + 3600))
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")
    assert tokens() == 0


def test_while_cloudstack_is_away_an_old_verification_is_not_enough_for_a_new_token(room: Room) -> None:
    made = room.service_account()
    room.clock.advance(61)
    room.simulator.faults.add("cut", times=None)
    answer = exchange(room, assertion(made.content, iat=NOW + 61, exp=NOW + 3600))
    assert (answer.status_code, answer.json["error"]) == (503, "temporarily_unavailable")


def test_a_token_for_every_request_asks_cloudstack_once_a_minute(room: Room) -> None:
    made = room.service_account()
    room.calls.clear()
    for _ in range(5):
        assert exchange(room, assertion(made.content)).status_code == 200
    assert room.calls == []


def test_a_revoked_service_account_gets_nothing_more(room: Room) -> None:
    made = room.service_account()
    token = exchange(room, assertion(made.content)).json["access_token"]
    room.bearer(token)
    credentials.revoke(room.guard.keyring, made.email)
    assert exchange(room, assertion(made.content)).status_code == 400
    with pytest.raises(GceError):
        room.bearer(token)


def test_rotating_ends_the_old_key_file_and_its_tokens(room: Room) -> None:
    made = room.service_account()
    token = exchange(room, assertion(made.content)).json["access_token"]
    again = credentials.rotate(room.guard.keyring, made.credential_id, url=f"https://{HOST}")
    assert exchange(room, assertion(made.content)).status_code == 400
    assert exchange(room, assertion(again.content)).status_code == 200
    assert (again.email, again.project) == (made.email, made.project)
    with pytest.raises(GceError):
        room.bearer(token)
