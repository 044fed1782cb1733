"""A table of attacks. Each is refused, each leaves a line in the audit log, and none changes anything for its victim.

Apart from the tests of each flow, which say what a flow accepts, so that all attacks can be read in one place.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from gstack.auth import codes, keyfiles
from gstack.auth.credentials import Made
from gstack.errors import GceError
from gstack.store.db import own_session
from gstack.store.sealing import Sealer

from .conftest import GCLOUD_AUDIENCE, HOST, NOW, Room, assertion, signed
from .test_consent import GCLOUD, LOOPBACK, OOB, ask, choose, redeem, sealed_page, sign_in

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
OWN_COLUMNS = "id, kind, email, key_hash, sealed_keys, account_id, user_id, revoked_at"


@dataclass
class Victim:
    """Somebody with everything that can be attacked."""

    room: Room
    made: Made
    access: str
    refresh: str
    pair: tuple[str, str]

    def refreshed(self, **changes: str) -> Any:
        form = {"refresh_token": self.refresh, "client_id": GCLOUD, "client_secret": "x"} | changes
        return self.room.post(grant_type="refresh_token", **form)

    def signed(self, **options: Any) -> Any:
        return self.room.post(grant_type=JWT_BEARER, assertion=assertion(self.made.content, **options))

    def is_well(self) -> bool:
        """Every way in is as good as before."""
        self.room.guard.keyring.grants.clear()
        key, secret = self.pair
        again = self.room.post(grant_type="client_credentials", client_id=key, client_secret=secret)
        answers = (again, self.refreshed(), self.signed())
        return all(answer.status_code == 200 for answer in answers) and bool(self.room.bearer(self.access))


@pytest.fixture
def victim(room: Room) -> Victim:
    made = room.service_account(name="robot")
    tokens = redeem(room, sign_in(room)).json
    return Victim(room, made, tokens["access_token"], tokens["refresh_token"], room.keys())


def rows(room: Room) -> list[Any]:
    with own_session() as session:
        return list(session.execute(text(f"SELECT {OWN_COLUMNS} FROM credential ORDER BY id")))


class Refusal:
    """An answer made of an exception, where the guard is asked without HTTP."""

    def __init__(self, error: GceError) -> None:
        self.status_code, self.text = error.http, error.message


def bearer(room: Room, token: str, host: str = HOST) -> Any:
    try:
        return room.bearer(token, host)
    except GceError as error:
        return Refusal(error)


def pair(room: Room, key: str, secret: str) -> Any:
    return room.post(grant_type="client_credentials", client_id=key, client_secret=secret)


def forged(victim: Victim) -> dict[str, Any]:
    """The victim's key file with another private key in it."""
    return victim.made.content | {"private_key": keyfiles.new_key_pair().private_key}


def unsigned(victim: Victim, alg: str) -> str:
    body = assertion(victim.made.content).split(".")[1]
    head = base64.urlsafe_b64encode(json.dumps({"alg": alg}).encode()).decode().rstrip("=")
    return f"{head}.{body}."


def altered(victim: Victim) -> str:
    head, body, mark = assertion(victim.made.content).split(".")
    other = assertion(victim.made.content, iss="other@x").split(".")[1]
    return f"{head}.{other if other != body else ''}.{mark}"


def replayed_code(room: Room, victim: Victim) -> Any:
    code = sign_in(room)
    assert redeem(room, code).status_code == 200
    return redeem(room, code)


def stolen_page(room: Room, victim: Victim) -> Any:
    page = sealed_page(ask(room))
    room.client = room.app.test_client()
    return choose(room, page, api_key=victim.pair[0], secret_key=victim.pair[1])


def foreign_project(room: Room, victim: Victim, spelling: str = "tenant") -> Any:
    own = {"Authorization": f"Bearer {victim.access}"}
    assert room.client.get(f"/v1/projects/{spelling}", headers=own, base_url=f"https://{HOST}").status_code == 200
    headers = {"Authorization": f"Bearer {room.pair_token('other')}"}
    return room.client.get(f"/v1/projects/{spelling}", headers=headers, base_url=f"https://{HOST}")


def number_of(room: Room) -> str:
    headers = {"Authorization": f"Bearer {room.pair_token()}"}
    found = room.client.get("/v1/projects/tenant", headers=headers, base_url=f"https://{HOST}").json
    return str(found["projectNumber"])


def claims_of(victim: Victim) -> dict[str, Any]:
    return {"iss": victim.made.email, "aud": GCLOUD_AUDIENCE, "iat": NOW, "exp": NOW + 60}


def asked_by(victim: Victim) -> codes.Asked:
    return codes.Asked(victim.pair[0], LOOPBACK, "", "")


ELSEWHERE = Sealer(keys=[Fernet.generate_key().decode()])


Attack = Callable[[Room, Victim], Any]
ATTACKS: dict[str, Attack] = {
    "a wrong secret": lambda room, victim: pair(room, victim.pair[0], "wrong"),
    "an attacker's secret with the victim's key": lambda room, victim: pair(
        room, victim.pair[0], room.keys("other")[1]
    ),
    "an empty secret": lambda room, victim: pair(room, victim.pair[0], ""),
    "an unknown key": lambda room, victim: pair(room, "unknown", victim.pair[1]),
    "an oversized secret": lambda room, victim: pair(room, victim.pair[0], "x" * 60_000),
    "an oversized body": lambda room, victim: pair(room, victim.pair[0], "x" * 200_000),
    "a secret with line breaks": lambda room, victim: pair(room, victim.pair[0], "a\r\nb"),
    "a replayed code": replayed_code,
    "a code with no verifier": lambda room, victim: redeem(room, sign_in(room), code_verifier=None),
    "a code with another verifier": lambda room, victim: redeem(room, sign_in(room), code_verifier="w" * 43),
    "a code for another redirect": lambda room, victim: redeem(room, sign_in(room), redirect_uri=OOB),
    "a code of another client": lambda room, victim: redeem(room, sign_in(room), client_id="evil"),
    "a foreign redirect": lambda room, victim: ask(room, redirect_uri="https://evil.test/"),
    "a redirect that only looks like loopback": lambda room, victim: ask(room, redirect_uri=LOOPBACK[:-6] + "@evil/"),
    "a consent page of another browser": stolen_page,
    "a refresh token at another client": lambda room, victim: victim.refreshed(client_id="evil"),
    "a refresh token as bearer": lambda room, victim: bearer(room, victim.refresh),
    "a refresh token guessed": lambda room, victim: victim.refreshed(refresh_token="gst_" + "A" * 43),
    "an access token altered": lambda room, victim: bearer(room, victim.access[:-1] + "_"),
    "an access token as refresh token": lambda room, victim: victim.refreshed(refresh_token=victim.access),
    "a bearer that is endless": lambda room, victim: bearer(room, "x" * 100_000),
    "a JWT of another key": lambda room, victim: room.post(grant_type=JWT_BEARER, assertion=assertion(forged(victim))),
    "a JWT altered": lambda room, victim: room.post(grant_type=JWT_BEARER, assertion=altered(victim)),
    "a JWT with alg none": lambda room, victim: room.post(grant_type=JWT_BEARER, assertion=unsigned(victim, "none")),
    "a JWT with alg HS256": lambda room, victim: room.post(grant_type=JWT_BEARER, assertion=unsigned(victim, "HS256")),
    "a bearer JWT with alg none": lambda room, victim: bearer(room, unsigned(victim, "none")),
    "a JWT for somebody else": lambda room, victim: victim.signed(sub="root@x"),
    "a JWT with the API's aud": lambda room, victim: victim.signed(aud="https://compute.googleapis.com/"),
    "a JWT for another token endpoint": lambda room, victim: victim.signed(aud="https://evil.test/token"),
    "an assertion as bearer": lambda room, victim: bearer(room, assertion(victim.made.content)),
    "a JWT for another gateway as bearer": lambda room, victim: bearer(
        room, assertion(victim.made.content, aud="https://other.test/")
    ),
    "a JWT of yesterday": lambda room, victim: victim.signed(iat=NOW - 90_000, exp=NOW - 86_400),
    "a JWT of tomorrow": lambda room, victim: victim.signed(iat=NOW + 86_400, exp=NOW + 90_000),
    "a JWT that lives for ever": lambda room, victim: victim.signed(exp=NOW + 10**9),
    "an oversized JWT": lambda room, victim: victim.signed(scope="x" * 20_000),
    "a JWT exchanged with an actor": lambda room, victim: room.post(
        grant_type=EXCHANGE,
        subject_token=victim.access,
        subject_token_type="urn:ietf:params:oauth:token-type:access_token",
        actor_token="x",
    ),
    "a JWT with something critical": lambda room, victim: room.post(
        grant_type=JWT_BEARER, assertion=signed(victim.made.content, claims_of(victim), {"crit": []})
    ),
    "an open code of another gateway": lambda room, victim: redeem(
        room, codes.unbound(asked_by(victim), ELSEWHERE, NOW), client_id=victim.pair[0], client_secret=victim.pair[1]
    ),
    "a consent page of another gateway": lambda room, victim: choose(
        room, ELSEWHERE.seal(room.guard.sealer.open(sealed_page(ask(room)))), api_key=victim.pair[0]
    ),
    "an assertion as id_token": lambda room, victim: room.client.get(
        "/tokeninfo", query_string={"id_token": assertion(victim.made.content)}, base_url=f"https://{HOST}"
    ),
    "a client id of odd letters": lambda room, victim: victim.refreshed(client_id=GCLOUD.replace(".", "\u2024")),
    "two clients in one header": lambda room, victim: room.client.post(
        "/token",
        data={"grant_type": "client_credentials"},
        headers={"Authorization": f"Basic eDp5,Basic {base64.b64encode(':'.join(victim.pair).encode()).decode()}"},
        base_url=f"https://{HOST}",
    ),
    "two bearers in one header": lambda room, victim: bearer(room, f"x,Bearer {victim.access}"),
    "another tenant's project": foreign_project,
    "another tenant's project by its number": lambda room, victim: foreign_project(room, victim, number_of(room)),
    "another tenant's project by its UUID": lambda room, victim: foreign_project(
        room, victim, room.guard.authenticate({"Authorization": f"Bearer {victim.access}"}, {}).identity.account_id
    ),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_an_attack_is_refused_logged_and_changes_nothing_for_its_victim(
    room: Room, victim: Victim, attack: Attack, logged: list[dict[str, Any]]
) -> None:
    before = rows(room)
    logged.clear()
    answer = attack(room, victim)
    assert 400 <= answer.status_code < 500, answer.text
    told = [event for event in logged if event["event"] == "token.refused" or event.get("status") == 404]
    assert told
    hidden = (*victim.pair, victim.access, victim.refresh, victim.made.content["private_key"])
    assert not any(secret in answer.text or secret in str(logged) for secret in hidden)
    known = {row.id for row in before}
    assert [row for row in rows(room) if row.id in known] == before
    assert victim.is_well()
