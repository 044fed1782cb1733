"""Disks made of images: what may be asked, what is read back, and what can be done with them before their first use."""

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
