"""Volumes and snapshots, which disks and their snapshots are."""

from __future__ import annotations

import pytest

GB = 2**30


def _attach(cloud, volume, machine):
    cloud.run("attachVolume", id=volume["id"], virtualmachineid=machine["id"])
    return cloud.one("listVolumes", id=volume["id"])


@pytest.fixture
def host(cloud):
    """A stopped machine of the test's own to attach to; it has run, so its root volume is there."""
    machine = cloud.machine()
    cloud.run("stopVirtualMachine", id=machine["id"])
    return machine


def test_a_new_volume_is_allocated_in_bytes_and_belongs_to_no_machine(cloud):
    volume = cloud.volume()
    assert (volume["state"], volume["size"], volume["type"]) == ("Allocated", GB, "DATADISK")
    assert "virtualmachineid" not in volume


def test_a_volume_is_attached_and_detached_by_its_id(cloud, host):
    volume = cloud.volume()
    attached = _attach(cloud, volume, host)
    assert (attached["state"], attached["virtualmachineid"]) == ("Ready", host["id"])
    assert (attached["vmname"], attached["deviceid"]) == (host["name"], 1)
    cloud.run("detachVolume", id=volume["id"])
    detached = cloud.one("listVolumes", id=volume["id"])
    assert (detached["state"], "virtualmachineid" in detached, "deviceid" in detached) == ("Ready", False, False)


def test_a_volume_is_attached_to_a_running_machine(cloud, machine):
    volume = cloud.volume()
    assert _attach(cloud, volume, machine)["vmstate"] == "Running"
    cloud.run("detachVolume", id=volume["id"])


def test_a_volume_is_attached_once(cloud, host):
    volume = cloud.volume()
    _attach(cloud, volume, host)
    again = _error(cloud, "attachVolume", id=volume["id"], virtualmachineid=host["id"])
    assert again.code == 431


def test_deleting_is_done_at_once_and_refused_while_attached(cloud, host):
    volume = cloud.volume()
    _attach(cloud, volume, host)
    assert cloud.refused("deleteVolume", id=volume["id"]).code == 431
    cloud.run("detachVolume", id=volume["id"])
    assert cloud.call("deleteVolume", id=volume["id"]) == {"success": True}
    assert cloud.list("listVolumes", name=volume["name"]) == []


def test_another_accounts_volume_is_not_to_be_touched(cloud, stranger, host):
    volume = cloud.volume()
    _attach(cloud, volume, host)
    assert stranger.refused("deleteVolume", id=volume["id"]).code == 531
    assert stranger.refused("resizeVolume", id=volume["id"], size=2).code == 531
    assert stranger.failed("detachVolume", id=volume["id"]).code == 530
    assert cloud.one("listVolumes", id=volume["id"])["virtualmachineid"] == host["id"]


def test_two_volumes_may_have_one_name(cloud):
    name = cloud.name("twin")
    twins = {cloud.volume(name=name)["id"] for _ in range(2)}
    assert {row["id"] for row in cloud.list("listVolumes", name=name)} == twins


@pytest.mark.parametrize("size", [0, 10_000_000])
def test_an_impossible_size_is_refused_at_once(cloud, size):
    zone, offering = cloud.zone["id"], cloud.custom_disk["id"]
    made = {"name": cloud.name("disk"), "zoneid": zone, "diskofferingid": offering, "size": size}
    assert cloud.refused("createVolume", **made).code == 431


def test_a_volume_grows_and_does_not_shrink_by_itself(cloud):
    volume = cloud.volume()
    cloud.run("resizeVolume", id=volume["id"], size=3)
    assert cloud.one("listVolumes", id=volume["id"])["size"] == 3 * GB
    assert _error(cloud, "resizeVolume", id=volume["id"], size=2).code in (431, 432)
    assert cloud.one("listVolumes", id=volume["id"])["size"] == 3 * GB


def test_an_attached_volume_grows(cloud, host):
    volume = cloud.volume()
    _attach(cloud, volume, host)
    cloud.run("resizeVolume", id=volume["id"], size=2)
    assert cloud.one("listVolumes", id=volume["id"])["size"] == 2 * GB


def test_the_root_volume_is_listed_with_its_machine(cloud, machine):
    [root] = cloud.list("listVolumes", virtualmachineid=machine["id"])
    assert (root["type"], root["deviceid"], root["state"]) == ("ROOT", 0, "Ready")
    assert (root["vmname"], root["vmstate"]) == (machine["name"], "Running")
    assert root["size"] >= cloud.template["size"]


def test_a_volumes_row_has_what_a_disk_is_made_from(cloud, machine):
    [root] = cloud.list("listVolumes", virtualmachineid=machine["id"], type="ROOT")
    data = cloud.volume()
    for row in (root, data):
        for member in ("id", "name", "zoneid", "zonename", "type", "state", "created", "account"):
            assert isinstance(row[member], str), member
        assert isinstance(row["size"], int)
        assert row["tags"] == []
    assert root["templateid"] == machine["templateid"]
    assert data["diskofferingname"] == cloud.custom_disk["name"]


def test_the_offering_of_a_root_volume_is_no_uuid(cloud, machine):
    [root] = cloud.list("listVolumes", virtualmachineid=machine["id"], type="ROOT")
    assert root["serviceofferingid"] != machine["serviceofferingid"]
    assert root["serviceofferingname"] == machine["serviceofferingname"]


def test_data_disks_outlive_their_machine(cloud, host):
    volume = cloud.volume()
    _attach(cloud, volume, host)
    cloud.run("destroyVirtualMachine", id=host["id"])
    left = cloud.one("listVolumes", id=volume["id"])
    assert (left["state"], "virtualmachineid" in left) == ("Ready", False)


def test_data_disks_named_in_the_call_go_with_their_machine(cloud, host):
    volume = cloud.volume()
    _attach(cloud, volume, host)
    cloud.run("destroyVirtualMachine", id=host["id"], volumeids=[volume["id"]])
    assert [row["state"] for row in cloud.list("listVolumes", name=volume["name"])] in ([], ["Destroy"], ["Expunging"])


def test_the_root_volume_is_not_detached_from_a_running_machine(cloud, machine):
    [root] = cloud.list("listVolumes", virtualmachineid=machine["id"], type="ROOT")
    assert _error(cloud, "detachVolume", id=root["id"]).code in (431, 530)


def test_a_volume_that_never_ran_cannot_be_snapshot(cloud):
    cloud.may("createSnapshot")
    assert _error(cloud, "createSnapshot", volumeid=cloud.volume()["id"]).code == 431


def test_a_snapshot_takes_tags_in_its_call_and_outlives_nothing_twice(cloud, machine):
    cloud.may("createSnapshot")
    [root] = cloud.list("listVolumes", virtualmachineid=machine["id"], type="ROOT")
    name = cloud.name("snap")
    made = cloud.snapshot(volumeid=root["id"], name=name, tags=[{"key": "env", "value": "prod"}])
    assert (made["name"], made["state"], made["volumeid"]) == (name, "BackedUp", root["id"])
    assert [(tag["key"], tag["value"]) for tag in made["tags"]] == [("env", "prod")]
    cloud.run("deleteSnapshot", id=made["id"])
    assert cloud.list("listSnapshots", name=name) == []


def test_the_root_volume_of_a_destroyed_machine_makes_no_snapshot_and_the_reason_is_hidden(cloud):
    cloud.may("createSnapshot")
    host = cloud.machine()
    root = cloud.one("listVolumes", virtualmachineid=host["id"], type="ROOT")
    cloud.run("destroyVirtualMachine", id=host["id"])
    error = cloud.refused("createSnapshot", volumeid=root["id"])
    assert (error.code, "Internal error" in error.text) == (530, True)


def test_a_volume_is_made_from_a_snapshot(cloud, machine):
    cloud.may("createSnapshot")
    data = cloud.volume()
    _attach(cloud, data, machine)
    try:
        snapshot = cloud.snapshot(volumeid=data["id"], name=cloud.name("snap"))
        copy = cloud.volume(snapshotid=snapshot["id"])
    finally:
        cloud.run("detachVolume", id=data["id"])
    assert (copy["state"], copy["size"]) == ("Ready", GB)


def test_only_the_job_that_made_a_volume_tells_the_snapshot_it_is_of(cloud, root_snapshot):
    made = _copy(cloud, root_snapshot)
    assert cloud.wait(made).result["snapshotid"] == root_snapshot["id"]
    row = cloud.one("listVolumes", id=made["id"])
    assert ("snapshotid" in row, row["size"]) == (False, root_snapshot["virtualsize"])


def test_the_size_of_a_copy_is_heeded_only_with_an_offering(cloud, root_snapshot):
    larger = -(-root_snapshot["virtualsize"] // GB) + 2
    plain = _copy(cloud, root_snapshot, size=larger)
    chosen = _copy(cloud, root_snapshot, size=larger, diskofferingid=cloud.custom_disk["id"])
    cloud.wait(plain)
    cloud.wait(chosen)
    sizes = [cloud.one("listVolumes", id=made["id"])["size"] for made in (plain, chosen)]
    assert sizes == [root_snapshot["virtualsize"], larger * GB]


def test_a_copy_of_a_data_disk_takes_no_offering(cloud, machine):
    cloud.may("createSnapshot")
    data = cloud.volume()
    _attach(cloud, data, machine)
    try:
        snapshot = cloud.snapshot(volumeid=data["id"], name=cloud.name("snap"))
    finally:
        cloud.run("detachVolume", id=data["id"])
    offering = cloud.custom_disk["id"]
    params = {"name": cloud.name("disk"), "zoneid": cloud.zone["id"], "size": 2}
    assert cloud.refused("createVolume", snapshotid=snapshot["id"], diskofferingid=offering, **params).code == 431


@pytest.fixture
def root_snapshot(cloud, machine):
    cloud.may("createSnapshot")
    [root] = cloud.list("listVolumes", virtualmachineid=machine["id"], type="ROOT")
    return cloud.snapshot(volumeid=root["id"], name=cloud.name("snap"))


def _copy(cloud, snapshot, **params):
    made = cloud.call(
        "createVolume", name=cloud.name("disk"), zoneid=cloud.zone["id"], snapshotid=snapshot["id"], **params
    )
    cloud.made.append(("volume", made))
    return made


def _error(cloud, command, **params):
    """The error, at once or of the job: for one mistake it may be either."""
    from gstack.cloudstack.errors import CloudStackError

    try:
        answer = cloud.call(command, **params)
    except CloudStackError as error:
        return error
    error = cloud.wait(answer).error
    assert error is not None, f"{command} did not fail"
    return error
