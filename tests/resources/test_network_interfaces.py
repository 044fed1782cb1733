"""Interfaces of instances: several of them, their fixed and further addresses, and what can change of one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Gateway

DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
INSTANCES = "zones/de-fra-1/instances"
PIECES = "regions/de-fra/subnetworks"
NAT = [{"name": "nat"}]
ONE, TWO = {"subnetwork": f"{PIECES}/one"}, {"subnetwork": f"{PIECES}/two"}


@pytest.fixture
def fra(gateway: Gateway) -> Gateway:
    """The gateway, with two networks in the zone with isolated networks."""
    gateway.zone = "de-fra-1"
    for name, cidr in (("one", "10.1.0.0/24"), ("two", "10.2.0.0/24")):
        gateway.run("POST", "global/networks", {"name": name, "autoCreateSubnetworks": False})
        gateway.run("POST", PIECES, {"name": name, "network": f"global/networks/{name}", "ipCidrRange": cidr})
    return gateway


def instance(*interfaces: dict[str, Any], name: str = "web") -> dict[str, Any]:
    """What a client sends for an instance."""
    disk = {"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN}}
    return {"name": name, "machineType": "tiny", "disks": [disk], "networkInterfaces": list(interfaces)}


def nics(gateway: Gateway, name: str = "web") -> list[dict[str, Any]]:
    return list(gateway.get(f"{INSTANCES}/{name}")["networkInterfaces"])


def aliases(nic: dict[str, Any]) -> list[str]:
    return [entry["ipCidrRange"] for entry in nic.get("aliasIpRanges", [])]


def change(gateway: Gateway, *wanted: str, nic: str = "nic0") -> dict[str, Any]:
    stamp = next(one["fingerprint"] for one in nics(gateway) if one["name"] == nic)
    body = {"fingerprint": stamp, "aliasIpRanges": [{"ipCidrRange": text} for text in wanted]}
    return gateway.run("PATCH", f"{INSTANCES}/web/updateNetworkInterface", body, networkInterface=nic)


def test_an_instance_has_an_interface_in_each_of_its_networks(fra: Gateway) -> None:
    fra.run("POST", INSTANCES, instance({**ONE, "accessConfigs": NAT}, {**TWO, "networkIP": "10.2.0.9"}))
    first, second = nics(fra)
    assert (first["name"], first["network"].rpartition("/")[2]) == ("nic0", "one")
    assert (second["name"], second["network"].rpartition("/")[2]) == ("nic1", "two")
    assert first["accessConfigs"][0]["name"] == "nat"
    assert second["networkIP"] == "10.2.0.9"
    assert "accessConfigs" not in second


def test_each_interface_is_in_a_network_of_its_own(fra: Gateway) -> None:
    message = fra.refuse("POST", INSTANCES, instance(ONE, ONE))
    assert "resource.networkInterfaces[1].network" in message
    message = fra.refuse("POST", INSTANCES, instance(ONE, {**TWO, "networkIP": "10.9.0.1"}))
    assert "resource.networkInterfaces[1].networkIP" in message


def test_a_zone_with_groups_allows_one_interface(gateway: Gateway) -> None:
    assert "one network interface" in gateway.refuse("POST", "zones/{zone}/instances", instance({}, {}))


def test_an_interface_gets_and_loses_an_external_address(fra: Gateway) -> None:
    fra.run("POST", INSTANCES, instance(ONE, TWO))
    path = f"{INSTANCES}/web"
    fra.run("POST", f"{path}/addAccessConfig", {"name": "x"}, networkInterface="nic1")
    first, second = nics(fra)
    assert "accessConfigs" not in first
    assert second["accessConfigs"][0]["name"] == "x"
    fra.run("POST", f"{path}/updateAccessConfig", {"name": "y"}, networkInterface="nic1")
    assert nics(fra)[1]["accessConfigs"][0]["name"] == "y"
    refused = fra.refuse("POST", f"{path}/updateAccessConfig", {"natIP": "1.2.3.4"}, networkInterface="nic1")
    assert "resource.natIP" in refused
    fra.run("POST", f"{path}/deleteAccessConfig", networkInterface="nic1", accessConfig="y")
    assert "accessConfigs" not in nics(fra)[1]
    assert "nic0 and nic1" in fra.refuse("POST", f"{path}/addAccessConfig", {}, networkInterface="nic2")


def test_alias_ranges_are_further_addresses(fra: Gateway) -> None:
    wanted = [{"ipCidrRange": "10.1.0.50/32"}, {"ipCidrRange": "/32"}]
    fra.run("POST", INSTANCES, instance({**ONE, "aliasIpRanges": wanted}, TWO))
    first, second = nics(fra)
    assert "10.1.0.50/32" in aliases(first)
    assert len(aliases(first)) == 2
    assert aliases(second) == []


def test_alias_ranges_of_a_running_instance_change(fra: Gateway) -> None:
    fra.run("POST", INSTANCES, instance(ONE))
    change(fra, "10.1.0.50", "10.1.0.51/32")
    change(fra, "10.1.0.51", "10.1.0.52")
    assert aliases(nics(fra)[0]) == ["10.1.0.51/32", "10.1.0.52/32"]
    change(fra)
    assert aliases(nics(fra)[0]) == []


def test_what_cannot_change_of_an_interface_is_refused_by_name(fra: Gateway) -> None:
    fra.run("POST", INSTANCES, instance(ONE))
    path, query = f"{INSTANCES}/web/updateNetworkInterface", {"networkInterface": "nic0"}
    stamp = {"fingerprint": nics(fra)[0]["fingerprint"]}
    fra.run("PATCH", path, {**stamp, **ONE}, **query)
    for member, value in (("subnetwork", f"{PIECES}/two"), ("networkIP", "10.1.0.9")):
        assert f"resource.{member}" in fra.refuse("PATCH", path, {**stamp, member: value}, **query)
    for text in ("10.1.0.0/24", "10.9.0.1", "10.1.0.1", "x", ""):
        wanted = {"aliasIpRanges": [{"ipCidrRange": text}]}
        assert "aliasIpRanges[0].ipCidrRange" in fra.refuse("PATCH", path, {**stamp, **wanted}, **query)
    assert "fingerprint" in fra.refuse("PATCH", path, {"fingerprint": "AAAA"}, status=412, **query)


def test_an_address_that_is_taken_fails_the_change_and_leaves_all_as_it_was(fra: Gateway) -> None:
    fra.run("POST", INSTANCES, instance({**ONE, "networkIP": "10.1.0.60"}, name="other"))
    fra.run("POST", INSTANCES, instance(ONE))
    change(fra, "10.1.0.50")
    stamp = nics(fra)[0]["fingerprint"]
    body = {"fingerprint": stamp, "aliasIpRanges": [{"ipCidrRange": "10.1.0.61"}, {"ipCidrRange": "10.1.0.60"}]}
    error = fra.fail("PATCH", f"{INSTANCES}/web/updateNetworkInterface", body, networkInterface="nic0")
    assert "10.1.0.60" in error["message"]
    assert aliases(nics(fra)[0]) == ["10.1.0.50/32"]


def test_effective_firewalls_are_those_of_the_interface(fra: Gateway) -> None:
    fra.run("POST", INSTANCES, instance(ONE, TWO))
    allowed = [{"IPProtocol": "icmp"}]
    fra.run("POST", "global/firewalls", {"name": "ping", "network": "global/networks/two", "allowed": allowed})
    path = f"{INSTANCES}/web/getEffectiveFirewalls"
    shown = [fra.get(path, networkInterface=f"nic{index}")["firewalls"] for index in (0, 1)]
    assert [[one["name"] for one in some] for some in shown] == [["inside-one"], ["inside-two", "ping"]]


def test_nothing_is_left_of_an_instance_with_several_interfaces(fra: Gateway) -> None:
    interfaces = [{**one, "accessConfigs": NAT} for one in (ONE, TWO)]
    fra.run("POST", INSTANCES, instance(*interfaces))
    assert len(fra.cloudstack("listPublicIpAddresses", isstaticnat="true")) == 2
    fra.run("DELETE", f"{INSTANCES}/web")
    assert all(row["issourcenat"] for row in fra.cloudstack("listPublicIpAddresses"))


def test_an_instance_gets_one_more_interface_and_loses_it(fra: Gateway) -> None:
    fra.run("POST", INSTANCES, instance(ONE))
    path = f"{INSTANCES}/web"
    more = {**TWO, "networkIP": "10.2.0.9", "accessConfigs": [{"name": "x"}], "aliasIpRanges": [{"ipCidrRange": "/32"}]}
    fra.run("POST", f"{path}/addNetworkInterface", more)
    first, second = nics(fra)
    assert (second["name"], second["networkIP"], len(aliases(second))) == ("nic1", "10.2.0.9", 1)
    assert second["accessConfigs"][0]["name"] == "x"
    assert "of its own" in fra.refuse("POST", f"{path}/addNetworkInterface", TWO)
    assert "nic1" in fra.refuse("POST", f"{path}/deleteNetworkInterface", networkInterfaceName="nic0")
    fra.run("POST", f"{path}/deleteNetworkInterface", networkInterfaceName="nic1")
    assert nics(fra) == [first]
    assert all(row["issourcenat"] for row in fra.cloudstack("listPublicIpAddresses"))
    assert "only one" in fra.refuse("POST", f"{path}/deleteNetworkInterface", networkInterfaceName="nic0")


def test_an_interface_that_cannot_have_its_address_is_not_added(fra: Gateway) -> None:
    fra.run("POST", INSTANCES, instance({**TWO, "networkIP": "10.2.0.9"}, name="other"))
    fra.run("POST", INSTANCES, instance(ONE))
    fra.fail("POST", f"{INSTANCES}/web/addNetworkInterface", {**TWO, "networkIP": "10.2.0.9"})
    more = {**TWO, "aliasIpRanges": [{"ipCidrRange": "10.2.0.9"}], "accessConfigs": NAT}
    fra.fail("POST", f"{INSTANCES}/web/addNetworkInterface", more)
    assert [nic["name"] for nic in nics(fra)] == ["nic0"]
    assert all(row["issourcenat"] for row in fra.cloudstack("listPublicIpAddresses"))


def test_zones_with_groups_allow_no_further_interface(gateway: Gateway) -> None:
    gateway.deploy("theirs")
    path = "zones/{zone}/instances/theirs/addNetworkInterface"
    assert "one network interface" in gateway.refuse("POST", path, {})
