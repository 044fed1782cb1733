"""What OAuth offers around the token endpoint, and Resource Manager's projects."""

from __future__ import annotations

from typing import Any

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from joserfc import jwt
from joserfc.jwk import KeySet

from gstack.auth import signing
from gstack.auth.inspection import TOKENINFO_PATHS, USERINFO_PATHS
from gstack.auth.oauth import INTROSPECT_PATHS, REVOKE_PATHS
from gstack.certificates import GOOGLE_NAMES
from gstack.errors import GceError
from gstack.protocol.ids import numeric_id

from .conftest import HOST, NOW, Room, assertion
from .test_consent import CHALLENGE, GCLOUD, LOOPBACK, redeem, sign_in


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


def id_token_of(room: Room) -> str:
    assert_ = assertion(room.service_account().content, target_audience="x")
    return str(room.post(grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer", assertion=assert_).json["id_token"])


@pytest.mark.parametrize("path", TOKENINFO_PATHS)
def test_tokeninfo_tells_what_an_id_token_says_in_strings(room: Room, path: str) -> None:
    answer = get(room, path, id_token=id_token_of(room))
    assert answer.status_code == 200 and all(isinstance(value, str) for value in answer.json.values())
    assert (answer.json["aud"], answer.json["email_verified"], answer.json["alg"]) == ("x", "true", "RS256")
    assert {"iss", "azp", "sub", "email", "iat", "exp", "kid", "typ"} < answer.json.keys()


def test_an_address_that_a_user_wrote_is_not_called_verified(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CloudStack user may give themselves any address, and an id_token says it to anybody who trusts our keys."""
    monkeypatch.setattr(room.user("tenant"), "email", "boss@corp.test")
    made = redeem(room, sign_in(room)).json
    told = get(room, "/tokeninfo", id_token=made["id_token"]).json
    assert (told["email"], told["email_verified"]) == ("boss@corp.test", "false")
    assert get(room, "/tokeninfo", access_token=made["access_token"]).json["email_verified"] == "false"
    user = get(room, "/userinfo", made["access_token"]).json
    assert (user["email"], user["email_verified"], user["verified_email"]) == ("boss@corp.test", False, False)


def test_a_wrong_token_that_is_looked_at_is_in_the_audit_log(room: Room, logged: list[dict[str, Any]]) -> None:
    get(room, "/tokeninfo", access_token="x")
    assert [(event["event"], event["grant"]) for event in logged] == [("token.refused", "'tokeninfo'")]


def test_tokeninfo_knows_no_id_token_that_is_altered_too_old_or_anothers(room: Room) -> None:
    token = id_token_of(room)
    head, body, mark = token.split(".")
    foreign = assertion(room.service_account(name="second").content)
    room.clock.advance(3600)
    for wrong in (token, f"{head}.{body}.{mark[::-1]}", f"{head}..{mark}", foreign, "x", "a.b.c", "\u00e9"):
        answer = get(room, "/tokeninfo", id_token=wrong)
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_token")


def test_tokeninfo_knows_no_refresh_token_and_wants_one_of_the_two(room: Room) -> None:
    refresh = redeem(room, sign_in(room)).json["refresh_token"]
    for name in ("access_token", "id_token"):
        assert get(room, "/tokeninfo", **{name: refresh}).json["error"] == "invalid_token"
    assert get(room, "/tokeninfo", refresh_token=refresh).status_code == 400
    assert get(room, "/tokeninfo").json["error"] == "invalid_request"


# What clients ask of Google's hosts when their names lead here, with the status and a word of the answer.
ASKED_OF_GOOGLE = [
    ("oauth2.googleapis.com", "POST", "/token", 200, "access_token"),
    ("oauth2.googleapis.com", "POST", "/revoke", 200, "{}"),
    ("oauth2.googleapis.com", "GET", "/tokeninfo", 200, "expires_in"),
    ("accounts.google.com", "POST", "/o/oauth2/token", 200, "access_token"),
    ("accounts.google.com", "GET", "/o/oauth2/auth", 200, "gcloud"),
    ("accounts.google.com", "GET", "/o/oauth2/v2/auth", 200, "gcloud"),
    ("accounts.google.com", "GET", "/.well-known/openid-configuration", 200, "https://accounts.google.com/token"),
    ("www.googleapis.com", "POST", "/oauth2/v4/token", 200, "access_token"),
    ("www.googleapis.com", "GET", "/oauth2/v3/certs", 200, "keys"),
    ("www.googleapis.com", "GET", "/oauth2/v2/userinfo", 200, "email"),
    ("www.googleapis.com", "GET", "/compute/v1/projects/tenant/zones", 200, "https://www.googleapis.com/compute/v1/"),
    ("compute.googleapis.com", "GET", "/compute/v1/projects/tenant/zones", 200, "https://www.googleapis.com/compute/"),
    ("openidconnect.googleapis.com", "GET", "/v1/userinfo", 200, "email"),
    ("cloudresourcemanager.googleapis.com", "GET", "/v1/projects/tenant", 200, "projectNumber"),
    ("sts.googleapis.com", "POST", "/v1/token", 200, "access_token"),
    ("sts.googleapis.com", "POST", "/v1/introspect", 200, "username"),
    (
        "iamcredentials.googleapis.com",
        "GET",
        "/v1/projects/-/serviceAccounts/ci@tenant.iam.gserviceaccount.com/allowedLocations",
        404,
        "error",
    ),
]


@pytest.mark.parametrize(("host", "verb", "path", "status", "word"), ASKED_OF_GOOGLE)
def test_googles_names_are_answered_when_they_lead_here(
    gateway: Any, host: str, verb: str, path: str, status: int, word: str
) -> None:
    key, secret = gateway.simulator.keys("tenant")
    pair = {"grant_type": "client_credentials", "client_id": key, "client_secret": secret}
    token = gateway.client.post("/token", data=pair, base_url=f"https://{host}").json["access_token"]
    form = pair if path.endswith("/token") else {"token": token}
    login = {"redirect_uri": LOOPBACK, "client_id": GCLOUD, "response_type": "code"}
    query = {"access_token": token} if "tokeninfo" in path else login if path.endswith("/auth") else {}
    answer = gateway.client.open(
        path,
        method=verb,
        base_url=f"https://{host}",
        data=form if verb == "POST" else None,
        query_string=query | ({"code_challenge": CHALLENGE, "code_challenge_method": "S256"} if query is login else {}),
        headers={} if verb == "POST" or query else {"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == status and word in answer.text, answer.text


def test_every_name_that_the_certificate_of_transparent_mode_holds_is_tried() -> None:
    assert {host for host, *_ in ASKED_OF_GOOGLE} == set(GOOGLE_NAMES)


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


def test_anybody_may_ask_for_the_published_keys_and_the_private_one_is_read_once(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing.sign(room.guard.sealer, {}, NOW)
    read: list[str] = []
    unseal = room.guard.sealer.open
    monkeypatch.setattr(room.guard.sealer, "open", lambda sealed: (read.append(sealed), unseal(sealed))[1])
    for _ in range(3):
        assert len(room.client.get("/oauth2/v3/certs").json["keys"]) == 1
    assert len(read) == 1


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
