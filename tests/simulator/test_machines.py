"""Machines, their jobs and what hangs on them, on a clock that the test turns."""

from __future__ import annotations

from sim_cloud import DEBIAN, MICRO, TINY, UBUNTU, ZONE, Cloud

WITH_HA = "e21edb64-4db3-4d56-b75d-7a5f2a410c37"


def test_a_deploy_goes_from_stopped_over_starting_to_running(cloud: Cloud) -> None:
    params = {"zoneid": ZONE, "templateid": UBUNTU, "serviceofferingid": TINY, "name": "web-1"}
    answer = cloud.do("deployVirtualMachine", **params)
    seen = []
    for _ in range(30):
        row = cloud.machine(answer["id"])
        assert row is not None
        if (row["state"], "jobid" in row) not in seen:
            seen.append((row["state"], "jobid" in row))
        cloud.clock.now += 0.05
    assert seen == [("Stopped", True), ("Starting", True), ("Running", True), ("Running", False)]


def test_a_machine_is_made_of_one_thing_and_of_a_disk_only_where_storage_spans_the_zone(cloud: Cloud) -> None:
    root = cloud.do("listVolumes", virtualmachineid=cloud.deploy("vm"))["volume"][0]["id"]
    snapshot = cloud.do("createSnapshot", volumeid=root)["id"]
    cloud.clock.now += 10

    def answer(who: str = "tenant", **source: str) -> tuple[int, str]:
        told = cloud.do("deployVirtualMachine", who, zoneid=ZONE, serviceofferingid=MICRO, **source)
        return told["errorcode"], told["errortext"]

    both = "Please provide only one of the following parameters - template ID, volume ID or snapshot ID"
    narrow = "Deployment of virtual machine is supported only for Zone-wide storage pools"
    assert answer(volumeid=root) == answer(snapshotid=snapshot) == answer("other", volumeid=root) == (431, narrow)
    assert answer("other", snapshotid=snapshot)[0] == 531
    for source in ({}, {"templateid": DEBIAN, "volumeid": root}, {"volumeid": root, "snapshotid": snapshot}):
        assert answer("admin", **source) == (530, both)
        assert answer(**source)[1].startswith("Internal error executing command")
    volume = cloud.simulator.world.volume
    volume.remove(volume[root])
    assert answer(snapshotid=snapshot)[0] == 530


def test_the_job_holds_a_snapshot_with_the_only_password(cloud: Cloud) -> None:
    params = {"zoneid": ZONE, "templateid": UBUNTU, "serviceofferingid": TINY, "name": "web-1"}
    job = cloud.run("deployVirtualMachine", **params)
    machine = job["jobresult"]["virtualmachine"]
    assert (machine["jobid"], machine["jobstatus"], len(machine["password"])) == (job["jobid"], 0, 6)
    assert "password" not in (cloud.machine(machine["id"]) or {})


def test_jobs_of_one_machine_wait_for_each_other(cloud: Cloud) -> None:
    params = {"zoneid": ZONE, "templateid": DEBIAN, "serviceofferingid": MICRO, "name": "web-1"}
    deployed = cloud.do("deployVirtualMachine", **params)
    stopped = cloud.do("stopVirtualMachine", id=deployed["id"])
    cloud.clock.now += 1.1
    assert cloud.do("queryAsyncJobResult", jobid=deployed["jobid"])["jobstatus"] == 1
    assert cloud.do("queryAsyncJobResult", jobid=stopped["jobid"])["jobstatus"] == 0
    assert cloud.do("listAsyncJobs")["count"] == 1
    assert cloud.wait(stopped)["jobresult"]["virtualmachine"]["state"] == "Stopped"
    assert cloud.do("listAsyncJobs") == {}


def test_a_destroyed_machine_is_invisible_but_holds_name_address_and_group(cloud: Cloud) -> None:
    group = cloud.do("createSecurityGroup", name="web")["securitygroup"]["id"]
    key = cloud.deploy("web-1", securitygroupids=group)
    cloud.run("destroyVirtualMachine", id=key)
    assert cloud.machine(key) is None
    assert cloud.do("listVolumes", virtualmachineid=key)["volume"][0]["vmstate"] == "Destroyed"
    params = {"zoneid": ZONE, "templateid": DEBIAN, "serviceofferingid": MICRO, "name": "web-1"}
    assert cloud.do("deployVirtualMachine", "other", **params)["errorcode"] == 431
    assert cloud.do("deleteSecurityGroup", id=group)["errorcode"] == 536
    cloud.clock.now += 86_400
    assert cloud.do("deleteSecurityGroup", id=group) == {"success": True}
    assert "id" in cloud.do("deployVirtualMachine", "other", **params)
    assert cloud.do("startVirtualMachine", id=key)["errortext"].startswith("Unable to find UUID for id [")


def test_a_machine_that_fits_nowhere_is_left_in_error(cloud: Cloud) -> None:
    titan = "2b15598b-7001-4d9d-8e09-daf5b6470529"
    params = {"zoneid": ZONE, "templateid": UBUNTU, "serviceofferingid": titan, "name": "titan"}
    job = cloud.run("deployVirtualMachine", **params)
    assert (job["jobstatus"], job["jobresultcode"]) == (2, 533)
    assert cloud.do("listVirtualMachines", state="Error")["count"] == 1


def test_foreign_machines_are_not_listed_and_not_touched(cloud: Cloud) -> None:
    key = cloud.deploy("mine")
    assert cloud.machine(key, "other") is None
    assert cloud.do("stopVirtualMachine", "other", id=key)["errorcode"] == 531
    assert cloud.machine(key, "admin") is not None


def test_project_machines_need_the_project_to_be_listed(cloud: Cloud) -> None:
    project = cloud.do("listProjects")["project"][0]["id"]
    key = cloud.deploy("shop", projectid=project)
    assert cloud.machine(key) is None
    row = cloud.do("listVirtualMachines", projectid=project)["virtualmachine"][0]
    assert (row["project"], "account" in row) == ("web-shop", False)
    assert cloud.do("listVirtualMachines", projectid="-1")["count"] == 1
    assert cloud.do("listVirtualMachines", "other", projectid=project)["errorcode"] == 531


def test_the_quota_refuses_with_535(cloud: Cloud) -> None:
    cloud.do("updateResourceLimit", "admin", account="other",
             domainid="58531080-7583-41ba-a518-92cec686122d", resourcetype=0, max=1)  # fmt: skip
    cloud.deploy("one", "other")
    params = {"zoneid": ZONE, "templateid": DEBIAN, "serviceofferingid": MICRO}
    answer = cloud.do("deployVirtualMachine", "other", **params)
    assert (answer["errorcode"], answer["cserrorcode"]) == (535, 9999)


def test_without_paging_a_list_is_cut_at_500_and_counts_all(cloud: Cloud) -> None:
    params = {"zoneid": ZONE, "templateid": DEBIAN, "serviceofferingid": MICRO, "startvm": "false"}
    for number in range(505):
        cloud.do("deployVirtualMachine", name=f"m-{number}", **params)
    cloud.clock.now += 20
    cloud.do("listZones")
    answer = cloud.do("listVirtualMachines")
    assert (answer["count"], len(answer["virtualmachine"])) == (505, 500)
    assert len(cloud.do("listVirtualMachines", page=2, pagesize=500)["virtualmachine"]) == 5
    assert cloud.do("listVirtualMachines", page=3, pagesize=500) == {"count": 505}
    assert len(cloud.do("listVirtualMachines", pagesize=-1)["virtualmachine"]) == 505
    assert cloud.do("listVirtualMachines", page=1, pagesize=501)["errorcode"] == 431


def test_seeded_failures_reach_the_job(cloud: Cloud) -> None:
    key = cloud.deploy("web-1")
    cloud.simulator.faults.add("fail-job", "stopVirtualMachine", code=530, text="Broken")
    job = cloud.run("stopVirtualMachine", id=key)
    assert (job["jobstatus"], job["jobresult"]) == (2, {"errorcode": 530, "errortext": "Broken"})
    cloud.simulator.faults.add("jobless", "stopVirtualMachine")
    job = cloud.run("stopVirtualMachine", id=key)
    assert (job["jobstatus"], job["jobresultcode"], "jobresult" in job) == (2, 530, False)


def test_the_second_call_can_be_made_to_fail(cloud: Cloud) -> None:
    cloud.simulator.faults.add("status", "listZones", code=503, after=1)
    assert [cloud.do("listZones").get("errorcode") for _ in range(3)] == [None, 503, None]


def test_the_race_for_a_name_can_be_had(cloud: Cloud) -> None:
    cloud.deploy("twin")
    cloud.simulator.faults.add("race", "deployVirtualMachine")
    cloud.deploy("twin")
    assert cloud.do("listVirtualMachines", name="twin")["count"] == 2


def test_only_implemented_commands_are_announced(cloud: Cloud) -> None:
    names = {api["name"] for api in cloud.do("listApis")["api"]}
    assert {"deployVirtualMachine", "createTags"} <= names
    assert not {"createRemoteAccessVpn", "getUser"} & names
    assert "getUser" in {api["name"] for api in cloud.do("listApis", "admin")["api"]}


def test_events_ascend_inside_a_page_of_the_newest(cloud: Cloud) -> None:
    key = cloud.deploy("web-1")
    cloud.run("stopVirtualMachine", id=key)
    page = cloud.do("listEvents", page=1, pagesize=3)["event"]
    assert [(event["type"], event["state"]) for event in page] == [
        ("VM.STOP", "Scheduled"),
        ("VM.STOP", "Started"),
        ("VM.STOP", "Completed"),
    ]
    assert page[2]["parentid"] == page[0]["id"]


def test_a_volume_takes_the_place_of_a_root_volume_that_was_taken_out(cloud: Cloud) -> None:
    key, other = cloud.deploy("web-1"), cloud.deploy("web-2")
    roots = {}
    for machine in (key, other):
        cloud.run("stopVirtualMachine", id=machine)
        (root,) = cloud.do("listVolumes", virtualmachineid=machine)["volume"]
        roots[machine] = root["id"]
    cloud.run("detachVolume", id=roots[key])
    assert cloud.do("listVolumes", id=roots[key])["volume"][0]["type"] == "DATADISK"
    assert "no usable volumes" in cloud.run("startVirtualMachine", id=key)["jobresult"]["errortext"]
    second = cloud.run("attachVolume", id=roots[key], virtualmachineid=other, deviceid=0)
    assert second["jobresult"]["errortext"] == "Vm already has root volume attached to it"
    cloud.run("attachVolume", id=roots[key], virtualmachineid=key, deviceid=0)
    assert cloud.do("listVolumes", id=roots[key])["volume"][0]["type"] == "ROOT"
    assert cloud.run("startVirtualMachine", id=key)["jobstatus"] == 1


def test_histories_name_what_there_is_and_hold_no_measurements(cloud: Cloud) -> None:
    assert cloud.do("listVirtualMachinesUsageHistory") == cloud.do("listVolumesMetrics") == {}
    key = cloud.deploy("vm")
    [machine] = cloud.do("listVirtualMachinesUsageHistory", id=key)["virtualmachine"]
    [volume] = cloud.do("listVolumesUsageHistory")["volume"]
    assert (machine["id"], machine["name"][:2], machine["stats"]) == (key, "i-", [])
    assert (volume["name"][:5], volume["stats"]) == ("ROOT-", [])
    assert cloud.do("listVirtualMachinesMetrics", retrieveonlyresourcecount="true") == {"count": 1}


def test_high_availability_comes_with_the_offering_and_may_be_turned_off(cloud: Cloud) -> None:
    key = cloud.deploy("vm", startvm="false")
    assert cloud.machine(key)["haenable"] is False
    cloud.do("changeServiceForVirtualMachine", id=key, serviceofferingid=WITH_HA)
    assert [row["id"] for row in cloud.do("listVirtualMachines", haenable="true")["virtualmachine"]] == [key]
    assert cloud.do("updateVirtualMachine", id=key, haenable="false")["virtualmachine"]["haenable"] is False
    assert cloud.do("listVirtualMachines", haenable="true") == {}
