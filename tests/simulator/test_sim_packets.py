"""Which packets arrive, in each kind of zone."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sim_cloud import ZONE, Cloud
from test_advanced_networks import FRANKFURT, VIENNA, address, network
from test_vpc import DEFAULT_ALLOW, OFFERING, TIER

from gstack.simulator.packets import Packet, within
from gstack.simulator.server import control

OUTSIDE, ELSEWHERE = "198.51.100.7", "203.0.113.9"
Ends = tuple[str, str, str]


def group(cloud: Cloud, name: str = "web", **params: object) -> str:
    return str(cloud.do("createSecurityGroup", name=name, **params)["securitygroup"]["id"])


def allow(cloud: Cloud, key: str, direction: str = "Ingress", **params: object) -> str:
    params = {"protocol": "tcp", "startport": 80, "endport": 80, "cidrlist": "0.0.0.0/0", **params}
    wanted = {name: value for name, value in params.items() if value is not None}
    job = cloud.run(f"authorizeSecurityGroup{direction}", securitygroupid=key, **wanted)
    return str(job["jobresult"]["securitygroup"][f"{direction.lower()}rule"][0]["ruleid"])


def member(cloud: Cloud, name: str, *groups: str, **more: object) -> str:
    return cloud.deploy(name, securitygroupids=",".join(groups), **more)


def inner(cloud: Cloud, key: str) -> str:
    return str((cloud.machine(key) or {})["nic"][0]["ipaddress"])


def public(cloud: Cloud, ip: str) -> str:
    return str(cloud.do("listPublicIpAddresses", id=ip)["publicipaddress"][0]["ipaddress"])


def firewall(cloud: Cloud, ip: str, **params: object) -> dict:
    params = {"protocol": "tcp", "startport": 80, "endport": 80, **params}
    return cloud.run("createFirewallRule", ipaddressid=ip, **params)


def forward(cloud: Cloud, ip: str, machine: str, **params: object) -> dict:
    params = {"protocol": "tcp", "publicport": 80, "privateport": 8080, **params}
    return cloud.run("createPortForwardingRule", ipaddressid=ip, virtualmachineid=machine, **params)


def balance(cloud: Cloud, ip: str, *machines: str, **params: object) -> str:
    params = {"name": "lb", "algorithm": "roundrobin", "publicport": 80, "privateport": 8080, **params}
    made = cloud.do("createLoadBalancerRule", publicipid=ip, **params)
    cloud.wait(made)
    cloud.run("assignToLoadBalancerRule", id=made["id"], virtualmachineids=",".join(machines))
    return str(made["id"])


# Zones with security groups


@pytest.mark.parametrize("zone", [ZONE, VIENNA], ids=["basic", "advanced"])
def test_a_group_lets_in_what_a_rule_names_and_nothing_else(cloud: Cloud, zone: str) -> None:
    machine = member(cloud, "vm", group(cloud), zoneid=zone)
    ask = cloud.simulator.reaches
    assert not ask(OUTSIDE, machine, port=80)
    rule = allow(cloud, cloud.do("listSecurityGroups", securitygroupname="web")["securitygroup"][0]["id"])
    verdict = ask(OUTSIDE, inner(cloud, machine), "TCP", 80)
    assert (verdict.reached, verdict.machines, rule in verdict.why) == (True, (machine,), True)
    assert not ask(OUTSIDE, machine, "tcp", 81)
    assert not ask(OUTSIDE, machine, "udp", 80)
    assert not ask(OUTSIDE, machine, "icmp")
    cloud.run("revokeSecurityGroupIngress", id=rule)
    assert not ask(OUTSIDE, machine, port=80)


def test_the_rules_of_all_groups_of_a_machine_add_up(cloud: Cloud) -> None:
    one, two = group(cloud, "one"), group(cloud, "two")
    machine = member(cloud, "vm", one, two)
    allow(cloud, one, cidrlist="198.51.100.0/24")
    allow(cloud, two, protocol="all", startport=None, endport=None, cidrlist="203.0.113.9/32")
    ask = cloud.simulator.reaches
    assert ask(OUTSIDE, machine, port=80)
    assert not ask(OUTSIDE, machine, port=22)
    assert all((ask(ELSEWHERE, machine, port=22), ask(ELSEWHERE, machine, "50"), ask(ELSEWHERE, machine, "icmp")))


def test_a_rule_with_a_protocols_number_means_all_its_ports(cloud: Cloud) -> None:
    web = group(cloud)
    machine = member(cloud, "vm", web)
    allow(cloud, web, protocol="6")
    assert cloud.simulator.reaches(OUTSIDE, machine, "tcp", 9999)
    assert cloud.simulator.reaches(OUTSIDE, machine, "6", 9999)
    assert not cloud.simulator.reaches(OUTSIDE, machine, "17", 80)


@pytest.mark.parametrize(
    ("kind", "code", "let_in"),
    [(-1, -1, {(8, 0), (3, 4)}), (8, 0, {(8, 0)}), (3, -1, {(3, 4), (3, 1)}), (3, 4, {(3, 4)})],
)
def test_icmp_is_let_in_by_type_and_code(cloud: Cloud, kind: int, code: int, let_in: set[tuple[int, int]]) -> None:
    web = group(cloud)
    machine = member(cloud, "vm", web)
    allow(cloud, web, protocol="icmp", startport=None, endport=None, icmptype=kind, icmpcode=code)
    asked = let_in | {(8, 0), (3, 4)}
    assert {one for one in asked if cloud.simulator.reaches(OUTSIDE, machine, "icmp", icmp=one)} == let_in


def test_a_peer_group_is_its_running_machines_by_their_addresses(cloud: Cloud) -> None:
    web, peer = group(cloud), group(cloud, "peer")
    machine, friend = member(cloud, "vm", web), member(cloud, "friend", peer)
    stranger = member(cloud, "stranger", group(cloud, "third"))
    pair = {"usersecuritygrouplist[0].account": "tenant", "usersecuritygrouplist[0].group": "peer"}
    allow(cloud, web, cidrlist=None, **pair)
    ask = cloud.simulator.reaches
    assert ask(friend, machine, port=80)
    assert ask(inner(cloud, friend), machine, port=80)
    assert not ask(stranger, machine, port=80)
    assert not ask(friend, machine, port=81)
    cloud.run("stopVirtualMachine", id=friend)
    assert not ask(friend, machine, port=80)


def test_everything_may_leave_until_there_is_an_egress_rule(cloud: Cloud) -> None:
    web = group(cloud)
    machine = member(cloud, "vm", web)
    other = member(cloud, "other", group(cloud, "open"))
    allow(cloud, cloud.do("listSecurityGroups", securitygroupname="open")["securitygroup"][0]["id"], endport=443)
    ask = cloud.simulator.reaches
    assert ask(machine, OUTSIDE, "udp", 53)
    assert ask(machine, other, port=443)
    rule = allow(cloud, web, "Egress", cidrlist="198.51.100.0/24")
    assert ask(machine, OUTSIDE, port=80)
    assert not ask(machine, OUTSIDE, "udp", 53)
    assert not ask(machine, ELSEWHERE, port=80)
    assert not ask(machine, other, port=443)
    cloud.run("revokeSecurityGroupEgress", id=rule)
    assert ask(machine, ELSEWHERE, port=80)


def test_an_egress_rule_for_a_group_without_running_members_stops_nothing(cloud: Cloud) -> None:
    web = group(cloud)
    machine, _ = member(cloud, "vm", web), group(cloud, "empty")
    pair = {"usersecuritygrouplist[0].account": "tenant", "usersecuritygrouplist[0].group": "empty"}
    allow(cloud, web, "Egress", cidrlist=None, **pair)
    assert cloud.simulator.reaches(machine, OUTSIDE, port=25)


def test_an_egress_rule_of_ipv6_says_nothing_of_ipv4(cloud: Cloud) -> None:
    web = group(cloud)
    machine = member(cloud, "vm", web)
    allow(cloud, web, "Egress", cidrlist="2001:db8::/64")
    assert cloud.simulator.reaches(machine, OUTSIDE, port=25)


def test_a_machine_that_does_not_run_neither_gets_nor_sends(cloud: Cloud) -> None:
    web = group(cloud)
    machine = member(cloud, "vm", web)
    allow(cloud, web)
    where = inner(cloud, machine)
    cloud.run("stopVirtualMachine", id=machine)
    for verdict in (
        cloud.simulator.reaches(OUTSIDE, machine, port=80),
        cloud.simulator.reaches(machine, OUTSIDE, port=80),
        cloud.simulator.reaches(where, OUTSIDE, port=80),
    ):
        assert (verdict.reached, "Stopped" in verdict.why) == (False, True)


# Isolated networks


@pytest.fixture
def served(cloud: Cloud) -> Ends:
    """A network, its running machine, and an address that is not for source NAT."""
    net = network(cloud)
    machine = cloud.deploy("vm-1", zoneid=FRANKFURT, networkids=net)
    return net, machine, address(cloud, net)


def test_static_nat_leads_to_the_machine_once_the_firewall_is_open(cloud: Cloud, served: Ends) -> None:
    _, machine, ip = served
    ask, where = cloud.simulator.reaches, public(cloud, ip)
    cloud.do("enableStaticNat", ipaddressid=ip, virtualmachineid=machine)
    assert not ask(OUTSIDE, where, port=80)
    firewall(cloud, ip, cidrlist="198.51.100.0/24")
    verdict = ask(OUTSIDE, where, port=80)
    [arrival] = verdict.arrivals
    assert (arrival.machine, arrival.address, arrival.port) == (machine, inner(cloud, machine), 80)
    assert not ask(ELSEWHERE, where, port=80)
    assert not ask(OUTSIDE, where, port=81)
    assert not ask(OUTSIDE, where, "icmp")
    assert not ask(OUTSIDE, machine, port=80), "its own address is not known outside"
    cloud.run("disableStaticNat", ipaddressid=ip)
    assert not ask(OUTSIDE, where, port=80)


def test_an_open_firewall_without_anybody_behind_it_leads_nowhere(cloud: Cloud, served: Ends) -> None:
    _, _, ip = served
    firewall(cloud, ip)
    verdict = cloud.simulator.reaches(OUTSIDE, public(cloud, ip), port=80)
    assert (verdict.reached, "leads to nobody" in verdict.why) == (False, True)


def test_icmp_of_any_type_and_tcp_of_any_port_are_rules_without_numbers(cloud: Cloud, served: Ends) -> None:
    _, machine, ip = served
    cloud.do("enableStaticNat", ipaddressid=ip, virtualmachineid=machine)
    cloud.run("createFirewallRule", ipaddressid=ip, protocol="icmp")
    cloud.run("createFirewallRule", ipaddressid=ip, protocol="tcp")
    ask, where = cloud.simulator.reaches, public(cloud, ip)
    assert ask(OUTSIDE, where, "icmp", icmp=(3, 4))
    assert ask(OUTSIDE, where, port=65535)
    assert not ask(OUTSIDE, where, "udp", 53)


def test_a_forwarding_changes_ports_and_needs_its_own_ranges_too(cloud: Cloud, served: Ends) -> None:
    _, machine, ip = served
    more = {"publicendport": 89, "privateendport": 8089, "cidrlist": "198.51.100.0/24"}
    forward(cloud, ip, machine, **more)
    ask, where = cloud.simulator.reaches, public(cloud, ip)
    assert [one.port for one in ask(OUTSIDE, where, port=83).arrivals] == [8083]
    assert not ask(ELSEWHERE, where, port=83)
    assert not ask(OUTSIDE, where, port=90)
    assert not ask(OUTSIDE, where, port=8083)


def test_a_forwarding_without_an_open_firewall_leads_nowhere(cloud: Cloud, served: Ends) -> None:
    _, machine, ip = served
    forward(cloud, ip, machine, openfirewall="false")
    where = public(cloud, ip)
    assert not cloud.simulator.reaches(OUTSIDE, where, port=80)
    firewall(cloud, ip)
    assert cloud.simulator.reaches(OUTSIDE, where, port=80).machines == (machine,)


def test_a_load_balancer_leads_to_each_member_that_runs(cloud: Cloud, served: Ends) -> None:
    net, machine, ip = served
    second = cloud.deploy("vm-2", zoneid=FRANKFURT, networkids=net)
    balance(cloud, ip, machine, second)
    ask, where = cloud.simulator.reaches, public(cloud, ip)
    assert ask(OUTSIDE, where, port=80).machines == (machine, second)
    assert not ask(OUTSIDE, where, "udp", 80)
    cloud.run("stopVirtualMachine", id=machine)
    assert ask(OUTSIDE, where, port=80).machines == (second,)
    cloud.run("stopVirtualMachine", id=second)
    assert not ask(OUTSIDE, where, port=80)


def test_what_leaves_an_isolated_network_is_what_an_egress_rule_names(cloud: Cloud, served: Ends) -> None:
    net, machine, _ = served
    ask = cloud.simulator.reaches
    assert not ask(machine, OUTSIDE, port=443)
    params = {"protocol": "tcp", "startport": 443, "destcidrlist": "198.51.100.0/24"}
    cloud.run("createEgressFirewallRule", networkid=net, **params)
    assert ask(machine, OUTSIDE, port=443)
    assert not ask(machine, ELSEWHERE, port=443)
    assert not ask(machine, OUTSIDE, port=80)
    cloud.run("createEgressFirewallRule", networkid=net, protocol="all", cidrlist="10.1.1.250/32")
    assert not ask(machine, OUTSIDE, "50"), "another address of the network may"


def test_egress_rules_refuse_where_the_offering_lets_everything_out(cloud: Cloud) -> None:
    offering = next(
        one.id
        for one in cloud.simulator.world.network_offering
        if one.name == "DefaultNetworkOfferingforKubernetesService"
    )
    made = cloud.do("createNetwork", zoneid=FRANKFURT, networkofferingid=offering, name="open")
    net = made["network"]["id"]
    machine = cloud.deploy("vm-1", zoneid=FRANKFURT, networkids=net)
    ask = cloud.simulator.reaches
    assert ask(machine, OUTSIDE, "udp", 53)
    cloud.run("createEgressFirewallRule", networkid=net, protocol="udp", startport=53)
    assert not ask(machine, OUTSIDE, "udp", 53)
    assert ask(machine, OUTSIDE, "tcp", 53)


def test_one_network_is_one_wire_and_two_are_apart(cloud: Cloud, served: Ends) -> None:
    net, machine, ip = served
    second = cloud.deploy("vm-2", zoneid=FRANKFURT, networkids=net)
    third = cloud.deploy("vm-3", zoneid=FRANKFURT, networkids=network(cloud, "net-b"))
    ask = cloud.simulator.reaches
    assert ask(machine, second, port=22)
    assert ask(machine, inner(cloud, second), "47")
    assert not ask(machine, third, port=22)
    assert not ask(machine, "10.1.1.99", port=22), "nobody has it"
    cloud.do("enableStaticNat", ipaddressid=ip, virtualmachineid=machine)
    firewall(cloud, ip)
    assert not ask(third, public(cloud, ip), port=80), "its own network lets nothing out"


def test_a_machine_is_seen_under_its_static_nat_or_its_networks_source_nat(cloud: Cloud, served: Ends) -> None:
    net, machine, ip = served
    web = group(cloud)
    far = member(cloud, "far", web)
    cloud.run("createEgressFirewallRule", networkid=net, protocol="all")
    nat = next(row for row in cloud.do("listPublicIpAddresses")["publicipaddress"] if row["issourcenat"])
    allow(cloud, web, cidrlist=f"{nat['ipaddress']}/32")
    assert cloud.simulator.reaches(machine, far, port=80)
    cloud.do("enableStaticNat", ipaddressid=ip, virtualmachineid=machine)
    assert not cloud.simulator.reaches(machine, far, port=80)
    allow(cloud, web, cidrlist=f"{public(cloud, ip)}/32")
    assert cloud.simulator.reaches(machine, far, port=80)


def test_inside_a_network_its_public_address_is_met_with_an_inner_one(cloud: Cloud, served: Ends) -> None:
    net, machine, ip = served
    second = cloud.deploy("vm-2", zoneid=FRANKFURT, networkids=net)
    cloud.do("enableStaticNat", ipaddressid=ip, virtualmachineid=machine)
    firewall(cloud, ip, cidrlist=f"{inner(cloud, second)}/32")
    assert cloud.simulator.reaches(second, public(cloud, ip), port=80).machines == (machine,)
    assert not cloud.simulator.reaches(OUTSIDE, public(cloud, ip), port=80)


def test_of_two_nics_the_one_on_the_network_of_the_other_end_counts(cloud: Cloud, served: Ends) -> None:
    net, machine, _ = served
    second = network(cloud, "net-b")
    both = cloud.deploy("both", zoneid=FRANKFURT, networkids=f"{second},{net}")
    assert cloud.simulator.reaches(both, machine, port=22)
    assert cloud.simulator.reaches(machine, both, port=22)


# Virtual private clouds


@pytest.fixture
def vpc(cloud: Cloud) -> str:
    answer = cloud.do("createVPC", zoneid=FRANKFURT, vpcofferingid=OFFERING, name="vpc", cidr="10.50.0.0/16")
    cloud.wait(answer)
    return str(answer["id"])


def tier(cloud: Cloud, vpc: str, number: int, **more: object) -> tuple[str, str]:
    """A tier with a running machine."""
    params = {"zoneid": FRANKFURT, "networkofferingid": TIER, "name": f"tier-{number}", "vpcid": vpc, **more}
    ends = {"gateway": f"10.50.{number}.1", "netmask": "255.255.255.0"}
    net = str(cloud.do("createNetwork", **params, **ends)["network"]["id"])
    return net, cloud.deploy(f"vm-{number}", zoneid=FRANKFURT, networkids=net)


def acl(cloud: Cloud, vpc: str, *items: dict) -> str:
    key = str(cloud.do("createNetworkACLList", vpcid=vpc, name="acl")["id"])
    for number, item in enumerate(items, 1):
        cloud.run("createNetworkACL", aclid=key, **{"number": number, "protocol": "tcp", **item})
    return key


def test_a_tier_without_a_list_is_closed_both_ways(cloud: Cloud, vpc: str) -> None:
    _, one = tier(cloud, vpc, 1)
    _, two = tier(cloud, vpc, 2, aclid=DEFAULT_ALLOW)
    ask = cloud.simulator.reaches
    assert not ask(one, OUTSIDE, port=443)
    assert not ask(two, one, port=22)
    assert not ask(one, two, port=22)
    assert ask(two, OUTSIDE, port=443)


def test_the_item_with_the_lowest_number_decides(cloud: Cloud, vpc: str) -> None:
    deny = {"action": "Deny", "startport": 22, "endport": 22, "cidrlist": "10.50.2.0/24"}
    key = acl(cloud, vpc, {"startport": 1, "endport": 100}, deny, {"protocol": "all"})
    _, one = tier(cloud, vpc, 1, aclid=key)
    _, two = tier(cloud, vpc, 2, aclid=DEFAULT_ALLOW)
    ask = cloud.simulator.reaches
    assert ask(two, one, port=22), "item 1 comes first"
    rows = cloud.do("listNetworkACLs", aclid=key)["networkacl"]
    first, second = (next(row["id"] for row in rows if row["number"] == number) for number in (1, 2))
    cloud.run("moveNetworkAclItem", id=second, nextaclruleid=first)
    assert not ask(two, one, port=22)
    assert ask(two, one, port=23)
    assert ask(two, one, "udp", 53)


def test_what_no_item_names_may_leave_a_tier_but_not_come_in(cloud: Cloud, vpc: str) -> None:
    deny = {"traffictype": "Egress", "action": "Deny", "startport": 25, "endport": 25}
    _, one = tier(cloud, vpc, 1, aclid=acl(cloud, vpc, {"startport": 22, "endport": 22}, deny))
    _, two = tier(cloud, vpc, 2, aclid=DEFAULT_ALLOW)
    ask = cloud.simulator.reaches
    assert [ask(one, two, port=port).reached for port in (25, 26)] == [False, True]
    assert [ask(one, OUTSIDE, port=port).reached for port in (25, 26)] == [False, True]
    assert [ask(two, one, port=port).reached for port in (22, 23)] == [True, False]


def test_one_tier_is_one_wire(cloud: Cloud, vpc: str) -> None:
    net, one = tier(cloud, vpc, 1)
    other = cloud.deploy("vm-b", zoneid=FRANKFURT, networkids=net)
    assert cloud.simulator.reaches(one, other, port=22)


def test_a_public_address_of_a_vpc_asks_the_tiers_list_with_the_inner_port(cloud: Cloud, vpc: str) -> None:
    key = acl(cloud, vpc, {"startport": 8080, "endport": 8080, "cidrlist": "198.51.100.0/24"})
    _, one = tier(cloud, vpc, 1, aclid=key)
    ip = str(cloud.do("associateIpAddress", vpcid=vpc)["id"])
    forward(cloud, ip, one)
    ask, where = cloud.simulator.reaches, public(cloud, ip)
    assert ask(OUTSIDE, where, port=80).machines == (one,)
    assert not ask(ELSEWHERE, where, port=80)
    assert not ask(OUTSIDE, where, port=8080)


def test_static_nat_in_a_vpc_asks_the_tiers_list(cloud: Cloud, vpc: str) -> None:
    net, one = tier(cloud, vpc, 1, aclid=acl(cloud, vpc, {"startport": 80, "endport": 80}))
    ip = str(cloud.run("associateIpAddress", vpcid=vpc)["jobresult"]["ipaddress"]["id"])
    cloud.do("enableStaticNat", ipaddressid=ip, virtualmachineid=one, networkid=net)
    where = public(cloud, ip)
    assert [cloud.simulator.reaches(OUTSIDE, where, port=port).reached for port in (80, 81)] == [True, False]


def test_a_load_balancer_of_a_vpc_asks_no_list(cloud: Cloud, vpc: str) -> None:
    net, one = tier(cloud, vpc, 1)
    ip = str(cloud.do("associateIpAddress", vpcid=vpc)["id"])
    balance(cloud, ip, one, networkid=net)
    assert cloud.simulator.reaches(OUTSIDE, public(cloud, ip), port=80).machines == (one,)


def test_an_item_with_a_protocols_number_and_ports_lets_nothing_in(cloud: Cloud, vpc: str) -> None:
    key = acl(cloud, vpc, {"protocol": "6", "startport": 80, "endport": 80}, {"protocol": "17"})
    _, one = tier(cloud, vpc, 1, aclid=key)
    _, two = tier(cloud, vpc, 2, aclid=DEFAULT_ALLOW)
    assert not cloud.simulator.reaches(two, one, port=80)
    assert cloud.simulator.reaches(two, one, "udp", 80)


# The question itself


def test_what_is_no_packet_is_refused(cloud: Cloud) -> None:
    machine = member(cloud, "vm", group(cloud))
    for wrong in (
        {"protocol": "tcp"},
        {"protocol": "esp"},
        {"protocol": "256"},
        {"destination": "nowhere", "port": 80},
        {"source": "nowhere", "port": 80},
    ):
        with pytest.raises(ValueError, match=r"needs a port|no protocol|does not appear"):
            cloud.simulator.reaches(**{"source": OUTSIDE, "destination": machine, **wrong})


def test_an_address_that_nobody_has_is_not_reached(cloud: Cloud) -> None:
    assert not cloud.simulator.reaches(OUTSIDE, ELSEWHERE, port=80)
    free = next(ip.address for ip in cloud.simulator.world.public_ip if ip.state == "Free")
    assert not cloud.simulator.reaches(OUTSIDE, free, port=80)
    machine = member(cloud, "vm", group(cloud))
    nobody = str(ip_address(inner(cloud, machine)) + 1)
    assert not cloud.simulator.reaches(machine, nobody, port=80)


def test_another_process_asks_over_http(cloud: Cloud) -> None:
    machine = member(cloud, "vm", group(cloud))
    asked = {"source": OUTSIDE, "destination": machine, "protocol": "udp", "port": 53}
    answer = json.loads(control(cloud.simulator, "/control/reaches", json.dumps(asked).encode()).body)
    assert answer == {"reached": False, "machines": [], "why": "no ingress rule of its security groups allows it"}


PORTS = st.integers(0, 65535)


@given(PORTS, PORTS, PORTS)
def test_a_range_of_ports_means_exactly_what_is_in_it(one: int, other: int, port: int) -> None:
    start, end = sorted((one, other))
    packet = Packet(ip_address(OUTSIDE), ip_address(ELSEWHERE), "tcp", port)
    assert packet.is_of("tcp", start, end, None, None) == (start <= port <= end)
    assert packet.is_of("all", start, end, None, None)
    assert not packet.is_of("udp", None, None, None, None)


@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4))
def test_a_range_of_addresses_may_be_written_with_host_bits(base: object, length: int, wanted: object) -> None:
    cidr = f"{base}/{length}"
    assert within(wanted, [cidr]) == (wanted in ip_network(cidr, strict=False))  # type: ignore[arg-type]
    assert not within(wanted, ["2001:db8::/0"])  # type: ignore[arg-type]
