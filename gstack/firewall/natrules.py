"""What the firewall of an isolated network can say: on its public addresses, and for what leaves it.

Apart from the enforcer, and the counterpart of grouprules.py. The surprising things, all recorded: on a public address
there is no rule for all protocols, only tcp, udp and icmp; and two rules whose ports overlap are refused, so each says
other ports. All comes out narrower than asked, never wider.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gstack.firewall.compiler import IPV4, Region
from gstack.firewall.grouprules import ALL, ANY, LAST, NAMES, PORT_ZERO, on_all
from gstack.firewall.intervals import NOTHING, PORTS, Numbers, cidrs
from gstack.firewall.rules import ICMP

OTHERS = "The firewall of an isolated network opens tcp, udp and icmp only; other protocols stay closed."
TOO_MANY = "A firewall rule would need more than 500 ranges; the smallest of them stay closed."
MOST_CIDRS = 500


@dataclass(frozen=True, order=True)
class NatRule:
    """One rule. ``place`` is CloudStack's id of the public address (what comes in) or of the network (what goes out,
    with ``destinations``). ``first`` and ``last`` are ports; ANY twice for icmp, 0 twice for all protocols."""

    place: str
    protocol: str
    first: int
    last: int
    sources: tuple[str, ...]
    destinations: tuple[str, ...] = ()

    @property
    def outgoing(self) -> bool:
        """Whether it is of a network, for what leaves it."""
        return bool(self.destinations)


def incoming(place: str, region: Region) -> tuple[set[NatRule], set[str]]:
    """The rules of a public address that let ``region`` in, and in sentences what they cannot."""
    spoken, lost = _spoken(region, NOTHING)
    return {NatRule(place, name, first, last, ranges) for name, first, last, ranges in spoken}, lost


def outgoing(place: str, region: Region, sources: Iterable[str]) -> tuple[set[NatRule], set[str]]:
    """The rules of a network that let ``sources`` send ``region``, and in sentences what they cannot."""
    everything = on_all(region) & IPV4
    spoken, lost = _spoken(region, everything)
    if everything:
        spoken.append((ALL, 0, 0, _ranges(everything, lost)))
    own = tuple(sorted(sources))
    return {NatRule(place, name, first, last, own, ranges) for name, first, last, ranges in spoken}, lost


def from_row(row: Mapping[str, Any]) -> NatRule:
    """The rule that a row of listFirewallRules or listEgressFirewallRules is."""
    out = "ipaddressid" not in row
    protocol = str(row["protocol"]).lower()
    first, last = (0, 0) if protocol == ALL else (int(row.get("startport") or 1), int(row.get("endport") or LAST))
    if protocol == "icmp":
        first, last = int(row.get("icmptype", ANY)), int(row.get("icmpcode", ANY))
    ranges = _listed(row.get("destcidrlist")) or ("0.0.0.0/0",)
    place = str(row["networkid"] if out else row["ipaddressid"])
    return NatRule(place, protocol, first, last, _listed(row.get("cidrlist")), ranges if out else ())


def creation(rule: NatRule) -> tuple[str, dict[str, Any]]:
    """The command that makes a rule."""
    params: dict[str, Any] = {"protocol": rule.protocol, "cidrlist": list(rule.sources)}
    if rule.protocol == "icmp":
        params |= {"icmptype": ANY, "icmpcode": ANY}
    elif rule.protocol != ALL:
        params |= {"startport": rule.first, "endport": rule.last}
    if rule.outgoing:
        return "createEgressFirewallRule", params | {"networkid": rule.place, "destcidrlist": list(rule.destinations)}
    return "createFirewallRule", params | {"ipaddressid": rule.place}


def deletion(rule: NatRule, ruleid: str) -> tuple[str, dict[str, Any]]:
    """The command that takes a rule away."""
    return "deleteEgressFirewallRule" if rule.outgoing else "deleteFirewallRule", {"id": ruleid}


def _spoken(region: Region, besides: Numbers) -> tuple[list[tuple[str, int, int, tuple[str, ...]]], set[str]]:
    """What ``region`` allows beyond ``besides``, which is open for all protocols."""
    spoken: list[tuple[str, int, int, tuple[str, ...]]] = []
    lost: set[str] = set()
    for (low, high), found in region.cells:
        left = (found & IPV4) - besides
        if not left:
            continue
        covered = 0
        for number, name in NAMES.items():
            first, last = max(low, number * PORTS) - number * PORTS, min(high, number * PORTS + LAST) - number * PORTS
            if first > last:
                continue
            covered += last - first + 1
            if number == ICMP:
                if (first, last) == (0, LAST):
                    spoken.append((name, ANY, ANY, _ranges(left, lost)))
            elif last == 0:
                lost.add(PORT_ZERO)
            else:
                spoken.append((name, max(first, 1), last, _ranges(left, lost)))
        if covered < high - low + 1:
            lost.add(OTHERS)
    return spoken, lost


def _ranges(found: Numbers, lost: set[str]) -> tuple[str, ...]:
    networks = sorted(cidrs(found), key=lambda network: network.prefixlen)
    if len(networks) > MOST_CIDRS:
        lost.add(TOO_MANY)
    return tuple(sorted(map(str, networks[:MOST_CIDRS])))


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(sorted(part.strip() for part in (text or "").split(",") if part.strip()))
