"""Volumes, snapshots and templates as other tools leave them, shown right and to be managed; limits that are met."""

from __future__ import annotations

from typing import Any

import pytest

DISKS = "zones/{zone}/disks"
GIB = 2**30


def foreign(gateway: Any, name: str = "theirs") -> Any:
    """The embedded CloudStack's own record of a volume that another tool made."""
    offering = gateway.cloudstack("listDiskOfferings", name="ssd-10")[0]["id"]
    made = gateway.cloudstack("createVolume", zoneid=gateway.zone_id, name=name, diskofferingid=offering)
    gateway.simulator.settle()
    return gateway.simulator.world.volume[made["id"]]


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("Allocated", "READY"),
        ("Ready", "READY"),
        ("Creating", "CREATING"),
        ("Copying", "CREATING"),
        ("UploadInProgress", "CREATING"),
        ("UploadError", "FAILED"),
        ("RevertSnapshotting", "RESTORING"),
        ("Attaching", "READY"),
        ("Migrating", "READY"),
        ("Snapshotting", "READY"),
        ("Resizing", "READY"),
        ("SomethingNew", "READY"),
    ],
)
def test_a_volume_in_any_state_is_a_disk(gateway: Any, state: str, status: str) -> None:
    foreign(gateway).state = state
    assert gateway.get(f"{DISKS}/theirs")["status"] == status
    assert gateway.names(DISKS) == ["theirs"]


@pytest.mark.parametrize("state", ["Destroy", "Expunging", "Expunged"])
def test_a_volume_that_is_going_is_no_disk(gateway: Any, state: str) -> None:
    foreign(gateway).state = state
    assert gateway.names(DISKS) == []
    gateway.refuse("GET", f"{DISKS}/theirs", status=404)


@pytest.mark.parametrize("state", ["Attaching", "Migrating", "Snapshotting", "Resizing", "Creating"])
def test_a_volume_at_which_something_is_being_done_is_not_ready(gateway: Any, state: str) -> None:
    foreign(gateway).state = state
    for verb, path, body in (
        ("DELETE", "", None),
        ("POST", "/resize", {"sizeGb": "20"}),
        ("POST", "/createSnapshot", {"name": "snap"}),
        ("PATCH", "", {"sizeGb": "20"}),
    ):
        error = gateway.call(verb, f"{DISKS}/theirs{path}", body, status=400)["error"]
        assert error["errors"][0]["reason"] == "resourceNotReady", (verb, path)


@pytest.mark.parametrize("state", ["UploadError", "UploadAbandoned"])
def test_a_volume_that_never_came_can_be_deleted(gateway: Any, state: str) -> None:
    foreign(gateway).state = state
    gateway.run("DELETE", f"{DISKS}/theirs")
    assert gateway.cloudstack("listVolumes", name="theirs") == []


def test_a_foreign_volume_of_an_odd_name_is_grown_labelled_scheduled_and_deleted(gateway: Any) -> None:
    volume = foreign(gateway, "Dätä №1")
    volume.state, volume.pool = "Ready", True  # as it is once it was attached
    (name,) = gateway.names(DISKS)
    disk = gateway.get(f"{DISKS}/{name}")
    gateway.run("POST", f"{DISKS}/{name}/resize", {"sizeGb": "12"})
    wanted = {"labels": {"a": "b"}, "labelFingerprint": disk["labelFingerprint"]}
    gateway.run("POST", f"{DISKS}/{name}/setLabels", wanted)
    schedule = {
        "schedule": {"dailySchedule": {"daysInCycle": 1, "startTime": "04:00"}},
        "retentionPolicy": {"maxRetentionDays": 7},
    }
    gateway.run("POST", "regions/ch-gva/resourcePolicies", {"name": "nightly", "snapshotSchedulePolicy": schedule})
    policy = "projects/tenant/regions/ch-gva/resourcePolicies/nightly"
    gateway.run("POST", f"{DISKS}/{name}/addResourcePolicies", {"resourcePolicies": [policy]})
    shown = gateway.get(f"{DISKS}/{name}")
    assert (shown["sizeGb"], shown["labels"], len(shown["resourcePolicies"])) == ("12", {"a": "b"}, 1)
    assert volume.size == 12 * GIB
    gateway.run("DELETE", f"{DISKS}/{name}")
    assert gateway.names(DISKS) == []


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("Allocated", "CREATING"),
        ("Creating", "CREATING"),
        ("CreatedOnPrimary", "UPLOADING"),
        ("BackingUp", "UPLOADING"),
        ("BackedUp", "READY"),
        ("Error", "FAILED"),
    ],
)
def test_a_snapshot_in_any_state_is_shown(gateway: Any, state: str, status: str) -> None:
    row = gateway.deploy("web")
    (root,) = gateway.cloudstack("listVolumes", virtualmachineid=row["id"])
    made = gateway.cloudstack("createSnapshot", volumeid=root["id"], name="theirs")
    gateway.simulator.settle()
    gateway.simulator.world.snapshot[made["id"]].state = state
    assert gateway.get("global/snapshots/theirs")["status"] == status
    if status == "FAILED":
        gateway.run("DELETE", "global/snapshots/theirs")
    elif status != "READY":
        gateway.refuse("DELETE", "global/snapshots/theirs")
        gateway.refuse("POST", DISKS, {"name": "copy", "sourceSnapshot": "global/snapshots/theirs"})


def test_a_template_that_is_not_there_yet_is_pending_and_can_be_deleted(gateway: Any) -> None:
    gateway.run("POST", "global/images", {"name": "theirs", "rawDisk": {"source": "https://images.test/a.qcow2"}})
    for template in gateway.simulator.world.template:
        if template.name == "theirs":
            template.row["isready"] = False
    assert gateway.get("global/images/theirs")["status"] == "PENDING"
    gateway.refuse("POST", "global/images", {"name": "copy", "sourceImage": "global/images/theirs"})
    gateway.run("DELETE", "global/images/theirs")
    assert gateway.names("global/images") == []


LIMITS = {
    "volume": (DISKS, {"name": "new", "sizeGb": "10"}),
    "primary_storage": (DISKS, {"name": "new", "sizeGb": "10"}),
    "snapshot": (f"{DISKS}/web/createSnapshot", {"name": "new"}),
    "template": ("global/images", {"name": "new", "sourceSnapshot": "global/snapshots/snap"}),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_that_is_met_is_quota_exceeded_and_leaves_nothing(gateway: Any, limit: str) -> None:
    gateway.deploy("web")
    gateway.run("POST", f"{DISKS}/web/createSnapshot", {"name": "snap"})
    account = next(one for one in gateway.simulator.world.account if one.name == "tenant")
    account.limits = {limit: 1 if limit != "template" else 0}
    path, body = LIMITS[limit]
    error = gateway.fail("POST", path, body)
    assert (error["code"], error["http"]) == ("QUOTA_EXCEEDED", 403)
    assert error["errorDetails"][0]["quotaInfo"]["limit"] == account.limits[limit]
    account.limits = {}
    assert "new" not in [*gateway.names(DISKS), *gateway.names("global/snapshots"), *gateway.names("global/images")]
