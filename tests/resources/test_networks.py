"""networks: CloudStack's shared networks as the one network default."""

from __future__ import annotations

from typing import Any

from gstack.translate.networks import networks
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


def test_networks_are_listed_and_cached(gateway: Gateway) -> None:
    assert gateway.names("global/networks") == ["default"]
    gateway.get("global/networks/default")
    assert gateway.upstream == []


def test_an_unknown_network_is_not_found(gateway: Gateway) -> None:
    message = gateway.refuse("GET", "global/networks/nowhere", status=404)
    assert message == "The resource 'projects/tenant/global/networks/nowhere' was not found"


def test_what_is_not_served_says_so(gateway: Gateway) -> None:
    gateway.refuse("POST", "global/networks", {"name": "mine", "autoCreateSubnetworks": True}, status=501)


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


def test_networks_without_security_groups_are_no_part_of_default() -> None:
    assert list(networks([_row(1, type="Isolated"), _row(2, service=[])], places(ZONES))) == []
