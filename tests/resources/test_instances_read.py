"""Reading instances: names, numbers, states, pages, and what it costs upstream."""

from __future__ import annotations

from typing import Any

import pytest

INSTANCES = "zones/{zone}/instances"


def test_a_machine_of_another_tool_is_an_instance(gateway: Any) -> None:
    row = gateway.deploy("Web-1", displayname="Web server 1", securitygroupnames="default")
    instance = gateway.get(f"{INSTANCES}/web-1")
    assert instance["name"] == "web-1"
    assert instance["machineType"].endswith("/machineTypes/tiny")
    assert instance["tags"]["items"] == ["default"]
    assert instance["networkInterfaces"][0]["accessConfigs"][0]["natIP"] == row["ipaddress"]
    assert "labels" not in instance


def test_a_get_costs_two_calls(gateway: Any) -> None:
    gateway.deploy("web")
    gateway.get(f"{INSTANCES}/web")
    gateway.get(f"{INSTANCES}/web")
    assert gateway.upstream == ["listVirtualMachines", "listVolumes"]


def test_an_instance_is_found_by_its_number(gateway: Any) -> None:
    gateway.deploy("web")
    gateway.deploy("db")
    number = gateway.get(f"{INSTANCES}/db")["id"]
    assert gateway.get(f"{INSTANCES}/{number}")["name"] == "db"


@pytest.mark.parametrize("name", ["none", "12345", "Web", "web_", "web%25"])
def test_what_is_not_there_is_not_found(gateway: Any, name: str) -> None:
    gateway.deploy("web-1")
    gateway.call("GET", f"{INSTANCES}/{name}", status=None)
    assert gateway.status in (400, 404)


def test_the_sentence_of_a_missing_instance_is_gces(gateway: Any) -> None:
    message = gateway.refuse("GET", f"{INSTANCES}/none", status=404)
    assert message == "The resource 'projects/tenant/zones/ch-gva-2/instances/none' was not found"


def test_two_machines_of_one_name_are_two_instances(gateway: Any) -> None:
    first = gateway.deploy("web")
    gateway.simulator.faults.add("race", "deployVirtualMachine")
    second = gateway.deploy("web")
    names = gateway.names(INSTANCES)
    assert len(names) == 2 and "web" in names
    by_id = {item["id"]: item["name"] for item in gateway.get(INSTANCES)["items"]}
    for name in names:
        instance = gateway.get(f"{INSTANCES}/{name}")
        assert (instance["name"], by_id[instance["id"]]) == (name, name)
        assert gateway.get(f"{INSTANCES}/{instance['id']}")["name"] == name
    assert {first["name"], second["name"]} == {"web"}


def test_a_list_costs_two_calls_side_by_side_and_none_a_row(gateway: Any) -> None:
    for number in range(5):
        gateway.deploy(f"vm-{number}")
    gateway.get(INSTANCES)
    assert gateway.names(INSTANCES) == [f"vm-{number}" for number in range(5)]
    assert sorted(gateway.upstream) == ["listVirtualMachines", "listVolumes"]


def test_pages_and_filters_work_on_instances(gateway: Any) -> None:
    for number in range(3):
        gateway.deploy(f"vm-{number}")
    first = gateway.get(INSTANCES, maxResults=2)
    assert [item["name"] for item in first["items"]] == ["vm-0", "vm-1"]
    assert gateway.names(INSTANCES, maxResults=2, pageToken=first["nextPageToken"]) == ["vm-2"]
    assert gateway.names(INSTANCES, filter="name eq vm-1") == ["vm-1"]
    assert gateway.names(INSTANCES, filter="status = TERMINATED") == []


def test_an_empty_list_has_no_items(gateway: Any) -> None:
    assert "items" not in gateway.get(INSTANCES)


def test_the_aggregated_list_groups_by_zone(gateway: Any) -> None:
    gateway.deploy("web")
    gateway.get("aggregated/instances")
    items = gateway.get("aggregated/instances")["items"]
    assert [item["name"] for item in items["zones/ch-gva-2"]["instances"]] == ["web"]
    assert sorted(gateway.upstream) == ["listVirtualMachines", "listVolumes"]


@pytest.mark.parametrize(
    ("collection", "own"),
    [
        ("instances", {"zones"}),
        ("disks", {"zones"}),
        ("machineTypes", {"zones"}),
        ("addresses", {"regions", "global"}),
        ("subnetworks", {"regions"}),
        ("routers", {"regions"}),
        ("operations", {"zones", "regions", "global"}),
    ],
)
def test_every_scope_of_the_collections_own_types_is_shown_and_all_others_when_asked_for(
    gateway: Any, collection: str, own: set[str]
) -> None:
    shown = gateway.get(f"aggregated/{collection}")["items"]
    every = gateway.get(f"aggregated/{collection}", includeAllScopes="True")["items"]
    assert {scope.partition("/")[0] for scope in shown} == own
    assert {scope.partition("/")[0] for scope in every} == {"zones", "regions", "global"}
    assert {scope for scope in every if scope.partition("/")[0] in own} == shown.keys()
    assert all(found["warning"]["code"] == "NO_RESULTS_ON_PAGE" for found in every.values() if collection not in found)


def test_nobody_sees_the_instances_of_others(gateway: Any) -> None:
    gateway.as_user("other").deploy("secret")
    assert gateway.names(INSTANCES) == []
    assert gateway.refuse("GET", f"{INSTANCES}/secret", status=404)


def test_an_instance_being_deployed_is_provisioning_then_staging(gateway: Any) -> None:
    gateway.simulator.job_seconds = 60
    made = gateway.cloudstack(
        "deployVirtualMachine",
        name="slow",
        zoneid=gateway.zone_id,
        templateid=gateway.template_id(),
        serviceofferingid=gateway.offering_id(),
    )
    machine = next(one for one in gateway.simulator.world.machine if one.id == made["id"])
    machine.state = "Stopped"
    assert gateway.get(f"{INSTANCES}/slow")["status"] == "PROVISIONING"
    machine.state = "Starting"
    assert gateway.get(f"{INSTANCES}/slow")["status"] == "STAGING"


def test_a_machine_that_failed_says_so(gateway: Any) -> None:
    gateway.deploy("giant", serviceofferingid=gateway.offering_id("Titan-does-not-fit"))
    instance = gateway.get(f"{INSTANCES}/giant")
    assert instance["status"] == "TERMINATED"
    assert "could not deploy" in instance["statusMessage"]
    assert "disks" not in instance


def test_a_disk_of_another_tool_is_named_as_in_the_list_of_disks(gateway: Any) -> None:
    offering = gateway.cloudstack("listDiskOfferings", name="ssd-10")[0]["id"]
    row = gateway.deploy("web")
    gateway.deploy("data")
    for _ in range(2):
        made = gateway.cloudstack("createVolume", zoneid=gateway.zone_id, name="data", diskofferingid=offering)
        gateway.cloudstack("attachVolume", id=made["id"], virtualmachineid=row["id"])
        gateway.simulator.settle()
    sources = {disk["source"].rpartition("/")[2] for disk in gateway.get(f"{INSTANCES}/web")["disks"]}
    assert len(sources) == 3
    assert sources | {"data"} == set(gateway.names("zones/{zone}/disks"))
    for name in sources:
        assert gateway.get(f"zones/{{zone}}/disks/{name}")["users"][0].endswith("/instances/web")
