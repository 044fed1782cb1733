"""Attaching and detaching disks, and whether they go with their instance."""

from __future__ import annotations

from typing import Any

import pytest

INSTANCES = "zones/{zone}/instances"
WEB = f"{INSTANCES}/web"
DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
DATA = "zones/ch-gva-2/disks/data"


def make(gateway: Any, *more: dict[str, Any], name: str = "web") -> None:
    """An instance with further disks."""
    first = {"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN}}
    body = {"name": name, "machineType": "tiny", "disks": [first, *more], "networkInterfaces": [{}]}
    gateway.run("POST", INSTANCES, body)


def volume(gateway: Any, name: str = "data") -> dict[str, Any]:
    """A volume made by another tool."""
    offering = next(row for row in gateway.cloudstack("listDiskOfferings") if row["iscustomized"])
    made = gateway.cloudstack("createVolume", zoneid=gateway.zone_id, name=name, diskofferingid=offering["id"], size=1)
    gateway.simulator.settle()
    return dict(made)


def disks(gateway: Any) -> list[tuple[str, str, bool]]:
    """Device name, disk and whether it goes with the instance."""
    return [
        (disk["deviceName"], disk["source"].rpartition("/")[2], disk["autoDelete"])
        for disk in gateway.get(WEB)["disks"]
    ]


def test_a_disk_is_attached_under_its_device_name_and_stays_when_the_instance_goes(gateway: Any) -> None:
    make(gateway)
    made = volume(gateway)
    operation = gateway.run("POST", f"{WEB}/attachDisk", {"source": DATA, "deviceName": "logs"})
    assert operation["operationType"] == "attachDisk"
    assert disks(gateway) == [("persistent-disk-0", "web", True), ("logs", "data", False)]
    (row,) = gateway.cloudstack("listVolumes", id=made["id"])
    assert row["vmname"] == "web"
    gateway.run("DELETE", WEB)
    assert gateway.names("zones/{zone}/disks") == ["data"]


def test_a_disk_that_is_to_go_with_its_instance_goes(gateway: Any) -> None:
    make(gateway)
    volume(gateway)
    gateway.run("POST", f"{WEB}/attachDisk", {"source": DATA, "autoDelete": True, "mode": "READ_WRITE"})
    gateway.run("DELETE", WEB)
    assert gateway.names("zones/{zone}/disks") == []


def test_a_device_name_that_nobody_chose_stays_whatever_is_detached(gateway: Any) -> None:
    make(gateway)
    for name in ("data", "more"):
        volume(gateway, name)
        gateway.run("POST", f"{WEB}/attachDisk", {"source": f"zones/{gateway.zone}/disks/{name}"})
    gateway.run("POST", f"{WEB}/detachDisk", deviceName="persistent-disk-1")
    assert [device for device, _, _ in disks(gateway)] == ["persistent-disk-0", "persistent-disk-2"]


def test_a_device_name_of_an_insert_stays_whatever_is_detached_and_attached(gateway: Any) -> None:
    make(gateway, *({"initializeParams": {"diskName": name, "diskSizeGb": "1"}} for name in ("data", "more")))
    gateway.run("POST", f"{WEB}/detachDisk", deviceName="persistent-disk-1")
    assert [(device, name) for device, name, _ in disks(gateway)][1:] == [("persistent-disk-2", "more")]
    gateway.run("POST", f"{WEB}/attachDisk", {"source": DATA})
    assert {name: device for device, name, _ in disks(gateway)} == {
        "web": "persistent-disk-0",
        "data": "persistent-disk-1",
        "more": "persistent-disk-2",
    }


def test_disks_keep_their_device_names_when_the_boot_disk_leaves(gateway: Any) -> None:
    make(gateway, {"initializeParams": {"diskName": "data", "diskSizeGb": "1"}})
    gateway.run("POST", f"{WEB}/stop")
    gateway.run("POST", f"{WEB}/detachDisk", deviceName="persistent-disk-0")
    assert [(device, name) for device, name, _ in disks(gateway)] == [("persistent-disk-1", "data")]


def test_a_detached_disk_is_free_and_forgets_how_it_was_attached(gateway: Any) -> None:
    initial = {"diskName": "data", "diskSizeGb": "1"}
    make(gateway, {"autoDelete": True, "deviceName": "logs", "initializeParams": initial})
    gateway.run("POST", f"{WEB}/detachDisk", deviceName="logs")
    assert disks(gateway) == [("persistent-disk-0", "web", True)]
    assert "users" not in gateway.get(DATA.replace("ch-gva-2", "{zone}"))
    make(gateway, {"source": DATA}, name="db")
    second = gateway.get(f"{INSTANCES}/db")["disks"][1]
    assert (second["deviceName"], second["autoDelete"]) == ("persistent-disk-1", False)


def test_a_disk_is_described_as_ever_in_the_instances_that_use_it_and_its_device_name_is_of_one(gateway: Any) -> None:
    gateway.run("POST", "zones/{zone}/disks", {"name": "data", "sizeGb": "1", "description": "of mine"})
    for name, device in (("web", "logs"), ("db", None)):
        make(gateway, {"source": DATA, "deviceName": device}, name=name)
        second = gateway.get(f"{INSTANCES}/{name}")["disks"][1]
        assert second["deviceName"] == (device or "persistent-disk-1")
        gateway.run("DELETE", f"{INSTANCES}/{name}")
        assert gateway.get("zones/{zone}/disks/data")["description"] == "of mine"


def test_an_insert_that_fails_leaves_what_a_disk_is_described_as(gateway: Any) -> None:
    gateway.run("POST", "zones/{zone}/disks", {"name": "data", "sizeGb": "1", "description": "of mine"})
    first = {"boot": True, "initializeParams": {"sourceImage": DEBIAN}}
    body: dict[str, Any] = {"name": "web", "machineType": "tiny", "networkInterfaces": [{}], "deletionProtection": True}
    gateway.simulator.faults.add("status", "updateVirtualMachine", code=530, text="no luck")
    body["disks"] = [first, {"source": DATA, "deviceName": "logs"}]
    assert "no luck" in gateway.fail("POST", INSTANCES, body)["message"]
    disk = gateway.get("zones/{zone}/disks/data")
    assert (disk["description"], disk.get("users")) == ("of mine", None)


def test_the_boot_disk_leaves_a_stopped_instance_under_its_name(gateway: Any) -> None:
    make(gateway)
    message = gateway.refuse("POST", f"{WEB}/detachDisk", deviceName="persistent-disk-0")
    assert "while the instance is stopped" in message
    gateway.run("POST", f"{WEB}/stop")
    gateway.run("POST", f"{WEB}/detachDisk", deviceName="persistent-disk-0")
    assert "disks" not in gateway.get(WEB)
    assert gateway.names("zones/{zone}/disks") == ["web"]
    assert "no usable volumes" in gateway.fail("POST", f"{WEB}/start")["message"]
    gateway.run("POST", f"{WEB}/attachDisk", {"source": "zones/ch-gva-2/disks/web", "boot": True, "autoDelete": True})
    gateway.run("POST", f"{WEB}/start")
    assert disks(gateway) == [("persistent-disk-0", "web", True)]
    assert gateway.cloudstack("listVolumes")[0]["type"] == "ROOT"


def test_what_goes_with_the_instance_is_changed_for_every_disk(gateway: Any) -> None:
    make(gateway, {"autoDelete": True, "initializeParams": {"diskName": "data", "diskSizeGb": "1"}})
    gateway.run("POST", f"{WEB}/setDiskAutoDelete", deviceName="persistent-disk-0", autoDelete="false")
    gateway.run("POST", f"{WEB}/setDiskAutoDelete", deviceName="persistent-disk-1", autoDelete="false")
    assert [goes for _, _, goes in disks(gateway)] == [False, False]
    gateway.run("POST", f"{WEB}/setDiskAutoDelete", deviceName="persistent-disk-0", autoDelete="true")
    gateway.run("POST", f"{WEB}/setDiskAutoDelete", deviceName="persistent-disk-1", autoDelete="true")
    assert [goes for _, _, goes in disks(gateway)] == [True, True]
    gateway.run("DELETE", WEB)
    assert gateway.names("zones/{zone}/disks") == []


def test_no_device_of_that_name_is_said(gateway: Any) -> None:
    make(gateway)
    message = gateway.refuse("POST", f"{WEB}/detachDisk", deviceName="nothing")
    assert "No attached disk found with device name 'nothing'" in message


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "resource.source"),
        ({"source": DATA, "deviceName": "persistent-disk-0"}, "used by another disk"),
        ({"source": DATA, "boot": True}, "has a boot disk already"),
        ({"source": DATA, "mode": "READ_ONLY"}, "resource.mode"),
        ({"source": DATA, "type": "SCRATCH"}, "resource.type"),
        ({"initializeParams": {"diskName": "data"}}, "resource.initializeParams"),
    ],
)
def test_an_attachment_that_cannot_be_is_refused_by_name(gateway: Any, body: dict[str, Any], said: str) -> None:
    make(gateway)
    volume(gateway)
    assert said in gateway.refuse("POST", f"{WEB}/attachDisk", body)


def test_a_disk_that_is_not_there_or_in_use_is_not_attached(gateway: Any) -> None:
    make(gateway)
    message = gateway.refuse("POST", f"{WEB}/attachDisk", {"source": DATA}, status=404)
    assert message.endswith("/disks/data' was not found")
    make(gateway, {"initializeParams": {"diskName": "data", "diskSizeGb": "1"}}, name="db")
    assert "already being used by" in gateway.refuse("POST", f"{WEB}/attachDisk", {"source": DATA})


def test_an_attachment_whose_mark_fails_is_taken_back(gateway: Any) -> None:
    make(gateway)
    volume(gateway)
    gateway.simulator.faults.add("fail-job", "createTags", text="no luck")
    error = gateway.fail("POST", f"{WEB}/attachDisk", {"source": DATA, "autoDelete": True})
    assert "Undone: the attaching" in error["message"]
    assert [name for _, name, _ in disks(gateway)] == ["web"]


@pytest.mark.parametrize("kind", ["lose", "cut"])
def test_lost_answers_attach_and_detach_once(gateway: Any, kind: str) -> None:
    make(gateway)
    volume(gateway)
    gateway.simulator.faults.add(kind, "attachVolume")
    gateway.run("POST", f"{WEB}/attachDisk", {"source": DATA})
    gateway.simulator.faults.add(kind, "detachVolume")
    gateway.run("POST", f"{WEB}/detachDisk", deviceName="persistent-disk-1")
    assert [name for _, name, _ in disks(gateway)] == ["web"]
