"""Firewalls of every kind, and what GCE decides of a packet by them: what each enforcer is held against.

Apart because isolated networks and tiers of VPCs are held against the same. The surprising thing: it is the plainest
reading of Google's rules (https://cloud.google.com/firewall/docs/firewalls), and shares nothing with the compiler.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any

from hypothesis import strategies as st

from gstack.firewall.rules import EGRESS, INGRESS

NUMBERS = {"tcp": 6, "udp": 17, "icmp": 1, "esp": 50, "sctp": 132}
PORTED = (6, 17, 132)
RANGES = ("0.0.0.0/0", "9.0.0.0/8", "9.9.0.0/16", "9.9.9.9/32", "8.8.8.0/24", "2001:db8::/32")
PEERS = ("9.9.9.9", "9.9.1.1", "9.1.1.1", "8.8.8.8", "7.7.7.7")


@st.composite
def firewall(
    draw: st.DrawFn, direction: str, ported: Sequence[str], spans: Sequence[str], priorities: Sequence[int]
) -> dict[str, Any]:
    """A rule of one direction for everybody: of ports (``spans``) of protocols (``ported``), or of whole ones."""
    entry = st.one_of(
        st.fixed_dictionaries(
            {"IPProtocol": st.sampled_from(ported), "ports": st.lists(st.sampled_from(spans), max_size=2)}
        ),
        st.fixed_dictionaries({"IPProtocol": st.sampled_from(["icmp", "all", "esp", "tcp"])}),
    )
    return {
        "name": "f",
        "direction": direction,
        "priority": draw(st.sampled_from(priorities)),
        draw(st.sampled_from(["allowed", "denied"])): draw(st.lists(entry, min_size=1, max_size=2)),
        _ranges_of(direction): draw(st.lists(st.sampled_from(RANGES), min_size=1, max_size=2)),
    }


@cache
def within(peer: str, span: str) -> bool:
    """Whether an address is in a range."""
    return ip_address(peer) in ip_network(span)


def inside(peer: str, ranges: Iterable[str]) -> bool:
    """Whether an address is in one of the ranges."""
    return any(within(peer, span) for span in ranges)


def decides(firewalls: list[dict[str, Any]], number: int, port: int, peer: str, way: str) -> bool:
    """The matching rule of the lowest number wins, a denial among equals, or the implied one."""
    verdicts = []
    for one in firewalls:
        if not inside(peer, one[_ranges_of(way)]):
            continue
        for entry in one.get("allowed") or one["denied"]:
            name, ports = entry["IPProtocol"], entry.get("ports") or ["0-65535"]
            if name != "all" and NUMBERS[name] != number:
                continue
            ends = [[int(end) for end in text.split("-")] for text in ports]
            if number not in PORTED or any(some[0] <= port <= some[-1] for some in ends):
                verdicts.append((one["priority"], "allowed" in one))
    return min(verdicts)[1] if verdicts else way == EGRESS


def _ranges_of(way: str) -> str:
    return "sourceRanges" if way == INGRESS else "destinationRanges"
