"""Instances whose disks are made with snapshot schedules."""

from __future__ import annotations

from typing import Any

import pytest

INSTANCES, DISKS = "zones/{zone}/instances", "zones/{zone}/disks"
DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
POLICY = "regions/ch-gva/resourcePolicies/nightly"
SCHEDULE = {
    "schedule": {"dailySchedule": {"daysInCycle": 1, "startTime": "04:00"}},
    "retentionPolicy": {"maxRetentionDays": 7},
}
BOOT: dict[str, Any] = {"boot": True, "initializeParams": {"sourceImage": DEBIAN, "resourcePolicies": [POLICY]}}
DATA: dict[str, Any] = {"initializeParams": {"diskName": "data", "diskSizeGb": "10", "resourcePolicies": [POLICY]}}


@pytest.fixture
def scheduled(gateway: Any) -> Any:
    """A gateway with the schedule ``nightly``."""
    gateway.run("POST", "regions/ch-gva/resourcePolicies", {"name": "nightly", "snapshotSchedulePolicy": SCHEDULE})
    return gateway


def body(*disks: dict[str, Any]) -> dict[str, Any]:
    return {"name": "web", "machineType": "tiny", "disks": list(disks), "networkInterfaces": [{}]}


def policies(gateway: Any) -> list[tuple[str, str, int]]:
    """What CloudStack does for each volume: its name, when, and how many are kept."""
    return [
        (row["name"].partition("-")[0], policy["schedule"], policy["maxsnaps"])
        for row in gateway.cloudstack("listVolumes")
        for policy in gateway.cloudstack("listSnapshotPolicies", volumeid=row["id"])
    ]


def test_disks_made_with_an_instance_have_the_schedules_they_were_given(scheduled: Any) -> None:
    scheduled.run("POST", INSTANCES, body(BOOT, DATA, {"initializeParams": {"diskName": "bare", "diskSizeGb": "10"}}))
    assert sorted(policies(scheduled)) == [("ROOT", "00:04", 7), ("data", "00:04", 7)]
    shown = {disk["name"]: disk.get("resourcePolicies") for disk in scheduled.get(DISKS)["items"]}
    link = scheduled.get(POLICY)["selfLink"]
    assert shown == {"web": [link], "data": [link], "bare": None}


def test_a_boot_disk_of_a_snapshot_has_its_schedule(scheduled: Any) -> None:
    scheduled.run("POST", INSTANCES, body(BOOT) | {"name": "old"})
    scheduled.run("POST", f"{DISKS}/old/createSnapshot", {"name": "saved"})
    scheduled.run("DELETE", f"{INSTANCES}/old")
    initial = {"sourceSnapshot": "global/snapshots/saved", "resourcePolicies": [POLICY], "diskName": "system"}
    scheduled.run("POST", INSTANCES, body({"boot": True, "initializeParams": initial}))
    assert len(scheduled.get(f"{DISKS}/system")["resourcePolicies"]) == 1
    assert ("system", "00:04", 7) in policies(scheduled)


def test_an_instance_template_brings_its_schedules(scheduled: Any) -> None:
    content = {name: value for name, value in body(BOOT).items() if name != "name"}
    scheduled.run("POST", "global/instanceTemplates", {"name": "small", "properties": content})
    scheduled.run("POST", INSTANCES, {"name": "web"}, sourceInstanceTemplate="global/instanceTemplates/small")
    assert len(scheduled.get(f"{DISKS}/web")["resourcePolicies"]) == 1


def test_where_a_schedule_cannot_be_made_nothing_is_left(scheduled: Any) -> None:
    scheduled.simulator.faults.add("status", "createSnapshotPolicy", code=530, text="no luck")
    error = scheduled.fail("POST", INSTANCES, body(BOOT, DATA))
    assert "no luck" in error["message"]
    assert "items" not in scheduled.get(INSTANCES)
    assert "items" not in scheduled.get(DISKS)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([POLICY, POLICY], "A disk has one resource policy."),
        (["regions/ch-gva/resourcePolicies/none"], "resourcePolicies[0]"),
        (["regions/de-fra/resourcePolicies/nightly"], "own region"),
    ],
)
def test_what_is_no_schedule_of_the_region_is_refused_by_name(scheduled: Any, given: list[str], words: str) -> None:
    bad = {"boot": True, "initializeParams": {"sourceImage": DEBIAN, "resourcePolicies": given}}
    message = scheduled.refuse("POST", INSTANCES, body(bad))
    assert words in message and "resource.disks[0].initializeParams.resourcePolicies" in message
    assert scheduled.cloudstack("listVirtualMachines") == []
