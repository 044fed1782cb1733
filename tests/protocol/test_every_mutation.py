"""What holds for every mutation that is served: repeated, raced by its twin, or with a fingerprint that is too old.

The surprising thing: a mutation that is served from now on fails here until it has a line in ``CHANGES``.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from gstack.protocol.discovery import document
from gstack.protocol.methods import HANDLERS
from gstack.resources import load_handlers

load_handlers()
VM, FW, FRA = "zones/ch-gva-2/instances/vm", "global/firewalls/fw", "zones/de-fra-1/instances/vm"
ROOT = "zones/ch-gva-2/disks/vm"
DISK, SNAP, IMAGE = "zones/ch-gva-2/disks/disk", "global/snapshots/snap", "global/images/img"
NET, SUB, ADDRESS = "global/networks/net", "regions/de-fra/subnetworks/sub", "regions/de-fra/addresses/addr"
DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
ALLOWED = [{"IPProtocol": "tcp", "ports": ["80"]}]
FIREWALL = {"name": "fw", "network": "global/networks/default", "allowed": ALLOWED}
SUBNETWORK = {"name": "sub", "network": NET, "ipCidrRange": "10.1.0.0/24"}
INSTANCE = {
    "name": "new",
    "machineType": "zones/ch-gva-2/machineTypes/e2-small",
    "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN}}],
    "networkInterfaces": [{}],
}
ACCOUNT = {"email": "default", "scopes": ["https://www.googleapis.com/auth/cloud-platform"]}
FINGERPRINT = object()  # stands for the current one of what is changed

Change = tuple[str, str, Any, tuple[str, ...]]
# By method: verb, path, body, and what has to be there before.
CHANGES: dict[str, Change] = {
    "addresses.insert": ("POST", "regions/de-fra/addresses", {"name": "addr"}, ("sub",)),
    "addresses.delete": ("DELETE", ADDRESS, None, ("addr",)),
    "addresses.setLabels": ("POST", f"{ADDRESS}/setLabels", {"labelFingerprint": FINGERPRINT}, ("addr",)),
    "disks.createSnapshot": ("POST", "zones/ch-gva-2/disks/vm/createSnapshot", {"name": "snap"}, ("vm",)),
    "disks.delete": ("DELETE", DISK, None, ("disk",)),
    "disks.insert": ("POST", "zones/ch-gva-2/disks", {"name": "disk", "sizeGb": "10"}, ()),
    "disks.resize": ("POST", "zones/ch-gva-2/disks/vm/resize", {"sizeGb": "40"}, ("vm",)),
    "disks.setLabels": ("POST", f"{DISK}/setLabels", {"labelFingerprint": FINGERPRINT}, ("disk",)),
    "firewalls.delete": ("DELETE", FW, None, ("fw",)),
    "firewalls.insert": ("POST", "global/firewalls", FIREWALL, ()),
    "firewalls.patch": ("PATCH", FW, {"priority": 7}, ("fw",)),
    "firewalls.update": ("PUT", FW, FIREWALL | {"priority": 7}, ("fw",)),
    "images.delete": ("DELETE", IMAGE, None, ("img",)),
    "images.deprecate": ("POST", f"{IMAGE}/deprecate", {"state": "DEPRECATED"}, ("img",)),
    "images.insert": ("POST", "global/images", {"name": "img", "sourceDisk": ROOT}, ("stopped",)),
    "images.patch": ("PATCH", IMAGE, {"description": "d"}, ("img",)),
    "images.setLabels": ("POST", f"{IMAGE}/setLabels", {"labelFingerprint": FINGERPRINT}, ("img",)),
    "instances.addAccessConfig": ("POST", f"{FRA}/addAccessConfig", {"name": "nat"}, ("fra vm",)),
    "instances.attachDisk": ("POST", f"{VM}/attachDisk", {"source": DISK, "deviceName": "d"}, ("vm", "disk")),
    "instances.delete": ("DELETE", VM, None, ("vm",)),
    "instances.deleteAccessConfig": ("POST", f"{FRA}/deleteAccessConfig", None, ("fra vm", "config")),
    "instances.detachDisk": ("POST", f"{VM}/detachDisk", None, ("vm", "disk", "attached")),
    "instances.insert": ("POST", "zones/ch-gva-2/instances", INSTANCE, ()),
    "instances.reset": ("POST", f"{VM}/reset", None, ("vm",)),
    "instances.setDeletionProtection": ("POST", f"{VM}/setDeletionProtection", None, ("vm",)),
    "instances.setDiskAutoDelete": ("POST", f"{VM}/setDiskAutoDelete", None, ("vm", "disk", "attached")),
    "instances.setLabels": ("POST", f"{VM}/setLabels", {"labelFingerprint": FINGERPRINT}, ("vm",)),
    "instances.setMachineType": ("POST", f"{VM}/setMachineType", {"machineType": "e2-medium"}, ("stopped",)),
    "instances.setMetadata": ("POST", f"{VM}/setMetadata", {"fingerprint": FINGERPRINT}, ("vm",)),
    "instances.setName": ("POST", f"{VM}/setName", {"name": "vm9", "currentName": "vm"}, ("stopped",)),
    "instances.setScheduling": ("POST", f"{VM}/setScheduling", {"automaticRestart": False}, ("vm",)),
    "instances.setServiceAccount": ("POST", f"{VM}/setServiceAccount", ACCOUNT, ("stopped",)),
    "instances.setTags": ("POST", f"{VM}/setTags", {"fingerprint": FINGERPRINT}, ("vm",)),
    "instances.start": ("POST", f"{VM}/start", None, ("stopped",)),
    "instances.stop": ("POST", f"{VM}/stop", None, ("vm",)),
    "networks.delete": ("DELETE", NET, None, ("net",)),
    "networks.insert": ("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False}, ()),
    "networks.patch": ("PATCH", NET, {"routingConfig": {"routingMode": "GLOBAL"}}, ("net",)),
    "networks.switchToCustomMode": ("POST", "global/networks/auto/switchToCustomMode", None, ("auto",)),
    "projects.setCommonInstanceMetadata": ("POST", "setCommonInstanceMetadata", {"fingerprint": FINGERPRINT}, ()),
    "projects.setDefaultNetworkTier": ("POST", "setDefaultNetworkTier", {"networkTier": "PREMIUM"}, ()),
    "snapshots.delete": ("DELETE", SNAP, None, ("vm", "snap")),
    "snapshots.insert": ("POST", "global/snapshots", {"name": "snap", "sourceDisk": ROOT}, ("vm",)),
    "snapshots.setLabels": ("POST", f"{SNAP}/setLabels", {"labelFingerprint": FINGERPRINT}, ("vm", "snap")),
    "subnetworks.delete": ("DELETE", SUB, None, ("sub",)),
    "subnetworks.insert": ("POST", "regions/de-fra/subnetworks", SUBNETWORK, ("net",)),
    "subnetworks.patch": ("PATCH", SUB, {"fingerprint": FINGERPRINT}, ("sub",)),
    "subnetworks.setPrivateIpGoogleAccess": (
        "POST",
        f"{SUB}/setPrivateIpGoogleAccess",
        {"privateIpGoogleAccess": False},
        ("sub",),
    ),
}  # fmt: skip
QUERIES = {
    "instances.deleteAccessConfig": {"accessConfig": "External NAT", "networkInterface": "nic0"},
    "instances.addAccessConfig": {"networkInterface": "nic0"},
    "instances.detachDisk": {"deviceName": "d"},
    "instances.setDiskAutoDelete": {"deviceName": "d", "autoDelete": "true"},
    "instances.setDeletionProtection": {"deletionProtection": "true"},
}


def _stopped(gateway: Any) -> None:
    gateway.cloudstack("stopVirtualMachine", id=gateway.deploy("vm", rootdisksize=20)["id"])
    gateway.simulator.settle()


def _image(gateway: Any) -> None:
    _stopped(gateway)
    gateway.run("POST", "global/images", {"name": "img", "sourceDisk": ROOT})


def _subnetwork(gateway: Any) -> None:
    MAKERS["net"](gateway)
    gateway.run("POST", "regions/de-fra/subnetworks", SUBNETWORK)


def _machine_in_fra(gateway: Any) -> None:
    _subnetwork(gateway)
    place = {"networkInterfaces": [{"subnetwork": SUB}], "machineType": "tiny", "name": "vm"}
    gateway.run("POST", "zones/de-fra-1/instances", INSTANCE | place)


def _address(gateway: Any) -> None:
    _subnetwork(gateway)
    gateway.run("POST", "regions/de-fra/addresses", {"name": "addr"})


MAKERS: dict[str, Callable[[Any], Any]] = {
    "vm": lambda gateway: gateway.deploy("vm", rootdisksize=20),
    "stopped": _stopped,
    "disk": lambda gateway: gateway.run("POST", "zones/ch-gva-2/disks", {"name": "disk", "sizeGb": "10"}),
    "attached": lambda gateway: gateway.run("POST", f"{VM}/attachDisk", {"source": DISK, "deviceName": "d"}),
    "fw": lambda gateway: gateway.run("POST", "global/firewalls", FIREWALL),
    "snap": lambda gateway: gateway.run("POST", "zones/ch-gva-2/disks/vm/createSnapshot", {"name": "snap"}),
    "img": _image,
    "net": lambda gateway: gateway.run("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False}),
    "auto": lambda gateway: gateway.run("POST", "global/networks", {"name": "auto", "autoCreateSubnetworks": True}),
    "sub": _subnetwork,
    "addr": _address,
    "fra vm": _machine_in_fra,
    "config": lambda gateway: gateway.run(
        "POST", f"{FRA}/addAccessConfig", {"name": "External NAT"}, networkInterface="nic0"
    ),
}


def _ready(gateway: Any, name: str) -> tuple[str, str, Any, dict[str, str]]:
    """The change, after what it needs was made: verb, path, body, query."""
    verb, path, body, needs = CHANGES[name]
    for need in needs:
        MAKERS[need](gateway)
    return verb, path, _current(gateway, path, body), QUERIES.get(name, {})


def _current(gateway: Any, path: str, body: Any, number: int = 1) -> Any:
    """The body with the fingerprint that reading gives now, and with the ``number``th new content."""
    member = next((name for name, value in (body or {}).items() if value is FINGERPRINT), None)
    if member is None:
        return body
    read = gateway.get(path.rpartition("/")[0] if path.rsplit("/", 1)[-1].startswith("set") else path)
    content: dict[str, Any] = {"labels": {"a": f"v{number}"}}
    if path.endswith("Tags"):
        read, content = read["tags"], {"items": ["default", f"t{number}"]}
    elif path.endswith("etadata"):
        read = read["commonInstanceMetadata" if path.startswith("set") else "metadata"]
        content = {"items": [{"key": "k", "value": f"v{number}"}]}
    elif "labelFingerprint" not in body:
        content = {}
    return body | content | {member: read[member]}


def test_every_served_mutation_is_in_the_table() -> None:
    served = {
        handler.method.id.removeprefix("compute.")
        for handler in HANDLERS.values()
        if handler.method.response == "Operation"
        and handler.method.http_method != "GET"
        and "perations" not in handler.method.id
    }
    assert served == CHANGES.keys()


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_a_repeated_request_is_answered_with_its_first_operation(gateway, name) -> None:
    verb, path, body, query = _ready(gateway, name)
    if "requestId" not in document().methods[f"compute.{name}"].parameters:
        assert gateway.run(verb, path, body, **query)["status"] == "DONE"  # Google's own document knows none here
        return
    request_id = str(uuid.uuid4())
    first = gateway.run(verb, path, body, **query, requestId=request_id)
    again = gateway.run(verb, path, body, **query, requestId=request_id)
    assert again["name"] == first["name"]
    message = gateway.refuse("POST", "global/firewalls", FIREWALL | {"name": "other"}, requestId=request_id)
    assert (request_id in message, first["name"] in message) == (True, True)


@pytest.mark.parametrize("name", sorted(name for name, change in CHANGES.items() if change[0] != "POST"))
def test_a_repeated_request_by_number_is_answered_with_its_first_operation(gateway, name) -> None:
    verb, path, body, query = _ready(gateway, name)
    path = f"{path.rpartition('/')[0]}/{gateway.get(path)['id']}"
    request_id = str(uuid.uuid4())
    first = gateway.run(verb, path, body, **query, requestId=request_id)
    assert gateway.run(verb, path, body, **query, requestId=request_id)["name"] == first["name"]


INSERTS = sorted(name for name in CHANGES if name.endswith((".insert", ".createSnapshot")))


def _at_once(gateway: Any, requests: list[tuple[str, str, Any]]) -> list[tuple[int, str]]:
    """The requests at the same moment; of each the status it or its operation ended with, and what was said."""
    together = Barrier(len(requests))

    def send(request: tuple[str, str, Any]) -> tuple[int, str]:
        mine = gateway.as_user("tenant")
        together.wait()
        answer = mine.call(*request, status=None)
        failed = mine.status == 200 and "error" in answer
        return answer["httpErrorStatusCode"] if failed else mine.status, str(answer.get("error"))

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(send, requests))


@pytest.mark.parametrize("name", INSERTS)
def test_of_two_equal_inserts_at_once_one_is_made_and_one_is_a_409(gateway, name) -> None:
    verb, path, body, _ = _ready(gateway, name)
    answers = _at_once(gateway, [(verb, path, body)] * 2)
    assert sorted(status for status, _ in answers) == [200, 409], answers
    collection = "global/snapshots" if name.endswith("createSnapshot") else path
    assert gateway.names(collection).count(body["name"]) == 1


# Nothing of a subnetwork can change, so no fingerprint of it can be too old.
PRINTED = sorted(
    name
    for name, (_, _, body, _) in CHANGES.items()
    if FINGERPRINT in (body or {}).values() and name != "subnetworks.patch"
)


@pytest.mark.parametrize("name", PRINTED)
def test_of_two_writers_with_one_fingerprint_one_wins_and_the_other_is_a_412(gateway, name) -> None:
    verb, path, first, _ = _ready(gateway, name)
    second = _current(gateway, path, CHANGES[name][2], number=2)
    answers = _at_once(gateway, [(verb, path, first), (verb, path, second)])
    assert sorted(status for status, _ in answers) == [200, 412], answers


@pytest.mark.parametrize("name", PRINTED)
def test_a_fingerprint_that_is_too_old_is_a_412_that_changes_nothing(gateway, name) -> None:
    verb, path, body, _ = _ready(gateway, name)
    gateway.run(verb, path, body)
    after = gateway.get(path.rpartition("/")[0])
    gateway.refuse(verb, path, body, status=412)
    assert gateway.get(path.rpartition("/")[0]) == after


@pytest.mark.parametrize("name", PRINTED)
def test_a_fingerprint_changes_exactly_when_the_content_does(gateway, name) -> None:
    verb, path, body, _ = _ready(gateway, name)
    member = next(member for member, value in CHANGES[name][2].items() if value is FINGERPRINT)
    seen = []
    for number in (1, 2, 1):
        gateway.run(verb, path, _current(gateway, path, CHANGES[name][2], number))
        seen.append(_current(gateway, path, CHANGES[name][2])[member])
    assert body[member] not in seen
    assert (seen[0] == seen[2], seen[0] == seen[1]) == (True, False)
