"""Snapshot policies at work."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sim_cloud import ZONE, Cloud

from gstack.simulator.areas.snapshot_clock import upcoming

SSD_10 = "a9c4edda-f663-44c1-941f-f8bb76f27c59"
NOW = datetime(2026, 11, 21, 9, 23, 20, tzinfo=UTC).timestamp()  # a Saturday
HOUR, DAY = 3600, 86_400


@pytest.mark.parametrize(
    ("interval", "schedule", "zone", "strikes"),
    [
        (0, "30", "UTC", "2026-11-21T09:30"),
        (0, "5", "UTC", "2026-11-21T10:05"),
        (1, "15:12", "UTC", "2026-11-21T12:15"),
        (1, "15:02", "Europe/Zurich", "2026-11-22T01:15"),
        (2, "00:1:7", "UTC", "2026-11-28T01:00"),
        (2, "00:1:1", "UTC", "2026-11-22T01:00"),
        (3, "00:1:28", "UTC", "2026-11-28T01:00"),
        (3, "00:1:2", "UTC", "2026-12-02T01:00"),
        (0, "61", "UTC", "2026-11-21T10:01"),
        (0, "5:17", "UTC", "2026-11-21T10:05"),
        (1, "61:25", "UTC", "2026-11-22T02:01"),
        (2, "00:1:8", "UTC", "2026-11-22T01:00"),
        (2, "00:1:0", "UTC", "2026-11-21T09:28:20"),
        (3, "00:1:0", "UTC", "2026-11-30T01:00"),
        (0, "-500", "UTC", "2026-11-21T09:28:20"),
    ],
)
def test_a_schedule_strikes_next_at(interval: int, schedule: str, zone: str, strikes: str) -> None:
    expected = datetime.fromisoformat(strikes).replace(tzinfo=UTC).timestamp()
    assert upcoming(interval, schedule, zone, NOW) == expected


@given(
    st.integers(0, 59), st.integers(0, 23), st.floats(NOW, NOW + 400 * DAY), st.sampled_from(["UTC", "Europe/Zurich"])
)
def test_a_daily_schedule_strikes_within_a_day_at_its_own_hour(minute: int, hour: int, now: float, zone: str) -> None:
    strikes = upcoming(1, f"{minute}:{hour}", zone, now)
    assert now < strikes <= now + DAY + 2 * HOUR
    here = datetime.fromtimestamp(strikes, ZoneInfo(zone))
    assert here.minute == minute
    assert here.hour == hour or (here.month == 3 and here.hour == hour + 1), "one hour of a year does not exist"


@given(
    st.integers(0, 3),
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=3, max_size=3),
    st.floats(NOW, NOW + 400 * DAY),
)
def test_no_number_stops_the_clock(interval: int, numbers: list[int], now: float) -> None:
    assert upcoming(interval, ":".join(map(str, numbers)), "Europe/Zurich", now) > now


def policy(cloud: Cloud, volume: str, **more: object) -> str:
    asked = {"intervaltype": "HOURLY", "schedule": "30", "timezone": "UTC", "maxsnaps": 2, **more}
    return str(cloud.do("createSnapshotPolicy", volumeid=volume, **asked)["snapshotpolicy"]["id"])


def root(cloud: Cloud) -> str:
    machine = cloud.deploy("vm")
    return str(cloud.do("listVolumes", virtualmachineid=machine)["volume"][0]["id"])


def taken(cloud: Cloud, **more: object) -> list[dict]:
    return list(cloud.do("listSnapshots", **more).get("snapshot", []))


def hours(cloud: Cloud, number: int) -> None:
    for _ in range(number):
        cloud.clock.now += HOUR
        cloud.do("listZones")
        cloud.clock.now += 20


def test_a_policy_takes_snapshots_with_its_tags_and_keeps_the_newest(cloud: Cloud) -> None:
    policy(cloud, root(cloud), **{"tags[0].key": "env", "tags[0].value": "prod"})
    assert taken(cloud) == []
    hours(cloud, 1)
    [first] = taken(cloud)
    assert (first["intervaltype"], first["state"]) == ("HOURLY", "BackedUp")
    assert [(tag["key"], tag["value"]) for tag in first["tags"]] == [("env", "prod")]
    hours(cloud, 4)
    kept = taken(cloud, snapshottype="RECURRING")
    assert len(kept) == 2
    assert first["id"] not in {row["id"] for row in kept}


def test_snapshots_taken_by_hand_do_not_count(cloud: Cloud) -> None:
    volume = root(cloud)
    policy(cloud, volume, maxsnaps=1)
    cloud.run("createSnapshot", volumeid=volume, name="mine")
    hours(cloud, 3)
    assert len(taken(cloud, snapshottype="RECURRING")) == 1
    assert [row["name"] for row in taken(cloud, snapshottype="MANUAL")] == ["mine"]
    assert len(taken(cloud, intervaltype="HOURLY")) == 2, "heeded only with a volume"
    assert len(taken(cloud, volumeid=volume, intervaltype="HOURLY")) == 1


def test_a_policy_that_is_gone_takes_none(cloud: Cloud) -> None:
    cloud.do("deleteSnapshotPolicies", id=policy(cloud, root(cloud)))
    hours(cloud, 2)
    assert taken(cloud) == []


def test_a_volume_without_storage_has_no_policy(cloud: Cloud) -> None:
    made = cloud.run("createVolume", zoneid=ZONE, name="d", diskofferingid=SSD_10)
    asked = {"intervaltype": "hourly", "schedule": "30", "timezone": "UTC", "maxsnaps": 2}
    refused = cloud.do("createSnapshotPolicy", volumeid=made["jobresult"]["volume"]["id"], **asked)
    assert refused["errorcode"] == 431
    assert refused["errortext"].endswith("is not in Ready state but Allocated. Cannot take snapshot.")


def test_a_policy_keeps_no_more_snapshots_than_its_account_may_have(cloud: Cloud) -> None:
    (account,) = cloud.do("listAccounts", "admin", name="tenant", listall=True)["account"]
    whose = {"account": "tenant", "domainid": account["domainid"]}
    cloud.do("updateResourceLimit", "admin", **whose, resourcetype=3, max=1)
    asked = {"intervaltype": "hourly", "schedule": "30", "timezone": "UTC", "maxsnaps": 2}
    refused = cloud.do("createSnapshotPolicy", volumeid=root(cloud), **asked)
    assert refused["errortext"] == "Max number of snapshots shouldn't exceed the domain/account level snapshot limit"


def test_a_changed_schedule_counts_from_then_on(cloud: Cloud) -> None:
    volume = root(cloud)
    policy(cloud, volume)
    cloud.do("listZones")
    cloud.clock.now = datetime(2026, 11, 21, 9, 29, tzinfo=UTC).timestamp()
    policy(cloud, volume, schedule="45")
    cloud.clock.now += 120
    assert taken(cloud) == []
    cloud.clock.now += 15 * 60
    cloud.do("listZones")
    cloud.clock.now += 20
    assert len(taken(cloud)) == 1


def test_a_full_quota_lets_a_time_pass(cloud: Cloud) -> None:
    policy(cloud, root(cloud))
    account = next(account for account in cloud.simulator.world.account if account.name == "tenant")
    account.limits = {"*": -1, "snapshot": 0}
    hours(cloud, 1)
    assert taken(cloud) == []
    account.limits = {"*": -1}
    hours(cloud, 1)
    assert len(taken(cloud)) == 1
