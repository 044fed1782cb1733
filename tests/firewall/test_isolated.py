"""Isolated networks: the rules say what the compiler allows, packet by packet, and reality is brought to them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gstack.firewall import balanced, isolated
from gstack.firewall.balanced import Balancer
from gstack.firewall.compiler import reach
from gstack.firewall.intervals import PORTS, addresses
from gstack.firewall.isolated import World, unfiltered
from gstack.firewall.natrules import OTHERS, NatRule, incoming, outgoing
from gstack.firewall.rules import EGRESS, INGRESS, Member, rule
from gstack.translate import addresses as public
from gstack.translate import networks
from gstack.translate.tags import OWN
from tests.conftest import Gateway
from tests.firewall import gce

TCP, UDP, ICMP, ESP = 6, 17, 1, 50
PACKETS = [
    (number, port, peer) for number in (TCP, UDP, ICMP, ESP) for port in (1, 22, 30, 80, 65535) for peer in gce.PEERS
]
ME = Member("me", addresses=addresses(["10.0.0.5"]))


def firewalls(direction: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(
        gce.firewall(direction, ("tcp", "udp"), ("22", "20-40", "80", "1-79", "0-65535"), (1, 2, 3)), max_size=4
    )


def says(found: set[NatRule], number: int, port: int, peer: str) -> bool:
    """What CloudStack does with a packet: any rule that matches lets it pass."""
    for one in found:
        ranges = one.destinations if one.outgoing else one.sources
        if not gce.inside(peer, ranges):
            continue
        if one.protocol == "all" or (one.protocol == "icmp" and number == ICMP):
            return True
        if gce.NUMBERS.get(one.protocol) == number and number != ICMP and one.first <= port <= one.last:
            return True
    return False


def overlapping(found: set[NatRule]) -> bool:
    """Whether CloudStack would refuse one of the rules for another's ports."""
    ordered = sorted(found)
    return any(
        one.protocol == other.protocol and one.first <= other.last and other.first <= one.last
        for index, one in enumerate(ordered)
        for other in ordered[index + 1 :]
    )


@settings(deadline=None, max_examples=60)
@given(firewalls(INGRESS))
def test_a_public_address_lets_in_what_gce_would_and_says_what_it_cannot(drawn: list[dict[str, Any]]) -> None:
    found, lost = incoming("ip", reach([rule(one) for one in drawn], INGRESS, ME).region)
    assert not overlapping(found)
    for number, port, peer in PACKETS:
        allowed = gce.decides(drawn, number, port, peer, INGRESS)
        if number == ESP:
            assert not says(found, number, port, peer)
            assert not allowed or OTHERS in lost
        else:
            assert says(found, number, port, peer) is allowed


@settings(deadline=None, max_examples=60)
@given(firewalls(EGRESS))
def test_a_network_lets_out_what_gce_would_and_never_more(drawn: list[dict[str, Any]]) -> None:
    region = reach([rule(one) for one in drawn], EGRESS, None).region
    found, lost = outgoing("net", region, ["10.0.0.0/24"])
    assert not overlapping(found)
    for number, port, peer in PACKETS:
        allowed = gce.decides(drawn, number, port, peer, EGRESS)
        if number == ESP and says(found, number, port, peer) is not allowed:
            assert allowed
            assert OTHERS in lost
        else:
            assert says(found, number, port, peer) is allowed


def test_what_is_open_for_all_protocols_is_one_rule() -> None:
    found, lost = outgoing("net", reach([], EGRESS, None).region, ["10.0.0.0/24"])
    assert found == {NatRule("net", "all", 0, 0, ("10.0.0.0/24",), ("0.0.0.0/0",))}
    assert not lost
    assert PORTS == 65536


def test_members_that_may_not_reach_one_another_are_unfiltered() -> None:
    members = [Member(name, addresses=addresses([f"10.0.0.{name}"])) for name in ("2", "3")]
    inside = {"name": "i", "direction": INGRESS, "priority": 1, "sourceRanges": ["10.0.0.0/8"]}
    everything = rule({**inside, "allowed": [{"IPProtocol": "all"}]})
    assert unfiltered([], members)
    assert unfiltered([], members[:1]) is False
    assert unfiltered([everything], members) is False
    assert unfiltered([everything, rule({**inside, "priority": 0, "denied": [{"IPProtocol": "tcp"}]})], members)


def test_a_thousand_addresses_and_members_are_thought_about_in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    make, decide = isolated.member, balanced.reach
    monkeypatch.setattr(isolated, "member", lambda *args: asked.append("member") or make(*args))
    monkeypatch.setattr(balanced, "reach", lambda *args: asked.append("reach") or decide(*args))
    mark = {"tags": [{"key": f"{OWN}{networks.NETWORK}", "value": "net"}]}
    machines = [
        {"id": str(n), "nic": [{"networkid": "n", "ipaddress": f"10.0.{n // 256}.{n % 256}"}]} for n in range(1000)
    ]
    rows = [{"id": str(n), "associatednetworkid": "n", "virtualmachineid": str(n), **mark} for n in range(1000)]
    forwarding = {"key": f"{OWN}{public.FORWARDING}", "value": "rule"}
    rows.append({"id": "b", "ipaddress": "1.1.1.1", "associatednetworkid": "n", "tags": [*mark["tags"], forwarding]})
    every = frozenset(row["id"] for row in machines)
    balancers = [Balancer(str(port), "b", port, every, {}) for port in range(80, 100)]
    world = World([{"id": "n", "cidr": "10.0.0.0/22", **mark}], rows, machines, [], {}, balancers)
    world.wanted()
    world.changes()
    assert asked.count("member") == 1000
    assert asked.count("reach") <= 3


# --- in front of the embedded CloudStack

DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
PIECES, INSTANCES = "regions/de-fra/subnetworks", "zones/de-fra-1/instances"
TCP_22 = [{"IPProtocol": "tcp", "ports": ["22"]}]


class Fra:
    """A custom network with one subnetwork, and what passes to and from its instances by CloudStack's own tables."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        gateway.run("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False})
        body = {"name": "sub", "network": "global/networks/net", "ipCidrRange": "10.1.0.0/24"}
        gateway.run("POST", PIECES, body)

    def firewall(self, name: str, **members: Any) -> dict[str, Any]:
        return self.gateway.run("POST", "global/firewalls", {"name": name, "network": "global/networks/net", **members})

    def instance(self, name: str, *tags: str, **members: Any) -> dict[str, Any]:
        body = {
            "name": name,
            "machineType": "tiny",
            "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN}}],
            "networkInterfaces": [{"subnetwork": f"{PIECES}/sub", "accessConfigs": [{"name": "nat"}]}],
            "tags": {"items": list(tags)},
        }
        return self.gateway.run("POST", INSTANCES, body | members)

    def opens(self, name: str) -> set[tuple[str, str, str]]:
        (nic,) = self.gateway.get(f"{INSTANCES}/{name}")["networkInterfaces"]
        (row,) = self.gateway.cloudstack("listPublicIpAddresses", ipaddress=nic["accessConfigs"][0]["natIP"])
        rows = self.gateway.cloudstack("listFirewallRules", ipaddressid=row["id"])
        return {(row["protocol"], f"{row.get('startport')}-{row.get('endport')}", row["cidrlist"]) for row in rows}

    def sends(self) -> set[tuple[str, str, str]]:
        rows = self.gateway.cloudstack("listEgressFirewallRules")
        return {(row["protocol"], row["cidrlist"], row["destcidrlist"]) for row in rows}


@pytest.fixture
def fra(gateway: Gateway) -> Fra:
    gateway.zone = "de-fra-1"
    return Fra(gateway)


SSH = ("tcp", "22-22", "0.0.0.0/0")


def test_nothing_is_open_without_a_firewall(fra: Fra) -> None:
    fra.instance("web")
    assert fra.opens("web") == set()


def test_firewalls_speak_of_instances_made_before_and_after(fra: Fra) -> None:
    fra.instance("early", "web")
    fra.firewall("ssh", allowed=TCP_22, targetTags=["web"])
    fra.instance("late", "web")
    fra.instance("other")
    assert fra.opens("early") == fra.opens("late") == {SSH}
    assert fra.opens("other") == set()
    fra.gateway.run("DELETE", "global/firewalls/ssh")
    assert fra.opens("early") == fra.opens("late") == set()


def test_tags_of_a_running_instance_change_what_reaches_it(fra: Fra) -> None:
    fra.firewall("ssh", allowed=TCP_22, targetTags=["web"])
    fra.instance("one")
    stamp = fra.gateway.get(f"{INSTANCES}/one")["tags"]["fingerprint"]
    fra.gateway.run("POST", f"{INSTANCES}/one/setTags", {"items": ["web"], "fingerprint": stamp})
    assert fra.opens("one") == {SSH}


def test_a_denial_is_cut_out_and_given_back(fra: Fra) -> None:
    fra.instance("web")
    fra.firewall("ssh", allowed=TCP_22)
    fra.firewall("no", denied=[{"IPProtocol": "all"}], sourceRanges=["128.0.0.0/1"], priority=10)
    assert fra.opens("web") == {("tcp", "22-22", "0.0.0.0/1")}
    fra.gateway.run("DELETE", "global/firewalls/no")
    assert fra.opens("web") == {SSH}


def test_service_accounts_are_known_without_groups(fra: Fra) -> None:
    fra.instance("web", serviceAccounts=[{"email": "a@example.com", "scopes": []}])
    fra.firewall("ssh", allowed=TCP_22, targetServiceAccounts=["a@example.com"])
    assert fra.opens("web") == {SSH}


def test_denied_egress_of_one_instance_closes_it_alone(fra: Fra) -> None:
    fra.instance("locked", "locked")
    fra.instance("free")
    denied = {"direction": "EGRESS", "denied": [{"IPProtocol": "all"}], "targetTags": ["locked"]}
    assert fra.sends() == {("all", "10.1.0.0/24", "0.0.0.0/0")}
    fra.firewall("no", destinationRanges=["0.0.0.0/0"], **denied)
    (nic,) = fra.gateway.get(f"{INSTANCES}/free")["networkInterfaces"]
    assert fra.sends() == {("all", f"{nic['networkIP']}/32", "0.0.0.0/0")}


def test_rules_of_others_on_our_addresses_go_and_those_elsewhere_stay(fra: Fra) -> None:
    fra.instance("web")
    gateway = fra.gateway
    tied, free = sorted(gateway.cloudstack("listPublicIpAddresses"), key=lambda row: not row["isstaticnat"])
    for row in (tied, free):
        gateway.cloudstack("createFirewallRule", ipaddressid=row["id"], protocol="tcp", startport=80, endport=80)
    gateway.simulator.settle()
    fra.firewall("ssh", allowed=TCP_22)
    assert fra.opens("web") == {SSH}
    assert len(gateway.cloudstack("listFirewallRules", ipaddressid=free["id"])) == 1


def test_that_nothing_is_filtered_inside_is_said_and_shown(fra: Fra) -> None:
    fra.instance("one", "web")
    second = fra.instance("two")
    assert "reach one another" in second["warnings"][0]["message"]
    fra.firewall("ssh", allowed=TCP_22, targetTags=["web"])
    fra.firewall("off", allowed=TCP_22, disabled=True)
    path = f"{INSTANCES}/one/getEffectiveFirewalls"
    shown = fra.gateway.get(path, networkInterface="nic0")["firewalls"]
    assert [one["name"] for one in shown] == ["inside-sub", "ssh"]
    assert shown[0]["sourceRanges"] == ["10.1.0.0/24"]
    other = fra.gateway.get(f"{INSTANCES}/two/getEffectiveFirewalls", networkInterface="nic0")["firewalls"]
    assert [one["name"] for one in other] == ["inside-sub"]
    network = fra.gateway.get("global/networks/net/getEffectiveFirewalls")["firewalls"]
    assert [one["name"] for one in network] == ["inside-sub", "ssh"]


def test_effective_firewalls_of_a_zone_with_groups_are_those_that_speak_of_the_instance(gateway: Gateway) -> None:
    assert gateway.get("global/networks/default/getEffectiveFirewalls") == {}
    gateway.run("POST", "global/firewalls", {"name": "ssh", "allowed": TCP_22, "targetTags": ["web"]})
    gateway.run("POST", "global/firewalls", {"name": "icmp", "allowed": [{"IPProtocol": "icmp"}]})
    gateway.deploy("theirs")
    shown = gateway.get("zones/{zone}/instances/theirs/getEffectiveFirewalls", networkInterface="nic0")["firewalls"]
    assert [one["name"] for one in shown] == ["icmp"]
    assert "nic0" in gateway.refuse("GET", "zones/{zone}/instances/theirs/getEffectiveFirewalls", networkInterface="x")
