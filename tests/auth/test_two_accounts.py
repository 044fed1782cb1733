"""Two accounts and a CloudStack project before one gateway: what is private to one is in nobody else's cache.

Apart from the tests of the catalogue's keys, because this goes through everything: token, guard, caches, rendering. The
surprising thing: the embedded CloudStack has no private offerings and zones, so here its lists leave them out for
everybody but one account, which is what a CloudStack does that dedicates them to a domain.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gstack.simulator.registry import COMMANDS

OWNER = "tenant"
PRIVATE_ZONE = "at-vie-1"
LISTS = {"listZones": "zone", "listServiceOfferings": "serviceoffering", "listDiskOfferings": "diskoffering"}


def test_an_operation_is_its_projects_alone_by_name_and_by_number(gateway: Any) -> None:
    stranger = gateway.as_user("other")
    made = gateway.call("POST", "global/firewalls", {"name": "mine", "allowed": [{"IPProtocol": "icmp"}]})
    for named in (made["name"], made["id"]):
        assert gateway.get(f"global/operations/{named}")["name"] == made["name"]
        for verb, path in (("GET", ""), ("POST", "/wait"), ("DELETE", "")):
            stranger.refuse(verb, f"global/operations/{named}{path}", status=404)
    for theirs, there in ((gateway, True), (stranger, False)):
        for path in ("global/operations", "aggregated/operations"):
            assert (made["name"] in json.dumps(theirs.get(path))) is there
    assert gateway.get(f"global/operations/{made['name']}")["status"] == "DONE"


def test_a_part_of_a_batch_reaches_what_its_own_token_reaches_whatever_the_batch_shows(gateway: Any) -> None:
    stranger = gateway.as_user("other")
    own = {"mine": gateway.token, "theirs": stranger.token, "none": ""}
    part = "--b\r\nContent-ID: {0}\r\n\r\nGET /compute/v1/projects/tenant/zones HTTP/1.1\r\n{1}\r\n\r\n"
    lines = {name: f"Authorization: Bearer {token}\r\n" for name, token in own.items()} | {"inherited": ""}
    body = "".join(part.format(name, line) for name, line in lines.items()) + "--b--\r\n"

    def statuses(token: str) -> dict[str, str]:
        answer = gateway.client.post(
            "/batch/compute/v1",
            data=body,
            content_type="multipart/mixed; boundary=b",
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )
        return dict(re.findall(r"response-(\w+)[^\0]*?HTTP/1.1 (\d+)", answer.text))

    parts = {"mine": "200", "theirs": "404", "none": "401"}
    assert statuses(stranger.token) == parts | {"inherited": "404"}
    assert statuses(gateway.token) == parts | {"inherited": "200"}
    assert statuses("") == parts | {"inherited": "401"}


@pytest.fixture
def cloud(gateway: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A gateway whose CloudStack shows a template, an offering of each kind and a zone to ``tenant`` alone."""
    root = gateway.as_user("admin")
    offering = {"name": "Secret", "displaytext": "Secret", "cpunumber": 1, "cpuspeed": 1000, "memory": 512}
    hidden = {gateway.cloudstack("listZones", name=PRIVATE_ZONE)[0]["id"]}
    hidden.add(root.cloudstack("createServiceOffering", **offering)["serviceoffering"]["id"])
    disk = {"name": "Secret disk", "displaytext": "Secret disk", "disksize": 5}
    hidden.add(root.cloudstack("createDiskOffering", **disk)["diskoffering"]["id"])
    for name, member in LISTS.items():
        monkeypatch.setitem(COMMANDS, name, replace(COMMANDS[name], handler=_dedicated(name, member, hidden)))
    machine = gateway.deploy("source")
    volume = gateway.cloudstack("listVolumes", virtualmachineid=machine["id"])[0]["id"]
    gateway.cloudstack("stopVirtualMachine", id=machine["id"])
    gateway.simulator.settle()
    made = {"name": "secret-image", "displaytext": "x", "volumeid": volume, "ostypeid": _linux(gateway)}
    gateway.cloudstack("createTemplate", **made)
    gateway.simulator.settle()
    return gateway


def _dedicated(name: str, member: str, hidden: set[str]) -> Any:
    handler = COMMANDS[name].handler

    def answer(call: Any) -> Any:
        body = handler(call)
        if call.account.name == OWNER or call.is_root:
            return body
        rows = [row for row in body.get(member, []) if row["id"] not in hidden]  # type: ignore[union-attr]
        return {"count": len(rows), member: rows}

    return answer


def _linux(gateway: Any) -> str:
    return str(gateway.cloudstack("listOsTypes", description="Debian GNU/Linux 12 (64-bit)")[0]["id"])


KINDS = {
    "template": ("global/images", "secret-image"),
    "service offering": ("zones/{zone}/machineTypes", "secret"),
    "disk offering": ("zones/{zone}/diskTypes", "secret-disk"),
    "zone": ("zones", PRIVATE_ZONE),
}


@pytest.mark.parametrize("first", ["owner", "stranger"])
@pytest.mark.parametrize(("path", "name"), KINDS.values(), ids=KINDS)
def test_what_is_private_shows_to_its_account_alone_whoever_asks_first(
    cloud: Any, path: str, name: str, first: str
) -> None:
    stranger = cloud.as_user("other")
    if first == "owner":
        assert name in cloud.names(path)
    assert name not in stranger.names(path)
    assert name in cloud.names(path)
    assert name not in stranger.names(path)
    assert stranger.refuse("GET", f"{path}/{name}", status=404).endswith("was not found")
    assert cloud.get(f"{path}/{name}")["name"] == name


@pytest.mark.parametrize("first", ["account", "project"])
def test_an_accounts_template_is_not_its_projects(cloud: Any, first: str) -> None:
    project = cloud.as_user(OWNER, "web-shop")
    if first == "account":
        assert "secret-image" in cloud.names("global/images")
    assert "secret-image" not in project.names("global/images")
    assert "secret-image" in cloud.names("global/images")
    assert "secret-image" not in project.names("global/images")


@pytest.mark.parametrize("first", ["account", "project"])
def test_machines_of_the_account_and_of_its_project_are_apart(cloud: Any, first: str) -> None:
    project, path = cloud.as_user(OWNER, "web-shop"), "zones/{zone}/instances"
    if first == "account":
        assert cloud.names(path) == ["source"]
    assert project.names(path) == []
    assert cloud.names(path) == ["source"]


@pytest.mark.parametrize("path", ["zones", "zones/{zone}/instances", "global/images", "global/firewalls", ""])
def test_anothers_account_and_project_are_not_found_however_often_their_owner_was_there(cloud: Any, path: str) -> None:
    cloud.get(path)
    cloud.as_user(OWNER, "web-shop").get(path)
    for project in (OWNER, "web-shop"):
        cloud.as_user("other", project).refuse("GET", path, status=404)


def test_a_private_image_or_type_cannot_be_used_by_a_stranger_who_knows_its_name(cloud: Any) -> None:
    stranger, zone = cloud.as_user("other"), cloud.zone
    cloud.names("global/images")
    disk = {"boot": True, "initializeParams": {"sourceImage": "projects/debian-cloud/global/images/family/debian-12"}}
    body = {
        "name": "thief",
        "machineType": f"zones/{zone}/machineTypes/micro",
        "disks": [disk],
        "networkInterfaces": [{}],
    }
    secret = {"boot": True, "initializeParams": {"sourceImage": "global/images/secret-image"}}
    for changes in ({"machineType": f"zones/{zone}/machineTypes/secret"}, {"disks": [secret]}):
        stranger.call("POST", "zones/{zone}/instances", body | changes, status=None)
        assert stranger.status in (400, 404)
    assert stranger.names("zones/{zone}/instances") == []
