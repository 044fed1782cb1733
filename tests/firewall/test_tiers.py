"""Tiers of VPCs: the items of an access list decide, packet by packet, what GCE's rules decide."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gstack.firewall.aclitems import MOST_ITEMS, PLACES, TOO_MANY, Item, creation, from_row, items, numbered
from gstack.firewall.compiler import ordered
from gstack.firewall.rules import EGRESS, INGRESS, Rule, rule
from tests.firewall import gce

PACKETS = [
    (number, port, peer)
    for number in gce.NUMBERS.values()
    for port in ((0, 1, 22, 30, 80, 65535) if number in gce.PORTED else (0,))
    for peer in gce.PEERS
]


def firewalls(direction: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(
        gce.firewall(direction, ("tcp", "udp", "sctp"), ("22", "20-40", "80", "0-79", "0", "0-65535"), (0, 2, 65535)),
        max_size=5,
    )


def says(found: list[Item], number: int, port: int, peer: str) -> bool:
    """What CloudStack does: the first item that matches decides; without any, nothing comes in and all goes out."""
    for one in sorted(found):
        named = one.protocol in ("all", str(number)) or gce.NUMBERS.get(one.protocol) == number
        ports = not one.first or one.first <= port <= one.last
        if named and ports and gce.inside(peer, one.cidrs):
            return one.allow
    return not any(one.direction == EGRESS for one in found) and bool(found) and found[0].direction == EGRESS


@settings(deadline=None, max_examples=150)
@given(firewalls(INGRESS), firewalls(EGRESS))
def test_an_access_list_decides_as_gce_would_and_says_where_it_is_narrower(
    coming: list[dict[str, Any]], going: list[dict[str, Any]]
) -> None:
    for way, drawn in ((INGRESS, coming), (EGRESS, going)):
        found, lost = items(ordered([rule(one) for one in drawn], way), way)
        for number, port, peer in PACKETS:
            allowed, said = gce.decides(drawn, number, port, peer, way), says(found, number, port, peer)
            assert said is allowed or (allowed and lost)
            # Only port 0 and the ports of a protocol that has none in CloudStack cannot be said.
            assert said is allowed or port == 0 or number == 132


@settings(deadline=None, max_examples=60)
@given(firewalls(INGRESS))
def test_an_item_is_read_as_it_was_written(drawn: list[dict[str, Any]]) -> None:
    found, _ = items(ordered([rule(one) for one in drawn], INGRESS), INGRESS)
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
