"""The life of a machine, as operations on instances find it."""

from __future__ import annotations

import time

import pytest


def test_a_deploy_is_listed_as_stopped_then_starting_then_running(cloud):
    with cloud.jobs_taking(0.3):
        answer = cloud.deploying()
        deadline = time.monotonic() + cloud.patience
        seen, row = [], answer
        while "jobid" in row and time.monotonic() < deadline:
            row = cloud.one("listVirtualMachines", id=answer["id"])
            seen += [row["state"]] if row["state"] not in seen[-1:] else []
            assert row.get("jobid") in (answer["jobid"], None)
            time.sleep(cloud.poll_seconds / 10)
    order = ["Stopped", "Starting", "Running"]
    assert seen == order[order.index(seen[0]) :]


def test_a_name_that_is_taken_is_refused(cloud, machine):
    error = _deploy_refused(cloud, name=machine["name"])
    assert (error.code, error.kind) == (431, "alreadyExists")


def test_a_name_of_another_machine_is_not_to_be_had_by_renaming_either(cloud, machine):
    other = cloud.machine(startvm=False)
    assert cloud.refused("updateVirtualMachine", id=other["id"], name=machine["name"]).code == 530
    assert cloud.one("listVirtualMachines", id=other["id"])["name"] == other["name"]


def test_renaming_to_its_own_name_is_no_failure(cloud, machine):
    answer = cloud.call("updateVirtualMachine", id=machine["id"], name=machine["name"])
    assert answer["virtualmachine"]["name"] == machine["name"]


@pytest.mark.parametrize("name", ["1st", "a_b", "-a", "a-", "a" * 64, "a.b"])
def test_a_name_that_is_no_host_name_is_refused(cloud, name):
    assert _deploy_refused(cloud, name=name).code == 431


def test_a_machine_may_be_renamed_while_it_runs(cloud):
    machine = cloud.machine()
    renamed = cloud.name("tomb")
    answer = cloud.call("updateVirtualMachine", id=machine["id"], name=renamed, displayname=renamed)
    assert answer["virtualmachine"]["name"] == renamed
    row = cloud.one("listVirtualMachines", id=machine["id"])
    assert (row["name"], row["displayname"], row["state"]) == (renamed, renamed, "Running")
    assert cloud.list("listVirtualMachines", name=machine["name"]) == []


def test_a_destroyed_machine_holds_its_name_unless_it_was_renamed(cloud):
    kept, renamed = cloud.machine(startvm=False), cloud.machine(startvm=False)
    cloud.call("updateVirtualMachine", id=renamed["id"], name=cloud.name("tomb"))
    for machine in (kept, renamed):
        cloud.run("destroyVirtualMachine", id=machine["id"])
    if not _may_expunge(cloud):
        assert _deploy_refused(cloud, name=kept["name"]).kind == "alreadyExists"
    again = cloud.machine(name=renamed["name"], startvm=False)
    assert again["name"] == renamed["name"]


def test_a_destroyed_machine_is_seen_by_no_list(cloud):
    machine = cloud.machine()
    cloud.run("destroyVirtualMachine", id=machine["id"])
    if _may_expunge(cloud):
        pytest.skip("this account sees destroyed machines")
    for params in ({"id": machine["id"]}, {"name": machine["name"]}, {"state": "Destroyed", "name": machine["name"]}):
        assert cloud.list("listVirtualMachines", **params) == []


def test_destroying_twice_is_no_failure(cloud):
    machine = cloud.machine(startvm=False)
    cloud.run("destroyVirtualMachine", id=machine["id"])
    assert cloud.wait(cloud.call("destroyVirtualMachine", id=machine["id"])).done


def test_the_root_volume_of_a_destroyed_machine_says_so(cloud):
    machine = cloud.machine()
    [root] = cloud.list("listVolumes", virtualmachineid=machine["id"], type="ROOT")
    cloud.run("destroyVirtualMachine", id=machine["id"])
    assert [row["vmstate"] for row in cloud.list("listVolumes", id=root["id"])] in ([], ["Destroyed"], ["Expunging"])


def test_an_ordinary_user_may_not_expunge(cloud):
    if _may_expunge(cloud):
        pytest.skip("this account may expunge")
    machine = cloud.machine(startvm=False)
    error = cloud.failed("destroyVirtualMachine", id=machine["id"], expunge=True)
    assert (error.code, error.kind) == (530, "forbidden")
    assert cloud.one("listVirtualMachines", id=machine["id"])["state"] == "Stopped"


def test_a_machine_stops_and_starts_and_keeps_its_address(cloud):
    machine = cloud.machine()
    cloud.run("stopVirtualMachine", id=machine["id"])
    stopped = cloud.one("listVirtualMachines", id=machine["id"])
    cloud.run("startVirtualMachine", id=machine["id"])
    started = cloud.one("listVirtualMachines", id=machine["id"])
    assert [stopped["state"], started["state"]] == ["Stopped", "Running"]
    addresses = {row["nic"][0]["ipaddress"] for row in (machine, stopped, started)}
    assert len(addresses) == 1


def test_the_state_is_checked_by_the_job(cloud, machine):
    error = cloud.failed("startVirtualMachine", id=machine["id"])
    assert (error.code, error.kind) == (431, "resourceNotReady")


def test_stopping_what_is_stopped_succeeds_and_rebooting_it_fails(cloud):
    machine = cloud.machine(startvm=False)
    cloud.run("stopVirtualMachine", id=machine["id"])
    assert cloud.failed("rebootVirtualMachine", id=machine["id"]).code == 431


def test_a_reboot_leaves_a_machine_running(cloud, machine):
    cloud.run("rebootVirtualMachine", id=machine["id"])
    assert cloud.one("listVirtualMachines", id=machine["id"])["state"] == "Running"


def test_jobs_of_one_machine_wait_for_each_other(cloud):
    with cloud.jobs_taking(0.2):
        answer = cloud.deploying()
        deadline = time.monotonic() + cloud.patience
        # While the deploy is still queued CloudStack takes the machine for stopped already, and does nothing.
        while cloud.one("listVirtualMachines", id=answer["id"])["state"] == "Stopped" and time.monotonic() < deadline:
            time.sleep(cloud.poll_seconds / 10)
        stop = cloud.call("stopVirtualMachine", id=answer["id"])
        assert cloud.wait(stop).done
    assert cloud.wait(answer).done
    assert cloud.one("listVirtualMachines", id=answer["id"])["state"] == "Stopped"


def test_a_machine_that_is_not_started_has_no_address(cloud):
    machine = cloud.machine(startvm=False)
    assert machine["state"] == "Stopped"
    assert "ipaddress" not in machine["nic"][0]


def test_a_protected_machine_is_not_destroyed(cloud):
    machine = cloud.machine(startvm=False)
    cloud.call("updateVirtualMachine", id=machine["id"], deleteprotection=True)
    try:
        assert cloud.failed("destroyVirtualMachine", id=machine["id"]).code == 431
    finally:
        cloud.call("updateVirtualMachine", id=machine["id"], deleteprotection=False)


def test_the_offering_changes_at_once_and_only_while_stopped(cloud, machine):
    fitting = [row for row in cloud.offerings if row["id"] != machine["serviceofferingid"]]
    if not fitting:
        pytest.skip("there is only one offering")
    larger = fitting[0]["id"]
    assert cloud.refused("changeServiceForVirtualMachine", id=machine["id"], serviceofferingid=larger).code == 431
    stopped = cloud.machine(startvm=False)
    answer = cloud.call("changeServiceForVirtualMachine", id=stopped["id"], serviceofferingid=larger)
    assert answer["virtualmachine"]["serviceofferingid"] == larger


def test_a_machine_that_fits_nowhere_is_left_in_error(cloud):
    giants = [row for row in cloud.offerings if row["cpunumber"] >= 64 or row["memory"] >= 1 << 20]
    if not giants:
        pytest.skip("there is no offering too large for the hosts")
    answer = cloud.deploying(serviceofferingid=giants[-1]["id"])
    error = cloud.wait(answer).error
    assert error is not None
    assert (error.code, error.kind) == (533, "stockout")
    assert cloud.one("listVirtualMachines", id=answer["id"])["state"] == "Error"


def test_a_password_is_only_in_the_result_of_the_job(cloud):
    rows = cloud.list("listTemplates", templatefilter="featured", zoneid=cloud.zone["id"])
    able = [row for row in rows if row["passwordenabled"] and row.get("isready")]
    if not able:
        pytest.skip("no template has passwords")
    answer = cloud.deploying(templateid=able[0]["id"])
    assert cloud.wait(answer).result["password"]
    assert "password" not in cloud.one("listVirtualMachines", id=answer["id"])


def _deploy_refused(cloud, **params):
    return cloud.refused(
        "deployVirtualMachine",
        zoneid=cloud.zone["id"],
        templateid=cloud.template["id"],
        serviceofferingid=cloud.offerings[0]["id"],
        **params,
    )


def _may_expunge(cloud):
    return cloud.call("listCapabilities")["capability"]["allowuserexpungerecovervm"]
