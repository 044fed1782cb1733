"""Networks, subnetworks and addresses of a zone with isolated networks, and the instances in them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, tzinfo
from threading import Barrier
from typing import Any, Self

import pytest

from gstack.protocol.methods import HANDLERS
from gstack.resources import load_handlers
from gstack.translate import kept
from tests.conftest import Gateway

DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
INSTANCES = "zones/de-fra-1/instances"
PIECES = "regions/de-fra/subnetworks"
ADDRESSES = "regions/de-fra/addresses"


@pytest.fixture
def fra(gateway: Gateway) -> Gateway:
    """The gateway, whose zone is the one with isolated networks."""
    gateway.zone = "de-fra-1"
    return gateway


def instance(name: str = "web", **interface: Any) -> dict[str, Any]:
    """What a client sends for an instance."""
    return {
        "name": name,
        "machineType": "tiny",
        "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN}}],
        "networkInterfaces": [interface],
    }


def make_network(gateway: Gateway, name: str = "net", cidr: str = "10.1.0.0/24") -> None:
    """A custom network ``name`` with the subnetwork ``name-fra``."""
    gateway.run("POST", "global/networks", {"name": name, "autoCreateSubnetworks": False})
    body = {"name": f"{name}-fra", "network": f"global/networks/{name}", "ipCidrRange": cidr}
    gateway.run("POST", PIECES, body)


NAT = [{"type": "ONE_TO_ONE_NAT", "name": "External NAT"}]


def test_a_custom_network_is_there_before_it_has_a_subnetwork(fra: Gateway) -> None:
    operation = fra.run("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False, "description": "d"})
    network = fra.get("global/networks/net")
    assert (network["name"], network["autoCreateSubnetworks"], network["description"]) == ("net", False, "d")
    assert "subnetworks" not in network
    assert operation["targetId"] == network["id"]
    assert fra.names("global/networks") == ["default", "net"]


def test_a_subnetwork_is_an_isolated_network_whose_egress_is_open(fra: Gateway) -> None:
    make_network(fra)
    piece = fra.get(f"{PIECES}/net-fra")
    assert (piece["ipCidrRange"], piece["gatewayAddress"]) == ("10.1.0.0/24", "10.1.0.1")
    assert fra.get("global/networks/net")["subnetworks"] == [piece["selfLink"]]
    (row,) = fra.cloudstack("listNetworks", type="Isolated")
    assert (row["name"], row["cidr"]) == ("net-fra", "10.1.0.0/24")
    (rule,) = fra.cloudstack("listEgressFirewallRules", networkid=row["id"])
    assert (rule["protocol"], rule["cidrlist"], rule["destcidrlist"]) == ("all", "10.1.0.0/24", "0.0.0.0/0")


class LongAgo(datetime):
    """The clock of who makes a network a year before its subnetworks."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) - timedelta(days=365)


@pytest.mark.parametrize("model", ["isolated", "vpc"])
def test_a_lost_database_loses_no_network_that_has_a_subnetwork(
    fra: Gateway, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    params = {"resourceManagerTags": {"gstack-network-model": model}}
    with monkeypatch.context() as before:
        before.setattr("gstack.translate.times.datetime", LongAgo)
        fra.run("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False, "params": params})
    body = {"name": "net-fra", "network": "global/networks/net", "ipCidrRange": "10.1.0.0/24"}
    fra.run("POST", PIECES, body)
    network, piece = fra.get("global/networks/net"), fra.get(f"{PIECES}/net-fra")
    assert network["creationTimestamp"] < piece["creationTimestamp"]
    fra.forget_everything()
    found = fra.get("global/networks/net")
    members = ("id", "name", "autoCreateSubnetworks", "subnetworks", "creationTimestamp")
    assert [found[member] for member in members] == [network[member] for member in members]


def test_an_instance_with_an_access_config_has_an_ephemeral_address(fra: Gateway) -> None:
    make_network(fra)
    fra.run("POST", INSTANCES, instance(subnetwork=f"{PIECES}/net-fra", accessConfigs=NAT))
    (nic,) = fra.get(f"{INSTANCES}/web")["networkInterfaces"]
    (row,) = fra.cloudstack("listPublicIpAddresses", isstaticnat="true")
    assert nic["accessConfigs"][0]["natIP"] == row["ipaddress"]
    assert nic["networkIP"].startswith("10.1.0.")
    assert nic["network"].endswith("/global/networks/net")
    assert nic["subnetwork"].endswith(f"/{PIECES}/net-fra")
    assert fra.names(ADDRESSES) == []
    assert fra.cloudstack("listVirtualMachines")[0]["displayname"] == "web"
    fra.run("DELETE", f"{INSTANCES}/web")
    assert fra.cloudstack("listPublicIpAddresses", isstaticnat="true") == []
    assert [row["issourcenat"] for row in fra.cloudstack("listPublicIpAddresses")] == [True]


def test_an_instance_without_an_access_config_has_no_external_address(fra: Gateway) -> None:
    make_network(fra)
    fra.run("POST", INSTANCES, instance(network="global/networks/net", networkIP="10.1.0.77"))
    (nic,) = fra.get(f"{INSTANCES}/web")["networkInterfaces"]
    assert nic["networkIP"] == "10.1.0.77"
    assert "accessConfigs" not in nic
    assert fra.cloudstack("listPublicIpAddresses", isstaticnat="true") == []


def test_the_default_network_makes_its_piece_when_it_is_first_used(fra: Gateway) -> None:
    assert fra.names(PIECES) == []
    fra.run("POST", INSTANCES, instance("one", accessConfigs=NAT))
    fra.run("POST", INSTANCES, instance("two"))
    assert fra.names(PIECES) == ["default"]
    (piece,) = fra.get(PIECES)["items"]
    assert piece["ipCidrRange"] == "10.128.0.0/22"
    assert len(fra.cloudstack("listNetworks", type="Isolated")) == 1


def test_a_reserved_address_is_used_by_an_instance_and_outlives_it(fra: Gateway) -> None:
    make_network(fra)
    operation = fra.run("POST", ADDRESSES, {"name": "front", "labels": {"a": "b"}, "description": "d"})
    address = fra.get(f"{ADDRESSES}/front")
    assert operation["targetId"] == address["id"]
    assert (address["status"], address["labels"], address["description"]) == ("RESERVED", {"a": "b"}, "d")
    config = [{"natIP": address["address"]}]
    fra.run("POST", INSTANCES, instance(subnetwork=f"{PIECES}/net-fra", accessConfigs=config))
    link = fra.get(f"{INSTANCES}/web")["selfLink"]
    used = fra.get(f"{ADDRESSES}/front")
    assert (used["status"], used["users"]) == ("IN_USE", [link])
    assert "already being used" in fra.refuse("DELETE", f"{ADDRESSES}/front")
    fra.run("DELETE", f"{INSTANCES}/web")
    assert fra.get(f"{ADDRESSES}/front") == address
    fra.run("DELETE", f"{ADDRESSES}/front")
    assert fra.names(ADDRESSES) == []


def test_a_reserved_address_moves_to_the_network_of_its_instance(fra: Gateway) -> None:
    fra.run("POST", ADDRESSES, {"name": "front", "labels": {"a": "b"}})
    address = fra.get(f"{ADDRESSES}/front")
    make_network(fra)
    config = [{"natIP": address["address"]}]
    fra.run("POST", INSTANCES, instance(subnetwork=f"{PIECES}/net-fra", accessConfigs=config))
    (nic,) = fra.get(f"{INSTANCES}/web")["networkInterfaces"]
    assert nic["accessConfigs"][0]["natIP"] == address["address"]
    assert fra.get(f"{ADDRESSES}/front")["labels"] == {"a": "b"}


def test_labels_of_an_address_change_with_the_right_fingerprint_only(fra: Gateway) -> None:
    fra.run("POST", ADDRESSES, {"name": "front", "labels": {"a": "b"}})
    stamp = fra.get(f"{ADDRESSES}/front")["labelFingerprint"]
    path = f"{ADDRESSES}/front/setLabels"
    fra.run("POST", path, {"labels": {"a": "c"}, "labelFingerprint": stamp})
    assert fra.get(f"{ADDRESSES}/front")["labels"] == {"a": "c"}
    fra.refuse("POST", path, {"labels": {}, "labelFingerprint": stamp}, status=412)


def test_of_two_label_changes_of_one_fingerprint_at_once_one_is_made(fra: Gateway) -> None:
    fra.run("POST", ADDRESSES, {"name": "front"})
    stamp = fra.get(f"{ADDRESSES}/front")["labelFingerprint"].replace("-", "+").replace("_", "/").rstrip("=")
    fra.simulator.faults.add("slow", "createTags", seconds=0.5)

    def change(value: str) -> int:
        mine = fra.as_user("tenant")
        body = {"labels": {"a": value}, "labelFingerprint": stamp}
        answer = mine.call("POST", f"{ADDRESSES}/front/setLabels", body, status=None)
        return int(answer.get("httpErrorStatusCode", mine.status))

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(change, "bc")) == [200, 412]


def test_lists_of_addresses_agree(fra: Gateway) -> None:
    fra.run("POST", ADDRESSES, {"name": "front"})
    address = fra.get(f"{ADDRESSES}/front")
    assert fra.get(ADDRESSES)["items"] == [address]
    scopes = fra.get("aggregated/addresses")["items"]
    assert {scope: found for scope, found in scopes.items() if "warning" not in found} == {
        "regions/de-fra": {"addresses": [address]}
    }
    assert fra.names("global/addresses") == []


def test_everything_is_deleted_again(fra: Gateway) -> None:
    make_network(fra)
    fra.run("POST", INSTANCES, instance(subnetwork=f"{PIECES}/net-fra", accessConfigs=NAT))
    assert "already being used by the instance 'web'" in fra.fail("DELETE", f"{PIECES}/net-fra")["message"]
    assert "already being used" in fra.refuse("DELETE", "global/networks/net")
    fra.run("DELETE", f"{INSTANCES}/web")
    fra.run("DELETE", f"{PIECES}/net-fra")
    fra.run("DELETE", "global/networks/net")
    assert fra.names("global/networks") == ["default"]
    assert fra.names(PIECES) == []


def test_networks_without_machines_leave_nothing(fra: Gateway) -> None:
    make_network(fra)
    fra.run("DELETE", f"{PIECES}/net-fra")
    fra.run("DELETE", "global/networks/net")
    assert fra.cloudstack("listNetworks", type="Isolated") == []


def test_what_a_deletion_looks_at_is_among_its_needs() -> None:
    load_handlers()
    for method_id in ("compute.networks.delete", "compute.subnetworks.delete"):
        looks = {"listNetworks", "listVirtualMachines", "listPublicIpAddresses", "deleteNetwork"}
        assert looks <= set(HANDLERS[method_id].needs)


def test_an_auto_network_takes_its_pieces_with_it(fra: Gateway) -> None:
    fra.run("POST", "global/networks", {"name": "wide", "autoCreateSubnetworks": True})
    fra.run("POST", INSTANCES, instance(network="global/networks/wide"))
    assert fra.names(PIECES) == ["wide"]
    fra.run("DELETE", f"{INSTANCES}/web")
    fra.run("DELETE", "global/networks/wide")
    assert fra.names(PIECES) == []


def test_a_network_with_a_firewall_is_in_use(fra: Gateway) -> None:
    make_network(fra)
    allowed = [{"IPProtocol": "tcp", "ports": ["22"]}]
    fra.run("POST", "global/firewalls", {"name": "ssh", "network": "global/networks/net", "allowed": allowed})
    fra.run("DELETE", f"{PIECES}/net-fra")
    assert "/firewalls/ssh" in fra.refuse("DELETE", "global/networks/net")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"ipCidrRange": "10.1.0.0/16"}, "/22 to /29"),
        ({"ipCidrRange": "8.8.8.0/24"}, "private ranges"),
        ({"ipCidrRange": "nonsense"}, "CIDR"),
        ({"name": "Bad"}, "regex"),
        ({"network": "global/networks/nowhere"}, "cannot be found"),
        ({"secondaryIpRanges": [{"rangeName": "a", "ipCidrRange": "10.2.0.0/24"}]}, "one range"),
    ],
)
def test_what_cloudstack_cannot_make_is_refused_by_name(fra: Gateway, members: dict[str, Any], words: str) -> None:
    fra.run("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False})
    body = {"name": "sub", "network": "global/networks/net", "ipCidrRange": "10.1.0.0/24", **members}
    assert words in fra.refuse("POST", PIECES, body)


def test_a_second_subnetwork_in_a_zone_names_the_vpc_model(fra: Gateway) -> None:
    make_network(fra)
    body = {"name": "sub", "network": "global/networks/net", "ipCidrRange": "10.2.0.0/24"}
    assert "VPC" in fra.refuse("POST", PIECES, body)


def test_names_are_taken_once(fra: Gateway) -> None:
    make_network(fra)
    fra.refuse("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False}, status=409)
    body = {"name": "net-fra", "network": "global/networks/default", "ipCidrRange": "10.2.0.0/24"}
    fra.refuse("POST", PIECES, body, status=409)
    fra.run("POST", ADDRESSES, {"name": "front"})
    fra.refuse("POST", ADDRESSES, {"name": "front"}, status=409)


def test_of_equal_networks_at_once_one_is_made(fra: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    looked, store_key = Barrier(4), kept.store_key

    def store_key_after_all_have_looked(*arguments: Any) -> str:
        looked.wait(30)
        return store_key(*arguments)

    monkeypatch.setattr(kept, "store_key", store_key_after_all_have_looked)

    def insert(mode: bool) -> int:
        mine = fra.as_user("tenant")
        mine.call("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": mode}, status=None)
        return mine.status

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(insert, [True, False, True, False])) == [200, 409, 409, 409]


def test_zones_with_security_groups_have_no_networks_of_users(gateway: Gateway) -> None:
    gateway.run("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False})
    body = {"name": "sub", "network": "global/networks/net", "ipCidrRange": "10.1.0.0/24"}
    assert "share the network 'default'" in gateway.refuse("POST", "regions/ch-gva/subnetworks", body)
    assert "external one" in gateway.refuse("POST", "regions/ch-gva/addresses", {"name": "front"})


def test_networks_of_others_are_shown_and_used(fra: Gateway) -> None:
    offerings = fra.cloudstack("listNetworkOfferings", name="DefaultIsolatedNetworkOfferingWithSourceNatService")
    made = {"name": "Theirs", "zoneid": fra.zone_id, "networkofferingid": offerings[0]["id"]}
    fra.cloudstack("createNetwork", **made)
    assert fra.names("global/networks") == ["default", "theirs"]
    assert fra.get(f"{PIECES}/theirs")["ipCidrRange"] == "10.1.1.0/24"
    fra.run("POST", INSTANCES, instance(network="global/networks/theirs", accessConfigs=NAT))
    assert "natIP" in fra.get(f"{INSTANCES}/web")["networkInterfaces"][0]["accessConfigs"][0]
    assert "belongs to" in fra.refuse("DELETE", f"{PIECES}/theirs")


def test_what_is_usable_is_listed(fra: Gateway) -> None:
    make_network(fra)
    links = [item["subnetwork"] for item in fra.get("aggregated/subnetworks/listUsable")["items"]]
    assert any(link.endswith(f"{PIECES}/net-fra") for link in links)


def test_a_network_has_a_route_to_everywhere_and_one_to_each_subnetwork(fra: Gateway) -> None:
    make_network(fra)
    found = [route for route in fra.get("global/routes")["items"] if route["network"].endswith("/net")]
    assert sorted(route["destRange"] for route in found) == ["0.0.0.0/0", "10.1.0.0/24"]
    for route in found:
        assert fra.get(f"global/routes/{route['name']}") == route
    assert "virtual routers" in fra.refuse("DELETE", f"global/routes/{found[0]['name']}")
    body = {"name": "mine", "network": "global/networks/net", "destRange": "172.16.0.0/16", "nextHopIp": "10.1.0.9"}
    assert "isolated networks" in fra.refuse("POST", "global/routes", {**body, "priority": 1000})


def test_the_source_nat_of_a_subnetwork_is_a_cloud_nat(fra: Gateway) -> None:
    make_network(fra)
    fra.run("POST", INSTANCES, instance(subnetwork=f"{PIECES}/net-fra"))
    (router,) = fra.get("regions/de-fra/routers")["items"]
    assert fra.get(f"regions/de-fra/routers/{router['name']}") == router
    assert fra.get("aggregated/routers")["items"]["regions/de-fra"] == {"routers": [router]}
    (row,) = fra.cloudstack("listPublicIpAddresses")
    status = fra.get(f"regions/de-fra/routers/{router['name']}/getRouterStatus")["result"]
    assert status["natStatus"][0]["autoAllocatedNatIps"] == [row["ipaddress"]]


def test_an_access_config_comes_and_goes(fra: Gateway) -> None:
    make_network(fra)
    allowed = [{"IPProtocol": "icmp"}]
    fra.run("POST", "global/firewalls", {"name": "ping", "network": "global/networks/net", "allowed": allowed})
    fra.run("POST", INSTANCES, instance(subnetwork=f"{PIECES}/net-fra"))
    config = {"name": "mine", "type": "ONE_TO_ONE_NAT"}
    fra.run("POST", f"{INSTANCES}/web/addAccessConfig", config, networkInterface="nic0")
    (nic,) = fra.get(f"{INSTANCES}/web")["networkInterfaces"]
    assert nic["accessConfigs"][0]["name"] == "mine"
    assert "natIP" in nic["accessConfigs"][0]
    assert [rule["protocol"] for rule in fra.cloudstack("listFirewallRules")] == ["icmp"]
    assert "At most one" in fra.refuse("POST", f"{INSTANCES}/web/addAccessConfig", config, networkInterface="nic0")
    path, query = f"{INSTANCES}/web/deleteAccessConfig", {"networkInterface": "nic0", "accessConfig": "mine"}
    fra.run("POST", path, **query)
    (nic,) = fra.get(f"{INSTANCES}/web")["networkInterfaces"]
    assert "accessConfigs" not in nic
    assert fra.cloudstack("listFirewallRules") == []
    assert fra.cloudstack("listPublicIpAddresses", issourcenat="false") == []
    assert "no such access config" in fra.refuse("POST", path, **query)


def test_a_reserved_address_is_given_to_a_running_instance(fra: Gateway) -> None:
    make_network(fra)
    fra.run("POST", ADDRESSES, {"name": "front"})
    address = fra.get(f"{ADDRESSES}/front")
    fra.run("POST", INSTANCES, instance(subnetwork=f"{PIECES}/net-fra"))
    config = {"natIP": address["address"]}
    fra.run("POST", f"{INSTANCES}/web/addAccessConfig", config, networkInterface="nic0")
    assert fra.get(f"{ADDRESSES}/front")["status"] == "IN_USE"
    query = {"networkInterface": "nic0", "accessConfig": "External NAT"}
    fra.run("POST", f"{INSTANCES}/web/deleteAccessConfig", **query)
    assert fra.get(f"{ADDRESSES}/front") == address


def test_access_configs_of_zones_with_groups_cannot_change(gateway: Gateway) -> None:
    gateway.deploy("theirs")
    path = "zones/{zone}/instances/theirs/addAccessConfig"
    assert "isolated networks" in gateway.refuse("POST", path, {}, networkInterface="nic0")


def test_what_was_made_since_the_last_look_is_found_by_who_names_it(fra: Gateway) -> None:
    fra.names("global/networks")  # which is remembered for a while, by each web worker for itself
    fra.run("POST", "global/networks", {"name": "mine", "autoCreateSubnetworks": False})
    (offering,) = fra.cloudstack("listNetworkOfferings", name="DefaultIsolatedNetworkOfferingWithSourceNatService")
    place = {"zoneid": fra.zone_id, "networkofferingid": offering["id"]}
    fra.cloudstack("createNetwork", name="theirs", displaytext="d", **place)
    allowed = [{"IPProtocol": "icmp"}]
    for name in ("mine", "theirs"):
        fra.run("POST", "global/firewalls", {"name": name, "network": f"global/networks/{name}", "allowed": allowed})
    disk = {"boot": True, "initializeParams": {"sourceImage": DEBIAN}}
    nic = {"network": "global/networks/theirs"}
    fra.run("POST", INSTANCES, {"name": "w", "machineType": "tiny", "disks": [disk], "networkInterfaces": [nic]})
    missing = {"name": "none", "network": "global/networks/none", "allowed": allowed}
    assert "networks/none" in fra.refuse("POST", "global/firewalls", missing, status=404)
