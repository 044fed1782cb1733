"""Routes: static routes of VPCs are made, shown and deleted; the rest is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Gateway

PIECES = "regions/de-fra/subnetworks"
ROUTES = "global/routes"
BODY = {
    "name": "far",
    "network": "global/networks/net",
    "destRange": "172.16.0.0/16",
    "nextHopIp": "10.1.0.9",
    "priority": 1000,
}


@pytest.fixture
def fra(gateway: Gateway) -> Gateway:
    """The gateway, with a network of the VPC model."""
    gateway.zone = "de-fra-1"
    choice = {"resourceManagerTags": {"gstack-network-model": "vpc"}}
    gateway.run("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False, "params": choice})
    gateway.run("POST", PIECES, {"name": "sub", "network": "global/networks/net", "ipCidrRange": "10.1.0.0/24"})
    return gateway


def static(gateway: Gateway) -> list[dict[str, Any]]:
    return [dict(row) for row in gateway.cloudstack("listStaticRoutes")]


def test_a_route_is_a_static_route_of_the_vpc(fra: Gateway) -> None:
    made = fra.run("POST", ROUTES, {**BODY, "description": "d"})
    route = fra.get(f"{ROUTES}/far")
    assert made["targetId"] == route["id"]
    assert {member: route[member] for member in ("destRange", "nextHopIp", "priority", "description")} == {
        "destRange": "172.16.0.0/16",
        "nextHopIp": "10.1.0.9",
        "priority": 1000,
        "description": "d",
    }
    assert "nextHopGateway" not in route
    assert [(row["cidr"], row["nexthop"]) for row in static(fra)] == [("172.16.0.0/16", "10.1.0.9")]
    assert "far" in fra.names(ROUTES)
    fra.refuse("POST", ROUTES, BODY, status=409)
    fra.run("DELETE", f"{ROUTES}/far")
    assert static(fra) == []


def test_routes_of_others_are_shown_and_stay(fra: Gateway) -> None:
    (vpc,) = fra.cloudstack("listVPCs")
    fra.cloudstack("createStaticRoute", vpcid=vpc["id"], cidr="172.20.0.0/16", nexthop="10.1.0.7")
    fra.simulator.settle()
    route = fra.get(f"{ROUTES}/route-172-20-0-0-16")
    assert route["nextHopIp"] == "10.1.0.7"
    assert "other tools" in fra.refuse("DELETE", f"{ROUTES}/{route['name']}")


def test_what_cannot_be_said_is_refused_by_name(fra: Gateway) -> None:
    for member, value in (
        ("priority", 5),
        ("tags", ["web"]),
        ("nextHopIp", "10.9.0.1"),
        ("nextHopIp", "x"),
        ("destRange", "10.5.0.0/16"),
        ("destRange", "172.16.0.1/16"),
        ("nextHopGateway", "global/gateways/default-internet-gateway"),
        ("nextHopInstance", "zones/de-fra-1/instances/web"),
        ("name", "No"),
        ("destRange", ""),
    ):
        assert f"resource.{member}" in fra.refuse("POST", ROUTES, {**BODY, member: value})
    assert static(fra) == []


def test_a_second_route_to_a_range_is_refused_in_cloudstacks_words(fra: Gateway) -> None:
    fra.run("POST", ROUTES, BODY)
    error = fra.fail("POST", ROUTES, {**BODY, "name": "again", "destRange": "172.16.8.0/24"})
    assert "conflicts with existing route" in error["message"]
    assert len(static(fra)) == 1


def test_the_last_subnetwork_stays_as_long_as_a_route_needs_its_vpc(fra: Gateway) -> None:
    fra.run("POST", ROUTES, BODY)
    assert "172.16.0.0/16" in fra.fail("DELETE", f"{PIECES}/sub")["message"]
    fra.run("DELETE", f"{ROUTES}/far")
    fra.run("DELETE", f"{PIECES}/sub")
    assert fra.cloudstack("listVPCs") == []


def test_routes_cost_one_call_and_one_more_where_there_is_a_vpc(fra: Gateway) -> None:
    fra.get(ROUTES)
    assert fra.upstream == ["listNetworks", "listStaticRoutes"]
