"""The audit log: who, from where, with which client, in which project, which method, with what outcome."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from flask import request_finished

from .conftest import HOST, Room


def bound(room: Room, path: str, token: str) -> dict[str, Any]:
    """What is bound to every line of a request once it has been answered."""
    seen: dict[str, Any] = {}
    room.app.after_request(lambda response: (seen.update(structlog.contextvars.get_contextvars()), response)[1])
    headers = {"Authorization": f"Bearer {token}", "User-Agent": "gcloud/528\x1b[2J " + "x" * 500}
    room.client.get(path, headers=headers, base_url=f"https://{HOST}", environ_base={"REMOTE_ADDR": "203.0.113.9"})
    return seen


def test_every_line_of_a_call_says_who_from_where_with_what_and_in_which_project(room: Room) -> None:
    made = room.service_account()
    seen = bound(room, "/v1/projects/tenant", ":".join(room.keys()))
    assert seen["user"] == "tenant@example.invalid"
    assert (seen["address"], seen["how"], seen["project"]) == ("203.0.113.9", "literal", "tenant")
    assert seen["credential"] not in ("", made.credential_id)
    assert "gcloud/528" in seen["client"] and "\x1b" not in seen["client"] and len(seen["client"]) < 250


def test_the_next_request_of_the_thread_is_nobodys(room: Room) -> None:
    structlog.contextvars.bind_contextvars(user="somebody", project="theirs", credential="c")
    room.client.get("/v1/projects", base_url=f"https://{HOST}")
    assert structlog.contextvars.get_contextvars().keys().isdisjoint({"user", "project", "credential"})


def test_a_call_without_a_login_still_says_from_where_and_with_what_it_came(room: Room) -> None:
    seen = bound(room, "/v1/projects/tenant", "wrong")
    assert seen["address"] == "203.0.113.9" and "gcloud/528" in seen["client"] and "user" not in seen


def test_a_part_of_a_batch_says_who_from_where_and_with_what_too(gateway: Any) -> None:
    seen: list[dict[str, Any]] = []

    def note(_sender: Any, **_: Any) -> None:
        seen.append(structlog.contextvars.get_contextvars())

    with request_finished.connected_to(note, gateway.app):
        gateway.client.post(
            "/batch/compute/v1",
            data="--b\r\n\r\nGET /compute/v1/projects/tenant/zones HTTP/1.1\r\n\r\n--b--\r\n",
            content_type="multipart/mixed; boundary=b",
            headers={"Authorization": f"Bearer {gateway.token}", "User-Agent": "batcher/1"},
            environ_overrides={"REMOTE_ADDR": "203.0.113.9"},
        )
    part = seen[0]
    assert (part["address"], part["client"], part["project"]) == ("203.0.113.9", "'batcher/1'", "tenant")
    assert part["user"] == "tenant@example.invalid"


@pytest.mark.parametrize(("path", "status"), [("/v1/projects", 200), ("/v1/projects/other", 404)])
def test_calls_besides_compute_have_a_line_with_their_outcome(
    room: Room, logged: list[dict[str, Any]], path: str, status: int
) -> None:
    headers = {"Authorization": f"Bearer {room.pair_token()}"}
    room.client.get(path, headers=headers, base_url=f"https://{HOST}")
    line = logged[-1]
    assert line["method"].startswith("cloudresourcemanager.projects.") and line["status"] == status


def test_a_token_request_names_its_client_and_no_key(room: Room, logged: list[dict[str, Any]]) -> None:
    api_key, secret_key = room.keys()
    form = {"grant_type": "client_credentials", "client_id": api_key, "client_secret": secret_key}
    room.client.post("/token", data=form, headers={"User-Agent": "curl/8"}, base_url=f"https://{HOST}")
    assert (logged[-1]["event"], logged[-1]["client"]) == ("token.issued", "'curl/8'") and api_key not in str(logged)


@pytest.mark.parametrize("path", ["projects/{}/zones", "projects/tenant/zones/{}", "projects/tenant/zones/a/disks/{}"])
def test_a_key_or_token_that_stands_where_a_name_belongs_is_not_logged(
    gateway: Any, logged: list[dict[str, Any]], path: str
) -> None:
    secrets = [*gateway.simulator.keys("tenant"), gateway.token, "Hunter2", "a:b", "ey.ey.ey"]
    for secret in secrets:
        gateway.client.get("/compute/v1/" + path.format(secret), headers={"Authorization": f"Bearer {gateway.token}"})
    lines = [event for event in logged if event["event"] == "request"]
    assert [line["path"] for line in lines] == ["/compute/v1/" + path.format("***")] * len(secrets)
    assert not any(secret in str(logged) for secret in secrets)


def test_names_numbers_and_uuids_are_logged_as_they_are(gateway: Any, logged: list[dict[str, Any]]) -> None:
    paths = [
        f"/compute/v1/projects/{name}/zones" for name in ("other", "123456", "9f0c1c8e-3c57-4a4c-8a3b-2d1c0b9a8f7e")
    ]
    for path in paths:
        gateway.client.get(path, headers={"Authorization": f"Bearer {gateway.token}"})
    assert [event["path"] for event in logged if event["event"] == "request"] == paths
