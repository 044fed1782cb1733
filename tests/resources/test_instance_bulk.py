"""Many instances at once: all of them, or enough, or none."""

from __future__ import annotations

from typing import Any

import pytest

BULK = "zones/{zone}/instances/bulkInsert"
REGION = "regions/ch-gva/instances/bulkInsert"
INSTANCES = "zones/{zone}/instances"
DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
PROPERTIES = {
    "machineType": "tiny",
    "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN}}],
    "networkInterfaces": [{"network": "global/networks/default"}],
    "labels": {"group": "x"},
}


def body(**members: Any) -> dict[str, Any]:
    return {"count": "3", "namePattern": "web-#", "instanceProperties": PROPERTIES} | members


def counts(operation: dict[str, Any]) -> dict[str, Any]:
    (found,) = operation["instancesBulkInsertOperationMetadata"]["perLocationStatus"].values()
    return dict(found)


@pytest.mark.parametrize("path", [BULK, REGION])
def test_instances_alike_are_made_with_numbered_names(gateway: Any, path: str) -> None:
    operation = gateway.run("POST", path, body())
    assert operation["operationType"] == "bulkInsert"
    assert sorted(gateway.names(INSTANCES)) == ["web-1", "web-2", "web-3"]
    assert {row["state"] for row in gateway.cloudstack("listVirtualMachines")} == {"Running"}
    assert gateway.get(f"{INSTANCES}/web-2")["labels"] == {"group": "x"}
    assert (counts(operation)["targetVmCount"], counts(operation)["createdVmCount"]) == (3, 3)
    group = operation["operationGroupId"]
    found = gateway.get("zones/{zone}/operations", filter=f'operationGroupId="{group}" AND operationType="insert"')
    assert [
        one["targetLink"].rpartition("/")[2] for one in sorted(found["items"], key=lambda one: one["targetLink"])
    ] == [
        "web-1",
        "web-2",
        "web-3",
    ]


def test_numbers_go_on_after_those_that_are_there(gateway: Any) -> None:
    gateway.deploy("web-4")
    gateway.run("POST", BULK, body(count="2"))
    assert sorted(gateway.names(INSTANCES)) == ["web-4", "web-5", "web-6"]


def test_instances_may_be_named_one_by_one(gateway: Any) -> None:
    named = {"blue": {}, "green": {"hostname": "green.example.com"}}
    gateway.run("POST", BULK, {"instanceProperties": PROPERTIES, "perInstanceProperties": named})
    assert sorted(gateway.names(INSTANCES)) == ["blue", "green"]
    assert gateway.get(f"{INSTANCES}/green")["hostname"] == "green.example.com"
    assert "hostname" not in gateway.get(f"{INSTANCES}/blue")


def test_instances_are_made_of_a_template(gateway: Any) -> None:
    gateway.run("POST", "global/instanceTemplates", {"name": "small", "properties": PROPERTIES})
    said = {"count": "2", "namePattern": "web-#", "sourceInstanceTemplate": "global/instanceTemplates/small"}
    gateway.run("POST", BULK, said)
    assert sorted(gateway.names(INSTANCES)) == ["web-1", "web-2"]


def test_where_fewer_than_wanted_are_made_all_are_taken_back(gateway: Any) -> None:
    gateway.simulator.faults.add("fail-job", "deployVirtualMachine", after=1, code=530, text="no luck")
    operation = gateway.call("POST", BULK, body())
    error = operation["error"]["errors"][0]
    assert "Only 2 of 3 instances could be made, and 3 are needed: no luck" in error["message"]
    assert gateway.names(INSTANCES) == []
    found = counts(operation)
    assert (found["failedToCreateVmCount"], found["deletedVmCount"], found["createdVmCount"]) == (1, 2, 0)
    gateway.run("POST", BULK, body())


def test_where_enough_are_made_they_stay_and_the_others_are_a_warning(gateway: Any) -> None:
    gateway.simulator.faults.add("fail-job", "deployVirtualMachine", after=1, code=530, text="no luck")
    operation = gateway.run("POST", BULK, body(minCount="2"))
    assert "no luck" in operation["warnings"][0]["message"]
    assert len(gateway.names(INSTANCES)) == 2


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"count": "0"}, "resource.count"),
        ({"count": "1001"}, "resource.count"),
        ({"minCount": "4"}, "resource.minCount"),
        ({"namePattern": "web"}, "resource.namePattern"),
        ({"locationPolicy": {"targetShape": "BALANCED"}}, "resource.locationPolicy"),
        ({"instanceFlexibilityPolicy": {"instanceSelections": {"a": {"rank": "1"}}}}, "instanceFlexibilityPolicy"),
        ({"instanceProperties": PROPERTIES | {"machineType": "none"}}, "resource.instanceProperties.machineType"),
        ({"instanceProperties": PROPERTIES | {"canIpForward": True}}, "resource.instanceProperties.canIpForward"),
        (
            {"instanceProperties": PROPERTIES | {"networkInterfaces": [{"networkIP": "60.147.40.7"}]}},
            "resource.instanceProperties.networkInterfaces[0].networkIP",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_made(gateway: Any, members: dict[str, Any], words: str) -> None:
    assert words in gateway.refuse("POST", BULK, body(**members))
    assert gateway.cloudstack("listVirtualMachines") == []


def test_a_taken_name_makes_none(gateway: Any) -> None:
    gateway.deploy("blue")
    said = {"instanceProperties": PROPERTIES, "perInstanceProperties": {"green": {}, "blue": {}}}
    assert "instances/blue' already exists" in gateway.refuse("POST", BULK, said, status=409)
    assert gateway.names(INSTANCES) == ["blue"]


def test_the_upstream_calls_of_a_request_do_not_grow_with_the_number(gateway: Any) -> None:
    gateway.run("POST", BULK, body(count="1", namePattern="a-#"))
    few = len(gateway.upstream)
    gateway.run("POST", BULK, body(count="4", namePattern="b-#"))
    assert len(gateway.upstream) <= few
