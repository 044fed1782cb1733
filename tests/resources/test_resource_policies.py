"""Snapshot schedules: resource policies, the disks that have them, and CloudStack's policies behind both."""

from __future__ import annotations

from typing import Any

import pytest

POLICIES = "regions/ch-gva/resourcePolicies"
DISKS = "zones/{zone}/disks"
DAILY = {"dailySchedule": {"daysInCycle": 1, "startTime": "04:00"}}
WEEKLY = {"weeklySchedule": {"dayOfWeeks": [{"day": "SUNDAY", "startTime": "23:00"}]}}
HOURLY = {"hourlySchedule": {"hoursInCycle": 1, "startTime": "00:00"}}


def asked(schedule: dict[str, Any] = DAILY, days: int = 7, name: str = "nightly", **properties: Any) -> dict[str, Any]:
    """A body of insert."""
    more = {"snapshotProperties": properties} if properties else {}
    return {
        "name": name,
        "snapshotSchedulePolicy": {"schedule": schedule, "retentionPolicy": {"maxRetentionDays": days}, **more},
    }


def disk(gateway: Any, name: str = "data") -> dict[str, Any]:
    """A disk that was attached once, as it is read back."""
    gateway.run("POST", DISKS, {"name": name, "sizeGb": "10"})
    used(gateway, name)
    return dict(gateway.get(f"{DISKS}/{name}"))


def used(gateway: Any, name: str) -> None:
    """Attach a disk to a machine and take it out again, so that it has its storage."""
    (volume,) = gateway.cloudstack("listVolumes", name=name)
    holder = gateway.deploy(f"of-{name}")["id"]
    gateway.cloudstack("attachVolume", id=volume["id"], virtualmachineid=holder)
    gateway.simulator.settle()
    gateway.cloudstack("detachVolume", id=volume["id"])
    gateway.cloudstack("destroyVirtualMachine", id=holder, expunge=True)
    gateway.simulator.settle()


def change(gateway: Any, verb: str, name: str = "data", policy: str = "nightly") -> dict[str, Any]:
    """Put a schedule on a disk, or take it off."""
    return dict(gateway.run("POST", f"{DISKS}/{name}/{verb}ResourcePolicies", {"resourcePolicies": [link(policy)]}))


def link(policy: str = "nightly") -> str:
    return f"projects/tenant/{POLICIES}/{policy}"


def policies(gateway: Any, name: str = "data") -> list[dict[str, Any]]:
    """CloudStack's snapshot policies of a volume."""
    (row,) = gateway.cloudstack("listVolumes", name=name)
    return list(gateway.cloudstack("listSnapshotPolicies", volumeid=row["id"]))


@pytest.fixture
def scheduled(gateway: Any) -> Any:
    """A gateway with a schedule on a disk."""
    gateway.run("POST", POLICIES, asked(labels={"tier": "gold"}) | {"description": "of mine"})
    disk(gateway)
    change(gateway, "add")
    return gateway


@pytest.fixture
def web(gateway: Any) -> Any:
    """A gateway with a machine and a snapshot of its disk."""
    gateway.deploy("web")
    gateway.run("POST", f"{DISKS}/web/createSnapshot", {"name": "snap"})
    return gateway


@pytest.mark.parametrize("schedule", [DAILY, WEEKLY, HOURLY])
def test_a_schedule_reads_back_as_it_was_asked_for(gateway: Any, schedule: dict[str, Any]) -> None:
    body = asked(schedule, labels={"tier": "gold"}) | {"description": "of mine"}
    operation = gateway.run("POST", POLICIES, body)
    policy = gateway.get(f"{POLICIES}/nightly")
    assert operation["targetId"] == policy["id"]
    assert (policy["description"], policy["status"]) == ("of mine", "READY")
    body["snapshotSchedulePolicy"]["retentionPolicy"]["onSourceDiskDelete"] = "KEEP_AUTO_SNAPSHOTS"
    assert policy["snapshotSchedulePolicy"] == body["snapshotSchedulePolicy"]
    assert gateway.get(POLICIES)["items"] == [policy]
    assert gateway.get("aggregated/resourcePolicies")["items"]["regions/ch-gva"]["resourcePolicies"] == [policy]
    assert "already exists" in gateway.refuse("POST", POLICIES, body, status=409)


@pytest.mark.parametrize(
    ("schedule", "days", "interval", "time", "most"),
    [(DAILY, 7, 1, "00:04", 7), (WEEKLY, 15, 2, "00:23:1", 3)],
)
def test_a_schedule_on_a_disk_is_a_policy_of_its_volume(
    gateway: Any, schedule: dict[str, Any], days: int, interval: int, time: str, most: int
) -> None:
    gateway.run("POST", POLICIES, asked(schedule, days, labels={"tier": "gold"}))
    disk(gateway)
    change(gateway, "add")
    (row,) = policies(gateway)
    assert (row["intervaltype"], row["schedule"], row["timezone"], row["maxsnaps"]) == (interval, time, "UTC", most)
    found = {tag["key"]: tag["value"] for tag in row["tags"]}
    assert found == {"tier": "gold", "gstack:schedule": "ch-gva/nightly", "gstack:source-disk": "data"}
    shown = gateway.get(f"{DISKS}/data")
    assert shown["resourcePolicies"] == [gateway.get(f"{POLICIES}/nightly")["selfLink"]]
    assert "labels" not in shown


@pytest.mark.parametrize(
    "source", [{"sourceSnapshot": "global/snapshots/snap"}, {"sourceDisk": "zones/ch-gva-2/disks/web"}]
)
def test_a_disk_made_of_something_has_its_schedule_at_once(web: Any, source: dict[str, str]) -> None:
    web.run("POST", POLICIES, asked())
    web.run("POST", DISKS, {"name": "data", "resourcePolicies": [link()], **source})
    assert web.get(f"{DISKS}/data")["resourcePolicies"] == [web.get(f"{POLICIES}/nightly")["selfLink"]]
    assert len(policies(web)) == 1


@pytest.mark.parametrize(
    "source",
    [
        {},
        {"sourceDisk": "zones/ch-gva-2/disks/blank"},
        {"sourceImage": "projects/debian-cloud/global/images/family/debian-12", "sizeGb": "50"},
    ],
)
def test_a_disk_without_storage_is_not_made_with_a_schedule(gateway: Any, source: dict[str, str]) -> None:
    gateway.run("POST", POLICIES, asked())
    gateway.run("POST", DISKS, {"name": "blank", "sizeGb": "10"})
    body = {"name": "data", "sizeGb": "10", "resourcePolicies": [link()], **source}
    error = gateway.call("POST", DISKS, body, status=400)["error"]
    assert "disks/data' has never been attached" in error["message"]
    assert (error["status"], error["errors"][0]["location"]) == ("FAILED_PRECONDITION", "resource.resourcePolicies")
    assert gateway.names(DISKS) == ["blank"]


def test_a_disk_has_a_schedule_from_its_first_attachment_on(gateway: Any) -> None:
    gateway.run("POST", POLICIES, asked())
    gateway.run("POST", DISKS, {"name": "data", "sizeGb": "10"})
    body = {"resourcePolicies": [link()]}
    error = gateway.call("POST", f"{DISKS}/data/addResourcePolicies", body, status=400)["error"]
    assert "has never been attached" in error["message"] and error["status"] == "FAILED_PRECONDITION"
    used(gateway, "data")
    change(gateway, "add")
    assert len(policies(gateway)) == 1


def test_a_disk_whose_schedule_cloudstack_refuses_is_not_made(web: Any) -> None:
    web.run("POST", POLICIES, asked(days=99))
    body = {"name": "data", "sourceSnapshot": "global/snapshots/snap", "resourcePolicies": [link()]}
    error = web.fail("POST", DISKS, body)
    assert "exceeds limit [8] for interval type [DAILY]" in error["message"] and "the disk data" in error["message"]
    assert web.cloudstack("listVolumes", name="data") == []


def test_a_schedule_that_cloudstack_refuses_leaves_the_disk_as_it_was(gateway: Any) -> None:
    gateway.run("POST", POLICIES, asked(HOURLY, days=1))
    before = disk(gateway)
    body = {"resourcePolicies": [link()]}
    error = gateway.fail("POST", f"{DISKS}/data/addResourcePolicies", body)
    assert "maxSnaps [24]" in error["message"]
    assert gateway.get(f"{DISKS}/data") == before
    assert policies(gateway) == []


def test_a_schedule_is_taken_off_a_disk(scheduled: Any) -> None:
    change(scheduled, "remove")
    assert "resourcePolicies" not in scheduled.get(f"{DISKS}/data")
    assert policies(scheduled) == []
    scheduled.run("DELETE", f"{POLICIES}/nightly")
    assert scheduled.names(POLICIES) == []


def test_a_changed_schedule_changes_the_policies_of_its_disks(scheduled: Any) -> None:
    (before,) = policies(scheduled)
    scheduled.run(
        "PATCH", f"{POLICIES}/nightly", {"snapshotSchedulePolicy": {"retentionPolicy": {"maxRetentionDays": 3}}}
    )
    (after,) = policies(scheduled)
    assert (after["id"], after["schedule"], after["maxsnaps"]) == (before["id"], "00:04", 3)
    shown = scheduled.get(f"{POLICIES}/nightly")
    assert shown["snapshotSchedulePolicy"]["retentionPolicy"]["maxRetentionDays"] == 3
    assert shown["snapshotSchedulePolicy"]["snapshotProperties"] == {"labels": {"tier": "gold"}}
    scheduled.run("PATCH", f"{POLICIES}/nightly", {"snapshotSchedulePolicy": {"schedule": WEEKLY}})
    assert [row["schedule"] for row in policies(scheduled)] == ["00:23:1"]
    assert scheduled.get(f"{DISKS}/data")["resourcePolicies"] == [shown["selfLink"]]


def test_a_change_that_cloudstack_refuses_is_taken_back_on_all_disks(scheduled: Any) -> None:
    disk(scheduled, "other")
    change(scheduled, "add", "other")
    before = [policies(scheduled, name) for name in ("data", "other")]
    scheduled.simulator.faults.add("status", "createSnapshotPolicy", after=1)
    body = {"snapshotSchedulePolicy": {"retentionPolicy": {"maxRetentionDays": 3}}}
    assert "Undone" in scheduled.fail("PATCH", f"{POLICIES}/nightly", body)["message"]
    assert [policies(scheduled, name) for name in ("data", "other")] == before
    shown = scheduled.get(f"{POLICIES}/nightly")["snapshotSchedulePolicy"]
    assert shown["retentionPolicy"]["maxRetentionDays"] == 7


def test_a_schedule_that_a_disk_has_is_not_deleted(scheduled: Any) -> None:
    assert "is already being used by" in scheduled.refuse("DELETE", f"{POLICIES}/nightly")
    scheduled.run("DELETE", f"{DISKS}/data")
    scheduled.run("DELETE", f"{POLICIES}/nightly")
    scheduled.refuse("GET", f"{POLICIES}/nightly", status=404)


def test_schedules_of_disks_outlive_the_store(scheduled: Any) -> None:
    before = scheduled.get(f"{POLICIES}/nightly")
    shown = scheduled.get(f"{DISKS}/data")
    scheduled.forget_everything()
    del before["description"]  # CloudStack has no place for it
    assert scheduled.get(f"{POLICIES}/nightly") == before
    assert scheduled.get(f"{POLICIES}/{before['id']}") == before
    assert scheduled.get(POLICIES)["items"] == [before]
    assert scheduled.get(f"{DISKS}/data") == shown


def test_snapshots_that_a_schedule_takes_name_it(scheduled: Any) -> None:
    world = scheduled.simulator.world
    scheduled.deploy("web")
    scheduled.run("POST", f"{DISKS}/web/createSnapshot", {"name": "snap"})
    snapshot = next(iter(world.snapshot))
    (policy,) = policies(scheduled)
    world.tags[snapshot.id] = world.tags[policy["id"]]  # as CloudStack does when it takes one
    shown = scheduled.get("global/snapshots/snap")
    assert shown["sourceSnapshotSchedulePolicy"] == scheduled.get(f"{POLICIES}/nightly")["selfLink"]
    assert (shown["labels"], shown["sourceDisk"].rpartition("/")[2]) == ({"tier": "gold"}, "data")


def test_a_schedule_of_another_tool_is_left_alone(gateway: Any) -> None:
    gateway.run("POST", POLICIES, asked())
    disk(gateway)
    (row,) = gateway.cloudstack("listVolumes", name="data")
    own = {"intervaltype": "DAILY", "schedule": "30:02", "timezone": "UTC", "maxsnaps": 2}
    gateway.cloudstack("createSnapshotPolicy", volumeid=row["id"], **own)
    error = gateway.fail("POST", f"{DISKS}/data/addResourcePolicies", {"resourcePolicies": [link()]})
    assert "another tool" in error["message"]
    assert [row["schedule"] for row in policies(gateway)] == ["30:02"]


def test_a_disk_has_one_schedule(scheduled: Any) -> None:
    scheduled.run("POST", POLICIES, asked(WEEKLY, name="weekly"))
    body = {"resourcePolicies": [link("weekly")]}
    assert "'nightly'" in scheduled.refuse("POST", f"{DISKS}/data/addResourcePolicies", body)
    assert "does not have" in scheduled.refuse("POST", f"{DISKS}/data/removeResourcePolicies", body)


@pytest.mark.parametrize("command", ["createSnapshotPolicy", "createTags"])
def test_a_schedule_whose_answer_is_lost_is_put_on_once(gateway: Any, command: str) -> None:
    gateway.run("POST", POLICIES, asked())
    disk(gateway)
    gateway.simulator.faults.add("lose", command)
    change(gateway, "add")
    assert len(policies(gateway)) == 1
    assert gateway.get(f"{DISKS}/data")["resourcePolicies"]


@pytest.mark.parametrize(
    ("schedule", "days", "field"),
    [
        ({"hourlySchedule": {"hoursInCycle": 4, "startTime": "00:00"}}, 1, "hourlySchedule.hoursInCycle"),
        ({"dailySchedule": {"daysInCycle": 2, "startTime": "00:00"}}, 1, "dailySchedule.daysInCycle"),
        ({"dailySchedule": {"daysInCycle": 1, "startTime": "04:30"}}, 1, "dailySchedule.startTime"),
        ({"dailySchedule": {"daysInCycle": 1}}, 1, "dailySchedule.startTime"),
        (
            {"weeklySchedule": {"dayOfWeeks": [*WEEKLY["weeklySchedule"]["dayOfWeeks"] * 2]}},
            1,
            "weeklySchedule.dayOfWeeks",
        ),
        ({**DAILY, **WEEKLY}, 1, "snapshotSchedulePolicy.schedule"),
        ({}, 1, "snapshotSchedulePolicy.schedule"),
        (DAILY, 0, "retentionPolicy.maxRetentionDays"),
    ],
)
def test_what_cloudstack_cannot_express_is_refused_by_name(
    gateway: Any, schedule: dict[str, Any], days: int, field: str
) -> None:
    assert field in gateway.refuse("POST", POLICIES, asked(schedule, days))
    assert gateway.names(POLICIES) == []


@pytest.mark.parametrize(
    "body",
    [
        {"name": "p"},
        {"name": "p", "groupPlacementPolicy": {"vmCount": 2}},
        {"name": "p", "instanceSchedulePolicy": {"timeZone": "UTC"}},
        asked(guestFlush=True),
        asked(storageLocations=["eu"]),
        {**asked(), "name": "P"},
    ],
)
def test_what_is_no_snapshot_schedule_is_refused(gateway: Any, body: dict[str, Any]) -> None:
    gateway.refuse("POST", POLICIES, body)
    assert gateway.names(POLICIES) == []


def test_schedules_belong_to_one_project_and_one_region(scheduled: Any) -> None:
    assert scheduled.as_user("other").names(POLICIES) == []
    assert scheduled.names("regions/de-fra/resourcePolicies") == []
    scheduled.refuse("GET", "regions/de-fra/resourcePolicies/nightly", status=404)
    scheduled.refuse("GET", "regions/nowhere/resourcePolicies", status=404)
    body = {"name": "elsewhere", "sizeGb": "10", "resourcePolicies": [link()]}
    assert "own region" in scheduled.refuse("POST", "zones/de-fra-1/disks", body)


def test_a_schedule_has_permissions_and_no_policy(scheduled: Any) -> None:
    path = f"{POLICIES}/nightly"
    assert scheduled.get(f"{path}/getIamPolicy") == {"version": 1, "etag": "ACAB"}
    asked_for = ["compute.resourcePolicies.create", "compute.resourcePolicies.delete", "compute.disks.create"]
    held = scheduled.call("POST", f"{path}/testIamPermissions", {"permissions": asked_for})
    assert held["permissions"] == asked_for[:2]
    assert "CloudStack's roles" in scheduled.refuse("POST", f"{path}/setIamPolicy", {}, status=501)
