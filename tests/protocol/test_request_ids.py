"""Idempotency and concurrency, through a whole gateway: ``requestId``, and equal requests at the same moment."""

from __future__ import annotations

import json
import re
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from gstack.protocol.discovery import document
from gstack.protocol.methods import HANDLERS

FIREWALL = {"name": "web", "network": "global/networks/default", "allowed": [{"IPProtocol": "tcp", "ports": ["80"]}]}


def test_a_repeated_insert_is_answered_with_its_first_operation(gateway) -> None:
    request_id = str(uuid.uuid4())
    first = gateway.run("POST", "global/firewalls", FIREWALL, requestId=request_id)
    again = gateway.run("POST", "global/firewalls", FIREWALL, requestId=request_id.upper())
    assert again["name"] == first["name"]
    assert gateway.names("global/firewalls").count("web") == 1


def test_the_parts_of_a_batch_know_request_ids_as_well(gateway) -> None:
    request_id = str(uuid.uuid4())
    bodies = [FIREWALL, FIREWALL, FIREWALL | {"name": "other"}]
    answers = [json.loads(part) for part in _batch(gateway, f"global/firewalls?requestId={request_id}", bodies)]
    made = {answer["name"] for answer in answers if "error" not in answer}
    assert [answer["error"]["code"] for answer in answers if "error" in answer] in ([400], [400, 400])
    assert len(made) == 1
    assert len({"web", "other"} & set(gateway.names("global/firewalls"))) == 1


def _batch(gateway, path, bodies) -> list[str]:
    """The JSON of every part of a batch of POSTs."""
    parts = [
        "--b\r\nContent-Type: application/http\r\n\r\n"
        f"POST /compute/v1/projects/tenant/{path} HTTP/1.1\r\n\r\n{json.dumps(body)}\r\n"
        for body in bodies
    ]
    headers = {"Authorization": f"Bearer {gateway.token}", "Content-Type": "multipart/mixed; boundary=b"}
    answer = gateway.client.post("/batch/compute/v1", data="".join(parts) + "--b--\r\n", headers=headers)
    return re.findall(r"(?s)\r\n\r\n(\{.*?\n\})", answer.text)


def test_a_repeated_delete_is_no_404(gateway) -> None:
    gateway.run("POST", "global/firewalls", FIREWALL)
    request_id = str(uuid.uuid4())
    first = gateway.run("DELETE", "global/firewalls/web", requestId=request_id)
    again = gateway.run("DELETE", "global/firewalls/web", requestId=request_id)
    assert again["name"] == first["name"]
    assert "was not found" in gateway.refuse("DELETE", "global/firewalls/web", status=404)


def test_an_id_that_was_used_for_another_request_is_refused(gateway) -> None:
    request_id = str(uuid.uuid4())
    gateway.run("POST", "global/firewalls", FIREWALL, requestId=request_id)
    message = gateway.refuse("POST", "global/firewalls", {**FIREWALL, "priority": 7}, requestId=request_id)
    assert request_id in message
    assert gateway.get("global/firewalls/web")["priority"] == 1000


def test_the_id_of_another_user_is_another_id(gateway) -> None:
    request_id = str(uuid.uuid4())
    first = gateway.run("POST", "global/firewalls", FIREWALL, requestId=request_id)
    other = gateway.as_user("other").run("POST", "global/firewalls", FIREWALL, requestId=request_id)
    assert other["name"] != first["name"]


@pytest.mark.parametrize("bad", ["x", "00000000-0000-0000-0000-000000000000", "1"])
def test_an_id_that_is_no_uuid_is_refused_by_name(gateway, bad) -> None:
    assert "requestId" in gateway.refuse("POST", "global/firewalls", FIREWALL, requestId=bad)
    assert "web" not in gateway.names("global/firewalls")


def test_every_served_change_knows_request_ids_as_google_does() -> None:
    """So that the one step of the pipeline is enough: no handler has to think of it."""
    changes = [
        document().methods[method_id]
        for method_id in HANDLERS
        if document().methods[method_id].response == "Operation"
        and document().methods[method_id].http_method != "GET"
        and "perations" not in method_id
    ]
    assert changes
    without = {found.id for found in changes if "requestId" not in found.parameters}
    # Google's own document gives these none.
    assert without <= {
        "compute.instances.setDeletionProtection",
        "compute.images.deprecate",
        "compute.snapshots.setLabels",
        "compute.images.setLabels",
        "compute.instanceTemplates.setLabels",
    } | {found.id for found in changes if found.verb == "setLabels" and found.scope == "global"}


@pytest.mark.parametrize("request_ids", [False, True])
def test_of_two_equal_inserts_at_once_one_is_made(gateway, request_ids) -> None:
    def insert(_number: int) -> tuple[int, str]:
        mine = gateway.as_user("tenant")
        more = {"requestId": str(uuid.uuid4())} if request_ids else {}
        answer = mine.call("POST", "global/firewalls", FIREWALL, status=None, **more)
        failed = answer.get("error") if mine.status == 200 else None
        return mine.status if not failed else answer["httpErrorStatusCode"], str(answer)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(insert, range(4)))
    assert sorted(status for status, _ in answers) == [200, 409, 409, 409], answers
    assert gateway.names("global/firewalls").count("web") == 1


def test_two_equal_requests_of_one_id_at_once_are_one_operation(gateway) -> None:
    request_id = str(uuid.uuid4())

    def insert(_number: int) -> str:
        return gateway.as_user("tenant").run("POST", "global/firewalls", FIREWALL, requestId=request_id)["name"]

    with ThreadPoolExecutor(4) as pool:
        names = set(pool.map(insert, range(4)))
    assert len(names) == 1
