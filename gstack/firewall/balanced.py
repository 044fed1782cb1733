"""What may come in to a public address behind which balancers stand: what all members of each may be sent.

Apart from the enforcer for isolated networks, which writes the rules. GCE's firewalls speak of the instance that a
packet ends at; CloudStack's speak of the address, before a member is chosen. So what one member may not be sent none is
sent through the balancer: narrower than in GCE, never wider. The surprising thing: a machine that is about to join
counts as a member already, so that nothing is open to it for a moment that its firewalls deny.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gstack.cloudstack.client import Cloud
from gstack.firewall.compiler import Region, reach, region
from gstack.firewall.intervals import ADDRESSES, PORTS
from gstack.firewall.rules import INGRESS, TCP, Member, Rule
from gstack.translate import addresses, networks
from gstack.translate.machines import GONE

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


def read(
    cloud: Cloud,
    there: Sequence[Row],
    machines: Sequence[Row],
    joining: Joining | None = None,
    alike: Callable[[Row, int], Iterable[str] | None] | None = None,
) -> list[Balancer]:
    """The balancers on those addresses of ``there`` that are forwarding rules', of members that are ``machines``.

    No call where there are none. Otherwise one, and for the members, which CloudStack lists in no other way, one for
    each balancer or one for each machine in their networks, whatever is less. ``alike``, given an address and a port,
    gives machines that may stand for whoever is a member, where that comes to the same: then nothing is asked.
    """
    mine = {str(row["id"]): row for row in there if holds(row)}
    only = {"publicipid": next(iter(mine))} if len(mine) == 1 else {}
    rows = cloud.list("listLoadBalancerRules", **only) if mine else []
    rows = [row for row in rows if row.get("publicipid") in mine]
    said = {str(row["id"]): alike(mine[row["publicipid"]], int(row["publicport"])) for row in rows} if alike else {}
    open_ = [row for row in rows if said.get(str(row["id"])) is None]
    asked = _members(cloud, open_, machines, only)
    found = []
    for row in rows:
        key = str(row["id"])
        members = frozenset(asked[key] if key in asked else said[key] or ()) | (joining or {}).get(key, frozenset())
        found.append(Balancer(key, str(row["publicipid"]), int(row["publicport"]), members, row))
    return found


def _members(
    cloud: Cloud, rows: Sequence[Row], machines: Sequence[Row], only: Mapping[str, str]
) -> dict[str, Collection[str]]:
    """The members of balancers, by their ids."""
    places = {row.get("networkid") for row in rows}
    near = [
        str(one["id"])
        for one in machines
        if one.get("state") not in GONE and places & {nic.get("networkid") for nic in one.get("nic") or ()}
    ]
    found: dict[str, Collection[str]] = {str(row["id"]): set() for row in rows}
    if len(near) < len(rows):
        asked = [("listLoadBalancerRules", {**only, "virtualmachineid": one}) for one in near]
        for one, some in zip(near, cloud.together(*asked) if asked else (), strict=True):
            for key in {str(row["id"]) for row in some} & found.keys():
                found[key] = {*found[key], one}
        return found
    asked = [("listLoadBalancerRuleInstances", {"id": key}) for key in found]
    for key, some in zip(found, cloud.together(*asked) if asked else (), strict=True):
        found[key] = {str(one["id"]) for one in some}
    return found


def regions(speaking: Sequence[Rule], members: Mapping[str, Member]) -> dict[str, Region]:
    """What each of ``members`` may be sent, by id."""
    known: dict[object, Region] = {}
    local = any(rule.local is not None for rule in speaking)
    found = {}
    for key, member in members.items():
        # Machines that the same rules speak of may be sent the same, unless a rule looks at their own addresses.
        kind = (tuple(rule.targets(member) for rule in speaking), member.addresses if local else None)
        if kind not in known:
            known[kind] = reach(speaking, INGRESS, member).region
        found[key] = known[kind]
    return found


def indifferent(sent: Mapping[str, Region], port: int) -> bool:
    """Whether all machines, of :func:`regions`, may be sent the same to a port: then no matter who is a member."""
    return len({found.at(TCP * PORTS + port) for found in sent.values()}) <= 1


def open_to_all(
    address: Row, speaking: Sequence[Rule], members: Mapping[str, Member], balancers: Sequence[Balancer]
) -> tuple[Region, set[str]]:
    """What may come in to ``address``, and in sentences what some member might be sent and is not. ``members`` are the
    machines of its network, by id."""
    lost: set[str] = set()
    cells = []
    mine = sorted((one for one in balancers if one.address == address["id"]), key=lambda one: one.port)
    sent = regions(speaking, {key: members[key] for one in mine for key in one.members if key in members})
    for one in mine:
        service = TCP * PORTS + one.port
        kinds = {id(found): found for found in map(sent.get, one.members) if found is not None}
        each = [found.at(service) for found in kinds.values()]
        common = ADDRESSES
        for allowed in each:
            common &= allowed
        if any(allowed - common for allowed in each):
            lost.add(NARROWED.format(address["ipaddress"], one.port))
        if each:
            cells.append(((service, service), common))
    return region(cells), lost
