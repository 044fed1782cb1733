"""Networks of the VPC model: a VPC in CloudStack for each zone, whose tiers are the subnetworks."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Gateway

DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
INSTANCES = "zones/de-fra-1/instances"
PIECES = "regions/de-fra/subnetworks"
ADDRESSES = "regions/de-fra/addresses"
TCP_22 = [{"IPProtocol": "tcp", "ports": ["22"]}]
CHOICE = {"resourceManagerTags": {"gstack-network-model": "vpc"}}
NAT = [{"name": "nat"}]


@pytest.fixture
def fra(gateway: Gateway) -> Gateway:
    """The gateway, with a network of the VPC model and two subnetworks in the zone with isolated networks."""
    gateway.zone = "de-fra-1"
    gateway.run("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False, "params": CHOICE})
    for name, cidr in (("front", "10.1.0.0/24"), ("back", "10.2.0.0/24")):
        gateway.run("POST", PIECES, {"name": name, "network": "global/networks/net", "ipCidrRange": cidr})
    return gateway


def deploy(gateway: Gateway, name: str = "web", piece: str = "front", **more: Any) -> dict[str, Any]:
    disk = {"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN}}
    interface = {"subnetwork": f"{PIECES}/{piece}", **more}
    body = {"name": name, "machineType": "tiny", "disks": [disk], "networkInterfaces": [interface]}
    return gateway.run("POST", INSTANCES, body)


def items(gateway: Gateway, piece: str = "front") -> list[tuple[str, ...]]:
    """The access list of a subnetwork, in order."""
    (tier,) = [row for row in gateway.cloudstack("listNetworks") if row["name"] == piece]
    rows = gateway.cloudstack("listNetworkACLs", aclid=tier["aclid"])
    members = ("traffictype", "action", "protocol", "startport", "endport", "cidrlist")
    ordered = sorted(rows, key=lambda row: row["number"])
    return [tuple(str(row.get(member, "-")) for member in members) for row in ordered]


def test_subnetworks_are_tiers_of_one_vpc(fra: Gateway) -> None:
    (vpc,) = fra.cloudstack("listVPCs")
    assert (vpc["name"], vpc["cidr"]) == ("net", "10.0.0.0/8")
    assert {tier["name"]: tier["cidr"] for tier in vpc["network"]} == {"front": "10.1.0.0/24", "back": "10.2.0.0/24"}
    assert [link.rpartition("/")[2] for link in fra.get("global/networks/net")["subnetworks"]] == ["back", "front"]
    network = fra.get("global/networks/net")
    fra.forget_everything()
    assert fra.get(f"{PIECES}/front")["network"].endswith("/networks/net")
    assert fra.get("global/networks/net")["id"] == network["id"]


def test_what_leaves_a_tier_is_open_and_what_comes_is_not(fra: Gateway) -> None:
    assert items(fra) == [("Egress", "Allow", "all", "-", "-", "0.0.0.0/0")]


def test_an_instance_in_a_tier_has_an_external_address_of_the_vpc(fra: Gateway) -> None:
    deploy(fra, accessConfigs=NAT)
    (nic,) = fra.get(f"{INSTANCES}/web")["networkInterfaces"]
    (row,) = fra.cloudstack("listPublicIpAddresses", isstaticnat="true")
    assert nic["accessConfigs"][0]["natIP"] == row["ipaddress"]
    assert nic["networkIP"].startswith("10.1.0.")
    query = {"networkInterface": "nic0", "accessConfig": "nat"}
    fra.run("POST", f"{INSTANCES}/web/deleteAccessConfig", **query)
    assert [row["issourcenat"] for row in fra.cloudstack("listPublicIpAddresses")] == [True]


def test_firewalls_become_items_in_the_order_of_their_priority(fra: Gateway) -> None:
    network = {"network": "global/networks/net"}
    fra.run("POST", "global/firewalls", {"name": "ssh", "allowed": TCP_22, **network})
    denied = {"denied": [{"IPProtocol": "all"}], "sourceRanges": ["9.0.0.0/8"], "priority": 10}
    fra.run("POST", "global/firewalls", {"name": "no", **denied, **network})
    late = {"denied": [{"IPProtocol": "udp"}], "priority": 2000}
    fra.run("POST", "global/firewalls", {"name": "late", **late, **network})
    expected = [
        ("Ingress", "Deny", "all", "-", "-", "9.0.0.0/8"),
        ("Ingress", "Allow", "tcp", "22", "22", "0.0.0.0/0"),
        ("Egress", "Allow", "all", "-", "-", "0.0.0.0/0"),
    ]
    assert items(fra) == items(fra, "back") == expected
    fra.run("DELETE", "global/firewalls/no")
    assert items(fra) == expected[1:]


def test_source_tags_are_the_addresses_of_peers_in_all_tiers(fra: Gateway) -> None:
    deploy(fra, "one", "back")
    deploy(fra, "two", "front")
    body = {"name": "db", "network": "global/networks/net", "allowed": TCP_22, "sourceTags": ["web"]}
    fra.run("POST", "global/firewalls", body)
    assert [item[0] for item in items(fra)] == ["Egress"]
    one = fra.get(f"{INSTANCES}/one")
    fra.run("POST", f"{INSTANCES}/one/setTags", {"items": ["web"], "fingerprint": one["tags"]["fingerprint"]})
    address = one["networkInterfaces"][0]["networkIP"]
    assert items(fra)[0] == ("Ingress", "Allow", "tcp", "22", "22", f"{address}/32")


def test_targets_are_refused_by_name(fra: Gateway) -> None:
    body = {"name": "db", "network": "global/networks/net", "allowed": TCP_22}
    for member in ("targetTags", "targetServiceAccounts"):
        value = ["web"] if member == "targetTags" else ["a@example.com"]
        assert f"resource.{member}" in fra.refuse("POST", "global/firewalls", {**body, member: value})
    fra.run("POST", "global/firewalls", body)
    assert "resource.targetTags" in fra.refuse("PATCH", "global/firewalls/db", {"targetTags": ["web"]})


def test_items_of_others_go_and_a_list_of_others_is_left_alone(fra: Gateway) -> None:
    (tier,) = [row for row in fra.cloudstack("listNetworks") if row["name"] == "front"]
    fra.cloudstack("createNetworkACL", aclid=tier["aclid"], protocol="tcp", startport=1, endport=9)
    other = fra.cloudstack("createNetworkACLList", vpcid=tier["vpcid"], name="theirs")
    fra.simulator.settle()
    (back,) = [row for row in fra.cloudstack("listNetworks") if row["name"] == "back"]
    fra.cloudstack("replaceNetworkACLList", networkid=back["id"], aclid=other["id"])
    fra.simulator.settle()
    made = fra.run("POST", "global/firewalls", {"name": "ssh", "network": "global/networks/net", "allowed": TCP_22})
    assert "'theirs'" in made["warnings"][0]["message"]
    assert [item[0] for item in items(fra)] == ["Ingress", "Egress"]
    assert items(fra, "back") == []


def test_a_range_outside_of_the_vpc_is_refused(fra: Gateway) -> None:
    body = {"name": "far", "network": "global/networks/net", "ipCidrRange": "192.168.0.0/24"}
    assert "10.0.0.0/8" in fra.refuse("POST", PIECES, body)
    assert "overlaps" in fra.refuse("POST", PIECES, {**body, "ipCidrRange": "10.1.0.0/25"})


def test_of_several_subnetworks_one_must_be_named(fra: Gateway) -> None:
    disk = {"boot": True, "initializeParams": {"sourceImage": DEBIAN}}
    nic = {"network": "global/networks/net"}
    body = {"name": "web", "machineType": "tiny", "disks": [disk], "networkInterfaces": [nic]}
    assert "several subnetworks" in fra.refuse("POST", INSTANCES, body)


def test_the_model_is_chosen_by_names_as_resource_manager_gives_them_out_too(fra: Gateway) -> None:
    body: dict[str, Any] = {"name": "n", "autoCreateSubnetworks": False}
    tag = {"tagKeys/gstack-network-model": "tagValues/vpc"}
    fra.run("POST", "global/networks", {**body, "params": {"resourceManagerTags": tag}})
    for name, cidr in (("one", "10.3.0.0/24"), ("two", "10.4.0.0/24")):
        fra.run("POST", PIECES, {"name": name, "network": "global/networks/n", "ipCidrRange": cidr})
    assert {"net", "n"} == {vpc["name"] for vpc in fra.cloudstack("listVPCs")}
    both = {"resourceManagerTags": {"gstack-network-model": "isolated", **tag}}
    assert "one model" in fra.refuse("POST", "global/networks", {**body, "name": "m", "params": both})


def test_other_tags_are_refused_by_name(fra: Gateway) -> None:
    for tag, value in (("other", "vpc"), ("gstack-network-model", "flat"), ("tagKeys/1", "vpc")):
        body = {"name": "n", "autoCreateSubnetworks": False, "params": {"resourceManagerTags": {tag: value}}}
        assert f"resource.params.resourceManagerTags.{tag}" in fra.refuse("POST", "global/networks", body)


def test_nothing_is_left_when_all_is_deleted(fra: Gateway) -> None:
    fra.run("POST", ADDRESSES, {"name": "front"})
    address = fra.get(f"{ADDRESSES}/front")["address"]
    fra.run("POST", "global/firewalls", {"name": "ssh", "network": "global/networks/net", "allowed": TCP_22})
    deploy(fra, accessConfigs=[{"natIP": address}])
    assert "the instance 'web'" in fra.fail("DELETE", f"{PIECES}/front")["message"]
    fra.run("DELETE", f"{INSTANCES}/web")
    for machine in fra.simulator.do("admin", "listVirtualMachines", listall="true").get("virtualmachine", []):
        fra.simulator.do("admin", "expungeVirtualMachine", id=machine["id"])
        fra.simulator.settle()
    fra.run("DELETE", f"{PIECES}/front")
    fra.run("DELETE", f"{PIECES}/back")
    assert fra.get(f"{ADDRESSES}/front")["address"] == address
    fra.run("DELETE", f"{ADDRESSES}/front")
    fra.run("DELETE", "global/firewalls/ssh")
    fra.run("DELETE", "global/networks/net")
    for command in ("listVPCs", "listNetworks", "listPublicIpAddresses"):
        assert [row for row in fra.cloudstack(command) if row.get("type") != "Shared"] == []
    assert fra.cloudstack("listPublicIpAddresses", state="Reserved") == []
    assert [row for row in fra.cloudstack("listNetworkACLLists") if "vpcid" in row] == []


def test_a_failed_subnetwork_leaves_no_vpc(fra: Gateway) -> None:
    fra.run("POST", "global/networks", {"name": "more", "autoCreateSubnetworks": False, "params": CHOICE})
    fra.simulator.faults.add("status", "createNetwork", times=None)
    body = {"name": "third", "network": "global/networks/more", "ipCidrRange": "10.3.0.0/24"}
    fra.fail("POST", PIECES, body)
    assert [vpc["name"] for vpc in fra.cloudstack("listVPCs")] == ["net"]
