"""What may come in to a public address behind which balancers stand: what all members of each may be sent.

Apart from the enforcer for isolated networks, which writes the rules. GCE's firewalls speak of the instance that a
packet ends at; CloudStack's speak of the address, before a member is chosen. So what one member may not be sent none is
sent through the balancer: narrower than in GCE, never wider. The surprising thing: a machine that is about to join
counts as a member already, so that nothing is open to it for a moment that its firewalls deny.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gstack.cloudstack.client import Cloud
from gstack.firewall.compiler import Region, reach, region
from gstack.firewall.intervals import ADDRESSES, PORTS
from gstack.firewall.rules import INGRESS, TCP, Member, Rule
from gstack.translate import addresses, networks

Row = Mapping[str, Any]
# Machines that are about to become members, by CloudStack's id of the balancer's rule.
Joining = Mapping[str, frozenset[str]]

NARROWED = (
    "The firewalls do not allow the same to all members of the balancer at {}, port {}: "
    "only what all of them may be sent comes in."
)


@dataclass(frozen=True)
class Balancer:
    """A load-balancer rule of CloudStack's: its ``id``, the ``address`` it is on (an id), its public ``port``, and the
    machines it leads to."""

    id: str
    address: str
    port: int
    members: frozenset[str]
    row: Row


def holds(address: Row) -> bool:
    """Whether a public address is one of gstack's forwarding rules'."""
    return addresses.FORWARDING in networks.marks(address)


def read(cloud: Cloud, there: Sequence[Row], joining: Joining | None = None) -> list[Balancer]:
    """The balancers on those addresses of ``there`` that are forwarding rules'. No call where there are none, else one
    and one for each balancer, side by side."""
    mine = {str(row["id"]) for row in there if holds(row)}
    rows = [row for row in cloud.list("listLoadBalancerRules") if row.get("publicipid") in mine] if mine else []
    found = cloud.together(*(("listLoadBalancerRuleInstances", {"id": row["id"]}) for row in rows)) if rows else []
    return [
        Balancer(
            str(row["id"]),
            str(row["publicipid"]),
            int(row["publicport"]),
            frozenset(str(one["id"]) for one in some) | (joining or {}).get(str(row["id"]), frozenset()),
            row,
        )
        for row, some in zip(rows, found, strict=True)
    ]


def open_to_all(
    address: Row, speaking: Sequence[Rule], members: Mapping[str, Member], balancers: Sequence[Balancer]
) -> tuple[Region, set[str]]:
    """What may come in to ``address``, and in sentences what some member might be sent and is not. ``members`` are the
    machines of its network, by id."""
    lost: set[str] = set()
    cells = []
    known: dict[object, Region] = {}
    local = any(rule.local is not None for rule in speaking)

    def sent(member: Member) -> Region:
        # Machines that the same rules speak of may be sent the same, unless a rule looks at their own addresses.
        key = (tuple(rule.targets(member) for rule in speaking), member.addresses if local else None)
        if key not in known:
            known[key] = reach(speaking, INGRESS, member).region
        return known[key]

    mine = sorted((one for one in balancers if one.address == address["id"]), key=lambda one: one.port)
    regions = {key: sent(members[key]) for key in {key for one in mine for key in one.members} if key in members}
    for one in mine:
        service = TCP * PORTS + one.port
        kinds = {id(found): found for found in map(regions.get, one.members) if found is not None}
        each = [found.at(service) for found in kinds.values()]
        common = ADDRESSES
        for allowed in each:
            common &= allowed
        if any(allowed - common for allowed in each):
            lost.add(NARROWED.format(address["ipaddress"], one.port))
        if each:
            cells.append(((service, service), common))
    return region(cells), lost
