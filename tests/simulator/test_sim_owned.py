"""Groups, user data, policies, machine snapshots, schedules, sharing: what the recordings leave open."""

from __future__ import annotations

from pathlib import Path

import pytest
from sim_cloud import DEBIAN, MICRO, ZONE, Cloud

from gstack.simulator import Simulator
from gstack.simulator.events import TYPES
from gstack.simulator.names import event_types
from gstack.simulator.registry import COMMANDS

SSD = "a9c4edda-f663-44c1-941f-f8bb76f27c59"


def affinity(cloud: Cloud, kind: str, name: str = "grp") -> str:
    answer = cloud.do("createAffinityGroup", name=name, type=kind)
    cloud.wait(answer)
    return str(answer["id"])


def place(cloud: Cloud, name: str, group: str) -> dict:
    params = {"zoneid": ZONE, "templateid": DEBIAN, "serviceofferingid": MICRO, "affinitygroupids": group}
    return cloud.run("deployVirtualMachine", name=name, **params)


def host(cloud: Cloud, name: str) -> int | None:
    return next(m.host for m in cloud.simulator.world.machine if m.name == name)


def test_affinity_keeps_machines_on_one_host(cloud: Cloud) -> None:
    group = affinity(cloud, "host affinity")
    for number in range(3):
        place(cloud, f"m{number}", group)
    assert len({host(cloud, f"m{number}") for number in range(3)}) == 1


def test_strict_anti_affinity_fails_where_the_other_kind_gives_way(cloud: Cloud) -> None:
    strict, loose = affinity(cloud, "host anti-affinity"), affinity(cloud, "non-strict host anti-affinity", "loose")
    codes = [place(cloud, f"s{number}", strict)["jobresultcode"] for number in range(5)]
    assert codes == [0, 0, 0, 0, 533]
    assert [place(cloud, f"l{number}", loose)["jobresultcode"] for number in range(5)] == [0] * 5


def test_another_s_groups_are_out_of_reach(cloud: Cloud) -> None:
    group = affinity(cloud, "host affinity")
    instance = cloud.do("createInstanceGroup", name="web")["instancegroup"]["id"]
    data = cloud.do("registerUserData", name="boot", userdata="eA==")["userdata"]["id"]
    for command in ("listAffinityGroups", "listInstanceGroups", "listUserData"):
        assert cloud.do(command, "other") == {}
    assert cloud.do("deleteAffinityGroup", "other", id=group)["errorcode"] == 531
    assert cloud.do("deleteInstanceGroup", "other", id=instance)["errorcode"] == 531
    assert cloud.do("deleteUserData", "other", id=data)["errorcode"] == 531


def test_registered_user_data_reaches_the_machine(cloud: Cloud) -> None:
    data = cloud.do("registerUserData", name="boot", userdata="aGVsbG8=")["userdata"]["id"]
    key = cloud.deploy("web-1", userdataid=data)
    told = cloud.do("getVirtualMachineUserData", virtualmachineid=key)["virtualmachineuserdata"]
    assert told["userdata"] == "aGVsbG8="
    row = cloud.machine(key)
    assert row is not None
    assert (row["userdataid"], row["userdataname"]) == (data, "boot")


def test_user_data_can_be_linked_to_an_own_template_and_then_stays(cloud: Cloud) -> None:
    key = cloud.deploy("web-1")
    cloud.run("stopVirtualMachine", id=key)
    volume = cloud.do("listVolumes", virtualmachineid=key)["volume"][0]
    made = cloud.do("createTemplate", name="own", displaytext="own", ostypeid=ostype(cloud), volumeid=volume["id"])
    cloud.wait(made)
    data = cloud.do("registerUserData", name="boot", userdata="eA==")["userdata"]["id"]
    answer = cloud.do("linkUserDataToTemplate", templateid=made["id"], userdataid=data)
    assert answer["template"]["userdataid"] == data
    assert cloud.do("deleteUserData", id=data)["errorcode"] == 530
    assert cloud.do("linkUserDataToTemplate", templateid=DEBIAN, userdataid=data)["errorcode"] == 531


def ostype(cloud: Cloud) -> str:
    return str(cloud.do("listOsTypes", description="Ubuntu 24.04 LTS")["ostype"][0]["id"])


def test_every_operating_system_has_a_category(cloud: Cloud) -> None:
    rows = cloud.do("listOsTypes", pagesize=-1)["ostype"]
    assert len(rows) == 374
    assert {row["oscategoryid"] for row in rows} == {row["id"] for row in cloud.do("listOsCategories")["oscategory"]}
    ubuntu = next(row for row in cloud.do("listOsCategories")["oscategory"] if row["name"] == "Ubuntu")
    some = cloud.do("listOsTypes", oscategoryid=ubuntu["id"])["ostype"]
    assert some
    assert {row["oscategoryname"] for row in some} == {"Ubuntu"}


def test_a_policy_goes_with_its_volume(cloud: Cloud) -> None:
    made = cloud.do("createVolume", zoneid=ZONE, name="data", diskofferingid=SSD)
    cloud.wait(made)
    cloud.run("attachVolume", id=made["id"], virtualmachineid=cloud.deploy("m"))
    cloud.run("detachVolume", id=made["id"])
    when = {"intervaltype": "daily", "schedule": "0:3", "timezone": "UTC", "maxsnaps": 2}
    policy = cloud.do("createSnapshotPolicy", volumeid=made["id"], **when)["snapshotpolicy"]["id"]
    pair = {"tags[0].key": "a", "tags[0].value": "b"}
    cloud.run("createTags", resourceids=policy, resourcetype="SnapshotPolicy", **pair)
    assert cloud.do("listSnapshotPolicies", id=policy)["snapshotpolicy"][0]["tags"][0]["key"] == "a"
    assert cloud.do("listSnapshotPolicies", "other", id=policy) == {}
    cloud.do("deleteVolume", id=made["id"])
    assert cloud.do("listTags", resourcetype="SnapshotPolicy") == {}
    assert cloud.do("deleteSnapshotPolicies", id=policy)["errorcode"] == 431


def test_the_newest_snapshot_of_a_machine_is_the_current_one(cloud: Cloud) -> None:
    key = cloud.deploy("web-1")
    first = cloud.do("createVMSnapshot", virtualmachineid=key, name="one")
    cloud.wait(first)
    second = cloud.do("createVMSnapshot", virtualmachineid=key, name="two", snapshotmemory="true")
    cloud.wait(second)
    rows = {row["displayname"]: row for row in cloud.do("listVMSnapshot", virtualmachineid=key)["vmSnapshot"]}
    assert (rows["one"]["current"], rows["two"]["current"]) == (False, True)
    assert (rows["two"]["type"], rows["two"]["parent"]) == ("DiskAndMemory", first["id"])
    cloud.run("revertToVMSnapshot", vmsnapshotid=first["id"])
    assert cloud.do("listVMSnapshot", vmsnapshotid=first["id"])["vmSnapshot"][0]["current"] is True
    assert cloud.do("deleteVMSnapshot", "other", vmsnapshotid=first["id"])["errorcode"] == 531


def test_a_destroyed_volume_can_be_had_back(cloud: Cloud) -> None:
    made = cloud.do("createVolume", zoneid=ZONE, name="data", diskofferingid=SSD)
    cloud.wait(made)
    assert cloud.run("destroyVolume", id=made["id"])["jobresult"]["volume"]["state"] == "Destroy"
    assert cloud.do("recoverVolume", id=made["id"])["volume"]["state"] == "Allocated"
    cloud.run("destroyVolume", id=made["id"], expunge="true")
    assert cloud.do("listVolumes", id=made["id"]) == {}


def test_volumes_can_be_counted_and_told_by_their_offering(cloud: Cloud) -> None:
    cloud.deploy("web-1")
    assert cloud.do("listVolumes", serviceofferingid=MICRO, retrieveonlyresourcecount="true") == {"count": 1}
    assert cloud.do("listVolumes", diskofferingid=SSD) == {}


def test_a_parameter_for_root_alone_is_ignored_when_a_user_sends_it(cloud: Cloud) -> None:
    cloud.deploy("web-1")
    assert cloud.do("listVolumes", isencrypted="true")["count"] == 1
    assert cloud.do("listVolumes", "admin", listall="true", isencrypted="true") == {}


def test_expunging_and_recovering_volumes_can_be_forbidden(cloud: Cloud) -> None:
    cloud.simulator.settings["allow.user.expunge.recover.volume"] = False
    made = cloud.do("createVolume", zoneid=ZONE, name="data", diskofferingid=SSD)
    cloud.wait(made)
    cloud.run("destroyVolume", id=made["id"])
    assert cloud.do("recoverVolume", id=made["id"])["errorcode"] == 531


@pytest.mark.parametrize(
    ("op", "accounts", "shared"), [("add", "other", True), ("remove", "other", False), ("reset", "other", False)]
)
def test_sharing_a_template_lets_the_other_deploy_it(cloud: Cloud, op: str, accounts: str, shared: bool) -> None:
    key = cloud.deploy("web-1")
    cloud.run("stopVirtualMachine", id=key)
    volume = cloud.do("listVolumes", virtualmachineid=key)["volume"][0]
    made = cloud.do("createTemplate", name="own", displaytext="own", ostypeid=ostype(cloud), volumeid=volume["id"])
    cloud.wait(made)
    cloud.do("updateTemplatePermissions", id=made["id"], op="add", accounts="other")
    cloud.do("updateTemplatePermissions", id=made["id"], op=op, accounts=accounts)
    params = {"zoneid": ZONE, "templateid": made["id"], "serviceofferingid": MICRO, "name": "theirs"}
    assert ("id" in cloud.do("deployVirtualMachine", "other", **params)) == shared
    assert ("count" in cloud.do("listTemplates", "other", templatefilter="sharedexecutable")) == shared


def test_a_schedule_and_snapshots_go_with_their_machine(cloud: Cloud) -> None:
    cloud.simulator.settings["allow.user.expunge.recover.vm"] = True
    key = cloud.deploy("web-1")
    times = {"schedule": "0 3 * * *", "timezone": "UTC", "action": "stop"}
    schedule = cloud.do("createVMSchedule", virtualmachineid=key, **times)["vmschedule"]
    assert schedule["description"] == "STOP - at 03:00"
    renamed = cloud.do("updateVMSchedule", id=schedule["id"], description="nightly", enabled="false")["vmschedule"]
    assert (renamed["description"], renamed["enabled"]) == ("nightly", False)
    cloud.run("createVMSnapshot", virtualmachineid=key, name="one")
    cloud.run("destroyVirtualMachine", id=key, expunge="true")
    assert not list(cloud.simulator.world.schedule)
    assert cloud.do("listVMSnapshot") == {}


def test_archived_events_are_out_of_sight_and_deleted_ones_gone(cloud: Cloud) -> None:
    cloud.deploy("web-1")
    first, *_ = cloud.do("listEvents", type="VM.CREATE")["event"]
    assert cloud.do("archiveEvents", "other", ids=first["id"])["errorcode"] == 531
    cloud.do("archiveEvents", ids=first["id"])
    assert first["id"] not in [row["id"] for row in cloud.do("listEvents")["event"]]
    assert cloud.do("listEvents", archived="true")["event"][0]["id"] == first["id"]
    cloud.do("deleteEvents", type="VM.CREATE")
    assert cloud.do("listEvents", type="VM.CREATE") == {}


def test_every_event_that_is_left_is_of_a_known_type() -> None:
    assert {kind for kind, *_ in TYPES.values()} <= set(event_types())
    assert set(TYPES) <= set(COMMANDS)


def test_what_an_account_keeps_survives_a_restart(tmp_path: Path) -> None:
    first = Simulator(job_seconds=0, state_dir=tmp_path, seed=3)
    first.do("tenant", "createProject", name="shop")
    first.do("tenant", "createAffinityGroup", name="a", type="host affinity")
    first.do("tenant", "createInstanceGroup", name="b")
    first.do("tenant", "registerUserData", name="c", userdata="eA==")
    first.do("tenant", "listZones")
    second = Simulator(job_seconds=0, state_dir=tmp_path, seed=3)
    assert second.do("tenant", "listProjects")["count"] == 1
    for command in ("listAffinityGroups", "listInstanceGroups", "listUserData"):
        assert second.do("tenant", command)["count"] == 1


def test_a_user_changes_his_own_name_and_password_and_nobody_elses(cloud: Cloud) -> None:
    mine, theirs = (next(u for u in cloud.simulator.world.user if u.name == name) for name in ("tenant", "other"))
    row = cloud.do("updateUser", id=mine.id, firstname="Ada", email="ada@example.org", timezone="UTC")["user"]
    assert (row["firstname"], row["email"], row["timezone"]) == ("Ada", "ada@example.org", "UTC")
    assert cloud.do("updateUser", id=theirs.id, firstname="Eve")["errorcode"] == 531
    for wrong in (
        {"password": "new"},
        {"password": "new", "currentpassword": "no"},
        {"password": " "},
        {"username": "OTHER"},
        {"firstname": " "},
        {"userapikey": "k"},
        {"userapikey": theirs.api_key, "usersecretkey": "s"},
    ):
        assert cloud.do("updateUser", id=mine.id, **wrong)["errorcode"] == 431, wrong
    cloud.do("updateUser", id=mine.id, username="tenant2", password="new", currentpassword="secret-tenant")
    assert (mine.name, mine.password) == ("tenant2", "new")
