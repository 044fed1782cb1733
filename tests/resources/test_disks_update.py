"""Disks copied and updated, with the effect looked at in CloudStack."""

from __future__ import annotations

from typing import Any

import pytest

DISKS = "zones/{zone}/disks"
GIB = 2**30


def rows(gateway: Any, name: str) -> list[dict[str, Any]]:
    """CloudStack's volumes of a name."""
    return list(gateway.cloudstack("listVolumes", name=name))


def made(gateway: Any, name: str = "data", **body: Any) -> dict[str, Any]:
    """A new disk, as it is read back."""
    gateway.run("POST", DISKS, {"name": name, "sizeGb": "10", **body})
    return dict(gateway.get(f"{DISKS}/{name}"))


def copied(gateway: Any, source: str, **body: Any) -> dict[str, Any]:
    """A copy of a disk, as it is read back."""
    gateway.run("POST", DISKS, {"name": "copy", "sourceDisk": f"zones/{gateway.zone}/disks/{source}", **body})
    return dict(gateway.get(f"{DISKS}/copy"))


def test_a_copy_of_a_boot_disk_is_a_disk_of_its_own_and_leaves_no_snapshot(gateway: Any) -> None:
    gateway.deploy("web", rootdisksize=20)
    disk = copied(gateway, "web", sizeGb="25", type="zones/ch-gva-2/diskTypes/pd-ssd", labels={"tier": "gold"})
    source = gateway.get(f"{DISKS}/web")
    assert (disk["sourceDisk"], disk["sourceDiskId"]) == (source["selfLink"], source["id"])
    assert (disk["sizeGb"], disk["labels"], disk["type"].rpartition("/")[2]) == ("25", {"tier": "gold"}, "pd-ssd")
    assert "users" not in disk
    (row,) = rows(gateway, "copy")
    assert (row["state"], row["size"]) == ("Ready", 25 * GIB)
    assert gateway.cloudstack("listSnapshots") == []


def test_a_copy_of_a_disk_that_was_never_attached_is_an_empty_disk(gateway: Any) -> None:
    made(gateway, "data")
    disk = copied(gateway, "data")
    assert (disk["sizeGb"], disk["sourceDisk"].rpartition("/")[2]) == ("10", "data")
    assert (rows(gateway, "copy")[0]["state"], gateway.cloudstack("listSnapshots")) == ("Allocated", [])


@pytest.mark.parametrize("state", ["attached", "never attached"])
def test_a_copy_is_not_smaller_than_its_disk(gateway: Any, state: str) -> None:
    if state == "attached":
        gateway.deploy("data", rootdisksize=20)
    else:
        made(gateway, "data")
    body = {"name": "copy", "sizeGb": "5", "sourceDisk": f"zones/{gateway.zone}/disks/data"}
    assert "cannot be smaller than the disk size" in gateway.refuse("POST", DISKS, body)


def test_a_copy_that_fails_takes_its_snapshot_back(gateway: Any) -> None:
    gateway.deploy("web")
    gateway.simulator.faults.add("status", "createVolume")
    body = {"name": "copy", "sourceDisk": f"zones/{gateway.zone}/disks/web"}
    assert "Undone: " in gateway.fail("POST", DISKS, body)["message"]
    assert rows(gateway, "copy") == gateway.cloudstack("listSnapshots") == []


def test_a_copy_whose_snapshot_cannot_be_deleted_stays_and_says_so(gateway: Any) -> None:
    gateway.deploy("web")
    gateway.simulator.faults.add("status", "deleteSnapshot")
    body = {"name": "copy", "sourceDisk": f"zones/{gateway.zone}/disks/web"}
    operation = gateway.run("POST", DISKS, body)
    assert [warning["code"] for warning in operation["warnings"]] == ["CLEANUP_FAILED"]
    assert len(rows(gateway, "copy")) == len(gateway.cloudstack("listSnapshots")) == 1


@pytest.mark.parametrize("command", ["createSnapshot", "createVolume", "deleteSnapshot"])
def test_a_copy_of_which_an_answer_is_lost_is_made_once(gateway: Any, command: str) -> None:
    gateway.deploy("web")
    gateway.simulator.faults.add("lose", command)
    copied(gateway, "web")
    assert (len(rows(gateway, "copy")), gateway.cloudstack("listSnapshots")) == (1, [])


def test_a_disk_has_one_source(gateway: Any) -> None:
    body = {"name": "copy", "sourceDisk": f"zones/{gateway.zone}/disks/a", "sourceSnapshot": "global/snapshots/b"}
    assert "resource.sourceDisk" in gateway.refuse("POST", DISKS, body)


def test_a_disk_of_another_zone_cannot_be_copied(gateway: Any) -> None:
    body = {"name": "copy", "sizeGb": "1", "sourceDisk": "zones/de-fra-1/disks/none"}
    assert "zones/de-fra-1/disks/none' was not found" in gateway.refuse("POST", DISKS, body, status=404)


def test_an_update_grows_a_disk_and_sets_its_labels_at_once(gateway: Any) -> None:
    disk = made(gateway, labels={"old": "1"})
    body = {"name": "data", "sizeGb": "12", "labels": {"new": "2"}, "labelFingerprint": disk["labelFingerprint"]}
    assert gateway.run("PATCH", f"{DISKS}/data", body)["operationType"] == "update"
    disk = gateway.get(f"{DISKS}/data")
    assert (disk["sizeGb"], disk["labels"]) == ("12", {"new": "2"})
    assert rows(gateway, "data")[0]["size"] == 12 * GIB


def test_an_update_obeys_its_mask(gateway: Any) -> None:
    disk = made(gateway, labels={"old": "1"})
    body = {"sizeGb": "12", "labels": {"new": "2"}, "accessMode": "READ_WRITE_SINGLE"}
    gateway.run("PATCH", f"{DISKS}/data", body, paths="accessMode")
    gateway.run("PATCH", f"{DISKS}/data", body, updateMask="sizeGb")
    assert gateway.get(f"{DISKS}/data")["labels"] == {"old": "1"}
    assert gateway.get(f"{DISKS}/data")["sizeGb"] == "12"
    gateway.run("PATCH", f"{DISKS}/data", {"labelFingerprint": disk["labelFingerprint"]}, paths="labels")
    assert "labels" not in gateway.get(f"{DISKS}/data")


@pytest.mark.parametrize(
    ("body", "query", "status", "said"),
    [
        ({"sizeGb": "5"}, {}, 400, "cannot be made smaller"),
        ({"labels": {"a": "b"}, "labelFingerprint": "AAAAAAAAAAA="}, {}, 412, "Labels fingerprint"),
        ({"name": "other"}, {}, 400, "resource.name"),
        ({"sizeGb": "12"}, {"paths": "type"}, 400, "paths"),
        ({"provisionedIops": "5"}, {}, 400, "resource.provisionedIops"),
        ({"description": "x"}, {}, 400, "resource.description"),
    ],
)
def test_an_update_that_cannot_be_is_refused(gateway: Any, body: Any, query: Any, status: int, said: str) -> None:
    before = made(gateway)
    assert said in gateway.refuse("PATCH", f"{DISKS}/data", body, status=status, **query)
    assert gateway.get(f"{DISKS}/data") == before


def test_labels_in_bulk_are_those_of_the_one_disk_that_is_named(gateway: Any) -> None:
    seen = made(gateway)["labelFingerprint"]
    requests = [{"labels": {"tier": "gold"}, "labelFingerprint": seen}]
    gateway.run("POST", f"{DISKS}/bulkSetLabels", {"requests": requests}, resource="data")
    assert gateway.get(f"{DISKS}/data")["labels"] == {"tier": "gold"}
    assert "requests" in gateway.refuse("POST", f"{DISKS}/bulkSetLabels", {"requests": []}, resource="data")
    assert "resource" in gateway.refuse("POST", f"{DISKS}/bulkSetLabels", {"requests": requests})


def test_a_disk_larger_than_cloudstack_allows_fails_in_its_words(gateway: Any) -> None:
    assert "out of allowed range" in gateway.fail("POST", DISKS, {"name": "data", "sizeGb": "99999"})["message"]
    assert rows(gateway, "data") == []
    made(gateway)
    assert "out of allowed range" in gateway.fail("POST", f"{DISKS}/data/resize", {"sizeGb": "99999"})["message"]
    assert rows(gateway, "data")[0]["size"] == 10 * GIB
