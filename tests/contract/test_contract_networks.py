"""Isolated networks: how they are made and come to life, and what may leave them. See gstack.firewall.isolated."""

from __future__ import annotations

import pytest

from gstack.cloudstack.errors import CloudStackError


@pytest.fixture
def network(cloud):
    return cloud.network()


def _egress(cloud, network, run=None, **params):
    return (run or cloud.made_id)("createEgressFirewallRule", networkid=network["id"], **params)


def _row(cloud, network):
    return cloud.one("listNetworks", id=network["id"])


def test_a_network_is_made_at_once_and_lives_only_with_its_first_machine(cloud, network):
    row = _row(cloud, network)
    assert (row["type"], row["state"], row["name"]) == ("Isolated", "Allocated", network["name"])
    assert (row["account"], row["zoneid"], row["egressdefaultpolicy"]) == (
        network["account"],
        cloud.routed["id"],
        False,
    )
    assert cloud.list("listPublicIpAddresses", associatednetworkid=network["id"]) == []


def test_gateway_and_netmask_are_kept_as_a_range(cloud):
    row = cloud.network(gateway="10.91.4.1", netmask="255.255.254.0")
    assert (row["cidr"], row["gateway"], row["netmask"]) == ("10.91.4.0/23", "10.91.4.1", "255.255.254.0")


def test_networks_of_one_name_and_one_range_live_side_by_side(cloud):
    one = cloud.network(gateway="10.91.4.1", netmask="255.255.255.0")
    two = cloud.network(gateway="10.91.4.1", netmask="255.255.255.0", name=one["name"])
    assert {row["id"] for row in cloud.list("listNetworks", name=one["name"])} == {one["id"], two["id"]}


@pytest.mark.parametrize(
    ("gateway", "netmask"),
    [("8.8.8.1", "255.255.255.0"), ("10.91.4.1", "255.0.0.0"), ("10.91.4.0", "255.255.255.0")],
    ids=["public", "too large", "its own address"],
)
def test_a_range_that_cannot_be_is_refused_at_once(cloud, gateway, netmask):
    asked = {"zoneid": cloud.routed["id"], "networkofferingid": cloud.closed_offering["id"], "name": cloud.name("net")}
    assert cloud.refused("createNetwork", gateway=gateway, netmask=netmask, **asked).code == 431
    assert cloud.list("listNetworks", name=asked["name"]) == []


def test_with_a_machine_comes_an_address_for_source_nat_that_stays(cloud, alive):
    assert _row(cloud, alive)["state"] == "Implemented"
    [row] = cloud.list("listPublicIpAddresses", associatednetworkid=alive["id"], issourcenat=True)
    assert (row["state"], row["isstaticnat"]) == ("Allocated", False)
    assert cloud.failed("disassociateIpAddress", id=row["id"]).code in (430, 431, 530)


def test_a_machines_nic_names_its_network_and_an_address_in_it(cloud, alive):
    [nic] = cloud.one("listVirtualMachines", id=alive["machine"]["id"])["nic"]
    assert (nic["networkid"], nic["type"], nic["isdefault"]) == (alive["id"], "Isolated", True)
    assert nic["ipaddress"].startswith(alive["cidr"].rsplit(".", 1)[0])
    assert "publicip" not in nic


def test_a_network_with_a_machine_is_not_deleted(cloud, alive):
    assert cloud.failed("deleteNetwork", id=alive["id"]).code == 530
    assert _row(cloud, alive)["id"] == alive["id"]


def test_a_deleted_network_is_gone_from_lists(cloud, network):
    cloud.run("deleteNetwork", id=network["id"])
    assert cloud.list("listNetworks", name=network["name"]) == []


def test_a_network_gets_another_text_and_name(cloud, network):
    changed = cloud.run("updateNetwork", id=network["id"], displaytext="what it is for", name=f"{network['name']}b")
    assert changed["displaytext"] == "what it is for"
    assert _row(cloud, network)["name"] == f"{network['name']}b"


def test_a_foreign_network_is_neither_seen_nor_touched(cloud, stranger, network):
    assert stranger.list("listNetworks", id=network["id"]) == []
    assert stranger.refused("deleteNetwork", id=network["id"]).code == 531
    assert stranger.refused("createEgressFirewallRule", networkid=network["id"], protocol="all").code == 531
    with pytest.raises(CloudStackError) as refused:
        stranger.neighbour(network)
    assert refused.value.code == 531
    assert _row(cloud, network)["id"] == network["id"]


def test_an_egress_rule_says_whence_whither_and_which_ports(cloud, network):
    cidr, there = network["cidr"], "198.51.100.0/24"
    key = _egress(cloud, network, protocol="tcp", startport=80, endport=90, cidrlist=[cidr], destcidrlist=[there])
    row = cloud.one("listEgressFirewallRules", id=key)
    assert (row["protocol"], row["startport"], row["endport"], row["state"]) == ("tcp", 80, 90, "Active")
    assert (row["cidrlist"], row["destcidrlist"], row["networkid"]) == (cidr, there, network["id"])
    assert "ipaddressid" not in row
    cloud.run("deleteEgressFirewallRule", id=key)
    assert cloud.list("listEgressFirewallRules", networkid=network["id"]) == []


def test_an_egress_rule_that_leaves_everything_open_means_the_whole_network(cloud, network):
    row = cloud.one("listEgressFirewallRules", id=_egress(cloud, network, protocol="all"))
    assert (row["protocol"], row["cidrlist"], row["destcidrlist"]) == ("all", network["cidr"], "")
    assert "startport" not in row


def test_egress_of_icmp_is_of_all_types_unless_said(cloud, network):
    one = cloud.one("listEgressFirewallRules", id=_egress(cloud, network, protocol="icmp"))
    assert (one["icmptype"], one["icmpcode"]) == (-1, -1)


def test_the_same_egress_rule_is_a_conflict_and_another_destination_is_none(cloud, network):
    asked = {"protocol": "tcp", "startport": 80, "endport": 80}
    _egress(cloud, network, **asked, destcidrlist=["192.0.2.0/24"])
    assert _egress(cloud, network, run=cloud.refused, **asked, destcidrlist=["192.0.2.0/24"]).code == 537
    _egress(cloud, network, **asked, destcidrlist=["198.51.100.0/24"])
    assert len(cloud.list("listEgressFirewallRules", networkid=network["id"])) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"protocol": "tcp", "startport": 1, "endport": 2, "cidrlist": ["192.0.2.0/24"]},
        {"protocol": "50"},
        {"protocol": "tcp", "startport": 90, "endport": 80},
        {"protocol": "icmp", "startport": 1, "endport": 1},
        {"protocol": "all", "destcidrlist": ["nowhere"]},
    ],
    ids=["outside", "a number", "reversed", "icmp with ports", "no range"],
)
def test_an_egress_rule_that_makes_no_sense_is_refused_at_once(cloud, network, wrong):
    assert _egress(cloud, network, run=cloud.refused, **wrong).code == 431
    assert cloud.list("listEgressFirewallRules", networkid=network["id"]) == []


def test_networks_and_egress_rules_are_tagged(cloud, network):
    rule = _egress(cloud, network, protocol="all")
    for kind, command, key in (
        ("Network", "listNetworks", network["id"]),
        ("FirewallRule", "listEgressFirewallRules", rule),
    ):
        tag = {"key": "env", "value": cloud.name("tag")}
        cloud.run("createTags", resourceids=[key], resourcetype=kind, tags=[tag])
        assert {row["key"]: row["value"] for row in cloud.one(command, id=key)["tags"]} == {"env": tag["value"]}
        assert [row["id"] for row in cloud.list(command, tags=[tag])] == [key]


def test_a_stopped_machine_gets_another_address_and_a_destroyed_one_keeps_its_own(cloud, network):
    machine = cloud.neighbour(network, startvm=False)
    [nic] = cloud.one("listVirtualMachines", id=machine["id"])["nic"]
    base = network["cidr"].rsplit(".", 1)[0]
    here, there = f"{base}.51", f"{base}.52"
    cloud.run("updateVmNicIp", nicid=nic["id"], ipaddress=here)
    assert cloud.one("listVirtualMachines", id=machine["id"])["nic"][0]["ipaddress"] == here
    for wrong in (here, network["gateway"], f"{base}.255", f"{base}.0", "10.92.0.9"):
        assert cloud.failed("updateVmNicIp", nicid=nic["id"], ipaddress=wrong).code == 431
    assert cloud.failed("updateVmNicIp", nicid=nic["id"], ipaddress="nowhere").code == 530
    cloud.run("destroyVirtualMachine", id=machine["id"])
    assert cloud.failed("updateVmNicIp", nicid=nic["id"], ipaddress=there).code == 431
    asked = {"networkids": [network["id"]], "startvm": False, "zoneid": network["zoneid"]}
    asked |= {"templateid": machine["templateid"], "serviceofferingid": machine["serviceofferingid"]}
    assert cloud.refused("deployVirtualMachine", **asked, name=cloud.name("vm"), ipaddress=here).code == 530
