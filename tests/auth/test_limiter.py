"""Failed attempts: counted per key and per network, across processes, and never against who is right."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gstack.auth import credentials, limiter
from gstack.auth.limiter import FAILURE_WINDOW_SECONDS, MOST_FAILURES, TooManyFailures, check, failed, subjects
from gstack.errors import GceError
from gstack.store.credentials import FailedAttempt
from gstack.store.db import own_session

from .conftest import NOW, Room, assertion


def attempt(room: Room, **changes: str) -> Any:
    api_key, secret_key = room.keys()
    body = {"grant_type": "client_credentials", "client_id": api_key, "client_secret": secret_key}
    return room.post(**(body | changes))


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("", "unknown"),
        ("unix:", "unknown"),
    ],
)
def test_an_ipv6_network_counts_as_one_address(address: str, network: str) -> None:
    assert subjects(None, address) == (f"address:{network}",)


def test_a_key_may_fail_only_so_often(room: Room) -> None:
    for _ in range(MOST_FAILURES["key"]):
        assert attempt(room, client_secret="wrong").status_code == 401
    asked = len(room.calls)
    answer = attempt(room, client_secret="wrong")
    assert answer.status_code == 429 and 0 < int(answer.headers["Retry-After"]) <= FAILURE_WINDOW_SECONDS
    assert len(room.calls) == asked


def test_an_address_may_fail_only_so_often_with_whatever_keys(room: Room) -> None:
    for number in range(MOST_FAILURES["address"]):
        failed(subjects(f"k{number}", "127.0.0.1"), room.guard.keyring.now)
    assert attempt(room, client_id="another").status_code == 429


def test_the_right_pair_is_never_locked_out_once_it_is_known(room: Room) -> None:
    assert attempt(room).status_code == 200
    for _ in range(MOST_FAILURES["address"] + 5):
        attempt(room, client_secret="wrong")
    assert attempt(room, client_secret="wrong").status_code == 429
    assert attempt(room).status_code == 200
    room.clock.advance(61)
    assert attempt(room).status_code == 200


@pytest.mark.parametrize("secret", ["right", "wrong"])
def test_guesses_side_by_side_are_told_no_more_than_one_after_another(
    room: Room, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    keyring = room.guard.keyring
    counted, identify = subjects(keyring._indexes(room.keys()[0])[0], "127.0.0.1"), keyring.identify

    def slowly(api_key: str, secret_key: str) -> Any:
        for _ in range(MOST_FAILURES["key"]):
            failed(counted, keyring.now)
        return identify(api_key, secret_key)

    monkeypatch.setattr(keyring, "identify", slowly)
    assert attempt(room, **({"client_secret": "wrong"} if secret == "wrong" else {})).status_code == 429
    assert credentials.listing() == []


def test_of_many_failures_at_once_no_more_are_told_than_are_allowed(room: Room) -> None:
    counted, together = subjects("k", "192.0.2.1"), threading.Barrier(16)

    def fail(_: int) -> bool:
        with room.app.app_context():
            check(counted, NOW)
            together.wait()
            try:
                failed(counted, NOW)
            except TooManyFailures:
                return False
            return True

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(fail, range(16))) == MOST_FAILURES["key"]


def test_a_wrong_secret_of_a_revoked_pair_is_refused_no_sooner_than_an_unknown_key(room: Room) -> None:
    assert attempt(room).status_code == 200
    credentials.revoke(room.guard.keyring, credentials.listing()[0].id)
    for changes in ({"client_id": "unknown"}, {"client_secret": "wrong"}):
        room.calls.clear()
        assert attempt(room, **changes).status_code == 401
        assert room.calls != []
    assert attempt(room).status_code == 401


def test_successes_are_not_counted(room: Room) -> None:
    for _ in range(MOST_FAILURES["key"] + 5):
        assert attempt(room).status_code == 200
    with own_session() as session:
        assert session.query(FailedAttempt).count() == 0


def test_the_count_ends_with_its_window(room: Room) -> None:
    for _ in range(MOST_FAILURES["key"]):
        attempt(room, client_secret="wrong")
    room.clock.advance(FAILURE_WINDOW_SECONDS)
    assert attempt(room, client_secret="wrong").status_code == 401
    with own_session() as session:
        assert {row.count for row in session.query(FailedAttempt)} == {1}


def test_another_process_shares_the_count(room: Room) -> None:
    counted = subjects("k", "192.0.2.1")
    for _ in range(MOST_FAILURES["key"]):
        failed(counted, NOW)
    with pytest.raises(TooManyFailures) as caught:
        check(counted, NOW + 10)
    assert caught.value.retry_after == FAILURE_WINDOW_SECONDS - 10
    check(subjects("another", "192.0.2.1"), NOW)


def test_the_store_keeps_no_key_in_the_clear(room: Room) -> None:
    attempt(room, client_secret="wrong")
    with own_session() as session:
        kept = [row.subject for row in session.query(FailedAttempt)]
    assert len(kept) == 2 and room.keys()[0] not in str(kept)


def test_wrong_assertions_count_and_right_ones_pass_all_the_same(room: Room) -> None:
    made = room.service_account()
    grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    for _ in range(MOST_FAILURES["address"]):
        failed(subjects(None, "127.0.0.1"), NOW)
    assert room.post(grant_type=grant_type, assertion=assertion(made.content, exp=NOW + 9999)).status_code == 429
    assert room.post(grant_type=grant_type, assertion=assertion(made.content)).status_code == 200


@pytest.mark.parametrize("room", [{"GSTACK_LITERAL_BEARER": "on"}], indirect=True)
def test_literal_bearers_are_counted_too(room: Room) -> None:
    for _ in range(MOST_FAILURES["key"]):
        with pytest.raises(GceError):
            room.bearer(f"{room.keys()[0]}:wrong")
    with pytest.raises(GceError) as caught:
        room.bearer(f"{room.keys()[0]}:wrong")
    assert caught.value.http == 429 and (caught.value.retry_after or 0) > 0


def test_two_processes_counting_the_first_failure_at_once_count_two(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = limiter.update
    raced: list[bool] = []

    def race(*args: Any) -> Any:
        statement = real(*args)
        if not raced:
            raced.append(True)
            failed(("key:k",), NOW)
        return statement

    monkeypatch.setattr(limiter, "update", race)
    failed(("key:k",), NOW)
    with own_session() as session:
        assert session.get_one(FailedAttempt, "key:k").count == 2


def test_five_hundred_right_requests_in_a_row_pass(room: Room) -> None:
    """Ansible asks for a token with every request it makes."""
    content = room.service_account(name="ci").content
    api_key, secret_key = room.keys()
    jwt_bearer = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion(content)}
    pair = {"grant_type": "client_credentials", "client_id": api_key, "client_secret": secret_key}
    assert {room.post(**form).status_code for form in [jwt_bearer, pair] * 250} == {200}
