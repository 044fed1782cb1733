"""The database is taken away between two steps of one login: whoever is under way is told so, and never by a 500."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete
from sqlalchemy.exc import DatabaseError, OperationalError

from gstack.auth.keyring import Keyring
from gstack.store.credentials import Credential
from gstack.store.db import own_session

from .conftest import Room
from .test_consent import GCLOUD, LOOPBACK, VERIFIER, ask, choose, sealed_page, sign_in
from .test_console import enter, press, see


def lost_after(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Every credential is gone once the key ring has done ``step``."""
    found = getattr(Keyring, step)

    def done(*args: Any, **more: Any) -> Any:
        answer = found(*args, **more)
        with own_session() as session:
            session.execute(delete(Credential))
            session.commit()
        return answer

    monkeypatch.setattr(Keyring, step, done)


def test_a_token_of_a_key_pair_is_not_to_be_had(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    api_key, secret_key = room.keys()
    lost_after(monkeypatch, "admit")
    answer = room.post(grant_type="client_credentials", client_id=api_key, client_secret=secret_key)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")


def test_a_code_gets_no_refresh_token(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    code = sign_in(room)
    lost_after(monkeypatch, "confirm")
    sent = {"code": code, "client_id": GCLOUD, "redirect_uri": LOOPBACK, "code_verifier": VERIFIER}
    answer = room.post(grant_type="authorization_code", **sent)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")


def test_a_person_gets_no_code_and_is_told_to_sign_in_again(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    page = sealed_page(ask(room))
    api_key, secret_key = room.keys()
    lost_after(monkeypatch, "admit")
    answer = choose(room, page, api_key=api_key, secret_key=secret_key)
    assert answer.status_code == 400 and "Sign in again." in answer.text


def test_a_person_has_no_session(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    page = sealed_page(see(room))
    api_key, secret_key = room.keys()
    lost_after(monkeypatch, "admit")
    answer = press(room, "signin", page=page, api_key=api_key, secret_key=secret_key)
    assert answer.status_code == 403 and "Sign in again." in answer.text


def test_a_key_file_is_not_replaced(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    made = room.service_account(name="mine")
    form = enter(room)
    room.clock.advance(61)
    lost_after(monkeypatch, "identify")
    answer = press(room, "rotate", form=form, credential=made.credential_id)
    assert answer.status_code < 500 and "PRIVATE KEY" not in answer.text


@pytest.mark.parametrize("error", [OperationalError, DatabaseError])
def test_a_token_endpoint_whose_store_is_away_says_so(
    room: Room, monkeypatch: pytest.MonkeyPatch, error: type[DatabaseError]
) -> None:
    def away(*_: Any) -> None:
        raise error("SELECT 1", {}, Exception("database disk image is malformed"))

    monkeypatch.setattr(Keyring, "admit", away)
    answer = room.post(grant_type="client_credentials", client_id="k", client_secret="s")
    assert (answer.status_code, answer.json["error"]) == (503, "temporarily_unavailable")
    assert "malformed" not in answer.text
