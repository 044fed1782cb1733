"""What real clients send and need, one point each, over the wire: see docs/clients/index.md for which client.

Apart from the tests of the clients themselves because most of these clients are not Python's. Quick: one request
or two each.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import RSAKey

from gstack.demo import Demo
from gstack.protocol.methods import HANDLERS
from gstack.protocol.responses import check_response
from gstack.resources import load_handlers

Fresh = Callable[[str], str]
FAMILY = "projects/debian-cloud/global/images/family/debian-12"


@pytest.fixture(scope="module")
def key_file(demo: Demo) -> dict[str, str]:
    """The service account's key file."""
    content: dict[str, str] = json.loads(Path(demo.environment["GOOGLE_APPLICATION_CREDENTIALS"]).read_text())
    return content


@pytest.fixture(scope="module")
def signed(key_file: dict[str, str]) -> Callable[..., str]:
    """A JWT of the service account, with these claims over the ordinary ones; a claim of None is left out."""
    key = RSAKey.import_key(key_file["private_key"])

    def sign(kid: bool = True, **claims: Any) -> str:
        now = int(time.time())
        email = key_file["client_email"]
        full = {"iss": email, "sub": email, "iat": now, "exp": now + 3600} | claims
        header = {"alg": "RS256", "typ": "JWT"} | ({"kid": key_file["private_key_id"]} if kid else {})
        payload = {name: value for name, value in full.items() if value is not None}
        return jws.serialize_compact(header, json.dumps(payload), key)

    return sign


@pytest.fixture(scope="module")
def firewall(api: Any) -> Iterator[dict[str, Any]]:
    """The operation that made a firewall, and with it something to look at."""
    body = {"name": "quirks-seen", "allowed": [{"IPProtocol": "tcp", "ports": ["80"]}]}
    yield api.done("POST", "global/firewalls", json=body)
    api.done("DELETE", "global/firewalls/quirks-seen")


@pytest.fixture(scope="module")
def instance(api: Any) -> Iterator[dict[str, Any]]:
    """An instance as it is read."""
    operation = api.done("POST", "Z/instances", json=_body("quirks-seen"))
    assert "error" not in operation, operation
    yield api.get("Z/instances/quirks-seen")
    api.done("DELETE", "Z/instances/quirks-seen")


def _body(name: str, **more: Any) -> dict[str, Any]:
    disk = {"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": FAMILY}}
    return {
        "name": name,
        "machineType": "zones/ch-gva-2/machineTypes/micro",
        "disks": [disk],
        "networkInterfaces": [{"network": "global/networks/default"}],
    } | more


def _links(value: Any) -> Iterator[str]:
    """Every selfLink and reference in an answer."""
    text = json.dumps(value)
    yield from re.findall(r'"(?:selfLink|zone|region|targetLink|network|machineType)": "([^"]*)"', text)


# 1. selfLink host depends on the request's Host; 2. links are absolute https


def test_links_name_the_host_that_was_asked(api: Any) -> None:
    answer = api.get("zones")
    links = list(_links(answer))
    assert links
    assert all(link.startswith(f"{api.root}/compute/v1/projects/") for link in links)
    assert api.root.startswith("https://")


@pytest.mark.parametrize("host", ["compute.googleapis.com", "www.googleapis.com"])
def test_links_name_google_where_google_was_asked(api: Any, host: str) -> None:
    links = list(_links(api("GET", "zones", headers={"Host": host}).json()))
    assert links
    assert all(link.startswith("https://www.googleapis.com/compute/v1/projects/") for link in links)


# 3. every path that clients write


@pytest.mark.parametrize(
    "prefix", ["/compute/v1/", "/compute/beta/", "/compute/alpha/", "/", "//compute/v1/", "/compute/v1//"]
)
def test_every_form_of_the_path_is_served(api: Any, prefix: str) -> None:
    answer = api("GET", prefix + api.at("zones"))
    assert "ch-gva-2" in [zone["name"] for zone in answer.json()["items"]]


def test_the_discovery_document_names_this_gateway_and_what_it_serves(api: Any) -> None:
    served = api("GET", "/discovery/v1/apis/compute/v1/rest").json()
    assert served["rootUrl"] == api.root + "/"
    assert served["servicePath"] == "compute/v1/"
    assert served["batchPath"] == "batch/compute/v1"
    load_handlers()
    named = {method["id"] for each in served["resources"].values() for method in each["methods"].values()}
    assert named == set(HANDLERS)


@pytest.mark.parametrize("path", ["/batch/compute/v1", "/batch/compute/beta", "/batch"])
def test_a_batch_is_authorised_as_a_whole_and_answers_with_reason_phrases(api: Any, path: str) -> None:
    part = (
        "--b\nContent-Type: application/http\nContent-ID: <{id}>\n\n"
        "GET /compute/v1/{path}?alt=json HTTP/1.1\naccept: application/json\n\n\n"
    )
    paths = {"a+1": api.at("zones/ch-gva-2"), "a+2": api.at("zones/mars-a")}
    body = "".join(part.format(id=key, path=each) for key, each in paths.items()) + "--b--"
    headers = {"Content-Type": 'multipart/mixed; boundary="b"'}
    answer = api("POST", path, data=body, headers=headers)
    assert answer.headers["Content-Type"].startswith("multipart/mixed; boundary=")
    assert re.search(r"Content-ID: <response-a\+1>\s+HTTP/1.1 200 OK\r\n", answer.text)
    assert re.search(r"Content-ID: <response-a\+2>\s+HTTP/1.1 404 Not Found\r\n", answer.text)


# 4. self-signed JWTs as bearer tokens


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://compute.googleapis.com/"},
        {"aud": "https://localhost/"},
        {"aud": ""},
        {"scope": "https://www.googleapis.com/auth/cloud-platform"},
        {"scope": "https://www.googleapis.com/auth/compute", "sub": None},
    ],
    ids=["Python and Node", "Java", "Go in a universe", "scoped", "without sub"],
)
def test_a_self_signed_jwt_is_a_bearer_token(api: Any, signed: Callable[..., str], claims: dict[str, Any]) -> None:
    answer = api("GET", "zones", headers={"Authorization": f"Bearer {signed(**claims)}"})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://storage.example/"},
        {"exp": 1_700_003_600, "iat": 1_700_000_000},
        {"iss": "stranger@tenant.iam.gserviceaccount.com", "sub": None},
        {"target_audience": "32555940559.apps.googleusercontent.com"},
    ],
    ids=["for another host", "expired", "of a stranger", "for an id_token"],
)
def test_a_jwt_that_was_not_made_for_this_is_refused(
    api: Any, signed: Callable[..., str], claims: dict[str, Any]
) -> None:
    answer = api("GET", "zones", headers={"Authorization": f"Bearer {signed(**claims)}"})
    assert answer.status_code == 401
    assert answer.json()["error"]["errors"][0]["reason"] == "authError"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


# 5. the JWT-bearer exchange


@pytest.mark.parametrize("path", ["/token", "/o/oauth2/token", "/oauth2/v4/token"])
@pytest.mark.parametrize(
    ("audience", "kid"),
    [
        ("https://oauth2.googleapis.com/token", True),
        ("https://accounts.google.com/o/oauth2/token", False),
        (None, True),
    ],
    ids=["Google's", "libcloud's", "own"],
)
def test_an_assertion_becomes_a_token(
    api: Any,
    signed: Callable[..., str],
    key_file: dict[str, str],
    path: str,
    audience: str | None,
    kid: bool,
) -> None:
    scope = "https://www.googleapis.com/auth/compute"
    assertion = signed(kid=kid, aud=audience or key_file["token_uri"], scope=scope, sub=None)
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
    answer = api("POST", path, data=form, headers={"Authorization": None}).json()
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] > 300, "below that gcloud asks for a new one with every command"
    bearer = {"Authorization": f"Bearer {answer['access_token']}"}
    assert api("GET", "zones", headers=bearer).status_code == 200


def test_an_assertion_may_keep_its_padding(api: Any, key_file: dict[str, str]) -> None:
    import base64

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    def segment(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode()

    now = int(time.time())
    audience = "https://accounts.google.com/o/oauth2/token"
    claims = {"iss": key_file["client_email"], "aud": audience, "iat": now, "exp": now + 3600, "scope": "x"}
    head = f"{segment(json.dumps({'typ': 'JWT', 'alg': 'RS256'}).encode())}.{segment(json.dumps(claims).encode())}"
    key = serialization.load_pem_private_key(key_file["private_key"].encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    signature = segment(key.sign(head.encode(), padding.PKCS1v15(), hashes.SHA256()))
    assert signature.endswith("=")
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": f"{head}.{signature}",
    }
    answer = api("POST", "/o/oauth2/token", data=form, headers={"Authorization": None})
    assert answer.status_code == 200, answer.text


def test_the_first_token_request_of_gcloud_gets_an_id_token_or_a_plain_no(api: Any, signed: Callable[..., str]) -> None:
    audience = "https://oauth2.googleapis.com/token"
    assertion = signed(aud=audience, target_audience="32555940559.apps.googleusercontent.com", sub=None)
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
    answer = api("POST", "/token", data=form, headers={"Authorization": None})
    assert answer.status_code in (200, 400), "gcloud retries a 5xx for seven seconds"


# 6. empty-ish bodies


@pytest.mark.parametrize(
    "body", [b'""', b'"ignored"', b"{}", b"null", b""], ids=["Node", "libcloud", "object", "null", "none"]
)
def test_a_post_without_a_body_may_have_one(api: Any, firewall: dict[str, Any], body: bytes) -> None:
    path = f"global/operations/{firewall['name']}/wait"
    answer = api("POST", path, data=body, headers={"Content-Type": "application/json"})
    assert answer.json()["status"] == "DONE"


def test_nulls_in_a_body_are_no_values_and_come_back_nowhere(api: Any, fresh: Fresh) -> None:
    name = fresh("void")
    body = {
        "name": name,
        "description": None,
        "sourceTags": None,
        "allowed": [{"IPProtocol": "tcp", "ports": None}],
    }
    operation = api.done("POST", "global/firewalls", json=body)
    assert "error" not in operation
    made = api.get(f"global/firewalls/{name}")
    assert ": null" not in json.dumps(made)
    assert made["allowed"] == [{"IPProtocol": "tcp"}]
    api.done("DELETE", f"global/firewalls/{name}")


def test_what_terraform_leaves_empty_is_as_if_it_was_left_out(api: Any, fresh: Fresh) -> None:
    name = fresh("policy")
    days = {"daysInCycle": 1, "startTime": "04:00", "duration": None}
    kept = {"maxRetentionDays": 7, "onSourceDiskDelete": None}
    body = {
        "name": name,
        "description": "",
        "workloadPolicy": None,
        "groupPlacementPolicy": None,
        "snapshotSchedulePolicy": {
            "schedule": {"dailySchedule": days, "hourlySchedule": None, "weeklySchedule": None},
            "retentionPolicy": kept,
            "snapshotProperties": {},
        },
    }
    assert "error" not in api.done("POST", "regions/ch-gva/resourcePolicies", json=body)
    made = api.get(f"regions/ch-gva/resourcePolicies/{name}")
    assert not {"workloadPolicy", "groupPlacementPolicy"} & made.keys(), "echoed, they are a change at every plan"
    assert ": null" not in json.dumps(made)
    api.done("DELETE", f"regions/ch-gva/resourcePolicies/{name}")


# 7. int64 in requests: string or number; 8. in answers: always a string


@pytest.mark.parametrize("size", ["12", 12], ids=["as SDKs write it", "as Terraform writes it"])
def test_a_64_bit_number_may_be_text_or_a_number(api: Any, fresh: Fresh, size: Any) -> None:
    name = fresh("sized")
    body = _body(name)
    body["disks"][0]["initializeParams"]["diskSizeGb"] = size
    assert "error" not in api.done("POST", "Z/instances", json=body)
    assert api.get(f"Z/disks/{name}")["sizeGb"] == "12"
    api.done("DELETE", f"Z/instances/{name}")


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("", "Project"),
        ("zones", "ZoneList"),
        ("regions", "RegionList"),
        ("Z/machineTypes", "MachineTypeList"),
        ("aggregated/machineTypes", "MachineTypeAggregatedList"),
        ("Z/diskTypes", "DiskTypeList"),
        ("Z/instances", "InstanceList"),
        ("aggregated/instances", "InstanceAggregatedList"),
        ("Z/disks", "DiskList"),
        ("global/firewalls", "FirewallList"),
        ("global/networks", "NetworkList"),
        ("aggregated/subnetworks", "SubnetworkAggregatedList"),
        ("global/operations", "OperationList"),
        ("aggregated/operations", "OperationAggregatedList"),
    ],
)
@pytest.mark.usefixtures("instance", "firewall")
def test_every_answer_satisfies_the_strictest_client(api: Any, path: str, schema: str) -> None:
    assert check_response(schema, api.get(path)) == []


# 9. failed operations carry the status; 10. operations are done when they are answered


def test_a_failed_operation_carries_an_http_status(api: Any, fresh: Fresh) -> None:
    body = _body(fresh("giant"), machineType="zones/ch-gva-2/machineTypes/titan-does-not-fit")
    operation = api.done("POST", "Z/instances", json=body)
    assert operation["error"]["errors"][0]["message"]
    assert operation["httpErrorStatusCode"] >= 400
    assert operation["httpErrorMessage"].isupper()


def test_a_quick_operation_is_done_when_it_is_answered(firewall: dict[str, Any], api: Any) -> None:
    answer = api("POST", "global/firewalls", json={"name": "quirks-quick", "allowed": [{"IPProtocol": "icmp"}]})
    assert answer.json()["status"] == "DONE"
    assert api("DELETE", "global/firewalls/quirks-quick").json()["status"] == "DONE"


# 11. a numeric id in place of a name


def test_an_instance_answers_to_its_number(api: Any, instance: dict[str, Any]) -> None:
    assert re.fullmatch(r"[1-9][0-9]{0,18}", instance["id"])
    assert int(instance["id"]) < 2**63
    assert api.get(f"Z/instances/{instance['id']}")["name"] == instance["name"]


def test_an_operation_answers_to_its_number_and_names_its_targets(api: Any, firewall: dict[str, Any]) -> None:
    assert api.get(f"global/operations/{firewall['id']}")["name"] == firewall["name"]
    assert api.get(f"global/firewalls/{firewall['targetId']}")["name"] == "quirks-seen"


def test_a_template_is_read_by_its_number_straight_after_it_was_made(api: Any, fresh: Fresh) -> None:
    """And may say its machine's type and its disk's type by their bare names, as Terraform does."""
    name = fresh("template")
    properties = {key: value for key, value in _body(name, machineType="micro").items() if key != "name"}
    properties["disks"][0]["initializeParams"]["diskType"] = "pd-standard"
    operation = api.done("POST", "global/instanceTemplates", json={"name": name, "properties": properties})
    read = api.get(f"global/instanceTemplates/{operation['targetId']}")
    assert (read["name"], read["properties"]["machineType"]) == (name, "micro")
    api.done("DELETE", f"global/instanceTemplates/{operation['targetId']}")


# 12. what is never left out; tests/clients/test_read_unchecked.py has all of it


def test_an_instance_always_has_what_terraform_reads_unchecked(instance: dict[str, Any]) -> None:
    assert {"selfLink", "metadata", "scheduling", "tags", "disks", "networkInterfaces"} <= instance.keys()
    assert instance["metadata"]["fingerprint"]
    assert instance["tags"]["fingerprint"]


def test_an_operation_always_has_what_clients_read_unchecked(firewall: dict[str, Any], api: Any) -> None:
    assert {"name", "id", "selfLink", "targetLink", "status", "operationType", "user"} <= firewall.keys()
    assert firewall["targetLink"] == f"{api.root}/compute/v1/{api.at('global/firewalls/quirks-seen')}"
    assert firewall["selfLink"].endswith(f"/global/operations/{firewall['name']}")


# 13. references in every form


@pytest.mark.parametrize(
    "network",
    [
        "default",
        "global/networks/default",
        "projects/{project}/global/networks/default",
        "https://www.googleapis.com/compute/v1/projects/{project}/global/networks/default",
        "https://compute.googleapis.com/compute/v1/projects/{project}/global/networks/default",
        "{root}/compute/v1/projects/{project}/global/networks/default",
        "{root}/projects/{project}/global/networks/default",
    ],
)
def test_a_reference_may_be_written_in_every_form(api: Any, fresh: Fresh, network: str) -> None:
    name = fresh("seen")
    link = network.format(root=api.root, project=api.project)
    body = {"name": name, "network": link, "allowed": [{"IPProtocol": "icmp"}]}
    assert "error" not in api.done("POST", "global/firewalls", json=body)
    made = api.get(f"global/firewalls/{name}")
    assert made["network"] == f"{api.root}/compute/v1/{api.at('global/networks/default')}"
    api.done("DELETE", f"global/firewalls/{name}")


@pytest.mark.parametrize("machine_type", ["micro", "projects/{project}/zones/ch-gva-2/machineTypes/micro"])
@pytest.mark.parametrize(
    "image", [FAMILY, "projects/debian-cloud/zones/-/imageFamilyViews/debian-12"], ids=["family", "gcloud's"]
)
def test_an_instance_is_made_from_what_clients_write(api: Any, fresh: Fresh, machine_type: str, image: str) -> None:
    name = fresh("forms")
    body = _body(name, machineType=machine_type.format(project=api.project))
    body["disks"][0]["initializeParams"]["sourceImage"] = image
    assert "error" not in api.done("POST", "Z/instances", json=body)
    assert api.get(f"Z/instances/{name}")["machineType"].endswith("/zones/ch-gva-2/machineTypes/micro")
    api.done("DELETE", f"Z/instances/{name}")


@pytest.mark.parametrize("scope", ["", "global/"], ids=["right", "as Terraform writes it"])
def test_the_own_place_in_a_body_may_be_written_wrongly(api: Any, fresh: Fresh, scope: str) -> None:
    name, project = fresh("placed"), f"projects/{api.project}/{scope}"
    assert "error" not in api.done(
        "POST", "Z/disks", json={"name": name, "sizeGb": 1, "zone": f"{project}zones/ch-gva-2"}
    )
    body = {"name": name, "region": f"{project}regions/de-fra"}
    assert "error" not in api.done("POST", "regions/de-fra/addresses", json=body)
    api.done("DELETE", f"Z/disks/{name}")
    api.done("DELETE", f"regions/de-fra/addresses/{name}")


# 14. X-HTTP-Method-Override


def test_a_post_that_is_a_get_reads_and_inserts_nothing(api: Any) -> None:
    answer = api(
        "POST",
        "Z/machineTypes",
        data={"filter": 'name="micro"', "maxResults": "1"},
        headers={"X-HTTP-Method-Override": "GET"},
    )
    assert [row["name"] for row in answer.json()["items"]] == ["micro"]


# 15. what is ignored, and what only looks odd


def test_query_parameters_and_headers_of_all_clients_are_accepted(api: Any) -> None:
    query = {"alt": "json", "prettyPrint": "false", "filter": "", "$alt": "json;enum-encoding=int"}
    headers = {
        "X-Goog-Api-Version": "2026-09-01",
        "X-Goog-Request-Params": f"project={api.project}",
        "X-Goog-Api-Client": "gl-python/3.11 gapic/1.56.0 cred-type/jwt",
        "X-Goog-User-Project": "billing",
        "X-Allowed-Locations": "0x0",
    }
    answer = api("GET", "zones", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    assert "\n" not in answer.text.strip()


def test_fields_cut_the_answer_down(api: Any) -> None:
    answer = api.get("regions/ch-gva", fields="name,status")
    assert answer == {"name": "ch-gva", "status": "UP"}


@pytest.mark.parametrize("text", ["True", "true", "False"])
def test_booleans_in_queries_may_be_pythons(api: Any, text: str) -> None:
    query = {"includeAllScopes": text, "returnPartialSuccess": text, "maxResults": 500}
    assert "items" in api.get("aggregated/machineTypes", **query)


def test_a_kind_in_a_body_is_accepted(api: Any, fresh: Fresh) -> None:
    name = fresh("kind")
    body = {"kind": "compute#firewall", "name": name, "allowed": [{"IPProtocol": "icmp"}]}
    assert "error" not in api.done("POST", "global/firewalls", json=body)
    api.done("DELETE", f"global/firewalls/{name}")


def test_a_public_image_project_without_images_is_empty_and_not_forbidden(api: Any) -> None:
    answer = api("GET", "/compute/v1/projects/windows-cloud/global/images")
    assert answer.status_code == 200, "gcloud retries a 403 in a batch for 23 seconds"
    assert "items" not in answer.json()


def test_what_google_auth_asks_behind_ones_back_is_not_found(api: Any, key_file: dict[str, str]) -> None:
    path = f"/v1/projects/-/serviceAccounts/{key_file['client_email']}/allowedLocations"
    answer = api("GET", path, headers={"Host": "iamcredentials.googleapis.com"})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == 404


def test_an_empty_aggregated_list_still_has_items(api: Any) -> None:
    assert "items" in api.get("aggregated/machineTypes", filter='name="no-such-type"')
