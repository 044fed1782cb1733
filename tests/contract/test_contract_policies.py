"""Policies that take snapshots by the clock, which schedules are made of. See gstack.translate.schedules."""

from __future__ import annotations

import pytest

from gstack.cloudstack.errors import CloudStackError

DAILY = {"intervaltype": "daily", "schedule": "15:02", "timezone": "UTC", "maxsnaps": 4}


@pytest.fixture
def root(cloud, machine):
    """The root volume of the shared machine, which loses its policies afterwards."""
    cloud.may("createSnapshotPolicy")
    volume = cloud.one("listVolumes", virtualmachineid=machine["id"], type="ROOT")["id"]
    yield volume
    for row in cloud.list("listSnapshotPolicies", volumeid=volume):
        cloud.call("deleteSnapshotPolicies", id=row["id"])


def _create(cloud, volume, **params):
    return cloud.call("createSnapshotPolicy", volumeid=volume, **(DAILY | params))["snapshotpolicy"]


def _tags(row):
    return {tag["key"]: tag["value"] for tag in row["tags"]}


def test_a_policy_is_there_at_once_as_it_was_asked_for(cloud, root):
    made = _create(cloud, root, tags=[{"key": "env", "value": "prod"}])
    row = cloud.one("listSnapshotPolicies", volumeid=root)
    assert row["id"] == made["id"]
    assert (row["schedule"], row["intervaltype"], row["timezone"], row["maxsnaps"]) == ("15:02", 1, "UTC", 4)
    assert _tags(row) == {"env": "prod"}


def test_a_second_policy_of_an_interval_changes_the_first_and_forgets_its_tags(cloud, root):
    first = _create(cloud, root, tags=[{"key": "env", "value": "prod"}])
    assert _create(cloud, root, schedule="30:04")["id"] == first["id"]
    weekly = _create(cloud, root, intervaltype="weekly", schedule="00:1:7")
    rows = {row["id"]: row for row in cloud.list("listSnapshotPolicies", volumeid=root)}
    assert rows.keys() == {first["id"], weekly["id"]}
    assert (rows[first["id"]]["schedule"], _tags(rows[first["id"]])) == ("30:04", {})


@pytest.mark.parametrize(
    ("interval", "schedule"), [("hourly", "61"), ("daily", "61:25"), ("weekly", "0:1:8"), ("monthly", "0:1:0")]
)
def test_a_schedule_is_kept_as_it_was_sent_even_if_no_clock_shows_it(cloud, root, interval, schedule):
    assert _create(cloud, root, intervaltype=interval, schedule=schedule)["schedule"] == schedule


@pytest.mark.parametrize(
    "wrong",
    [
        {"schedule": "noon"},
        {"schedule": "15"},
        {"intervaltype": "monthly", "schedule": "0:1:29"},
        {"intervaltype": "yearly"},
        {"maxsnaps": 0},
        {"maxsnaps": 9},
    ],
    ids=str,
)
def test_a_policy_that_cannot_be_is_refused_at_once(cloud, root, wrong):
    with pytest.raises(CloudStackError) as refused:
        _create(cloud, root, **wrong)
    assert refused.value.code == 431
    assert cloud.list("listSnapshotPolicies", volumeid=root) == []


def test_a_volume_that_never_ran_has_no_policy(cloud):
    volume = cloud.volume()
    assert cloud.refused("createSnapshotPolicy", volumeid=volume["id"], **DAILY).code == 431


def test_a_foreign_volumes_policies_are_neither_seen_nor_made(cloud, stranger, root):
    made = _create(cloud, root)
    assert stranger.refused("listSnapshotPolicies", volumeid=root).code == 531
    assert stranger.refused("createSnapshotPolicy", volumeid=root, **DAILY).code == 531
    assert stranger.refused("deleteSnapshotPolicies", id=made["id"]).code == 531
