"""Disks: boot disks, data disks, detached ones, and whose they are."""

from __future__ import annotations

from typing import Any

import pytest

DISKS = "zones/{zone}/disks"


def volume(gateway: Any, name: str, offering: str = "ssd-10", **params: Any) -> str:
    """A detached volume made by another tool; its id."""
    chosen = gateway.cloudstack("listDiskOfferings", name=offering)[0]["id"]
    made = gateway.cloudstack("createVolume", zoneid=gateway.zone_id, name=name, diskofferingid=chosen, **params)
    gateway.simulator.settle()
    return str(made["id"])


def test_a_boot_disk_bears_its_instances_name(gateway: Any) -> None:
    gateway.deploy("web", rootdisksize=20)
    disk = gateway.get(f"{DISKS}/web")
    assert (disk["sizeGb"], disk["status"]) == ("20", "READY")
    assert disk["users"] == [disk["zone"] + "/instances/web"]
    assert disk["sourceImage"].endswith("/projects/debian-cloud/global/images/linux-debian-12-64-bit")
    assert disk["type"].endswith("/diskTypes/pd-standard")
    assert gateway.get("zones/{zone}/instances/web")["disks"][0]["source"] == disk["selfLink"]


def test_a_detached_disk_has_no_users(gateway: Any) -> None:
    volume(gateway, "data")
    disk = gateway.get(f"{DISKS}/data")
    assert "users" not in disk and "sourceImage" not in disk
    assert (disk["sizeGb"], disk["status"]) == ("10", "READY")
    assert disk["type"].endswith("/diskTypes/ssd-10")


def test_an_attached_disk_names_its_instance(gateway: Any) -> None:
    row = gateway.deploy("web")
    gateway.cloudstack("attachVolume", id=volume(gateway, "data"), virtualmachineid=row["id"])
    disk = gateway.get(f"{DISKS}/data")
    assert disk["users"] == [disk["zone"] + "/instances/web"]
    assert disk["lastAttachTimestamp"]


def test_labels_are_resource_tags(gateway: Any) -> None:
    made = volume(gateway, "data")
    gateway.cloudstack(
        "createTags", resourcetype="Volume", resourceids=made, **{"tags[0].key": "tier", "tags[0].value": "gold"}
    )
    assert gateway.get(f"{DISKS}/data")["labels"] == {"tier": "gold"}


def test_a_disk_is_found_by_its_number_and_by_a_name_that_the_codec_made(gateway: Any) -> None:
    volume(gateway, "Dätä ✓")
    (name,) = gateway.names(DISKS)
    disk = gateway.get(f"{DISKS}/{name}")
    assert disk["name"] == name
    assert gateway.get(f"{DISKS}/{disk['id']}")["name"] == name


def test_disks_of_one_name_can_all_be_reached(gateway: Any) -> None:
    for _ in range(3):
        volume(gateway, "data")
    names = gateway.names(DISKS)
    assert len(set(names)) == 3
    assert len({gateway.get(f"{DISKS}/{name}")["id"] for name in names}) == 3


def test_a_boot_disk_keeps_its_name_whatever_else_is_called_so(gateway: Any) -> None:
    volume(gateway, "web")
    gateway.deploy("web")
    disk = gateway.get(f"{DISKS}/web")
    assert disk["users"][0].endswith("/instances/web")
    assert len(gateway.names(DISKS)) == 2


def test_a_list_costs_one_call(gateway: Any) -> None:
    gateway.deploy("web")
    volume(gateway, "data")
    gateway.get(DISKS)
    assert gateway.names(DISKS) == ["data", "web"]
    assert gateway.upstream == ["listVolumes"]


def test_disks_of_destroyed_machines_are_hidden(gateway: Any) -> None:
    row = gateway.deploy("web")
    gateway.cloudstack("destroyVirtualMachine", id=row["id"])
    assert gateway.names(DISKS) == []
    assert gateway.refuse("GET", f"{DISKS}/web", status=404).endswith("/disks/web' was not found")


def test_the_aggregated_list_groups_by_zone(gateway: Any) -> None:
    volume(gateway, "data")
    items = gateway.get("aggregated/disks")["items"]
    assert [disk["name"] for disk in items["zones/ch-gva-2"]["disks"]] == ["data"]


def test_nobody_sees_the_disks_of_others(gateway: Any) -> None:
    gateway.as_user("other").deploy("web")
    assert gateway.names(DISKS) == []
    assert gateway.refuse("GET", f"{DISKS}/web", status=404)


@pytest.mark.parametrize("name", ["none", "99"])
def test_a_disk_that_is_not_there_is_not_found(gateway: Any, name: str) -> None:
    message = gateway.refuse("GET", f"{DISKS}/{name}", status=404)
    assert message == f"The resource 'projects/tenant/zones/ch-gva-2/disks/{name}' was not found"


def test_a_disk_of_less_than_nothing_is_refused_at_once(gateway: Any) -> None:
    assert "at least 1" in gateway.refuse("POST", DISKS, {"name": "d", "sizeGb": "-1"})
