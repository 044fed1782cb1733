"""The guard: every kind of bearer, what ends it, and what nobody gets past."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import event

from gstack.auth import credentials
from gstack.auth.identity import Refused
from gstack.errors import GceError, error_body
from gstack.simulator import model
from gstack.store.db import db

from .conftest import HOST, NOW, Room, assertion, signed

API = "https://compute.googleapis.com/"
LITERAL_ON = pytest.mark.parametrize("room", [{"GSTACK_LITERAL_BEARER": "on"}], indirect=True)


def refused(room: Room, token: str, host: str = HOST) -> GceError:
    with pytest.raises(GceError) as caught:
        room.bearer(token, host)
    assert caught.value.http == 401
    return caught.value


def self_signed(content: dict[str, Any], **changes: Any) -> str:
    """What google-cloud-compute for Python sends with every request, with changes."""
    email = content["client_email"]
    claims = {"iss": email, "sub": email, "aud": API, "iat": NOW, "exp": NOW + 3600} | changes
    return signed(content, {name: value for name, value in claims.items() if value is not None})


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "OAuth"])
def test_a_token_is_accepted_in_the_header(room: Room, scheme: str) -> None:
    grant = room.guard.authenticate({"Authorization": f"{scheme} {room.pair_token()}"}, {})
    assert grant.user == "tenant@example.invalid"


@pytest.mark.parametrize("name", ["access_token", "oauth_token"])
def test_a_token_is_accepted_in_the_query(room: Room, name: str) -> None:
    assert room.guard.authenticate({}, {name: room.pair_token()}).identity.account == "tenant"


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": ""}, {"Authorization": "Bearer "}, {"Authorization": "Basic eDp5"}]
)
def test_no_bearer_is_gces_missing_credential(room: Room, headers: dict[str, str]) -> None:
    with pytest.raises(GceError) as caught:
        room.guard.authenticate(headers, {})
    body = error_body(caught.value)["error"]
    assert body["code"] == 401 and body["message"].startswith("Request is missing required authentication credential.")
    assert body["errors"][0] == {
        "message": "Login Required.",
        "domain": "global",
        "reason": "required",
        "locationType": "header",
        "location": "Authorization",
    }


@pytest.mark.parametrize(
    "bearer", ["x", "gst_" + "A" * 43, "a.b.c", "..", "é", "x" * 17_000, "a:b", ":", "null", "gst_' OR 1=1 --"]
)
def test_any_other_bearer_is_gces_invalid_credential(room: Room, bearer: str) -> None:
    body = error_body(refused(room, bearer))["error"]
    assert body["message"].startswith("Request had invalid authentication credentials.")
    assert body["errors"][0]["reason"] == "authError" and body["status"] == "UNAUTHENTICATED"
    assert bearer not in str(body) or len(bearer) < 3


def test_checking_a_token_is_one_query(room: Room) -> None:
    token = room.pair_token()
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    room.bearer(token)
    room.bearer(token)
    assert len(statements) == 1
    with db.engine.connect() as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT * FROM credential JOIN access_token"
            " ON access_token.credential_id = credential.id WHERE access_token.hash = 'x'"
        ).fetchall()
    assert all("SEARCH" in row[3] for row in plan)


def test_a_revocation_reaches_other_processes_within_seconds(room: Room) -> None:
    token = room.pair_token()
    other = room.second_process()
    header = {"Authorization": f"Bearer {token}"}
    grant = other.authenticate(header, {})
    credentials.revoke(room.guard.keyring, grant.credential_id)
    refused(room, token)
    room.clock.advance(5.1)
    with pytest.raises(GceError):
        other.authenticate(header, {})


def test_a_revoked_pair_does_not_come_back_in_capitals(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """CloudStack looks keys up in a database that does not tell capitals apart."""
    api_key, secret_key = room.keys()
    grant = room.bearer(room.pair_token())
    credentials.revoke(room.guard.keyring, grant.credential_id)
    monkeypatch.setattr(room.guard.keyring, "identify", lambda *_: grant.identity)
    with pytest.raises(Refused):
        room.guard.keyring.admit(api_key.swapcase(), secret_key, "192.0.2.1")


def test_a_pair_that_was_revoked_here_stays_out_until_it_is_restored(room: Room) -> None:
    credential_id = room.bearer(room.pair_token()).credential_id
    api_key, secret_key = room.keys()
    pair = {"grant_type": "client_credentials", "client_id": api_key, "client_secret": secret_key}
    credentials.revoke(room.guard.keyring, credential_id)
    assert room.post(**pair).status_code == 401
    credentials.restore(credential_id)
    assert room.post(**pair).status_code == 200


def test_when_cloudstack_refuses_the_key_its_tokens_die_for_good(room: Room) -> None:
    token = room.pair_token()
    grant = room.bearer(token)
    room.user("tenant").state = "disabled"
    room.guard.enter(grant, "tenant")
    room.clock.advance(61)
    with pytest.raises(GceError) as caught:
        room.guard.enter(grant, "tenant")
    assert caught.value.http == 401
    room.user("tenant").state = "enabled"
    refused(room, token)


def test_a_regenerated_key_ends_the_credential_of_the_old_one(room: Room) -> None:
    token = room.pair_token()
    room.simulator.do("tenant", "registerUserKeys", id=room.user("tenant").id)
    room.clock.advance(61)
    with pytest.raises(GceError) as caught:
        room.guard.enter(room.bearer(token), "tenant")
    assert caught.value.http == 401


def test_while_cloudstack_is_away_a_client_may_go_on_for_a_quarter_of_an_hour(room: Room) -> None:
    token = room.pair_token()
    grant = room.bearer(token)
    room.simulator.faults.add("cut", times=None)
    room.clock.advance(600)
    assert room.guard.enter(grant, "tenant").project.id == "tenant"
    room.clock.advance(400)
    with pytest.raises(GceError) as caught:
        room.guard.enter(room.bearer(token), "tenant")
    assert caught.value.kind == "backendError"


def test_while_cloudstack_is_away_not_every_request_waits_for_it(room: Room) -> None:
    grant = room.bearer(room.pair_token())
    room.guard.enter(grant, "web-shop")
    room.simulator.faults.add("cut", times=None)
    room.clock.advance(61)
    room.calls.clear()
    for _ in range(5):
        assert room.guard.enter(grant, "web-shop").project.name == "web-shop"
    assert room.calls.count("listAccounts") <= 2 and room.calls.count("listProjects") <= 2


def test_many_threads_ask_cloudstack_once(room: Room) -> None:
    grant = room.bearer(room.pair_token())
    room.clock.advance(61)
    room.calls.clear()

    def enter() -> None:
        with room.app.app_context():
            room.guard.enter(grant, "tenant")

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert room.calls.count("listUsers") == 1


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sub": None},
        {"aud": None, "scope": "https://www.googleapis.com/auth/cloud-platform"},
        {"aud": ""},
        {"aud": "https://www.googleapis.com/"},
        {"aud": "https://gw.test/"},
        {"aud": f"https://{HOST}/"},
    ],
)
def test_a_self_signed_jwt_is_a_bearer(room: Room, changes: dict[str, Any]) -> None:
    made = room.service_account()
    grant = room.bearer(self_signed(made.content, **changes))
    assert (grant.user, grant.credential_id) == (made.email, made.credential_id)
    assert room.guard.enter(grant, made.project).project.account == "tenant"


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://oauth2.googleapis.com/token"},
        {"aud": f"https://{HOST}/token"},
        {"aud": "https://storage.googleapis.com/"},
        {"aud": "https://elsewhere.test/"},
        {"sub": "somebody@else"},
        {"exp": NOW + 7200},
        {"exp": NOW - 61, "iat": NOW - 3000},
        {"target_audience": "x"},
    ],
)
def test_a_jwt_made_for_something_else_is_no_bearer(room: Room, changes: dict[str, Any]) -> None:
    refused(room, self_signed(room.service_account().content, **changes))


def test_an_assertion_for_the_token_endpoint_is_no_bearer(room: Room) -> None:
    refused(room, assertion(room.service_account().content))


def test_a_jwt_for_one_gateway_is_no_bearer_at_another(room: Room) -> None:
    token = self_signed(room.service_account().content, aud=f"https://{HOST}/")
    room.bearer(token)
    refused(room, token, host="another.test:5000")


def test_a_jwt_ends_with_its_own_time_even_while_it_is_remembered(room: Room) -> None:
    token = self_signed(room.service_account().content, exp=NOW + 2)
    room.bearer(token)
    room.clock.advance(63)
    refused(room, token)


def test_a_jwt_of_a_revoked_service_account_is_refused(room: Room) -> None:
    made = room.service_account()
    token = self_signed(made.content)
    room.bearer(token)
    credentials.revoke(room.guard.keyring, made.credential_id)
    refused(room, token)


def test_the_pair_behind_a_jwt_must_still_be_good(room: Room) -> None:
    made = room.service_account()
    grant = room.bearer(self_signed(made.content))
    room.clock.advance(61)
    room.user("tenant").state = "disabled"
    with pytest.raises(GceError) as caught:
        room.guard.enter(grant, made.project)
    assert caught.value.http == 401


@pytest.mark.parametrize(
    ("room", "accepted"),
    [
        ({}, True),
        ({"GSTACK_BIND_ADDRESS": "127.0.0.7"}, True),
        ({"GSTACK_BIND_ADDRESS": "::1"}, True),
        ({"GSTACK_BIND_ADDRESS": "0.0.0.0"}, False),
        ({"GSTACK_BIND_ADDRESS": "gw.test"}, False),
        ({"GSTACK_BIND_ADDRESS": "gw.test", "GSTACK_LITERAL_BEARER": "on"}, True),
        ({"GSTACK_LITERAL_BEARER": "off"}, False),
        ({"GSTACK_PROXY_PORT": 3128}, True),
        ({"GSTACK_PROXY_PORT": 3128, "GSTACK_PROXY_ADDRESS": "0.0.0.0"}, False),
        ({"GSTACK_PROXY_ADDRESS": "0.0.0.0"}, True),
        ({"GSTACK_PUBLIC_URL": "https://gce.example"}, False),
        ({"GSTACK_PUBLIC_URL": "https://localhost:5000"}, True),
        ({"GSTACK_PUBLIC_URL": "https://gce.example", "GSTACK_LITERAL_BEARER": "on"}, True),
    ],
    indirect=["room"],
)
def test_a_literal_pair_is_a_bearer_only_where_the_setting_allows_it(room: Room, accepted: bool) -> None:
    literal = ":".join(room.keys())
    if accepted:
        assert room.bearer(literal).identity.account == "tenant"
    else:
        refused(room, literal)
        assert room.calls == []


@LITERAL_ON
def test_a_wrong_literal_pair_is_refused_and_kept_nowhere(room: Room) -> None:
    api_key, _ = room.keys()
    refused(room, f"{api_key}:wrong")
    assert credentials.listing() == []


@pytest.mark.parametrize(
    "spelling",
    ["tenant", "534dafe0-3115-4f55-88b0-606f31a0c2f4", "tenant@example.invalid"],
)
def test_the_account_answers_to_all_its_names(room: Room, spelling: str) -> None:
    caller = room.guard.enter(room.bearer(room.pair_token()), spelling)
    assert (caller.project.id, caller.project.cloudstack_id) == ("tenant", None)


def test_the_account_answers_to_its_project_number(room: Room) -> None:
    from gstack.protocol.ids import numeric_id

    number = str(numeric_id("534dafe0-3115-4f55-88b0-606f31a0c2f4"))
    assert room.guard.enter(room.bearer(room.pair_token()), number).project.id == "tenant"


def test_a_cloudstack_project_is_a_project_of_its_members_only(room: Room) -> None:
    member = room.bearer(room.pair_token("tenant"))
    caller = room.guard.enter(member, "web-shop")
    assert caller.project.cloudstack_id == "b8e2f0a4-1c3d-4e5f-9a6b-7c8d9e0f1a2b"
    assert caller.cloud.projectid == caller.project.cloudstack_id
    with pytest.raises(GceError):
        room.guard.enter(room.bearer(room.pair_token("other")), "web-shop")


@pytest.mark.parametrize(
    "project",
    ["tenant", "web-shop", "b8e2f0a4-1c3d-4e5f-9a6b-7c8d9e0f1a2b", "534dafe0-3115-4f55-88b0-606f31a0c2f4",
     "tenant@example.invalid", "admin", "no-such-project", "", "../other", "-", "*", "' OR 1=1 --"],
)  # fmt: skip
@pytest.mark.parametrize("public", [False, True])
def test_anothers_project_and_none_at_all_are_the_same_not_found(room: Room, project: str, public: bool) -> None:
    with pytest.raises(GceError) as caught:
        room.guard.enter(room.bearer(room.pair_token("other")), project, public=public)
    assert caught.value.kind == "notFound"
    assert caught.value.message == f"The resource 'projects/{project}' was not found"


def test_image_projects_belong_to_nobody_and_are_open_only_for_reading_images(room: Room) -> None:
    grant = room.bearer(room.pair_token())
    assert room.guard.enter(grant, "debian-cloud", public=True).project.public
    with pytest.raises(GceError) as caught:
        room.guard.enter(grant, "debian-cloud")
    assert caught.value.kind == "notFound"


def namesake(room: Room, name: str) -> Any:
    """A user of another domain whose account is called ``name``, too."""
    world = room.simulator.world
    domain = model.Domain(world.uuid(), 90, "beta", "ROOT/beta")
    account = model.Account(world.uuid(), 90, name, 0, domain.id, world.now())
    # The cloud is one for all tests, so each of them names a user that no other knows.
    user = model.User(world.uuid(), 90, f"beta-{account.id}", account.id, world.now(), world.key(), world.key())
    world.domain.add(domain)
    world.account.add(account)
    world.user.add(user)
    world.index_keys()
    return user


def test_accounts_of_one_name_in_two_domains_never_share_a_project_id(room: Room) -> None:
    first = room.guard.enter(room.bearer(room.pair_token()), "tenant")
    user = namesake(room, "tenant")
    second = room.guard.enter(room.bearer(room.pair_token(user.name)), "tenant")
    assert first.project.id == "tenant"
    assert second.project.id == f"tenant-{user.account.replace('-', '')[:8]}"
    assert second.project.domain_id != first.project.domain_id
    assert first.cloud.key != second.cloud.key


def test_no_account_takes_the_name_of_an_image_project(room: Room) -> None:
    user = namesake(room, "debian-cloud")
    caller = room.guard.enter(room.bearer(room.pair_token(user.name)), "debian-cloud", public=False)
    assert caller.project.id.startswith("debian-cloud-") and not caller.project.public


def test_membership_given_later_is_seen_within_seconds(room: Room) -> None:
    grant = room.bearer(room.pair_token("other"))
    project = next(iter(room.simulator.world.project))
    with pytest.raises(GceError):
        room.guard.enter(grant, "web-shop")
    account = next(a for a in room.simulator.world.account if a.name == "other")
    project.members[account.id] = "Regular"
    try:
        room.clock.advance(5.1)
        assert room.guard.enter(grant, "web-shop").project.name == "web-shop"
    finally:
        del project.members[account.id]


def test_unknown_projects_do_not_make_cloudstack_busy(room: Room) -> None:
    grant = room.bearer(room.pair_token())
    room.calls.clear()
    for number in range(10):
        with pytest.raises(GceError):
            room.guard.enter(grant, f"guess-{number}")
    assert room.calls.count("listProjects") == 1


def test_a_command_that_the_role_lacks_is_named(room: Room) -> None:
    caller = room.guard.enter(room.bearer(room.pair_token()), "tenant")
    room.guard.require(caller, ())
    room.guard.require(caller, ("listZones", "deployVirtualMachine"))
    with pytest.raises(GceError) as caught:
        room.guard.require(caller, ("listZones", "createZone"))
    assert caught.value.http == 501 and "createZone" in caught.value.message


def test_nothing_that_is_printed_holds_a_key(room: Room) -> None:
    grant = room.bearer(room.pair_token())
    caller = room.guard.enter(grant, "tenant")
    printed = repr((grant, caller, room.guard.sealer, credentials.listing()))
    for secret in (*room.keys(), grant.sealed_keys):
        assert secret not in printed
