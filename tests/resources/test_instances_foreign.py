"""Machines that other CloudStack tools made, in every shape they come in: shown, and managed as all others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

INSTANCES = "zones/{zone}/instances"


def _twin(gateway: Any) -> None:
    gateway.deploy("web")
    gateway.simulator.faults.add("race", "deployVirtualMachine")
    gateway.deploy("web")


def _without_nic(gateway: Any) -> None:
    gateway.deploy("bare")
    machine = next(one for one in gateway.simulator.world.machine if one.name == "bare")
    machine.nics = []


def _without_boot_disk(gateway: Any) -> None:
    row = gateway.deploy("hollow")
    gateway.cloudstack("stopVirtualMachine", id=row["id"])
    gateway.simulator.settle()
    (root,) = gateway.cloudstack("listVolumes", virtualmachineid=row["id"])
    gateway.cloudstack("detachVolume", id=root["id"])
    gateway.simulator.settle()


def _failed(gateway: Any) -> None:
    gateway.deploy("giant", serviceofferingid=gateway.offering_id("Titan-does-not-fit"))


def _snapshotting(gateway: Any) -> None:
    row = gateway.deploy("busy")
    (root,) = gateway.cloudstack("listVolumes", virtualmachineid=row["id"])
    next(one for one in gateway.simulator.world.volume if one.id == root["id"]).state = "Snapshotting"


def _tagged_oddly(gateway: Any) -> None:
    row = gateway.deploy("tagged")
    odd = [{"key": "No Label!", "value": "Any Thing"}, {"key": "Env", "value": "UPPER"}]
    gateway.cloudstack("createTags", resourcetype="UserVm", resourceids=[row["id"]], tags=odd)
    gateway.simulator.settle()


SHAPES: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "a name in capitals": (lambda gateway: gateway.deploy("WEB-A"), "web-a", "RUNNING"),
    "a displayname of its own": (lambda gateway: gateway.deploy("db", displayname="Die Datenbank ✓"), "db", "RUNNING"),
    "in several groups": (
        lambda gateway: gateway.deploy("grouped", securitygroupnames="default"),
        "grouped",
        "RUNNING",
    ),
    "of the name of another": (_twin, "web", "RUNNING"),
    "without a nic": (_without_nic, "bare", "RUNNING"),
    "without a boot disk": (_without_boot_disk, "hollow", "TERMINATED"),
    "that could not be deployed": (_failed, "giant", "TERMINATED"),
    "whose disk is busy": (_snapshotting, "busy", "RUNNING"),
    "with tags that are no labels": (_tagged_oddly, "tagged", "RUNNING"),
}


@pytest.fixture(params=SHAPES)
def foreign(request: pytest.FixtureRequest, gateway: Any) -> tuple[str, str]:
    """The GCE name and status of a machine of some shape."""
    make, name, status = SHAPES[request.param]
    make(gateway)
    return name, status


def test_it_is_shown_alone_and_in_lists(gateway: Any, foreign: tuple[str, str]) -> None:
    name, status = foreign
    shown = gateway.get(f"{INSTANCES}/{name}")
    assert (shown["name"], shown["status"]) == (name, status)
    assert shown in gateway.get(INSTANCES)["items"]
    assert gateway.get(f"{INSTANCES}/{shown['id']}") == shown
    assert gateway.names("zones/{zone}/disks") is not None


def test_it_can_be_deleted(gateway: Any, foreign: tuple[str, str]) -> None:
    name, _ = foreign
    number = gateway.get(f"{INSTANCES}/{name}")["id"]
    gateway.run("DELETE", f"{INSTANCES}/{name}")
    assert number not in [item["id"] for item in gateway.get(INSTANCES).get("items", [])]


@pytest.mark.parametrize("shape", [shape for shape, (make, *_) in SHAPES.items() if make is not _failed])
def test_it_takes_labels_metadata_and_protection(gateway: Any, shape: str) -> None:
    make, name, _ = SHAPES[shape]
    make(gateway)
    path = f"{INSTANCES}/{name}"
    seen = gateway.get(path)
    labels = seen.get("labels", {}) | {"mine": "yes"}
    gateway.run("POST", f"{path}/setLabels", {"labels": labels, "labelFingerprint": seen["labelFingerprint"]})
    items = {"items": [{"key": "k", "value": "v"}], "fingerprint": seen["metadata"]["fingerprint"]}
    gateway.run("POST", f"{path}/setMetadata", items)
    gateway.run("POST", f"{path}/setDeletionProtection", deletionProtection="true")
    now = gateway.get(path)
    assert (now["labels"]["mine"], now["metadata"]["items"], now["deletionProtection"]) == ("yes", items["items"], True)


def test_one_that_could_not_be_deployed_says_so_and_changes_no_more(gateway: Any) -> None:
    _failed(gateway)
    assert "could not deploy" in gateway.get(f"{INSTANCES}/giant")["statusMessage"]
    gateway.refuse("POST", f"{INSTANCES}/giant/start")
    gateway.refuse("POST", f"{INSTANCES}/giant/setDeletionProtection", deletionProtection="true")


@pytest.mark.parametrize("shape", ["a name in capitals", "a displayname of its own", "of the name of another"])
def test_it_is_stopped_resized_started_tagged_and_given_a_disk(gateway: Any, shape: str) -> None:
    make, name, _ = SHAPES[shape]
    make(gateway)
    number = gateway.get(f"{INSTANCES}/{name}")["id"]
    path = f"{INSTANCES}/{number}"
    gateway.run("POST", "zones/{zone}/disks", {"name": "data", "sizeGb": "10"})
    gateway.run("POST", f"{path}/attachDisk", {"source": "zones/ch-gva-2/disks/data", "deviceName": "d"})
    seen = gateway.get(path)["tags"]
    worn = [*seen.get("items", []), "web"]
    gateway.run("POST", f"{path}/setTags", {"items": worn, "fingerprint": seen["fingerprint"]})
    gateway.run("POST", f"{path}/stop")
    gateway.run("POST", f"{path}/setMachineType", {"machineType": "zones/ch-gva-2/machineTypes/small"})
    gateway.run("POST", f"{path}/start")
    (volume,) = gateway.cloudstack("listVolumes", name="data")
    (row,) = gateway.cloudstack("listVirtualMachines", id=volume["virtualmachineid"])
    assert (row["state"], row["serviceofferingname"], gateway.get(path)["name"]) == ("Running", "Small", name)
    assert gateway.get(path)["tags"]["items"] == sorted(worn)
    gateway.run("POST", f"{path}/detachDisk", deviceName="d")
    assert "virtualmachineid" not in gateway.cloudstack("listVolumes", name="data")[0]


def test_a_template_that_another_account_shares_boots_an_instance(gateway: Any) -> None:
    other = gateway.as_user("other")
    made = other.deploy("theirs")
    other.cloudstack("stopVirtualMachine", id=made["id"])
    gateway.simulator.settle()
    (root,) = other.cloudstack("listVolumes", virtualmachineid=made["id"])
    params = {"volumeid": root["id"], "ostypeid": made["guestosid"], "displaytext": "x"}
    template = other.cloudstack("createTemplate", name="shared-one", **params)
    gateway.simulator.settle()
    other.cloudstack("updateTemplatePermissions", id=template["id"], op="add", accounts="tenant")
    image = gateway.get("global/images/shared-one")
    disk = {"boot": True, "initializeParams": {"sourceImage": image["selfLink"]}}
    body = {"name": "web", "machineType": "tiny", "disks": [disk], "networkInterfaces": [{}]}
    gateway.run("POST", INSTANCES, body)
    assert gateway.cloudstack("listVirtualMachines", name="web")[0]["templateid"] == template["id"]
