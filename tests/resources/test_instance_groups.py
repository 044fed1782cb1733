"""Unmanaged instance groups: who is a member, what is shown of one, and that it follows its instances."""

from __future__ import annotations

from typing import Any

import pytest

from gstack.cloudstack.trace import trace
from gstack.translate import balancing
from tests.conftest import Gateway

ZONE = "zones/ch-gva-2"
GROUPS = f"{ZONE}/instanceGroups"
GROUP = f"{GROUPS}/ig"
DEBIAN = "projects/debian-cloud/global/images/family/debian-12"


def members(*names: str) -> dict[str, Any]:
    return {"instances": [{"instance": f"{ZONE}/instances/{name}"} for name in names]}


def listed(gateway: Gateway, **body: str) -> dict[str, str]:
    """The names and states of a group's members."""
    items = gateway.call("POST", f"{GROUP}/listInstances", body).get("items", [])
    return {one["instance"].rpartition("/")[2]: one["status"] for one in items}


@pytest.fixture
def group(gateway: Gateway) -> Gateway:
    """The gateway with a group that has two machines."""
    for name in ("one", "two"):
        gateway.deploy(name)
    gateway.run("POST", GROUPS, {"name": "ig", "description": "d"})
    gateway.run("POST", f"{GROUP}/addInstances", members("one", "two"))
    return gateway


def test_a_group_shows_its_size_and_where_its_members_are(group: Gateway) -> None:
    shown = group.get(GROUP)
    assert (shown["size"], shown["description"], shown["kind"]) == (2, "d", "compute#instanceGroup")
    assert shown["network"].endswith("/global/networks/default")
    assert shown["subnetwork"].endswith("/regions/ch-gva/subnetworks/default")
    assert shown["zone"].endswith(f"/{ZONE}")
    assert [one["size"] for one in group.get(GROUPS)["items"]] == [2]
    assert group.get("aggregated/instanceGroups")["items"][ZONE]["instanceGroups"] == [shown]
    assert group.get(f"{GROUPS}/{shown['id']}")["name"] == "ig"


def test_an_instance_tells_which_groups_it_is_in(group: Gateway) -> None:
    group.deploy("alone")
    group.run("POST", GROUPS, {"name": "more"})
    group.run("POST", f"{GROUPS}/more/addInstances", members("two"))

    def referrers(name: str) -> list[tuple[str, str]]:
        items = group.get(f"{ZONE}/instances/{name}/referrers").get("items", [])
        assert all((one["kind"], one["referenceType"]) == ("compute#reference", "MEMBER_OF") for one in items)
        assert all(f"/{GROUPS}/" in one["referrer"] and f"/{ZONE}/instances/" in one["target"] for one in items)
        return [(one["target"].rpartition("/")[2], one["referrer"].rpartition("/")[2]) for one in items]

    assert referrers("alone") == []
    assert referrers("two") == [("two", "ig"), ("two", "more")]
    assert referrers("-") == [("one", "ig"), ("two", "ig"), ("two", "more")]
    group.deploy("Two")  # whose name is taken
    (other,) = set(group.names(f"{ZONE}/instances")) - {"alone", "one", "two"}
    group.run("POST", f"{GROUPS}/more/addInstances", members(other))
    assert referrers(other) == [(other, "more")]
    assert (other, "more") in referrers("-")


def test_an_empty_group_is_in_no_network_and_costs_no_call(gateway: Gateway) -> None:
    gateway.run("POST", GROUPS, {"name": "ig"})
    gateway.get(GROUP)
    with trace() as calls:
        shown = gateway.get(GROUP)
        found = listed(gateway)
    assert (shown["size"], "network" in shown, found, calls) == (0, False, {}, [])


def test_members_are_listed_with_states_and_named_ports(group: Gateway) -> None:
    group.run("POST", f"{ZONE}/instances/one/stop")
    assert listed(group) == {"one": "TERMINATED", "two": "RUNNING"}
    assert listed(group, instanceState="RUNNING") == {"two": "RUNNING"}
    ports = [{"name": "http", "port": 80}]
    seen = group.get(GROUP)["fingerprint"]
    group.run("POST", f"{GROUP}/setNamedPorts", {"namedPorts": ports, "fingerprint": seen})
    assert group.get(GROUP)["namedPorts"] == ports
    assert group.call("POST", f"{GROUP}/listInstances", {})["items"][0]["namedPorts"] == ports
    stale = {"namedPorts": [], "fingerprint": seen}
    assert "fingerprint" in group.refuse("POST", f"{GROUP}/setNamedPorts", stale, status=412)
    group.run("POST", f"{GROUP}/setNamedPorts", {"namedPorts": []})
    assert "namedPorts" not in group.get(GROUP)


def test_a_member_goes_with_its_instance_and_another_of_its_name_is_none(group: Gateway) -> None:
    group.run("DELETE", f"{ZONE}/instances/one")
    assert listed(group) == {"two": "RUNNING"}
    group.deploy("one")
    assert listed(group) == {"two": "RUNNING"}
    assert group.get(GROUP)["size"] == 1
    group.run("POST", f"{GROUP}/addInstances", members("one"))
    assert set(listed(group)) == {"one", "two"}


def test_a_member_that_another_tool_destroys_is_no_longer_shown(group: Gateway) -> None:
    (machine,) = group.cloudstack("listVirtualMachines", name="two")
    group.cloudstack("destroyVirtualMachine", id=machine["id"])
    group.simulator.settle()
    assert (listed(group), group.get(GROUP)["size"]) == ({"one": "RUNNING"}, 1)


def test_a_member_keeps_its_place_under_another_name(group: Gateway) -> None:
    group.run("POST", f"{ZONE}/instances/one/stop")
    group.run("POST", f"{ZONE}/instances/one/setName", {"name": "other", "currentName": "one"})
    assert set(listed(group)) == {"other", "two"}
    group.run("POST", f"{GROUP}/removeInstances", members("other"))
    assert set(listed(group)) == {"two"}


def test_who_is_no_instance_or_no_member_or_one_already_is_refused(group: Gateway) -> None:
    add, remove = f"{GROUP}/addInstances", f"{GROUP}/removeInstances"
    error = group.call("POST", add, members("one"), status=400)["error"]
    assert "already a member" in error["message"] and error["errors"][0]["reason"] == "memberAlreadyExists"
    assert "instances/none' was not found" in group.refuse("POST", add, members("none"), status=404)
    assert "not a member" in group.refuse("POST", remove, members("none"))
    assert "At least one" in group.refuse("POST", add, {"instances": []})
    elsewhere = {"instances": [{"instance": "zones/de-fra-1/instances/one"}]}
    assert "zone ch-gva-2" in group.refuse("POST", add, elsewhere)
    group.refuse("POST", f"{GROUPS}/none/addInstances", members("one"), status=404)
    assert set(listed(group)) == {"one", "two"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"name": "No"}, "resource.name"),
        ({"namedPorts": [{"name": "http", "port": 0}]}, "resource.namedPorts[0].port"),
        ({"namedPorts": [{"port": 80}]}, "resource.namedPorts[0].name"),
    ],
)
def test_what_no_group_can_be_is_refused_by_name(gateway: Gateway, more: dict[str, Any], said: str) -> None:
    assert said in gateway.refuse("POST", GROUPS, {"name": "ig", **more})
    assert gateway.names(GROUPS) == []


def test_a_group_goes_and_its_instances_stay(group: Gateway) -> None:
    group.run("DELETE", GROUP)
    assert group.names(GROUPS) == []
    assert {"one", "two"} <= set(group.names(f"{ZONE}/instances"))


def test_the_members_of_a_group_are_in_one_network(gateway: Gateway) -> None:
    gateway.zone = "de-fra-1"
    custom = {"autoCreateSubnetworks": False}
    disks = [{"boot": True, "initializeParams": {"sourceImage": DEBIAN}}]
    gateway.run("POST", "zones/de-fra-1/instanceGroups", {"name": "ig"})
    for number, name in enumerate(("near", "far"), 1):
        gateway.run("POST", "global/networks", {"name": name, **custom})
        piece = {"name": name, "network": f"global/networks/{name}", "ipCidrRange": f"10.{number}.0.0/24"}
        gateway.run("POST", "regions/de-fra/subnetworks", piece)
        nic = {"subnetwork": f"regions/de-fra/subnetworks/{name}"}
        machine = {"name": name, "machineType": "tiny", "disks": disks, "networkInterfaces": [nic]}
        gateway.run("POST", "zones/de-fra-1/instances", machine)
    add = "zones/de-fra-1/instanceGroups/ig/addInstances"
    both = {"instances": [{"instance": f"zones/de-fra-1/instances/{name}"} for name in ("near", "far")]}
    assert "network 'far', and the group in 'near'" in gateway.refuse("POST", add, both)


def test_groups_in_networks_that_nobody_can_use_cost_what_others_do(group: Gateway, monkeypatch: Any) -> None:
    for name in ("second", "third"):
        group.run("POST", GROUPS, {"name": name})
        group.run("POST", f"{GROUPS}/{name}/addInstances", members("one"))
    monkeypatch.setattr(balancing, "network", lambda row: f"unknown of {row['id']}")
    with trace() as calls:
        assert [("network" in one, one["size"]) for one in group.get(GROUPS)["items"]] == [
            (False, 2),
            *[(False, 1)] * 2,
        ]
    assert [call.command for call in calls].count("listNetworks") == 1
