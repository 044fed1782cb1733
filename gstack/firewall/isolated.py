"""The enforcer for isolated networks: firewall rules on the public addresses of instances and of balancers, egress
rules of networks.

Apart from the one for security groups, with which it shares the compiler and the triggers. It writes to the addresses
that gstack tied to an instance or a forwarding rule (their mark names the GCE network) and to the networks that gstack
made; the rules of those it owns whole, and nothing else is touched. The surprising thing: inside an isolated network
CloudStack filters nothing, so a denial between two of its instances has no effect, which is said instead
(:func:`unfiltered`). Source tags mean peers inside the network, so they open nothing on a public address, as in GCE.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from gstack.cloudstack.client import Cloud
from gstack.firewall import balanced
from gstack.firewall.balanced import Balancer, Joining
from gstack.firewall.compiler import EVERYWHERE, NOWHERE, Region, reach
from gstack.firewall.definitions import firewalls, rules
from gstack.firewall.groups import Group
from gstack.firewall.intervals import SERVICES, Numbers, addresses
from gstack.firewall.natrules import NatRule, creation, deletion, from_row, incoming, outgoing
from gstack.firewall.rules import EGRESS, INGRESS, Member, Rule
from gstack.firewall.writer import Command, Writer, settle
from gstack.translate import machines, networks, tags

Row = Mapping[str, Any]

OPEN_INSIDE = (
    "Instances of subnetwork '{}' reach one another whatever the firewalls say: "
    "CloudStack filters nothing inside an isolated network."
)
EGRESS_OF_OTHERS = "Egress from network '{}', which gstack has not made, is not filtered by the firewalls."


@dataclass(frozen=True)
class World:
    """What is there: gstack's isolated networks, addresses tied to instances and forwarding rules, machines, security
    groups, rules, balancers."""

    networks: Sequence[Row]
    addresses: Sequence[Row]
    machines: Sequence[Row]
    groups: Sequence[Group]
    present: Mapping[str, NatRule]  # by CloudStack's id of the rule
    balancers: Sequence[Balancer] = ()

    @cached_property
    def firewalls(self) -> dict[str, list[Rule]]:
        """The rules of every network that matters here."""
        found = firewalls(self.groups)
        names = {network_of(row) for row in (*self.networks, *self.addresses)}
        return {name: rules(found, name) for name in names}

    def members(self, networkid: str) -> dict[str, Member]:
        """The machines in a CloudStack network, by id."""
        return self._members.get(networkid, {})

    @cached_property
    def _members(self) -> dict[str, dict[str, Member]]:
        found: dict[str, dict[str, Member]] = {}
        for row in self.machines:
            for networkid in {str(nic.get("networkid")) for nic in row.get("nic") or ()}:
                if _nics(row, networkid):
                    found.setdefault(networkid, {})[row["id"]] = member(row, networkid)
        return found

    def alike(self, address: Row, port: int) -> Iterable[str] | None:
        """One machine of the network of an ``address``, where the firewalls allow all of them the same to a port."""
        key = network_of(address), str(address.get("associatednetworkid"))
        if key not in self._sent:
            self._sent[key] = balanced.regions(self.firewalls[key[0]], self.members(key[1]))
        sent = self._sent[key]
        return list(sent)[:1] if balanced.indifferent(sent, port) else None

    @cached_property
    def _sent(self) -> dict[tuple[str, str], dict[str, Region]]:
        return {}

    def wanted(self) -> tuple[set[NatRule], set[str]]:
        """The rules that should be there, and in sentences what cannot be said."""
        found: set[NatRule] = set()
        lost: set[str] = set()
        for row in self.addresses:
            said = self._of_address(row)
            found, lost = found | said[0], lost | said[1]
        for row in self.networks:
            said = self._of_network(row)
            found, lost = found | said[0], lost | said[1]
        return found, lost

    def _of_address(self, row: Row) -> tuple[set[NatRule], set[str]]:
        name, networkid = network_of(row), str(row.get("associatednetworkid"))
        if balanced.holds(row):
            shared, narrowed = balanced.open_to_all(row, self.firewalls[name], self.members(networkid), self.balancers)
            said, more = incoming(str(row["id"]), shared)
            return said, narrowed | more
        mine = self.members(networkid).get(str(row.get("virtualmachineid")))
        if mine is None:
            return set(), set()
        speaking = self.firewalls[name]
        found, lost = incoming(str(row["id"]), reach(speaking, INGRESS, mine).region)
        foreign = networkid not in {network["id"] for network in self.networks}
        if foreign and any(rule.direction == EGRESS and not rule.allow for rule in speaking):
            lost.add(EGRESS_OF_OTHERS.format(name))
        return found, lost

    def _of_network(self, row: Row) -> tuple[set[NatRule], set[str]]:
        speaking = self.firewalls[network_of(row)]
        shared = reach(speaking, EGRESS, None).region
        found, lost = outgoing(row["id"], shared, [row["cidr"]])
        more: dict[Region, list[Member]] = {}
        members = self.members(row["id"])
        for one in members.values() if shared != EVERYWHERE else ():
            extra = reach(speaking, EGRESS, one).region - shared
            if extra != NOWHERE and one.addresses:
                more.setdefault(extra, []).append(one)
        for extra, some in more.items():
            said = outgoing(row["id"], extra, [f"{_text(one)}/32" for one in some])
            found, lost = found | said[0], lost | said[1]
        if unfiltered(speaking, list(members.values())):
            lost.add(OPEN_INSIDE.format(networks.marks(row).get(networks.SUBNETWORK, "")))
        return found, lost

    def changes(self) -> tuple[list[Command], list[Command]]:
        """The commands that take rules away, and those that make some. The first come first: two rules whose ports
        overlap are refused, and what is missing for a moment is no hole."""
        due, _ = self.wanted()
        there = set(self.present.values())
        seen: set[NatRule] = set()
        gone: list[Command] = []
        for ruleid, rule in sorted(self.present.items()):
            if rule not in due or rule in seen:
                gone.append(deletion(rule, ruleid))
            seen.add(rule)
        return gone, [creation(rule) for rule in sorted(due - there)]


def existing(cloud: Cloud) -> list[dict[str, Any]]:
    """All isolated networks, tiers of VPCs among them: where :func:`read` starts."""
    return cloud.list("listNetworks", type="Isolated")


def read(cloud: Cloud, groups: Sequence[Group], there: Sequence[Row], joining: Joining | None = None) -> World | None:
    """What is there; None where gstack has nothing to guard. No call where no isolated network is ``there``, one where
    none is guarded, four otherwise, and those of :func:`gstack.firewall.balanced.read`."""
    if all(row.get("vpcid") for row in there):
        return None
    made = [row for row in there if _ours(row)]
    rows = cloud.list("listPublicIpAddresses")
    tied = [row for row in rows if network_of(row) and not row.get("vpcid")]
    if not made and not tied:
        return None
    machines = cloud.list("listVirtualMachines", details=["nics"])
    places = {row["id"] for row in (*made, *tied)}
    rows = [*cloud.list("listFirewallRules"), *cloud.list("listEgressFirewallRules")]
    present = {str(row["id"]): rule for row in rows if (rule := from_row(row)).place in places}
    world = World(made, tied, machines, groups, present)
    return replace(world, balancers=balanced.read(cloud, tied, machines, joining, world.alike))


def bring(
    writer: Writer, groups: Sequence[Group], there: Sequence[Row], joining: Joining | None = None
) -> frozenset[str]:
    """Bring the rules to what the firewalls say; in sentences what cannot be said. Raises what CloudStack refused."""

    def look(again: bool) -> World | None:
        return read(writer.cloud, *(anew(writer.cloud) if again else (groups, there)), joining)

    return settle(writer, look)


def anew(cloud: Cloud) -> tuple[Sequence[Group], Sequence[Row]]:
    """The security groups and the isolated networks as they are now."""
    return [Group(row) for row in cloud.list("listSecurityGroups")], existing(cloud)


def member(row: Row, networkid: str) -> Member:
    """A machine of an isolated network as the compiler sees it."""
    own = tags.own_values(row.get("tags") or ())
    texts = [text for nic in _nics(row, networkid) if (text := nic.get("ipaddress"))]
    return Member(
        key=str(row["id"]),
        tags=frozenset(tags.network_tags(row.get("tags") or ())),
        accounts=frozenset(own.get(machines.ACCOUNTS, "").split()),
        addresses=addresses(texts),
    )


def unfiltered(speaking: Sequence[Rule], members: Sequence[Member]) -> bool:
    """Whether the rules would deny anything between two of ``members``."""
    everyone = Numbers.of(interval for one in members for interval in one.addresses)
    known: dict[object, tuple[Region, Region]] = {}
    for one in members:
        others = everyone - one.addresses
        if not others:
            continue
        local = one.addresses if any(rule.local is not None for rule in speaking) else None
        key = (tuple(rule.targets(one) for rule in speaking), local)
        if key not in known:
            known[key] = reach(speaking, INGRESS, one, members).region, reach(speaking, EGRESS, one, members).region
        if any(region.services_with(others) != SERVICES for region in known[key]):
            return True
    return False


def network_of(row: Row) -> str:
    """The GCE network that the marks of a network or of an address name; empty without."""
    return networks.marks(row).get(networks.NETWORK, "")


def _ours(row: Row) -> bool:
    return bool(network_of(row)) and networks.DOOMED not in networks.marks(row) and not row.get("vpcid")


def _nics(row: Row, networkid: str) -> list[Row]:
    if row.get("state") in machines.GONE:
        return []
    return [nic for nic in row.get("nic") or () if nic.get("networkid") == networkid]


def _text(one: Member) -> str:
    return ".".join(str(one.addresses.intervals[0][0] >> shift & 255) for shift in (24, 16, 8, 0))
