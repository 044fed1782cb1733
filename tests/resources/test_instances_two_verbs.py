"""Two verbs at once on one machine: one after the other, or the second refused as GCE refuses it, nothing half-made.

Apart from test_every_mutation.py, which races a verb with its twin. Whatever the order in which the two come to be
carried out, both answers and the machine afterwards must tell the same story.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

VM, DISKS = "zones/ch-gva-2/instances/vm", "zones/ch-gva-2/disks"
RESIZE = {"machineType": "zones/ch-gva-2/machineTypes/small"}
ATTACH = {"source": f"{DISKS}/data", "deviceName": "d"}
# Verb, path below the machine, body, query.
VERBS: dict[str, tuple[str, str, Any, dict[str, str]]] = {
    "delete": ("DELETE", "", None, {}),
    "stop": ("POST", "/stop", None, {}),
    "start": ("POST", "/start", None, {}),
    "reset": ("POST", "/reset", None, {}),
    "attachDisk": ("POST", "/attachDisk", ATTACH, {}),
    "detachDisk": ("POST", "/detachDisk", None, {"deviceName": "more"}),
    "setLabels": ("POST", "/setLabels", {"labels": {"a": "b"}}, {}),
    "setTags": ("POST", "/setTags", {"items": ["web"]}, {}),
    "setMetadata": ("POST", "/setMetadata", {"items": [{"key": "k", "value": "v"}]}, {}),
    "setMachineType": ("POST", "/setMachineType", RESIZE, {}),
    "setDeletionProtection": ("POST", "/setDeletionProtection", None, {"deletionProtection": "true"}),
}
PAIRS = [
    ("delete", "stop"),
    ("delete", "start"),
    ("delete", "reset"),
    ("delete", "attachDisk"),
    ("delete", "detachDisk"),
    ("delete", "setLabels"),
    ("delete", "setMetadata"),
    ("delete", "setTags"),
    ("delete", "setMachineType"),
    ("delete", "setDeletionProtection"),
    ("stop", "start"),
    ("stop", "reset"),
    ("stop", "attachDisk"),
    ("stop", "setMetadata"),
    ("start", "setMachineType"),
    ("start", "attachDisk"),
    ("start", "detachDisk"),
    ("attachDisk", "detachDisk"),
    ("setLabels", "setTags"),
    ("setLabels", "setMetadata"),
]
STOPPED_FIRST = {"start", "setMachineType"}  # where the other is none that needs a running machine
# What a verb may say that finds the machine otherwise than it was asked of.
REASONS = {400, 404, 409, 412}


@pytest.fixture
def vm(gateway: Any) -> Any:
    """A machine with a data disk, and a disk beside it."""
    gateway.run("POST", DISKS, {"name": "data", "sizeGb": "10"})
    image = {"sourceImage": "projects/debian-cloud/global/images/family/debian-12"}
    more = {"deviceName": "more", "initializeParams": {"diskName": "more", "diskSizeGb": "5"}}
    body = {
        "name": "vm",
        "machineType": "tiny",
        "disks": [{"boot": True, "autoDelete": True, "initializeParams": image}, more],
        "networkInterfaces": [{}],
    }
    gateway.run("POST", "zones/ch-gva-2/instances", body)
    return gateway


def _sent(gateway: Any, name: str) -> tuple[str, str, Any, dict[str, str]]:
    verb, action, body, query = VERBS[name]
    seen = gateway.get(VM)
    proof = {"setLabels": ("labelFingerprint", seen["labelFingerprint"])} | {
        "setTags": ("fingerprint", seen["tags"]["fingerprint"]),
        "setMetadata": ("fingerprint", seen["metadata"]["fingerprint"]),
    }
    return verb, VM + action, {**body, proof[name][0]: proof[name][1]} if name in proof else body, query


def _both(gateway: Any, names: tuple[str, str]) -> dict[str, int]:
    """How each of the two ended: its status, or that of its operation."""
    sent, together = {name: _sent(gateway, name) for name in names}, Barrier(2)

    def send(name: str) -> int:
        mine, (verb, path, body, query) = gateway.as_user("tenant"), sent[name]
        together.wait()
        answer = mine.call(verb, path, body, status=None, **query)
        if mine.status == 200:
            assert answer["status"] == "DONE", answer
            return int(answer.get("httpErrorStatusCode", 200))
        return int(mine.status)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(names, pool.map(send, names), strict=True))


def _holds(gateway: Any, verb: str, row: dict[str, Any], shown: dict[str, Any]) -> bool:
    """Whether the machine is as a verb that ended well leaves it, where no other can have changed that since."""
    devices = [disk["deviceName"] for disk in shown["disks"]]
    return {
        "attachDisk": "d" in devices,
        "detachDisk": "more" not in devices,
        "setLabels": shown.get("labels") == {"a": "b"},
        "setTags": shown["tags"].get("items") == ["web"],
        "setMetadata": shown["metadata"].get("items") == [{"key": "k", "value": "v"}],
        "setMachineType": row["serviceofferingname"] == "Small",
        "setDeletionProtection": shown["deletionProtection"],
    }.get(verb, True)


@pytest.mark.parametrize("names", PAIRS, ids="+".join)
def test_two_verbs_at_once_end_as_one_after_the_other(vm: Any, names: tuple[str, str]) -> None:
    if set(names) & STOPPED_FIRST and "stop" not in names:
        vm.run("POST", f"{VM}/stop")
    ended = _both(vm, names)
    assert set(ended.values()) <= {200} | REASONS and 200 in ended.values(), ended
    rows = [row for row in vm.cloudstack("listVirtualMachines") if row["state"] not in ("Destroyed", "Expunging")]
    if ended.get("delete") == 200:
        assert (rows, vm.names("zones/ch-gva-2/instances")) == ([], [])
        assert all("virtualmachineid" not in row for row in vm.cloudstack("listVolumes", type="DATADISK"))
        return
    (row,), shown = rows, vm.get(VM)
    assert row["name"] == shown["name"] == "vm"
    assert {name for name, status in ended.items() if status == 200 and not _holds(vm, name, row, shown)} == set()
    for name in names:
        if ended[name] != 200 and name != "delete":
            assert not VERBS[name][2] or not _holds(vm, name, row, shown), f"{name} was refused and has happened"
    vm.run("POST", f"{VM}/setDeletionProtection", deletionProtection="false")
    vm.run("DELETE", VM)
