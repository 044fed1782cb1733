"""CloudStack's security groups as gstack tells them apart, and the machines in them.

Apart because firewalls are read from them and the enforcer writes them. The surprising thing: what gstack's own
guarding groups are for stands in their names, which no GCE name can collide with, since those have no colon.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gstack.firewall import marks
from gstack.firewall.grouprules import GroupRule, rules_of
from gstack.firewall.intervals import Numbers, addresses
from gstack.firewall.rules import Member
from gstack.translate import tags
from gstack.translate.machines import GONE
from gstack.translate.names import gce_names, is_label

Row = Mapping[str, Any]

NETWORK, INSTANCE = "network", "instance"
FIREWALL, GUARDS = "firewall", "guards"
DEFAULT = "default"
UNFINISHED = "Firewall of gstack"  # the description of a definition, until its marks say more


@dataclass(frozen=True)
class Group:
    """A row of listSecurityGroups."""

    row: Row

    @property
    def id(self) -> str:
        """CloudStack's UUID."""
        return str(self.row["id"])

    @property
    def name(self) -> str:
        """CloudStack's name, unique in its account."""
        return str(self.row["name"])

    @property
    def account(self) -> str | None:
        """The owner by which rules name the group; None in a CloudStack project, whose account users do not see."""
        return self.row.get("account")

    @property
    def description(self) -> str:
        """CloudStack's description."""
        return str(self.row.get("description") or "")

    @property
    def machines(self) -> frozenset[str]:
        """Ids of its machines, also of those that are stopped or not expunged yet."""
        return frozenset(self.row.get("virtualmachineids") or ())

    @property
    def used(self) -> bool:
        """Whether any machine is in it."""
        return bool(self.row.get("virtualmachinecount") or self.machines)

    @cached_property
    def rules(self) -> dict[GroupRule, str]:
        """Its rules with their ids."""
        return rules_of(dict(self.row))

    @cached_property
    def purpose(self) -> tuple[str, ...]:
        """What a guarding group is for: ``("network", network)`` or ``("instance", network, zone, instance, token)``;
        empty for all others."""
        parts = tuple(self.name.removeprefix(tags.OWN).split(":")) if self.name.startswith(tags.OWN) else ()
        return parts if (parts[:1], len(parts)) in (((NETWORK,), 2), ((INSTANCE,), 5)) else ()

    @cached_property
    def content(self) -> dict[str, Any]:
        """What its marks say: a firewall, or whom it guards; empty without marks."""
        kind = GUARDS if self.purpose else FIREWALL
        found = marks.unpack(kind, self.row.get("tags", ()))[1]
        return found if isinstance(found, dict) else {}

    @property
    def unfinished(self) -> bool:
        """Whether it is a definition that is still being made."""
        return not self.content and not self.purpose and self.description == UNFINISHED

    @property
    def listed(self) -> bool:
        """Whether it is shown as firewalls."""
        if self.purpose or self.unfinished:
            return False
        return bool(self.name != DEFAULT or self.rules or self.content)


def network_group(network: str) -> str:
    """The name of the group with what every member of a GCE network gets."""
    return f"{tags.OWN}{NETWORK}:{network}"


def instance_group(network: str, zone: str, instance: str, token: str) -> str:
    """The name of an instance's own group. ``token`` tells instances apart that have the name one after another."""
    return f"{tags.OWN}{INSTANCE}:{network}:{zone}:{instance}:{token}"


def firewall_names(groups: Iterable[Group]) -> dict[str, str]:
    """The GCE name of every group that is no guarding one, by id. Whatever is a GCE name already keeps it."""
    return gce_names(
        [group for group in groups if not group.purpose],
        name=lambda group: group.name,
        id=lambda group: group.id,
        created=lambda group: None if is_label(group.name) else "9999-12-31T00:00:00+0000",
    )


def members(groups: Sequence[Group], machines: Iterable[Row], network: str) -> list[tuple[Member, Group | None]]:
    """The machines of a network as the compiler sees them, each with its own group if it has one.

    ``machines`` are rows of listVirtualMachines with their nics. A machine of another tool belongs to the network
    ``default``, and the names of its groups are tags of it.
    """
    names = firewall_names(groups)
    joined: dict[str, list[Group]] = {}
    for group in groups:
        for machine in group.machines:
            joined.setdefault(machine, []).append(group)
    found = []
    for row in machines:
        mine = joined.get(str(row["id"]), [])
        own = next((group for group in mine if group.purpose[:1] == (INSTANCE,)), None)
        if row.get("state") in GONE or not mine or (own.purpose[1] if own else DEFAULT) != network:
            continue
        worn = {names[group.id] for group in mine if not group.purpose and group.name != DEFAULT}
        found.append((_member(row, own, worn), own))
    return found


def _member(row: Row, own: Group | None, worn: set[str]) -> Member:
    return Member(
        key=str(row["id"]),
        tags=frozenset(worn | set(tags.network_tags(row.get("tags", ())))),
        accounts=frozenset(own.content.get("accounts", ()) if own else ()),
        addresses=_addresses(row.get("nic", ())),
        group=own.name if own and own.account else None,
    )


def _addresses(nics: Iterable[Row]) -> Numbers:
    texts = [text for nic in nics for text in (nic.get("ipaddress"), nic.get("ip6address")) if text]
    return addresses(texts)
