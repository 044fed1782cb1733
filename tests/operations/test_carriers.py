"""Disks of images: a machine's root volume without its machine, and what is left when CloudStack fails on the way."""

from __future__ import annotations

from typing import Any

import pytest

from gstack.store.db import db
from gstack.store.overlay import Overlay
from gstack.translate import machines

DISKS = "zones/{zone}/disks"
DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
BODY = {"name": "data", "sourceImage": DEBIAN, "sizeGb": "20", "labels": {"a": "b"}, "description": "d"}
DEPLOY, DETACH, DESTROY = "deployVirtualMachine", "detachVolume", "destroyVirtualMachine"


def left(gateway: Any) -> tuple[int, int, int]:
    """CloudStack's machines and volumes of the tenant, and what gstack remembers."""
    with gateway.app.app_context():
        remembered = db.session.query(Overlay).count()
    return len(gateway.cloudstack("listVirtualMachines")), len(gateway.cloudstack("listVolumes")), remembered


def test_a_disk_of_an_image_is_a_volume_of_its_template_without_a_machine(gateway: Any) -> None:
    gateway.run("POST", DISKS, BODY)
    disk = gateway.get(f"{DISKS}/data")
    (row,) = gateway.cloudstack("listVolumes")
    assert (row["type"], row["size"], row["state"]) == ("DATADISK", 20 * 2**30, "Allocated")
    assert disk["sourceImage"].rpartition("/")[2].startswith("linux-debian-12")
    assert (disk["sizeGb"], disk["labels"], disk["description"]) == ("20", {"a": "b"}, "d")
    assert left(gateway)[0] == 0


def test_a_carrier_is_no_instance_and_its_volume_no_disk(gateway: Any) -> None:
    gateway.deploy("web", displayname=machines.CARRIER + "0")
    assert gateway.names("zones/{zone}/instances") == gateway.names(DISKS) == []


@pytest.mark.parametrize("kind", ["status", "fail-job"])
@pytest.mark.parametrize("command", [DEPLOY, "createTags", DETACH])
def test_a_disk_of_an_image_that_fails_anywhere_leaves_nothing(gateway: Any, command: str, kind: str) -> None:
    gateway.simulator.faults.add(kind, command, code=530, text="no luck")
    assert "no luck" in gateway.fail("POST", DISKS, BODY)["message"]
    gateway.simulator.settle()
    assert gateway.names(DISKS) == []
    assert (left(gateway)[0], left(gateway)[2]) == (0, 0)


def test_a_carrier_that_cannot_be_destroyed_leaves_the_disk_and_a_warning(gateway: Any) -> None:
    gateway.simulator.faults.add("status", DESTROY, code=530, text="no luck")
    operation = gateway.run("POST", DISKS, BODY)
    assert operation["warnings"][0]["code"] == "CLEANUP_FAILED"
    assert gateway.names(DISKS) == ["data"]
    assert gateway.names("zones/{zone}/instances") == []


def test_a_carrier_that_nobody_remembers_goes_with_the_next_disk(gateway: Any) -> None:
    forgotten = gateway.deploy("old", displayname=machines.CARRIER + "0")
    gateway.simulator.world.machine[forgotten["id"]].created -= 3601
    young = gateway.deploy("young", displayname=machines.CARRIER + "1")
    gateway.run("POST", DISKS, BODY)
    assert [row["id"] for row in gateway.cloudstack("listVirtualMachines")] == [young["id"]]


@pytest.mark.parametrize("command", [DEPLOY, "createTags", DETACH, DESTROY])
def test_a_lost_answer_makes_no_second_disk_of_an_image(gateway: Any, command: str) -> None:
    gateway.simulator.faults.add("lose", command)
    gateway.run("POST", DISKS, BODY)
    assert left(gateway)[:2] == (0, 1)
    assert gateway.get(f"{DISKS}/data")["labels"] == {"a": "b"}
