"""networks: CloudStack's shared networks as the one network default."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

from gstack.translate.networks import auto_plan, networks
from gstack.translate.places import places
from tests.conftest import Gateway

ROUTING = {"bgpBestPathSelectionMode": "LEGACY"}  # as GCE was recorded to answer


def test_the_network_of_a_basic_zone_is_default(gateway: Gateway) -> None:
    network = gateway.get("global/networks/default")
    assert network["name"] == "default"
    assert network["autoCreateSubnetworks"] is True
    assert network["routingConfig"] == {"routingMode": "REGIONAL", **ROUTING}
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


def test_the_routing_mode_is_remembered(gateway: Gateway) -> None:
    body = {"name": "net", "autoCreateSubnetworks": False, "routingConfig": {"routingMode": "GLOBAL"}}
    gateway.run("POST", "global/networks", body)
    assert gateway.get("global/networks/net")["routingConfig"] == {"routingMode": "GLOBAL", **ROUTING}
    before = {name: gateway.get(f"global/networks/{name}") for name in ("net", "default")}
    for name, mode in (("net", "REGIONAL"), ("default", "GLOBAL")):
        gateway.run("PATCH", f"global/networks/{name}", {"routingConfig": {"routingMode": mode}})
        assert gateway.get(f"global/networks/{name}") == before[name] | {
            "routingConfig": {"routingMode": mode, **ROUTING}
        }


def test_a_patch_may_repeat_what_a_network_is_and_change_nothing_of_it(gateway: Gateway) -> None:
    network = gateway.get("global/networks/default")
    gateway.run("PATCH", "global/networks/default", network)
    assert gateway.get("global/networks/default") == network
    for member, value in (("autoCreateSubnetworks", False), ("description", "x")):
        assert f"resource.{member}" in gateway.refuse("PATCH", "global/networks/default", {member: value})


def test_an_auto_network_becomes_a_custom_one_for_good(gateway: Gateway) -> None:
    gateway.zone = "de-fra-1"
    gateway.run("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": True})
    disk = {"boot": True, "initializeParams": {"sourceImage": "projects/debian-cloud/global/images/family/debian-12"}}
    body = {"machineType": "tiny", "disks": [disk], "networkInterfaces": [{"network": "global/networks/net"}]}
    gateway.run("POST", "zones/{zone}/instances", {"name": "one", **body})
    gateway.run("POST", "global/networks/net/switchToCustomMode")
    assert gateway.get("global/networks/net")["autoCreateSubnetworks"] is False
    gateway.forget_everything()
    assert gateway.get("global/networks/net")["autoCreateSubnetworks"] is False
    assert "custom subnet mode" in gateway.refuse("POST", "global/networks/net/switchToCustomMode")


def test_a_subnetwork_stays_as_it_is(gateway: Gateway) -> None:
    path = "regions/ch-gva/subnetworks/default"
    piece = gateway.get(path)
    gateway.run("PATCH", path, piece)
    gateway.run("POST", f"{path}/setPrivateIpGoogleAccess", {"privateIpGoogleAccess": False})
    assert gateway.get(path) == piece
    stamp = {"fingerprint": piece["fingerprint"]}
    assert "Google services" in gateway.refuse("PATCH", path, {**stamp, "privateIpGoogleAccess": True})
    assert "ipCidrRange" in gateway.refuse("PATCH", path, {**stamp, "ipCidrRange": "10.0.0.0/24"})
    assert "one range" in gateway.refuse("PATCH", path, {**stamp, "secondaryIpRanges": [{"rangeName": "pods"}]})
    assert "fingerprint" in gateway.refuse("PATCH", path, {"privateIpGoogleAccess": False}, status=412)
    assert "range" in gateway.refuse("POST", f"{path}/expandIpCidrRange", {"ipCidrRange": "10.0.0.0/8"}, status=501)


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
    caller = Mock(settings={"NETWORK_MODEL": "isolated", "VPC_RANGE": ""})
    assert auto_plan(caller, known, network, zones.all[1])["cidr"] == "10.128.16.0/22"
