"""What a CloudStack security group can say: its rules, and the fewest of them for what the compiler allows.

Apart from the compiler, which knows nothing of CloudStack's limits. All of them came out narrower than asked,
never wider. The surprising things, all recorded: a protocol given as a number loses its ports, port 0 alone
is stored as all ports, and number 0 would be every protocol to the hosts' packet filters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gstack.firewall.compiler import EVERYWHERE, Reach, Region
from gstack.firewall.cover import Column, rectangles
from gstack.firewall.intervals import ADDRESSES, NOTHING, PORTS, SERVICES, Network, Numbers, block, cidrs
from gstack.firewall.rules import EGRESS, ICMP, INGRESS, TCP, UDP

PORT_PROTOCOLS = {TCP: "tcp", UDP: "udp"}
NAMES = {**PORT_PROTOCOLS, ICMP: "icmp"}  # all that CloudStack has names for
ALL = "all"
ANY = -1  # icmp type and code
LAST = PORTS - 1
ALL_PORTS = Numbers(((0, LAST),))
# "All but tcp" is 253 protocols for each CIDR. Above this many, only those below are opened.
MOST_NUMBERED = 16
# icmp, igmp, ipip, gre, esp, ah, ipv6-icmp, ospf, vrrp, sctp
COMMON = frozenset({1, 2, 4, 47, 50, 51, 58, 89, 112, 132})
# Keeps a command well below the longest form CloudStack accepts.
MOST_CIDRS = 500

PARTLY = "CloudStack cannot open part of protocol {}, which to it has no ports."
PORT_ZERO = "CloudStack cannot open port 0 alone."
PROTOCOL_ZERO = "CloudStack cannot open protocol 0 alone."
TOO_MANY = f"Of more than {MOST_NUMBERED} protocols without ports, only the common ones are opened."

# Protocol, first and last port (or icmp type and code), CIDR.
Spoken = tuple[str, int, int, Network]


@dataclass(frozen=True, order=True)
class GroupRule:
    """One rule of a security group, in CloudStack's words.

    ``protocol`` is ``tcp``, ``udp``, ``icmp``, ``all`` or a number. ``first`` and ``last`` are ports, icmp
    type and code, or 0. ``peer`` is a CIDR or, where ``account`` is given, the name of a group of that
    account.
    """

    direction: str
    protocol: str
    first: int
    last: int
    peer: str
    account: str | None = None


# Egress turns to deny with the first egress rule, so denying all of it takes a rule that matches nothing.
SENTINEL = GroupRule(EGRESS, "tcp", 1, 1, "255.255.255.255/32")


def group_rules(reached: Reach, direction: str, account: str = "") -> tuple[frozenset[GroupRule], frozenset[str]]:
    """The rules that allow ``reached``, and in sentences what they cannot. ``account`` owns the groups it
    names.

    An egress set that is nothing has no rules here; see :func:`egress_rules`.
    """
    spoken, lost = _spoken(reached.region)
    found = {GroupRule(direction, name, first, last, str(at)) for name, first, last, at in spoken}
    for group, services in reached.groups.items():
        anywhere = Region(tuple((interval, ADDRESSES) for interval in services))
        spoken, also_lost = _spoken(anywhere)
        found |= {GroupRule(direction, name, first, last, group, account) for name, first, last, _ in spoken}
        lost |= also_lost
    return frozenset(found), frozenset(lost)


def egress_rules(region: Region) -> tuple[frozenset[GroupRule], frozenset[str]]:
    """All egress rules of an instance that may send ``region``: none where it may send everything."""
    if region == EVERYWHERE:
        return frozenset(), frozenset()
    found, lost = group_rules(Reach(region), EGRESS)
    return found or frozenset({SENTINEL}), lost


def from_row(row: dict[str, Any], direction: str) -> GroupRule:
    """The rule that an entry of ``ingressrule`` or ``egressrule`` stands for."""
    icmp = "icmptype" in row
    return GroupRule(
        direction,
        str(row["protocol"]),
        int(row["icmptype"] if icmp else row.get("startport", 0)),
        int(row["icmpcode"] if icmp else row.get("endport", 0)),
        row["cidr"] if "cidr" in row else row["securitygroupname"],
        None if "cidr" in row else row.get("account", ""),
    )


def rules_of(row: dict[str, Any]) -> dict[GroupRule, str]:
    """All rules of a row of listSecurityGroups with their ids."""
    return {
        from_row(entry, direction): entry["ruleid"]
        for member, direction in (("ingressrule", INGRESS), ("egressrule", EGRESS))
        for entry in row.get(member, ())
    }


def authorizations(group_id: str, rules: Iterable[GroupRule]) -> list[tuple[str, dict[str, Any]]]:
    """The fewest commands that put ``rules`` into a group. CIDRs share a command, groups have one each."""
    shared: dict[tuple[str, str, int, int], list[str]] = {}
    found: list[tuple[str, dict[str, Any]]] = []
    for rule in sorted(rules, key=lambda rule: (rule.direction, rule.protocol, rule.first, rule.peer)):
        if rule.account is None:
            shared.setdefault((rule.direction, rule.protocol, rule.first, rule.last), []).append(rule.peer)
        else:
            peer = [{"account": rule.account, "group": rule.peer}]
            found.append(_authorization(group_id, rule, {"usersecuritygrouplist": peer}))
    for (direction, name, first, last), ranges in shared.items():
        rule = GroupRule(direction, name, first, last, "")
        for start in range(0, len(ranges), MOST_CIDRS):
            found.append(_authorization(group_id, rule, {"cidrlist": ranges[start : start + MOST_CIDRS]}))
    return found


def _authorization(group_id: str, rule: GroupRule, peer: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    command = f"authorizeSecurityGroup{rule.direction.capitalize()}"
    params: dict[str, Any] = {"securitygroupid": group_id, "protocol": rule.protocol}
    if rule.protocol == "icmp":
        params |= {"icmptype": rule.first, "icmpcode": rule.last}
    elif rule.protocol in ("tcp", "udp"):
        params |= {"startport": rule.first, "endport": rule.last}
    return command, params | peer


def _spoken(region: Region) -> tuple[list[Spoken], set[str]]:
    """``region`` in rules by CIDR, and in sentences what of it cannot be said."""
    everything = on_all(region)
    spoken: list[Spoken] = [(ALL, 0, 0, network) for network in cidrs(everything)]
    lost: set[str] = set()
    single: dict[int, Numbers] = {}
    for number, columns in _by_protocol(region, everything).items():
        if number in PORT_PROTOCOLS:
            for (first, last), network in rectangles(columns, everything):
                if last == 0:
                    lost.add(PORT_ZERO)
                else:
                    spoken.append((PORT_PROTOCOLS[number], first, last, network))
            continue
        whole, partly = _without_ports(columns)
        if partly:
            lost.add(PARTLY.format(number))
        if number == 0:
            lost.add(PROTOCOL_ZERO)
        elif whole - everything:
            single[number] = whole
    return spoken + _numbered(single, everything, lost), lost


def _numbered(single: dict[int, Numbers], everything: Numbers, lost: set[str]) -> list[Spoken]:
    """The rules of protocols without ports."""
    if len(single) > MOST_NUMBERED:
        lost.add(TOO_MANY)
        single = {number: found for number, found in single.items() if number in COMMON}
    spoken: list[Spoken] = []
    for number, found in single.items():
        within = [network for network in cidrs(found) if not everything.covers(block(network))]
        beside = cidrs(found - everything)
        for network in within if len(within) <= len(beside) else beside:
            if number != ICMP:
                spoken.append((str(number), 0, 0, network))
            elif network.version == 4:  # to CloudStack's hosts, icmp on IPv6 is ICMPv6, another protocol
                spoken.append(("icmp", ANY, ANY, network))
    return spoken


def on_all(region: Region) -> Numbers:
    """The addresses that every service is allowed with."""
    if Numbers.of(interval for interval, _ in region.cells) != SERVICES:
        return NOTHING
    found = ADDRESSES
    for _, addresses in region.cells:
        found &= addresses
    return found


def _by_protocol(region: Region, everything: Numbers) -> dict[int, list[Column]]:
    """The columns, by port, of each protocol that ``everything`` on all services does not exhaust."""
    found: dict[int, list[Column]] = {}
    exhausted: dict[int, bool] = {}
    for (low, high), addresses in region.cells:
        more = bool(addresses - everything)
        for number in range(low // PORTS, high // PORTS + 1):
            base = number * PORTS
            interval = (max(low, base) - base, min(high, base + PORTS - 1) - base)
            found.setdefault(number, []).append((interval, addresses))
            exhausted[number] = exhausted.get(number, True) and not more
    return {number: columns for number, columns in found.items() if not exhausted[number]}


def _without_ports(columns: list[Column]) -> tuple[Numbers, bool]:
    """The addresses that a whole protocol is allowed with, and whether parts of it have more."""
    whole = ADDRESSES if Numbers.of(interval for interval, _ in columns) == ALL_PORTS else NOTHING
    for _, addresses in columns:
        whole &= addresses
    return whole, any(addresses - whole for _, addresses in columns)
