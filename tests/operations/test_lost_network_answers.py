"""Commands of networks whose answer is lost: what they made is found again, and made once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Gateway

DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
PIECES, INSTANCES = "regions/de-fra/subnetworks", "zones/de-fra-1/instances"
VPC = {"resourceManagerTags": {"gstack-network-model": "vpc"}}


@pytest.fixture
def fra(gateway: Gateway) -> Gateway:
    """The gateway, with an empty network of the VPC model."""
    gateway.zone = "de-fra-1"
    gateway.run("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False, "params": VPC})
    return gateway


def piece(gateway: Gateway, name: str = "sub", cidr: str = "10.1.0.0/24") -> None:
    gateway.run("POST", PIECES, {"name": name, "network": "global/networks/net", "ipCidrRange": cidr})


def instance(**interface: Any) -> dict[str, Any]:
    disk = {"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN}}
    nic = {"subnetwork": f"{PIECES}/sub", **interface}
    return {"name": "web", "machineType": "tiny", "disks": [disk], "networkInterfaces": [nic]}


@pytest.mark.parametrize(
    "command", ["createVPC", "createNetworkACLList", "createNetwork", "createNetworkACL", "createTags"]
)
def test_a_subnetwork_is_made_once(fra: Gateway, command: str) -> None:
    fault = fra.simulator.faults.add("lose", command)
    piece(fra)
    assert fault.hits
    (vpc,) = fra.cloudstack("listVPCs")
    assert [tier["name"] for tier in vpc["network"]] == ["sub"]
    lists = [row["name"] for row in fra.cloudstack("listNetworkACLLists") if "vpcid" in row]
    assert lists == ["gstack:sub"]
    assert len(fra.cloudstack("listNetworkACLs", aclid=vpc["network"][0]["aclid"])) == 1


@pytest.mark.parametrize("command", ["createStaticRoute", "createTags"])
def test_a_route_is_made_once(fra: Gateway, command: str) -> None:
    piece(fra)
    fault = fra.simulator.faults.add("lose", command)
    body = {"name": "far", "network": "global/networks/net", "destRange": "172.16.0.0/16", "nextHopIp": "10.1.0.9"}
    fra.run("POST", "global/routes", {**body, "priority": 1000})
    assert fault.hits
    assert len(fra.cloudstack("listStaticRoutes")) == 1
    assert "far" in fra.names("global/routes")


@pytest.mark.parametrize("command", ["addIpToNic", "associateIpAddress", "enableStaticNat"])
def test_an_interface_gets_each_of_its_addresses_once(fra: Gateway, command: str) -> None:
    piece(fra)
    fault = fra.simulator.faults.add("lose", command)
    fra.run("POST", INSTANCES, instance(accessConfigs=[{"name": "nat"}], aliasIpRanges=[{"ipCidrRange": "/32"}]))
    assert fault.hits
    (nic,) = fra.get(f"{INSTANCES}/web")["networkInterfaces"]
    assert len(nic["aliasIpRanges"]) == 1
    assert len(fra.cloudstack("listPublicIpAddresses", issourcenat="false")) == 1


@pytest.mark.parametrize("command", ["deleteNetwork", "deleteNetworkACLList", "deleteVPC"])
def test_a_subnetwork_is_deleted_whole(fra: Gateway, command: str) -> None:
    piece(fra)
    fault = fra.simulator.faults.add("lose", command)
    fra.run("DELETE", f"{PIECES}/sub")
    assert fault.hits
    assert fra.cloudstack("listVPCs") == []
    assert [row for row in fra.cloudstack("listNetworkACLLists") if "vpcid" in row] == []


@pytest.mark.parametrize("command", ["createVPC", "createNetworkACLList", "createNetwork"])
def test_what_fails_leaves_nothing(fra: Gateway, command: str) -> None:
    fra.simulator.faults.add("status", command, times=None)
    fra.fail("POST", PIECES, {"name": "sub", "network": "global/networks/net", "ipCidrRange": "10.1.0.0/24"})
    assert fra.cloudstack("listVPCs") == []
    assert [row for row in fra.cloudstack("listNetworks") if row["type"] != "Shared"] == []
    assert fra.names(PIECES) == []


def test_an_auto_network_of_the_vpc_model_makes_its_vpc_with_its_first_instance(fra: Gateway) -> None:
    fra.run("POST", "global/networks", {"name": "auto", "autoCreateSubnetworks": True, "params": VPC})
    body = instance(accessConfigs=[{"name": "nat"}])
    body["networkInterfaces"][0].pop("subnetwork")
    body["networkInterfaces"][0]["network"] = "global/networks/auto"
    fra.run("POST", INSTANCES, body)
    (nic,) = fra.get(f"{INSTANCES}/web")["networkInterfaces"]
    assert "natIP" in nic["accessConfigs"][0]
    (vpc,) = fra.cloudstack("listVPCs")
    assert (vpc["name"], vpc["cidr"]) == ("auto", "10.0.0.0/8")
    (tier,) = vpc["network"]
    (item,) = fra.cloudstack("listNetworkACLs", aclid=tier["aclid"])
    assert (item["traffictype"], item["action"]) == ("Egress", "Allow")
