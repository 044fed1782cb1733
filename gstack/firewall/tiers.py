"""The enforcer for tiers of VPCs: the items of the access list that each tier of gstack's has.

Apart from the one for isolated networks, with which it shares compiler and triggers. The lists are gstack's whole: they
are called after their subnetwork, and an item that another tool adds goes. A tier that was given another list is left
alone, which is said. The surprising things: an access list speaks of a whole tier, so what a firewall opens for some of
its instances stays closed and what it denies to some is denied to all; and inside of a tier CloudStack filters nothing.
Source tags mean the addresses of the peers that carry them, in all tiers of the VPC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from gstack.cloudstack.client import Cloud
from gstack.firewall.aclitems import Item, creation, from_row, items, numbered
from gstack.firewall.compiler import ordered
from gstack.firewall.definitions import firewalls, rules
from gstack.firewall.groups import Group
from gstack.firewall.intervals import addresses
from gstack.firewall.isolated import OPEN_INSIDE, anew, member, network_of, unfiltered
from gstack.firewall.rules import EGRESS, INGRESS, Member, Rule
from gstack.firewall.writer import Command, Writer, settle
from gstack.translate import networks, tags

Row = Mapping[str, Any]

TARGETED = (
    "Firewall '{}' speaks of some instances only, which the access list of a VPC's tier cannot tell apart: "
    "what it allows stays closed in subnetwork '{}', and what it denies is denied to all."
)
OTHER_LIST = "Subnetwork '{}' has an access list of another tool's, '{}': the firewalls are not in force there."


def list_name(subnetwork: str) -> str:
    """The name of a tier's access list."""
    return f"{tags.OWN}{subnetwork}"


@dataclass(frozen=True)
class World:
    """What is there: gstack's tiers, machines, security groups, and the items of all access lists."""

    tiers: Sequence[Row]
    machines: Sequence[Row]
    groups: Sequence[Group]
    present: Sequence[Row]

    @cached_property
    def firewalls(self) -> dict[str, list[Rule]]:
        """The rules of every network that has a tier."""
        found = firewalls(self.groups)
        return {name: rules(found, name) for name in {network_of(row) for row in self.tiers}}

    @cached_property
    def members(self) -> dict[str, list[Member]]:
        """The machines in each tier, by the tier's id."""
        return {
            str(tier["id"]): [
                member(row, tier["id"])
                for row in self.machines
                if any(nic.get("networkid") == tier["id"] for nic in row.get("nic") or ())
            ]
            for tier in self.tiers
        }

    def wanted(self) -> tuple[dict[str, set[Item]], set[str]]:
        """The items that each of gstack's access lists should have, by its id, and in sentences what cannot be said."""
        found: dict[str, set[Item]] = {}
        lost: set[str] = set()
        for tier in self.tiers:
            name = networks.marks(tier).get(networks.SUBNETWORK, "")
            if tier.get("aclname") != list_name(name):
                lost.add(OTHER_LIST.format(name, tier.get("aclname") or "default_deny"))
                continue
            said, more = self._of_tier(tier, name)
            found[str(tier["aclid"])] = said
            lost |= more
        return found, lost

    def _of_tier(self, tier: Row, name: str) -> tuple[set[Item], set[str]]:
        speaking = _local(self.firewalls[network_of(tier)], tier)
        lost = {TARGETED.format(rule.name, name) for rule in speaking if rule.targeted or rule.local is not None}
        beside = [str(other["id"]) for other in self.tiers if other["vpcid"] == tier["vpcid"]]
        peers = [one for key in beside for one in self.members[key]]
        found: set[Item] = set()
        for direction in (INGRESS, EGRESS):
            said, more = items(ordered(speaking, direction, peers), direction)
            found, lost = found | set(said), lost | more
        if unfiltered(speaking, self.members[str(tier["id"])]):
            lost.add(OPEN_INSIDE.format(name))
        return found, lost

    def changes(self) -> list[list[Command]]:
        """The commands that bring the lists in line, in phases one after the other: what is denied is denied before
        anything opens, and what was denied stays so until all else is done."""
        due, _ = self.wanted()
        phases: list[list[Command]] = [[], [], [], []]  # denials made, allows gone, allows made, denials gone
        for aclid, wanted in due.items():
            rows = sorted((row for row in self.present if row["aclid"] == aclid), key=lambda row: int(row["number"]))
            seen: set[Item] = set()
            for row in rows:
                item, _ = from_row(row)
                if item not in wanted or item in seen:
                    phases[1 if item.allow else 3].append(("deleteNetworkACL", {"id": row["id"]}))
                seen.add(item)
            for item, number in numbered(wanted - seen, [int(row["number"]) for row in rows]):
                phases[2 if item.allow else 0].append(creation(item, aclid, number))
        return phases


def read(cloud: Cloud, groups: Sequence[Group], there: Sequence[Row]) -> World | None:
    """What is there; None where gstack has no tier among the networks ``there``. Two calls otherwise."""
    tiers = [
        row for row in there if row.get("vpcid") and network_of(row) and networks.DOOMED not in networks.marks(row)
    ]
    if not tiers:
        return None
    return World(tiers, cloud.list("listVirtualMachines", details=["nics"]), groups, cloud.list("listNetworkACLs"))


def bring(writer: Writer, groups: Sequence[Group], there: Sequence[Row]) -> frozenset[str]:
    """Bring the access lists to what the firewalls say; in sentences what cannot be said. Raises what CloudStack
    refused."""

    def look(again: bool) -> World | None:
        return read(writer.cloud, *(anew(writer.cloud) if again else (groups, there)))

    return settle(writer, look)


def _local(speaking: Sequence[Rule], tier: Row) -> list[Rule]:
    """The rules that can speak of a tier; the instance's own ranges are left out of those that take in all of it."""
    whole = addresses([tier["cidr"]])
    found = []
    for rule in speaking:
        if rule.local is None or rule.local & whole:
            inside = rule.local is not None and not whole - rule.local
            found.append(replace(rule, local=None) if inside else rule)
    return found
