"""Public addresses of isolated networks and what hangs on them: static NAT, firewall, forwarding, balancing."""

from __future__ import annotations

import pytest

from gstack.cloudstack.errors import CloudStackError

HERE, THERE = "192.0.2.0/24", "198.51.100.0/24"


@pytest.fixture
def machine(alive):
    return alive["machine"]


@pytest.fixture
def address(cloud, alive):
    """An address of the network that is not for source NAT; it goes with all its rules."""
    return cloud.address(networkid=alive["id"])


def _rule(cloud, address, run=None, **params):
    chosen = {"protocol": "tcp", "startport": 80, "endport": 80, "ipaddressid": address["id"]}
    if params.get("protocol", "tcp") not in ("tcp", "udp"):
        chosen = {"ipaddressid": address["id"]}
    return (run or cloud.made_id)("createFirewallRule", **(chosen | params))


def _forward(cloud, address, machine, run=None, **params):
    chosen = {"protocol": "tcp", "publicport": 80, "privateport": 8080, "ipaddressid": address["id"]}
    return (run or cloud.made_id)("createPortForwardingRule", virtualmachineid=machine["id"], **(chosen | params))


def _balance(cloud, address, run=None, **params):
    chosen = {"name": cloud.name("lb"), "algorithm": "roundrobin", "publicport": 80, "privateport": 8080}
    return (run or cloud.made_id)("createLoadBalancerRule", publicipid=address["id"], **(chosen | params))


def _nic(cloud, machine):
    return cloud.one("listVirtualMachines", id=machine["id"])["nic"][0]


def test_an_address_serves_its_network(cloud, alive, address):
    assert (address["state"], address["associatednetworkid"]) == ("Allocated", alive["id"])
    assert (address["issourcenat"], address["isstaticnat"], address["account"]) == (False, False, alive["account"])
    listed = cloud.list("listPublicIpAddresses", associatednetworkid=alive["id"], issourcenat=False)
    assert [row["id"] for row in listed] == [address["id"]]


def test_a_taken_address_is_not_given_out_again(cloud, alive, address):
    asked = {"networkid": alive["id"], "ipaddress": address["ipaddress"]}
    assert cloud.refused("associateIpAddress", **asked).code == 533


def test_an_address_that_was_given_back_can_be_asked_for_by_value(cloud, alive, address):
    cloud.run("disassociateIpAddress", id=address["id"])
    assert cloud.list("listPublicIpAddresses", id=address["id"]) == []
    again = cloud.address(networkid=alive["id"], ipaddress=address["ipaddress"])
    assert again["ipaddress"] == address["ipaddress"]


def test_a_reserved_address_serves_a_network_when_it_is_needed_and_is_given_back_as_reserved(cloud, alive):
    free = cloud.list("listPublicIpAddresses", zoneid=alive["zoneid"], state="Free")[-1]
    assert cloud.call("reserveIpAddress", id=free["id"])["ipaddress"]["state"] == "Reserved"
    assert cloud.call("reserveIpAddress", id=free["id"])["ipaddress"]["id"] == free["id"]
    assert cloud.list("listPublicIpAddresses", id=free["id"]) == []
    assert [row["id"] for row in cloud.list("listPublicIpAddresses", id=free["id"], state="Reserved")] == [free["id"]]
    used = cloud.address(networkid=alive["id"], ipaddress=free["ipaddress"])
    assert (used["id"], used["state"]) == (free["id"], "Allocated")
    assert cloud.refused("reserveIpAddress", id=free["id"]).code == 431
    assert cloud.refused("releaseIpAddress", id=free["id"]).code == 431
    cloud.run("disassociateIpAddress", id=free["id"])
    cloud.call("reserveIpAddress", id=free["id"])
    cloud.run("disassociateIpAddress", id=free["id"])
    assert cloud.list("listPublicIpAddresses", id=free["id"], state="Reserved") == []


def test_tags_of_a_reserved_address_outlive_its_reservation_and_go_with_its_use(cloud, alive):
    free = cloud.list("listPublicIpAddresses", zoneid=alive["zoneid"], state="Free")[-1]["id"]
    cloud.call("reserveIpAddress", id=free)
    cloud.run("createTags", resourceids=[free], resourcetype="PublicIpAddress", tags=[{"key": "k", "value": "v"}])
    cloud.call("releaseIpAddress", id=free)
    row = cloud.one("listPublicIpAddresses", id=free, state="Free")
    assert [(tag["key"], tag["value"]) for tag in row["tags"]] == [("k", "v")]
    used = cloud.address(networkid=alive["id"], ipaddress=row["ipaddress"])
    assert [tag["key"] for tag in used["tags"]] == ["k"]
    cloud.run("disassociateIpAddress", id=free)
    assert cloud.one("listPublicIpAddresses", id=free, state="Free")["tags"] == []


def test_an_address_of_nobody_is_neither_given_back_nor_tagged(cloud, alive):
    free = cloud.list("listPublicIpAddresses", zoneid=alive["zoneid"], state="Free")[-1]["id"]
    assert cloud.refused("disassociateIpAddress", id=free).code == 530
    tags = [{"key": "k", "value": "v"}]
    assert cloud.failed("createTags", resourceids=[free], resourcetype="PublicIpAddress", tags=tags).code == 530
    assert cloud.call("releaseIpAddress", id=free)["success"] is True


def test_a_reserved_address_is_its_accounts_alone(cloud, stranger, alive):
    free = cloud.list("listPublicIpAddresses", zoneid=alive["zoneid"], state="Free")[-1]["id"]
    cloud.call("reserveIpAddress", id=free)
    assert stranger.list("listPublicIpAddresses", id=free, state="Reserved") == []
    assert stranger.list("listPublicIpAddresses", id=free, allocatedonly=False) == []
    assert stranger.refused("reserveIpAddress", id=free).code == 431
    assert stranger.refused("releaseIpAddress", id=free).code == 531
    assert stranger.failed("disassociateIpAddress", id=free).code == 530
    cloud.call("releaseIpAddress", id=free)


def test_the_first_address_of_a_network_is_its_source_nat_and_goes_while_nothing_runs(cloud):
    network = cloud.network()
    first, second = (cloud.address(networkid=network["id"]) for _ in range(2))
    assert (first["issourcenat"], second["issourcenat"]) == (True, False)
    cloud.run("disassociateIpAddress", id=first["id"])
    assert [row["id"] for row in cloud.list("listPublicIpAddresses", associatednetworkid=network["id"])] == [
        second["id"]
    ]


def test_port_0_is_a_port(cloud, address):
    row = cloud.one("listFirewallRules", id=_rule(cloud, address, startport=0, endport=0))
    assert (row["startport"], row["endport"]) == (0, 0)
    _balance(cloud, address, publicport=0, privateport=0, openfirewall=False)


def test_static_nat_is_on_at_once_and_shows_on_the_machine(cloud, address, machine):
    asked = {"ipaddressid": address["id"], "virtualmachineid": machine["id"]}
    assert cloud.call("enableStaticNat", **asked)["success"] is True
    row = cloud.one("listPublicIpAddresses", id=address["id"])
    assert (row["isstaticnat"], row["virtualmachineid"]) == (True, machine["id"])
    assert row["vmipaddress"] == _nic(cloud, machine)["ipaddress"]
    assert _nic(cloud, machine)["publicip"] == address["ipaddress"]
    cloud.run("disableStaticNat", ipaddressid=address["id"])
    assert "publicip" not in _nic(cloud, machine)
    assert cloud.one("listPublicIpAddresses", id=address["id"])["isstaticnat"] is False


def test_a_machine_has_one_static_nat_and_the_address_nothing_else(cloud, alive, address, machine):
    cloud.call("enableStaticNat", ipaddressid=address["id"], virtualmachineid=machine["id"])
    second = cloud.address(networkid=alive["id"])
    asked = {"ipaddressid": second["id"], "virtualmachineid": machine["id"]}
    assert cloud.refused("enableStaticNat", **asked).code == 431
    assert _forward(cloud, address, machine, run=cloud.refused).code == 431
    assert _balance(cloud, address, run=cloud.refused).code == 537
    [source] = cloud.list("listPublicIpAddresses", associatednetworkid=alive["id"], issourcenat=True)
    assert cloud.refused("enableStaticNat", ipaddressid=source["id"], virtualmachineid=machine["id"]).code == 431


def test_static_nat_and_its_firewall_go_together(cloud, address, machine):
    cloud.call("enableStaticNat", ipaddressid=address["id"], virtualmachineid=machine["id"])
    _rule(cloud, address)
    cloud.run("disableStaticNat", ipaddressid=address["id"])
    assert cloud.list("listFirewallRules", ipaddressid=address["id"]) == []


def test_a_firewall_rule_says_whence_and_which_ports(cloud, alive, address):
    row = cloud.one("listFirewallRules", id=_rule(cloud, address, endport=90, cidrlist=[HERE, THERE]))
    assert (row["protocol"], row["startport"], row["endport"], row["state"]) == ("tcp", 80, 90, "Active")
    assert set(row["cidrlist"].split(",")) == {HERE, THERE}
    assert (row["ipaddressid"], row["networkid"]) == (address["id"], alive["id"])


def test_a_firewall_rule_is_for_everybody_and_all_icmp_unless_said(cloud, address):
    row = cloud.one("listFirewallRules", id=_rule(cloud, address, protocol="icmp"))
    assert (row["cidrlist"], row["icmptype"], row["icmpcode"]) == ("0.0.0.0/0", -1, -1)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"startport": 85, "endport": 95}, 537),
        ({"protocol": "all"}, 431),
        ({"protocol": "50"}, 431),
        ({"startport": 65536, "endport": 65536}, 431),
        ({"startport": 3, "endport": 2}, 431),
        ({"cidrlist": ["nowhere"]}, 431),
    ],
    ids=["overlapping", "all", "a number", "port 65536", "reversed", "no range"],
)
def test_a_firewall_rule_that_cannot_be_is_refused_at_once(cloud, address, wrong, code):
    _rule(cloud, address, endport=90)
    assert _rule(cloud, address, run=cloud.refused, **wrong).code == code
    assert len(cloud.list("listFirewallRules", ipaddressid=address["id"])) == 1


def test_the_same_ports_from_elsewhere_are_another_rule(cloud, address):
    _rule(cloud, address, cidrlist=[HERE])
    _rule(cloud, address, cidrlist=[THERE])
    assert len(cloud.list("listFirewallRules", ipaddressid=address["id"])) == 2


def test_a_deleted_rule_is_gone_and_unknown(cloud, address):
    key = _rule(cloud, address)
    cloud.run("deleteFirewallRule", id=key)
    assert cloud.list("listFirewallRules", ipaddressid=address["id"]) == []
    assert cloud.refused("deleteFirewallRule", id=key).code == 431


def test_a_forwarding_has_ports_as_text_and_opens_the_firewall(cloud, address, machine):
    key = _forward(cloud, address, machine)
    row = cloud.one("listPortForwardingRules", id=key)
    assert (row["publicport"], row["privateport"], row["protocol"]) == ("80", "8080", "tcp")
    assert (row["virtualmachineid"], row["vmguestip"]) == (machine["id"], _nic(cloud, machine)["ipaddress"])
    [opened] = cloud.list("listFirewallRules", ipaddressid=address["id"])
    assert (opened["startport"], opened["cidrlist"]) == (80, "0.0.0.0/0")
    cloud.run("deletePortForwardingRule", id=key)
    assert cloud.list("listFirewallRules", ipaddressid=address["id"]) == []


def test_a_forwarding_leaves_the_firewall_alone_if_told(cloud, address, machine):
    _forward(cloud, address, machine, openfirewall=False)
    assert cloud.list("listFirewallRules", ipaddressid=address["id"]) == []
    assert _forward(cloud, address, machine, run=cloud.refused, openfirewall=False).code == 537


def test_a_load_balancer_is_active_with_its_first_member(cloud, address, machine):
    key = _balance(cloud, address, protocol="tcp")
    assert cloud.one("listLoadBalancerRules", id=key)["state"] == "Add"
    cloud.run("assignToLoadBalancerRule", id=key, virtualmachineids=[machine["id"]])
    row = cloud.one("listLoadBalancerRules", id=key)
    assert (row["state"], row["publicport"], row["privateport"]) == ("Active", "80", "8080")
    assert [member["id"] for member in cloud.list("listLoadBalancerRuleInstances", id=key)] == [machine["id"]]
    assert cloud.failed("assignToLoadBalancerRule", id=key, virtualmachineids=[machine["id"]]).code == 530
    cloud.run("updateLoadBalancerRule", id=key, algorithm="leastconn")
    assert cloud.one("listLoadBalancerRules", id=key)["algorithm"] == "leastconn"
    cloud.run("removeFromLoadBalancerRule", id=key, virtualmachineids=[machine["id"]])
    assert cloud.list("listLoadBalancerRuleInstances", id=key) == []


@pytest.mark.parametrize(
    "wrong", [{"algorithm": "fair"}, {"protocol": "udp"}, {"publicport": 65536}, {"privateport": 65536}], ids=str
)
def test_a_load_balancer_that_cannot_be_is_refused_at_once(cloud, address, wrong):
    assert _balance(cloud, address, run=cloud.refused, **wrong).code == 431
    assert cloud.list("listLoadBalancerRules", publicipid=address["id"]) == []


def test_a_load_balancer_has_one_stickiness_and_no_health_check(cloud, address):
    rule = _balance(cloud, address)
    asked = {"lbruleid": rule, "name": cloud.name("sticky"), "methodname": "SourceBased"}
    made = cloud.call("createLBStickinessPolicy", **asked)
    assert cloud.wait(made).done
    [row] = cloud.list("listLBStickinessPolicies", lbruleid=rule)
    [policy] = row["stickinesspolicy"]
    assert (policy["name"], policy["methodname"]) == (asked["name"], "SourceBased")
    cloud.run("deleteLBStickinessPolicy", id=policy["id"])
    assert cloud.refused("createLBHealthCheckPolicy", lbruleid=rule).code == 430


def test_addresses_and_all_that_hangs_on_them_are_tagged(cloud, alive, address, machine):
    forwarding = _forward(cloud, address, machine)
    other = cloud.address(networkid=alive["id"])
    balancer = _balance(cloud, other)
    [firewall] = cloud.list("listFirewallRules", ipaddressid=other["id"])
    for kind, command, key in (
        ("PublicIpAddress", "listPublicIpAddresses", address["id"]),
        ("PortForwardingRule", "listPortForwardingRules", forwarding),
        ("LoadBalancer", "listLoadBalancerRules", balancer),
        ("FirewallRule", "listFirewallRules", firewall["id"]),
    ):
        cloud.run("createTags", resourceids=[key], resourcetype=kind, tags=[{"key": "env", "value": "prod"}])
        assert {tag["key"]: tag["value"] for tag in cloud.one(command, id=key)["tags"]} == {"env": "prod"}


def test_foreign_addresses_are_neither_seen_nor_touched(cloud, stranger, alive, address, machine):
    assert stranger.list("listPublicIpAddresses", id=address["id"]) == []
    assert _rule(stranger, address, run=stranger.refused).code == 531
    assert _forward(stranger, address, machine, run=stranger.refused).code == 531
    for where in ({"associatednetworkid": alive["id"]}, {"associatednetworkid": alive["id"], "id": address["id"]}):
        with pytest.raises(CloudStackError) as refused:
            stranger.list("listPublicIpAddresses", **where)
        assert refused.value.code == 531
    assert stranger.failed("disableStaticNat", ipaddressid=address["id"]).code == 431
    cloud.call("enableStaticNat", ipaddressid=address["id"], virtualmachineid=machine["id"])
    assert stranger.failed("disableStaticNat", ipaddressid=address["id"]).code == 530
    assert cloud.one("listPublicIpAddresses", id=address["id"])["virtualmachineid"] == machine["id"]
    assert stranger.failed("disassociateIpAddress", id=address["id"]).code == 530
    assert stranger.failed("updateIpAddress", id=address["id"]).code == 530
    assert cloud.one("listPublicIpAddresses", id=address["id"])["state"] == "Allocated"
