"""Routers: names for the source NAT that isolated networks and VPCs have."""

from __future__ import annotations

from typing import Any

import pytest

from gstack.store import overlay
from tests.conftest import Gateway

DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
PIECES, ROUTERS, INSTANCES = "regions/de-fra/subnetworks", "regions/de-fra/routers", "zones/de-fra-1/instances"
NAT = {
    "name": "nat1",
    "natIpAllocateOption": "AUTO_ONLY",
    "sourceSubnetworkIpRangesToNat": "ALL_SUBNETWORKS_ALL_IP_RANGES",
}


@pytest.fixture
def fra(gateway: Gateway) -> Gateway:
    """The gateway, with a network in the zone with isolated networks."""
    gateway.zone = "de-fra-1"
    gateway.run("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False})
    gateway.run("POST", PIECES, {"name": "sub", "network": "global/networks/net", "ipCidrRange": "10.1.0.0/24"})
    return gateway


def make(gateway: Gateway, **members: Any) -> dict[str, Any]:
    gateway.run("POST", ROUTERS, {"name": "mine", "network": "global/networks/net", **members})
    return gateway.get(f"{ROUTERS}/mine")


def test_a_router_takes_the_place_of_the_one_that_nobody_made(fra: Gateway) -> None:
    assert fra.names(ROUTERS) == ["sub-router"]
    router = make(fra, description="d", nats=[NAT])
    assert (router["description"], router["nats"]) == ("d", [NAT])
    assert fra.names(ROUTERS) == ["mine"]
    assert fra.get("aggregated/routers")["items"]["regions/de-fra"] == {"routers": [router]}
    assert fra.get(f"{ROUTERS}/{router['id']}") == router
    fra.run("DELETE", f"{ROUTERS}/mine")
    assert fra.names(ROUTERS) == ["sub-router"]


def test_the_nat_of_a_router_comes_changes_and_goes(fra: Gateway) -> None:
    router = make(fra)
    assert "nats" not in router
    fra.run("PATCH", f"{ROUTERS}/mine", {**router, "nats": [NAT]})
    assert fra.get(f"{ROUTERS}/mine") == {**router, "nats": [NAT]}
    fra.run("PUT", f"{ROUTERS}/mine", {"name": "mine", "network": "global/networks/net", "description": "new"})
    assert fra.get(f"{ROUTERS}/mine") == {**router, "description": "new"}


def test_of_two_changes_at_once_neither_takes_back_what_the_other_did(
    fra: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(fra)
    change = overlay.change

    def meanwhile(*args: Any) -> bool:
        monkeypatch.undo()
        fra.run("PATCH", f"{ROUTERS}/mine", {"nats": [NAT]})
        return change(*args)

    monkeypatch.setattr(overlay, "change", meanwhile)
    fra.run("PATCH", f"{ROUTERS}/mine", {"description": "new"})
    router = fra.get(f"{ROUTERS}/mine")
    assert (router["description"], router["nats"]) == ("new", [NAT])


def test_the_timeouts_that_clients_write_out_are_read_back(fra: Gateway) -> None:
    nat = {**NAT, "udpIdleTimeoutSec": 30, "tcpEstablishedIdleTimeoutSec": 1200, "type": "PUBLIC"}
    assert make(fra, nats=[nat])["nats"] == [nat]


def test_what_a_nat_cannot_be_is_refused_by_name(fra: Gateway) -> None:
    make(fra)
    for member, value in (
        ("natIps", ["x"]),
        ("minPortsPerVm", 64),
        ("udpIdleTimeoutSec", 31),
        ("natIpAllocateOption", "MANUAL_ONLY"),
        ("sourceSubnetworkIpRangesToNat", "LIST_OF_SUBNETWORKS"),
    ):
        message = fra.refuse("PATCH", f"{ROUTERS}/mine", {"nats": [{**NAT, member: value}]})
        assert f"resource.nats[0].{member}" in message
    assert "resource.nats[0].name" in fra.refuse("PATCH", f"{ROUTERS}/mine", {"nats": [{**NAT, "name": ""}]})
    assert "resource.nats" in fra.refuse("PATCH", f"{ROUTERS}/mine", {"nats": [NAT, NAT]})
    assert "resource.bgp" in fra.refuse("PATCH", f"{ROUTERS}/mine", {"bgp": {"asn": 64512}})
    assert "resource.network" in fra.refuse("PATCH", f"{ROUTERS}/mine", {"network": "global/networks/default"})


def test_a_network_has_one_router_in_a_region_and_stays_as_long(fra: Gateway) -> None:
    make(fra)
    body = {"name": "other", "network": "global/networks/net"}
    assert "'mine'" in fra.refuse("POST", ROUTERS, body)
    fra.refuse("POST", ROUTERS, {**body, "name": "mine"}, status=409)
    fra.refuse("POST", ROUTERS, {**body, "network": "global/networks/none"}, status=404)
    fra.run("DELETE", f"{PIECES}/sub")
    assert fra.get(f"{ROUTERS}/mine/getRouterStatus")["result"]["network"].endswith("/net")
    assert "routers/mine" in fra.refuse("DELETE", "global/networks/net")
    fra.run("DELETE", f"{ROUTERS}/mine")
    fra.run("DELETE", "global/networks/net")


def test_a_router_that_nobody_made_stays_as_it_is(fra: Gateway) -> None:
    for verb in ("PATCH", "DELETE"):
        assert "CloudStack keeps" in fra.refuse(verb, f"{ROUTERS}/sub-router", {} if verb == "PATCH" else None)


def test_status_and_mappings_show_the_address_that_cloudstack_chose(fra: Gateway) -> None:
    make(fra, nats=[NAT])
    disk = {"boot": True, "initializeParams": {"sourceImage": DEBIAN}}
    for name, configs in (("inner", []), ("outer", [{"name": "nat"}])):
        nic = {"subnetwork": f"{PIECES}/sub", "accessConfigs": configs}
        body = {"name": name, "machineType": "tiny", "disks": [disk], "networkInterfaces": [nic]}
        fra.run("POST", INSTANCES, body)
    (row,) = fra.cloudstack("listPublicIpAddresses", issourcenat="true")
    status = fra.get(f"{ROUTERS}/mine/getRouterStatus")["result"]["natStatus"]
    assert [(nat["name"], nat["autoAllocatedNatIps"]) for nat in status] == [("nat1", [row["ipaddress"]])]
    (mapping,) = fra.get(f"{ROUTERS}/mine/getNatMappingInfo")["result"]
    address = fra.get(f"{INSTANCES}/inner")["networkInterfaces"][0]["networkIP"]
    assert mapping["instanceName"] == "inner"
    assert mapping["interfaceNatMappings"] == [
        {"sourceVirtualIp": address, "natIpPortRanges": [f"{row['ipaddress']}:1024-65535"]}
    ]
    assert "result" not in fra.get(f"{ROUTERS}/mine/getNatMappingInfo", natName="other")
    used = {"natIp": row["ipaddress"], "mode": "AUTO", "usage": "IN_USE"}
    info = [{"natName": "nat1", "natIpInfoMappings": [used]}]
    assert fra.get(f"{ROUTERS}/mine/getNatIpInfo") == fra.get(f"{ROUTERS}/mine/getNatIpInfo", natName="nat1")
    assert fra.get(f"{ROUTERS}/mine/getNatIpInfo")["result"] == info
    assert fra.get(f"{ROUTERS}/mine/getNatIpInfo", natName="other") == {}
    fra.run("DELETE", f"{INSTANCES}/inner")
    info[0]["natIpInfoMappings"] = [{**used, "usage": "UNUSED"}]
    assert fra.get(f"{ROUTERS}/mine/getNatIpInfo")["result"] == info


def test_a_preview_is_what_insert_or_update_would_make_and_makes_nothing(fra: Gateway) -> None:
    body = {"network": "global/networks/net", "nats": [NAT]}
    shown = fra.call("POST", f"{ROUTERS}/mine/preview", body)["resource"]
    assert (shown["name"], shown["nats"]) == ("mine", [NAT])
    assert "resource.name" in fra.refuse("POST", f"{ROUTERS}/mine/preview", {**body, "name": "other"})
    fra.refuse("POST", f"{ROUTERS}/sub-router/preview", body, status=409)
    assert fra.names(ROUTERS) == ["sub-router"]
    router = make(fra, description="d", nats=[NAT])
    assert fra.call("POST", f"{ROUTERS}/mine/preview", {"description": "e"})["resource"] == {
        **{key: value for key, value in router.items() if key != "nats"},
        "description": "e",
    }
    assert "resource.bgp" in fra.refuse("POST", f"{ROUTERS}/mine/preview", {"bgp": {"asn": 64512}})
    assert fra.get(f"{ROUTERS}/mine") == router


def test_a_vpc_has_one_router_for_all_of_its_subnetworks(fra: Gateway) -> None:
    choice = {"resourceManagerTags": {"gstack-network-model": "vpc"}}
    fra.run("POST", "global/networks", {"name": "vpc", "autoCreateSubnetworks": False, "params": choice})
    for name, cidr in (("one", "10.1.0.0/24"), ("two", "10.2.0.0/24")):
        fra.run("POST", PIECES, {"name": name, "network": "global/networks/vpc", "ipCidrRange": cidr})
    assert fra.names(ROUTERS) == ["sub-router", "vpc-router"]
    (row,) = [row for row in fra.cloudstack("listPublicIpAddresses") if row.get("vpcname") == "vpc"]
    status = fra.get(f"{ROUTERS}/vpc-router/getRouterStatus")["result"]["natStatus"]
    assert status[0]["autoAllocatedNatIps"] == [row["ipaddress"]]
