"""Disks made of images, alone and with their instances: what may be asked, what is read back, and their first use."""

from __future__ import annotations

from typing import Any

import pytest

DISKS = "zones/{zone}/disks"
INSTANCES = "zones/{zone}/instances"
DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
UBUNTU = "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts"


def made(gateway: Any, **body: Any) -> dict[str, Any]:
    """A new disk of an image, as it is read back."""
    gateway.run("POST", DISKS, {"name": "data", "sourceImage": DEBIAN, **body})
    return dict(gateway.get(f"{DISKS}/data"))


def volume(gateway: Any, name: str = "data") -> dict[str, Any]:
    """CloudStack's row of a disk."""
    return dict(gateway.cloudstack("listVolumes", tags=[{"key": "gstack:name", "value": name}])[0])


def instance(image: str | None = None, *more: dict[str, Any], **boot: Any) -> dict[str, Any]:
    """The body of an instance."""
    made_of = {"initializeParams": {"sourceImage": image}} if image else {}
    first = {"boot": True, "autoDelete": True, **made_of, **boot}
    return {"name": "web", "machineType": "tiny", "disks": [first, *more], "networkInterfaces": [{}]}


def test_a_disk_of_an_image_has_the_image_s_size_unless_it_is_asked_for_more(gateway: Any) -> None:
    least = gateway.get("/compute/v1/projects/debian-cloud/global/images/family/debian-12")["diskSizeGb"]
    assert made(gateway)["sizeGb"] == least


def test_a_disk_of_an_image_has_the_type_that_was_asked_for(gateway: Any) -> None:
    assert made(gateway, type="zones/ch-gva-2/diskTypes/pd-ssd")["type"].endswith("/diskTypes/pd-ssd")


def test_a_disk_of_an_image_is_the_same_without_the_database(gateway: Any) -> None:
    before = made(gateway, sizeGb="30", labels={"a": "b"})
    gateway.forget_everything()
    assert gateway.get(f"{DISKS}/data") == before


def test_the_older_way_to_name_an_image_makes_the_same_disk(gateway: Any) -> None:
    gateway.run("POST", DISKS, {"name": "data"}, sourceImage=DEBIAN)
    assert gateway.get(f"{DISKS}/data")["sourceImage"] == made(gateway, name="more")["sourceImage"]


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({"sizeGb": "1"}, "cannot be smaller than the image size"),
        ({"sourceImage": "projects/debian-cloud/global/images/none"}, "resource.sourceImage"),
        ({"sourceSnapshot": "global/snapshots/snap"}, "resource.sourceImage"),
        ({"type": "zones/ch-gva-2/diskTypes/ssd-10", "sizeGb": "11"}, "resource.sizeGb"),
    ],
)
def test_what_a_disk_of_an_image_cannot_be_is_refused(gateway: Any, body: dict[str, Any], part: str) -> None:
    assert part in gateway.refuse("POST", DISKS, {"name": "data", "sourceImage": DEBIAN, **body})
    assert not gateway.cloudstack("listVolumes")


def test_an_instance_boots_from_a_disk_of_an_image(gateway: Any) -> None:
    made(gateway, sizeGb="20")
    before = volume(gateway)["id"]
    gateway.run("POST", INSTANCES, instance(source="zones/ch-gva-2/disks/data"))
    row = volume(gateway)
    assert (row["id"], row["state"], row["type"], row["vmname"]) == (before, "Ready", "ROOT", "web")


def test_it_is_attached_to_an_instance_of_its_own_image_and_refused_to_others(gateway: Any) -> None:
    made(gateway)
    body = {"source": "zones/ch-gva-2/disks/data"}
    gateway.run("POST", INSTANCES, instance(UBUNTU) | {"name": "other"})
    assert "another one" in gateway.refuse("POST", f"{INSTANCES}/other/attachDisk", body)
    assert "another one" in gateway.refuse("POST", INSTANCES, instance(UBUNTU, body))
    gateway.run("POST", INSTANCES, instance(DEBIAN))
    gateway.run("POST", f"{INSTANCES}/web/attachDisk", body)
    gateway.run("POST", f"{INSTANCES}/web/detachDisk", deviceName="persistent-disk-1")
    gateway.run("POST", f"{INSTANCES}/other/attachDisk", body)
    assert volume(gateway)["vmname"] == "other"


def test_a_copy_of_a_disk_of_an_image_that_was_never_used_is_one_as_well(gateway: Any) -> None:
    image = made(gateway, sizeGb="20")["sourceImage"]
    gateway.run("POST", DISKS, {"name": "copy", "sourceDisk": "zones/ch-gva-2/disks/data"})
    copy = gateway.get(f"{DISKS}/copy")
    assert (copy["sourceImage"], copy["sizeGb"]) == (image, "20")
    assert copy["sourceDisk"].endswith("/disks/data")


def test_it_grows_and_is_deleted(gateway: Any) -> None:
    made(gateway, sizeGb="20")
    gateway.run("POST", f"{DISKS}/data/resize", {"sizeGb": "25"})
    assert gateway.get(f"{DISKS}/data")["sizeGb"] == "25"
    gateway.run("DELETE", f"{DISKS}/data")
    assert not gateway.cloudstack("listVolumes")


def test_in_an_isolated_zone_without_a_network_the_default_one_s_piece_is_made(gateway: Any) -> None:
    gateway.run("POST", "zones/de-fra-1/disks", {"name": "data", "sourceImage": DEBIAN})
    assert gateway.get("zones/de-fra-1/disks/data")["status"] == "READY"


def filled(gateway: Any) -> dict[str, str]:
    """The systems that volumes are filled with, by the names of their disks."""
    world, found = gateway.simulator.world, {}
    for row in gateway.cloudstack("listVolumes"):
        content = world.volume[row["id"]].content
        mark = {tag["key"]: tag["value"] for tag in row["tags"]}.get("gstack:name", "boot")
        if content is not None:
            found[mark] = world.template[content].name.split()[1]
    return found


def of_image(image: str, name: str, **more: Any) -> dict[str, Any]:
    """A disk besides the boot disk, to be made with its instance."""
    return {"autoDelete": True, "initializeParams": {"sourceImage": image, "diskName": name, **more}}


def test_an_instance_has_further_disks_of_any_image(gateway: Any) -> None:
    more = [of_image(UBUNTU, "other", diskSizeGb="30", labels={"a": "b"}), of_image(DEBIAN, "same")]
    gateway.run("POST", INSTANCES, instance(DEBIAN, *more, {"initializeParams": {"diskSizeGb": "3"}}))
    shown = gateway.get(f"{INSTANCES}/web")
    assert shown["status"] == "RUNNING"
    assert [disk["source"].rpartition("/")[2] for disk in shown["disks"]] == ["web", "other", "same", "web-3"]
    disk, image = gateway.get(f"{DISKS}/other"), gateway.get(f"/compute/v1/{UBUNTU}")
    assert (disk["sizeGb"], disk["labels"], disk["sourceImage"]) == ("30", {"a": "b"}, image["selfLink"])
    assert filled(gateway) == {"boot": "Debian", "other": "Ubuntu", "same": "Debian"}
    assert len(gateway.cloudstack("listVirtualMachines")) == 1
    gateway.run("DELETE", f"{INSTANCES}/web")
    assert gateway.names(DISKS) == ["web-3"]


def test_an_instance_of_a_snapshot_has_a_further_disk_of_an_image(gateway: Any) -> None:
    gateway.run("POST", INSTANCES, instance(DEBIAN) | {"name": "old"})
    gateway.run("POST", f"{DISKS}/old/createSnapshot", {"name": "snap"})
    boot = {"initializeParams": {"sourceSnapshot": "global/snapshots/snap"}}
    gateway.run("POST", INSTANCES, instance(None, of_image(UBUNTU, "other"), **boot))
    assert filled(gateway)["other"] == "Ubuntu"


@pytest.mark.parametrize(
    ("command", "after"),
    [
        ("deployVirtualMachine", 1),
        ("deployVirtualMachine", 2),
        ("createTags", 1),
        ("attachVolume", 1),
        ("startVirtualMachine", 0),
    ],
)
def test_an_instance_with_disks_of_images_that_fails_leaves_nothing(gateway: Any, command: str, after: int) -> None:
    gateway.simulator.faults.add("fail-job", command, after=after, code=530, text="no luck")
    body = instance(DEBIAN, of_image(UBUNTU, "other"), of_image(UBUNTU, "more"))
    assert "no luck" in gateway.fail("POST", INSTANCES, body)["message"]
    gateway.simulator.settle()
    assert gateway.names(DISKS) == gateway.names(INSTANCES) == []
    assert gateway.cloudstack("listVirtualMachines") == []


def test_where_cloudstack_would_fill_a_disk_of_the_wrong_image_nothing_is_made(gateway: Any) -> None:
    for pool in gateway.simulator.world.storage_pool:
        pool.row["scope"] = "ZONE"
    body = instance(DEBIAN, of_image(UBUNTU, "other"))
    assert "for whole zones" in gateway.fail("POST", INSTANCES, body)["message"]
    assert gateway.names(DISKS) == gateway.names(INSTANCES) == []
    gateway.run("POST", INSTANCES, instance(DEBIAN, of_image(DEBIAN, "same")))
    assert filled(gateway)["same"] == "Debian"


def test_the_image_of_a_further_disk_that_is_not_there_is_refused_by_its_field(gateway: Any) -> None:
    body = instance(DEBIAN, of_image("projects/debian-cloud/global/images/none", "other"))
    assert "resource.disks[1].initializeParams.sourceImage" in gateway.refuse("POST", INSTANCES, body)
    small = instance(DEBIAN, of_image(UBUNTU, "other", diskSizeGb="1"))
    assert "resource.disks[1].initializeParams.diskSizeGb" in gateway.refuse("POST", INSTANCES, small)
