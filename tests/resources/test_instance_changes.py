"""Changing instances: labels, network tags, metadata, protection, scheduling, accounts, machine type and name."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from gstack.errors import GceError
from gstack.operations import firewalls

INSTANCES = "zones/{zone}/instances"
WEB = f"{INSTANCES}/web"
DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
SPOT = {"provisioningModel": "SPOT", "instanceTerminationAction": "STOP"}
REQUEST = "7d2b9a8e-3c2f-4f5e-9d6a-0a1b2c3d4e5f"


def make(gateway: Any, **members: Any) -> None:
    """An instance ``web``."""
    disk = {"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN}}
    body = {"name": "web", "machineType": "tiny", "disks": [disk], "networkInterfaces": [{}]} | members
    gateway.run("POST", INSTANCES, body)


def machine(gateway: Any) -> dict[str, Any]:
    (row,) = gateway.cloudstack("listVirtualMachines")
    return dict(row)


def tag_keys(gateway: Any) -> set[str]:
    return {tag["key"] for tag in machine(gateway)["tags"]}


def user_data(gateway: Any) -> str:
    answer = gateway.cloudstack("getVirtualMachineUserData", virtualmachineid=machine(gateway)["id"])
    return base64.b64decode(answer["virtualmachineuserdata"].get("userdata", "")).decode()


def labels(gateway: Any, **wanted: str) -> dict[str, Any]:
    return {"labels": wanted, "labelFingerprint": gateway.get(WEB)["labelFingerprint"]}


def worn(gateway: Any, *items: str) -> dict[str, Any]:
    return {"items": list(items), "fingerprint": gateway.get(WEB)["tags"]["fingerprint"]}


def metadata(gateway: Any, **values: str) -> dict[str, Any]:
    items = [{"key": key.replace("_", "-"), "value": value} for key, value in values.items()]
    return {"items": items, "fingerprint": gateway.get(WEB)["metadata"]["fingerprint"]}


def test_labels_are_replaced_as_a_whole_and_read_back(gateway: Any) -> None:
    make(gateway, labels={"a": "1", "b": "2"}, tags={"items": ["blue"]})
    operation = gateway.run("POST", f"{WEB}/setLabels", labels(gateway, a="3", c=""))
    instance = gateway.get(WEB)
    assert (operation["operationType"], operation["targetId"]) == ("setLabels", instance["id"])
    assert instance["labels"] == {"a": "3", "c": ""}
    assert instance["tags"]["items"] == ["blue"]


@pytest.mark.parametrize("verb", ["setLabels", "setTags", "setMetadata"])
def test_an_old_fingerprint_is_refused_and_changes_nothing(gateway: Any, verb: str) -> None:
    make(gateway, labels={"a": "1"}, tags={"items": ["a"]}, metadata={"items": [{"key": "a", "value": "1"}]})
    before = gateway.get(WEB)
    stamp = "labelFingerprint" if verb == "setLabels" else "fingerprint"
    message = gateway.refuse("POST", f"{WEB}/{verb}", {stamp: "AAAAAAAAAAA="}, status=412)
    assert "fingerprint" in message
    assert gateway.get(WEB) == before


def test_network_tags_are_replaced_and_the_fingerprint_changes(gateway: Any) -> None:
    make(gateway, labels={"a": "1"}, tags={"items": ["red", "blue"]})
    before = gateway.get(WEB)
    gateway.run("POST", f"{WEB}/setTags", worn(gateway, "green", "blue"))
    after = gateway.get(WEB)
    assert (after["tags"]["items"], after["labels"]) == (["blue", "green"], {"a": "1"})
    assert after["tags"]["fingerprint"] != before["tags"]["fingerprint"]
    assert tag_keys(gateway) == {"a", "gstack-tag:blue", "gstack-tag:green"}


def test_a_firewall_opens_and_closes_with_the_network_tag_that_it_speaks_of(gateway: Any) -> None:
    make(gateway)
    rule = {"name": "web", "allowed": [{"IPProtocol": "tcp", "ports": ["80"]}], "targetTags": ["http"]}
    gateway.run("POST", "global/firewalls", rule)

    def open_ports() -> set[int]:
        groups = [row for row in gateway.cloudstack("listSecurityGroups") if ":instance:" in row["name"]]
        return {rule["startport"] for group in groups for rule in group.get("ingressrule", ())}

    assert open_ports() == set()
    gateway.run("POST", f"{WEB}/setTags", worn(gateway, "http"))
    assert open_ports() == {80}
    gateway.run("POST", f"{WEB}/setTags", worn(gateway))
    assert open_ports() == set()


def test_a_bad_network_tag_is_named(gateway: Any) -> None:
    make(gateway)
    assert "resource.items[1]" in gateway.refuse("POST", f"{WEB}/setTags", worn(gateway, "fine", "Not Fine"))


def test_when_the_rules_cannot_follow_the_network_tags_stay_as_they_were(gateway: Any) -> None:
    make(gateway, tags={"items": ["blue"]})
    rule = {"name": "web", "allowed": [{"IPProtocol": "tcp", "ports": ["80"]}], "targetTags": ["http"]}
    gateway.run("POST", "global/firewalls", rule)
    body = worn(gateway, "http")
    for _ in range(2):  # the second try of the same change gives up
        gateway.simulator.faults.add("status", "authorizeSecurityGroupIngress", code=530, text="no luck")
    error = gateway.fail("POST", f"{WEB}/setTags", body)
    assert "no luck" in error["message"] and "Undone: " in error["message"]
    assert gateway.get(WEB)["tags"]["items"] == ["blue"]


def test_the_groups_of_another_tool_are_tags_that_stay(gateway: Any) -> None:
    gateway.cloudstack("createSecurityGroup", name="theirs")
    gateway.deploy("web", securitygroupnames="theirs")
    assert "'theirs' cannot be removed" in gateway.refuse("POST", f"{WEB}/setTags", worn(gateway, "mine"))
    gateway.run("POST", f"{WEB}/setTags", worn(gateway, "mine", "theirs"))
    assert gateway.get(WEB)["tags"]["items"] == ["mine", "theirs"]
    assert tag_keys(gateway) == {"gstack-tag:mine"}


def test_metadata_is_read_back_and_becomes_the_machines_user_data(gateway: Any) -> None:
    make(gateway, hostname="web.example.org", description="d")
    gateway.run("POST", f"{WEB}/setMetadata", metadata(gateway, startup_script="echo hello", foo="bar"))
    instance = gateway.get(WEB)
    assert {item["key"]: item["value"] for item in instance["metadata"]["items"]} == {
        "startup-script": "echo hello",
        "foo": "bar",
    }
    assert (instance["description"], instance["hostname"]) == ("d", "web.example.org")
    assert "echo hello" in user_data(gateway) and "web.example.org" in user_data(gateway)


def test_metadata_that_is_taken_away_is_taken_back_in_the_guest(gateway: Any) -> None:
    make(gateway, metadata={"items": [{"key": "startup-script", "value": "echo hello"}]})
    gateway.run("POST", f"{WEB}/setMetadata", metadata(gateway))
    assert "items" not in gateway.get(WEB)["metadata"]
    assert "echo hello" not in user_data(gateway) and user_data(gateway).rstrip().count("\nfinish\n") == 1


def test_metadata_that_no_guest_can_be_told_names_the_field(gateway: Any) -> None:
    make(gateway)
    message = gateway.refuse("POST", f"{WEB}/setMetadata", metadata(gateway, ssh_keys="no colon"))
    assert "'resource.items[0].value'" in message


def test_user_data_of_another_tool_stays_and_a_warning_says_so(gateway: Any) -> None:
    theirs = base64.b64encode(b"#cloud-config\npackages: [nginx]\n").decode()
    gateway.deploy("web", userdata=theirs)
    operation = gateway.run("POST", f"{WEB}/setMetadata", metadata(gateway, foo="bar"))
    assert "another tool" in operation["warnings"][0]["message"]
    assert (
        "another tool"
        in gateway.run("POST", f"{WEB}/setMetadata", metadata(gateway, foo="bar"))["warnings"][0]["message"]
    )
    assert "nginx" in user_data(gateway)
    assert gateway.get(WEB)["metadata"]["items"] == [{"key": "foo", "value": "bar"}]


def test_a_refused_user_data_leaves_the_metadata_as_it_was(gateway: Any) -> None:
    make(gateway)
    before = gateway.get(WEB)
    gateway.simulator.faults.add("status", "updateVirtualMachine", code=530, text="no luck")
    assert "no luck" in gateway.fail("POST", f"{WEB}/setMetadata", metadata(gateway, foo="bar"))["message"]
    assert gateway.get(WEB) == before


def test_protection_is_put_on_and_taken_off(gateway: Any) -> None:
    make(gateway)
    gateway.run("POST", f"{WEB}/setDeletionProtection")
    assert gateway.get(WEB)["deletionProtection"] is True
    assert machine(gateway)["deleteprotection"] is True
    assert "protected against deletion" in gateway.refuse("DELETE", WEB)
    gateway.run("POST", f"{WEB}/setDeletionProtection", deletionProtection="false")
    assert gateway.get(WEB)["deletionProtection"] is False


def test_scheduling_options_are_remembered_beside_those_not_named(gateway: Any) -> None:
    make(gateway, scheduling={"onHostMaintenance": "TERMINATE"}, description="d")
    gateway.run("POST", f"{WEB}/setScheduling", {"automaticRestart": False})
    instance = gateway.get(WEB)
    assert instance["scheduling"]["automaticRestart"] is False
    assert instance["scheduling"]["onHostMaintenance"] == "TERMINATE"
    assert instance["description"] == "d"


def test_a_running_instance_does_not_become_preemptible(gateway: Any) -> None:
    make(gateway)
    why = gateway.refuse("POST", f"{WEB}/setScheduling", {"preemptible": True})
    assert "can be changed only while the instance is stopped" in why


@pytest.mark.parametrize("nothing", [None, "", "INSTANCE_TERMINATION_ACTION_UNSPECIFIED"])
def test_a_termination_action_can_be_taken_away(gateway: Any, nothing: str | None) -> None:
    make(gateway, scheduling=SPOT)
    gateway.run("POST", f"{WEB}/setScheduling", {"instanceTerminationAction": nothing})
    scheduling = gateway.get(WEB)["scheduling"]
    assert "instanceTerminationAction" not in scheduling and scheduling["provisioningModel"] == "SPOT"


def test_a_preemptible_instance_is_not_restarted_by_itself(gateway: Any) -> None:
    make(gateway, scheduling=SPOT)
    why = gateway.refuse("POST", f"{WEB}/setScheduling", {"automaticRestart": True})
    assert "AutomaticRestart is true" in why


def test_a_stopped_instance_becomes_a_spot_instance_and_a_standard_one_in_turns(gateway: Any) -> None:
    make(gateway, scheduling={"automaticRestart": True})
    gateway.run("POST", f"{WEB}/stop")
    for _ in range(2):
        gateway.run("POST", f"{WEB}/setScheduling", SPOT)
        assert gateway.get(WEB)["scheduling"] == SPOT | {
            "preemptible": True,
            "automaticRestart": False,
            "onHostMaintenance": "TERMINATE",
        }
        gateway.run("POST", f"{WEB}/setScheduling", {"provisioningModel": "STANDARD"})
        assert gateway.get(WEB)["scheduling"] == {
            "provisioningModel": "STANDARD",
            "preemptible": False,
            "automaticRestart": True,
            "onHostMaintenance": "MIGRATE",
        }


def test_a_preemptible_instance_of_the_standard_model_stays_one_until_it_is_told(gateway: Any) -> None:
    make(gateway, scheduling={"preemptible": True, "automaticRestart": False})
    gateway.run("POST", f"{WEB}/setScheduling", {"provisioningModel": "STANDARD"})
    assert gateway.get(WEB)["scheduling"]["preemptible"] is True
    gateway.run("POST", f"{WEB}/stop")
    gateway.run("POST", f"{WEB}/setScheduling", {"preemptible": False})
    scheduling = gateway.get(WEB)["scheduling"]
    assert (scheduling["preemptible"], scheduling["automaticRestart"]) == (False, True)


def test_a_service_account_is_read_back_and_firewalls_go_by_it(gateway: Any) -> None:
    make(gateway)
    account = {"email": "robot@tenant.example.org", "scopes": ["https://www.googleapis.com/auth/cloud-platform"]}
    rule = {
        "name": "robots",
        "allowed": [{"IPProtocol": "tcp", "ports": ["81"]}],
        "targetServiceAccounts": [account["email"]],
    }
    gateway.run("POST", "global/firewalls", rule)
    assert "while the instance is stopped" in gateway.refuse("POST", f"{WEB}/setServiceAccount", account)
    gateway.run("POST", f"{WEB}/stop")
    gateway.run("POST", f"{WEB}/setServiceAccount", account)
    assert gateway.get(WEB)["serviceAccounts"] == [account]
    (group,) = (row for row in gateway.cloudstack("listSecurityGroups") if ":instance:" in row["name"])
    assert [rule["startport"] for rule in group["ingressrule"]] == [81]

    gateway.run("POST", f"{WEB}/setServiceAccount", {})
    assert "serviceAccounts" not in gateway.get(WEB)
    (group,) = (row for row in gateway.cloudstack("listSecurityGroups") if ":instance:" in row["name"])
    assert group.get("ingressrule", []) == []


@pytest.mark.parametrize(("wanted", "offering"), [("micro", "Micro"), ("custom-1-1024", None), ("f1-micro", None)])
def test_a_stopped_instance_gets_another_machine_type(gateway: Any, wanted: str, offering: str | None) -> None:
    make(gateway, machineType="small")
    gateway.run("POST", f"{WEB}/stop")
    body = {"machineType": f"zones/{gateway.zone}/machineTypes/{wanted}"}
    gateway.run("POST", f"{WEB}/setMachineType", body)
    assert gateway.get(WEB)["machineType"].endswith(f"/{wanted}")
    if offering is not None:
        assert machine(gateway)["serviceofferingname"] == offering
    gateway.run("POST", f"{WEB}/setMachineType", body)  # what it has already
    gateway.run("POST", f"{WEB}/setMachineType", {"machineType": f"zones/{gateway.zone}/machineTypes/tiny"})
    assert gateway.get(WEB)["machineType"].endswith("/tiny")
    assert not any(key.startswith("gstack:machine-type") for key in tag_keys(gateway))


def test_a_running_instance_keeps_its_machine_type(gateway: Any) -> None:
    make(gateway)
    body = {"machineType": f"zones/{gateway.zone}/machineTypes/micro"}
    assert "while the instance is stopped" in gateway.refuse("POST", f"{WEB}/setMachineType", body)


def test_a_machine_type_whose_mark_fails_is_taken_back(gateway: Any) -> None:
    make(gateway, machineType="small")
    gateway.run("POST", f"{WEB}/stop")
    gateway.simulator.faults.add("fail-job", "createTags", text="no luck")
    body = {"machineType": f"zones/{gateway.zone}/machineTypes/f1-micro"}
    assert "Undone: the machine type" in gateway.fail("POST", f"{WEB}/setMachineType", body)["message"]
    assert machine(gateway)["serviceofferingname"] == "Small"


def test_a_stopped_instance_is_renamed_and_its_disk_is_not(gateway: Any) -> None:
    make(gateway)
    before = gateway.get(WEB)
    body = {"name": "db", "currentName": "web"}
    assert "while the instance is stopped" in gateway.refuse("POST", f"{WEB}/setName", body)
    gateway.run("POST", f"{WEB}/stop")
    gateway.run("POST", f"{WEB}/setName", body)
    after = gateway.get(f"{INSTANCES}/db")
    assert (after["id"], after["disks"]) == (before["id"], before["disks"])
    assert (machine(gateway)["name"], gateway.names(INSTANCES)) == ("db", ["db"])
    assert gateway.names("zones/{zone}/disks") == ["web"]
    make(gateway, disks=[{"boot": True, "initializeParams": {"sourceImage": DEBIAN, "diskName": "other"}}])
    assert gateway.names(INSTANCES) == ["db", "web"]


def test_a_name_that_is_taken_or_wrong_or_out_of_date_is_refused(gateway: Any) -> None:
    make(gateway)
    gateway.deploy("db")
    gateway.run("POST", f"{WEB}/stop")
    taken = gateway.refuse("POST", f"{WEB}/setName", {"name": "db", "currentName": "web"}, status=409)
    assert taken.endswith("/instances/db' already exists")
    assert gateway.refuse("POST", f"{WEB}/setName", {"name": "Db", "currentName": "web"}).startswith("Invalid value")
    gateway.refuse("POST", f"{WEB}/setName", {"name": "x", "currentName": "old"}, status=412)


def test_a_name_that_another_tenant_has_in_the_network_is_had_nevertheless(gateway: Any) -> None:
    gateway.as_user("other").deploy("db")
    make(gateway)
    gateway.run("POST", f"{WEB}/stop")
    gateway.run("POST", f"{WEB}/setName", {"name": "db", "currentName": "web"})
    assert gateway.names(INSTANCES) == ["db"]
    assert machine(gateway)["name"].startswith("db-")


@pytest.mark.parametrize("kind", ["lose", "cut"])
@pytest.mark.parametrize("command", ["createTags", "deleteTags", "queryAsyncJobResult"])
def test_a_lost_answer_changes_tags_once(gateway: Any, command: str, kind: str) -> None:
    make(gateway, tags={"items": ["red"]})
    body = worn(gateway, "blue")
    gateway.simulator.faults.add(kind, command)
    gateway.run("POST", f"{WEB}/setTags", body)
    assert gateway.get(WEB)["tags"]["items"] == ["blue"]


@pytest.mark.parametrize("kind", ["lose", "cut"])
def test_a_lost_answer_resizes_once(gateway: Any, kind: str) -> None:
    make(gateway)
    gateway.run("POST", f"{WEB}/stop")
    gateway.simulator.faults.add(kind, "changeServiceForVirtualMachine")
    gateway.run("POST", f"{WEB}/setMachineType", {"machineType": f"zones/{gateway.zone}/machineTypes/micro"})
    assert machine(gateway)["serviceofferingname"] == "Micro"


def test_the_same_request_id_gives_the_same_operation(gateway: Any) -> None:
    make(gateway)
    body = labels(gateway, a="1")
    first = gateway.run("POST", f"{WEB}/setLabels", body, requestId=REQUEST)
    assert gateway.run("POST", f"{WEB}/setLabels", body, requestId=REQUEST)["name"] == first["name"]


@pytest.mark.parametrize("verb", ["setLabels", "setTags", "setMetadata", "setScheduling", "setServiceAccount"])
def test_what_is_not_there_cannot_be_changed(gateway: Any, verb: str) -> None:
    assert gateway.refuse("POST", f"{WEB}/{verb}", {}, status=404).endswith("/instances/web' was not found")


def test_a_machine_that_failed_is_not_ready_for_changes(gateway: Any) -> None:
    gateway.deploy("web", serviceofferingid=gateway.offering_id("Titan-does-not-fit"))
    assert gateway.refuse("POST", f"{WEB}/setDeletionProtection").endswith("is not ready")


def test_in_an_isolated_network_the_machine_itself_holds_its_service_account(gateway: Any) -> None:
    gateway.zone = "de-fra-1"
    make(gateway)
    gateway.run("POST", f"{WEB}/setTags", worn(gateway, "http"))
    gateway.run("POST", f"{WEB}/stop")
    gateway.run("POST", f"{WEB}/setServiceAccount", {"email": "robot@tenant.example.org"})
    assert tag_keys(gateway) == {"gstack-tag:http", "gstack:accounts"}
    gateway.run("POST", f"{WEB}/setName", {"name": "db", "currentName": "web"})
    gateway.run("POST", f"{INSTANCES}/db/setServiceAccount", {})
    assert (gateway.names(INSTANCES), tag_keys(gateway)) == (["db"], {"gstack-tag:http"})


def test_an_account_whose_rules_cannot_follow_is_taken_back(gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.zone = "de-fra-1"
    make(gateway)
    gateway.run("POST", f"{WEB}/stop")

    def refuse(_: Any) -> list[str]:
        raise GceError("backendError", "no luck")

    monkeypatch.setattr(firewalls, "converge", refuse)
    error = gateway.fail("POST", f"{WEB}/setServiceAccount", {"email": "robot@tenant.example.org"})
    assert "Undone: the service account" in error["message"]
    assert (tag_keys(gateway), "serviceAccounts" in gateway.get(WEB)) == (set(), False)
