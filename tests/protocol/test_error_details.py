"""Errors as Google's front end writes them: the ErrorInfo detail, and the headers that belong to a kind."""

from __future__ import annotations

import json

import pytest

from gstack.errors import KINDS, GceError
from gstack.protocol import pipeline
from gstack.protocol.discovery import document

ZONES = document().methods["compute.zones.list"]


def _written(error: GceError, method=ZONES):
    response = pipeline.write_error(error, method)
    return response, json.loads(response.get_data())["error"]


def test_a_request_without_credentials_says_so_and_which_method_it_called(gateway) -> None:
    error = gateway.client.get("/compute/v1/projects/tenant/zones").json["error"]
    assert error["details"] == [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "CREDENTIALS_MISSING",
            "domain": "googleapis.com",
            "metadata": {"service": "compute.googleapis.com", "method": "compute.v1.ZonesService.List"},
        }
    ]


def test_every_bearer_that_is_not_accepted_has_one_reason(gateway) -> None:
    for token in ("nobody:nothing", "ya29.unknown", "a.b.c"):
        answer = gateway.client.get("/compute/v1/projects/tenant/zones", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401
        assert answer.json["error"]["details"][0]["reason"] == "ACCESS_TOKEN_TYPE_UNSUPPORTED"


def test_what_gces_own_servers_answer_carries_no_detail() -> None:
    for kind in ("notFound", "alreadyExists", "invalid", "conditionNotMet", "notImplemented"):
        assert "details" not in _written(GceError(kind, "No."))[1]


def test_a_detail_does_not_push_another_one_out() -> None:
    own = {"@type": "type.googleapis.com/google.rpc.Help"}
    assert _written(GceError("forbidden", "No.", details=(own,)))[1]["details"][0] == own


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("authError", "ACCESS_TOKEN_TYPE_UNSUPPORTED"),
        ("forbidden", "IAM_PERMISSION_DENIED"),
        ("quotaExceeded", "RESOURCE_QUOTA_EXCEEDED"),
        ("rateLimitExceeded", "RATE_LIMIT_EXCEEDED"),
    ],
)
def test_what_googles_front_end_answers_says_why_in_one_word(kind, reason) -> None:
    assert [detail["reason"] for detail in _written(GceError(kind, "No."))[1]["details"]] == [reason]


def test_errors_are_printed_without_blanks_where_the_client_asks_so(gateway) -> None:
    for path in ("/compute/v1/projects/tenant/zones", "/compute/v1/nothing", "/discovery/v1/apis/compute/v9/rest"):
        assert b"\n" in gateway.client.get(path).data
        assert b"\n" not in gateway.client.get(path, query_string={"prettyPrint": "false"}).data


@pytest.mark.parametrize("kind", ["rateLimitExceeded", "backendError", "stockout"])
def test_who_is_to_come_again_is_told_when(kind) -> None:
    assert int(_written(GceError(kind, "Later."))[0].headers["Retry-After"]) >= 1
    assert _written(GceError(kind, "Later.", retry_after=17))[0].headers["Retry-After"] == "17"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_has_its_status_its_reason_and_one_code(kind) -> None:
    response, error = _written(GceError(kind, "A whole sentence."))
    assert response.status_code == error["code"] == KINDS[kind].http
    domain = "usageLimits" if kind in ("quotaExceeded", "rateLimitExceeded") else "global"
    assert error["errors"][0] == {"message": "A whole sentence.", "domain": domain, "reason": kind}
    assert error["status"] == KINDS[kind].status


@pytest.mark.parametrize(("code", "status"), [(503, 503), (429, 429)])
def test_while_cloudstack_cannot_answer_clients_are_told_to_come_again(gateway, code, status) -> None:
    gateway.get("zones/{zone}/instances")
    gateway.simulator.faults.add("status", "listVirtualMachines", times=None, code=code)
    answer = gateway.client.get(
        f"/compute/v1/projects/tenant/zones/{gateway.zone}/instances",
        headers={"Authorization": f"Bearer {gateway.token}"},
    )
    assert answer.status_code == answer.json["error"]["code"] == status
    assert int(answer.headers["Retry-After"]) >= 1


def test_no_error_ever_offers_to_enable_an_api(gateway) -> None:
    """gcloud reads that sentence, and SERVICE_DISABLED, as an order to do so."""
    answers = [
        gateway.call("GET", path, status=None)
        for path in ("/compute/v1/projects/nobody/zones", "global/urlMaps", "zones/nowhere-1", "global/networks/none")
    ]
    assert "Enable it" not in json.dumps(answers)
    assert "SERVICE_DISABLED" not in json.dumps(answers)


def test_ansibles_post_reaches_the_method_that_google_calls_a_patch(gateway) -> None:
    path = "zones/{zone}/instances/vm/updateShieldedInstanceConfig"
    posted = gateway.call("POST", path, {"enableSecureBoot": True}, status=None)
    assert "updateShieldedInstanceConfig" in posted["error"]["message"] or gateway.status == 404
    assert gateway.status in (404, 501)
