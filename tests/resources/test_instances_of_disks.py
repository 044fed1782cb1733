"""Instances that boot from a disk that is there, or from a snapshot; further disks made of snapshots."""

from __future__ import annotations

from typing import Any

import pytest

from gstack.store.db import db
from gstack.store.overlay import Overlay

INSTANCES = "zones/{zone}/instances"
DISKS = "zones/{zone}/disks"
SAVED = "global/snapshots/saved"
DEBIAN = "projects/debian-cloud/global/images/family/debian-12"


def make(gateway: Any, name: str, *disks: dict[str, Any], **members: Any) -> dict[str, Any]:
    """An instance with these disks; as it is read back."""
    content = {"name": name, "machineType": "tiny", "disks": list(disks), "networkInterfaces": [{}]} | members
    gateway.run("POST", INSTANCES, content)
    return dict(gateway.get(f"{INSTANCES}/{name}"))


def of_image(**members: Any) -> dict[str, Any]:
    return {"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN}} | members


def source(disk: str, **members: Any) -> dict[str, Any]:
    return {"boot": True, "source": f"zones/ch-gva-2/disks/{disk}"} | members


def shown(instance: dict[str, Any]) -> list[tuple[str, bool, bool, str]]:
    return [
        (disk["source"].rpartition("/")[2], disk["boot"], disk["autoDelete"], disk["diskSizeGb"])
        for disk in instance["disks"]
    ]


def kept(gateway: Any) -> list[dict[str, Any]]:
    """The volumes but those that wait for the end of their destroyed machines."""
    return [row for row in gateway.cloudstack("listVolumes") if row.get("vmstate") != "Destroyed"]


@pytest.fixture
def spared(gateway: Any) -> str:
    """CloudStack's id of the boot disk ``old``, whose instance is gone."""
    make(gateway, "old", of_image(autoDelete=False))
    gateway.run("DELETE", f"{INSTANCES}/old")
    (row,) = kept(gateway)
    assert "virtualmachineid" not in row
    return str(row["id"])


@pytest.fixture
def snapshot(gateway: Any) -> None:
    """The snapshot ``saved`` of a boot disk."""
    make(gateway, "old", of_image())
    gateway.run("POST", f"{DISKS}/old/createSnapshot", {"name": "saved"})
    gateway.run("DELETE", f"{INSTANCES}/old")
    assert kept(gateway) == []


def test_an_instance_boots_from_a_disk_that_is_there_and_leaves_it_behind(gateway: Any, spared: str) -> None:
    instance = make(gateway, "web", source("old", deviceName="system"))
    assert (instance["status"], shown(instance)) == ("RUNNING", [("old", True, False, "10")])
    assert instance["disks"][0]["deviceName"] == "system"
    (row,) = kept(gateway)
    assert (row["id"], row["type"], row["vmname"], row["deviceid"]) == (spared, "ROOT", "web", 0)
    gateway.run("DELETE", f"{INSTANCES}/web")
    assert [row["id"] for row in kept(gateway)] == [spared]
    assert gateway.names(DISKS) == ["old"]


def test_a_boot_disk_that_is_to_go_with_its_instance_does(gateway: Any, spared: str) -> None:
    assert shown(make(gateway, "web", source("old", autoDelete=True))) == [("old", True, True, "10")]
    gateway.run("DELETE", f"{INSTANCES}/web")
    assert gateway.names(DISKS) == []


def test_further_disks_are_attached_beside_a_boot_disk_that_is_there(gateway: Any, spared: str) -> None:
    data = {"initializeParams": {"diskName": "data", "diskSizeGb": "3"}}
    found = shown(make(gateway, "web", source("old"), data))
    assert found == [("old", True, False, "10"), ("data", False, False, "3")]


@pytest.mark.parametrize(
    ("command", "after"),
    [("detachVolume", 0), ("deleteVolume", 0), ("attachVolume", 0), ("startVirtualMachine", 0), ("createVolume", 0)],
)
def test_an_insert_that_fails_gives_the_disk_back_and_leaves_nothing_else(
    gateway: Any, spared: str, command: str, after: int
) -> None:
    gateway.simulator.faults.add("status", command, after=after, code=530, text="no luck")
    content = {
        "name": "web",
        "machineType": "tiny",
        "disks": [source("old"), {"initializeParams": {"diskName": "data", "diskSizeGb": "3"}}],
        "networkInterfaces": [{}],
    }
    assert "no luck" in gateway.fail("POST", INSTANCES, content)["message"]
    assert [row["id"] for row in kept(gateway)] == [spared]
    assert (gateway.names(INSTANCES), gateway.names(DISKS)) == ([], ["old"])
    assert shown(make(gateway, "web", source("old"))) == [("old", True, False, "10")]


@pytest.mark.parametrize("kind", ["lose", "cut"])
@pytest.mark.parametrize("command", ["detachVolume", "deleteVolume", "attachVolume", "startVirtualMachine"])
def test_a_lost_answer_changes_nothing(gateway: Any, spared: str, command: str, kind: str) -> None:
    gateway.simulator.faults.add(kind, command)
    make(gateway, "web", source("old"))
    assert [row["id"] for row in kept(gateway)] == [spared]


def test_a_disk_that_fails_late_is_not_destroyed_with_the_machine(gateway: Any, spared: str) -> None:
    content = {"name": "web", "machineType": "tiny", "disks": [source("old")], "networkInterfaces": [{}]}
    gateway.simulator.faults.add("status", "updateVirtualMachine", code=530, text="no luck")
    message = gateway.fail("POST", INSTANCES, content | {"deletionProtection": True})["message"]
    assert "the instance web" in message.partition("Undone: ")[2]
    (row,) = kept(gateway)
    assert (row["id"], row.get("virtualmachineid")) == (spared, None)


def test_a_disk_that_was_not_made_of_an_image_boots_nothing(gateway: Any) -> None:
    gateway.run("POST", DISKS, {"name": "empty", "sizeGb": "1"})
    content = {"name": "web", "machineType": "tiny", "disks": [source("empty")], "networkInterfaces": [{}]}
    assert "was not made of an image" in gateway.refuse("POST", INSTANCES, content)


@pytest.mark.parametrize(
    ("disk", "field"),
    [
        (source("old", diskSizeGb="20"), "resource.disks[0].diskSizeGb"),
        (source("old", initializeParams={"sourceImage": DEBIAN}), "resource.disks[0].initializeParams"),
    ],
)
def test_what_contradicts_a_disk_that_is_there_is_refused(
    gateway: Any, spared: str, disk: dict[str, Any], field: str
) -> None:
    content = {"name": "web", "machineType": "tiny", "disks": [disk], "networkInterfaces": [{}]}
    assert field in gateway.refuse("POST", INSTANCES, content)


def test_a_disk_in_use_boots_nothing_else(gateway: Any) -> None:
    make(gateway, "old", of_image())
    content = {"name": "web", "machineType": "tiny", "disks": [source("old")], "networkInterfaces": [{}]}
    assert "already being used by" in gateway.refuse("POST", INSTANCES, content)


@pytest.mark.usefixtures("snapshot")
def test_an_instance_boots_from_a_snapshot(gateway: Any) -> None:
    boot = {
        "boot": True,
        "autoDelete": True,
        "initializeParams": {
            "sourceSnapshot": SAVED,
            "diskSizeGb": "20",
            "labels": {"tier": "gold"},
        },
    }
    instance = make(gateway, "web", boot)
    assert (instance["status"], shown(instance)) == ("RUNNING", [("web", True, True, "20")])
    disk = gateway.get(f"{DISKS}/web")
    assert (disk["labels"], disk["sizeGb"]) == ({"tier": "gold"}, "20")
    assert disk["sourceSnapshot"].endswith("/global/snapshots/saved")
    (row,) = kept(gateway)
    assert (row["type"], row["vmname"]) == ("ROOT", "web")
    gateway.run("DELETE", f"{INSTANCES}/web")
    assert gateway.names(DISKS) == []


@pytest.mark.usefixtures("snapshot")
def test_a_further_disk_is_made_of_a_snapshot(gateway: Any) -> None:
    data = {"initializeParams": {"sourceSnapshot": SAVED, "diskName": "copy"}, "deviceName": "d"}
    instance = make(gateway, "web", of_image(), data)
    assert shown(instance)[1] == ("copy", False, False, "10")
    assert instance["disks"][1]["deviceName"] == "d"


@pytest.mark.usefixtures("snapshot")
@pytest.mark.parametrize("command", ["createVolume", "deployVirtualMachine", "attachVolume", "startVirtualMachine"])
def test_an_insert_of_a_snapshot_that_fails_leaves_nothing(gateway: Any, command: str) -> None:
    gateway.simulator.faults.add("fail-job", command, code=530, text="no luck")
    boot = {"boot": True, "initializeParams": {"sourceSnapshot": SAVED}, "deviceName": "d"}
    content = {"name": "web", "machineType": "tiny", "disks": [boot], "networkInterfaces": [{}]}
    assert "no luck" in gateway.fail("POST", INSTANCES, content)["message"]
    assert kept(gateway) == []
    with gateway.app.app_context():
        assert db.session.query(Overlay).count() == 0


@pytest.mark.usefixtures("snapshot")
def test_a_snapshot_in_which_there_is_less_than_asked_for_is_refused(gateway: Any) -> None:
    boot = {"boot": True, "initializeParams": {"sourceSnapshot": SAVED, "diskSizeGb": "5"}}
    content = {"name": "web", "machineType": "tiny", "disks": [boot], "networkInterfaces": [{}]}
    message = gateway.refuse("POST", INSTANCES, content)
    assert "resource.disks[0].initializeParams.diskSizeGb" in message and "smaller than the snapshot" in message
