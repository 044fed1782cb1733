"""Disks made, grown, labelled, snapshotted and deleted, with the effect looked at in CloudStack."""

from __future__ import annotations

from typing import Any

import pytest

DISKS = "zones/{zone}/disks"


def rows(gateway: Any, name: str) -> list[dict[str, Any]]:
    """CloudStack's volumes of a name."""
    return list(gateway.cloudstack("listVolumes", name=name))


def made(gateway: Any, name: str = "data", **body: Any) -> dict[str, Any]:
    """A new disk, as it is read back."""
    gateway.run("POST", DISKS, {"name": name, "sizeGb": "10", **body})
    return dict(gateway.get(f"{DISKS}/{name}"))


def used(gateway: Any, name: str = "data", **body: Any) -> dict[str, Any]:
    """A disk that was attached once and has storage; its volume's row."""
    made(gateway, name, **body)
    machine = gateway.deploy(f"host-of-{name}")
    (row,) = rows(gateway, name)
    gateway.cloudstack("attachVolume", id=row["id"], virtualmachineid=machine["id"])
    gateway.simulator.settle()
    gateway.cloudstack("detachVolume", id=row["id"])
    gateway.simulator.settle()
    return rows(gateway, name)[0]


def snapshot(gateway: Any, disk: str, name: str = "snap", **body: Any) -> dict[str, Any]:
    """A snapshot of a disk, as it is read back."""
    gateway.run("POST", f"{DISKS}/{disk}/createSnapshot", {"name": name, **body})
    return dict(gateway.get(f"global/snapshots/{name}"))


def test_an_empty_disk_is_a_volume_of_its_name_and_reads_back_as_it_was_asked_for(gateway: Any) -> None:
    disk = made(
        gateway, description="of mine", labels={"tier": "gold", "empty": ""}, type="zones/ch-gva-2/diskTypes/pd-ssd"
    )
    assert (disk["sizeGb"], disk["status"], disk["description"]) == ("10", "READY", "of mine")
    assert disk["labels"] == {"tier": "gold", "empty": ""}
    assert disk["type"].endswith("/zones/ch-gva-2/diskTypes/pd-ssd")
    (row,) = rows(gateway, "data")
    assert row["size"] == 10 * 2**30


def test_a_disk_of_no_type_is_a_pd_standard(gateway: Any) -> None:
    assert made(gateway)["type"].endswith("/diskTypes/pd-standard")


def test_an_empty_disk_of_no_size_has_the_one_that_its_type_says(gateway: Any) -> None:
    gateway.run("POST", DISKS, {"name": "data", "type": "zones/ch-gva-2/diskTypes/pd-ssd"})
    said = gateway.get("zones/{zone}/diskTypes/pd-ssd")["defaultDiskSizeGb"]
    assert gateway.get(f"{DISKS}/data")["sizeGb"] == said
    assert rows(gateway, "data")[0]["size"] == int(said) * 2**30


def test_a_disk_type_of_a_fixed_size_needs_none(gateway: Any) -> None:
    gateway.run("POST", DISKS, {"name": "data", "type": "zones/ch-gva-2/diskTypes/ssd-10"})
    assert gateway.get(f"{DISKS}/data")["sizeGb"] == "10"


def test_a_disk_survives_the_loss_of_the_database(gateway: Any) -> None:
    before = made(gateway, labels={"tier": "gold"}, type="zones/ch-gva-2/diskTypes/pd-ssd")
    gateway.forget_everything()
    assert gateway.get(f"{DISKS}/data") == before


def test_the_operation_of_a_new_disk_names_it(gateway: Any) -> None:
    operation = gateway.run("POST", DISKS, {"name": "data", "sizeGb": "10"})
    assert (operation["operationType"], operation["targetLink"]) == (
        "insert",
        f"https://{gateway.host}/compute/v1/projects/tenant/zones/ch-gva-2/disks/data",
    )
    assert operation["targetId"] == gateway.get(f"{DISKS}/data")["id"]


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({"sizeGb": "10"}, "'resource.name' not specified"),
        ({"name": "Data", "sizeGb": "10"}, "'resource.name': 'Data'"),
        ({"name": "data", "sizeGb": "0"}, "'resource.sizeGb': '0'. Must be at least 1."),
        ({"name": "data", "sizeGb": "11", "type": "zones/ch-gva-2/diskTypes/ssd-10"}, "'resource.sizeGb': '11'"),
        ({"name": "data", "sizeGb": "10", "type": "zones/ch-gva-2/diskTypes/none"}, "'resource.type'"),
        ({"name": "data", "sizeGb": "10", "type": "zones/other-a/diskTypes/pd-ssd"}, "disk's own zone, ch-gva-2"),
        ({"name": "data", "sizeGb": "10", "sourceImage": "global/images/none"}, "resource.sourceImage"),
        ({"name": "data", "sizeGb": "10", "sourceDisk": "zones/ch-gva-2/snapshots/web"}, "resource.sourceDisk"),
        ({"name": "data", "sizeGb": "10", "diskEncryptionKey": {"rawKey": "x"}}, "resource.diskEncryptionKey"),
        ({"name": "data", "sizeGb": "10", "labels": {"Upper": "x"}}, "labels"),
        ({"name": "data", "sourceSnapshot": "zones/z/snapshots/a"}, "resource.sourceSnapshot"),
        ({"name": "data", "sourceSnapshot": "projects/other/global/snapshots/a"}, "another project"),
    ],
)
def test_what_a_disk_cannot_be_is_refused_by_name(gateway: Any, body: dict[str, Any], part: str) -> None:
    assert part in gateway.refuse("POST", DISKS, body)
    assert rows(gateway, "data") == []


def test_a_name_that_is_taken_is_refused_be_it_of_a_boot_disk(gateway: Any) -> None:
    gateway.deploy("web")
    assert gateway.refuse("POST", DISKS, {"name": "web", "sizeGb": "1"}, status=409).endswith(
        "disks/web' already exists"
    )


def test_a_snapshot_that_is_not_there_makes_no_disk(gateway: Any) -> None:
    body = {"name": "data", "sourceSnapshot": "global/snapshots/none"}
    assert "global/snapshots/none' was not found" in gateway.refuse("POST", DISKS, body, status=404)


def test_a_size_that_cloudstack_refuses_fails_the_operation_and_leaves_nothing(gateway: Any) -> None:
    error = gateway.fail("POST", DISKS, {"name": "data", "sizeGb": "5000"})
    assert "5000 GB is out of allowed range" in error["message"]
    assert rows(gateway, "data") == []


@pytest.mark.parametrize("command", ["createVolume", "createTags"])
def test_a_disk_that_fails_half_way_is_taken_back(gateway: Any, command: str) -> None:
    gateway.simulator.faults.add("fail-job", command, text="no luck")
    error = gateway.fail("POST", DISKS, {"name": "data", "sizeGb": "10"})
    assert "no luck" in error["message"] and "Undone: the disk data." in error["message"]
    assert rows(gateway, "data") == []


@pytest.mark.parametrize("command", ["createVolume", "createTags"])
def test_a_disk_whose_answer_is_lost_is_made_once(gateway: Any, command: str) -> None:
    gateway.simulator.faults.add("lose", command)
    assert made(gateway, labels={"tier": "gold"})["labels"] == {"tier": "gold"}
    assert len(rows(gateway, "data")) == 1


def test_a_disk_of_a_snapshot_is_as_large_as_was_asked_for(gateway: Any) -> None:
    used(gateway)
    taken = snapshot(gateway, "data")
    copy = made(gateway, "copy", sizeGb="15", sourceSnapshot="global/snapshots/snap")
    assert copy["sizeGb"] == "15"
    assert (copy["sourceSnapshot"], copy["sourceSnapshotId"]) == (taken["selfLink"], taken["id"])
    (row,) = rows(gateway, "copy")
    assert row["size"] == 15 * 2**30


def test_a_disk_of_a_snapshot_without_a_size_has_the_snapshots(gateway: Any) -> None:
    gateway.deploy("web", rootdisksize=20)
    snapshot(gateway, "web")
    gateway.run("POST", DISKS, {"name": "copy", "sourceSnapshot": "global/snapshots/snap"})
    assert gateway.get(f"{DISKS}/copy")["sizeGb"] == "20"


def test_a_disk_smaller_than_its_snapshot_is_refused(gateway: Any) -> None:
    used(gateway)
    snapshot(gateway, "data")
    body = {"name": "copy", "sizeGb": "9", "sourceSnapshot": "global/snapshots/snap"}
    assert "cannot be smaller than the snapshot size (10 GB)" in gateway.refuse("POST", DISKS, body)


def test_a_boot_disks_snapshot_becomes_a_disk_of_the_type_asked_for(gateway: Any) -> None:
    gateway.deploy("web", rootdisksize=20)
    snapshot(gateway, "web")
    kind = "zones/ch-gva-2/diskTypes/pd-ssd"
    copy = made(gateway, "copy", sizeGb="20", sourceSnapshot="global/snapshots/snap", type=kind)
    assert copy["type"].endswith("/diskTypes/pd-ssd")
    assert rows(gateway, "copy")[0]["diskofferingid"]


def test_a_data_disks_snapshot_becomes_a_disk_of_the_same_type_only(gateway: Any) -> None:
    used(gateway, type="zones/ch-gva-2/diskTypes/ssd-10")
    snapshot(gateway, "data")
    body = {"name": "copy", "sourceSnapshot": "global/snapshots/snap"}
    message = gateway.refuse("POST", DISKS, body | {"type": "zones/ch-gva-2/diskTypes/pd-ssd"})
    assert "with the type of that disk" in message
    gateway.run("POST", DISKS, body | {"type": "zones/ch-gva-2/diskTypes/ssd-10"})
    assert gateway.get(f"{DISKS}/copy")["type"].endswith("/diskTypes/ssd-10")


def test_a_disk_of_a_snapshot_says_pd_standard_where_that_was_asked_for(gateway: Any) -> None:
    used(gateway, type="zones/ch-gva-2/diskTypes/ssd-10")
    snapshot(gateway, "data")
    kind = "zones/ch-gva-2/diskTypes/pd-standard"
    copy = made(gateway, "copy", sourceSnapshot="global/snapshots/snap", type=kind)
    assert copy["type"].endswith("/diskTypes/pd-standard")


def test_a_disk_is_deleted(gateway: Any) -> None:
    made(gateway, description="of mine")
    gateway.run("DELETE", f"{DISKS}/data")
    assert rows(gateway, "data") == []
    gateway.refuse("GET", f"{DISKS}/data", status=404)
    assert "description" not in made(gateway)


def test_a_disk_whose_deletions_answer_is_lost_is_deleted(gateway: Any) -> None:
    made(gateway)
    gateway.simulator.faults.add("lose", "deleteVolume")
    gateway.run("DELETE", f"{DISKS}/data")
    assert rows(gateway, "data") == []


def test_a_disk_in_use_stays(gateway: Any) -> None:
    gateway.deploy("web")
    answer = gateway.call("DELETE", f"{DISKS}/web", status=400)
    assert answer["error"]["errors"][0]["reason"] == "resourceInUseByAnotherResource"
    zone = "projects/tenant/zones/ch-gva-2"
    expected = f"The disk resource '{zone}/disks/web' is already being used by '{zone}/instances/web'"
    assert answer["error"]["message"] == expected
    assert gateway.names(DISKS) == ["web"]


def test_a_disk_that_is_not_there_cannot_be_deleted(gateway: Any) -> None:
    assert gateway.refuse("DELETE", f"{DISKS}/none", status=404).endswith("/disks/none' was not found")


@pytest.mark.parametrize("kind", ["pd-standard", "ssd-10"])
def test_a_disk_grows(gateway: Any, kind: str) -> None:
    made(gateway, type=f"zones/ch-gva-2/diskTypes/{kind}")
    operation = gateway.run("POST", f"{DISKS}/data/resize", {"sizeGb": "12"})
    assert operation["operationType"] == "resize"
    assert gateway.get(f"{DISKS}/data")["sizeGb"] == "12"
    assert rows(gateway, "data")[0]["size"] == 12 * 2**30


def test_the_boot_disk_of_a_running_instance_grows(gateway: Any) -> None:
    gateway.deploy("web", rootdisksize=20)
    gateway.run("POST", f"{DISKS}/web/resize", {"sizeGb": "30"})
    assert gateway.get(f"{DISKS}/web")["sizeGb"] == "30"


def test_a_resize_whose_answer_is_lost_is_done_once(gateway: Any) -> None:
    made(gateway)
    gateway.simulator.faults.add("lose", "resizeVolume")
    gateway.run("POST", f"{DISKS}/data/resize", {"sizeGb": "12"})
    assert gateway.get(f"{DISKS}/data")["sizeGb"] == "12"


@pytest.mark.parametrize("size", ["9", "10"])
def test_a_disk_never_shrinks(gateway: Any, size: str) -> None:
    made(gateway)
    message = gateway.refuse("POST", f"{DISKS}/data/resize", {"sizeGb": size})
    assert message == (
        f"Invalid value for field 'sizeGb': '{size}'. New disk size '{size}' must be larger than existing size '10'."
    )


def test_a_resize_needs_a_size(gateway: Any) -> None:
    made(gateway)
    assert "sizeGb" in gateway.refuse("POST", f"{DISKS}/data/resize", {})


def test_labels_are_put_in_the_place_of_others_and_foreign_tags_stay(gateway: Any) -> None:
    disk = made(gateway, labels={"tier": "gold", "old": "x"})
    volume = rows(gateway, "data")[0]["id"]
    foreign = {"tags[0].key": "Owner Of This", "tags[0].value": "me"}
    gateway.cloudstack("createTags", resourcetype="Volume", resourceids=volume, **foreign)
    body = {"labels": {"tier": "silver", "new": "y"}, "labelFingerprint": disk["labelFingerprint"]}
    gateway.run("POST", f"{DISKS}/data/setLabels", body)
    assert gateway.get(f"{DISKS}/data")["labels"] == {"new": "y", "tier": "silver"}
    assert {"Owner Of This", "gstack:name"} <= {tag["key"] for tag in rows(gateway, "data")[0]["tags"]}


@pytest.mark.parametrize("seen", [{}, {"labelFingerprint": "AAAAAAAAAAA="}])
def test_labels_with_an_old_fingerprint_or_none_are_refused(gateway: Any, seen: dict[str, str]) -> None:
    made(gateway)
    body = {"labels": {"a": "b"}, **seen}
    assert "fingerprint" in gateway.refuse("POST", f"{DISKS}/data/setLabels", body, status=412)


@pytest.mark.parametrize("command", ["deleteTags", "createTags"])
def test_labels_whose_answer_is_lost_are_set(gateway: Any, command: str) -> None:
    disk = made(gateway, labels={"tier": "gold"})
    gateway.simulator.faults.add("lose", command)
    body = {"labels": {"tier": "silver"}, "labelFingerprint": disk["labelFingerprint"]}
    gateway.run("POST", f"{DISKS}/data/setLabels", body)
    assert gateway.get(f"{DISKS}/data")["labels"] == {"tier": "silver"}


def test_labels_that_cannot_be_set_leave_the_old_ones(gateway: Any) -> None:
    disk = made(gateway, labels={"tier": "gold"})
    gateway.simulator.faults.add("fail-job", "createTags", text="no luck")
    body = {"labels": {"tier": "silver"}, "labelFingerprint": disk["labelFingerprint"]}
    assert "no luck" in gateway.fail("POST", f"{DISKS}/data/setLabels", body)["message"]
    assert gateway.get(f"{DISKS}/data")["labels"] == {"tier": "gold"}
