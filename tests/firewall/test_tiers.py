"""Tiers of VPCs: the items of an access list decide, packet by packet, what GCE's rules decide."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gstack.firewall.aclitems import MOST_ITEMS, PLACES, TOO_MANY, Item, creation, from_row, items, numbered
from gstack.firewall.compiler import ordered
from gstack.firewall.rules import EGRESS, INGRESS, Rule, rule

NUMBERS = {"tcp": 6, "udp": 17, "icmp": 1, "esp": 50, "sctp": 132}
PORTED = (6, 17, 132)
RANGES = ("0.0.0.0/0", "9.0.0.0/8", "9.9.0.0/16", "9.9.9.9/32", "8.8.8.0/24", "2001:db8::/32")
PEERS = ("9.9.9.9", "9.9.1.1", "9.1.1.1", "8.8.8.8", "7.7.7.7")
PACKETS = [
    (number, port, peer)
    for number in NUMBERS.values()
    for port in ((0, 1, 22, 30, 80, 65535) if number in PORTED else (0,))
    for peer in PEERS
]
SPANS = st.lists(st.sampled_from(["22", "20-40", "80", "0-79", "0", "0-65535"]), max_size=2)
entries = st.lists(
    st.one_of(
        st.fixed_dictionaries({"IPProtocol": st.sampled_from(["tcp", "udp", "sctp"]), "ports": SPANS}),
        st.fixed_dictionaries({"IPProtocol": st.sampled_from(["icmp", "all", "esp", "tcp"])}),
    ),
    min_size=1,
    max_size=2,
)


@st.composite
def firewall(draw: st.DrawFn, direction: str) -> dict[str, Any]:
    """A rule of one direction that speaks of everybody."""
    ranges = draw(st.lists(st.sampled_from(RANGES), min_size=1, max_size=2))
    return {
        "name": "f",
        "direction": direction,
        "priority": draw(st.sampled_from([0, 2, 65535])),
        draw(st.sampled_from(["allowed", "denied"])): draw(entries),
        "sourceRanges" if direction == INGRESS else "destinationRanges": ranges,
    }


def inside(peer: str, ranges: tuple[str, ...] | list[str]) -> bool:
    nets = [ip_network(text) for text in ranges]
    return any(net.version == 4 and ip_address(peer) in net for net in nets)


def says(found: list[Item], number: int, port: int, peer: str) -> bool:
    """What CloudStack does: the first item that matches decides; without any, nothing comes in and all goes out."""
    for one in sorted(found):
        named = one.protocol in ("all", str(number)) or NUMBERS.get(one.protocol) == number
        ports = not one.first or one.first <= port <= one.last
        if named and ports and inside(peer, one.cidrs):
            return one.allow
    return not any(one.direction == EGRESS for one in found) and bool(found) and found[0].direction == EGRESS


def gce(firewalls: list[dict[str, Any]], number: int, port: int, peer: str, way: str) -> bool:
    """The matching rule of the lowest number wins, a denial among equals, or the implied one."""
    verdicts = []
    for one in firewalls:
        if not inside(peer, one["sourceRanges" if way == INGRESS else "destinationRanges"]):
            continue
        for entry in one.get("allowed") or one["denied"]:
            name, ports = entry["IPProtocol"], entry.get("ports") or ["0-65535"]
            if name != "all" and NUMBERS[name] != number:
                continue
            ends = [[int(end) for end in text.split("-")] for text in ports]
            if number not in PORTED or any(some[0] <= port <= some[-1] for some in ends):
                verdicts.append((one["priority"], "allowed" in one))
    return min(verdicts)[1] if verdicts else way == EGRESS


@settings(deadline=None, max_examples=150)
@given(st.lists(firewall(INGRESS), max_size=5), st.lists(firewall(EGRESS), max_size=5))
def test_an_access_list_decides_as_gce_would_and_says_where_it_is_narrower(
    coming: list[dict[str, Any]], going: list[dict[str, Any]]
) -> None:
    for way, firewalls in ((INGRESS, coming), (EGRESS, going)):
        found, lost = items(ordered([rule(one) for one in firewalls], way), way)
        for number, port, peer in PACKETS:
            allowed, said = gce(firewalls, number, port, peer, way), says(found, number, port, peer)
            assert said is allowed or (allowed and lost)
            # Only port 0 and the ports of a protocol that has none in CloudStack cannot be said.
            assert said is allowed or port == 0 or number == 132


@settings(deadline=None, max_examples=60)
@given(st.lists(firewall(INGRESS), max_size=5))
def test_an_item_is_read_as_it_was_written(firewalls: list[dict[str, Any]]) -> None:
    found, _ = items(ordered([rule(one) for one in firewalls], INGRESS), INGRESS)
    for item, number in numbered(set(found), []):
        _, params = creation(item, "acl", number)
        row = {**params, "cidrlist": ",".join(params["cidrlist"]), "icmptype": -1, "icmpcode": -1}
        assert from_row(row) == (item, number)


def test_numbers_follow_the_order_and_those_that_are_taken_are_left_alone() -> None:
    rules = [Rule(str(n), INGRESS, allow, priority=n) for n, allow in ((5, True), (5, False), (7, True))]
    found, _ = items(ordered(rules, INGRESS), INGRESS)
    first = numbered(found, [])
    assert [item for item, _ in first] == found
    assert [number for _, number in first] == sorted(number for _, number in first)
    again = numbered(found[:1], [first[0][1]])
    assert again[0][1] == first[0][1] + 1
    assert (65536 * 4 + 4) * PLACES < 2**31


def test_a_list_that_would_be_too_long_ends_in_a_denial() -> None:
    rules = [Rule(str(n), EGRESS, False, priority=n) for n in range(MOST_ITEMS + 1)]
    found, lost = items(ordered(rules, EGRESS), EGRESS)
    assert len(found) == MOST_ITEMS
    assert not found[-1].allow
    assert lost == {TOO_MANY}
