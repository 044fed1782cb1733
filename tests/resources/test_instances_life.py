"""Starting, stopping, resetting and deleting instances."""

from __future__ import annotations

from typing import Any

INSTANCES = "zones/{zone}/instances"
WEB = f"{INSTANCES}/web"
DEBIAN = "projects/debian-cloud/global/images/family/debian-12"


def make(gateway: Any, *more: dict[str, Any], **members: Any) -> None:
    """An instance ``web`` with further disks."""
    first = {"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN}}
    body = {"name": "web", "machineType": "tiny", "disks": [first, *more], "networkInterfaces": [{}]} | members
    gateway.run("POST", INSTANCES, body)


def status(gateway: Any) -> str:
    return str(gateway.get(WEB)["status"])


def test_stop_and_start_change_the_state(gateway: Any) -> None:
    make(gateway)
    operation = gateway.run("POST", f"{WEB}/stop")
    assert (operation["operationType"], operation["targetLink"].rpartition("/")[2]) == ("stop", "web")
    assert status(gateway) == "TERMINATED"
    gateway.run("POST", f"{WEB}/start")
    assert status(gateway) == "RUNNING"


def test_the_address_survives_a_stop(gateway: Any) -> None:
    make(gateway)
    before = gateway.get(WEB)["networkInterfaces"]
    gateway.run("POST", f"{WEB}/stop")
    gateway.run("POST", f"{WEB}/start")
    assert gateway.get(WEB)["networkInterfaces"] == before


def test_starting_what_runs_and_stopping_what_stands_still_changes_nothing(gateway: Any) -> None:
    make(gateway)
    gateway.run("POST", f"{WEB}/start")
    assert status(gateway) == "RUNNING"
    gateway.run("POST", f"{WEB}/stop")
    gateway.run("POST", f"{WEB}/stop")
    assert status(gateway) == "TERMINATED"


def test_a_running_instance_can_be_reset_and_a_stopped_one_cannot(gateway: Any) -> None:
    make(gateway)
    gateway.run("POST", f"{WEB}/reset")
    assert status(gateway) == "RUNNING"
    gateway.run("POST", f"{WEB}/stop")
    message = gateway.refuse("POST", f"{WEB}/reset")
    assert message == "The resource 'projects/tenant/zones/ch-gva-2/instances/web' is not ready"


def test_what_is_not_there_cannot_be_started_or_deleted(gateway: Any) -> None:
    for method, path in (("POST", f"{WEB}/start"), ("POST", f"{WEB}/stop"), ("POST", f"{WEB}/reset"), ("DELETE", WEB)):
        assert gateway.refuse(method, path, status=404).endswith("/instances/web' was not found")


def test_a_deleted_instance_is_gone_with_its_boot_disk(gateway: Any) -> None:
    make(gateway, description="d")
    operation = gateway.run("DELETE", WEB)
    assert operation["operationType"] == "delete"
    assert gateway.names(INSTANCES) == gateway.names("zones/{zone}/disks") == []
    assert gateway.refuse("GET", "zones/{zone}/disks/web", status=404)


def test_a_deleted_name_can_be_used_again_at_once(gateway: Any) -> None:
    make(gateway)
    gateway.run("DELETE", WEB)
    make(gateway)
    (row,) = gateway.cloudstack("listVirtualMachines")
    assert row["name"] == "web"


def test_nothing_of_a_deleted_instance_is_remembered(gateway: Any) -> None:
    make(gateway, description="d", metadata={"items": [{"key": "k", "value": "v"}]})
    gateway.run("DELETE", WEB)
    make(gateway)
    instance = gateway.get(WEB)
    assert "description" not in instance and "items" not in instance["metadata"]


def test_disks_that_go_with_their_instance_go_and_others_stay(gateway: Any) -> None:
    goes = {"autoDelete": True, "initializeParams": {"diskName": "goes", "diskSizeGb": "1"}}
    stays = {"autoDelete": False, "initializeParams": {"diskName": "stays", "diskSizeGb": "1"}}
    make(gateway, goes, stays)
    gateway.run("DELETE", WEB)
    assert gateway.names("zones/{zone}/disks") == ["stays"]
    assert "users" not in gateway.get("zones/{zone}/disks/stays")


def test_a_boot_disk_that_is_to_stay_stays_under_its_name(gateway: Any) -> None:
    boot = {"boot": True, "autoDelete": False, "initializeParams": {"sourceImage": DEBIAN}}
    make(gateway, disks=[boot])
    before = gateway.get("zones/{zone}/disks/web")
    gateway.run("DELETE", WEB)
    after = gateway.get("zones/{zone}/disks/web")
    assert (after["id"], after.get("users")) == (before["id"], None)
    message = gateway.refuse(
        "POST",
        INSTANCES,
        {"name": "web", "machineType": "tiny", "disks": [boot], "networkInterfaces": [{}]},
        status=409,
    )
    assert message.endswith("/disks/web' already exists")


def test_a_protected_instance_is_not_deleted(gateway: Any) -> None:
    make(gateway, deletionProtection=True)
    assert "protected against deletion" in gateway.refuse("DELETE", WEB)
    assert status(gateway) == "RUNNING"


def test_a_machine_of_another_tool_can_be_deleted(gateway: Any) -> None:
    gateway.deploy("Web", displayname="A web server")
    gateway.run("DELETE", WEB)
    assert gateway.cloudstack("listVirtualMachines") == []


def test_an_account_that_may_expunge_does_so(gateway: Any) -> None:
    gateway.simulator.settings["allow.user.expunge.recover.vm"] = True
    gateway.simulator.world.capability["allowuserexpungerecovervm"] = True
    make(gateway)
    gateway.run("DELETE", WEB)
    assert not list(gateway.simulator.world.machine)
    assert [row["name"] for row in gateway.cloudstack("listSecurityGroups") if "instance" in row["name"]] == []


def test_a_recovered_machine_has_its_old_name(gateway: Any) -> None:
    make(gateway)
    gateway.run("DELETE", WEB)
    gateway.simulator.settings["allow.user.expunge.recover.vm"] = True
    (machine,) = gateway.simulator.world.machine
    gateway.cloudstack("recoverVirtualMachine", id=machine.id)
    assert (gateway.names(INSTANCES), status(gateway)) == (["web"], "TERMINATED")


def test_a_machine_that_failed_can_be_deleted_but_not_started(gateway: Any) -> None:
    gateway.deploy("web", serviceofferingid=gateway.offering_id("Titan-does-not-fit"))
    assert gateway.refuse("POST", f"{WEB}/start").endswith("is not ready")
    gateway.run("DELETE", WEB)
    assert gateway.names(INSTANCES) == []


def test_while_it_is_being_destroyed_an_instance_answers_to_its_name(gateway: Any) -> None:
    row = gateway.deploy("web")
    tomb = "gone-" + row["id"]
    gateway.cloudstack("updateVirtualMachine", id=row["id"], name=tomb, displayname="web")
    assert status(gateway) == "STOPPING"
    assert gateway.names(INSTANCES) == ["web"]
    assert gateway.get(WEB)["disks"][0]["source"].endswith("/disks/web")
