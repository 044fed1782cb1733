"""The application from outside: every answer is GCE-shaped JSON, whatever is asked."""

from __future__ import annotations

import gzip
import json
import re

import pytest
from sqlalchemy.exc import DatabaseError

from gstack.app import create_app
from gstack.auth.guard import Gatekeeper
from gstack.cloudstack.catalogue import Catalogue
from gstack.protocol import edges
from gstack.protocol.discovery import document
from gstack.protocol.methods import HANDLERS
from gstack.settings import Settings
from gstack.store.sealing import ensure_keys


def _error(response) -> dict:
    assert response.content_type == "application/json; charset=UTF-8"
    error = json.loads(response.data)["error"]
    assert error["code"] == response.status_code
    assert error["errors"][0]["domain"] == "global"
    assert error["message"]
    return error


def test_every_method_of_the_api_is_a_route(gateway) -> None:
    rules = {(rule.endpoint, method) for rule in gateway.app.url_map.iter_rules() for method in rule.methods}
    missing = [
        method.id
        for method in document().methods.values()
        if (f"{method.resource}.{method.verb}", method.http_method) not in rules
    ]
    assert missing == []
    assert len(document().methods) == 1025


def test_a_method_that_is_not_served_is_a_501_that_names_it(gateway) -> None:
    assert "compute.urlMaps.list" not in HANDLERS
    message = gateway.refuse("GET", "global/urlMaps", status=501)
    assert message == "The method compute.urlMaps.list is not supported by this gateway yet."


@pytest.mark.parametrize("prefix", ["/compute/v1", "/compute/beta", "", "/compute//v1", "/compute/v1/"])
def test_the_api_answers_under_every_prefix_that_clients_use(gateway, prefix) -> None:
    answer = gateway.client.get(
        f"{prefix}/projects/tenant/zones",
        base_url=f"https://{gateway.host}",
        headers={"Authorization": f"Bearer {gateway.token}"},
    )
    assert answer.status_code == 200
    assert answer.json["selfLink"] == f"https://{gateway.host}/compute/v1/projects/tenant/zones"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/nothing/here", 404),
        ("GET", "/compute/v1/projects", 404),
        ("GET", "/compute/v1/projects/tenant/nothing", 404),
        ("DELETE", "/compute/v1/projects/tenant/zones", 405),
        ("PUT", "/token", 405),
        ("POST", "/batch/compute/v1", 400),
    ],
)
def test_unknown_paths_and_wrong_verbs_are_gce_shaped_json(gateway, method, path, status) -> None:
    response = gateway.client.open(path, method=method)
    assert response.status_code == status
    _error(response)


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"1", b"\xff\xfe", b'{"name": }', b"nan"])
def test_a_body_that_is_no_json_object_is_a_400(gateway, body) -> None:
    response = gateway.client.post(
        "/compute/v1/projects/tenant/global/firewalls",
        data=body,
        content_type="application/json",
        headers={"Authorization": f"Bearer {gateway.token}"},
    )
    assert response.status_code == 400
    _error(response)


def test_nobody_is_told_anything_before_saying_who_they_are(gateway) -> None:
    for path in ("zones", "global/urlMaps", "zones/nowhere-1"):
        response = gateway.client.get(f"/compute/v1/projects/tenant/{path}")
        assert response.status_code == 401
        assert _error(response)["status"] == "UNAUTHENTICATED"
        assert "WWW-Authenticate" in response.headers


def test_a_defect_of_ours_is_a_500_that_says_where_to_look_and_nothing_else(gateway, monkeypatch) -> None:
    def broken(_call):
        raise ValueError("secret detail")

    handler = HANDLERS["compute.zones.list"]
    monkeypatch.setitem(HANDLERS, "compute.zones.list", type(handler)(handler.method, broken, (), None))
    response = gateway.client.get(
        "/compute/v1/projects/tenant/zones", headers={"Authorization": f"Bearer {gateway.token}"}
    )
    assert response.status_code == 500
    assert "secret detail" not in response.text
    assert response.headers["X-Request-Id"] in _error(response)["message"]


def test_an_answer_that_did_not_pass_the_guard_is_never_sent(gateway, monkeypatch) -> None:
    from gstack.protocol import pipeline

    def unguarded(exchange) -> None:
        exchange.result = {"kind": "compute#zoneList"}

    monkeypatch.setattr(pipeline, "STEPS", (unguarded,))
    assert gateway.client.get("/compute/v1/projects/tenant/zones").status_code == 500


def test_every_method_that_changes_something_needs_a_command_that_does(gateway) -> None:
    harmless = ("testIamPermissions", "wait", "getHealth", "listInstances", "preview", "listXpnHosts")
    # The one tier there is stays; an operation's record tells of what was done, and undoes nothing.
    kept = {"compute.projects.setDefaultNetworkTier"} | {
        f"compute.{scope}Operations.delete" for scope in ("global", "region", "zone")
    }
    loose = [
        method_id
        for method_id, handler in HANDLERS.items()
        if handler.method.http_method != "GET" and not method_id.endswith(harmless)
        if all(command.startswith(("list", "get", "query")) for command in handler.needs)
    ]
    assert set(loose) == kept


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("setCommonInstanceMetadata", {"items": [{"key": "startup-script", "value": "#!/bin/sh"}]}),
        ("global/instanceTemplates", {"name": "theirs", "properties": {"machineType": "tiny"}}),
        ("regions/ch-gva/targetPools", {"name": "theirs"}),
    ],
)
def test_a_role_that_may_only_read_changes_nothing_that_is_kept_here(gateway, monkeypatch, path, body) -> None:
    reads = frozenset({"listZones", "listVirtualMachines", "listNetworks"})
    monkeypatch.setattr(Catalogue, "apis", lambda *_, **_more: reads)
    assert "which CloudStack does not offer to the account" in gateway.refuse("POST", path, body, status=501)


def test_a_mask_cuts_the_answer_and_a_bad_one_is_refused(gateway) -> None:
    assert set(
        gateway.client.get(
            "/compute/v1/projects/tenant/zones?fields=items(name)",
            headers={"Authorization": f"Bearer {gateway.token}"},
        ).json
    ) == {"items"}
    response = gateway.client.get(
        "/compute/v1/projects/tenant/zones?fields=nothing",
        headers={"Authorization": f"Bearer {gateway.token}"},
    )
    assert response.status_code == 400


@pytest.mark.parametrize(("pretty", "lines"), [("true", True), ("false", False)])
def test_pretty_print_is_on_unless_switched_off(gateway, pretty, lines) -> None:
    response = gateway.client.get(
        f"/compute/v1/projects/tenant/zones?prettyPrint={pretty}",
        headers={"Authorization": f"Bearer {gateway.token}"},
    )
    assert (b"\n" in response.data) is lines


def test_the_discovery_document_names_what_is_served_and_our_own_root(gateway) -> None:
    found = gateway.client.get("/discovery/v1/apis/compute/v1/rest", base_url=f"https://{gateway.host}").json
    assert found["rootUrl"] == f"https://{gateway.host}/"
    assert set(found["resources"]["zones"]["methods"]) == {"get", "list"}


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", ["compute:v1", "compute:beta", "compute:alpha"]),
        ("?preferred=true", ["compute:v1"]),
        ("?name=compute&preferred=true", ["compute:v1"]),
        ("?name=storage", []),
    ],
)
def test_the_list_of_apis_leads_to_documents_that_are_there(gateway, query, ids) -> None:
    base = f"https://{gateway.host}"
    listed = gateway.client.get(f"/discovery/v1/apis{query}", base_url=base).json
    assert [item["id"] for item in listed["items"]] == ids
    for item in listed["items"]:
        found = gateway.client.get(item["discoveryRestUrl"].removeprefix(base), base_url=base).json
        assert (found["id"], found["rootUrl"]) == (item["id"], f"{base}/")
        served = {method["id"] for part in found["resources"].values() for method in part["methods"].values()}
        assert served == HANDLERS.keys()


@pytest.mark.parametrize("path", ["/discovery/v1/apis", "/discovery/v1/apis/compute/v1/rest"])
def test_who_has_a_document_already_is_not_sent_it_again(gateway, path) -> None:
    base = f"https://{gateway.host}"
    first = gateway.client.get(path, base_url=base, headers={"Accept-Encoding": "gzip"})
    kept = {"If-None-Match": first.headers["ETag"], "Accept-Encoding": "gzip"}
    again = gateway.client.get(path, base_url=base, headers=kept)
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert gateway.client.get(path, base_url="https://other.example", headers=kept).status_code == 200


def test_links_name_google_when_the_request_came_to_google(gateway) -> None:
    answer = gateway.client.get(
        "/compute/v1/projects/tenant/zones",
        base_url="https://compute.googleapis.com",
        headers={"Authorization": f"Bearer {gateway.token}"},
    )
    assert answer.json["selfLink"] == "https://www.googleapis.com/compute/v1/projects/tenant/zones"


def _batch(gateway, *requests: str) -> str:
    parts = "".join(
        f"--b\r\nContent-Type: application/http\r\nContent-ID: <{number}>\r\n\r\n{text}\r\n\r\n"
        for number, text in enumerate(requests)
    )
    response = gateway.client.post(
        "/batch/compute/v1",
        data=parts + "--b--\r\n",
        content_type="multipart/mixed; boundary=b",
        headers={"Authorization": f"Bearer {gateway.token}"},
    )
    assert response.status_code == 200
    return response.text


def test_a_batch_of_a_thousand_parts_is_answered_in_order_and_of_one_more_is_refused(gateway) -> None:
    paths = [f"GET /compute/{'v1' if number % 2 else 'beta'}/nothing/{number}" for number in range(1000)]
    answer = _batch(gateway, *paths)
    found = re.findall(r"Content-ID: <response-(\d+)>\r\n\r\nHTTP/1.1 (\d+) (.*)\r\n", answer)
    assert found == [(str(number), "404", "Not Found") for number in range(1000)]
    one_more = "".join(f"--b\r\nContent-Type: application/http\r\n\r\n{text}\r\n\r\n" for text in [*paths, paths[0]])
    response = gateway.client.post("/batch", data=one_more + "--b--\r\n", content_type="multipart/mixed; boundary=b")
    assert response.status_code == 400
    assert "1000 requests at the most" in _error(response)["message"]


@pytest.mark.parametrize("version", ["v1", "beta", "alpha"])
def test_a_batch_goes_by_each_version_may_be_compressed_and_its_own_parts_may_authorise(gateway, version) -> None:
    part = "--b\r\nContent-Type: application/http\r\n\r\nGET /compute/v1/projects/tenant/zones"
    wrong = part + " HTTP/1.1\r\nAuthorization: Bearer nobody:nothing\r\nAccept-Encoding: gzip\r\n\r\n"
    packed = gzip.compress(f"{part}?fields=kind HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n{wrong}--b--".encode())
    response = gateway.client.post(
        f"/batch/compute/{version}",
        data=packed,
        content_type="multipart/mixed; boundary=b",
        headers={"Authorization": f"Bearer {gateway.token}", "Content-Encoding": "gzip"},
    )
    assert re.findall(r"HTTP/1.1 (\d+)", response.text) == ["200", "401"]
    assert "compute#zoneList" in response.text


@pytest.mark.parametrize(
    "path",
    [
        "/discovery/v1/apis",
        "/$discovery/rest",
        "/healthz",
        "/token",
        "/credentials",
        "/%64iscovery/v1/apis",
        "/batch",
    ],
)
def test_a_batch_holds_methods_of_the_api_alone(gateway, path) -> None:
    assert re.findall(r"HTTP/1.1 (\d+)", _batch(gateway, f"GET {path}")) == ["404"]


def test_a_batch_whose_answers_are_too_large_is_carried_out_up_to_there(gateway, monkeypatch) -> None:
    monkeypatch.setattr(edges, "MOST_ANSWERED", 100)
    monkeypatch.setattr(edges, "PARALLEL_PARTS", 1)
    answer = _batch(gateway, *["GET /compute/v1/projects/tenant/zones"] * 3)
    assert re.findall(r"HTTP/1.1 (\d+)", answer) == ["200", "503", "503"]


def test_one_part_of_a_batch_that_is_no_request_fails_alone(gateway) -> None:
    answer = _batch(gateway, "GET /compute/v1/projects/tenant/zones HTTP/1.1", "garbage here")
    assert "HTTP/1.1 200 OK" in answer
    assert "HTTP/1.1 400 Bad Request" in answer


@pytest.mark.parametrize("path", ["/discovery/v1/apis/compute/v9/rest", "/batch/compute/v9"])
def test_a_version_that_does_not_exist_is_not_found(gateway, path) -> None:
    assert gateway.client.open(path, method="POST" if "batch" in path else "GET").status_code == 404


def test_a_body_that_is_far_too_large_is_a_413(gateway) -> None:
    response = gateway.client.post(
        "/compute/v1/projects/tenant/global/firewalls",
        data=b"a" * 12_000_000,
        content_type="application/json",
        headers={"Authorization": f"Bearer {gateway.token}"},
    )
    assert response.status_code == 413
    _error(response)


@pytest.mark.parametrize("path", ["/v1/projects", "/userinfo", "/compute/v1/projects/tenant/zones"])
def test_a_store_that_is_damaged_is_a_503_wherever_it_is_asked(gateway, monkeypatch, path) -> None:
    def broken(*_args):
        raise DatabaseError("SELECT 1", {}, Exception("database disk image is malformed"))

    monkeypatch.setattr(Gatekeeper, "authenticate", broken)
    response = gateway.client.get(path)
    assert response.status_code == 503
    assert "malformed" not in _error(response)["message"]


def test_a_store_that_is_away_is_a_503_that_says_when_to_come_again(gateway, monkeypatch) -> None:
    from sqlalchemy.exc import OperationalError

    from gstack.protocol import pipeline

    def broken(_exchange):
        raise OperationalError("SELECT 1", {}, Exception("database is locked"))

    monkeypatch.setattr(pipeline, "STEPS", (broken,))
    response = gateway.client.get("/compute/v1/projects/tenant/zones")
    assert response.status_code == 503
    assert "Retry-After" in response.headers
    assert "locked" not in response.text


def test_behind_a_proxy_that_ends_tls_links_and_cookies_are_those_of_https(tmp_path) -> None:
    settings = Settings({"PATH": str(tmp_path), "GSTACK_TLS": False, "GSTACK_PUBLIC_URL": "https://gce.example"})
    ensure_keys(settings)
    client = create_app(settings).test_client()
    found = client.get("/.well-known/openid-configuration", base_url="http://gce.example").json
    assert found["token_endpoint"] == "https://gce.example/token"
    assert "; Secure;" in client.get("/credentials", base_url="http://gce.example").headers["Set-Cookie"]
