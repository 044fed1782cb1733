"""networks: CloudStack's shared networks as the one network default."""

from __future__ import annotations

from typing import Any

from gstack.translate.networks import auto_plan, networks
from gstack.translate.places import places
from tests.conftest import Gateway


def test_the_network_of_a_basic_zone_is_default(gateway: Gateway) -> None:
    network = gateway.get("global/networks/default")
    assert network["name"] == "default"
    assert network["autoCreateSubnetworks"] is True
    assert network["routingConfig"] == {"routingMode": "REGIONAL"}
    assert (
        "https://gateway.test/compute/v1/projects/tenant/regions/ch-gva/subnetworks/default" in network["subnetworks"]
    )
    assert "peerings" not in network


def test_a_network_is_found_by_its_number(gateway: Gateway) -> None:
    network = gateway.get("global/networks/default")
    assert gateway.get(f"global/networks/{network['id']}") == network


def test_networks_are_listed_for_one_call(gateway: Gateway) -> None:
    assert gateway.names("global/networks") == ["default"]
    gateway.get("global/networks/default")
    assert gateway.upstream == ["listNetworks"]


def test_an_unknown_network_is_not_found(gateway: Gateway) -> None:
    message = gateway.refuse("GET", "global/networks/nowhere", status=404)
    assert message == "The resource 'projects/tenant/global/networks/nowhere' was not found"


def test_what_cannot_be_made_is_refused_by_name(gateway: Gateway) -> None:
    assert "autoCreateSubnetworks" in gateway.refuse("POST", "global/networks", {"name": "mine"})
    peering = gateway.refuse("POST", "global/networks/default/addPeering", {"name": "mine"}, status=501)
    assert "connect networks" in peering
    assert "operator" in gateway.refuse("DELETE", "global/networks/default")


ZONES = [{"id": f"z{n}", "name": f"ch-gva-{n}", "allocationstate": "Enabled"} for n in (1, 2)]


def _row(number: int, **members: Any) -> dict[str, Any]:
    return {
        "id": f"n{number}",
        "zoneid": f"z{number}",
        "type": "Shared",
        "service": [{"name": "SecurityGroup"}],
        "created": f"2026-01-0{number}T00:00:00+0000",
    } | members


def test_the_second_network_of_a_region_is_called_after_its_zone() -> None:
    found = networks([_row(2), _row(1)], places(ZONES)).get("default")
    assert found is not None
    assert [(piece.name, piece.id) for piece in found.subnetworks] == [("default", "n1"), ("default-ch-gva-2", "n2")]
    assert found.oldest.id == "n1"
    assert found.in_region("ch-gva") == found.subnetworks[0]
    assert found.in_zone("z2") == found.subnetworks[1]


def test_networks_without_security_groups_have_their_own_names() -> None:
    rows = [_row(1, type="Isolated", name="Mine", cidr="10.0.0.0/24"), _row(2, service=[], name="default")]
    found = networks(rows, places(ZONES))
    assert [network.name for network in found] == ["default", "default-n2-2", "mine"]
    default = found.get("default")
    assert default is not None
    assert default.subnetworks == ()


def test_tiers_are_the_subnetworks_of_their_vpc() -> None:
    tier = {"type": "Isolated", "cidr": "10.0.0.0/24", "vpcid": "v", "vpcname": "My VPC"}
    rows = [_row(1, name="front", **tier), _row(2, name="back", **tier)]
    found = networks(rows, places(ZONES)).get("my-vpc")
    assert found is not None
    assert [piece.name for piece in found.subnetworks] == ["back", "front"]
    assert not found.owned


def test_ranges_of_an_auto_network_do_not_overlap() -> None:
    zones = places([zone | {"networktype": "Advanced"} for zone in ZONES])
    rows = [_row(1, type="Isolated", name="x", cidr="10.128.0.0/22", tags=[{"key": "gstack:network", "value": "n"}])]
    known = networks(rows, zones, [{"name": "n", "mode": "auto", "number": "7"}])
    network = known.get("n")
    assert network is not None
    assert network.number == 7
    assert auto_plan(known, network, zones.all[1])["cidr"] == "10.128.16.0/22"
