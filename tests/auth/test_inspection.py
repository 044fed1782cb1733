"""What OAuth offers around the token endpoint, and Resource Manager's projects."""

from __future__ import annotations

from typing import Any

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from joserfc import jwt
from joserfc.jwk import KeySet

from gstack.auth.inspection import TOKENINFO_PATHS, USERINFO_PATHS
from gstack.auth.oauth import INTROSPECT_PATHS, REVOKE_PATHS
from gstack.errors import GceError
from gstack.protocol.ids import numeric_id

from .conftest import HOST, Room, assertion


def get(room: Room, path: str, token: str | None = None, **query: str) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return room.client.get(path, query_string=query, headers=headers, base_url=f"https://{HOST}")


@pytest.mark.parametrize("path", REVOKE_PATHS)
def test_a_revoked_token_is_dead_at_once(room: Room, path: str) -> None:
    token = room.pair_token()
    room.bearer(token)
    assert room.post(path, token=token).status_code == 200
    with pytest.raises(GceError):
        room.bearer(token)


def test_gclouds_way_of_revoking_has_the_token_in_the_url(room: Room) -> None:
    token = room.pair_token()
    assert room.client.post("/revoke", query_string={"token": token}).status_code == 200
    with pytest.raises(GceError):
        room.bearer(token)


def test_revoking_what_nobody_knows_says_the_same(room: Room) -> None:
    known, unknown = room.post("/revoke", token=room.pair_token()), room.post("/revoke", token="x")
    assert (known.status_code, known.data) == (unknown.status_code, unknown.data)


@pytest.mark.parametrize("path", ["/revoke", "/introspect"])
def test_a_request_without_a_token_is_refused_by_name(room: Room, path: str) -> None:
    answer = room.post(path)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")
    assert "token" in answer.json["error_description"]


@pytest.mark.parametrize(
    "hint", ["access_token", "refresh_token", "urn:ietf:params:oauth:token-type:access_token", "x"]
)
def test_a_hint_about_the_token_is_not_needed_and_does_no_harm(room: Room, hint: str) -> None:
    token = room.pair_token()
    assert room.post("/introspect", token=token, token_type_hint=hint).json["active"] is True
    assert room.post("/revoke", token=token, token_type_hint=hint).status_code == 200
    assert room.post("/introspect", token=token, token_type_hint=hint).json == {"active": False}


@pytest.mark.parametrize("path", TOKENINFO_PATHS)
def test_tokeninfo_tells_what_a_token_is(room: Room, path: str) -> None:
    room.clock.advance(0)
    answer = get(room, path, access_token=room.pair_token())
    assert answer.json["email"] == "tenant@example.invalid" and answer.json["expires_in"] == "3600"


def test_tokeninfo_of_a_wrong_token_is_googles_error(room: Room) -> None:
    answer = get(room, "/tokeninfo", access_token="x")
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_token")


@pytest.mark.parametrize("path", INTROSPECT_PATHS)
def test_introspection_names_the_user(room: Room, path: str) -> None:
    answer = room.client.post(path, data={"token": room.pair_token()}, auth=("gcloud", "x"))
    assert answer.json["active"] is True and answer.json["username"] == "tenant@example.invalid"
    assert room.post(path, token="x").json == {"active": False}


def test_an_expired_token_is_not_active(room: Room) -> None:
    token = room.pair_token()
    room.clock.advance(3600)
    assert room.post("/introspect", token=token).json == {"active": False}


@pytest.mark.parametrize("path", USERINFO_PATHS)
def test_userinfo_names_the_bearer(room: Room, path: str) -> None:
    made = room.service_account()
    token = room.post(grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer", assertion=assertion(made.content)).json[
        "access_token"
    ]
    answer = get(room, path, token)
    assert (answer.json["email"], answer.json["id"]) == (made.email, made.content["client_id"])


def test_userinfo_is_for_bearers_only_and_ends_with_the_key_pair(room: Room) -> None:
    assert get(room, "/userinfo").status_code == 401
    token = room.pair_token()
    room.user("tenant").state = "disabled"
    room.clock.advance(61)
    answer = get(room, "/userinfo", token)
    assert answer.status_code == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_the_published_keys_verify_an_id_token_and_hold_nothing_private(room: Room) -> None:
    made = room.service_account()
    id_token = room.post(
        grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer",
        assertion=assertion(made.content, target_audience="x"),
    ).json["id_token"]
    published = get(room, "/oauth2/v3/certs").json
    assert jwt.decode(id_token, KeySet.import_key_set(published), algorithms=["RS256"]).claims["aud"] == "x"
    assert not {"d", "p", "q", "dp", "dq", "qi"} & published["keys"][0].keys()


def test_the_configuration_names_addresses_that_exist(room: Room) -> None:
    found = get(room, "/.well-known/openid-configuration").json
    rules = {rule.rule for rule in room.app.url_map.iter_rules()}
    addresses = [value for name, value in found.items() if name.endswith(("endpoint", "_uri"))]
    assert len(addresses) == 6
    assert all(address.removeprefix(f"https://{HOST}") in rules for address in addresses)


def test_the_configuration_is_server_metadata_and_names_every_grant(room: Room) -> None:
    found = get(room, "/.well-known/oauth-authorization-server").json
    AuthorizationServerMetadata(found | {"issuer": found["issuer"].replace("http:", "https:")}).validate()
    for grant in found["grant_types_supported"]:
        assert room.post(grant_type=grant).json["error"] != "unsupported_grant_type"
    assert len(found["grant_types_supported"]) == 5


def test_resource_manager_gets_a_project(room: Room) -> None:
    answer = get(room, "/v1/projects/tenant", room.pair_token())
    assert answer.json == {
        "projectId": "tenant",
        "projectNumber": str(numeric_id("534dafe0-3115-4f55-88b0-606f31a0c2f4")),
        "lifecycleState": "ACTIVE",
        "name": "tenant",
    }


def test_resource_manager_lists_what_the_bearer_reaches(room: Room) -> None:
    assert [p["projectId"] for p in get(room, "/v1/projects", room.pair_token()).json["projects"]] == [
        "tenant",
        "web-shop",
    ]
    assert [p["projectId"] for p in get(room, "/v1/projects", room.pair_token("other")).json["projects"]] == ["other"]


@pytest.mark.parametrize("path", ["/v1/projects", "/v1/projects/tenant"])
def test_resource_manager_is_for_bearers_only(room: Room, path: str) -> None:
    answer = get(room, path)
    assert answer.status_code == 401 and answer.json["error"]["status"] == "UNAUTHENTICATED"


def test_resource_manager_keeps_others_projects_to_itself(room: Room) -> None:
    token = room.pair_token("other")
    for project in ("tenant", "no-such-project"):
        answer = get(room, f"/v1/projects/{project}", token)
        assert answer.status_code == 404
        assert answer.json["error"]["message"] == f"The resource 'projects/{project}' was not found"
